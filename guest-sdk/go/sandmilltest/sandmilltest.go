// Package sandmilltest is for tests of plugins, which run as ordinary programs, where there is no host. It stands in for it.
//
//	llm := &sandmilltest.LLM{Replies: []any{triage{Urgency: 5, Topic: "fire"}}}
//	result := sandmilltest.Run(t, plugin, sandmilltest.Case{Item: ticket{Text: "It burns."}, LLM: llm})
package sandmilltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"sandmill"
)

// LLM answers with one reply after the other: a text, a [sandmill.Response], an error, or any other value as JSON.
type LLM struct {
	Replies []any
	// Requests are those that were asked.
	Requests []sandmill.Request
}

// Case is what an item is run with. What is left out is empty.
type Case struct {
	// Item and Config are anything that has a JSON form; a [json.RawMessage] as it is.
	Item, Config any
	// Attempt 0 is 1.
	Attempt uint32
	Blobs   map[string][]byte
	LLM     *LLM
}

// Result is how an item ended.
type Result struct {
	sandmill.Ending
	// Log are lines as "warn: careful n=1".
	Log []string
}

// Run takes one item through the plugin, JSON in and out. It panics where the plugin does; in a component that is a crash.
func Run(t testing.TB, plugin sandmill.Runner, given Case) Result {
	t.Helper()
	host := &fakeHost{llm: given.LLM, blobs: given.Blobs}
	if host.llm == nil {
		host.llm = &LLM{}
	}
	defer sandmill.Install(sandmill.Install(host))
	if given.Config == nil {
		given.Config = struct{}{}
	}
	item := sandmill.RawItem{ID: "item-0", JSON: text(t, given.Item)}
	for name, data := range given.Blobs {
		item.Blobs = append(item.Blobs, sandmill.Blob{Name: name, MimeType: "application/octet-stream", Size: uint64(len(data))})
	}
	slices.SortFunc(item.Blobs, func(one, other sandmill.Blob) int { return bytes.Compare([]byte(one.Name), []byte(other.Name)) })
	cx := sandmill.RawContext{Job: "test", Attempt: max(given.Attempt, 1), Config: text(t, given.Config)}
	return Result{Ending: plugin.Run(item, cx), Log: host.log}
}

func text(t testing.TB, value any) string {
	t.Helper()
	made, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("%v has no JSON form: %v", value, err)
	}
	return string(made)
}

type fakeHost struct {
	llm   *LLM
	blobs map[string][]byte
	log   []string
}

func (h *fakeHost) Complete(request sandmill.Request) (sandmill.Response, error) {
	h.llm.Requests = append(h.llm.Requests, request)
	if len(h.llm.Replies) == 0 {
		message := fmt.Sprintf("the test's LLM has no reply left for request %d: %.80s", len(h.llm.Requests), request.User)
		return sandmill.Response{}, &sandmill.LLMError{Kind: sandmill.NotAccepted, Code: "no_reply", Message: message}
	}
	reply := h.llm.Replies[0]
	h.llm.Replies = h.llm.Replies[1:]
	switch reply := reply.(type) {
	case error:
		return sandmill.Response{}, reply
	case sandmill.Response:
		return reply, nil
	case string:
		return sandmill.Response{Text: reply, Finish: "stop", Model: "fake"}, nil
	}
	made, err := json.Marshal(reply)
	return sandmill.Response{Text: string(made), Finish: "stop", Model: "fake"}, err
}

func (h *fakeHost) CompleteMany(requests []sandmill.Request) ([]sandmill.Result, error) {
	var results []sandmill.Result
	for _, request := range requests {
		response, err := h.Complete(request)
		results = append(results, sandmill.Result{Response: response, Err: err})
	}
	return results, nil
}

// CountTokens is an estimate of four bytes a token, and no window.
func (h *fakeHost) CountTokens(request sandmill.Request) (sandmill.TokenCount, error) {
	var count sandmill.TokenCount
	for _, message := range request.Conversation() {
		for _, part := range message.Parts {
			if said, isText := part.(sandmill.Text); isText {
				count.Tokens += uint64(len(said)+3) / 4
			}
		}
	}
	return count, nil
}

func (h *fakeHost) Log(level sandmill.Level, message string, fields []sandmill.Field) {
	line := [...]string{"trace", "debug", "info", "warn", "error"}[level] + ": " + message
	for _, field := range fields {
		line += " " + field.Name + "=" + field.JSON
	}
	h.log = append(h.log, line)
}

func (h *fakeHost) ReadBlob(name string, offset uint64, length uint32) ([]byte, error) {
	data, isThere := h.blobs[name]
	if !isThere {
		return nil, sandmill.Failf("missing_blob", "the item has no blob %q", name)
	}
	rest := data[min(offset, uint64(len(data))):]
	return rest[:min(uint64(length), uint64(len(rest)))], nil
}
