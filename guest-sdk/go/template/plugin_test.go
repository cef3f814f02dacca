package main

import (
	"testing"

	"sandmill"
	"sandmill/sandmilltest"
)

func TestAMessageIsSortedForTheTeam(t *testing.T) {
	llm := &sandmilltest.LLM{Replies: []any{triage{Urgency: "high", Topic: "fire"}}}
	given := sandmilltest.Case{Item: message{Text: "The printer is on fire."}, Config: config{Team: "fire brigade"}, LLM: llm}
	result := sandmilltest.Run(t, plugin, given)
	if result.Values[0].JSON != `{"urgency":"high","topic":"fire"}` {
		t.Error(result)
	}
	if llm.Requests[0].System != "You sort messages for the team fire brigade." {
		t.Error(llm.Requests[0].System)
	}
}

func TestAnEmptyMessageIsSkipped(t *testing.T) {
	llm := &sandmilltest.LLM{}
	result := sandmilltest.Run(t, plugin, sandmilltest.Case{Item: message{Text: " "}, LLM: llm})
	if result.Kind != sandmill.Skipped || result.Message != "the message is empty" || len(llm.Requests) != 0 {
		t.Error(result, llm.Requests)
	}
}

func TestAnAnswerWithoutATopicIsAskedForAgain(t *testing.T) {
	llm := &sandmilltest.LLM{Replies: []any{triage{Urgency: "low"}}}
	result := sandmilltest.Run(t, plugin, sandmilltest.Case{Item: message{Text: "Hm."}, LLM: llm})
	if result.Kind != sandmill.Rejected || result.Code != "no_topic" {
		t.Error(result)
	}
}

func TestAModelThatRefusesFailsTheItem(t *testing.T) {
	refusal := &sandmill.LLMError{Kind: sandmill.Refused, Code: "content_filter", Message: "not this"}
	llm := &sandmilltest.LLM{Replies: []any{refusal}}
	result := sandmilltest.Run(t, plugin, sandmilltest.Case{Item: message{Text: "Hm."}, LLM: llm})
	if result.Kind != sandmill.Failed || result.Code != "content_filter" {
		t.Error(result)
	}
}
