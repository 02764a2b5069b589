package correlate

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/siem/sigma"
)

// Room within one group.
const (
	minRoom = 64
	// numberRoom is how many numbers a sum or an average is taken of.
	numberRoom = 4096
	// shareOfMemory is the part of the memory that no group exceeds, unless
	// its condition needs more.
	shareOfMemory = 16
)

// plan is a correlation made ready: everything that a match needs, looked up
// once.
type plan struct {
	corr   *sigma.Correlation
	index  int
	shape  string
	span   int64 // microseconds
	gap    int64
	rising bool
	// need is the smallest count that holds, for rising counts.
	need int
	room int
	// refNeed is how often each rule must match at least.
	refNeed []int
	// opens tells which rules' events open a window that waits.
	opens []bool
	// follows is set where one event after the other is judged by what came
	// after it: an order with something absent.
	follows bool
	orders  []*order
	// carry names what correlations above ask for besides the group's fields.
	carry  []string
	feeds  []feed // of the correlations above
	alerts bool
	events int // live
	stats  CorrelationStats
}

// feed is how the matches of one rule reach a correlation.
type feed struct {
	plan   *plan
	ref    uint16
	group  []string // the group-by fields, as the rule calls them
	values []string // the counted fields
	chain  bool     // the rule is a correlation
}

func (s *State) newPlan(i int, c *sigma.Correlation) *plan {
	p := &plan{
		corr: c, index: i, shape: c.Shape(), span: c.Timespan.Microseconds(), gap: c.Gap.Microseconds(), rising: c.Rising(),
		alerts: true, stats: CorrelationStats{Rule: c.Rule},
	}
	p.need = 1
	for p.rising && p.need <= sigma.MaxThreshold && !c.Holds(float64(p.need)) {
		p.need++
	}
	p.refNeed, p.opens = make([]int, len(c.Refs)), make([]bool, len(c.Refs))
	for i := range c.Refs {
		p.refNeed[i], p.opens[i] = 1, len(c.Clauses) == 0
	}
	for _, clause := range c.Clauses {
		p.clause(clause)
		if c.Kind == sigma.TemporalOrdered {
			p.orders = append(p.orders, newOrder(clause))
		}
	}
	p.follows = c.Kind == sigma.TemporalOrdered && !p.rising && c.Window == sigma.Sliding
	p.room = p.roomFor(s.cfg.Memory)
	return p
}

func (p *plan) clause(clause sigma.Clause) {
	first := true
	for _, step := range clause {
		p.refNeed[step.Ref] = max(p.refNeed[step.Ref], step.Count)
		if step.Count > 0 && (first || p.corr.Kind == sigma.Temporal) {
			p.opens[step.Ref], first = true, false
		}
	}
}

func (p *plan) roomFor(memory int64) int {
	threshold := p.corr.Threshold()
	room := max(4*threshold, minRoom)
	if p.corr.Kind.Numeric() {
		room = numberRoom
	}
	return max(min(room, int(memory/shareOfMemory/entryCost)), threshold+1)
}

// until is when an event can be forgotten.
func (p *plan) until(at, received int64, lateness time.Duration) int64 {
	keep := max(at, received)
	switch p.corr.Window {
	case sigma.Tumbling:
		keep = max(keep, p.bucket(at)+p.span)
	case sigma.Session:
		keep += p.gap
	case sigma.Sliding:
		keep += p.span
	}
	return keep + lateness.Microseconds()
}

// bucket is the beginning of the tumbling window that t lies in.
func (p *plan) bucket(t int64) int64 {
	m := t % p.span
	if m < 0 {
		m += p.span
	}
	return t - m
}

// link finds what feeds what.
func (s *State) link(e *sigma.Engine) {
	for _, p := range s.plans {
		for ref, r := range p.corr.Refs {
			rule := e.Named(r.Name)
			f := feed{plan: p, ref: uint16(ref)}
			for _, name := range p.corr.GroupBy {
				f.group = append(f.group, p.corr.In(name, rule))
			}
			for _, name := range p.corr.Fields {
				f.values = append(f.values, p.corr.In(name, rule))
			}
			inner := s.planOf(rule)
			if f.chain = inner != nil; f.chain {
				inner.feeds = append(inner.feeds, f)
				inner.alerts = inner.alerts && p.corr.Generate
				continue
			}
			s.feeds[rule] = append(s.feeds[rule], f)
		}
	}
	for _, p := range s.plans {
		s.carries(p, append(slices.Clone(p.corr.GroupBy), p.corr.Fields...))
	}
}

func (s *State) planOf(r *sigma.Rule) *plan {
	if r.Correlation == nil {
		return nil
	}
	i := slices.IndexFunc(s.plans, func(p *plan) bool { return p.corr == r.Correlation })
	return s.plans[i]
}

// carries notes, in every correlation below p, the names asked for above.
// [sigma.Compile] has made sure that the way down ends.
func (s *State) carries(p *plan, names []string) {
	for _, below := range s.plans {
		if !slices.ContainsFunc(below.feeds, func(f feed) bool { return f.plan == p }) {
			continue
		}
		asked := make([]string, len(names))
		for i, name := range names {
			asked[i] = p.corr.In(name, below.corr.Rule)
			if !slices.Contains(below.corr.GroupBy, asked[i]) && !slices.Contains(below.carry, asked[i]) {
				below.carry = append(below.carry, asked[i])
			}
		}
		s.carries(below, asked)
	}
}

// maxNumber is the largest number that is computed with, so that no sum of them
// leaves what a float64 holds. A larger one counts as this.
const maxNumber = 1e300

// number reads a value that is computed with.
func number(text string) (float64, bool) {
	text = strings.TrimSpace(text)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(v) || err == nil && math.IsInf(v, 0) {
		return 0, false
	}
	return max(-maxNumber, min(v, maxNumber)), true
}
