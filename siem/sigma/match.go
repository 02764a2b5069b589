package sigma

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"unsafe"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

// Match calls emit once for each rule that applies to one of the event's
// sources and holds for the event in v, in the order in which the rules were
// compiled.
func (e *Engine) Match(v *View, sources []Logsource, emit func(Match)) {
	v.gather(sources)
	for _, i := range v.rules {
		if v.eval(e.conds[i]) {
			emit(Match{e.rules[i], e.alerts[i], e, v, i})
		}
	}
}

// gather lays the event out for its sources and notes the rules that are worth
// asking, in order.
func (v *View) gather(sources []Logsource) {
	s := v.seat(sources)
	p := s.ready(v.eng)
	v.nextTurn()
	v.hits = s.hits
	v.lay(p)
	v.words(p)
	v.take(p.always)
	slices.Sort(v.rules)
}

// takeFor notes the rules of an atom that was found.
func (v *View) takeFor(p *postings, text int32) {
	v.hits[p.base+text]++
	v.take(p.rules[p.from[text]:p.from[text+1]])
}

// take notes rules that are worth asking.
func (v *View) take(rules []int32) {
	for _, r := range rules {
		if v.ran[r] != v.turn {
			v.ran[r] = v.turn
			v.rules = append(v.rules, r)
		}
	}
}

// lay puts the event's values into the slots that a program asks about, and
// notes the rules whose witnesses are there.
func (v *View) lay(p *program) {
	for i := range v.vals {
		val := &v.vals[i]
		if val.Path == scan.None {
			continue
		}
		feeds := p.feeds.of(val.Path)
		if len(feeds) == 0 || !v.eng.mayClaim(val) {
			continue
		}
		for _, f := range feeds {
			first, ok := v.enter(f.slot, int32(i), val)
			if !ok || f.index < 0 {
				continue
			}
			ix := &p.indexes[f.index]
			if first && len(ix.here.from) > 0 {
				v.takeFor(&ix.here, 0)
			}
			if val.Kind.Scalar() {
				v.probe(ix, int32(i))
			}
		}
	}
}

// layAll puts the event's values into every slot that takes them.
func (v *View) layAll() {
	v.nextTurn()
	for i := range v.vals {
		val := &v.vals[i]
		if val.Path == scan.None || !v.eng.mayClaim(val) {
			continue
		}
		for _, id := range v.eng.pathSlots[val.Path] {
			v.enter(id, int32(i), val)
		}
	}
}

// enter puts a value into a slot, if what the receiver says does not keep it
// out, and tells whether it is the first one there.
func (v *View) enter(id, i int32, val *scan.Value) (first, ok bool) {
	s, ours := &v.slots[id], val.Flags&scan.Vouched != 0
	at := int32(len(v.links))
	if s.turn != v.turn {
		*s = slot{turn: v.turn, first: at, last: at, fixed: ours}
		v.links = append(v.links, link{i, -1})
		return true, true
	}
	if s.fixed != ours {
		return false, false
	}
	v.links = append(v.links, link{i, -1})
	v.links[s.last].next = at
	s.last = at
	return false, true
}

// probe takes the rules whose witnesses are in a value. Long values, which have
// most of an event's bytes, are not folded for it where they can be looked
// through as they stand.
func (v *View) probe(ix *index, i int32) {
	val := &v.vals[i]
	if ix.ends != nil {
		v.probeEnds(ix, v.edges(ix.ends, i))
		if ix.numbers {
			v.probeNumber(ix, i)
		}
	}
	if ix.parts == nil || !v.hasFolded(i) && ix.parts.Raw() && asItStands(val) && !ix.parts.Maybe(val.Raw) {
		return
	}
	ix.parts.Find(v.folded(i), &v.found)
	for _, text := range v.found.Texts {
		v.takeFor(&ix.parted, text)
	}
}

// edges is a folded value without its middle, where that is so long that no
// text reaches into it.
func (v *View) edges(ends *needle.Ends, i int32) []byte {
	val, side := &v.vals[i], 2*ends.Longest()+2
	if len(val.Raw) <= 4*side || v.hasFolded(i) || val.Flags&(scan.Unicode|scan.High|scan.Vouched) != 0 {
		return v.folded(i)
	}
	head, tail := betweenEscapes(val.Raw, side), betweenEscapes(val.Raw, len(val.Raw)-side)
	n := len(v.buf)
	v.buf = scan.AppendFolded(scan.AppendFolded(v.buf, val.Raw[:head]), val.Raw[tail:])
	return v.buf[n:]
}

// betweenEscapes is a place near at where raw, which has no escapes by number,
// can be cut.
func betweenEscapes(raw []byte, at int) int {
	from := at
	for from > 0 && raw[from-1] == '\\' {
		from--
	}
	return at - (at-from)&1
}

// asItStands reports whether each letter of ASCII that the folded value has is in
// its bytes. There are a few others that become one when they are folded.
func asItStands(val *scan.Value) bool {
	if val.Flags&(scan.Unicode|scan.Vouched) != 0 {
		return false
	}
	return val.Flags&scan.High == 0 || !becomesASCII(val.Raw)
}

