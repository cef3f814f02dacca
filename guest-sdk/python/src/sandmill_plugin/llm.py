"""Language models, as far as a plugin needs to know of them.

    answer = llm.chat("What is this about?\\n" + text, system="Answer in one word.", temperature=0)

An `LlmError` that is not caught ends the item with its code: for good, since the host has already retried what is worth it; only an
answer of the wrong shape (`BadAnswer`) has the item begun anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Sequence, TypedDict, TypeVar, Union, Unpack, overload

from . import host, shapes
from .data import Blob

T = TypeVar("T")

Speaker = Literal["system", "user", "assistant", "tool"]
ToolChoice = Union[Literal["auto", "none", "required"], "Named"]
Overflow = Literal["truncate", "truncate-middle", "error"]


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Media:
    """Exactly one of `url` (the provider fetches it), `data` (in the plugin's memory) and `blob` (the name of one of the item)."""

    mime_type: str
    url: str | None = None
    data: bytes | None = None
    blob: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if sum(source is not None for source in (self.url, self.data, self.blob)) != 1:
            raise ValueError("a medium has exactly one of `url`, `data` and `blob`")


@dataclass(frozen=True)
class ToolCall:
    """The model wants a tool run. It goes back in the next request as it came."""

    id: str
    name: str
    arguments: str
    """As the model wrote them: meant to be a JSON object, not checked."""
    extra: dict[str, Any] = field(default_factory=dict)

    def parse(self, kind: type[T]) -> T:
        """The arguments as a value. Raises `BadAnswer`."""
        try:
            return shapes.read(kind, shapes.parse(self.arguments))
        except shapes.ShapeError as error:
            raise BadAnswer("bad_answer", f"the model called the tool `{self.name}` with wrong arguments: {error}") from error


@dataclass(frozen=True)
class ToolResult:
    call: ToolCall
    content: str
    is_error: bool = False
    media: tuple[Media, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Other:
    """A part that only the provider understands, as it named it."""

    kind: str
    value: Any


Part = Union[Text, Media, ToolCall, ToolResult, Other]


@dataclass(frozen=True)
class Message:
    speaker: Speaker
    parts: Sequence[Part]
    cache: bool = False
    """A hint: what stands up to the end of this message comes again with other items."""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """A function that the model may ask for. `parameters`: a dataclass, or a JSON Schema."""

    name: str
    description: str
    parameters: type[Any] | dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)

    def schema(self) -> dict[str, Any]:
        return self.parameters if isinstance(self.parameters, dict) else shapes.schema(self.parameters, shapes.Use.ANSWER)


@dataclass(frozen=True)
class Named:
    """As a `tool_choice`: the tool of this name."""

    name: str


@dataclass(frozen=True)
class Request:
    """What is asked. `request()` makes one of the usual form."""

    messages: Sequence[Message]
    role: str = "default"
    tools: Sequence[Tool] = ()
    tool_choice: ToolChoice | None = None
    answer: Any = str
    """`str`: text. `dict`: any JSON. Another type, such as a dataclass, or a JSON Schema as a dict: JSON that fits it."""
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    on_overflow: Overflow | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """Fields that only one provider has. The operator must have allowed each."""

    def answer_schema(self) -> tuple[str, dict[str, Any]] | None:
        """The name and the schema of the answer, if there is one."""
        if self.answer is str or self.answer is dict:
            return None
        made = self.answer if isinstance(self.answer, dict) else shapes.schema(self.answer, shapes.Use.ANSWER)
        return re.sub(r"[^A-Za-z0-9-]", "_", str(made.get("title", "")))[:64] or "answer", made


@dataclass(frozen=True)
class Usage:
    input_tokens: int = 0
    """All that was read, from a cache or not."""
    output_tokens: int = 0
    """All that was written, reasoning included."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """How the host shortened a request that was too long."""

    how: str
    tokens_before: int
    tokens_after: int
    messages_dropped: int
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may add."""


@dataclass(frozen=True)
class Response:
    """An answer. Nothing in it tells whether it came from the provider just now or from the store."""

    text: str
    """Empty if the model only called tools."""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    """Why the model stopped: `stop`, `length` (the text is incomplete), `tool-calls`, `content-filter`, `refusal`, or another."""
    model: str = ""
    usage: Usage = Usage()
    opaque: tuple[Other, ...] = ()
    cut: Cut | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @overload
    def parse(self, kind: type[T]) -> T: ...

    @overload
    def parse(self, kind: Any = Any) -> Any: ...

    def parse(self, kind: Any = Any) -> Any:
        """The text as a value. Ask for JSON, or there is no reason why it should parse. Raises `BadAnswer`."""
        kind = Any if isinstance(kind, dict) else kind
        try:
            return shapes.read(kind, shapes.parse(self.text))
        except shapes.ShapeError as error:
            message = f"the model's answer is not what was asked for (it ended by `{self.finish}`): {error}"
            raise BadAnswer("bad_answer", message) from error

    def to_message(self) -> Message:
        """The answer as a message of the conversation, for the next request."""
        text: list[Part] = [Text(self.text)] if self.text else []
        return Message("assistant", [*self.opaque, *text, *self.tool_calls])


@dataclass(frozen=True)
class TokenCount:
    tokens: int
    window: int | None
    """How many tokens the model can take in all, if that is known."""
    exact: bool
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may add."""


class LlmError(Exception):
    """Why there is no answer. Final for this attempt: the host has already retried what is worth it."""

    kind: ClassVar[str] = ""
    """What can still be done about it, as the contract calls it; each kind is a class."""

    def __init__(self, code: str, message: str, extra: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """For programs; the provider's own where it has one."""
        self.message = message
        self.extra = extra or {}
        """Such as `tokens` and `limit` with `TooLarge`."""


class Transient(LlmError):
    """The provider did not answer properly, however often it was asked."""

    kind = "transient"


class TooLarge(LlmError):
    """The request does not fit the model's context. Send less: split it."""

    kind = "too-large"


class Rejected(LlmError):
    """The provider, or the host, says that the request is wrong."""

    kind = "rejected"


class Refused(LlmError):
    """The provider, or the model, will not answer this for reasons of policy."""

    kind = "refused"


class Limit(LlmError):
    """A limit of the item or of the plugin is reached: calls, tokens, money, sizes."""

    kind = "limit"


class Denied(LlmError):
    """The plugin was not granted what it asked for."""

    kind = "denied"


class Cancelled(LlmError):
    """The batch is being stopped; what the plugin returns no longer counts."""

    kind = "cancelled"


class BadAnswer(LlmError):
    """The answer came, and is not of the type that was asked for. Another attempt may do better."""

    kind = "bad-answer"


class Options(TypedDict, total=False):
    """How a request is to be answered; see the fields of `Request`."""

    role: str
    tools: Sequence[Tool]
    tool_choice: ToolChoice | None
    max_output_tokens: int | None
    temperature: float | None
    top_p: float | None
    stop: Sequence[str]
    seed: int | None
    on_overflow: Overflow | None
    extra: dict[str, Any]


def request(
    user: str,
    *,
    system: str | None = None,
    attach: Sequence[Blob | Media] = (),
    answer: Any = str,
    **options: Unpack[Options],
) -> Request:
    """A request of the usual form: instructions, and one message of the user's, which media may join."""
    attached: list[Part] = [Media(one.mime_type, blob=one.name) if isinstance(one, Blob) else one for one in attach]
    messages = [] if system is None else [Message("system", [Text(system)])]
    messages.append(Message("user", [Text(user), *attached]))
    return Request(messages, answer=answer, **options)


def chat(
    user: str, *, system: str | None = None, attach: Sequence[Blob | Media] = (), **options: Unpack[Options]
) -> str:
    """Asks, and gives the text of the answer."""
    return complete(request(user, system=system, attach=attach, **options)).text


@overload
def chat_json(
    user: str, answer: type[T], *, system: str | None = None, attach: Sequence[Blob | Media] = (), **options: Unpack[Options]
) -> T: ...


@overload
def chat_json(
    user: str, answer: Any = dict, *, system: str | None = None, attach: Sequence[Blob | Media] = (), **options: Unpack[Options]
) -> Any: ...


def chat_json(
    user: str, answer: Any = dict, *, system: str | None = None, attach: Sequence[Blob | Media] = (), **options: Unpack[Options]
) -> Any:
    """Asks for JSON that fits `answer`, a dataclass or a JSON Schema, and gives it parsed. The host asks again for what does not."""
    return complete(request(user, system=system, attach=attach, answer=answer, **options)).parse(answer)


def complete(request: Request) -> Response:
    """Asks, and gives the whole answer, tool calls, usage and all."""
    return host.current().complete(request)


def complete_many(requests: Sequence[Request]) -> list[Response | LlmError]:
    """Asks several things at the same time. Answers and errors stand in the order of the requests; an error that is raised means
    that the whole was refused, and nothing was asked."""
    return host.current().complete_many(requests)


def count_tokens(request: Request) -> TokenCount:
    """How long a request would be. Costs nothing."""
    return host.current().count_tokens(request)
