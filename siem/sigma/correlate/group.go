package correlate

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
)

// entry is one event in a group. It holds no pointers.
type entry struct {
	id    core.UUID
	at    int64 // microseconds since the epoch
	until int64
	// val is the number of the counted value's text, or a number's bits.
	val             uint64
	source, attempt uint32
	ref             uint16
	prov            uint8 // index into core.Provenances
	flags           uint8
}

const (
	flagTold    = 1 << iota // a firing has named it
	flagEcho                // counts only where no other event of its attempt does
	flagValue               // val is there
	flagDecided             // what had to follow it has been judged
	flagAll     = flagTold | flagEcho | flagValue | flagDecided
)

func (e *entry) has(flag uint8) bool { return e.flags&flag != 0 }

var unauthenticated = uint8(slices.Index(core.Provenances, core.ProvenanceUnauthenticated))

func (e *entry) authenticated() bool { return e.prov < unauthenticated }

// before is the one order of events: by time, and at the same time by id, so
// that the order of arrival decides nothing.
func (e *entry) before(o *entry) int {
	if c := cmp.Compare(e.at, o.at); c != 0 {
		return c
	}
	if c := bytes.Compare(e.id[:], o.id[:]); c != 0 {
		return c
	}
	return cmp.Compare(e.ref, o.ref)
}

// group is what one correlation remembers of one group.
type group struct {
	plan *plan
	key  string // of State.groups
	es   []entry
	lost uint64
	// episode is the first event of the firings that go on.
	episode core.UUID
	// provs counts entries by provenance, refs by rule, untold those that no
	// firing named.
	provs              [8]int32
	refs               []int32
	untold             int
	minUntil, maxUntil int64
	index              *index
	// gains[i] is the sum of the numbers above zero up to entry i, of a
	// value_sum: no window comes to more.
	gains []float64
	cost  int64

	due    int64 // no later than the true one
	pos    int   // in its heap, -1 outside
	class  uint8
	dirty  int // its place among those that changed, from 1 on
	stored bool
}

// indexAbove is from how many entries on a group is searched by index.
const indexAbove = 128

// index finds events and attempts in a large group.
type index struct {
	ids      map[core.UUID]int
	attempts map[uint32]int
	values   map[uint64]int // of a value_count
}

func (x *index) count(e *entry, n int) {
	if x.values != nil && e.has(flagValue) {
		if x.values[e.val] += n; x.values[e.val] == 0 {
			delete(x.values, e.val)
		}
	}
	if x.ids[e.id] += n; x.ids[e.id] == 0 {
		delete(x.ids, e.id)
	}
	if e.attempt == 0 {
		return
	}
	if x.attempts[e.attempt] += n; x.attempts[e.attempt] == 0 {
		delete(x.attempts, e.attempt)
	}
}

// admit says whether e counts beside what is there: the same event counts once,
// for each of the rules where they are told apart. An event that is no echo
// takes the place of the echo of its attempt; over is where that is, or -1.
func (g *group) admit(e *entry) (ok bool, over int) {
	if g.index != nil && g.index.ids[e.id] == 0 && g.index.attempts[e.attempt] == 0 {
		return true, -1
	}
	temporal := g.plan.corr.Kind.Temporal()
	over = -1
	for i := range g.es {
		have := &g.es[i]
		if temporal && have.ref != e.ref {
			continue
		}
		if have.id == e.id {
			return false, -1
		}
		if e.attempt == 0 || have.attempt != e.attempt || over >= 0 {
			continue
		}
		if e.has(flagEcho) {
			return false, -1
		}
		if have.has(flagEcho) {
			over = i
		}
	}
	return true, over
}

// capFor is how much room n entries get: it grows by steps, and what a group
// costs depends on its entries alone.
func capFor(n int) int {
	c := 1
	for c < n {
		c += max(c/2, 1)
	}
	return c
}

// insert puts e in its place and returns it.
func (g *group) insert(e entry) int {
	at, _ := slices.BinarySearchFunc(g.es, &e, func(a entry, b *entry) int { return a.before(b) })
	if n := len(g.es); n == cap(g.es) {
		grown := make([]entry, n, capFor(n+1))
		copy(grown, g.es)
		g.es = grown
	}
	g.es = slices.Insert(g.es, at, e)
	g.note(&e, 1)
	if len(g.es) == 1 {
		g.minUntil, g.maxUntil = e.until, e.until
	}
	g.minUntil, g.maxUntil = min(g.minUntil, e.until), max(g.maxUntil, e.until)
	if len(g.es) == indexAbove+1 {
		g.reindex()
	}
	g.gain(at)
	return at
}

