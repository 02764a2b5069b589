package link

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/interlock-security/interlock/core"
)

// Encode makes the bytes that are signed: encoding/json's, keys in the order of
// the type, no white space, nothing escaped for HTML, and [] and {} instead of
// null, so that [DecodeStrict] reads back what was written. Encode what you
// sign once and keep the bytes: a verifier never encodes again.
func Encode(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(withoutNil(reflect.ValueOf(v)).Interface()); err != nil {
		return nil, core.Wrap(core.KindInvalid, "link.Encode", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// encodePayload is [Encode] for what travels in an envelope: it refuses what
// [DecodeStrict] would not read back, at the sender.
func encodePayload[T any](op string, v *T) ([]byte, error) {
	b, err := Encode(v)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxPayload {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("%d bytes, a payload holds at most %d", len(b), MaxPayload))
	}
	return b, nil
}

// withoutNil copies v with every nil slice replaced by an empty one and every
// nil raw message by an empty object. Values without exported fields are left
// as they are; they encode themselves.
func withoutNil(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(withoutNil(v.Elem()))
		return c
	case reflect.Struct:
		c := reflect.New(v.Type()).Elem()
		c.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				c.Field(i).Set(withoutNil(v.Field(i)))
			}
		}
		return c
	case reflect.Slice:
		return sliceWithoutNil(v)
	}
	return v
}

func sliceWithoutNil(v reflect.Value) reflect.Value {
	t := v.Type()
	switch {
	case t == rawMessage && v.Len() == 0:
		return reflect.ValueOf(json.RawMessage("{}"))
	case v.IsNil():
		return reflect.MakeSlice(t, 0, 0)
	case t.Elem().Kind() == reflect.Uint8:
		return v
	}
	c := reflect.MakeSlice(t, v.Len(), v.Len())
	for i := range v.Len() {
		c.Index(i).Set(withoutNil(v.Index(i)))
	}
	return c
}
