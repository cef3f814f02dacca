"""Does what its item says; the same in every language."""

from dataclasses import dataclass

from sandmill_plugin import Context, Emission, Emissions, Fail, Item, Retry, Role, Skip, llm, log, plugin


@dataclass
class Work:
    do: str
    text: str = ""


@dataclass
class Config:
    team: str = "nobody"


@dataclass
class Answer:
    topic: str
    urgency: int


@plugin(
    "conform", version="0.1.0", description="Does what its item says.", requires=["do"], roles=[Role("default", "answers")]
)
def process(item: Item[Work], cx: Context[Config]) -> object:
    match item.data.do:
        case "config":
            return cx.config.team
        case "chat":
            return llm.chat(item.data.text, system="Be brief.", temperature=0.5)
        case "json":
            answer = llm.chat_json(item.data.text, Answer, system="Sort it.")
            return {"topic": answer.topic, "next": answer.urgency + 1}
        case "several":
            answers = llm.complete_many([llm.request("a"), llm.request("b", system="c")])
            return [answer.kind if isinstance(answer, llm.LlmError) else answer.text for answer in answers]
        case "denied":
            return llm.chat("?", role="stranger")
        case "log":
            log.warn("careful", n=1)
            print("printed")
            return "logged"
        case "many":
            return Emissions([1, Emission({"two": item.data.text}, name="second")])
        case "fail":
            raise Fail("no_text", "there is nothing here", detail={"seen": item.data.text})
        case "retry":
            if cx.attempt < 2:
                raise Retry("not_yet", "once more", after=0.001)
            return cx.attempt
        case "skip":
            raise Skip("nothing to do")
    return crash(item.data)


def crash(work: Work) -> object:
    raise RuntimeError(f"cannot do {work.do}")
