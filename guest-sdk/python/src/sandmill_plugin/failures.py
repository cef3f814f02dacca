"""How an item ends when it does not end with values. Raise one of these; any other exception is a crash of the plugin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any


class Fail(Exception):
    """The same again would fail the same way: the item goes to the dead letters.

    `code` is for programs, lower case words joined by underscores; dead letters are grouped by it. `message` is for a person, and
    best says what would help. `detail` is anything that can be written as JSON, kept beside the failed item. `extra` are
    properties that a newer host may know.
    """

    def __init__(self, code: str, message: str, *, detail: Any = None, extra: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.detail = detail
        self.extra = extra or {}


class Retry(Exception):
    """An answer was no good: run the item again from the start, with fresh answers, and pay for them again.

    Not for a provider that fails; the host has already retried that. `after` is the least wait before the next attempt, in
    seconds or as a `timedelta`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        after: float | timedelta | None = None,
        detail: Any = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.after = after.total_seconds() if isinstance(after, timedelta) else after
        self.detail = detail
        self.extra = extra or {}


class Skip(Exception):
    """The item was looked at, and there is nothing to do for it. It counts as done."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
