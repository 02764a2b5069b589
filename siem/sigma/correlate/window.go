package correlate

import (
	"math"
	"slices"
	"sort"

	"github.com/interlock-security/interlock/siem/sigma"
)

// around looks at the windows that contain entry k. Where the condition holds
// in any, it returns what those cover together.
func (s *State) around(g *group, k int, authentic bool) (lo, hi int, ok bool) {
	p := g.plan
	s.scratch.known = false
	switch {
	case p.corr.Window != sliding:
		lo, hi = p.windowAt(g.es, k)
		s.scratch.value, ok = s.measure(p, g.es[lo:hi], authentic)
		s.scratch.known = true
		return lo, hi, ok
	case p.corr.Kind == sigma.TemporalOrdered:
		return p.inOrder(g.es, k, authentic)
	case p.corr.Kind == sigma.EventCount && !authentic:
		lo, hi, ok = p.enough(g.es, k)
		s.scratch.value, s.scratch.known = float64(hi-lo), true
		return lo, hi, ok
	}
	if p.short(g, k) {
		return 0, 0, false
	}
	return s.slide(p, g.es, k, authentic)
}

// short says, without looking at each entry, that no window around entry k can
// come to enough.
func (p *plan) short(g *group, k int) bool {
	switch p.corr.Kind {
	case sigma.ValueCount:
		return g.index != nil && len(g.index.values) < p.need
	case sigma.ValueSum:
		lo, reach := firstAfter(g.es, g.es[k].at-p.span), firstAfter(g.es, g.es[k].at+p.span-1)
		most := g.gained(reach)
		// The rest is for what rounding has lost in sums that are not the same.
		return !math.IsInf(most, 0) && !p.corr.Holds(most-g.gained(lo)+most*1e-9)
	}
	return false
}

// firstAfter is the first entry whose time lies after t.
func firstAfter(es []entry, t int64) int {
	return sort.Search(len(es), func(i int) bool { return es[i].at > t })
}

// enough slides a window over an event count: one that begins at i holds where
// the entry need-1 places on is inside.
func (p *plan) enough(es []entry, k int) (lo, hi int, ok bool) {
	holds := func(i int) bool { return i+p.need <= len(es) && es[i+p.need-1].at-es[i].at < p.span }
	lo = firstAfter(es, es[k].at-p.span)
	for lo <= k && !holds(lo) {
		if lo+p.need > len(es) {
			return 0, 0, false
		}
		lo++
	}
	if lo > k {
		return 0, 0, false
	}
	last := min(k, len(es)-p.need)
	for !holds(last) {
		last--
	}
	return lo, firstAfter(es, es[last].at+p.span-1), true
}

// slide moves a window over the entries, as far as it contains entry k. It ends
// where the windows that hold can't reach further.
func (s *State) slide(p *plan, es []entry, k int, authentic bool) (lo, hi int, ok bool) {
	lo = firstAfter(es, es[k].at-p.span)
	reach := firstAfter(es, es[k].at+p.span-1)
	if p.corr.Kind == sigma.ValueCount && reach-lo < p.need {
		return 0, 0, false
	}
	t := s.scratch.begin(s, p, authentic)
	first, last, end := -1, -1, lo
	for start := lo; start <= k && last < reach; start++ {
		for end < len(es) && es[end].at < es[start].at+p.span {
			t.add(&es[end], 1)
			end++
		}
		if t.holds() {
			if first < 0 {
				first = start
				s.scratch.value, s.scratch.known = t.value(), end == reach
			}
			last = end
		}
		t.add(&es[start], -1)
	}
	return first, last, first >= 0
}

// windowAt is the tumbling window or session that entry k lies in.
func (p *plan) windowAt(es []entry, k int) (lo, hi int) {
	if p.corr.Window == sigma.Tumbling {
		from := p.bucket(es[k].at)
		return firstAfter(es, from-1), firstAfter(es, from+p.span-1)
	}
	for hi <= k {
		lo, hi = hi, p.sessionEnd(es, hi)
	}
	return lo, hi
}

