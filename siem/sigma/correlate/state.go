package correlate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

const sliding = sigma.Sliding

// maxText is how much of a group's or a counted value is kept as it is; a
// longer one is told apart by its hash.
const maxText = 128

// State is what all correlations of an engine remember. It belongs to one
// goroutine.
type State struct {
	cfg       Config
	plans     []*plan
	feeds     map[*sigma.Rule][]feed
	groups    map[string]*group
	watermark int64

	heaps      [classes]heap
	texts      texts
	bytes      int64 // of groups
	classBytes [classes]int64

	dirty, dropped []*group
	stats          Stats
	buf            []byte
	scratch        scratch
}

// New makes an empty state for an engine's correlations.
func New(e *sigma.Engine, c Config) *State {
	if c.Memory <= 0 {
		c.Memory = Memory
	}
	if c.Lateness <= 0 {
		c.Lateness = Lateness
	}
	s := &State{
		cfg: c, feeds: make(map[*sigma.Rule][]feed), groups: make(map[string]*group), watermark: math.MinInt64, texts: newTexts(),
	}
	for i, corr := range e.Correlations() {
		s.plans = append(s.plans, s.newPlan(i, corr))
	}
	s.link(e)
	return s
}

// Take counts one match, and calls emit for what fires because of it.
func (s *State) Take(f Fact, emit func(Firing)) {
	s.stats.Facts++
	at, received := microsOf(f.At), microsOf(f.Received)
	if f.At.IsZero() || at > received+Skew.Microseconds() {
		at = received
	}
	if received-at > s.cfg.Lateness.Microseconds() {
		s.stats.Late++
	}
	m := match{Fact: &f, at: at, received: received}
	feeds := s.feeds[f.Rule]
	for i := range feeds {
		s.feed(&feeds[i], &m, emit)
	}
	s.fit()
}

// match is a fact with its times settled.
type match struct {
	*Fact
	at, received int64
}

func (m *match) field(name string) (string, bool) {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			return m.Fields[i].Value, true
		}
	}
	return "", false
}

func (s *State) feed(f *feed, m *match, emit func(Firing)) {
	e, ok := s.entry(f, m)
	if !ok {
		f.plan.stats.Unreadable++
		return
	}
	g := s.group(f, m)
	trimmed := s.trim(g)
	k, ok := s.place(g, e)
	switch {
	case ok && k >= 0 && g.plan.rising:
		s.rise(g, k, m, emit)
	case ok || trimmed:
		s.settle(g)
	}
}

// place puts an entry where it belongs; false where it does not count. k is -1
// where it had to make room itself.
func (s *State) place(g *group, e entry) (k int, ok bool) {
	ok, over := g.admit(&e)
	if !ok {
		s.forget(g.plan, &e)
		return -1, false
	}
	if over >= 0 {
		e.flags |= g.es[over].flags & flagTold
		s.remove(g, func(i int, _ *entry) bool { return i == over })
	}
	k = g.insert(e)
	if s.makeRoom(g) {
		k = slices.IndexFunc(g.es, func(have entry) bool { return have.id == e.id && have.ref == e.ref })
	}
	return k, true
}

// forget lets go of an entry's texts.
func (s *State) forget(p *plan, e *entry) {
	s.texts.release(e.source, e.attempt)
	if p.corr.Kind == sigma.ValueCount && e.has(flagValue) {
		s.texts.release(uint32(e.val))
	}
}

// rise fires where the condition holds in a window that contains entry k.
func (s *State) rise(g *group, k int, m *match, emit func(Firing)) {
	lo, hi, ok := s.around(g, k, false)
	if !ok {
		s.settle(g)
		return
	}
	value, known := s.scratch.value, s.scratch.known
	if !known {
		value, _ = s.measure(g.plan, g.es[lo:hi], false)
	}
	forged := int(g.provs[unauthenticated])
	authentic := forged == 0
	if !authentic && forged < len(g.es) {
		_, _, authentic = s.around(g, k, true)
	}
	firing, fired := s.fire(g, g.es[lo:hi], value, authentic)
	s.settle(g)
	if fired {
		s.tell(g, &firing, m, emit)
	}
}

// entry is the fact as one correlation keeps it; false where it computes with
// numbers and there is none.
func (s *State) entry(f *feed, m *match) (entry, bool) {
	p := f.plan
	e := entry{id: m.Event, at: m.at, until: p.until(m.at, m.received, s.cfg.Lateness), ref: f.ref, prov: provenance(m.Provenance)}
	if p.corr.Kind.Numeric() {
		text, _ := m.field(f.values[0])
		v, ok := number(text)
		if !ok {
			return e, false
		}
		e.val, e.flags = math.Float64bits(v), flagValue
	}
	if p.corr.Kind == sigma.ValueCount {
		s.value(&e, f, m)
	}
	e.source = s.texts.keep(m.Source)
	if f.chain && p.corr.Kind.Temporal() {
		return e, true // every firing counts: the last one is what something follows
	}
	if attempt, ok := m.field(sigma.FieldAttempt); ok {
		e.attempt = s.texts.keep(shorten(attempt))
		if echo, _ := m.field(sigma.FieldEcho); echo == "true" {
			e.flags |= flagEcho
		}
	}
	return e, true
}

