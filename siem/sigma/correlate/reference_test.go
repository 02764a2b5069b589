package correlate_test

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// reference is one correlation of detections as docs/reference/sigma.md tells
// it: slow, and without any of the shortcuts. It keeps every event, tries every
// window and every choice of events.
type reference struct {
	c         *sigma.Correlation
	e         *sigma.Engine
	tree      *condition // of an extended condition without order
	groups    map[string][]*seen
	watermark time.Time
}

type seen struct {
	f       correlate.Fact
	ref     int
	until   time.Time
	value   string
	number  float64
	attempt string
	echo    bool
	told    bool
	decided bool
}

// outcome is what a firing says, as far as the reference says it too.
type outcome struct {
	Group       string
	Events      []core.UUID
	First, Last time.Time
	Provenance  core.Provenance
	Value       float64
	Counts      []int
}

func (r *reference) field(f correlate.Fact, name string) (string, bool) {
	name = r.c.In(name, f.Rule)
	for _, have := range f.Fields {
		if have.Name == name {
			return have.Value, true
		}
	}
	return "", false
}

func (r *reference) take(f correlate.Fact) []outcome {
	ref := slices.IndexFunc(r.c.Refs, func(ref sigma.Ref) bool { return f.Rule.Names(ref.Name) })
	if ref < 0 {
		return nil
	}
	if f.At.After(f.Received.Add(correlate.Skew)) {
		f.At = f.Received
	}
	s := &seen{f: f, ref: ref, until: r.until(f)}
	s.attempt, _ = r.field(f, sigma.FieldAttempt)
	echo, _ := r.field(f, sigma.FieldEcho)
	s.echo = echo == "true"
	for _, name := range r.c.Fields {
		v, ok := r.field(f, name)
		if !ok {
			s.value = ""
			break
		}
		s.value += strconv.Quote(v)
		s.number, _ = strconv.ParseFloat(v, 64)
	}
	if r.c.Kind.Numeric() && s.value == "" {
		return nil
	}
	key := f.Scope
	for _, name := range r.c.GroupBy {
		v, ok := r.field(f, name)
		key += "/" + strconv.FormatBool(ok) + strconv.Quote(v)
	}
	if r.c.Rising() {
		r.forget(key)
	}
	if !r.add(key, s) || !r.c.Rising() {
		return nil
	}
	return r.rise(key, s)
}

func (r *reference) until(f correlate.Fact) time.Time {
	keep := f.Received
	if f.At.After(keep) {
		keep = f.At
	}
	switch r.c.Window {
	case sigma.Tumbling:
		if end := r.bucket(f.At).Add(r.c.Timespan); end.After(keep) {
			keep = end
		}
	case sigma.Session:
		keep = keep.Add(r.c.Gap)
	case sigma.Sliding:
		keep = keep.Add(r.c.Timespan)
	}
	return keep.Add(correlate.Lateness)
}

func (r *reference) bucket(t time.Time) time.Time {
	n := int64(math.Floor(float64(t.UnixMicro()) / float64(r.c.Timespan.Microseconds())))
	return time.UnixMicro(n * r.c.Timespan.Microseconds())
}

func (r *reference) expired(s *seen) bool { return s.until.Before(r.watermark) }

func (r *reference) forget(key string) {
	if r.c.Window != sigma.Session {
		r.groups[key] = slices.DeleteFunc(slices.Clone(r.groups[key]), r.expired)
		return
	}
	var kept []*seen
	for _, w := range r.sessions(r.groups[key]) {
		if slices.ContainsFunc(w, func(s *seen) bool { return !r.expired(s) }) {
			kept = append(kept, w...)
		}
	}
	r.groups[key] = kept
}

func (r *reference) add(key string, s *seen) bool {
	var kept []*seen
	for _, have := range r.groups[key] {
		apart := r.c.Kind.Temporal() && have.ref != s.ref
		if !apart && have.f.Event == s.f.Event {
			return false
		}
		if apart || s.attempt == "" || have.attempt != s.attempt {
			kept = append(kept, have)
			continue
		}
		if s.echo {
			return false
		}
		if have.echo {
			s.told = s.told || have.told
			continue
		}
		kept = append(kept, have)
	}
	r.groups[key] = append(kept, s)
	slices.SortFunc(r.groups[key], func(a, b *seen) int {
		if c := a.f.At.Compare(b.f.At); c != 0 {
			return c
		}
		if c := bytes.Compare(a.f.Event[:], b.f.Event[:]); c != 0 {
			return c
		}
		return a.ref - b.ref
	})
	return true
}

// windows are all that there are.
func (r *reference) windows(all []*seen, authentic bool) [][]*seen {
	switch r.c.Window {
	case sigma.Tumbling:
		var out [][]*seen
		for i, s := range all {
			if i == 0 || !r.bucket(s.f.At).Equal(r.bucket(all[i-1].f.At)) {
				out = append(out, nil)
			}
			out[len(out)-1] = append(out[len(out)-1], s)
		}
		return out
	case sigma.Session:
		return r.sessions(all)
	}
	var out [][]*seen
	for i, s := range all {
		if r.c.Kind != sigma.TemporalOrdered || r.begins(s, authentic) {
			out = append(out, r.forward(all[i:]))
		}
	}
	return out
}

