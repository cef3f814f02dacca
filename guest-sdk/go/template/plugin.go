// Says how urgent a message is, and what it is about.
package main

import (
	"strings"
	"unicode/utf8"

	"sandmill"
)

// Longer ones are no messages.
const lettersMax = 20_000

type message struct {
	Text string `json:"text"`
}

type config struct {
	Team string `json:"team,omitempty" doc:"Whom the answer is for."`
}

// What the model is asked for, and what is emitted.
type triage struct {
	Urgency string `json:"urgency" enum:"low,medium,high"`
	Topic   string `json:"topic" doc:"In a word or two."`
}

var plugin = sandmill.Plugin[message, config]{
	Name:        "{{name}}",
	Version:     "0.1.0",
	Description: "Says how urgent a message is, and what it is about.",
	Requires:    []string{"text"},
	Roles:       []sandmill.Role{{Name: "default", Description: "reads a message and answers in JSON"}},
	Output:      triage{},
	Process:     process,
}

func init() { sandmill.Register(plugin) }

func main() {}

func process(item sandmill.Item[message], cx sandmill.Context[config]) (any, error) {
	text := strings.TrimSpace(item.Data.Text)
	if text == "" {
		return nil, sandmill.Skipf("the message is empty")
	}
	letters := utf8.RuneCountInString(text)
	if letters > lettersMax {
		return nil, sandmill.Failf("too_long", "%d letters are no message: split the input", letters)
	}
	sandmill.Info("asking", "letters", letters)
	team := cx.Config.Team
	if team == "" {
		team = "support"
	}
	sorted, err := sandmill.ChatJSON[triage](sandmill.Request{
		System: "You sort messages for the team " + team + ".",
		User:   text,
	})
	if err != nil {
		// An error of the model fails the item for good: the host has already retried it.
		return nil, err
	}
	if strings.TrimSpace(sorted.Topic) == "" {
		// Begun anew, with a fresh answer.
		return nil, sandmill.Retryf("no_topic", "the model named no topic")
	}
	return sorted, nil
}
