package sandmill

import "testing"

func TestASchemaIsStrictIfAllOfItIs(t *testing.T) {
	for text, expected := range map[string]bool{
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`: true,
		`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}`:                  false,
		`{"type":"array","items":{}}`:                false,
		`{"type":"array","items":{"type":"string"}}`: true,
		`{"type":["object","null"]}`:                 false,
		`no JSON`:                                    false,
	} {
		if isStrict(text) != expected {
			t.Errorf("%s: %v", text, !expected)
		}
	}
}

func TestATypeThatHoldsItselfEnds(t *testing.T) {
	type node struct {
		Next *node `json:"next"`
	}
	const expected = `{"properties":{"next":{}},"title":"node","type":"object"}`
	if got := schemaText[node](forConfig); got != expected {
		t.Error(got)
	}
}
