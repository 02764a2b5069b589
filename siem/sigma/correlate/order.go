package correlate

import (
	"slices"

	"github.com/interlock-security/interlock/siem/sigma"
)

// order is a clause of an ordered correlation.
type order struct {
	steps []sigma.Step // those that must happen
	// gaps[i] are the rules that must not match before steps[i], and after the
	// step before it; the last one what must not follow at all.
	gaps []uint64
	// Memory of a look, kept from one to the next.
	best  []int   // per step: where the latest row of events begins that ends with it
	rows  [][]int // per step: where the rows begin that its events go on with
	have  []int
	armed []bool
	arm   []int
}

func newOrder(c sigma.Clause) *order {
	o := &order{gaps: make([]uint64, 1)}
	for _, s := range c {
		if s.Count == 0 {
			o.gaps[len(o.gaps)-1] |= 1 << s.Ref
			continue
		}
		o.steps = append(o.steps, s)
		o.gaps = append(o.gaps, 0)
	}
	n := len(o.steps)
	o.best, o.rows, o.have, o.armed = make([]int, n), make([][]int, n), make([]int, n), make([]bool, n)
	return o
}

func (o *order) step(ref uint16) int {
	return slices.IndexFunc(o.steps, func(s sigma.Step) bool { return s.Ref == int(ref) })
}

// sameEvent is where the entries of one event end: it can match several rules,
// and can't be two steps.
func sameEvent(es []entry, i int) int {
	j := i + 1
	for j < len(es) && es[j].id == es[i].id && es[j].at == es[i].at {
		j++
	}
	return j
}

// inOrder looks at the windows that contain entry k and begin with an event of
// the first step. Where the steps stand in order in any, it returns what those
// windows cover together.
func (p *plan) inOrder(es []entry, k int, authentic bool) (lo, hi int, ok bool) {
	from, to := firstAfter(es, es[k].at-p.span), firstAfter(es, es[k].at+p.span-1)
	lo, hi = len(es), 0
	for _, o := range p.orders {
		o.rowsOf(es, from, to, authentic, func(begin, end int) bool {
			first, last := p.begin(o, es, begin, end, k, authentic)
			if first >= from && first <= last {
				lo, hi = min(lo, first), max(hi, firstAfter(es, es[last].at+p.span-1))
			}
			return lo == from && hi == to // no window reaches further
		})
	}
	return lo, hi, lo < hi
}

// begin returns the first and the last event that a window can begin with which
// holds the row from begin to end and entry k.
func (p *plan) begin(o *order, es []entry, begin, end, k int, authentic bool) (first, last int) {
	opens := func(i int) bool {
		return int(es[i].ref) == o.steps[0].Ref && (!authentic || es[i].authenticated())
	}
	last = min(begin, k)
	for last >= 0 && !opens(last) {
		last--
	}
	first = max(firstAfter(es, es[end].at-p.span), firstAfter(es, es[k].at-p.span))
	for first < last && !opens(first) {
		first++
	}
	return first, last
}

// rowsOf calls found for each event that completes the steps, with where the
// latest row that it completes begins, until found has enough.
func (o *order) rowsOf(es []entry, from, to int, authentic bool, found func(begin, end int) bool) {
	for j := range o.best {
		o.best[j], o.rows[j] = -1, o.rows[j][:0]
	}
	for i := from; i < to; {
		next := sameEvent(es[:to], i)
		for at := next - 1; at >= i; at-- { // the later step first
			if (!authentic || es[at].authenticated()) && o.extend(es, at, found) {
				return
			}
		}
		i = next
	}
}

func (o *order) extend(es []entry, at int, found func(begin, end int) bool) (enough bool) {
	j := o.step(es[at].ref)
	if j < 0 {
		return false
	}
	begin := at
	if j > 0 {
		begin = o.best[j-1]
	}
	o.rows[j] = append(o.rows[j], begin)
	n := len(o.rows[j]) - o.steps[j].Count
	if n < 0 || o.rows[j][n] < 0 {
		return false
	}
	o.best[j] = o.rows[j][n]
	return j == len(o.steps)-1 && found(o.best[j], at)
}

// anyInOrder reports whether the steps stand in order anywhere in a window.
// Where nothing must be absent the earliest beginning is as good as any.
func (p *plan) anyInOrder(in []entry, authentic bool) bool {
	return slices.ContainsFunc(p.orders, func(o *order) bool {
		for at := range in {
			if o.begins(in, at, authentic) {
				return true
			}
			if p.rising && o.have[0] > 0 {
				return false
			}
		}
		return false
	})
}

// begins reports whether the condition holds for the window of which entry at
// is the first event that counts; what stands before it came before.
func (p *plan) begins(in []entry, at int, authentic bool) bool {
	return slices.ContainsFunc(p.orders, func(o *order) bool { return o.begins(in, at, authentic) })
}

func (o *order) begins(in []entry, at int, authentic bool) bool {
	clear(o.have)
	clear(o.armed)
	if int(in[at].ref) != o.steps[0].Ref || authentic && !in[at].authenticated() {
		return false
	}
	for i := range in[:at] {
		if o.gaps[0]&(1<<in[i].ref) != 0 && in[i].id != in[at].id && (!authentic || in[i].authenticated()) {
			return false
		}
	}
	o.have[0], o.armed[0] = 1, o.steps[0].Count == 1
	for i := sameEvent(in, at); i < len(in); {
		next := sameEvent(in, i)
		o.pass(in[i:next], authentic)
		i = next
	}
	return o.armed[len(o.armed)-1]
}

// pass takes one event. A step is armed while it is complete and nothing has
// happened since that must not happen before the next one.
func (o *order) pass(event []entry, authentic bool) {
	o.arm = o.arm[:0]
	var seen uint64
	for i := len(event) - 1; i >= 0; i-- {
		if authentic && !event[i].authenticated() {
			continue
		}
		seen |= 1 << event[i].ref
		j := o.step(event[i].ref)
		if j < 0 {
			continue
		}
		// The first event of a step needs the step before it; one of which a
		// single event is asked has no other.
		if goesOn := o.have[j] > 0 && o.steps[j].Count > 1; !goesOn && (j == 0 || !o.armed[j-1]) {
			continue
		}
		if o.have[j]++; o.have[j] >= o.steps[j].Count {
			o.arm = append(o.arm, j)
		}
	}
	for j := range o.armed {
		if o.gaps[j+1]&seen != 0 {
			o.armed[j] = false
		}
	}
	for _, j := range o.arm {
		o.armed[j] = true
	}
}
