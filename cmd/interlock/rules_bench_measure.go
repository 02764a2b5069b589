package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/hunt"
	"github.com/interlock-security/interlock/siem/sigma"
)

const (
	// maxBenchBytes bounds the events that are kept in memory.
	maxBenchBytes = 512 << 20
	// leastTurn is how long one side runs before the other does, so that the
	// clock is fine enough.
	leastTurn = 50 * time.Millisecond
	maxTurn   = 1 << 24 // events
	minRounds = 3
	maxRounds = 101
)

// benchEvent is one event as it is given to the engine.
type benchEvent struct {
	json    []byte
	vouched []sigma.Field
	// sources are those that the normaliser knew, nil where the event's own
	// fields say so.
	sources []sigma.Logsource
}

// ruleBench measures an engine on events.
type ruleBench struct {
	engine *sigma.Engine
	view   *sigma.View
	every  []sigma.Logsource

	events   []benchEvent
	named    map[string]bool
	bytes    int64
	files    int
	unread   int
	unrouted int
	cut      bool
	fired    uint64
}

func (b *ruleBench) keep(ev hunt.Event) {
	e := benchEvent{json: bytes.Clone(ev.JSON), vouched: slices.Clone(ev.Vouched)}
	switch {
	case len(ev.Sources) == 0:
		e.sources = b.every
		b.unrouted++
	case !ev.Routed:
		e.sources = slices.Clone(ev.Sources)
	}
	if b.named == nil {
		b.named = make(map[string]bool)
	}
	b.named[ev.File] = true
	b.events = append(b.events, e)
	b.bytes += int64(len(e.json))
}

// read lays one event out and asks nothing.
func (b *ruleBench) read(e *benchEvent) {
	b.view.Reset()
	for _, f := range e.vouched {
		b.view.Set(f.Name, f.Value)
	}
	_ = b.view.Load(e.json) // it was loaded once before
}

func (b *ruleBench) sources(e *benchEvent) []sigma.Logsource {
	if e.sources != nil {
		return e.sources
	}
	return b.view.Sources()
}

func (b *ruleBench) parsePass() {
	for i := range b.events {
		b.read(&b.events[i])
	}
}

func (b *ruleBench) matchPass() {
	fired := func(sigma.Match) { b.fired++ }
	for i := range b.events {
		e := &b.events[i]
		b.read(e)
		b.engine.Match(b.view, b.sources(e), fired)
	}
}

// measure runs both sides in turns until the time is over.
func (b *ruleBench) measure(ctx context.Context, budget time.Duration, top int, say func(string)) (benchReport, error) {
	b.parsePass()
	b.matchPass() // nothing is counted of the first passes
	passes, err := b.passes()
	if err != nil {
		return benchReport{}, err
	}
	var parse, match, ratio []float64
	for end := time.Now().Add(budget); len(parse) < minRounds || len(parse) < maxRounds && time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return benchReport{}, core.Wrap(core.KindUnavailable, "rules bench", err)
		}
		p, err := b.rate(passes, b.parsePass)
		if err != nil {
			return benchReport{}, err
		}
		m, err := b.rate(passes, b.matchPass)
		if err != nil {
			return benchReport{}, err
		}
		parse, match, ratio = append(parse, p), append(match, m), append(ratio, m/p)
		say(fmt.Sprintf("round %d: %s events a second, %.2f of reading alone", len(parse), whole(m), m/p))
	}
	r := benchReport{
		Events: len(b.events), Bytes: b.bytes, Files: b.files, Cut: b.cut, Unread: b.unread, Unrouted: b.unrouted, Rules: len(b.engine.Rules()),
		Rounds: len(parse), Parse: rateOf(parse), Match: rateOf(match), Ratio: rateOf(ratio).Median, Allocations: b.allocations(),
	}
	b.costs(&r, top)
	return r, nil
}

// passes is how many passes over the events make a turn.
func (b *ruleBench) passes() (int, error) {
	for n := 1; ; n *= 2 {
		took, err := spent(func() {
			for range n {
				b.matchPass()
			}
		})
		if err != nil || took >= leastTurn || n*len(b.events) >= maxTurn {
			return n, err
		}
	}
}

// spent is the processor time that fn takes.
func spent(fn func()) (time.Duration, error) {
	before, err := benchClock()
	fn()
	after, err2 := benchClock()
	return after - before, cmp.Or(err, err2)
}

// benchClock is what this process has used of processors.
func benchClock() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), core.Wrap(core.KindUnavailable, "rules bench", err)
}

func (b *ruleBench) rate(passes int, pass func()) (float64, error) {
	took, err := spent(func() {
		for range passes {
			pass()
		}
	})
	return float64(passes*len(b.events)) / max(took.Seconds(), 1e-6), err
}

func rateOf(rounds []float64) benchRate {
	sorted := slices.Sorted(slices.Values(rounds))
	return benchRate{sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1]}
}

func (b *ruleBench) allocations() float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.matchPass()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(len(b.events))
}

// costs asks every rule with a clock in hand.
func (b *ruleBench) costs(r *benchReport, top int) {
	began := time.Now()
	now := func() time.Duration { return time.Since(began) }
	tick := clockCost(now)
	profile := b.engine.NewProfile(now)
	for i := range b.events {
		e := &b.events[i]
		b.read(e)
		profile.Match(b.view, b.sources(e), func(sigma.Match) {})
	}
	all := profile.Costs()
	var total time.Duration
	var asked, fired uint64
	r.Always, r.Costs = []benchRule{}, []benchCost{}
	for i := range all {
		c := &all[i]
		c.Spent = max(c.Spent-time.Duration(c.Asked)*tick, 0)
		total += c.Spent
		asked, fired = asked+c.Asked, fired+c.Fired
		switch c.Found {
		case sigma.FoundAlways:
			r.Always = append(r.Always, benchRuleOf(c.Rule))
		case sigma.FoundByField:
			r.ByField++
		}
	}
	r.Asked, r.Fired = float64(asked)/float64(len(b.events)), float64(fired)/float64(len(b.events))
	slices.SortStableFunc(all, func(x, y sigma.Cost) int { return cmp.Or(cmp.Compare(y.Spent, x.Spent), cmp.Compare(y.Asked, x.Asked)) })
	for _, c := range all[:min(top, len(all))] {
		if c.Asked > 0 {
			r.Costs = append(r.Costs, benchCost{benchRuleOf(c.Rule), c.Spent.Seconds() / max(total.Seconds(), 1e-9), c.Asked, c.Fired, c.Expressions, string(c.Found)})
		}
	}
}

// clockCost is what looking at the clock takes: the least that was seen.
func clockCost(now func() time.Duration) time.Duration {
	least := time.Second
	for range 1000 {
		start := now()
		least = min(least, now()-start)
	}
	return least
}

func benchRuleOf(r *sigma.Rule) benchRule {
	return benchRule{r.ID, r.Title, r.Author, r.File, r.Pos.Line}
}
