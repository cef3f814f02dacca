// Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts. Asks no model.
package main

import (
	"slices"

	"sandmill"
)

type config struct {
	Fields []string `json:"fields" doc:"The fields that are looked at, by name, at the top of the item. Without it: every text in the item."`
	Kinds  []string `json:"kinds" enum:"email,phone,card" doc:"What is taken out. Without it: all three."`
}

type redacted struct {
	Item     any    `json:"item"`
	Redacted counts `json:"redacted"`
}

var plugin = sandmill.Plugin[any, config]{
	Name:        "redact",
	Version:     "0.1.0",
	Description: "Takes e-mail addresses, phone numbers and payment card numbers out of an item's texts.",
	Process:     process,
}

func init() { sandmill.Register(plugin) }

func main() {}

func process(item sandmill.Item[any], cx sandmill.Context[config]) (any, error) {
	has := func(kind string) bool { return cx.Config.Kinds == nil || slices.Contains(cx.Config.Kinds, kind) }
	scan := scanner{email: has("email"), phone: has("phone"), card: has("card")}
	value := item.Data
	if object, isObject := value.(map[string]any); isObject && cx.Config.Fields != nil {
		for _, name := range cx.Config.Fields {
			if inner, isThere := object[name]; isThere {
				object[name] = walk(inner, &scan)
			}
		}
	} else {
		value = walk(value, &scan)
	}
	return redacted{Item: value, Redacted: scan.counts}, nil
}

func walk(value any, scan *scanner) any {
	switch value := value.(type) {
	case string:
		return scan.redact(value)
	case []any:
		for index, inner := range value {
			value[index] = walk(inner, scan)
		}
	case map[string]any:
		for name, inner := range value {
			// What names the item must go on naming it.
			if name != "id" {
				value[name] = walk(inner, scan)
			}
		}
	}
	return value
}
