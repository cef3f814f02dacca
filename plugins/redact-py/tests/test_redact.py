import pytest
from plugin import process
from sandmill_plugin.testing import run
from scan import Counts, redact

ALL = frozenset(("email", "phone", "card"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jo.b+x@mail.example.org.", "mail [EMAIL]."),
        ("<a@b.co>,c@d.eu", "<[EMAIL]>,[EMAIL]"),
        ("ü@example.org x@y @z a@b.c", "ü@example.org x@y @z a@b.c"),
        ("card 4111 1111 1111 1111 ok", "card [CARD] ok"),
        ("4111111111111111", "[CARD]"),
        ("amex 3782-822463-10005!", "amex [CARD]!"),
        ("4111 1111 1111 1112", "4111 1111 1111 1112"),
        ("call +49 30 901820 now", "call [PHONE] now"),
        ("(555) 123-4567 or 555-123-4567", "[PHONE] or [PHONE]"),
        ("1-800-555-0199; 030/9018200", "[PHONE]; [PHONE]"),
    ],
)
def test_what_people_write_is_found(text, expected):
    assert redact(text, ALL, Counts()) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("2024-01-02 10:30", "192.168.100.200", "order 1234567890", "12.05.2023", "pi 3.14159265358979", "v1.2.3"),
        *("id_5551234567", "", "ein Wort", "\U0001f600 + ( )", "+", "(", "+(", "((((", "@", "@@", "a@", "+-"),
    ],
)
def test_everything_else_stays(text):
    counts = Counts()
    assert redact(text, ALL, counts) == text
    assert counts == Counts()


def test_texts_at_every_depth_are_looked_at_and_the_id_stays():
    result = run(process, {"id": "a@b.co", "n": 1, "deep": [{"mail": "a@b.co"}]})
    assert result.values == [
        {"item": {"id": "a@b.co", "n": 1, "deep": [{"mail": "[EMAIL]"}]}, "redacted": {"email": 1, "phone": 0, "card": 0}}
    ]


def test_only_the_fields_and_kinds_that_were_chosen_are_looked_at():
    item = {"a": "x@y.eu, 555-123-4567", "b": "x@y.eu"}
    result = run(process, item, config={"fields": ["a"], "kinds": ["phone"]})
    assert result.values[0]["item"] == {"a": "x@y.eu, [PHONE]", "b": "x@y.eu"}
    assert run(process, item, config={"kinds": ["fax"]}).failed.code == "bad_config"
