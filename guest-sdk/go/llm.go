package sandmill

import (
	"encoding/json"
	"fmt"
)

// Request is what is asked. What is left out is as the operator set it, else as the provider does.
type Request struct {
	// Role is one of the plugin's; empty: default.
	Role string
	// System are the instructions; they come first, and are kept whatever has to be cut.
	System string
	// Messages are a conversation so far.
	Messages []Message
	// User is the last message, which Attach joins: each a [Blob] or a [Media].
	User   string
	Attach []Part
	// Answer says what the answer shall be. Nil: text. [AnyJSON]: JSON. A [json.RawMessage]: JSON that fits this JSON Schema. Any
	// other value: JSON that fits its type. [ChatJSON] sets it.
	Answer any

	Tools []Tool
	// ToolChoice is auto, none or required; empty: the provider's default.
	ToolChoice string
	// ForceTool is the name of the tool that the model must call, in place of ToolChoice.
	ForceTool string

	MaxOutputTokens *uint32
	Temperature     *float64
	TopP            *float64
	Stop            []string
	Seed            *uint64
	// OnOverflow is what to do if it is too long for the model: truncate, truncate-middle or error.
	OnOverflow string
	// Extra are fields that only one provider has. The operator must have allowed each.
	Extra map[string]any
}

type anyJSON struct{}

// AnyJSON as a [Request]'s Answer: any JSON.
var AnyJSON any = anyJSON{}

// Speaker is who speaks in a message.
type Speaker uint8

const (
	System Speaker = iota
	User
	Assistant
	// ToolResults: the results of tool calls.
	ToolResults
)

// Message is one turn of a conversation.
type Message struct {
	Speaker Speaker
	Parts   []Part
	// Cache is a hint: what stands up to the end of this message comes again with other items.
	Cache bool
	Extra map[string]any
}

// Part is a part of a message: [Text], [Media], [Blob], [ToolCall], [ToolResult] or [Other].
type Part interface{ isPart() }

// Text of a message.
type Text string

// Media has exactly one of URL (the provider fetches it), Data (in the plugin's memory) and Blob (the name of one of the item).
type Media struct {
	MimeType string
	URL      string
	Data     []byte
	Blob     string
	Extra    map[string]any
}

// ToolCall: the model wants a tool run. It goes back in the next request as it came.
type ToolCall struct {
	ID, Name string
	// Arguments are as the model wrote them: meant to be a JSON object, not checked.
	Arguments string
	Extra     map[string]any
}

// ToolResult is what a tool said.
type ToolResult struct {
	CallID, Name string
	Content      string
	IsError      bool
	Media        []Media
	Extra        map[string]any
}

// Other is a part that only the provider understands.
type Other struct {
	Kind string
	// JSON text.
	Value string
}

func (Text) isPart()       {}
func (Media) isPart()      {}
func (Blob) isPart()       {}
func (ToolCall) isPart()   {}
func (ToolResult) isPart() {}
func (Other) isPart()      {}

// Tool is a function that the model may ask for.
type Tool struct {
	Name, Description string
	// Parameters is a JSON Schema as a [json.RawMessage], or a value of the type that the arguments shall have.
	Parameters any
	Extra      map[string]any
}

// Response is an answer. Nothing in it tells whether it came from the provider just now or from the store.
type Response struct {
	// Text is empty if the model only called tools.
	Text      string
	ToolCalls []ToolCall
	// Finish is why the model stopped: stop, length (the text is incomplete), tool-calls, content-filter, refusal, or another.
	Finish string
	Model  string
	Usage  Usage
	// Opaque parts go back in the assistant's message, unchanged.
	Opaque []Other
	// Cut is nil if the request was sent whole.
	Cut   *Cut
	Extra map[string]any
}

// Usage counts tokens.
type Usage struct {
	// InputTokens are all that were read, from a cache or not; OutputTokens all that were written, reasoning included.
	InputTokens, OutputTokens                          uint64
	CacheReadTokens, CacheWriteTokens, ReasoningTokens uint64
}

// Cut is how the host shortened a request that was too long.
type Cut struct {
	How                       string
	TokensBefore, TokensAfter uint64
	MessagesDropped           uint32
}

// Result of one request among several: an error, or a response.
type Result struct {
	Response Response
	Err      error
}

// TokenCount is how long a request would be.
type TokenCount struct {
	Tokens uint64
	// Window is how many tokens the model can take in all; nil: that is not known.
	Window *uint64
	// Exact: the model's own encoding was used.
	Exact bool
}

// ErrorKind is what can still be done about an [LLMError].
type ErrorKind uint8

