from plugin import process
from sandmill_plugin import llm
from sandmill_plugin.testing import FakeLlm, run
from split import halves_or_more

ANSWER = {"summary": "Short.", "key_points": ["a", "b", "c"]}


def test_a_text_is_summed_up_as_json():
    with FakeLlm(ANSWER) as fake:
        result = run(process, {"text": " one two three "}, config={"max_key_points": 2, "language": "French"})
    assert result.values == [{"summary": "Short.", "key_points": ["a", "b"], "words": 3}]
    assert "French" in fake.requests[0].system
    assert fake.requests[0].schema["required"] == ["summary", "key_points"]
    assert fake.requests[0].request.on_overflow == "error"


def test_an_empty_text_is_skipped_without_asking():
    with FakeLlm() as fake:
        assert run(process, {"text": " \n"}).skipped == "the text is empty"
    assert not fake.requests


def test_an_empty_summary_begins_the_item_anew():
    with FakeLlm({"summary": " ", "key_points": []}):
        failed = run(process, {"text": "x"}).failed
    assert (failed.code, failed.retryable) == ("empty_summary", True)


def test_an_answer_of_another_shape_begins_the_item_anew():
    with FakeLlm({"summary": 3}):
        failed = run(process, {"text": "x"}).failed
    assert (failed.code, failed.retryable) == ("bad_answer", True)
    assert "`summary`: a string was expected" in failed.message


def test_a_text_that_does_not_fit_is_summed_up_in_parts_and_merged():
    def model(asked):
        if len(asked.user) > 400:
            return llm.TooLarge("context_length", "too long", {"tokens": 1000, "limit": 400})
        return ANSWER

    with FakeLlm(model) as fake:
        result = run(process, {"text": "A sentence stands here. " * 50})
    assert result.values[0]["words"] == 200
    assert fake.requests[-1].user.startswith("Short.\n- a\n- b\n- c")


def test_with_the_host_in_charge_of_what_is_too_long_nothing_is_split():
    with FakeLlm(llm.TooLarge("context_length", "too long")) as fake:
        failed = run(process, {"text": "x" * 1000}, config={"on_overflow": "host"}).failed
    assert (failed.code, failed.retryable) == ("context_length", False)
    assert fake.requests[0].request.on_overflow is None


def test_a_text_that_never_fits_fails_after_some_levels():
    with FakeLlm(lambda asked: llm.TooLarge("context_length", "too long")):
        assert run(process, {"text": "word " * 5000}).failed.code == "too_long"


def test_parts_end_where_sentences_do_and_lose_nothing():
    text = ("One sentence stands here. " * 100).strip()
    parts = halves_or_more(text, 0.3)
    assert len(parts) >= 4
    assert all(part.endswith(".") for part in parts)
    assert " ".join(parts) == text


def test_a_text_without_pauses_is_split_between_characters():
    parts = halves_or_more("ü" * 1000, 0.5)
    assert len(parts) >= 2
    assert "".join(parts) == "ü" * 1000
