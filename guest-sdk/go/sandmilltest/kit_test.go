package sandmilltest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"sandmill"
	"sandmill/sandmilltest"
)

type item struct {
	Do   string `json:"do"`
	Text string `json:"text"`
}

type config struct {
	Team  string   `json:"team" doc:"Whom it is for."`
	Kinds []string `json:"kinds" enum:"a,b"`
	Inner *item    `json:"inner"`
}

type answer struct {
	Urgency int     `json:"urgency" doc:"From 1 to 5."`
	Topic   string  `json:"topic"`
	Why     *string `json:"why,omitempty"`
}

func with(process func(sandmill.Item[item], sandmill.Context[config]) (any, error)) sandmill.Plugin[item, config] {
	return sandmill.Plugin[item, config]{Name: "p", Version: "1", Output: answer{}, Process: process}
}

func ended(t *testing.T, value any, err error) sandmilltest.Result {
	t.Helper()
	plugin := with(func(sandmill.Item[item], sandmill.Context[config]) (any, error) { return value, err })
	return sandmilltest.Run(t, plugin, sandmilltest.Case{Item: item{}})
}

func check(t *testing.T, got, expected any) {
	t.Helper()
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("\n     is %#v\nshall be %#v", got, expected)
	}
}

func TestWhatIsReturnedIsEmitted(t *testing.T) {
	emitted := func(value any) []sandmill.RawEmission { return ended(t, value, nil).Values }
	check(t, emitted("a<b>&\xff"), []sandmill.RawEmission{{JSON: "\"a<b>&\uFFFD\""}})
	check(t, emitted(sandmill.Emission{}), []sandmill.RawEmission{{JSON: "null"}})
	several := sandmill.Emissions{1, sandmill.Emission{Value: 2, Name: "second"}}
	check(t, emitted(several), []sandmill.RawEmission{{JSON: "1"}, {JSON: "2", Name: "second"}})
	check(t, len(emitted(sandmill.Emissions{})), 0)
	check(t, ended(t, nil, nil).Code, "bad_output")
	check(t, ended(t, math.NaN(), nil).Code, "bad_output")
}

func TestAnErrorEndsTheItemHoweverItIsWrapped(t *testing.T) {
	wrap := func(err error) sandmill.Ending { return ended(t, 1, fmt.Errorf("around: %w", err)).Ending }
	check(t, wrap(sandmill.Skipf("no")), sandmill.Ending{Kind: sandmill.Skipped, Message: "no"})
	fail := &sandmill.Fail{Code: "c", Message: "m", Detail: math.Inf(1)}
	check(t, wrap(fail), sandmill.Ending{Kind: sandmill.Failed, Code: "c", Message: "m", Detail: sandmill.Set(`"+Inf"`)})
	retry := &sandmill.Retry{Code: "c", Message: "m", After: time.Microsecond}
	check(t, wrap(retry), sandmill.Ending{Kind: sandmill.Rejected, Code: "c", Message: "m", AfterMillis: sandmill.Set(uint64(1))})
	refused := &sandmill.LLMError{Kind: sandmill.Refused, Code: "policy", Message: "m"}
	check(t, wrap(refused), sandmill.Ending{Kind: sandmill.Failed, Code: "policy", Message: "m"})
	check(t, wrap(errors.New("x")), sandmill.Ending{Kind: sandmill.Failed, Code: "error", Message: "around: x"})
}

func TestItemsAndConfigurationsThatDoNotFitAreTold(t *testing.T) {
	plugin := with(func(item sandmill.Item[item], cx sandmill.Context[config]) (any, error) {
		return item.Data.Text + cx.Config.Team, nil
	})
	run := func(item, config string) sandmill.Ending {
		given := sandmilltest.Case{Item: json.RawMessage(item), Config: json.RawMessage(config)}
		return sandmilltest.Run(t, plugin, given).Ending
	}
	check(t, run(`{"text":"a"}`, `{"team":"b"}`).Values, []sandmill.RawEmission{{JSON: `"ab"`}})
	check(t, run(`{"text":1}`, `{}`).Code, "bad_item")
	check(t, run(`{}`, `{"team":1}`).Code, "bad_config")
}

func TestNumbersOfPlainJSONStayAsTheyWere(t *testing.T) {
	plugin := sandmill.Plugin[any, any]{Process: func(item sandmill.Item[any], _ sandmill.Context[any]) (any, error) {
		return item.Data, nil
	}}
	const text = `{"a":[1.50,123456789012345678901234567890],"b":null}`
	check(t, sandmilltest.Run(t, plugin, sandmilltest.Case{Item: json.RawMessage(text)}).Values[0].JSON, text)
}

