"""Notes for whoever runs the batch, kept with the item. Bounded by the host in lines and bytes.

In a component `print` and the standard module `logging` (from INFO on) arrive there too.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

from . import host


def trace(message: str, **fields: Any) -> None:
    host.current().log("trace", message, fields)


def debug(message: str, **fields: Any) -> None:
    host.current().log("debug", message, fields)


def info(message: str, **fields: Any) -> None:
    host.current().log("info", message, fields)


def warn(message: str, **fields: Any) -> None:
    host.current().log("warn", message, fields)


def error(message: str, **fields: Any) -> None:
    host.current().log("error", message, fields)


class HostHandler(logging.Handler):
    """From `logging` to the host's log, with the logger's name as a field."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:
            self.handleError(record)
            return
        fields = {} if record.name == "root" else {"logger": record.name}
        host.current().log(level_of(record.levelno), message, fields)


def level_of(number: int) -> str:
    for least, name in ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (logging.DEBUG, "debug")):
        if number >= least:
            return name
    return "trace"


class LineWriter(io.TextIOBase):
    """Stands in for stdout: each line is a line of the log, in its order among the others."""

    def __init__(self) -> None:
        self._open = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._open = (self._open + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def finish(self) -> None:
        """What stands after the last line break."""
        line, self._open = self._open, ""
        self._log(line)

    @staticmethod
    def _log(line: str) -> None:
        if line.strip():
            host.current().log("info", line, {})


def take_over_logging() -> None:
    """Sends `logging` to the host's log. Before the plugin is imported, so that what it sets holds."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[HostHandler()])


def take_over_stdout() -> LineWriter:
    """Sends `print` to the host's log. After the plugin is imported: what it prints until then is for who builds it."""
    writer = LineWriter()
    sys.stdout = writer
    return writer
