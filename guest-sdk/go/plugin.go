// Package sandmill is for writing Sandmill plugins: a func for one item, and errors.
//
//	func init() {
//		sandmill.Register(sandmill.Plugin[Ticket, Config]{Name: "triage", Process: process})
//	}
//
//	func process(item sandmill.Item[Ticket], cx sandmill.Context[Config]) (any, error) {
//		return sandmill.ChatJSON[Triage](sandmill.Request{System: "Sort it.", User: item.Data.Text})
//	}
package sandmill

import (
	"fmt"
)

// Plugin says what a plugin is and does. T is what an item is read into, C the configuration.
type Plugin[T, C any] struct {
	Name string
	// Version is the plugin's own, such as 1.4.0.
	Version string
	// Description says what it does with an item, in a sentence or two.
	Description string
	// Requires names fields that every item must have. An item without one fails before the plugin sees it.
	Requires []string
	// Roles are the models it talks to. Without one every call is denied.
	Roles []Role
	// Output is an example of what it emits, of whose type the host checks every emission; nil: anything.
	Output any
	// Process does the work for one item. What it returns is emitted: one value, or several as [Emissions].
	//
	// An error ends the item: [Skip], [Fail], [Retry], and [LLMError] as they say, any other as a failure with the code error.
	// A panic is a crash of the plugin: its text and its stack are kept with the item.
	Process func(item Item[T], cx Context[C]) (any, error)
}

// Role is a model that a plugin wants to talk to, by the part it plays. Which model that is, is the operator's business.
type Role struct {
	Name string
	// Description tells the operator what the model has to be good at.
	Description string
	// Optional: the plugin works without it.
	Optional bool
	// Extra is what a newer host may know.
	Extra map[string]any
}

// Register makes the plugin that of its component. To be called once, in an init.
func Register[T, C any](plugin Plugin[T, C]) {
	if registered != nil {
		panic("sandmill.Register is called twice: a component is one plugin")
	}
	registered = plugin
}

// Runner is a [Plugin] of whatever types.
type Runner interface {
	Describe() Manifest
	Run(item RawItem, cx RawContext) Ending
}

var registered Runner

// Manifest is what a plugin says of itself. Schemas are JSON texts, or empty.
type Manifest struct {
	Name, Version, Description string
	ConfigSchema, OutputSchema string
	Requires                   []string
	Roles                      []Role
}

// RawItem is an item as the host hands it over.
type RawItem struct {
	ID    string
	Index uint64
	JSON  string
	Blobs []Blob
}

// RawContext is a context as the host hands it over.
type RawContext struct {
	Job     string
	Attempt uint32
	Config  string
	Budget  Budget
}

// EndingKind says how an item ended.
type EndingKind int

const (
	Emitted EndingKind = iota
	Skipped
	// Failed: for good.
	Failed
	// Rejected: it is to be begun anew.
	Rejected
)

// Ending is how an item ended.
type Ending struct {
	Kind EndingKind
	// Values are JSON texts.
	Values []RawEmission
	// Code is that of a failure.
	Code string
	// Message is that of a failure, or the reason of a skip.
	Message string
	// AfterMillis is the least wait before the next attempt.
	AfterMillis *uint64
	// Detail is a JSON text.
	Detail *string
	// Extra is what a newer host may know.
	Extra map[string]any
}

// RawEmission is an emission as the host takes it over. A name that is empty is none.
type RawEmission struct{ JSON, Name string }

// Describe gives what the plugin says of itself.
func (p Plugin[T, C]) Describe() Manifest {
	manifest := Manifest{
		Name: p.Name, Version: p.Version, Description: p.Description, Requires: p.Requires, Roles: p.Roles,
		ConfigSchema: schemaText[C](forConfig),
	}
	if p.Output != nil {
		manifest.OutputSchema = schemaTextOf(p.Output, forOutput)
	}
	return manifest
}

// Run takes one item through the plugin, JSON in and out. It panics where Process does.
func (p Plugin[T, C]) Run(item RawItem, cx RawContext) Ending {
	var config C
	if err := decode(cx.Config, &config); err != nil {
		return failed(Failf("bad_config", "the configuration is not what this plugin takes: %v", err))
	}
	var data T
	if err := decode(item.JSON, &data); err != nil {
		return failed(Failf("bad_item", "the item is not what this plugin reads: %v", err))
	}
	value, err := p.Process(
		Item[T]{ID: item.ID, Index: item.Index, Data: data, Blobs: item.Blobs},
		Context[C]{Job: cx.Job, Attempt: cx.Attempt, Config: config, Budget: cx.Budget},
	)
	if err != nil {
		return failed(err)
	}
	return emitted(value)
}

func emitted(value any) Ending {
	values, areSeveral := value.(Emissions)
	if !areSeveral {
		values = Emissions{value}
	}
	ending := Ending{Kind: Emitted}
	for index, value := range values {
		if value == nil {
			const way = "return a value, Emission{} for a null, Emissions{} for none, or a Skip"
			return failed(Failf("bad_output", "value %d of the plugin's is nil: %s", index+1, way))
		}
		emission, isNamed := value.(Emission)
		if !isNamed {
			emission = Emission{Value: value}
		}
		text, err := encode(emission.Value)
		if err != nil {
			return failed(Failf("bad_output", "value %d of the plugin's cannot be written as JSON: %v", index+1, err))
		}
		ending.Values = append(ending.Values, RawEmission{JSON: text, Name: emission.Name})
	}
	return ending
}

func (k EndingKind) String() string {
	names := [...]string{"emitted", "skipped", "failed", "rejected"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("EndingKind(%d)", int(k))
}