func (r *reference) forward(all []*seen) (w []*seen) {
	for _, s := range all {
		if s.f.At.Sub(all[0].f.At) < r.c.Timespan {
			w = append(w, s)
		}
	}
	return w
}

func (r *reference) sessions(all []*seen) (out [][]*seen) {
	for i, s := range all {
		if i == 0 || s.f.At.Sub(all[i-1].f.At) >= r.c.Gap || s.f.At.Sub(out[len(out)-1][0].f.At) >= r.c.Timespan {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], s)
	}
	return out
}

// begins: a window of an ordered correlation begins with a first step.
func (r *reference) begins(s *seen, authentic bool) bool {
	if authentic && !s.f.Provenance.Authenticated() {
		return false
	}
	return slices.ContainsFunc(r.c.Clauses, func(c sigma.Clause) bool { return positive(c)[0].Ref == s.ref })
}

func positive(c sigma.Clause) (out sigma.Clause) {
	for _, s := range c {
		if s.Count > 0 {
			out = append(out, s)
		}
	}
	return out
}

func (r *reference) rise(key string, s *seen) []outcome {
	all := r.groups[key]
	covered := func(authentic bool) (from, to int, ok bool) {
		from, to = len(all), 0
		for _, w := range r.windows(all, authentic) {
			if slices.Contains(w, s) && r.holds(w, nil, authentic) {
				from, to = min(from, slices.Index(all, w[0])), max(to, slices.Index(all, w[len(w)-1])+1)
			}
		}
		return from, to, from < to
	}
	from, to, ok := covered(false)
	if !ok {
		return nil
	}
	_, _, authentic := covered(true)
	return r.fire(all[from:to], authentic)
}

func (r *reference) fire(w []*seen, authentic bool) []outcome {
	o := outcome{First: w[0].f.At, Last: w[len(w)-1].f.At, Counts: make([]int, len(r.c.Refs)), Provenance: core.ProvenanceUnauthenticated}
	worst := -1
	for _, s := range w {
		o.Counts[s.ref]++
		// One event that matched two rules is news once.
		same := func(o *seen) bool { return o.f.Event == s.f.Event && o.f.At.Equal(s.f.At) }
		known := func(o *seen) bool { return same(o) && o.told }
		if w[slices.IndexFunc(w, same)] == s && !slices.ContainsFunc(w, known) {
			o.Events = append(o.Events, s.f.Event)
		}
		if s.f.Provenance.Authenticated() {
			worst = max(worst, slices.Index(core.Provenances, s.f.Provenance))
		}
	}
	for _, s := range w {
		s.told = true
	}
	if len(o.Events) == 0 {
		return nil
	}
	if authentic && worst >= 0 {
		o.Provenance = core.Provenances[worst]
	}
	o.Value = r.value(w)
	return []outcome{o}
}

// value is the number that the condition is about.
func (r *reference) value(w []*seen) float64 {
	values, refs, total := map[string]bool{}, map[int]bool{}, 0.0
	var numbers []float64
	for _, s := range w {
		refs[s.ref] = true
		if s.value != "" {
			values[s.value] = true
		}
		total += s.number
		numbers = append(numbers, s.number)
	}
	slices.Sort(numbers)
	rank := r.c.Percentile
	switch r.c.Kind {
	case sigma.EventCount:
		return float64(len(w))
	case sigma.ValueCount:
		return float64(len(values))
	case sigma.ValueSum:
		return total
	case sigma.ValueAvg:
		return total / float64(len(w))
	case sigma.ValueMedian:
		rank = 50
	case sigma.Temporal, sigma.TemporalOrdered:
		return float64(len(refs))
	}
	at := rank / 100 * float64(len(numbers)-1)
	low, high := int(math.Floor(at)), int(math.Ceil(at))
	return numbers[low]*(1-(at-float64(low))) + numbers[high]*(at-float64(low))
}

// holds asks the condition of a window; before are events that came before it.
func (r *reference) holds(w, before []*seen, authentic bool) bool {
	if authentic {
		forged := func(s *seen) bool { return !s.f.Provenance.Authenticated() }
		w, before = slices.DeleteFunc(slices.Clone(w), forged), slices.DeleteFunc(slices.Clone(before), forged)
	}
	if len(w) == 0 {
		return false
	}
	if !r.c.Kind.Temporal() || len(r.c.Bounds) > 0 {
		return r.c.Holds(r.value(w))
	}
	count := make([]int, len(r.c.Refs))
	for _, s := range w {
		count[s.ref]++
	}
	if r.tree != nil && r.c.Kind == sigma.Temporal {
		return r.tree.holds(count)
	}
	return slices.ContainsFunc(r.c.Clauses, func(c sigma.Clause) bool {
		if r.c.Kind == sigma.TemporalOrdered {
			return r.ordered(c, w, before)
		}
		return !slices.ContainsFunc(c, func(s sigma.Step) bool { return s.Count == 0 && count[s.Ref] > 0 || count[s.Ref] < s.Count })
	})
}

