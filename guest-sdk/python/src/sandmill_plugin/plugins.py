"""The decorator, and how an item goes through the function it decorates. Texts in, texts out: nothing here knows of bindings."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, ParamSpec, Sequence, TypeVar, Union

from . import shapes
from .data import Blob, Budget, Context, Emission, Emissions, Item
from .failures import Fail, Retry, Skip
from .llm import BadAnswer, LlmError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Role:
    """A model that the plugin wants to talk to, by the part it plays. Which model that is, is the operator's business."""

    name: str
    description: str = ""
    optional: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    """What a newer host may know."""


@dataclass(frozen=True)
class RawItem:
    """An item as the host hands it over."""

    id: str
    index: int
    json: str
    blobs: tuple[Blob, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RawContext:
    """A context as the host hands it over."""

    job: str
    attempt: int
    config: str
    budget: Budget = Budget()
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Emitted:
    """The item ended well: JSON texts, with their names."""

    values: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Skipped:
    reason: str


@dataclass(frozen=True)
class Failed:
    code: str
    message: str
    retryable: bool = False
    after_ms: int | None = None
    detail: str | None = None
    extra: tuple[tuple[str, str], ...] = ()


Ending = Union[Emitted, Skipped, Failed]


class Plugin(Generic[P, R]):
    """The decorated function. It can still be called like one."""

    def __init__(
        self,
        function: Callable[P, R],
        name: str,
        version: str,
        description: str,
        requires: Sequence[str],
        roles: Sequence[Role],
        config: Any,
        output: Any,
    ) -> None:
        self.function = function
        self.name = name
        self.version = version
        self.description = description
        self.requires = tuple(requires)
        self.roles = tuple(roles)
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"`{function.__name__}` is asynchronous: calls block the plugin only, so drop `async` and `await`")
        if len(parameters) not in (1, 2):
            raise TypeError(f"`{function.__name__}` takes {len(parameters)} parameters: it is called with the item and the context")
        self._takes_context = len(parameters) == 2
        self._data_kind = _argument(hints.get(parameters[0]), Item)
        self._config_kind = config or (_argument(hints.get(parameters[1]), Context) if self._takes_context else Any)
        output_kind = output or _emitted(hints.get("return", Any))
        self.config_schema = _schema_or_none(self._config_kind, shapes.Use.CONFIG)
        self.output_schema = _schema_or_none(output_kind, shapes.Use.OUTPUT)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def run(self, item: RawItem, context: RawContext) -> Ending:
        """One item through the function. Only what no plugin means to raise is raised."""
        try:
            return self._run(item, context)
        except Skip as skip:
            return Skipped(skip.reason)
        except Fail as failure:
            return Failed(failure.code, failure.message, detail=_detail(failure.detail), extra=_pairs(failure.extra))
        except Retry as retry:
            after_ms = None if retry.after is None else max(0, math.ceil(retry.after * 1000))
            return Failed(retry.code, retry.message, True, after_ms, _detail(retry.detail), _pairs(retry.extra))
        except LlmError as error:
            return Failed(error.code, error.message, isinstance(error, BadAnswer), detail=_detail(error.extra or None))

    def _run(self, item: RawItem, context: RawContext) -> Ending:
        config = _shaped(self._config_kind, context.config, "bad_config", "the configuration is not what this plugin takes")
        data = _shaped(self._data_kind, item.json, "bad_item", "the item is not what this plugin reads")
        arguments: list[Any] = [Item(item.id, item.index, data, item.blobs, _extra(item.extra))]
        if self._takes_context:
            arguments.append(Context(context.job, context.attempt, config, context.budget, _extra(context.extra)))
        function: Callable[..., Any] = self.function
        return Emitted(tuple(map(_written, _emissions(function(*arguments)))))


def plugin(
    name: str,
    *,
    version: str,
    description: str,
    requires: Sequence[str] = (),
    roles: Sequence[Role] = (),
    config: Any = None,
    output: Any = None,
) -> Callable[[Callable[P, R]], Plugin[P, R]]:
    """Makes a function the plugin of its module: it is called with each `Item`, and with a `Context` if it takes two arguments.

    What it returns is emitted: one value, or several by `yield` or as `Emissions`. `requires` names fields that every item must
    have; the host fails an item without them before the function sees it. `roles` are the models it talks to; without one,
    every call is denied. Schemas of the configuration and of the output follow from the annotations (`Context[Config]`, `-> Summary`),
    or are those of the types `config` and `output`; the host refuses what does not fit them.
    """

    def decorate(function: Callable[P, R]) -> Plugin[P, R]:
        return Plugin(function, name, version, description, requires, roles, config, output)

    return decorate


def _emissions(returned: Any) -> Iterable[Any]:
    if isinstance(returned, (Generator, Emissions)):
        return returned
    if returned is None:
        message = "the plugin returned None: return a value, `Emission(None)` for a null, `Emissions()` for none, or raise Skip"
        raise Fail("bad_output", message)
    return (returned,)


def _written(value: Any) -> tuple[str, str | None]:
    emission = value if isinstance(value, Emission) else Emission(value)
    try:
        return shapes.write(emission.value), emission.name
    except (ValueError, TypeError, RecursionError) as error:
        raise Fail("bad_output", f"the plugin's value cannot be written as JSON: {error}") from error


def _shaped(kind: Any, text: str, code: str, what: str) -> Any:
    try:
        return shapes.read(kind, shapes.parse(text))
    except shapes.ShapeError as error:
        raise Fail(code, f"{what}: {error}") from error


def _detail(detail: Any) -> str | None:
    if detail is None:
        return None
    try:
        return shapes.write(detail)
    except (ValueError, TypeError):
        return shapes.write(repr(detail))


def _pairs(values: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _detail(value) or "null") for name, value in values.items())


def _extra(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {name: shapes.parse(value) for name, value in pairs}


def _argument(hint: Any, generic: Any) -> Any:
    """The `T` of `Item[T]`; anything if there is none."""
    arguments = typing.get_args(hint) if typing.get_origin(hint) is generic else ()
    return arguments[0] if arguments else Any


def _emitted(hint: Any) -> Any:
    """What one emission is, by the annotation of the return value."""
    if hint in (None, type(None), Emission, Emissions):
        return Any
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Generator, Iterator, Iterable):
        return Any if not arguments or arguments[0] is Emission else arguments[0]
    return hint


def _schema_or_none(kind: Any, use: shapes.Use) -> str | None:
    made = shapes.schema(kind, use)
    return shapes.write(made) if made and made != {"type": "object"} else None
