//go:build wasip1

package sandmill

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	handler "sandmill/internal/bindings/export_sandmill_plugin_handler"
	witBlobs "sandmill/internal/bindings/sandmill_plugin_blobs"
	witLLM "sandmill/internal/bindings/sandmill_plugin_llm"
	witLog "sandmill/internal/bindings/sandmill_plugin_log"
	types "sandmill/internal/bindings/sandmill_plugin_types"
	_ "sandmill/internal/bindings/wit_exports"
	wit "sandmill/internal/wit/types"
)

func init() {
	// A collection that begins while the host has the plugin allocate for an answer ends the instance: "cannot leave component
	// instance", https://github.com/bytecodealliance/wasmtime/issues/14318. An instance serves one item, so none is needed.
	debug.SetGCPercent(-1)
	current = componentHost{}
	handler.Describe = describe
	handler.Process = process
}

func describe() types.Manifest {
	if registered == nil {
		panic("there is no plugin: call sandmill.Register in an init of package main")
	}
	manifest := registered.Describe()
	made := types.Manifest{
		Name: manifest.Name, Version: manifest.Version, Description: manifest.Description,
		ConfigSchema: whole(manifest.ConfigSchema), OutputSchema: whole(manifest.OutputSchema),
		RequiredFields: manifest.Requires,
	}
	for _, role := range manifest.Roles {
		made.ModelRoles = append(made.ModelRoles, types.ModelRole{
			Name: role.Name, Description: role.Description, Optional: role.Optional, Extra: pairs(role.Extra),
		})
	}
	return made
}

func process(item types.Item, cx types.Context) wit.Result[types.Outcome, types.Failure] {
	defer crash()
	if registered == nil {
		panic("there is no plugin: call sandmill.Register in an init of package main")
	}
	raw := RawItem{ID: item.Id, Index: item.Index, JSON: item.Json}
	for _, blob := range item.Blobs {
		raw.Blobs = append(raw.Blobs, Blob{Name: blob.Name, MimeType: blob.MimeType, Size: blob.Size, Digest: blob.Digest})
	}
	budget := Budget{pointer(cx.Budget.Calls), pointer(cx.Budget.Tokens), pointer(cx.Budget.MicroDollars)}
	ending := registered.Run(raw, RawContext{Job: cx.Job, Attempt: cx.Attempt, Config: cx.Config, Budget: budget})
	switch ending.Kind {
	case Emitted:
		list := []types.Emission{}
		for _, value := range ending.Values {
			list = append(list, types.Emission{Value: value.JSON, Name: whole(value.Name)})
		}
		return wit.Ok[types.Outcome, types.Failure](types.MakeOutcomeEmit(list))
	case Skipped:
		return wit.Ok[types.Outcome, types.Failure](types.MakeOutcomeSkip(types.Skip{Reason: valid(ending.Message)}))
	}
	kind := types.MakeFailureKindPermanent()
	if ending.Kind == Rejected {
		kind = types.MakeFailureKindRetryable(option(ending.AfterMillis))
	}
	failure := types.Failure{
		Kind: kind, Code: valid(ending.Code), Message: valid(ending.Message), Detail: option(ending.Detail), Extra: pairs(ending.Extra),
	}
	return wit.Err[types.Outcome, types.Failure](failure)
}

// crash tells a panic with its text last, which is what is seen first, and ends the instance.
func crash() {
	if panicked := recover(); panicked != nil {
		fmt.Fprintf(os.Stderr, "%s\npanic: %v\n", debug.Stack(), panicked)
		trap()
	}
}

// trap is WebAssembly's unreachable. An exit would be told as one, without the text.
func trap()

type componentHost struct{}

func (componentHost) Complete(request Request) (Response, error) {
	asked, err := lower(request)
	if err != nil {
		return Response{}, err
	}
	result := witLLM.Complete(asked)
	if result.IsErr() {
		return Response{}, liftError(result.Err())
	}
	return lift(result.Ok()), nil
}

