from plugin import process
from sandmill_plugin import llm
from sandmill_plugin.testing import FakeLlm, run


def test_a_message_is_sorted_for_the_team():
    with FakeLlm({"urgency": "high", "topic": "fire"}) as fake:
        result = run(process, {"text": "The printer is on fire."}, config={"team": "fire brigade"})
    assert result.values == [{"urgency": "high", "topic": "fire"}]
    assert "fire brigade" in fake.requests[0].system


def test_an_empty_message_is_skipped():
    with FakeLlm() as fake:
        assert run(process, {"text": " "}).skipped == "the message is empty"
    assert not fake.requests


def test_an_answer_without_a_topic_is_asked_for_again():
    with FakeLlm({"urgency": "low", "topic": ""}):
        failed = run(process, {"text": "Hm."}).failed
    assert (failed.code, failed.retryable) == ("no_topic", True)


def test_a_model_that_refuses_fails_the_item():
    with FakeLlm(llm.Refused("content_filter", "not this")):
        failed = run(process, {"text": "Hm."}).failed
    assert (failed.code, failed.retryable) == ("content_filter", False)