func (v *View) probeEnds(ix *index, value []byte) {
	ix.ends.Find(value, &v.found)
	for _, text := range v.found.Texts {
		v.takeFor(&ix.endings, text)
	}
}

// probeNumber looks for a number that is written in another way than rules
// write it.
func (v *View) probeNumber(ix *index, i int32) {
	text := v.text(i)
	if len(text) == 0 || text[0] > '9' || usual(text) {
		return
	}
	if f, ok := decimal(text); ok {
		var room [32]byte
		v.probeEnds(ix, appendNumber(room[:0], f))
	}
}

// usual reports whether a number is written as [appendNumber] would.
func usual(text []byte) bool {
	return len(text) <= exactDigits && run(text) == len(text) && (text[0] != '0' || len(text) == 1)
}

// words takes the rules whose keywords are anywhere in the event. The objects
// are looked at as they came first: in nearly all of them there is nothing.
// Values whose bytes do not stand for themselves are looked at one by one.
func (v *View) words(p *program) {
	w := &p.words
	if w.parts == nil {
		return
	}
	all := !w.parts.Raw() || v.anywhere(w.parts)
	for i := range v.vals {
		if !v.says(int32(i)) || !all && asItStands(&v.vals[i]) {
			continue
		}
		w.parts.Find(v.folded(int32(i)), &v.found)
		for _, text := range v.found.Texts {
			v.takeFor(&w.rules, text)
		}
	}
}

// anywhere reports whether one of the texts may stand in what was loaded.
func (v *View) anywhere(parts *needle.Set) bool {
	for _, object := range v.objects {
		if parts.Maybe(object) {
			return true
		}
	}
	return false
}

func (v *View) eval(c *cond) bool {
	switch c.op {
	case opLeaf:
		return v.ask(c.pred)
	case opNot:
		return !v.eval(c.kids[0])
	case opAnd:
		for _, k := range c.kids {
			if !v.eval(k) {
				return false
			}
		}
		return true
	}
	for _, k := range c.kids {
		if v.eval(k) {
			return true
		}
	}
	return false
}

// ask answers a predicate, once a turn.
func (v *View) ask(id int32) bool {
	if v.asked[id] != v.turn {
		v.asked[id] = v.turn
		v.answer[id] = v.find(id)
	}
	return v.answer[id]
}

func (v *View) find(id int32) bool {
	p, at := v.eng.preds[id], v.eng.predSlot[id]
	if at < 0 {
		return v.anyValue(p)
	}
	switch p.test {
	case testRegex:
		n := v.eng.premises[id]
		return v.anyIn(at, func(i int32) bool { return !v.null(i) && n.met(v.folded(i)) && v.holds(p, i, -1) })
	case testAnyOf:
		g := v.eng.any[id]
		return v.anyIn(at, func(i int32) bool { return !v.null(i) && g.holds(v.folded(i), &v.found) })
	}
	return v.anyIn(at, func(i int32) bool { return v.holds(p, i, v.eng.predRef[id]) })
}

// anyIn reports whether fn holds for a value of a slot.
func (v *View) anyIn(id int32, fn func(i int32) bool) bool {
	s := &v.slots[id]
	if s.turn != v.turn {
		return false
	}
	for at := s.first; at >= 0; at = v.links[at].next {
		if fn(v.links[at].value) {
			return true
		}
	}
	return false
}

// holds asks about one value; ref is the slot that a reference compares with.
func (v *View) holds(p *predicate, i, ref int32) bool {
	if v.null(i) {
		return p.test == testExists
	}
	switch p.test {
	case testRef:
		return ref >= 0 && v.anyIn(ref, func(k int32) bool {
			return !v.null(k) && p.refers(v.form(p, i), v.form(p, k))
		})
	case testCIDR:
		addr, ok := v.address(i)
		return ok && p.net.Contains(addr)
	}
	if p.test == testContains {
		return strings.Contains(borrowed(v.form(p, i)), p.text)
	}
	return p.holds(v.form(p, i))
}

// form is the value as p reads it.
func (v *View) form(p *predicate, i int32) []byte {
	if p.original() {
		return v.text(i)
	}
	return v.folded(i)
}

// anyValue looks for a keyword in everything that the event itself says.
func (v *View) anyValue(p *predicate) bool {
	for i := range v.vals {
		if v.says(int32(i)) && p.holds(v.form(p, int32(i))) {
			return true
		}
	}
	return false
}

// null reports whether a value is there and says nothing.
func (v *View) null(i int32) bool { return !v.vals[i].Kind.Scalar() }

// says reports whether a value is something that the event itself says.
func (v *View) says(i int32) bool {
	return !v.null(i) && v.vals[i].Flags&scan.Vouched == 0
}

// readAddress reads an address as logs write it, in brackets or not.
func readAddress(s []byte) (netip.Addr, bool) {
	if len(s) == 0 || len(s) > 64 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(borrowed(bytes.Trim(s, "[]")))
	return addr.Unmap().WithZone(""), err == nil
}

// borrowed is a string over bytes of the view, for functions that only want
// strings and keep none.
func borrowed(s []byte) string {
	return unsafe.String(unsafe.SliceData(s), len(s)) //nolint:gosec // the bytes outlive the call and don't change in it
}
