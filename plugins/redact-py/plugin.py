"""Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts. Asks no model."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from sandmill_plugin import Context, Item, plugin

from scan import Counts, redact

Kind = Literal["email", "phone", "card"]


@dataclass
class Config:
    fields: Annotated[
        list[str] | None, "The fields that are looked at, by name, at the top of the item. Without it: every text in the item."
    ] = None
    kinds: Annotated[list[Kind] | None, "What is taken out. Without it: all three."] = None


@plugin(
    "redact",
    version="0.1.0",
    description="Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts.",
)
def process(item: Item, cx: Context[Config]) -> dict:
    kinds = frozenset(("email", "phone", "card") if cx.config.kinds is None else cx.config.kinds)
    counts = Counts()
    value = item.data
    if cx.config.fields is not None and isinstance(value, dict):
        value = {
            name: walk(inner, kinds, counts) if name in cx.config.fields else inner for name, inner in value.items()
        }
    else:
        value = walk(value, kinds, counts)
    return {"item": value, "redacted": counts}


def walk(value: Any, kinds: frozenset[str], counts: Counts) -> Any:
    if isinstance(value, str):
        return redact(value, kinds, counts)
    if isinstance(value, list):
        return [walk(inner, kinds, counts) for inner in value]
    if isinstance(value, dict):
        # What names the item must go on naming it.
        return {name: inner if name == "id" else walk(inner, kinds, counts) for name, inner in value.items()}
    return value
