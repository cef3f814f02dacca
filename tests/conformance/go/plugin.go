// Does what its item says; the same in every language.
package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"sandmill"
)

type work struct {
	Do    string `json:"do"`
	Text  string `json:"text"`
	Value any    `json:"value"`
	Role  string `json:"role"`
}

type config struct {
	Team string `json:"team"`
}

type answer struct {
	Topic   string `json:"topic"`
	Urgency int    `json:"urgency"`
}

func init() {
	var roles []sandmill.Role
	for _, name := range []string{"default", "transient", "small", "rejected", "refused", "sloppy", "stubborn", "slow"} {
		roles = append(roles, sandmill.Role{Name: name, Description: "answers", Optional: true})
	}
	sandmill.Register(sandmill.Plugin[work, config]{
		Name:        "conform",
		Version:     "1.0.0",
		Description: "Does what its item says.",
		Requires:    []string{"do"},
		Roles:       roles,
		Process:     process,
	})
}

func main() {}

func process(item sandmill.Item[work], cx sandmill.Context[config]) (any, error) {
	text, role := item.Data.Text, item.Data.Role
	switch item.Data.Do {
	case "echo":
		// A null is a value, too.
		return sandmill.Emission{Value: item.Data.Value}, nil
	case "identity":
		return map[string]any{"id": item.ID, "index": item.Index, "job": cx.Job, "attempt": cx.Attempt, "calls": cx.Budget.Calls}, nil
	case "numbers":
		return []any{
			9007199254740991, 9007199254740993, uint64(math.MaxUint64), math.MinInt64, 1e308, 5e-324, math.Copysign(0, -1), 0.1,
		}, nil
	case "no-json":
		return math.NaN(), nil
	case "config":
		return cx.Config.Team, nil
	case "chat":
		return sandmill.Chat(sandmill.Request{Role: role, System: "Be brief.", User: text, Temperature: sandmill.Set(0.5)})
	case "json":
		sorted, err := sandmill.ChatJSON[answer](sandmill.Request{Role: role, System: "Sort it.", User: text})
		return map[string]any{"topic": sorted.Topic, "next": sorted.Urgency + 1}, err
	case "error":
		said, err := sandmill.Chat(sandmill.Request{Role: role, User: text, OnOverflow: "error"})
		return orTold(said, err)
	case "several":
		return several()
	case "too-many":
		results, err := sandmill.CompleteMany(make([]sandmill.Request, 1001)...)
		return orTold(len(results), err)
	case "ask-on":
		return askOn()
	case "count":
		count, err := sandmill.CountTokens(sandmill.Request{User: text})
		return map[string]any{"tokens": count.Tokens, "window": count.Window, "exact": count.Exact}, err
	case "blob":
		return read(item.Blobs[0])
	case "attach":
		request := sandmill.Request{User: text}
		for _, blob := range item.Blobs {
			request.Attach = append(request.Attach, blob)
		}
		return sandmill.Chat(request)
	case "log":
		sandmill.Log(sandmill.LevelTrace, "finest", "n", 1, "who", "Jürgen")
		sandmill.Log(sandmill.LevelDebug, "fine", "n", 1, "who", "Jürgen")
		sandmill.Info("plain", "n", 1, "who", "Jürgen")
		sandmill.Warn("careful", "n", 1, "who", "Jürgen")
		sandmill.Log(sandmill.LevelError, "wrong", "n", 1, "who", "Jürgen")
		fmt.Println("printed")
		return "logged", nil
	case "none":
		return sandmill.Emissions{}, nil
	case "many":
		second := sandmill.Emission{Value: map[string]string{"two": text}, Name: "zweite \U0001f600"}
		return sandmill.Emissions{1, second, sandmill.Emission{}}, nil
	case "skip":
		return nil, sandmill.Skipf("nothing to do")
	case "fail":
		detail := map[string]string{"seen": text}
		return nil, &sandmill.Fail{Code: "no_text", Message: "there is nothing here", Detail: detail}
	case "retry":
		if cx.Attempt < 2 {
			return nil, sandmill.Retryf("not_yet", "once more")
		}
		return cx.Attempt, nil
	case "retry-later":
		if cx.Attempt < 2 {
			return nil, &sandmill.Retry{Code: "not_yet", Message: "in a moment", After: time.Millisecond}
		}
		return cx.Attempt, nil
	case "retry-for-ever":
		return nil, sandmill.Retryf("never", "and again")
	case "loop":
		for {
		}
	case "hog":
		return hog(), nil
	}
	return crash(item.Data)
}

func told(err error) (any, error) {
	var refused *sandmill.LLMError
	if !errors.As(err, &refused) {
		return nil, err
	}
	return map[string]any{"kind": refused.Kind.String(), "code": refused.Code}, nil
}

func orTold(value any, err error) (any, error) {
	if err != nil {
		return told(err)
	}
	return value, nil
}

func several() (any, error) {
	results, err := sandmill.CompleteMany(
		sandmill.Request{User: "a"}, sandmill.Request{User: "b", Role: "transient"}, sandmill.Request{User: "c", System: "d"},
	)
	if err != nil {
		return nil, err
	}
	var shown []any
	for _, result := range results {
		one, err := orTold(result.Response.Text, result.Err)
		if err != nil {
			return nil, err
		}
		shown = append(shown, one)
	}
	return shown, nil
}

func askOn() (any, error) {
	for asked := 0; ; asked++ {
		if _, err := sandmill.Chat(sandmill.Request{User: fmt.Sprintf("question %d", asked)}); err != nil {
			refused, err := told(err)
			return map[string]any{"asked": asked, "error": refused}, err
		}
	}
}

func read(blob sandmill.Blob) (any, error) {
	all, err := blob.ReadAll()
	middle, err2 := blob.Read(2, 3)
	behind, err3 := blob.Read(1000, 3)
	return map[string]any{
		"name": blob.Name, "mime_type": blob.MimeType, "size": blob.Size, "digest": blob.Digest,
		"text": string(all), "middle": string(middle), "behind": string(behind),
	}, errors.Join(err, err2, err3)
}

func hog() any {
	var held [][]byte
	for {
		held = append(held, make([]byte, 1<<20))
	}
}

//go:noinline
func crash(work work) (any, error) {
	panic("cannot do " + work.Do + ": " + work.Text) // this line
}
