package sigma

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

// How much of an event is told: an event of ten megabytes is not told once for
// each rule that asks about it.
const (
	maxHave      = 8
	maxHaveBytes = 4 << 10
)

// explainer answers the questions of rules about the event in a view, each as
// the engine would.
type explainer struct {
	eng *Engine
	v   *View
	// slots finds the slot of a field by all the paths that share it.
	slots map[string]int32
	known map[fieldOf]have
	texts map[int32]string
}

type fieldOf struct {
	src   Logsource
	field string
}

// have is what an event has in a field.
type have struct {
	slot  int32
	texts []string
	names []string // the event's, one for each text
	null  bool
}

func newExplainer(e *Engine, v *View) *explainer {
	v.layAll()
	x := &explainer{eng: e, v: v, slots: make(map[string]int32), known: make(map[fieldOf]have), texts: make(map[int32]string)}
	paths := make([][]string, e.slotCount)
	for path, ids := range e.paths {
		for _, id := range ids {
			paths[id] = append(paths[id], path)
		}
	}
	for id, list := range paths {
		slices.Sort(list)
		x.slots[strings.Join(list, "\x00")] = int32(id)
	}
	return x
}

// slot is where the engine keeps a rule's field, -1 if nowhere.
func (x *explainer) slot(src Logsource, field string) int32 {
	paths := []string{field}
	if x.eng.opts.Aliases != nil {
		paths = append(paths, x.eng.opts.Aliases(src, field)...)
	}
	slices.Sort(paths)
	if id, ok := x.slots[strings.Join(slices.Compact(paths), "\x00")]; ok {
		return id
	}
	return -1
}

// have finds the event's values of a rule's field.
func (x *explainer) have(src Logsource, field string) have {
	key := fieldOf{src, field}
	if h, ok := x.known[key]; ok {
		return h
	}
	h := have{slot: x.slot(src, field)}
	x.each(h.slot, func(i int32) bool {
		if x.v.null(i) {
			h.null = true
		} else if len(h.texts) < maxHave {
			h.texts, h.names = append(h.texts, x.text(i)), append(h.names, x.name(i))
		}
		return false
	})
	x.known[key] = h
	return h
}

// each calls fn with the values of a slot until it returns true.
func (x *explainer) each(slot int32, fn func(i int32) bool) bool {
	return slot >= 0 && x.v.anyIn(slot, fn)
}

// text is the beginning of a value, made once.
func (x *explainer) text(i int32) string {
	if s, ok := x.texts[i]; ok {
		return s
	}
	b := x.v.text(i)
	if len(b) > maxHaveBytes {
		n := maxHaveBytes
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		b = b[:n]
	}
	x.texts[i] = string(b)
	return x.texts[i]
}

// name is the path of a value in the event, "" for one that no rule asks for.
func (x *explainer) name(i int32) string {
	if path := x.v.vals[i].Path; path != scan.None {
		return x.eng.table.Name(path)
	}
	return ""
}

// holds answers an expression about the rule's event.
func (x *explainer) holds(src Logsource, e *expr) bool {
	switch e.op {
	case opLeaf:
		return x.ask(src, e.leaf)
	case opNot:
		return !x.holds(src, e.kids[0])
	case opAnd:
		return !slices.ContainsFunc(e.kids, func(k *expr) bool { return !x.holds(src, k) })
	}
	return slices.ContainsFunc(e.kids, func(k *expr) bool { return x.holds(src, k) })
}

func (x *explainer) ask(src Logsource, p *predicate) bool {
	if p.field == "" {
		return x.v.anyValue(p)
	}
	ref := int32(-1)
	if p.test == testRef {
		ref = x.have(src, p.other).slot
	}
	return x.each(x.have(src, p.field).slot, func(i int32) bool { return x.v.holds(p, i, ref) })
}

// saying lists what of the event a keyword stands in.
func (x *explainer) saying(e *expr) (h have) {
	for i := range x.v.vals {
		at := int32(i)
		if len(h.texts) < maxHave && x.v.says(at) && anyLeaf(e, func(p *predicate) bool { return p.field == "" && p.holds(x.v.form(p, at)) }) {
			h.texts, h.names = append(h.texts, x.text(at)), append(h.names, x.name(at))
		}
	}
	return h
}

func anyLeaf(e *expr, fn func(*predicate) bool) bool {
	if e.op == opLeaf {
		return fn(e.leaf)
	}
	return slices.ContainsFunc(e.kids, func(k *expr) bool { return anyLeaf(k, fn) })
}
