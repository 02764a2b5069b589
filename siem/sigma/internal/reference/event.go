package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Event is everything that a JSON object says, in one list.
type Event struct {
	values []*value
	// byPath only spares the loops below the values of other fields.
	byPath map[string][]*value
	// named holds every name that stands in the event, whatever its value is.
	named map[string]bool
	// vouched holds what the receiver says.
	vouched map[string][]*value
}

// value is a scalar and where it stands.
type value struct {
	path   string
	text   string
	folded string
	null   bool
}

// reserved begins the names that no event can claim for itself.
const reserved = "interlock."

// Read takes one JSON object.
func Read(object []byte) (*Event, error) {
	if !json.Valid(object) || bytes.TrimSpace(object)[0] != '{' {
		return nil, errors.New("no JSON object")
	}
	e := &Event{byPath: make(map[string][]*value), named: make(map[string]bool), vouched: make(map[string][]*value)}
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.UseNumber()
	return e, e.read(dec, nil)
}

// Vouch gives a field one more value of the receiver's: what the event itself
// says in that field, by this name or another, is no longer heard.
func (e *Event) Vouch(field, text string) {
	e.vouched[field] = append(e.vouched[field], &value{path: field, text: text, folded: fold(text)})
}

// read takes the next value of dec, which stands at path.
func (e *Event) read(dec *json.Decoder, path []string) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := tok.(type) {
	case json.Delim:
		for dec.More() {
			inner := path
			if t == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				inner = append(slices.Clone(path), fmt.Sprint(key))
				e.name(strings.Join(inner, "."))
			}
			if err := e.read(dec, inner); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	case nil:
		e.add(&value{null: true}, path)
	default: // string, json.Number, bool
		e.add(&value{text: fmt.Sprint(t)}, path)
	}
	return nil
}

func (e *Event) name(path string) {
	if !strings.HasPrefix(path, reserved) {
		e.named[path] = true
	}
}

func (e *Event) add(v *value, path []string) {
	v.path, v.folded = strings.Join(path, "."), fold(v.text)
	e.values = append(e.values, v)
	if !strings.HasPrefix(v.path, reserved) {
		e.byPath[v.path] = append(e.byPath[v.path], v)
	}
}

// at lists the values but null of any of the paths: the receiver's if it vouches
// for one of them, else the event's.
func (e *Event) at(paths []string) []*value {
	var own, out []*value
	for _, p := range paths {
		own = append(own, e.vouched[p]...)
		for _, v := range e.byPath[p] {
			if !v.null {
				out = append(out, v)
			}
		}
	}
	if len(own) > 0 {
		return own
	}
	return out
}

// everywhere lists all values but null that the event itself says.
func (e *Event) everywhere() []*value {
	var out []*value
	for _, v := range e.values {
		if !v.null {
			out = append(out, v)
		}
	}
	return out
}

// has reports whether one of the names stands in the event
// [Rules, Field Existence]: "only the presence of a field, not its value, be it
// empty or null".
func (e *Event) has(paths []string) bool {
	for _, p := range paths {
		if e.named[p] || len(e.vouched[p]) > 0 {
			return true
		}
	}
	return false
}

// Marked reports whether a field by any of its names has one of the values, case apart; without
// values, any but null.
func (e *Event) Marked(paths, values []string) bool {
	for _, v := range e.at(paths) {
		if len(values) == 0 || slices.ContainsFunc(values, func(s string) bool { return fold(s) == v.folded }) {
			return true
		}
	}
	return false
}

// fold makes letters that differ in case only equal [Rules, General].
func fold(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}
