// Does what its item says; the same in every language.
package main

import (
	"fmt"
	"time"

	"sandmill"
)

type work struct {
	Do   string `json:"do"`
	Text string `json:"text"`
}

type config struct {
	Team string `json:"team"`
}

type answer struct {
	Topic   string `json:"topic"`
	Urgency int    `json:"urgency"`
}

func init() {
	sandmill.Register(sandmill.Plugin[work, config]{
		Name:        "conform",
		Version:     "0.1.0",
		Description: "Does what its item says.",
		Requires:    []string{"do"},
		Roles:       []sandmill.Role{{Name: "default", Description: "answers"}},
		Process:     process,
	})
}

func main() {}

func process(item sandmill.Item[work], cx sandmill.Context[config]) (any, error) {
	text := item.Data.Text
	switch item.Data.Do {
	case "config":
		if cx.Config.Team == "" {
			return "nobody", nil
		}
		return cx.Config.Team, nil
	case "chat":
		return sandmill.Chat(sandmill.Request{System: "Be brief.", User: text, Temperature: sandmill.Set(0.5)})
	case "json":
		sorted, err := sandmill.ChatJSON[answer](sandmill.Request{System: "Sort it.", User: text})
		return map[string]any{"topic": sorted.Topic, "next": sorted.Urgency + 1}, err
	case "several":
		return several()
	case "denied":
		return sandmill.Chat(sandmill.Request{User: "?", Role: "stranger"})
	case "log":
		sandmill.Warn("careful", "n", 1)
		fmt.Println("printed")
		return "logged", nil
	case "many":
		second := sandmill.Emission{Value: map[string]string{"two": text}, Name: "second"}
		return sandmill.Emissions{1, second}, nil
	case "fail":
		detail := map[string]string{"seen": text}
		return nil, &sandmill.Fail{Code: "no_text", Message: "there is nothing here", Detail: detail}
	case "retry":
		if cx.Attempt < 2 {
			return nil, &sandmill.Retry{Code: "not_yet", Message: "once more", After: time.Millisecond}
		}
		return cx.Attempt, nil
	case "skip":
		return nil, sandmill.Skipf("nothing to do")
	}
	return crash(item.Data)
}

func several() (any, error) {
	results, err := sandmill.CompleteMany(sandmill.Request{User: "a"}, sandmill.Request{User: "b", System: "c"})
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, result := range results {
		if result.Err != nil {
			texts = append(texts, result.Err.Error())
		} else {
			texts = append(texts, result.Response.Text)
		}
	}
	return texts, nil
}

func crash(work work) (any, error) {
	panic("cannot do " + work.Do)
}
