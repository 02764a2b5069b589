package hunt

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

const (
	// maxFacts bounds the matches that wait for correlations.
	maxFacts = 5_000_000
	// correlateMemory bounds what correlations remember.
	correlateMemory = 512 << 20
)

// fact is a match that feeds correlations.
type fact struct {
	hit
	name  string
	order int
}

func (h *hunt) feed(f *file, t hit) {
	if len(h.facts) >= maxFacts {
		h.res.Incomplete = fmt.Sprintf("correlations were shown only the first %d matches", maxFacts)
		return
	}
	if !h.fits(t.facts) {
		return
	}
	h.facts = append(h.facts, fact{t, f.name, f.index})
}

// correlate lets the correlations see the matches of all files in the order of
// their time. A match without a time has no place there.
func (h *hunt) correlate() {
	h.bursts = make(map[burst]int)
	timed := h.facts[:0]
	for _, f := range h.facts {
		if f.time.IsZero() {
			h.res.Uncorrelated++
			continue
		}
		timed = append(timed, f)
	}
	slices.SortStableFunc(timed, func(a, b fact) int {
		return cmp.Or(a.time.Compare(b.time), cmp.Compare(a.order, b.order), cmp.Compare(a.event, b.event))
	})
	evicted := 0
	state := correlate.New(h.Engine, correlate.Config{Memory: correlateMemory, Evicted: func(correlate.Eviction) { evicted++ }})
	fire := func(f correlate.Firing) { h.fired(f, timed) }
	var now time.Time
	for i, f := range timed {
		if f.time.After(now) {
			now = f.time
			state.Advance(now, fire)
		}
		state.Take(correlate.Fact{
			Scope: "hunt", Rule: f.rule, Event: number2id(i), At: f.time, Received: f.time,
			Source: f.host, Provenance: core.ProvenanceLocal, Fields: f.facts,
		}, fire)
	}
	if len(timed) > 0 {
		state.Advance(now.Add(sigma.MaxTimespan+2*correlate.Lateness), fire)
	}
	if evicted > 0 {
		h.res.Incomplete = fmt.Sprintf("the memory of correlations ran out: %d groups were given up before they could fire", evicted)
	}
}

// number2id lets a firing name the facts of this hunt.
func number2id(i int) (id core.UUID) {
	binary.BigEndian.PutUint64(id[8:], uint64(i)+1)
	return id
}

func id2number(id core.UUID) int { return int(binary.BigEndian.Uint64(id[8:])) - 1 }

// burst names what one match stands for.
type burst struct {
	rule *sigma.Rule
	key  correlate.Key
}

// fired makes a match of a firing, or makes the group's last match longer: while
// the same events keep a correlation firing it is one thing that happens.
func (h *hunt) fired(f correlate.Firing, facts []fact) {
	if !f.Alerts || !h.Keep(f.Correlation.Rule) || !h.within(hit{time: f.Last}) {
		return
	}
	b := burst{f.Correlation.Rule, f.Key}
	if i, ok := h.bursts[b]; ok && !f.First.After(h.res.Matches[i].Last) {
		h.extend(&h.res.Matches[i], f, facts)
		return
	}
	m := Match{Rule: f.Correlation.Rule, Time: f.Last, Fields: f.Key.Fields(f.Correlation)}
	for i, e := range f.Events {
		at := facts[id2number(e.ID)]
		if i == 0 {
			m.Host = at.host
		}
		m.file, m.Event = at.order, at.event
	}
	h.extend(&m, f, facts)
	if h.add(m) {
		h.bursts[b] = len(h.res.Matches) - 1
	}
}

// extend adds a firing's events to its match.
func (h *hunt) extend(m *Match, f correlate.Firing, facts []fact) {
	m.Total += len(f.Events) + f.Omitted
	m.Last = f.Last
	for _, e := range f.Events {
		at := facts[id2number(e.ID)]
		if m.Host != at.host {
			m.Host = "" // of several machines
		}
		if len(m.Events) < maxEvents {
			m.Events = append(m.Events, EventRef{at.name, at.event})
		}
	}
}
