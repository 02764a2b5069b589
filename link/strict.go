package link

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// DecodeStrict reads one JSON document into what v points to. It exists because
// encoding/json is too kind for bytes that somebody signed: it takes ACTION for
// action, the last of two equal keys, null for anything, and replaces what is
// not UTF-8, so two readers can see two documents in the same bytes.
//
// Refused are: a key that the type does not have (compared exactly), a key that
// stands twice, a missing key whose field is not tagged omitempty or omitzero,
// null, bytes after the document, text that is not UTF-8 or holds half a
// surrogate pair, base64 in any but its canonical form, fractions and exponents
// where the Go type is an integer, and everything over the limits above.
//
// What it accepts, encoding/json decodes to the same value (fuzzed). On an
// error v is untouched; the error is of kind invalid (too-large for the size)
// and names JSON path and byte offset.
func DecodeStrict(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return core.E(core.KindInternal, "link.DecodeStrict", fmt.Sprintf("cannot decode into a %T", v))
	}
	if len(data) > MaxDocument {
		return core.E(core.KindTooLarge, "link.DecodeStrict", fmt.Sprintf("%d bytes, at most %d are allowed", len(data), MaxDocument))
	}
	p := &parser{data: data}
	if !utf8.Valid(data) {
		return p.fail(invalidUTF8(data), "not UTF-8")
	}
	fresh := reflect.New(target.Type().Elem()).Elem()
	if err := p.value(fresh); err != nil {
		return err
	}
	if p.peek(); p.pos < len(data) {
		return p.unexpected("the end of the document")
	}
	target.Elem().Set(fresh)
	return nil
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}

var (
	rawMessage      = reflect.TypeFor[json.RawMessage]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value decodes the next value by the type of v.
func (p *parser) value(v reflect.Value) error {
	t := v.Type()
	if p.peek() == 'n' && t != rawMessage && t.Kind() != reflect.Interface {
		return p.fail(p.pos, "null is not allowed")
	}
	switch pt := reflect.PointerTo(t); {
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		return p.value(v.Elem())
	case t.Kind() == reflect.Interface || pt.Implements(jsonUnmarshaler):
		return p.span(v)
	case pt.Implements(textUnmarshaler):
		return p.text(v)
	}
	switch v.Kind() {
	case reflect.Struct:
		return p.structure(v)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return p.base64(v)
		}
		return p.slice(v)
	case reflect.Map:
		return p.mapping(v)
	}
	return p.scalar(v)
}

func (p *parser) scalar(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		s, err := p.str()
		if err == nil {
			v.SetString(s)
		}
		return err
	case reflect.Bool:
		if p.word("true") {
			v.SetBool(true)
			return nil
		}
		if p.word("false") {
			return nil
		}
		return p.unexpected("true or false")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return p.numeric(v)
	}
	return core.E(core.KindInternal, "link.DecodeStrict", "cannot decode into a "+v.Type().String())
}

func (p *parser) numeric(v reflect.Value) error {
	p.space()
	at := p.pos
	lit, err := p.number()
	if err != nil {
		return err
	}
	bits := v.Type().Bits()
	if v.CanFloat() {
		f, err := strconv.ParseFloat(lit, bits)
		if err != nil {
			return p.fail(at, "%s does not fit a %s", lit, v.Kind())
		}
		v.SetFloat(f)
		return nil
	}
	if lit == "-0" || strings.ContainsAny(lit, ".eE") {
		return p.fail(at, "%s is not a plain integer", lit)
	}
	if v.CanInt() {
		n, err := strconv.ParseInt(lit, 10, bits)
		if err != nil {
			return p.fail(at, "%s does not fit a %s", lit, v.Kind())
		}
		v.SetInt(n)
		return nil
	}
	n, err := strconv.ParseUint(lit, 10, bits)
	if err != nil {
		return p.fail(at, "%s does not fit a %s", lit, v.Kind())
	}
	v.SetUint(n)
	return nil
}

// span checks a value of any shape and hands its bytes to encoding/json, for
// types that decode themselves.
func (p *parser) span(v reflect.Value) error {
	p.space()
	at := p.pos
	if err := p.skip(); err != nil {
		return err
	}
	if v.Type() == rawMessage {
		v.SetBytes(bytes.Clone(p.data[at:p.pos]))
		return nil
	}
	if err := json.Unmarshal(p.data[at:p.pos], v.Addr().Interface()); err != nil {
		return p.fail(at, "%s", clip(err.Error()))
	}
	return nil
}

// text decodes a string into an identifier, a UUID or a word of a closed list.
func (p *parser) text(v reflect.Value) error {
	p.space()
	at := p.pos
	s, err := p.str()
	if err != nil {
		return err
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		return p.fail(at, "%s", err.Error())
	}
	return nil
}

func (p *parser) base64(v reflect.Value) error {
	p.space()
	at := p.pos
	s, err := p.str()
	if err != nil {
		return err
	}
	b, err := decodeBase64(s)
	if err != nil {
		return p.fail(at, "not canonical base64")
	}
	v.SetBytes(b)
	return nil
}

// decodeBase64 takes the one spelling of b: padded, without line breaks, with
// zero trailing bits.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (p *parser) slice(v reflect.Value) error {
	t := v.Type()
	v.Set(reflect.MakeSlice(t, 0, 0))
	return p.array(func(i int) error {
		if i == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(i + 1)
		return p.value(v.Index(i))
	})
}

func (p *parser) mapping(v reflect.Value) error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		return core.E(core.KindInternal, "link.DecodeStrict", "cannot decode into a "+t.String())
	}
	v.Set(reflect.MakeMap(t))
	return p.object(anyKeys{}, func(key string, _ int) error {
		item := reflect.New(t.Elem()).Elem()
		if err := p.value(item); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), item)
		return nil
	})
}

func (p *parser) structure(v reflect.Value) error {
	f, err := fieldsOf(v.Type())
	if err != nil {
		return err
	}
	p.space()
	start, keys := p.pos, structKeys{f, make([]bool, len(f.list))}
	err = p.object(keys, func(key string, at int) error {
		i, known := f.byName[key]
		if !known {
			return p.fail(at, "unknown key")
		}
		return p.value(v.Field(f.list[i].index))
	})
	if err != nil {
		return err
	}
	for i, field := range f.list {
		if !keys.found[i] && !field.optional {
			return p.fail(start, "key %q is missing", field.name)
		}
	}
	return nil
}

// structKeys is the keySet of an object whose keys are a struct's; others are
// refused by themselves.
type structKeys struct {
	fields *fields
	found  []bool
}

func (k structKeys) again(key string) bool {
	i, known := k.fields.byName[key]
	if !known {
		return false
	}
	dup := k.found[i]
	k.found[i] = true
	return dup
}

// fields is what a struct type looks like in JSON.
type fields struct {
	list   []field
	byName map[string]int
}

type field struct {
	name     string
	index    int
	optional bool
}

var fieldCache sync.Map // reflect.Type → *fields

func fieldsOf(t reflect.Type) (*fields, error) {
	if f, ok := fieldCache.Load(t); ok {
		return f.(*fields), nil
	}
	out := &fields{byName: map[string]int{}}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		if sf.Anonymous || strings.Contains(options, "string") {
			return nil, core.E(core.KindInternal, "link.DecodeStrict", "cannot decode "+t.String()+"."+sf.Name+": embedded and string-tagged fields are not supported")
		}
		if name == "" {
			name = sf.Name
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		out.byName[name] = len(out.list)
		out.list = append(out.list, field{name, i, optional})
	}
	fieldCache.Store(t, out)
	return out, nil
}
