"""Sums up long texts: a summary and key points as JSON. What does not fit the model is split, summed up in parts, and merged."""

from dataclasses import dataclass
from typing import Annotated, Literal

from sandmill_plugin import Context, Fail, Item, Retry, Role, Skip, llm, plugin

from split import halves_or_more

# Parts that are asked for at once, and levels of parts.
AT_ONCE = 16
DEPTH_MAX = 4


@dataclass
class Document:
    text: str


@dataclass
class Config:
    max_key_points: Annotated[int, "At most so many key points."] = 5
    language: Annotated[str | None, "The language of the summary. Without it: the text's own."] = None
    on_overflow: Annotated[
        Literal["split", "host"],
        "What to do about a text that does not fit the model: sum it up in parts and merge them, or leave it to the host.",
    ] = "split"


@dataclass
class Answer:
    summary: str
    key_points: list[str]


@dataclass
class Summary:
    summary: str
    key_points: list[str]
    words: Annotated[int, "Words of the text."]


@plugin(
    "summarize",
    version="0.1.0",
    description="Sums up a long text: a summary and key points.",
    requires=["text"],
    roles=[Role("default", "reads long texts and answers in JSON")],
)
def process(item: Item[Document], cx: Context[Config]) -> Summary:
    text = item.data.text.strip()
    if not text:
        raise Skip("the text is empty")
    answer = sum_up(text, cx.config, 0)
    if not answer.summary.strip():
        raise Retry("empty_summary", "the model wrote an empty summary")
    return Summary(answer.summary, answer.key_points[: cx.config.max_key_points], len(text.split()))


def sum_up(text: str, config: Config, depth: int) -> Answer:
    try:
        return llm.complete(request(text, config)).parse(Answer)
    except llm.TooLarge as error:
        if config.on_overflow != "split":
            raise
        too_large = error
    if depth >= DEPTH_MAX:
        raise Fail("too_long", f"split {DEPTH_MAX} times, and a part still does not fit: {too_large.message}")
    parts = halves_or_more(text, share_that_fits(too_large))
    if len(parts) < 2:
        raise too_large
    summaries: list[Answer] = []
    for first in range(0, len(parts), AT_ONCE):
        summaries += sum_up_parts(parts[first : first + AT_ONCE], config, depth + 1)
    merged = (part.summary + "\n- " + "\n- ".join(part.key_points) for part in summaries)
    return sum_up("\n\n".join(merged), config, depth + 1)


def sum_up_parts(parts: list[str], config: Config, depth: int) -> list[Answer]:
    """At the same time; a part that does not fit is split again."""
    answers = []
    for part, answer in zip(parts, llm.complete_many([request(part, config) for part in parts])):
        if isinstance(answer, llm.TooLarge):
            answers.append(sum_up(part, config, depth))
        elif isinstance(answer, llm.LlmError):
            raise answer
        else:
            answers.append(answer.parse(Answer))
    return answers


def request(text: str, config: Config) -> llm.Request:
    language = config.language or "the language of the text"
    system = (
        f"You sum up documents for busy readers. Write in {language}. "
        f"Give a summary of one paragraph, and at most {config.max_key_points} key points."
    )
    on_overflow = "error" if config.on_overflow == "split" else None
    return llm.request(text, system=system, answer=Answer, on_overflow=on_overflow)


def share_that_fits(error: llm.TooLarge) -> float:
    """Which share of the text would fit, from the numbers of the error where it has them."""
    limit, tokens = error.extra.get("limit"), error.extra.get("tokens")
    if isinstance(limit, (int, float)) and isinstance(tokens, (int, float)) and tokens > limit > 0:
        # Room for the answer and the frame.
        return min(max(limit / tokens * 0.7, 0.01), 0.5)
    return 0.5
