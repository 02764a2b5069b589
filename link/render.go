package link

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// RenderOrder is the text that an approver reads before signing, made from the
// exact bytes that will be signed and from nothing else (TRUST F02). Every
// field stands on a line of its own; whatever could move the cursor, change
// direction or hide is written as an escape, so that no text in the order can
// draw another order.
func RenderOrder(payload []byte) (string, error) {
	o, params, err := decodeOrder(payload)
	if err != nil {
		return "", err
	}
	row, known := DirectionOf(o.Type)
	if !known {
		return "", unknownType("link.RenderOrder", o.Type)
	}
	var out strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "  %-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&out, "ORDER %s: %s (%s)\n", strings.ToUpper(string(o.Type)), row.Note, row.Direction)
	line("device", "%s", o.Device)
	line("site", "%s", o.Site)
	line("tenant", "%s", o.Tenant)
	for _, l := range o.Latches {
		line("opens latch", "%s", l)
	}
	renderParams(params, line)
	line("requested by", "%s", o.Requester)
	line("reason", "%s", quote(o.Reason))
	line("incident", "%s", quote(o.Incident))
	line("issued", "%s", stamp(o.Issued))
	line("expires", "%s (valid for %s)", stamp(o.Expires), o.life())
	line("needs", "role %s", row.Role)
	line("trust root", "version %d", o.RootVersion)
	line("epoch", "%s", orNone(o.Epoch))
	line("counter", "%d", o.Counter)
	line("order id", "%s", o.ID)
	line("sha256", "%x", sha256.Sum256(payload))
	return out.String(), nil
}

// renderParams writes each parameter by its JSON name.
func renderParams(params any, line func(name, format string, args ...any)) {
	v := reflect.ValueOf(params).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		switch value := v.Field(i).Interface().(type) {
		case int64:
			line(name, "%s", number(name, value))
		case uint64:
			line(name, "%d", value)
		case []string:
			for _, s := range value {
				line(name, "%s", quote(s))
			}
		default:
			line(name, "%s", quoteOr(unset[name], fmt.Sprint(value)))
		}
	}
}

// unset says what a parameter means that is left out, where that is not nothing.
var unset = map[string]string{"point": "(the whole sensor)", "from": "(at once)"}

func number(name string, value int64) string {
	switch {
	case name == "from" && value == 0:
		return unset[name]
	case name == "from" || name == "until":
		return stamp(value)
	}
	return fmt.Sprint(value)
}

func quoteOr(meaning, s string) string {
	if s == "" && meaning != "" {
		return meaning
	}
	return quote(s)
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// quote writes text of strangers. Only what prints as itself stays; combining
// marks go too, because a pile of them covers the lines around.
func quote(s string) string {
	if s == "" {
		return "(none)"
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case !unicode.IsPrint(r) || unicode.Is(unicode.M, r):
			fmt.Fprintf(&out, `\u{%X}`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
