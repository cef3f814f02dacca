import enum
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from sandmill_plugin.shapes import ShapeError, Use, is_strict, read, schema, write


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass
class Inner:
    name: str


@dataclass
class Outer:
    """What is outside."""

    inner: Inner
    count: Annotated[int, "How many."] = 3
    tags: list[str] = field(default_factory=list)
    mood: Mood | None = None
    size: Literal["s", "m"] = "s"
    share: float = 0.0
    more: dict[str, Any] = field(default_factory=dict)


def test_json_is_read_into_dataclasses_at_every_depth():
    value = {"inner": {"name": "x", "unknown": 1}, "tags": ["a"], "mood": "bad", "share": 2, "more": {"k": [None]}}
    assert read(Outer, value) == Outer(Inner("x"), 3, ["a"], Mood.BAD, "s", 2.0, {"k": [None]})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "`inner` is missing"),
        ([], "an object was expected, not a list"),
        ({"inner": {"name": None}}, "`inner.name`: a string was expected, not null"),
        ({"inner": {"name": "x"}, "count": True}, "`count`: an integer was expected, not true"),
        ({"inner": {"name": "x"}, "count": 1.5}, "`count`: an integer was expected, not 1.5"),
        ({"inner": {"name": "x"}, "tags": ["a", 1]}, "`tags[1]`: a string was expected, not 1"),
        ({"inner": {"name": "x"}, "mood": "sad"}, '`mood`: one of "good", "bad" was expected, not "sad"'),
        ({"inner": {"name": "x"}, "size": "x"}, '`size`: one of "s", "m" was expected, not "x"'),
        ({"inner": {"name": "x"}, "more": 3}, "`more`: an object was expected, not 3"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(value, said):
    with pytest.raises(ShapeError) as error:
        read(Outer, value)
    assert str(error.value) == said


def test_what_is_written_is_read_back():
    outer = Outer(Inner("ü"), mood=Mood.GOOD, tags=["\u2028"])
    assert read(Outer, json.loads(write(outer))) == outer


def test_half_a_surrogate_pair_goes_on_as_an_escape():
    assert write("\ud800ü") == '"\\ud800\\u00fc"'
    assert write("ü") == '"ü"'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), b"x", {(1, 2): 3}])
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        write(value)


def test_a_schema_of_a_configuration_lets_defaults_out():
    made = schema(Outer, Use.CONFIG)
    assert made["required"] == ["inner"]
    assert made["description"] == "What is outside."
    assert made["properties"]["count"] == {"type": "integer", "description": "How many."}
    assert made["properties"]["mood"] == {"anyOf": [{"enum": ["good", "bad"]}, {"type": "null"}]}
    assert "description" not in made["properties"]["inner"], "a docstring that dataclass made says nothing"
    assert "additionalProperties" not in made


def test_a_schema_of_an_answer_is_closed_and_can_be_enforced():
    made = schema(list[Inner], Use.ANSWER)
    assert made["items"]["required"] == ["name"] and made["items"]["additionalProperties"] is False
    assert is_strict(made)
    assert not is_strict(schema(Outer, Use.ANSWER)), "a dict cannot be enforced"
    assert not is_strict({"type": "object", "properties": {"a": {}}, "required": ["a"]})
    assert not is_strict({"type": "object", "properties": {"a": {"type": "null"}}, "additionalProperties": False})


def test_what_a_dataclass_checks_by_itself_is_told():
    @dataclass
    class Even:
        n: int

        def __post_init__(self):
            if self.n % 2:
                raise ValueError("n is odd")

    with pytest.raises(ShapeError, match="n is odd"):
        read(Even, {"n": 1})