const (
	// Transient: the provider did not answer properly, however often it was asked.
	Transient ErrorKind = iota
	// TooLarge: the request does not fit the model's context. Send less: split it.
	TooLarge
	// NotAccepted: the provider says that the request is wrong.
	NotAccepted
	// Refused: the provider, or the model, will not answer this for reasons of policy.
	Refused
	// Limit of the item or of the plugin is reached.
	Limit
	// Denied: the plugin was not granted what it asked for.
	Denied
	// Cancelled: the batch is being stopped; what the plugin returns no longer counts.
	Cancelled
	// BadAnswer: the answer came, and is not what was asked for. Another attempt may do better.
	BadAnswer
)

// String is the contract's word for it.
func (k ErrorKind) String() string {
	names := [...]string{"transient", "too-large", "rejected", "refused", "limit", "denied", "cancelled", "bad-answer"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("ErrorKind(%d)", int(k))
}

// LLMError is why there is no answer. It is final for this attempt: the host has already retried what is worth it.
type LLMError struct {
	Kind ErrorKind
	// Code is for programs; the provider's own where it has one.
	Code    string
	Message string
	// Extra is such as tokens and limit with TooLarge.
	Extra map[string]any
}

func (e *LLMError) Error() string { return e.Code + ": " + e.Message }

// Chat asks, and gives the text of the answer.
func Chat(request Request) (string, error) {
	response, err := Complete(request)
	return response.Text, err
}

// ChatJSON asks for JSON of the type T. The host asks again for what does not fit its schema. With an Answer in the request, such as
// a schema, that is asked for, and the answer read into a T.
func ChatJSON[T any](request Request) (T, error) {
	var answer T
	if request.Answer == nil {
		request.Answer = any(answer)
	}
	if request.Answer == nil {
		request.Answer = AnyJSON
	}
	response, err := Complete(request)
	if err != nil {
		return answer, err
	}
	return answer, response.Read(&answer)
}

// Complete asks, and gives the whole answer.
func Complete(request Request) (Response, error) { return current.Complete(request) }

// CompleteMany asks several things at the same time. The results stand in the order of the requests. An error: the whole was
// refused, and nothing was asked.
func CompleteMany(requests ...Request) ([]Result, error) { return current.CompleteMany(requests) }

// CountTokens says how long a request would be. It costs nothing.
func CountTokens(request Request) (TokenCount, error) { return current.CountTokens(request) }

// Read gives the text as a value. Ask for JSON, or there is no reason why it should be any.
func (r Response) Read(into any) error {
	if err := decode(r.Text, into); err != nil {
		message := fmt.Sprintf("the model's answer is not what was asked for (it ended by %q): %v", r.Finish, err)
		return &LLMError{Kind: BadAnswer, Code: "bad_answer", Message: message}
	}
	return nil
}

// Read gives the arguments as a value.
func (c ToolCall) Read(into any) error {
	if err := decode(c.Arguments, into); err != nil {
		message := fmt.Sprintf("the model called the tool %q with wrong arguments: %v", c.Name, err)
		return &LLMError{Kind: BadAnswer, Code: "bad_answer", Message: message}
	}
	return nil
}

// Message is the answer as one of the conversation, for the next request.
func (r Response) Message() Message {
	message := Message{Speaker: Assistant}
	for _, part := range r.Opaque {
		message.Parts = append(message.Parts, part)
	}
	if r.Text != "" {
		message.Parts = append(message.Parts, Text(r.Text))
	}
	for _, call := range r.ToolCalls {
		message.Parts = append(message.Parts, call)
	}
	return message
}

// Conversation is all messages of a request, in their order.
func (r Request) Conversation() []Message {
	var messages []Message
	if r.System != "" {
		messages = append(messages, Message{Speaker: System, Parts: []Part{Text(r.System)}})
	}
	messages = append(messages, r.Messages...)
	if r.User != "" || len(r.Attach) > 0 || len(r.Messages) == 0 {
		messages = append(messages, Message{Speaker: User, Parts: append([]Part{Text(r.User)}, r.Attach...)})
	}
	return messages
}

// AnswerSchema is the name and the schema of the answer, as JSON text; empty if there is none.
func (r Request) AnswerSchema() (name, schema string) {
	if r.Answer == nil || r.Answer == AnyJSON {
		return "", ""
	}
	if raw, isRaw := r.Answer.(json.RawMessage); isRaw {
		return schemaName(string(raw)), string(raw)
	}
	text := schemaTextOf(r.Answer, forAnswer)
	return schemaName(text), text
}