// windowEnd is where the window that begins with entry i ends.
func (p *plan) windowEnd(es []entry, i int) int {
	switch p.corr.Window {
	case sigma.Tumbling:
		return firstAfter(es, p.bucket(es[i].at)+p.span-1)
	case sigma.Session:
		return p.sessionEnd(es, i)
	}
	return firstAfter(es, es[i].at+p.span-1)
}

// sessionEnd is where the session that begins with entry i ends: at a gap, or
// at the timespan.
func (p *plan) sessionEnd(es []entry, i int) int {
	j := i + 1
	for j < len(es) && es[j].at-es[j-1].at < p.gap && es[j].at-es[i].at < p.span {
		j++
	}
	return j
}

// closeWindow decides the oldest window that waited, and forgets what it leaves
// behind.
func (s *State) closeWindow(g *group) (Firing, bool) {
	p := g.plan
	from := 0
	if p.corr.Window == sliding {
		from = p.anchor(g)
	}
	if from == len(g.es) {
		s.remove(g, func(int, *entry) bool { return true })
		return Firing{}, false
	}
	if p.follows {
		return s.judge(g, from)
	}
	end := p.windowEnd(g.es, from)
	firing, fired := s.decide(g, g.es[from:end])
	s.remove(g, func(i int, _ *entry) bool { return i < end })
	return firing, fired
}

func (s *State) decide(g *group, in []entry) (Firing, bool) {
	value, ok := s.measure(g.plan, in, false)
	if !ok {
		return Firing{}, false
	}
	_, authentic := s.measure(g.plan, in, true)
	return s.fire(g, in, value, authentic)
}

// judge decides what followed the entry at, and what came before it. Later
// entries stay: something may have to follow them too.
func (s *State) judge(g *group, at int) (Firing, bool) {
	p := g.plan
	var firing Firing
	fired := false
	end := p.windowEnd(g.es, at)
	before := firstAfter(g.es, g.es[at].at-p.span)
	if p.begins(g.es[before:end], at-before, false) {
		value, _ := s.measure(p, g.es[at:end], false)
		firing, fired = s.fire(g, g.es[at:end], value, p.begins(g.es[before:end], at-before, true))
	}
	g.es[at].flags |= flagDecided
	keep := int64(math.MaxInt64)
	if next := p.anchor(g); next < len(g.es) {
		keep = g.es[next].at - p.span
	}
	s.remove(g, func(_ int, e *entry) bool { return e.until < s.watermark && e.at <= keep })
	return firing, fired
}

// measure computes what the condition is asked of over a whole window, and asks
// it.
func (s *State) measure(p *plan, in []entry, authentic bool) (float64, bool) {
	switch p.corr.Kind {
	case sigma.ValueAvg, sigma.ValueMedian, sigma.ValuePercentile:
		return s.statistic(p, in, authentic)
	}
	t := s.scratch.begin(s, p, authentic)
	for i := range in {
		t.add(&in[i], 1)
	}
	if p.corr.Kind == sigma.TemporalOrdered {
		return float64(t.seen), t.seen > 0 && p.anyInOrder(in, authentic)
	}
	return t.value(), t.events > 0 && t.holds()
}

// statistic computes over the numbers of a window.
func (s *State) statistic(p *plan, in []entry, authentic bool) (float64, bool) {
	s.scratch.numbers = s.scratch.numbers[:0]
	for i := range in {
		if !authentic || in[i].authenticated() {
			s.scratch.numbers = append(s.scratch.numbers, math.Float64frombits(in[i].val))
		}
	}
	numbers := s.scratch.numbers
	if len(numbers) == 0 {
		return 0, false
	}
	slices.Sort(numbers)
	var v float64
	switch p.corr.Kind {
	case sigma.ValueAvg:
		var total sum
		for _, x := range numbers {
			total.add(x)
		}
		v = total.get() / float64(len(numbers))
	case sigma.ValueMedian:
		v = percentile(numbers, 50)
	default:
		v = percentile(numbers, p.corr.Percentile)
	}
	return v, p.corr.Holds(v)
}

