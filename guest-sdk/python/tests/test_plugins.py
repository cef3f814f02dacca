import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Iterator

import pytest
from sandmill_plugin import Blob, Context, Emission, Emissions, Fail, Item, Retry, Role, Skip, llm, log, plugin
from sandmill_plugin.testing import FakeLlm, run


@dataclass
class Ticket:
    text: str


@dataclass
class Config:
    loud: bool = False


@dataclass
class Answer:
    good: bool


def made(function, **options):
    return plugin("p", version="1.0.0", description="d", **options)(function)


@made
def echo(item: Item[Ticket], cx: Context[Config]) -> str:
    return item.data.text.upper() if cx.config.loud else item.data.text


def test_an_item_and_a_configuration_arrive_as_types():
    assert run(echo, {"text": "hey"}, config={"loud": True}).values == ["HEY"]


def test_schemas_follow_from_the_annotations():
    assert json.loads(echo.config_schema)["properties"] == {"loud": {"type": "boolean"}}
    assert json.loads(echo.output_schema) == {"type": "string"}

    def many(item: Item) -> Iterator[Answer]:
        yield Answer(True)

    assert json.loads(made(many).output_schema)["required"] == ["good"]
    assert made(lambda item: 1).output_schema is None


@pytest.mark.parametrize(
    ("item", "config", "code"),
    [({"txt": 1}, {}, "bad_item"), ("[", {}, "bad_item"), ({"text": ""}, {"loud": 3}, "bad_config")],
)
def test_what_does_not_fit_is_a_permanent_failure(item, config, code):
    failed = run(echo, item, config=config).failed
    assert (failed.code, failed.retryable) == (code, False)


def test_several_values_are_yielded_or_listed_and_may_have_names():
    def yields(item):
        yield 1
        yield Emission([2], name="two")

    result = run(made(yields), {})
    assert (result.values, result.names) == ([1, [2]], [None, "two"])
    assert run(made(lambda item: Emissions([1, 2])), {}).values == [1, 2]
    assert run(made(lambda item: Emissions()), {}).values == []
    assert run(made(lambda item: [1, 2]), {}).values == [[1, 2]]


def test_a_plugin_that_forgets_to_return_is_told_so():
    assert run(made(lambda item: None), {}).failed.code == "bad_output"
    assert run(made(lambda item: Emission(None)), {}).values == [None]


def test_a_value_without_a_json_form_fails_the_item():
    failed = run(made(lambda item: {1, 2}), {}).failed
    assert failed.code == "bad_output" and "set has no JSON form" in failed.message


def raising(error):
    def function(item):
        raise error

    return run(made(function), {})


def test_failures_say_what_shall_be_done():
    failed = raising(Fail("no_text", "it is empty", detail={"a": 1})).failed
    assert (failed.code, failed.message, failed.retryable, failed.detail) == ("no_text", "it is empty", False, '{"a":1}')
    failed = raising(Retry("bad", "again", after=0.0011)).failed
    assert (failed.retryable, failed.after_ms) == (True, 2)
    assert raising(Retry("bad", "again", after=timedelta(seconds=2))).failed.after_ms == 2000
    assert raising(Retry("bad", "again")).failed.after_ms is None
    assert raising(Skip("nothing to do")).skipped == "nothing to do"


def test_a_failure_in_mid_generator_counts():
    def yields(item):
        yield 1
        raise Fail("late", "after a value")

    assert run(made(yields), {}).failed.code == "late"


def test_an_error_of_a_model_ends_the_item_with_its_code():
    failed = raising(llm.Limit("calls", "no more", {"limit": 3})).failed
    assert (failed.code, failed.retryable, failed.detail) == ("calls", False, '{"limit":3}')
    assert raising(llm.BadAnswer("bad_answer", "no")).failed.retryable


def test_any_other_exception_is_a_crash():
    with pytest.raises(KeyError):
        raising(KeyError("x"))


def test_a_function_that_cannot_be_called_is_refused_when_it_is_decorated():
    async def later(item): ...

    with pytest.raises(TypeError, match="drop `async`"):
        made(later)
    with pytest.raises(TypeError, match="3 parameters"):
        made(lambda a, b, c: 1)


def test_a_model_is_asked_with_instructions_a_question_and_settings():
    def asks(item):
        scan = Blob("scan", "image/png", 1, "")
        return llm.chat("What is it?", system="Be brief.", attach=[scan], temperature=0.5, role="judge", stop=["x"])

    with FakeLlm("a cat") as fake:
        assert run(made(asks, roles=[Role("judge")]), {}).values == ["a cat"]
    request = fake.requests[0].request
    assert [message.speaker for message in request.messages] == ["system", "user"]
    assert request.messages[1].parts[1] == llm.Media("image/png", blob="scan")
    assert (request.role, request.temperature, request.stop) == ("judge", 0.5, ["x"])


def test_an_answer_is_read_into_the_type_that_was_asked_for():
    with FakeLlm({"good": True}, {"good": 1}, "[1]") as fake:
        assert llm.chat_json("?", Answer) == Answer(True)
        with pytest.raises(llm.BadAnswer, match="`good`"):
            llm.chat_json("?", Answer)
        assert llm.chat_json("?", {"type": "array", "title": "Liste é"}) == [1]
    assert fake.requests[0].request.answer_schema()[0] == "Answer"
    assert fake.requests[2].request.answer_schema()[0] == "Liste__"


def test_several_answers_stand_in_the_order_of_the_requests():
    with FakeLlm(lambda asked: llm.Refused("no", "no") if asked.user == "b" else asked.user.upper()):
        first, second, third = llm.complete_many([llm.request("a"), llm.request("b"), llm.request("c")])
    assert (first.text, third.text) == ("A", "C")
    assert isinstance(second, llm.Refused)


def test_an_answer_goes_back_into_the_conversation_as_it_came():
    call = llm.ToolCall("1", "look", '{"good":true}')
    message = llm.Response("text", (call,), opaque=(llm.Other("thinking", {"s": 1}),)).to_message()
    assert message.parts == [llm.Other("thinking", {"s": 1}), llm.Text("text"), call]
    assert call.parse(Answer) == Answer(True)
    with pytest.raises(llm.BadAnswer, match="tool `look`"):
        llm.ToolCall("1", "look", "{").parse(Answer)


def test_logs_and_blobs_can_be_looked_at():
    def works(item):
        log.info("read", bytes=len(item.blobs[0].read_all()))
        return item.blobs[0].read(1, 2).decode()

    result = run(made(works), {}, blobs={"a": b"text"})
    assert result.values == ["ex"]
    assert [(line.level, line.message, line.fields) for line in result.log] == [("info", "read", {"bytes": 4})]


def test_logging_arrives_with_its_level_and_logger():
    def works(item):
        logging.getLogger("lib").warning("careful %d", 3)
        logging.getLogger("lib").debug("not shown")
        return 1

    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        log.take_over_logging()
        result = run(made(works), {})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert [(line.level, line.message, line.fields) for line in result.log] == [("warn", "careful 3", {"logger": "lib"})]


def test_outside_a_host_there_is_no_model():
    assert run(made(lambda item: llm.chat("?")), {}).failed.code == "no_host"


def test_a_fake_without_replies_says_so():
    with FakeLlm("one"):
        llm.chat("?")
        with pytest.raises(llm.Rejected, match="no reply left for request 2"):
            llm.chat("?")
