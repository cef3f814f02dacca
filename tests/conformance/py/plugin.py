"""Does what its item says; the same in every language."""

from dataclasses import dataclass
from typing import Any, NoReturn

from sandmill_plugin import Blob, Context, Emission, Emissions, Fail, Item, Retry, Role, Skip, llm, log, plugin


@dataclass
class Work:
    do: str
    text: str = ""
    value: Any = None
    role: str = "default"


@dataclass
class Config:
    team: str = ""


@dataclass
class Answer:
    topic: str
    urgency: int


ROLES = ["default", "transient", "small", "rejected", "refused", "sloppy", "stubborn", "slow"]


@plugin(
    "conform",
    version="1.0.0",
    description="Does what its item says.",
    requires=["do"],
    roles=[Role(name, "answers", optional=True) for name in ROLES],
)
def process(item: Item[Work], cx: Context[Config]) -> object:
    work = item.data
    match work.do:
        case "echo":
            # A null is a value, too.
            return Emission(work.value)
        case "identity":
            return {"id": item.id, "index": item.index, "job": cx.job, "attempt": cx.attempt, "calls": cx.budget.calls}
        case "numbers":
            return [9007199254740991, 9007199254740993, 2**64 - 1, -(2**63), 1e308, 5e-324, -0.0, 0.1]
        case "no-json":
            return float("nan")
        case "config":
            return cx.config.team
        case "chat":
            return llm.chat(work.text, role=work.role, system="Be brief.", temperature=0.5)
        case "json":
            answer = llm.chat_json(work.text, Answer, role=work.role, system="Sort it.")
            return {"topic": answer.topic, "next": answer.urgency + 1}
        case "error":
            try:
                return llm.chat(work.text, role=work.role, on_overflow="error")
            except llm.LlmError as error:
                return told(error)
        case "several":
            asked = [llm.request("a"), llm.request("b", role="transient"), llm.request("c", system="d")]
            return [shown(answer) for answer in llm.complete_many(asked)]
        case "too-many":
            try:
                return len(llm.complete_many([llm.request("a")] * 1001))
            except llm.LlmError as error:
                return told(error)
        case "ask-on":
            return ask_on()
        case "count":
            count = llm.count_tokens(llm.request(work.text))
            return {"tokens": count.tokens, "window": count.window, "exact": count.exact}
        case "blob":
            return read(item.blobs[0])
        case "attach":
            return llm.chat(work.text, attach=item.blobs)
        case "log":
            log.trace("finest", n=1, who="Jürgen")
            log.debug("fine", n=1, who="Jürgen")
            log.info("plain", n=1, who="Jürgen")
            log.warn("careful", n=1, who="Jürgen")
            log.error("wrong", n=1, who="Jürgen")
            print("printed")
            return "logged"
        case "none":
            return Emissions()
        case "many":
            return Emissions([1, Emission({"two": work.text}, name="zweite \U0001f600"), Emission(None)])
        case "skip":
            raise Skip("nothing to do")
        case "fail":
            raise Fail("no_text", "there is nothing here", detail={"seen": work.text})
        case "retry" if cx.attempt < 2:
            raise Retry("not_yet", "once more")
        case "retry-later" if cx.attempt < 2:
            raise Retry("not_yet", "in a moment", after=0.001)
        case "retry" | "retry-later":
            return cx.attempt
        case "retry-for-ever":
            raise Retry("never", "and again")
        case "loop":
            while True:
                pass
        case "hog":
            held = []
            while True:
                held.append(bytearray(1 << 20))
    return crash(work)


def told(error: llm.LlmError) -> dict[str, str]:
    return {"kind": error.kind, "code": error.code}


def shown(answer: llm.Response | llm.LlmError) -> object:
    return told(answer) if isinstance(answer, llm.LlmError) else answer.text


def ask_on() -> object:
    asked = 0
    while True:
        try:
            llm.chat(f"question {asked}")
        except llm.LlmError as error:
            return {"asked": asked, "error": told(error)}
        asked += 1


def read(blob: Blob) -> object:
    return {
        "name": blob.name,
        "mime_type": blob.mime_type,
        "size": blob.size,
        "digest": blob.digest,
        "text": blob.read_all().decode(),
        "middle": blob.read(2, 3).decode(),
        "behind": blob.read(1000, 3).decode(),
    }


def crash(work: Work) -> NoReturn:
    raise RuntimeError(f"cannot do {work.do}: {work.text}")  # this line
