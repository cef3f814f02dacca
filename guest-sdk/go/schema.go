package sandmill

import (
	"encoding/json"
	"reflect"
	"strings"
)

// use is what a schema is for.
type use int

const (
	// forConfig: what is left out has Go's zero value, so nothing is required.
	forConfig use = iota
	// forOutput: what is never left out is required.
	forOutput
	// forAnswer: strict, as providers enforce it: objects are closed, and all is required; what may be left out may be null.
	forAnswer
)

var (
	rawMessage = reflect.TypeFor[json.RawMessage]()
	marshaler  = reflect.TypeFor[json.Marshaler]()
)

// schemaText is the JSON Schema (2020-12) of a type; empty if it says nothing. The tag doc describes a field, enum:"a,b" lists its values.
func schemaText[T any](use use) string { return schemaOf(reflect.TypeFor[T](), use) }

func schemaTextOf(value any, use use) string {
	if raw, isRaw := value.(json.RawMessage); isRaw {
		return string(raw)
	}
	return schemaOf(reflect.TypeOf(value), use)
}

func schemaOf(kind reflect.Type, use use) string {
	made := schema(kind, use, nil)
	if len(made) == 0 {
		return ""
	}
	return shown(made)
}

type object = map[string]any

// schema of a type; open are the structs around it: one that holds itself is left open there.
func schema(kind reflect.Type, use use, open []reflect.Type) object {
	if kind == rawMessage || (kind.Implements(marshaler) && kind.Kind() != reflect.Pointer) {
		return object{}
	}
	switch kind.Kind() {
	case reflect.Pointer:
		return nullable(schema(kind.Elem(), use, open))
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		if kind.Elem().Kind() == reflect.Uint8 {
			// encoding/json writes bytes in base64.
			return object{"type": "string"}
		}
		return object{"type": "array", "items": schema(kind.Elem(), use, open)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(kind.Elem(), use, open)}
	case reflect.Struct:
		return structSchema(kind, use, open)
	}
	return object{}
}

func structSchema(kind reflect.Type, use use, open []reflect.Type) object {
	for _, one := range open {
		if one == kind {
			return object{}
		}
	}
	properties, required := object{}, []string{}
	addFields(kind, use, append(open, kind), properties, &required)
	made := object{"type": "object", "properties": properties}
	if kind.Name() != "" {
		made["title"] = kind.Name()
	}
	if len(required) > 0 {
		made["required"] = required
	}
	if use == forAnswer {
		made["additionalProperties"] = false
	}
	return made
}

func addFields(kind reflect.Type, use use, open []reflect.Type, properties object, required *[]string) {
	for index := range kind.NumField() {
		field := kind.Field(index)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct {
			addFields(field.Type, use, open, properties, required)
			continue
		}
		if !field.IsExported() || (name == "-" && options == "") {
			continue
		}
		if name == "" {
			name = field.Name
		}
		made := schema(field.Type, use, open)
		if values := field.Tag.Get("enum"); values != "" {
			inner := made
			if items, isList := made["items"].(object); isList {
				inner = items
			}
			inner["enum"] = strings.Split(values, ",")
		}
		canBeMissing := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		if canBeMissing && use == forAnswer {
			made = nullable(made)
		}
		if text := field.Tag.Get("doc"); text != "" {
			made["description"] = text
		}
		// A nil slice or map is written as null, and read from it.
		if kind := field.Type.Kind(); use == forOutput && (kind == reflect.Slice || kind == reflect.Map) {
			made = nullable(made)
		}
		properties[name] = made
		if use == forAnswer || (use == forOutput && !canBeMissing) {
			*required = append(*required, name)
		}
	}
}

func nullable(made object) object {
	kind, isOne := made["type"].(string)
	if !isOne {
		return made
	}
	made["type"] = []string{kind, "null"}
	if values, isEnum := made["enum"].([]string); isEnum {
		more := []any{nil}
		for _, value := range values {
			more = append(more, value)
		}
		made["enum"] = more
	}
	return made
}

// schemaName is what the contract allows of a schema's title.
func schemaName(text string) string {
	var titled struct {
		Title string `json:"title"`
	}
	// A schema that is no JSON is refused by the host, which says so.
	_ = json.Unmarshal([]byte(text), &titled)
	fits := func(letter rune) rune {
		if (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') || letter == '-' {
			return letter
		}
		return '_'
	}
	name := strings.Map(fits, titled.Title)
	if name == "" {
		return "answer"
	}
	return name[:min(len(name), 64)]
}

// isStrict: a provider can enforce the schema, since every object is closed and all its properties are required.
func isStrict(text string) bool {
	var made any
	return json.Unmarshal([]byte(text), &made) == nil && strict(made)
}

func strict(value any) bool {
	made, isObject := value.(object)
	if !isObject || len(made) == 0 {
		return false
	}
	properties, hasProperties := made["properties"].(object)
	if hasProperties || names(made["type"])["object"] {
		required := names(made["required"])
		if !hasProperties || made["additionalProperties"] != false {
			return false
		}
		for name := range properties {
			if !required[name] {
				return false
			}
		}
	}
	var inner []any
	for _, keyword := range []string{"properties", "$defs"} {
		several, _ := made[keyword].(object)
		for _, one := range several {
			inner = append(inner, one)
		}
	}
	for _, keyword := range []string{"anyOf", "oneOf", "allOf", "prefixItems"} {
		several, _ := made[keyword].([]any)
		inner = append(inner, several...)
	}
	if items, hasItems := made["items"]; hasItems {
		inner = append(inner, items)
	}
	for _, one := range inner {
		if !strict(one) {
			return false
		}
	}
	return true
}

// names of a keyword that is a text or a list of texts.
func names(value any) map[string]bool {
	found := map[string]bool{}
	if one, isOne := value.(string); isOne {
		found[one] = true
	}
	several, _ := value.([]any)
	for _, one := range several {
		if name, isName := one.(string); isName {
			found[name] = true
		}
	}
	return found
}
