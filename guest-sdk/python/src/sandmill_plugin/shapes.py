"""Between JSON and the plugin's own types: reading, writing, and JSON Schemas. Dataclasses and the standard containers; no more.

A field's description is the text in `Annotated[int, "at most so many"]`, a class's its docstring.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")

_SCALARS: dict[Any, tuple[str, str]] = {
    str: ("string", "a string"),
    int: ("integer", "an integer"),
    float: ("number", "a number"),
    bool: ("boolean", "true or false"),
    type(None): ("null", "null"),
}


class ShapeError(ValueError):
    """A value is not of the shape that was asked for; says where."""


class Use(enum.Enum):
    """What a schema is for: what may be left out depends on it."""

    CONFIG = "config"
    """Written by a person: fields that have a default may be left out."""
    OUTPUT = "output"
    """Written by this module: every field is there."""
    ANSWER = "answer"
    """Written by a model: objects are closed and every field is required, so that providers can enforce it."""


def read(kind: type[T] | Any, value: Any, path: str = "") -> T:
    """The JSON value as a `kind`. Fields that the dataclass does not know are passed over. Raises `ShapeError`."""
    return typing.cast(T, _read(kind, value, path))


def _read(kind: Any, value: Any, path: str) -> Any:
    kind = _bare(kind)
    if kind is Any or kind is object or isinstance(kind, TypeVar):
        return value
    if kind in _SCALARS:
        return _read_scalar(kind, value, path)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _read_choice({member.value: member for member in kind}, value, path)
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Literal:
        return _read_choice({choice: choice for choice in arguments}, value, path)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value, path)
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise _mismatch("a list", value, path)
        inner = arguments[0] if arguments else Any
        return origin(_read(inner, element, f"{path}[{index}]") for index, element in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _mismatch("an object", value, path)
        inner = arguments[1] if arguments else Any
        return {name: _read(inner, element, _join(path, name)) for name, element in value.items()}
    raise TypeError(f"{kind!r} is no type that JSON can be read into: use dataclasses, list, dict, Literal, Enum and scalars")


def _read_scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _mismatch(_SCALARS[kind][1], value, path)
    return value


def _read_dataclass(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch("an object", value, path)
    hints = typing.get_type_hints(kind, include_extras=True)
    arguments = {}
    for field in _fields(kind):
        if field.name in value:
            arguments[field.name] = _read(hints[field.name], value[field.name], _join(path, field.name))
        elif not _has_default(field):
            raise ShapeError(f"`{_join(path, field.name)}` is missing")
    try:
        return kind(**arguments)
    except ValueError as error:
        # What a dataclass checks by itself, in `__post_init__`.
        raise ShapeError(f"{_at(path)}{error}") from error


def _read_choice(choices: dict[Any, Any], value: Any, path: str) -> Any:
    for choice, meaning in choices.items():
        if choice == value and type(choice) is type(value):
            return meaning
    raise ShapeError(f"{_at(path)}one of {', '.join(map(json.dumps, choices))} was expected, not {_shown(value)}")


def _read_union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    problems = []
    for kind in kinds:
        try:
            return _read(kind, value, path)
        except ShapeError as problem:
            problems.append(problem)
    # Of `X | None`, what is wrong with the X is what helps.
    raise next((p for kind, p in zip(kinds, problems) if kind is not type(None)), problems[0])


def write(value: Any) -> str:
    """The value as JSON text: dataclasses as objects, enums by value. Raises `ValueError` or `TypeError`."""
    text = json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, out of an escape in the input. Only as an escape can it go on.
        return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":"))
    return text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"a {type(value).__name__} has no JSON form: use dict, list, str, numbers, bool, None and dataclasses")


def parse(text: str) -> Any:
    """JSON text as a value. Raises `ShapeError`."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ShapeError(str(error)) from error


def schema(kind: Any, use: Use) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a type."""
    description = next((note for note in typing.get_args(kind)[1:] if isinstance(note, str)), None) if _is_annotated(kind) else None
    made = _schema(_bare(kind), use)
    if description is not None:
        made = {**made, "description": description}
    return made


def _schema(kind: Any, use: Use) -> dict[str, Any]:
    if kind is Any or kind is object or isinstance(kind, TypeVar):
        return {}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind][0]}
    if dataclasses.is_dataclass(kind):
        return _dataclass_schema(kind, use)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _union_schema(arguments, use)
    if origin in (list, tuple):
        return {"type": "array", **({"items": schema(arguments[0], use)} if arguments else {})}
    if origin is dict:
        return {"type": "object", **({"additionalProperties": schema(arguments[1], use)} if arguments else {})}
    raise TypeError(f"{kind!r} has no JSON Schema: use dataclasses, list, dict, Literal, Enum and scalars")


def _union_schema(kinds: tuple[Any, ...], use: Use) -> dict[str, Any]:
    made = [schema(kind, use) for kind in kinds]
    if all(set(one) == {"type"} for one in made):
        return {"type": [one["type"] for one in made]}
    return {"anyOf": made}


def _dataclass_schema(kind: Any, use: Use) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = _fields(kind) if use is not Use.OUTPUT else dataclasses.fields(kind)
    properties = {field.name: schema(hints[field.name], use) for field in fields}
    required = [field.name for field in fields if use is not Use.CONFIG or not _has_default(field)]
    made: dict[str, Any] = {"type": "object", "title": kind.__name__}
    # A dataclass without a docstring is given one that repeats its fields.
    if kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("):
        made["description"] = " ".join(kind.__doc__.split())
    made |= {"properties": properties, "required": required}
    if use is Use.ANSWER:
        made["additionalProperties"] = False
    return made


def is_strict(made: Any) -> bool:
    """Whether a provider can enforce the schema: every object is closed, and all its properties are required."""
    if not isinstance(made, dict) or not made:
        return False
    types_of = made.get("type")
    is_object = types_of == "object" or (isinstance(types_of, list) and "object" in types_of) or "properties" in made
    if is_object:
        closed = made.get("additionalProperties") is False and "properties" in made
        if not closed or set(made["properties"]) - set(made.get("required", ())):
            return False
    inner = [*made.get("properties", {}).values(), *made.get("$defs", {}).values()]
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inner += made.get(keyword, [])
    if "items" in made:
        inner.append(made["items"])
    return all(is_strict(one) for one in inner)


def _bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if _is_annotated(kind) else kind


def _is_annotated(kind: Any) -> bool:
    return typing.get_origin(kind) is typing.Annotated


def _fields(kind: Any) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(kind) if field.init]


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _mismatch(expected: str, value: Any, path: str) -> ShapeError:
    return ShapeError(f"{_at(path)}{expected} was expected, not {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _at(path: str) -> str:
    return f"`{path}`: " if path else ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
