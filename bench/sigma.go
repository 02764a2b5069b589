package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/valyala/fastjson"

	"github.com/interlock-security/interlock/siem/sigma"
	"github.com/interlock-security/interlock/siem/sigma/taxonomy"
)

// sigmaBar is what judging an event by every rule may cost, parsing included,
// against only parsing it.
const sigmaBar = 0.35

// Sigma's figures: raw JSON of real Windows events and of syslog, judged by all
// of SigmaHQ's rules for every product or by some of them, spread evenly.
func sigmaTrials() []trial {
	return []trial{
		sigmaTrial("windows-2.4k", "full", 0, windowsEvents, bar{ratio: true, atLeast: sigmaBar}),
		sigmaTrial("windows-2.4k", "1000rules", 1000, windowsEvents),
		sigmaTrial("windows-2.4k", "100rules", 100, windowsEvents),
		sigmaTrial("syslog-0.5k", "full", 0, syslogEvents, bar{ratio: true, atLeast: sigmaBar}),
		sigmaTrial("syslog-0.5k", "1000rules", 1000, syslogEvents),
		sigmaTrial("syslog-0.5k", "100rules", 100, syslogEvents),
	}
}

func sigmaTrial(events, rules string, n int, load func() (*salted, error), bars ...bar) trial {
	name := "sigma/" + events + "/" + rules
	return trial{
		figures: []figure{
			{name: name, unit: "events/cpu-s", floor: "parse-only", bars: bars},
			{name: name + "/allocs", unit: "allocs/event", bars: []bar{{atMost: 0.001}}},
		},
		open: func(context.Context, string) (sides, error) { return openSigma(n, load) },
	}
}

func openSigma(n int, load func() (*salted, error)) (sides, error) {
	engine, err := sigmaEngine(n)
	if err != nil {
		return sides{}, err
	}
	events, err := load()
	if err != nil {
		return sides{}, err
	}
	judge := judged(engine)
	var parser fastjson.Parser
	parse := func(event []byte) error {
		_, err := parser.ParseBytes(event)
		return err
	}
	for range 60 { // so that next to nothing is built or learnt while it is measured
		events.salt()
		if err := events.pass(judge); err != nil {
			return sides{}, err
		}
	}
	return sides{
		ours:  func() ([]float64, error) { return events.measure(judge) },
		floor: func() ([]float64, error) { return events.measure(parse) },
		close: func() error { return nil },
	}, nil
}

// judged is what happens to a raw event.
func judged(engine *sigma.Engine) func([]byte) error {
	view, matches := engine.NewView(), 0
	count := func(sigma.Match) { matches++ }
	return func(event []byte) error {
		view.Reset()
		if err := view.Load(event); err != nil {
			return err
		}
		engine.Match(view, view.Sources(), count)
		return nil
	}
}

// sigmaEngine compiles n of SigmaHQ's rules, or all, as the server does.
func sigmaEngine(n int) (*sigma.Engine, error) {
	rules, err := sigmaRules()
	if err != nil {
		return nil, err
	}
	return sigma.Compile(spread(rules, n), sigma.Options{Aliases: taxonomy.Aliases, Routes: taxonomy.Routes(), Placeholders: placeholders})
}

// placeholders give those that SigmaHQ's rules have something to stand for.
var placeholders = map[string][]string{
	"Administrators": {"adm*"}, "Workstations": {"ws-*"}, "Servers": {"srv*"}, "DomainControllers": {"dc?"}, "JumpServers": {"jump"},
}

// spread takes n of a list, evenly.
func spread[T any](all []T, n int) []T {
	if n == 0 || n >= len(all) {
		return all
	}
	out := make([]T, n)
	for i := range out {
		out[i] = all[i*len(all)/n]
	}
	return out
}

// measure passes over the events for a span and returns how many can be had for
// a second of processor time, and the allocations for one. New salt comes
// between passes and is not counted.
func (s *salted) measure(op func([]byte) error) ([]float64, error) {
	var used time.Duration
	var before, after runtime.MemStats
	var allocs uint64
	passes := 0
	for ; used < span; passes++ {
		s.salt()
		runtime.ReadMemStats(&before)
		begin := processorTime()
		if err := s.pass(op); err != nil {
			return nil, err
		}
		used += processorTime() - begin
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
	}
	n := float64(passes * len(s.events))
	return []float64{n / used.Seconds(), float64(allocs) / n}, nil
}

func (s *salted) pass(op func([]byte) error) error {
	for i, event := range s.events {
		if err := op(event); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return nil
}
