package sigma

import "slices"

// Route says how an event that no normaliser has seen is told apart: an event
// of which all of When hold belongs to Sources. Every route that holds counts,
// so an event may belong to several logsources.
type Route struct {
	When    []Mark
	Sources []Logsource
}

// Mark is a field that has one of the values, ignoring case; without values, a
// field that is there.
type Mark struct {
	Field  string
	Values []string
}

// Field is one named value of a match.
type Field struct{ Name, Value string }

// routed is a [Route] over slots.
type routed struct {
	marks   []mark
	sources []Logsource
}

type mark struct {
	slot   int32
	values []string // lowered
}

func (c *compiler) routes(all []Route) {
	for _, r := range all {
		out := routed{sources: r.Sources}
		for _, m := range r.When {
			values := make([]string, len(m.Values))
			for i, val := range m.Values {
				values[i] = lower(val)
			}
			out.marks = append(out.marks, mark{c.slot(Logsource{}, m.Field), values})
		}
		c.e.routed = append(c.e.routed, out)
	}
}

func (v *View) marked(marks []mark) bool {
	for _, m := range marks {
		if !v.hasMark(m) {
			return false
		}
	}
	return true
}

func (v *View) hasMark(m mark) bool {
	s := v.slots[m.slot]
	if s.epoch != v.epoch {
		return false
	}
	for i := s.first; i >= 0; i = v.vals[i].next {
		if val := &v.vals[i]; !val.null && (len(m.values) == 0 || slices.Contains(m.values, string(v.lowered(val)))) {
			return true
		}
	}
	return false
}