func TestAnAnswerIsAskedForByItsTypeAndRead(t *testing.T) {
	plugin := with(func(item sandmill.Item[item], cx sandmill.Context[config]) (any, error) {
		return sandmill.ChatJSON[answer](sandmill.Request{System: "Sort.", User: item.Data.Text})
	})
	llm := &sandmilltest.LLM{Replies: []any{answer{Urgency: 5}, "no JSON", &sandmill.LLMError{Code: "policy", Kind: sandmill.Refused}}}
	run := func() sandmilltest.Result {
		return sandmilltest.Run(t, plugin, sandmilltest.Case{Item: item{Text: "It burns."}, LLM: llm})
	}
	check(t, run().Values, []sandmill.RawEmission{{JSON: `{"urgency":5,"topic":""}`}})
	bad := run()
	check(t, []any{bad.Kind, bad.Code}, []any{sandmill.Rejected, "bad_answer"})
	check(t, run().Code, "policy")
	check(t, run().Code, "no_reply")
	name, schema := llm.Requests[0].AnswerSchema()
	const expected = `{"additionalProperties":false,"properties":{"topic":{"type":"string"},` +
		`"urgency":{"description":"From 1 to 5.","type":"integer"},"why":{"type":["string","null"]}},` +
		`"required":["urgency","topic","why"],"title":"answer","type":"object"}`
	check(t, []string{name, schema}, []string{"answer", expected})
	check(t, llm.Requests[0].User, "It burns.")
}

func TestSchemasFollowFromTypes(t *testing.T) {
	manifest := with(nil).Describe()
	const ofConfig = `{"properties":{"inner":{"properties":{"do":{"type":"string"},"text":{"type":"string"}},"title":"item",` +
		`"type":["object","null"]},"kinds":{"items":{"enum":["a","b"],"type":"string"},"type":"array"},` +
		`"team":{"description":"Whom it is for.","type":"string"}},"title":"config","type":"object"}`
	check(t, manifest.ConfigSchema, ofConfig)
	const ofOutput = `{"properties":{"topic":{"type":"string"},"urgency":{"description":"From 1 to 5.","type":"integer"},` +
		`"why":{"type":["string","null"]}},"required":["urgency","topic"],"title":"answer","type":"object"}`
	check(t, manifest.OutputSchema, ofOutput)
	check(t, sandmill.Plugin[any, any]{}.Describe().ConfigSchema, "")
}

func TestALogTakesWhateverItIsGiven(t *testing.T) {
	plugin := with(func(sandmill.Item[item], sandmill.Context[config]) (any, error) {
		sandmill.Warn("careful", "n", 1, "nan", math.NaN(), "odd")
		return 1, nil
	})
	check(t, sandmilltest.Run(t, plugin, sandmilltest.Case{Item: item{}}).Log, []string{`warn: careful n=1 nan="NaN" !badkey="odd"`})
}

func TestABlobEndsWhereItEnds(t *testing.T) {
	plugin := with(func(item sandmill.Item[item], _ sandmill.Context[config]) (any, error) {
		part, err := item.Blobs[0].Read(2, 10)
		if err != nil {
			return nil, err
		}
		all, err := item.Blobs[0].ReadAll()
		return string(part) + " " + string(all), err
	})
	given := sandmilltest.Case{Item: item{}, Blobs: map[string][]byte{"b": []byte("abcd")}}
	check(t, sandmilltest.Run(t, plugin, given).Values[0].JSON, `"cd abcd"`)
}

func TestAConversationStandsInItsOrder(t *testing.T) {
	answered := sandmill.Response{Text: "hm", ToolCalls: []sandmill.ToolCall{{ID: "1"}}}.Message()
	request := sandmill.Request{System: "s", Messages: []sandmill.Message{answered}}
	speakers := func(request sandmill.Request) (found []sandmill.Speaker) {
		for _, message := range request.Conversation() {
			found = append(found, message.Speaker)
		}
		return found
	}
	check(t, speakers(request), []sandmill.Speaker{sandmill.System, sandmill.Assistant})
	request.User = "u"
	check(t, speakers(request), []sandmill.Speaker{sandmill.System, sandmill.Assistant, sandmill.User})
	check(t, len(answered.Parts), 2)
}
