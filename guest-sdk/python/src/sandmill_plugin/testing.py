"""A plugin's tests run in an ordinary Python, where there is no host. This stands in for it.

    def test_a_ticket_is_sorted():
        with FakeLlm('{"urgency": 5, "topic": "fire"}') as llm:
            result = run(process, {"text": "It burns."})
        assert result.values == [{"urgency": 5, "topic": "fire"}]
        assert "It burns." in llm.requests[0].user
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Callable, Sequence, Union

from . import host, shapes
from .data import Blob, Budget
from .failures import Fail
from .llm import LlmError, Rejected, Request, Response, Text, TokenCount
from .plugins import Emitted, Failed, Plugin, RawContext, RawItem, Skipped

Reply = Union[str, dict[str, Any], list[Any], Response, LlmError]


@dataclass(frozen=True)
class Asked:
    """A request as a test wants to see it."""

    request: Request

    @property
    def system(self) -> str:
        return self._said_by("system")

    @property
    def user(self) -> str:
        return self._said_by("user")

    @property
    def schema(self) -> dict[str, Any] | None:
        named = self.request.answer_schema()
        return named[1] if named else None

    def _said_by(self, speaker: str) -> str:
        parts = [part for message in self.request.messages if message.speaker == speaker for part in message.parts]
        return "\n".join(part.text for part in parts if isinstance(part, Text))


@dataclass(frozen=True)
class LogLine:
    level: str
    message: str
    fields: dict[str, Any]


@dataclass
class Result:
    """How an item ended: exactly one of `values`, `skipped` and `failed` is not None."""

    values: list[Any] | None = None
    """What was emitted, read back from its JSON."""
    names: list[str | None] = field(default_factory=list)
    skipped: str | None = None
    failed: Failed | None = None
    log: list[LogLine] = field(default_factory=list)


class FakeLlm:
    """Answers what the plugin asks: with one reply after the other, or by a function of what is asked.

    A reply is a text, a dict or list (handed over as JSON), a `Response`, or an `LlmError`. `requests` holds what was asked.
    """

    def __init__(self, *replies: Reply | Callable[[Asked], Reply]) -> None:
        self._replies = list(replies)
        self.requests: list[Asked] = []
        self._before: host.Host | None = None

    def __enter__(self) -> FakeLlm:
        self._before = host.install(_FakeHost(self))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            host.install(self._before)

    def answer(self, request: Request) -> Response:
        asked = Asked(request)
        self.requests.append(asked)
        if not self._replies:
            raise Rejected("no_reply", f"the test's FakeLlm has no reply left for request {len(self.requests)}: {asked.user[:80]}")
        # A function, or the only reply that is one, answers everything.
        reply = self._replies[0] if callable(self._replies[0]) else self._replies.pop(0)
        if callable(reply):
            reply = reply(asked)
        if isinstance(reply, LlmError):
            raise reply
        if isinstance(reply, Response):
            return reply
        return Response(reply if isinstance(reply, str) else shapes.write(reply), model="fake")


class _FakeHost(host.NoHost):
    def __init__(self, llm: FakeLlm | None = None, blobs: dict[str, bytes] | None = None) -> None:
        self.llm = llm
        self.blobs = blobs or {}
        self.lines: list[LogLine] = []

    def complete(self, request: Request) -> Response:
        return self.llm.answer(request) if self.llm else super().complete(request)

    def complete_many(self, requests: Sequence[Request]) -> list[Response | LlmError]:
        if self.llm is None:
            return super().complete_many(requests)
        results: list[Response | LlmError] = []
        for request in requests:
            try:
                results.append(self.llm.answer(request))
            except LlmError as error:
                results.append(error)
        return results

    def count_tokens(self, request: Request) -> TokenCount:
        """An estimate of four characters a token, and no window."""
        texts = (part.text for message in request.messages for part in message.parts if isinstance(part, Text))
        return TokenCount(sum(-(-len(text) // 4) for text in texts), None, False)

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self.lines.append(LogLine(level, message, fields))

    def read_blob(self, name: str, offset: int, length: int) -> bytes:
        if name not in self.blobs:
            raise Fail("missing_blob", f"the item has no blob `{name}`; it has: {sorted(self.blobs)}")
        return self.blobs[name][offset : offset + length]


def run(
    plugin: Plugin[Any, Any],
    item: Any,
    *,
    config: dict[str, Any] | None = None,
    attempt: int = 1,
    item_id: str = "item-0",
    budget: Budget = Budget(),
    blobs: dict[str, bytes] | None = None,
) -> Result:
    """One item through the plugin, as the host would hand it over: as JSON, in and out.

    An exception that the plugin does not mean to raise comes through; in a component it would be a crash.
    """
    blobs = blobs or {}
    handles = tuple(Blob(name, "application/octet-stream", len(data), "") for name, data in blobs.items())
    before = host.current()
    fake = _FakeHost(before.llm if isinstance(before, _FakeHost) else None, blobs)
    host.install(fake)
    try:
        raw = RawItem(item_id, 0, item if isinstance(item, str) else shapes.write(item), handles)
        ending = plugin.run(raw, RawContext("test", attempt, shapes.write(config or {}), budget))
    finally:
        host.install(before)
    match ending:
        case Emitted(values):
            return Result([shapes.parse(text) for text, _ in values], [name for _, name in values], log=fake.lines)
        case Skipped(reason):
            return Result(skipped=reason, log=fake.lines)
    return Result(failed=ending, log=fake.lines)


__all__ = ["Asked", "FakeLlm", "LogLine", "Result", "run"]
