package main

import (
	"encoding/json"
	"testing"

	"sandmill/sandmilltest"
)

func TestWhatPeopleWriteIsFound(t *testing.T) {
	for text, expected := range map[string]string{
		"mail jo.b+x@mail.example.org.":  "mail [EMAIL].",
		"<a@b.co>,c@d.eu":                "<[EMAIL]>,[EMAIL]",
		"ü@example.org x@y @z a@b.c":     "ü@example.org x@y @z a@b.c",
		"card 4111 1111 1111 1111 ok":    "card [CARD] ok",
		"4111111111111111":               "[CARD]",
		"amex 3782-822463-10005!":        "amex [CARD]!",
		"4111 1111 1111 1112":            "4111 1111 1111 1112",
		"call +49 30 901820 now":         "call [PHONE] now",
		"(555) 123-4567 or 555-123-4567": "[PHONE] or [PHONE]",
		"1-800-555-0199; 030/9018200":    "[PHONE]; [PHONE]",
	} {
		scan := scanner{email: true, phone: true, card: true}
		if got := scan.redact(text); got != expected {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func TestEverythingElseStays(t *testing.T) {
	for _, text := range []string{
		"2024-01-02 10:30", "192.168.100.200", "order 1234567890", "12.05.2023", "pi 3.14159265358979", "v1.2.3", "id_5551234567", "",
		"ein Wort", "\U0001f600 + ( )", "+", "(", "+(", "((((", "@", "@@", "a@", "+-",
	} {
		scan := scanner{email: true, phone: true, card: true}
		if got := scan.redact(text); got != text || scan.counts != (counts{}) {
			t.Errorf("%s became %s", text, got)
		}
	}
}

func run(t *testing.T, item, config string) sandmilltest.Result {
	return sandmilltest.Run(t, plugin, sandmilltest.Case{Item: json.RawMessage(item), Config: json.RawMessage(config)})
}

func TestTextsAtEveryDepthAreLookedAtAndTheIDStays(t *testing.T) {
	got := run(t, `{"id":"a@b.co","n":1,"deep":[{"mail":"a@b.co"}]}`, `{}`).Values[0].JSON
	const expected = `{"item":{"deep":[{"mail":"[EMAIL]"}],"id":"a@b.co","n":1},"redacted":{"email":1,"phone":0,"card":0}}`
	if got != expected {
		t.Error(got)
	}
}

func TestOnlyTheFieldsAndKindsThatWereChosenAreLookedAt(t *testing.T) {
	got := run(t, `{"a":"x@y.eu, 555-123-4567","b":"x@y.eu"}`, `{"fields":["a"],"kinds":["phone"]}`).Values[0].JSON
	const expected = `{"item":{"a":"x@y.eu, [PHONE]","b":"x@y.eu"},"redacted":{"email":0,"phone":1,"card":0}}`
	if got != expected {
		t.Error(got)
	}
}