// value keeps what is counted. Of several fields each must be there.
func (s *State) value(e *entry, f *feed, m *match) {
	s.buf = s.buf[:0]
	for _, name := range f.values {
		v, ok := m.field(name)
		if !ok {
			return
		}
		s.buf = appendText(s.buf, v)
	}
	e.val, e.flags = uint64(s.texts.keepBytes(s.buf)), flagValue
}

func provenance(p core.Provenance) uint8 {
	for i, have := range core.Provenances {
		if p == have {
			return uint8(i)
		}
	}
	return unauthenticated
}

func appendText(b []byte, v string) []byte {
	v = shorten(v)
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// shorten keeps apart long values, and such as are no text, without keeping
// them.
func shorten(s string) string {
	if len(s) <= maxText && utf8.ValidString(s) {
		return s
	}
	h := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:min(len(s), maxText/2)], "\uFFFD") + "...sha256:" + hex.EncodeToString(h[:16])
}

// group finds or makes the group of a match. Its key is the correlation, the
// scope and each group-by field, told apart from one that is not there.
func (s *State) group(f *feed, m *match) *group {
	s.buf = binary.BigEndian.AppendUint16(s.buf[:0], uint16(f.plan.index))
	s.buf = binary.AppendUvarint(s.buf, uint64(len(m.Scope)))
	s.buf = append(s.buf, m.Scope...)
	for _, name := range f.group {
		v, ok := m.field(name)
		if !ok {
			s.buf = append(s.buf, 0)
			continue
		}
		s.buf = appendText(append(s.buf, 1), v)
	}
	if g, ok := s.groups[string(s.buf)]; ok {
		return g
	}
	return s.newGroup(f.plan, string(s.buf))
}

func (s *State) newGroup(p *plan, key string) *group {
	g := &group{plan: p, key: key, pos: -1, refs: make([]int32, len(p.corr.Refs))}
	s.groups[key] = g
	p.stats.Groups++
	return g
}

// keyOf says which group g is, as the owner names it.
func (s *State) keyOf(g *group) Key {
	b := []byte(g.key[2:])
	scope, b := cutText(b)
	k := Key{Scope: string(scope), Rule: g.plan.shape}
	var out []byte
	for sep := byte('['); len(b) > 0; sep = ',' {
		out = append(out, sep)
		there := b[0] == 1
		b = b[1:]
		if !there {
			out = append(out, "null"...)
			continue
		}
		var v []byte
		v, b = cutText(b)
		out = appendJSON(out, v)
	}
	if len(out) == 0 {
		out = append(out, '[')
	}
	k.Group = string(append(out, ']'))
	return k
}

func cutText(b []byte) (head, rest []byte) {
	n, w := binary.Uvarint(b)
	return b[w : w+int(n)], b[w+int(n):]
}

// appendJSON writes a text, which is UTF-8, as JSON.
func appendJSON(out, v []byte) []byte {
	const hexDigits = "0123456789abcdef"
	out = append(out, '"')
	for len(v) > 0 {
		r, n := utf8.DecodeRune(v)
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', v[0])
		case r < ' ':
			out = append(out, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
		v = v[n:]
	}
	return append(out, '"')
}

// Advance moves time to the watermark: it forgets what can no longer count, and
// calls emit for conditions that had to wait for their window to close. A
// watermark that lies back changes nothing.
func (s *State) Advance(watermark time.Time, emit func(Firing)) {
	s.watermark = max(s.watermark, microsOf(watermark))
	for {
		g := s.nextDue()
		if g == nil {
			break
		}
		if g.plan.rising {
			s.remove(g, func(int, *entry) bool { return true })
			s.settle(g)
			continue
		}
		firing, fired := s.closeWindow(g)
		s.settle(g)
		if fired {
			m := match{Fact: &Fact{Scope: firing.Key.Scope, Received: micros(s.watermark)}, received: s.watermark}
			s.tell(g, &firing, &m, emit)
		}
	}
	s.fit()
}

// Resume says how far the watermark had come when the groups were written that
// were given to [State.Restore]. It decides nothing: what was due then, the
// state that wrote them has decided.
func (s *State) Resume(watermark time.Time) {
	s.watermark = max(s.watermark, microsOf(watermark))
}

// nextDue is the group that the watermark has passed first.
func (s *State) nextDue() *group {
	var next *group
	for class := range s.heaps {
		if h := s.heaps[class]; len(h) == 0 || h[0].due >= s.watermark {
			continue
		}
		g := s.first(class)
		if g.due < s.watermark && (next == nil || g.due < next.due || g.due == next.due && g.key < next.key) {
			next = g
		}
	}
	return next
}

func micros(t int64) time.Time { return time.UnixMicro(t).UTC() }

// microsOf keeps times where they can be added to.
func microsOf(t time.Time) int64 {
	far := time.UnixMicro(maxAt)
	if t.After(far) {
		return maxAt
	}
	return max(t.UnixMicro(), -maxAt)
}

// Stats says what the state holds and has done.
func (s *State) Stats() Stats {
	out := s.stats
	out.Bytes, out.Groups = s.bytes+s.texts.cost, len(s.groups)
	for _, p := range s.plans {
		out.Events += p.events
		out.Correlations = append(out.Correlations, p.stats)
	}
	return out
}
