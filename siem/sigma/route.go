package sigma

import (
	"encoding/binary"
	"slices"

	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

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

// routed is a [Route] over numbers.
type routed struct {
	when    []when
	sources []Logsource
}

// when is a mark: a field that has one of the values, or, without values, any.
type when struct {
	mark   uint16
	values []uint16
}

// marks numbers the fields that routes ask about, and the values that they ask
// for: those of all other values are alike to them, so that there are few kinds
// of events.
type marks struct {
	slots  []int32
	values []map[string]uint16 // by mark; 0 is any other
	byPath [][]uint16          // by the table's number
}

// otherValue is the number of what no route asks for.
const otherValue = 0

func (c *compiler) routes(all []Route) {
	for _, r := range all {
		out := routed{sources: r.Sources}
		for _, m := range r.When {
			out.when = append(out.when, c.e.marks.when(c.slot(Logsource{}, m.Field), m.Values))
		}
		c.e.routed = append(c.e.routed, out)
	}
}

func (m *marks) when(slot int32, values []string) when {
	at := slices.Index(m.slots, slot)
	if at < 0 {
		at = len(m.slots)
		m.slots = append(m.slots, slot)
		m.values = append(m.values, make(map[string]uint16))
	}
	w := when{mark: uint16(at)}
	for _, val := range values {
		id, ok := m.values[at][lower(val)]
		if !ok {
			id = uint16(len(m.values[at]) + 1)
			m.values[at][lower(val)] = id
		}
		w.values = append(w.values, id)
	}
	return w
}

// finishRoutes finds the marks of every path.
func (e *Engine) finishRoutes() {
	e.marks.byPath = make([][]uint16, e.table.Len())
	for mark, slot := range e.marks.slots {
		for _, path := range e.slotPaths[slot] {
			e.marks.byPath[path] = append(e.marks.byPath[path], uint16(mark))
		}
	}
}

// maxKinds bounds what strangers' events can make a view remember.
const maxKinds = 1024

// longestKind is the kind of an event that is worth remembering: one whose
// marks have a few values and not thousands.
const longestKind = 256

// router finds the logsources of events. An event's kind is what its marks say,
// as bytes; what follows from it is worked out once.
type router struct {
	kinds map[string]*routing
	kind  []byte
	state []markState
	epoch uint32
	last  *routing // of the event at hand, nil until it was asked for
}

type markState struct {
	epoch uint32
	fixed bool
}

// routing is what is known of a kind of events.
type routing struct {
	sources []Logsource
	seat    *seat
}

func (r *router) init(e *Engine) {
	r.kinds = make(map[string]*routing)
	r.state = make([]markState, len(e.marks.slots))
}

func (r *router) reset() { r.last = nil }

// forget drops the programs, which have been forgotten elsewhere.
func (r *router) forget() {
	for _, k := range r.kinds {
		k.seat = nil
	}
	if r.last != nil {
		r.last.seat = nil
	}
}

// Sources lists the logsources that [Options.Routes] find for the event that was
// loaded, none where no route holds. The list is the view's own and must not be
// changed.
func (v *View) Sources() []Logsource {
	r := &v.router
	if r.last != nil {
		return r.last.sources
	}
	v.readKind()
	known, ok := r.kinds[string(r.kind)]
	if !ok {
		known = &routing{sources: v.sourcesOf(r.kind)}
		if len(r.kinds) >= maxKinds {
			clear(r.kinds)
		}
		if len(r.kind) <= longestKind {
			r.kinds[string(r.kind)] = known
		}
	}
	r.last = known
	return known.sources
}

// readKind lists the marks of the event and their values.
func (v *View) readKind() {
	r := &v.router
	r.kind = r.kind[:0]
	if r.epoch++; r.epoch == 0 {
		clear(r.state)
		r.epoch = 1
	}
	for i := range v.vals {
		val := &v.vals[i]
		if val.Path == scan.None || len(v.eng.marks.byPath[val.Path]) == 0 || !v.eng.mayClaim(val) {
			continue
		}
		for _, mark := range v.eng.marks.byPath[val.Path] {
			s, ours := &r.state[mark], val.Flags&scan.Vouched != 0
			if s.epoch == r.epoch && s.fixed != ours {
				continue
			}
			*s = markState{r.epoch, ours}
			if val.Kind.Scalar() {
				r.add(mark, v.eng.marks.values[mark][string(v.folded(int32(i)))])
			}
		}
	}
}

// add notes a mark's value, once if it comes again at once.
func (r *router) add(mark, value uint16) {
	pair := [4]byte{byte(mark), byte(mark >> 8), byte(value), byte(value >> 8)}
	if n := len(r.kind); n < 4 || [4]byte(r.kind[n-4:]) != pair {
		r.kind = append(r.kind, pair[:]...)
	}
}

// sourcesOf asks every route.
func (v *View) sourcesOf(kind []byte) []Logsource {
	var out []Logsource
	for _, r := range v.eng.routed {
		if r.holds(kind) {
			out = append(out, r.sources...)
		}
	}
	return out
}

func (r *routed) holds(kind []byte) bool {
	for _, w := range r.when {
		if !w.holds(kind) {
			return false
		}
	}
	return true
}

func (w when) holds(kind []byte) bool {
	for ; len(kind) >= 4; kind = kind[4:] {
		mark, value := binary.LittleEndian.Uint16(kind), binary.LittleEndian.Uint16(kind[2:])
		if mark == w.mark && (len(w.values) == 0 || value != otherValue && slices.Contains(w.values, value)) {
			return true
		}
	}
	return false
}
