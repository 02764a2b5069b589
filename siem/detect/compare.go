package detect

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/alert"
)

// Comparison is what another set of rules would have made of the same events. It
// is plain data, and the same for the same journal, span and sets.
type Comparison struct {
	// Before and After name the sets by their hash.
	Before string `json:"before"`
	After  string `json:"after"`
	// From and To are the first and the last record that were looked at; asked
	// for was Span. Complete is false where time or room ran out before its end.
	Span     Span      `json:"span"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	Complete bool      `json:"complete"`
	Events   uint64    `json:"events"`
	// AlertsBefore and AlertsAfter are how many there would have been in all.
	AlertsBefore int `json:"alerts_before"`
	AlertsAfter  int `json:"alerts_after"`
	// Rules are those that differ, most alerts first.
	Rules []RuleDifference `json:"rules"`
	// Removed and Added are the first of those alerts, at most [MaxExamples]
	// each.
	Removed []Example `json:"removed"`
	Added   []Example `json:"added"`
}

// RuleDifference is what changes for one rule.
type RuleDifference struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Title string `json:"title"`
	// Removed and Added count alerts. RemovedEvents and AddedEvents also count
	// the events of alerts that stay and become smaller or larger.
	Removed       int    `json:"removed"`
	Added         int    `json:"added"`
	RemovedEvents uint64 `json:"removed_events"`
	AddedEvents   uint64 `json:"added_events"`
}

// Example is one alert, told briefly.
type Example struct {
	Rule   string            `json:"rule"`
	Title  string            `json:"title"`
	Author string            `json:"author"`
	Link   string            `json:"link"`
	Group  map[string]string `json:"group,omitempty"`
	Source string            `json:"source"`
	Count  uint64            `json:"count"`
	First  time.Time         `json:"first"`
	Last   time.Time         `json:"last"`
	Events []core.UUID       `json:"events"` // the first three
}

const (
	// MaxExamples is how many alerts are shown of those that come and of those
	// that go.
	MaxExamples = 20
	// maxExampleEvents is how many events an example names.
	maxExampleEvents = 3
)

// Progress tells how far a comparison has come.
type Progress struct {
	At     time.Time `json:"at,omitzero"` // of the record that it is at
	Events uint64    `json:"events"`
}

// progressEvery is after how many frames progress is told.
const progressEvery = 64

var errEnough = errors.New("enough")

// Compare runs a span of the journal through both sets at once. progress, which
// may be nil, hears how far it has come and ends the comparison with false; what
// was seen until then is told as not complete. Memory does not grow with the
// span, but with the alerts, which are bounded.
func Compare(ctx context.Context, j Journal, span Span, before, after *Ruleset, progress func(Progress) bool) (Comparison, error) {
	c := Comparison{Before: before.Hash, After: after.Hash, Span: span, Complete: true}
	a, b := NewReplayer(before, j.Partitions()), NewReplayer(after, j.Partitions())
	n := 0
	err := Frames(ctx, j, span, func(f journal.Frame) error {
		if c.From.IsZero() {
			c.From = f.Received
		}
		c.To = f.Received
		if err := errors.Join(a.Take(f), b.Take(f)); err != nil {
			return err
		}
		if n++; n%progressEvery == 0 && progress != nil && !progress(Progress{f.Received, a.Stats.Events.Load()}) {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return c, err
	}
	c.Events = a.Stats.Events.Load()
	c.Complete = err == nil && a.Left() == 0 && b.Left() == 0
	c.AlertsBefore, c.AlertsAfter = len(a.Alerts()), len(b.Alerts())
	c.differ(a.Alerts(), b.Alerts())
	return c, nil
}

// differ pairs the alerts of both runs: those about the same thing that overlap
// in time are one and the same, though another event may have opened it.
func (c *Comparison) differ(before, after []alert.Alert) {
	rules := map[string]*RuleDifference{}
	of := func(a alert.Alert) *RuleDifference {
		d := rules[a.Rule.ID]
		if d == nil {
			d = &RuleDifference{ID: a.Rule.ID, Name: a.Rule.Name, Title: a.Title}
			rules[a.Rule.ID] = d
		}
		return d
	}
	left := map[string][]alert.Alert{}
	for _, a := range after {
		left[a.Fingerprint] = append(left[a.Fingerprint], a)
	}
	for _, a := range before {
		list := left[a.Fingerprint]
		i := slices.IndexFunc(list, func(b alert.Alert) bool { return !b.Opened.After(a.Updated) && !a.Opened.After(b.Updated) })
		if i < 0 {
			d := of(a)
			d.Removed, d.RemovedEvents = d.Removed+1, d.RemovedEvents+a.Count
			c.Removed = example(c.Removed, a)
			continue
		}
		switch b := list[i]; {
		case b.Count < a.Count:
			of(a).RemovedEvents += a.Count - b.Count
		case b.Count > a.Count:
			of(a).AddedEvents += b.Count - a.Count
		}
		left[a.Fingerprint] = slices.Delete(slices.Clone(list), i, i+1)
	}
	for _, a := range after {
		if slices.ContainsFunc(left[a.Fingerprint], func(b alert.Alert) bool { return b.ID == a.ID }) {
			d := of(a)
			d.Added, d.AddedEvents = d.Added+1, d.AddedEvents+a.Count
			c.Added = example(c.Added, a)
		}
	}
	for _, d := range rules {
		c.Rules = append(c.Rules, *d)
	}
	slices.SortFunc(c.Rules, func(a, b RuleDifference) int {
		return cmp.Or(cmp.Compare(b.Removed+b.Added, a.Removed+a.Added), cmp.Compare(b.RemovedEvents+b.AddedEvents, a.RemovedEvents+a.AddedEvents), cmp.Compare(a.ID, b.ID))
	})
}

func example(list []Example, a alert.Alert) []Example {
	if len(list) >= MaxExamples {
		return list
	}
	return append(list, Example{
		Rule: a.Name, Title: a.Title, Author: a.Author, Link: a.Link, Group: a.Group, Source: a.Source, Count: a.Count, First: a.First, Last: a.Last,
		Events: a.Events[:min(len(a.Events), maxExampleEvents)],
	})
}