// ordered tries every choice of events for the steps of a clause.
func (r *reference) ordered(c sigma.Clause, w, before []*seen) bool {
	first := slices.IndexFunc(c, func(s sigma.Step) bool { return s.Count > 0 })
	for i, s := range w {
		if s.ref != c[first].Ref || r.c.Window == sigma.Sliding && i > 0 && s.f.Event != w[0].f.Event {
			continue
		}
		if r.c.Window == sigma.Sliding && i > 0 {
			continue
		}
		lead := append(slices.Clone(before), w[:i]...)
		if r.absent(c[:first], lead, s) && r.rest(c[first:], 1, s, w[i:]) {
			return true
		}
	}
	return false
}

// absent: none of the steps' rules matched another event than s.
func (r *reference) absent(steps sigma.Clause, in []*seen, s *seen) bool {
	return !slices.ContainsFunc(in, func(o *seen) bool {
		return o.f.Event != s.f.Event && slices.ContainsFunc(steps, func(st sigma.Step) bool { return st.Ref == o.ref })
	})
}

// rest: the last event chosen was the n-th of the first step; w begins with it.
func (r *reference) rest(c sigma.Clause, n int, last *seen, w []*seen) bool {
	next := 1
	if n >= c[0].Count {
		for next < len(c) && c[next].Count == 0 {
			next++
		}
		if next == len(c) {
			return r.absent(c[1:], w, last)
		}
	}
	for i, s := range w {
		if s.f.Event == last.f.Event {
			continue
		}
		if n < c[0].Count {
			if s.ref == c[0].Ref && r.rest(c, n+1, s, w[i:]) {
				return true
			}
			continue
		}
		between := slices.DeleteFunc(slices.Clone(w[:i]), func(o *seen) bool { return o.f.Event == s.f.Event })
		if s.ref == c[next].Ref && r.absent(c[1:next], between, last) && r.rest(c[next:], 1, s, w[i:]) {
			return true
		}
	}
	return false
}

// advance decides what waited, in every group. The order among groups is not
// its matter.
func (r *reference) advance(watermark time.Time) (out []outcome) {
	if watermark.After(r.watermark) {
		r.watermark = watermark
	}
	for key := range r.groups {
		if r.c.Rising() {
			if !slices.ContainsFunc(r.groups[key], func(s *seen) bool { return !r.expired(s) }) {
				delete(r.groups, key)
			}
			continue
		}
		out = append(out, r.decide(key)...)
	}
	return out
}

func (r *reference) decide(key string) (out []outcome) {
	follows := r.c.Kind == sigma.TemporalOrdered && r.c.Window == sigma.Sliding
	for {
		all := r.groups[key]
		at := slices.IndexFunc(all, r.opens)
		if at < 0 {
			if len(all) > 0 && !slices.ContainsFunc(all, func(s *seen) bool { return !r.expired(s) }) {
				delete(r.groups, key)
			}
			return out
		}
		w := r.windowFrom(all, at)
		if !r.over(w) {
			return out
		}
		before := slices.DeleteFunc(slices.Clone(all[:at]), func(s *seen) bool { return all[at].f.At.Sub(s.f.At) >= r.c.Timespan })
		if r.holds(w, before, false) {
			out = append(out, r.fire(w, r.judged(w, before))...)
		}
		if !follows {
			r.groups[key] = all[at+len(w):]
			continue
		}
		all[at].decided = true
		// What arrived too long ago is forgotten, unless one that still waits
		// may have to know of it.
		next := slices.IndexFunc(all, r.opens)
		r.groups[key] = slices.DeleteFunc(slices.Clone(all), func(s *seen) bool {
			return r.expired(s) && (next < 0 || all[next].f.At.Sub(s.f.At) >= r.c.Timespan)
		})
	}
}

func (r *reference) judged(w, before []*seen) bool {
	if r.c.Kind == sigma.TemporalOrdered && r.c.Window == sigma.Sliding && !w[0].f.Provenance.Authenticated() {
		return false // another event would be the first
	}
	return r.holds(w, before, true)
}

// opens: the event is one that a waiting window can begin with.
func (r *reference) opens(s *seen) bool {
	if s.decided {
		return false
	}
	if r.c.Window != sigma.Sliding || !r.c.Kind.Temporal() || len(r.c.Clauses) == 0 {
		return true
	}
	return slices.ContainsFunc(r.c.Clauses, func(c sigma.Clause) bool {
		if r.c.Kind == sigma.TemporalOrdered {
			return positive(c)[0].Ref == s.ref
		}
		return slices.ContainsFunc(positive(c), func(st sigma.Step) bool { return st.Ref == s.ref })
	})
}

func (r *reference) windowFrom(all []*seen, at int) []*seen {
	switch r.c.Window {
	case sigma.Tumbling, sigma.Session:
		return r.windows(all[at:], false)[0]
	}
	return r.forward(all[at:])
}

// over: nothing more is to be expected in the window.
func (r *reference) over(w []*seen) bool {
	if r.c.Window == sigma.Sliding {
		return r.expired(w[0])
	}
	return !slices.ContainsFunc(w, func(s *seen) bool { return !r.expired(s) })
}
