package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/correlate"
)

// Correlation is measured with keys alive in numbers, each seen about twice in
// a window, at what the issue asks for.
const (
	correlateKeys  = 100_000
	correlateBar   = 200_000
	correlateBatch = 5_000
)

// correlateTrials measure matches taken a CPU-second, ticks included. The floor
// is a map from the same keys to a counter and a time.
func correlateTrials() []trial {
	const head = "group-by: [user]\n  timespan: 10m\n  condition: "
	trials := []trial{
		correlateTrial("event_count", false, "type: event_count\n  rules: [failed]\n  "+head+"{gte: 10}"),
		correlateTrial("event_count/rows", true, "type: event_count\n  rules: [failed]\n  "+head+"{gte: 10}"),
		correlateTrial("value_count", false, "type: value_count\n  rules: [failed]\n  "+head+"{gte: 10, field: host}"),
		correlateTrial("value_sum", false, "type: value_sum\n  rules: [failed]\n  "+head+"{gte: 1000000, field: bytes}"),
		correlateTrial("temporal", false, "type: temporal\n  rules: [failed, login]\n  "+head+"failed and login"),
		correlateTrial("temporal_ordered", false, "type: temporal_ordered\n  rules: [failed, login]\n  "+head+"failed and login"),
		correlateTrial("absent", false, "type: temporal_ordered\n  rules: [failed, login]\n  "+head+"failed and not login"),
	}
	return trials
}

func correlateTrial(name string, rows bool, body string) trial {
	return trial{
		figures: []figure{{name: "correlate/100k-keys/" + name, unit: "matches/cpu-s", floor: "map-of-counters", bars: []bar{{atLeast: correlateBar}, {ratio: true, atLeast: 0.1}}}},
		open:    func(context.Context, string) (sides, error) { return openCorrelate(body, rows) },
	}
}

// correlation makes matches without end: the same keys come again, no event
// does.
type correlation struct {
	state *correlate.State
	rules []*sigma.Rule
	users []string
	hosts []string
	fact  correlate.Fact
	n     uint64
	rows  bool

	counters map[string]counter
	counted  uint64
}

type counter struct {
	n    int
	last int64
}

func openCorrelate(body string, rows bool) (sides, error) {
	const rule = "title: %s\nname: %s\nlogsource: {product: linux}\ndetection: {s: {event: %s}, condition: s}\n---\n"
	rules, err := sigma.Parse("bench.yml", fmt.Appendf(nil, rule+rule+"title: c\ncorrelation:\n  %s\n", "failed", "failed", "failed", "login", "login", "login", body))
	if err != nil {
		return sides{}, err
	}
	engine, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		return sides{}, err
	}
	c := &correlation{
		state: correlate.New(engine, correlate.Config{Memory: 256 << 20}), rules: engine.Rules(), rows: rows, counters: make(map[string]counter),
		fact: correlate.Fact{Scope: "acme", Source: "syslog/192.0.2.1", Provenance: core.ProvenanceLocal, Fields: make([]sigma.Field, 3)},
	}
	for i := range correlateKeys {
		c.users = append(c.users, fmt.Sprintf("user-%08d@example.org", i*7919))
		c.hosts = append(c.hosts, fmt.Sprintf("198.51.%d.%d", i>>8, i&255))
	}
	for range 2 * correlateKeys / correlateBatch {
		if err := errors.Join(c.take(), c.count()); err != nil {
			return sides{}, err
		}
	}
	if n := c.state.Stats().Groups; n < correlateKeys*8/10 {
		return sides{}, fmt.Errorf("only %d keys are alive", n)
	}
	return sides{ours: perSecond(correlateBatch, c.take), floor: perSecond(correlateBatch, c.count), close: func() error { return nil }}, nil
}

// next makes match n.
func (c *correlation) next(n *uint64) *correlate.Fact {
	*n++
	f := &c.fact
	f.Rule = c.rules[*n%3/2]
	f.Received = time.UnixMicro(1767225600e6 + int64(*n)*5000).UTC()
	f.At = f.Received.Add(-time.Duration(*n%97) * time.Millisecond)
	binary.BigEndian.PutUint64(f.Event[8:], *n)
	f.Fields[0] = sigma.Field{Name: "user", Value: c.users[*n*2654435761%correlateKeys]}
	f.Fields[1] = sigma.Field{Name: "host", Value: c.hosts[*n%correlateKeys]}
	f.Fields[2] = sigma.Field{Name: "bytes", Value: "1500"}
	return f
}

func (c *correlation) take() error {
	for range correlateBatch {
		c.state.Take(*c.next(&c.n), nil)
	}
	c.state.Advance(c.fact.Received, nil)
	if !c.rows {
		return nil
	}
	return c.state.Changes(func(correlate.Key, []byte, int64) error { return nil }, func(correlate.Key) error { return nil })
}

func (c *correlation) count() error {
	for range correlateBatch {
		f := c.next(&c.counted)
		k := f.Fields[0].Value
		c.counters[k] = counter{c.counters[k].n + 1, f.Received.UnixMicro()}
	}
	return nil
}
