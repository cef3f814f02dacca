"""The one place that reaches the host. In a component `component.py` puts the real one here, in a test `testing.py` its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Sequence

if TYPE_CHECKING:
    from .llm import LlmError, Request, Response, TokenCount


class Host(Protocol):
    def complete(self, request: Request) -> Response: ...

    def complete_many(self, requests: Sequence[Request]) -> list[Response | LlmError]: ...

    def count_tokens(self, request: Request) -> TokenCount: ...

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None: ...

    def read_blob(self, name: str, offset: int, length: int) -> bytes: ...


class NoHost:
    """Outside a component, and while it is built, there are no models and no blobs; a log goes nowhere."""

    def complete(self, request: Request) -> Response:
        raise self._error()

    def complete_many(self, requests: Sequence[Request]) -> list[Response | LlmError]:
        raise self._error()

    def count_tokens(self, request: Request) -> TokenCount:
        raise self._error()

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        return None

    def read_blob(self, name: str, offset: int, length: int) -> bytes:
        from .failures import Fail

        raise Fail("missing_blob", "there are no blobs outside a host: use `sandmill_plugin.testing.run(…, blobs=…)`")

    @staticmethod
    def _error() -> LlmError:
        from .llm import Denied

        return Denied("no_host", "there is no model here: ask in the plugin's function, and give a test a `sandmill_plugin.testing.FakeLlm`")


_current: Host = NoHost()


def current() -> Host:
    return _current


def install(host: Host) -> Host:
    """Puts another host in place, and gives back the one before."""
    global _current
    before, _current = _current, host
    return before
