package reference

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// question is one value of an item, with its modifiers.
type question func(*Rule, *Event) bool

var (
	comparisons = map[string]func(a, b float64) bool{
		"gt":  func(a, b float64) bool { return a > b },
		"gte": func(a, b float64) bool { return a >= b },
		"lt":  func(a, b float64) bool { return a < b },
		"lte": func(a, b float64) bool { return a <= b },
	}
	encodings = []string{"base64", "base64offset", "utf16le", "utf16be", "utf16", "wide"}
	decimal   = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// question reads one value [Rules, Value Modifiers, Special Field Values].
func (it item) question(v any, placeholders map[string][]string) (question, error) {
	switch v.(type) {
	case map[string]any, []any:
		return nil, errors.New("a value must be a scalar")
	}
	if it.has("expand") {
		return it.filled(v, placeholders)
	}
	if part := it.timePart(); part != nil {
		return it.time(v, part)
	}
	switch {
	case it.has("exists"):
		return it.exists(v)
	case v == nil:
		return func(r *Rule, e *Event) bool { return len(e.at(r.paths(it.field))) == 0 }, nil
	case it.has("re"):
		return it.regex(v)
	case it.has("cidr"):
		return it.network(v)
	case it.has("fieldref"):
		return it.reference(v)
	}
	for _, mod := range it.mods {
		if compare, ok := comparisons[mod]; ok {
			return it.compare(v, compare)
		}
	}
	if n, ok := number(text(v)); ok && it.asksNumber(v) {
		return it.any(func(val *value) bool {
			m, ok := number(val.text)
			return val.text == text(v) || ok && m == n
		}), nil
	}
	return it.textual(v)
}

// any asks every value of the field, or of the whole event where there is none
// [Rules, Keywords search].
func (it item) any(holds func(*value) bool) question {
	return func(r *Rule, e *Event) bool {
		if it.field == "" {
			return slices.ContainsFunc(e.everywhere(), holds)
		}
		return slices.ContainsFunc(e.at(r.paths(it.field)), holds)
	}
}

// text is a scalar of the rule as text.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// asksNumber: a number of the rule that no modifier makes a text.
func (it item) asksNumber(v any) bool {
	switch v.(type) {
	case string, bool:
		return false
	}
	for _, mod := range it.mods {
		if slices.Contains(append([]string{"contains", "startswith", "endswith"}, encodings...), mod) {
			return false
		}
	}
	return it.field != ""
}

// number reads a decimal number; what is too large for 64 bits is infinite.
func number(s string) (float64, bool) {
	if !decimal.MatchString(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

func (it item) exists(v any) (question, error) {
	want, err := strconv.ParseBool(text(v))
	return func(r *Rule, e *Event) bool { return e.has(r.paths(it.field)) == want }, err
}

// regex [Modifiers, Regular Expression]: case counts, found anywhere.
func (it item) regex(v any) (question, error) {
	flags := ""
	for _, mod := range it.mods {
		if mod == "i" || mod == "m" || mod == "s" {
			flags += mod
		}
	}
	src := text(v)
	if flags != "" {
		src = "(?" + flags + ")" + src
	}
	re, err := regexp.Compile(src)
	return it.any(func(val *value) bool { return re.MatchString(val.text) }), err
}

// network [Modifiers, IP Modifiers].
func (it item) network(v any) (question, error) {
	net, err := netip.ParsePrefix(text(v))
	return it.any(func(val *value) bool {
		addr, err := netip.ParseAddr(strings.Trim(val.text, "[]"))
		return err == nil && net.Contains(addr.WithZone("").Unmap())
	}), err
}

// compare [Modifiers, Numeric Modifiers].
func (it item) compare(v any, holds func(a, b float64) bool) (question, error) {
	limit, ok := number(text(v))
	if !ok {
		return nil, errors.New("not a number")
	}
	return it.any(func(val *value) bool {
		n, ok := number(val.text)
		return ok && holds(n, limit)
	}), nil
}

// reference [Modifiers, Specific Modifiers]: one field against another.
func (it item) reference(v any) (question, error) {
	return func(r *Rule, e *Event) bool {
		for _, a := range e.at(r.paths(it.field)) {
			for _, b := range e.at(r.paths(text(v))) {
				x, y := a.folded, b.folded
				if it.has("cased") {
					x, y = a.text, b.text
				}
				if it.has("contains") && strings.Contains(x, y) ||
					it.has("startswith") && strings.HasPrefix(x, y) ||
					it.has("endswith") && strings.HasSuffix(x, y) || x == y {
					return true
				}
			}
		}
		return false
	}, nil
}

// textual applies the text modifiers in the order in which they stand
// [Rules, Value Modifiers; Modifiers, String Modifiers, Encoding].
func (it item) textual(v any) (question, error) {
	patterns := [][]piece{parsePattern(text(v))}
	for _, mod := range it.mods {
		var err error
		switch {
		case mod == "windash":
			for i := range patterns {
				patterns[i] = windash(patterns[i])
			}
		case slices.Contains(encodings, mod):
			patterns, err = encodeAll(mod, patterns)
		}
		if err != nil {
			return nil, err
		}
	}
	cased := it.has("cased")
	var any []func(string) bool
	for _, p := range patterns {
		if p = it.opened(p); !cased {
			p = foldPattern(p)
		}
		any = append(any, matcher(p))
	}
	return it.any(func(val *value) bool {
		s := val.folded
		if cased {
			s = val.text
		}
		return slices.ContainsFunc(any, func(holds func(string) bool) bool { return holds(s) })
	}), nil
}

// opened adds the wildcards of contains, startswith and endswith
// [Modifiers, Generic Modifiers].
func (it item) opened(p []piece) []piece {
	keyword := it.field == "" && !it.has("startswith") && !it.has("endswith")
	if keyword || it.has("contains") || it.has("endswith") {
		p = append([]piece{{kind: '*'}}, p...)
	}
	if keyword || it.has("contains") || it.has("startswith") {
		p = append(slices.Clone(p), piece{kind: '*'})
	}
	return p
}

// filled puts the values of placeholders in their places, any of which is
// enough; where one has no value nothing holds [Rules, Placeholders].
func (it item) filled(v any, placeholders map[string][]string) (question, error) {
	it.mods = slices.DeleteFunc(slices.Clone(it.mods), func(m string) bool { return m == "expand" })
	texts := []string{text(v)}
	for _, name := range regexp.MustCompile(`%([A-Za-z0-9_.-]+)%`).FindAllStringSubmatch(text(v), -1) {
		var next []string
		for _, t := range texts {
			for _, val := range placeholders[name[1]] {
				next = append(next, strings.Replace(t, name[0], val, 1))
			}
		}
		texts = next
	}
	var any []question
	for _, t := range texts {
		q, err := it.question(t, nil)
		if err != nil {
			return nil, err
		}
		any = append(any, q)
	}
	return func(r *Rule, e *Event) bool {
		for _, q := range any {
			if q(r, e) {
				return true
			}
		}
		return it.has("neq") && len(any) == 0
	}, nil
}

// encodeAll encodes text; wildcards have no encoding.
func encodeAll(how string, patterns [][]piece) ([][]piece, error) {
	var out [][]piece
	for _, p := range patterns {
		for _, q := range spelledOut(p) {
			s, ok := plain(q)
			if !ok {
				return nil, errors.New("wildcards can't be encoded")
			}
			for _, enc := range encode(how, s) {
				out = append(out, []piece{{'t', enc}})
			}
		}
	}
	return out, nil
}

func encode(how, s string) []string {
	switch how {
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(s))}
	case "base64offset":
		return offsets(s)
	case "utf16be":
		return []string{utf16Bytes(s, 1)}
	case "utf16":
		return []string{"\xff\xfe" + utf16Bytes(s, 0)}
	}
	return []string{utf16Bytes(s, 0)}
}

// offsets: what of the encoding of s no neighbour can change, for each of the
// three places at which s can begin in a text. A letter of base64 is six bits,
// so it belongs to s alone if all of them are s's.
func offsets(s string) []string {
	var out []string
	for before := range 3 {
		all := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + s + "\x00\x00"))
		var own strings.Builder
		for i := range len(all) {
			if 6*i >= 8*before && 6*i+6 <= 8*(before+len(s)) {
				own.WriteByte(all[i])
			}
		}
		out = append(out, own.String())
	}
	return out
}

// utf16Bytes writes each unit as two bytes, the low one at position low.
func utf16Bytes(s string, low int) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		pair := [2]byte{}
		pair[low], pair[1-low] = byte(u), byte(u>>8)
		out = append(out, pair[:]...)
	}
	return string(out)
}