// percentile interpolates between the two numbers that lie nearest.
func percentile(sorted []float64, p float64) float64 {
	at := p / 100 * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	part := at - float64(i)
	return sorted[i]*(1-part) + sorted[i+1]*part
}

// sum adds floating point numbers and carries what rounding loses (Neumaier).
type sum struct{ total, lost float64 }

func (s *sum) add(x float64) {
	t := s.total + x
	if math.Abs(s.total) >= math.Abs(x) {
		s.lost += (s.total - t) + x
	} else {
		s.lost += (x - t) + s.total
	}
	s.total = t
}

func (s *sum) get() float64 { return s.total + s.lost }

// scratch is the memory of a [tally], kept from one to the next.
type scratch struct {
	t       tally
	values  []uint32 // by number of a text: how often it stands in the window
	stamps  []uint32 // in which tally that was written
	stamp   uint32
	numbers []float64
	// value is what the windows last looked at come to, where known is set.
	value float64
	known bool
}

// tally counts as a window slides.
type tally struct {
	s         *scratch
	p         *plan
	authentic bool
	events    int
	distinct  int
	seen      int // rules that have matched
	refs      []int
	sum       sum
}

func (x *scratch) begin(s *State, p *plan, authentic bool) *tally {
	x.stamp++
	if n := len(s.texts.all); p.corr.Kind == sigma.ValueCount && len(x.values) < n || x.stamp == 0 {
		x.values, x.stamps, x.stamp = make([]uint32, n+n/4), make([]uint32, n+n/4), 1
	}
	refs := append(x.t.refs[:0], make([]int, len(p.refNeed))...)
	x.t = tally{s: x, p: p, authentic: authentic, refs: refs}
	return &x.t
}

// add takes an entry into the window, n = 1, or out of it, n = -1.
func (t *tally) add(e *entry, n int) {
	if t.authentic && !e.authenticated() {
		return
	}
	t.events += n
	switch t.p.corr.Kind {
	case sigma.ValueCount:
		if e.has(flagValue) {
			t.addValue(uint32(e.val), n)
		}
	case sigma.ValueSum:
		t.sum.add(float64(n) * math.Float64frombits(e.val))
	case sigma.Temporal, sigma.TemporalOrdered:
		had := t.refs[e.ref]
		t.refs[e.ref] += n
		if had == 0 || t.refs[e.ref] == 0 {
			t.seen += n
		}
	}
}

func (t *tally) addValue(id uint32, n int) {
	x := t.s
	if x.stamps[id] != x.stamp {
		x.stamps[id], x.values[id] = x.stamp, 0
	}
	had := x.values[id]
	x.values[id] = uint32(int(had) + n)
	if had == 0 || x.values[id] == 0 {
		t.distinct += n
	}
}

func (t *tally) value() float64 {
	switch t.p.corr.Kind {
	case sigma.ValueCount:
		return float64(t.distinct)
	case sigma.ValueSum:
		return t.sum.get()
	case sigma.Temporal, sigma.TemporalOrdered:
		return float64(t.seen)
	}
	return float64(t.events)
}

func (t *tally) holds() bool {
	if t.p.corr.Kind != sigma.Temporal || len(t.p.corr.Bounds) > 0 {
		return t.events > 0 && t.p.corr.Holds(t.value())
	}
	return slices.ContainsFunc(t.p.corr.Clauses, t.clause)
}

func (t *tally) clause(c sigma.Clause) bool {
	for _, step := range c {
		if step.Count == 0 && t.refs[step.Ref] > 0 || t.refs[step.Ref] < step.Count {
			return false
		}
	}
	return true
}
