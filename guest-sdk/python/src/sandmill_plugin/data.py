"""What a plugin is handed and what it gives: the item, what stands around it, emissions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Iterable, TypeVar

from . import host

T = TypeVar("T")
C = TypeVar("C")

# The most that `Blob.read_all` asks for at a time.
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Blob:
    """Bytes that the host holds: a scan, a sound. Hand it to `llm.chat(…, attach=[blob])`, and they never enter the plugin."""

    name: str
    """Unique within the item."""
    mime_type: str
    """Such as `image/png`."""
    size: int
    """In bytes."""
    digest: str
    """SHA-256, as 64 lower case hexadecimal digits."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may add."""

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer, or none, where the blob ends."""
        return host.current().read_blob(self.name, offset, length)

    def read_all(self) -> bytes:
        """All of it. It has to fit the plugin's memory."""
        parts: list[bytes] = []
        offset = 0
        while chunk := self.read(offset, _CHUNK_BYTES):
            parts.append(chunk)
            offset += len(chunk)
        return b"".join(parts)


@dataclass(frozen=True)
class Item(Generic[T]):
    """One unit of work: a line of the input. `Item[Ticket]` reads it into the dataclass `Ticket`, `Item` leaves it as JSON."""

    id: str
    """Unique within the job, and the same in every run."""
    index: int
    """Position in the input, from 0."""
    data: T
    blobs: tuple[Blob, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may add."""


@dataclass(frozen=True)
class Budget:
    """What is left for the item before the host refuses with `llm.Limit`. None: no limit was set."""

    calls: int | None = None
    """Calls to a provider, each element of `llm.complete_many` being one."""
    tokens: int | None = None
    """Read and written together."""
    micro_dollars: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may add."""


@dataclass(frozen=True)
class Context(Generic[C]):
    """What stands around an item. The same in a replay of the attempt."""

    job: str
    attempt: int
    """1, and one more each time the plugin raised `Retry` for this item."""
    config: C
    """`Context[Config]`: read into that dataclass. `Context`: a dict."""
    budget: Budget = Budget()
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may add."""


@dataclass(frozen=True)
class Emission:
    """One value that the item yields, with a name that is unique among them if their order shall not matter."""

    value: Any
    name: str | None = None


class Emissions(list[Any]):
    """Several values at once, as `return Emissions(values)`. A generator does the same by `yield`. None is fine, and no skip."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(values)
