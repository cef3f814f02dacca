package sandmill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Item is one unit of work: a line of the input, read into T. With T = any it is plain JSON, its numbers as [json.Number].
type Item[T any] struct {
	// ID is unique within the job, and the same in every run.
	ID string
	// Index is the position in the input, from 0.
	Index uint64
	Data  T
	Blobs []Blob
}

// Context is what stands around an item. It is the same in a replay of the attempt.
type Context[C any] struct {
	Job string
	// Attempt is 1, and one more each time the plugin returned a [Retry] for this item.
	Attempt uint32
	Config  C
	Budget  Budget
}

// Budget is what is left for the item before the host refuses with a [Limit]. Nil: no limit was set.
type Budget struct {
	// Calls to a provider, each of [CompleteMany] being one.
	Calls *uint64
	// Tokens, read and written together.
	Tokens *uint64
	// MicroDollars are millionths of a US dollar.
	MicroDollars *uint64
}

// Blob is bytes that the host holds. Attach it to a [Request], and they never enter the plugin.
type Blob struct {
	// Name is unique within the item.
	Name string
	// MimeType is such as image/png.
	MimeType string
	// Size in bytes.
	Size uint64
	// Digest is SHA-256, as 64 lower case hexadecimal digits.
	Digest string
}

// Read gives at most length bytes from offset; fewer, or none, where the blob ends.
func (b Blob) Read(offset uint64, length uint32) ([]byte, error) {
	return current.ReadBlob(b.Name, offset, length)
}

// ReadAll gives all of it. It has to fit the plugin's memory.
func (b Blob) ReadAll() ([]byte, error) {
	const chunk = 1 << 20
	var all []byte
	for {
		read, err := b.Read(uint64(len(all)), chunk)
		if err != nil || len(read) == 0 {
			return all, err
		}
		all = append(all, read...)
	}
}

// Emission is one value that the item yields. A name that is unique among them makes their order not matter.
type Emission struct {
	Value any
	Name  string
}

// Emissions are several values at once. None is fine, and is not the same as a [Skip].
type Emissions []any

// Set is for fields of a [Request] that may be left out: Temperature: sandmill.Set(0.5).
func Set[T any](value T) *T { return &value }

// decode reads JSON; numbers that go into an any stay as they were written.
func decode(text string, into any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}

// encode writes JSON as it is, without the escapes that are for web pages.
func encode(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return string(bytes.TrimRight(text.Bytes(), "\n")), nil
}

// shown is for logs and details, which never fail: what has no JSON form is shown as Go shows it.
func shown(value any) string {
	if err, isError := value.(error); isError {
		value = err.Error()
	}
	text, err := encode(value)
	if err != nil {
		text, _ = encode(fmt.Sprintf("%+v", value))
	}
	return text
}