// gain adds up again from an entry on.
func (g *group) gain(from int) {
	if g.plan.corr.Kind != sigma.ValueSum {
		return
	}
	g.gains = g.gains[:from]
	for i := from; i < len(g.es); i++ {
		g.gains = append(g.gains, g.gained(i)+max(0, math.Float64frombits(g.es[i].val)))
	}
}

// gained is the sum of what lies before entry i.
func (g *group) gained(i int) float64 {
	if i == 0 {
		return 0
	}
	return g.gains[i-1]
}

// note keeps the counts.
func (g *group) note(e *entry, n int) {
	g.plan.events += n
	g.provs[e.prov] += int32(n)
	g.refs[e.ref] += int32(n)
	if !e.has(flagTold) {
		g.untold += n
	}
	if g.index != nil {
		g.index.count(e, n)
	}
}

func (g *group) reindex() {
	g.index = &index{ids: make(map[core.UUID]int, len(g.es)), attempts: make(map[uint32]int)}
	if g.plan.corr.Kind == sigma.ValueCount {
		g.index.values = make(map[uint64]int)
	}
	for i := range g.es {
		g.index.count(&g.es[i], 1)
	}
}

// remove deletes the entries that drop names.
func (s *State) remove(g *group, drop func(i int, e *entry) bool) {
	kept := g.es[:0]
	g.minUntil, g.maxUntil = 0, 0
	for i := range g.es {
		e := g.es[i]
		if drop(i, &e) {
			g.note(&e, -1)
			s.forget(g.plan, &e)
			continue
		}
		if len(kept) == 0 {
			g.minUntil, g.maxUntil = e.until, e.until
		}
		g.minUntil, g.maxUntil = min(g.minUntil, e.until), max(g.maxUntil, e.until)
		kept = append(kept, e)
	}
	g.es = kept
	g.gain(0)
	if g.index != nil && len(g.es) <= indexAbove {
		g.index = nil
	}
	if want := capFor(len(g.es)); cap(g.es) > 2*want {
		g.es = append(make([]entry, 0, want), g.es...)
	}
}

// trim forgets what the watermark has passed, before something new is looked
// at. A session is forgotten as a whole, and what waits for its window to close
// is forgotten by that.
func (s *State) trim(g *group) (changed bool) {
	p, n := g.plan, len(g.es)
	if !p.rising || n == 0 || g.minUntil >= s.watermark {
		return false
	}
	if p.corr.Window != sigma.Session {
		s.remove(g, func(_ int, e *entry) bool { return e.until < s.watermark })
		return len(g.es) < n
	}
	es, end, over := g.es, 0, false
	s.remove(g, func(i int, _ *entry) bool {
		if i >= end {
			end = p.sessionEnd(es, i)
			over = !slices.ContainsFunc(es[i:end], func(e entry) bool { return e.until >= s.watermark })
		}
		return over
	})
	return len(g.es) < n
}

// makeRoom bounds a group. Of a value_count it gives up events whose value a
// younger one still holds, so that hammering on one account can't push the
// other accounts out; of a temporal correlation those of the rule that has more
// than its share. It works in batches: room is exceeded by an eighth at most.
func (s *State) makeRoom(g *group) (moved bool) {
	p := g.plan
	if len(g.es) <= p.room+p.room/8 {
		return false
	}
	excess := len(g.es) - p.room
	spare := func(int, *entry) bool { return true }
	switch {
	case p.corr.Kind == sigma.ValueCount:
		spare = s.superseded(g)
	case p.corr.Kind.Temporal():
		spare = p.beyondShare(g)
	}
	for _, pick := range []func(int, *entry) bool{spare, func(int, *entry) bool { return true }} {
		s.remove(g, func(i int, e *entry) bool {
			if excess == 0 || !pick(i, e) {
				return false
			}
			excess--
			if !e.has(flagTold) {
				g.lost++
			}
			p.stats.CutEvents++
			return true
		})
	}
	return true
}

// superseded tells entries whose value a younger entry has too, or that have
// none.
func (s *State) superseded(g *group) func(int, *entry) bool {
	x := &s.scratch
	x.begin(s, g.plan, false)
	for i := range g.es {
		x.values[g.es[i].val] = uint32(i)
	}
	return func(i int, e *entry) bool { return !e.has(flagValue) || x.values[e.val] != uint32(i) }
}

// beyondShare tells entries of a rule that has more than its part of the room.
func (p *plan) beyondShare(g *group) func(int, *entry) bool {
	have := slices.Clone(g.refs)
	share := int32(p.room / len(have))
	return func(_ int, e *entry) bool {
		if have[e.ref] <= max(share, int32(p.refNeed[e.ref])) {
			return false
		}
		have[e.ref]--
		return true
	}
}