func (componentHost) CompleteMany(requests []Request) ([]Result, error) {
	var asked []witLLM.Request
	for _, request := range requests {
		one, err := lower(request)
		if err != nil {
			return nil, err
		}
		asked = append(asked, one)
	}
	answered := witLLM.CompleteMany(asked)
	if answered.IsErr() {
		return nil, liftError(answered.Err())
	}
	var results []Result
	for _, one := range answered.Ok() {
		if one.IsErr() {
			results = append(results, Result{Err: liftError(one.Err())})
		} else {
			results = append(results, Result{Response: lift(one.Ok())})
		}
	}
	return results, nil
}

func (componentHost) CountTokens(request Request) (TokenCount, error) {
	asked, err := lower(request)
	if err != nil {
		return TokenCount{}, err
	}
	result := witLLM.CountTokens(asked)
	if result.IsErr() {
		return TokenCount{}, liftError(result.Err())
	}
	count := result.Ok()
	return TokenCount{Tokens: count.Tokens, Window: pointer(count.Window), Exact: count.Exact}, nil
}

func (componentHost) Log(level Level, message string, fields []Field) {
	var pairs []types.Pair
	for _, field := range fields {
		pairs = append(pairs, types.Pair{Name: valid(field.Name), Value: field.JSON})
	}
	witLog.Log(witLog.Level(level), valid(message), pairs)
}

func (componentHost) ReadBlob(name string, offset uint64, length uint32) ([]byte, error) {
	result := witBlobs.Read(name, offset, length)
	if result.IsErr() {
		return nil, Failf("missing_blob", "%s", result.Err())
	}
	return result.Ok(), nil
}

func lower(request Request) (witLLM.Request, error) {
	made := witLLM.Request{
		Role: request.Role, Format: witLLM.MakeResponseFormatText(),
		MaxOutputTokens: option(request.MaxOutputTokens), Temperature: option(request.Temperature), TopP: option(request.TopP),
		Stop: request.Stop, Seed: option(request.Seed), OnOverflow: whole(request.OnOverflow), Extra: pairs(request.Extra),
		ToolChoice: wit.None[witLLM.ToolChoice](),
	}
	if made.Role == "" {
		made.Role = "default"
	}
	if name, schema := request.AnswerSchema(); schema != "" {
		made.Format = witLLM.MakeResponseFormatJsonSchema(witLLM.JsonSchema{Name: name, Schema: schema, Strict: isStrict(schema)})
	} else if request.Answer != nil {
		made.Format = witLLM.MakeResponseFormatJson()
	}
	for _, tool := range request.Tools {
		schema := schemaTextOf(tool.Parameters, forAnswer)
		one := witLLM.Tool{Name: valid(tool.Name), Description: valid(tool.Description), Parameters: schema, Extra: pairs(tool.Extra)}
		made.Tools = append(made.Tools, one)
	}
	switch {
	case request.ForceTool != "":
		made.ToolChoice = wit.Some(witLLM.MakeToolChoiceNamed(request.ForceTool))
	case request.ToolChoice == "auto":
		made.ToolChoice = wit.Some(witLLM.MakeToolChoiceAuto())
	case request.ToolChoice == "none":
		made.ToolChoice = wit.Some(witLLM.MakeToolChoiceNone())
	case request.ToolChoice == "required":
		made.ToolChoice = wit.Some(witLLM.MakeToolChoiceRequired())
	case request.ToolChoice != "":
		return made, fmt.Errorf("%q is no ToolChoice: auto, none or required; ForceTool names a tool", request.ToolChoice)
	}
	for _, message := range request.Conversation() {
		one := witLLM.Message{Speaker: witLLM.Speaker(message.Speaker), Cache: message.Cache, Extra: pairs(message.Extra)}
		for _, part := range message.Parts {
			one.Parts = append(one.Parts, lowerPart(part))
		}
		made.Messages = append(made.Messages, one)
	}
	return made, nil
}

