"""Says how urgent a message is, and what it is about."""

from dataclasses import dataclass
from typing import Annotated, Literal

from sandmill_plugin import Context, Fail, Item, Retry, Role, Skip, llm, log, plugin

# Longer ones are no messages.
LETTERS_MAX = 20_000


@dataclass
class Message:
    text: str


@dataclass
class Config:
    team: Annotated[str, "Whom the answer is for."] = "support"


@dataclass
class Triage:
    """What the model is asked for, and what is emitted."""

    urgency: Literal["low", "medium", "high"]
    topic: Annotated[str, "In a word or two."]


@plugin(
    "{{name}}",
    version="0.1.0",
    description="Says how urgent a message is, and what it is about.",
    requires=["text"],
    roles=[Role("default", "reads a message and answers in JSON")],
)
def process(item: Item[Message], cx: Context[Config]) -> Triage:
    text = item.data.text.strip()
    if not text:
        raise Skip("the message is empty")
    if len(text) > LETTERS_MAX:
        raise Fail("too_long", f"{len(text)} letters are no message: split the input")
    log.info("asking", letters=len(text))
    # An error of the model fails the item for good: the host has already retried it.
    triage = llm.chat_json(text, Triage, system=f"You sort messages for the team {cx.config.team}.")
    if not triage.topic.strip():
        # Begun anew, with a fresh answer.
        raise Retry("no_topic", "the model named no topic")
    return triage
