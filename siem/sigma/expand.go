package sigma

import (
	"regexp"
	"slices"
	"strings"
)

// hole is a value with placeholders, to be filled when rules are compiled.
type hole struct {
	field string
	m     modifiers
	value *node
	parts []part
}

// part is a piece of a value: text, or the name of a placeholder.
type part struct{ text, name string }

// maxExpansion bounds the values that one value with placeholders becomes.
const maxExpansion = 10_000

// placeholdersIn names the placeholders of a value.
func placeholdersIn(s string) []string {
	var out []string
	for _, p := range splitPlaceholders(s) {
		if p.name != "" && !slices.Contains(out, p.name) {
			out = append(out, p.name)
		}
	}
	return out
}

// splitPlaceholders cuts a value at its placeholders: %name%. A percent sign
// after a backslash is a percent sign.
func splitPlaceholders(s string) []part {
	var out []part
	var text strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], `\%`):
			text.WriteByte('%')
			i += 2
			continue
		case s[i] == '%':
			if n := nameLength(s[i+1:]); n > 0 {
				out = append(out, part{text: text.String()}, part{name: s[i+1 : i+1+n]})
				text.Reset()
				i += n + 2
				continue
			}
		}
		text.WriteByte(s[i])
		i++
	}
	return append(out, part{text: text.String()})
}

// nameLength is the length of a placeholder's name that ends with a percent
// sign, 0 where there is none.
func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '%':
			return i
		case c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z'):
			return 0
		}
	}
	return 0
}

// open keeps a value until its placeholders are known.
func (m *modifiers) open(field string, v *node, parts []part) *expr {
	e := never()
	e.hole = &hole{field: field, m: *m, value: v, parts: parts}
	e.hole.m.budget = nil // that of the file is done with when the hole is filled
	return e.named(labelValue, v.text, v.at)
}

// fill is the expression that the hole stands for. Without a value for one of
// its placeholders it holds for nothing, also with `neq`.
func (h *hole) fill(values map[string][]string, b *budget) (*expr, error) {
	texts := []string{""}
	for _, p := range h.parts {
		add := []string{p.text}
		if p.name != "" {
			add = h.written(values[p.name])
		}
		if len(texts)*len(add) > maxExpansion {
			return nil, bad(h.value.at, "its placeholders make more than %d values of %q; write fewer placeholders into one value", maxExpansion, h.value.text)
		}
		var next []string
		for _, t := range texts {
			for _, a := range add {
				next = append(next, t+a)
			}
		}
		texts = next
	}
	if len(texts) == 0 {
		return never(), nil
	}
	if err := b.ask(len(texts), h.value.at); err != nil {
		return nil, err
	}
	return h.each(texts, b)
}

// written is how values stand in the item: as they are, but in a regular
// expression as plain text.
func (h *hole) written(values []string) []string {
	if !h.m.re {
		return values
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = regexp.QuoteMeta(v)
	}
	return out
}

func (h *hole) each(texts []string, b *budget) (*expr, error) {
	m := h.m
	m.expand, m.budget = false, b
	kids := make([]*expr, 0, len(texts))
	for _, t := range texts {
		e, err := m.expression(h.field, &node{kind: kindString, at: h.value.at, text: t})
		if err != nil {
			return nil, err
		}
		kids = append(kids, e)
	}
	if m.neq {
		return and(kids...), nil
	}
	return or(kids...), nil
}

// filled is e with its holes filled; e itself where it has none.
func (e *expr) filled(values map[string][]string, b *budget) (*expr, error) {
	if e.hole != nil {
		f, err := e.hole.fill(values, b)
		if err != nil {
			return nil, err
		}
		return &expr{op: f.op, kids: f.kids, leaf: f.leaf, label: e.label}, nil
	}
	var kids []*expr
	for i, k := range e.kids {
		f, err := k.filled(values, b)
		if err != nil {
			return nil, err
		}
		if f != k && kids == nil {
			kids = slices.Clone(e.kids)
		}
		if kids != nil {
			kids[i] = f
		}
	}
	if kids == nil {
		return e, nil
	}
	out := *e
	out.kids = kids
	return &out, nil
}

// holes calls fn for each value that waits for placeholders.
func (e *expr) holes(fn func(*hole)) {
	if e.hole != nil {
		fn(e.hole)
	}
	for _, k := range e.kids {
		k.holes(fn)
	}
}

// Placeholders names the placeholders that the rule's values wait for, in the
// order in which they stand. An item whose placeholder has no values in
// [Options.Placeholders] holds for no event.
func (r *Rule) Placeholders() []string {
	var out []string
	e := r.asks()
	if e == nil {
		return nil
	}
	e.holes(func(h *hole) {
		for _, name := range placeholdersIn(h.value.text) {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	})
	return out
}

// ParsePlaceholders reads the values of placeholders from a YAML file: a map
// from each name to its value or a list of them, for [Options.Placeholders].
func ParsePlaceholders(file string, data []byte) (map[string][]string, error) {
	docs, err := parseYAML(data)
	if err != nil {
		rep := &report{}
		rep.add(err)
		return nil, rep.sorted(file)[0].error()
	}
	if len(docs) != 1 || docs[0].kind != kindMap {
		return nil, inFile(file, bad(Pos{1, 1}, "the file must be one map; write for example `Administrators: [anna, adm_*]`"))
	}
	out := make(map[string][]string, len(docs[0].pairs))
	for _, p := range docs[0].pairs {
		name := strings.Trim(p.key, "%")
		if nameLength(name+"%") == 0 {
			return nil, inFile(file, bad(p.at, "%q is no name of a placeholder; write letters, digits, `_`, `-` and `.`", p.key))
		}
		if out[name], err = textsOf(p); err != nil {
			return nil, inFile(file, err)
		}
	}
	return out, nil
}