func lowerPart(part Part) witLLM.Part {
	switch part := part.(type) {
	case Text:
		return witLLM.MakePartText(valid(string(part)))
	case Blob:
		return witLLM.MakePartMedia(lowerMedia(Media{MimeType: part.MimeType, Blob: part.Name}))
	case Media:
		return witLLM.MakePartMedia(lowerMedia(part))
	case ToolCall:
		call := witLLM.ToolCall{Id: part.ID, Name: part.Name, Arguments: valid(part.Arguments), Extra: pairs(part.Extra)}
		return witLLM.MakePartToolCall(call)
	case ToolResult:
		result := witLLM.ToolResult{
			CallId: part.CallID, Name: part.Name, Content: valid(part.Content), IsError: part.IsError, Extra: pairs(part.Extra),
		}
		for _, media := range part.Media {
			result.Media = append(result.Media, lowerMedia(media))
		}
		return witLLM.MakePartToolResult(result)
	case Other:
		return witLLM.MakePartOther(witLLM.OtherPart{Kind: part.Kind, Value: part.Value})
	}
	panic(fmt.Sprintf("%T is no part of a message", part))
}

func lowerMedia(media Media) witLLM.Media {
	source := witLLM.MakeMediaSourceBytes(media.Data)
	if media.URL != "" {
		source = witLLM.MakeMediaSourceUrl(media.URL)
	} else if media.Blob != "" {
		source = witLLM.MakeMediaSourceBlob(media.Blob)
	}
	return witLLM.Media{MimeType: media.MimeType, Source: source, Extra: pairs(media.Extra)}
}

func lift(response witLLM.Response) Response {
	usage := response.Usage
	made := Response{
		Text: response.Text, Finish: response.Finish, Model: response.Model, Extra: values(response.Extra),
		Usage: Usage{usage.InputTokens, usage.OutputTokens, usage.CacheReadTokens, usage.CacheWriteTokens, usage.ReasoningTokens},
	}
	for _, call := range response.ToolCalls {
		one := ToolCall{ID: call.Id, Name: call.Name, Arguments: call.Arguments, Extra: values(call.Extra)}
		made.ToolCalls = append(made.ToolCalls, one)
	}
	for _, part := range response.Opaque {
		made.Opaque = append(made.Opaque, Other{part.Kind, part.Value})
	}
	if response.Cut.IsSome() {
		cut := response.Cut.Some()
		made.Cut = &Cut{cut.How, cut.TokensBefore, cut.TokensAfter, cut.MessagesDropped}
	}
	return made
}

func liftError(told witLLM.Error) error {
	// The kinds stand in the contract's order.
	return &LLMError{Kind: ErrorKind(told.Kind), Code: told.Code, Message: told.Message, Extra: values(told.Extra)}
}

func pairs(values map[string]any) []types.Pair {
	var made []types.Pair
	for name, value := range values {
		made = append(made, types.Pair{Name: name, Value: shown(value)})
	}
	// Maps have no order, and the same question must be the same again.
	slices.SortFunc(made, func(one, other types.Pair) int { return strings.Compare(one.Name, other.Name) })
	return made
}

func values(pairs []types.Pair) map[string]any {
	made := map[string]any{}
	for _, pair := range pairs {
		made[pair.Name] = json.RawMessage(pair.Value)
	}
	return made
}

func option[T any](value *T) wit.Option[T] {
	if value == nil {
		return wit.None[T]()
	}
	return wit.Some(*value)
}

func pointer[T any](value wit.Option[T]) *T {
	if value.IsNone() {
		return nil
	}
	return Set(value.Some())
}

// whole is an option of a text, of which the empty one is none.
func whole(text string) wit.Option[string] {
	if text == "" {
		return wit.None[string]()
	}
	return wit.Some(valid(text))
}

// valid: text of the contract is UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
