package sandmill

import (
	"errors"
	"fmt"
	"time"
)

// Fail is an error for the host: the same again would fail the same way, and the item goes to the dead letters.
type Fail struct {
	// Code is for programs, lower case words joined by underscores; dead letters are grouped by it.
	Code string
	// Message is for a person, and best says what would help.
	Message string
	// Detail is anything that has a JSON form, kept beside the failed item; or nil.
	Detail any
	// Extra is what a newer host may know.
	Extra map[string]any
}

func (f *Fail) Error() string { return f.Code + ": " + f.Message }

// Failf makes a [Fail].
func Failf(code, format string, arguments ...any) *Fail {
	return &Fail{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// Retry is an error for the host: an answer was no good. The item is begun anew, with fresh answers, which are paid again.
//
// It is not for a provider that fails; the host has already retried that.
type Retry struct {
	Code    string
	Message string
	// After is the least wait before the next attempt; 0 for none.
	After  time.Duration
	Detail any
	Extra  map[string]any
}

func (r *Retry) Error() string { return r.Code + ": " + r.Message }

// Retryf makes a [Retry] without a wait.
func Retryf(code, format string, arguments ...any) *Retry {
	return &Retry{Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// Skip is an error for the host that is none: there is nothing to do for the item. It counts as done.
type Skip struct{ Reason string }

func (s *Skip) Error() string { return "skipped: " + s.Reason }

// Skipf makes a [Skip].
func Skipf(format string, arguments ...any) *Skip {
	return &Skip{Reason: fmt.Sprintf(format, arguments...)}
}

// failed is how an error, however it is wrapped, ends an item.
func failed(err error) Ending {
	var skip *Skip
	var fail *Fail
	var retry *Retry
	var llm *LLMError
	switch {
	case errors.As(err, &skip):
		return Ending{Kind: Skipped, Message: skip.Reason}
	case errors.As(err, &fail):
		return Ending{Kind: Failed, Code: fail.Code, Message: fail.Message, Detail: detail(fail.Detail), Extra: fail.Extra}
	case errors.As(err, &retry):
		ending := Ending{Kind: Rejected, Code: retry.Code, Message: retry.Message, Detail: detail(retry.Detail), Extra: retry.Extra}
		if retry.After > 0 {
			ending.AfterMillis = Set(uint64((retry.After + time.Millisecond - 1) / time.Millisecond))
		}
		return ending
	case errors.As(err, &llm):
		ending := Ending{Kind: Failed, Code: llm.Code, Message: llm.Message}
		if llm.Kind == BadAnswer {
			ending.Kind = Rejected
		}
		if len(llm.Extra) > 0 {
			ending.Detail = detail(llm.Extra)
		}
		return ending
	}
	return Ending{Kind: Failed, Code: "error", Message: err.Error()}
}

func detail(value any) *string {
	if value == nil {
		return nil
	}
	return Set(shown(value))
}
