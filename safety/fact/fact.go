// Package fact is what is known of the world and how old that knowledge is, and
// the interlock that stands on it.
//
// A [Fact] is a value, when it was observed, and for how long that counts. A
// fact that is missing, stale, dated in the future, simulated or bypassed is
// off: "not known" never reads as "true" (TRUST F25).
//
// An [Interlock] permits while every fact that it needs is on, and only after a
// person reset it:
//
//	         all facts on, reset by a person
//	  ┌─────────────────────────────────────┐
//	  │                                     ▼
//	tripped ◄───────────────────────── permitting
//	          any fact off, at any time
//
// It starts tripped, it is tripped after every restart, and it stays tripped
// when the facts come back: what restarts a machine is a person, never a sensor
// that recovered.
//
// Everything is a value and takes the time as an argument. Give it a clock that
// does not stand still: freshness can't be judged on a frozen one, and a clock
// that goes backwards turns facts off.
package fact

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Fact is one thing known, or believed.
type Fact struct {
	Name  string `json:"name"` // "device.attested", "guard.closed"
	Value bool   `json:"value"`
	// Observed is when the source saw it, by the clock that judges it.
	Observed time.Time `json:"observed"`
	// Fresh is how long the observation counts.
	Fresh time.Duration `json:"fresh"`
	// Source is who says so: an authenticated peer.
	Source string `json:"source"`
	// Simulated and Bypassed facts never satisfy a permit.
	Simulated bool `json:"simulated,omitempty"`
	Bypassed  bool `json:"bypassed,omitempty"`
}

// Reading is what a fact amounts to at a time.
type Reading string

// The readings. Only on is on.
const (
	On        Reading = "on"
	Off       Reading = "off"
	Missing   Reading = "missing"
	Stale     Reading = "stale"
	Future    Reading = "future"
	Simulated Reading = "simulated"
	Bypassed  Reading = "bypassed"
)

// Read returns what the fact amounts to now.
func (f Fact) Read(now time.Time) Reading {
	switch {
	case f.Observed.IsZero():
		return Missing
	case f.Simulated:
		return Simulated
	case f.Bypassed:
		return Bypassed
	case f.Observed.After(now):
		return Future
	case f.Fresh <= 0 || now.Sub(f.Observed) >= f.Fresh:
		return Stale
	case !f.Value:
		return Off
	}
	return On
}

// State is where an interlock is.
type State string

// The states.
const (
	Tripped    State = "tripped"
	Permitting State = "permitting"
)

// Transition is a row of the table.
type Transition struct {
	From State
	When string
	To   State
}

// Transitions is the whole machine.
var Transitions = []Transition{
	{Tripped, "a person resets it while every needed fact is on", Permitting},
	{Permitting, "any needed fact is off, missing, stale, future, simulated or bypassed", Tripped},
	{Permitting, "the program starts again", Tripped},
}

// Why is a fact that does not let an interlock permit.
type Why struct {
	Name    string  `json:"name"`
	Reading Reading `json:"reading"`
}

// String returns "guard.closed is stale".
func (w Why) String() string { return w.Name + " is " + string(w.Reading) }

// Interlock permits while all facts that it needs are on. It is a value.
type Interlock struct {
	needs []string
	facts map[string]Fact
	state State
	why   []Why // of the last trip
	by    core.PersonID
	last  time.Time
}

// MaxNeeds bounds an interlock.
const MaxNeeds = 256

// New returns an interlock that is tripped and needs the facts named. One that
// needs nothing would permit always and is invalid.
func New(needs ...string) (Interlock, error) {
	if len(needs) == 0 || len(needs) > MaxNeeds {
		return Interlock{}, core.E(core.KindInvalid, "fact.New", fmt.Sprintf("an interlock needs 1 to %d facts", MaxNeeds))
	}
	needs = slices.Clone(needs)
	slices.Sort(needs)
	if needs[0] == "" || len(slices.Compact(slices.Clone(needs))) != len(needs) {
		return Interlock{}, core.E(core.KindInvalid, "fact.New", "a needed fact has no name or is named twice")
	}
	return Interlock{needs: needs, facts: map[string]Fact{}, state: Tripped}, nil
}

// Observe takes a fact in. One that the interlock does not need, or that is
// older than what is known, is refused and changes nothing but the time. An
// observation that is off trips at once.
func (i Interlock) Observe(f Fact, now time.Time) (Interlock, error) {
	if !slices.Contains(i.needs, f.Name) {
		return i.At(now), core.E(core.KindInvalid, "fact.Observe", fmt.Sprintf("%.100q is not a fact that is needed here", f.Name))
	}
	if old, known := i.facts[f.Name]; known && f.Observed.Before(old.Observed) && old.Read(now) != Future {
		return i.At(now), core.E(core.KindReplayed, "fact.Observe", f.Name+" is known from a later observation")
	}
	facts := make(map[string]Fact, len(i.facts)+1)
	for name, old := range i.facts {
		facts[name] = old
	}
	facts[f.Name] = f
	// What stands until now is judged first: a gap before this observation
	// trips even where the observation would have filled it.
	i = i.At(now)
	i.facts = facts
	return i.At(now), nil
}

// At returns the interlock as it is at a time: it trips when a fact went stale.
func (i Interlock) At(now time.Time) Interlock {
	if now.Before(i.last) { // the clock went backwards
		if i.state == Permitting {
			i.state, i.why = Tripped, []Why{{"clock", Future}}
		}
		return i
	}
	i.last = now
	if i.state != Permitting {
		return i
	}
	if why := i.Missing(now); len(why) > 0 {
		i.state, i.why = Tripped, why
	}
	return i
}

// Missing returns the facts that are not on, sorted by name.
func (i Interlock) Missing(now time.Time) []Why {
	var out []Why
	for _, name := range i.needs {
		if r := i.facts[name].Read(now); r != On {
			out = append(out, Why{name, r})
		}
	}
	return out
}

// Reset lets a tripped interlock permit, if every fact is on. A person does it;
// whether that person may is for the caller to have asked.
func (i Interlock) Reset(by core.PersonID, now time.Time) (Interlock, error) {
	i = i.At(now)
	switch why := i.Missing(now); {
	case len(i.needs) == 0:
		return i, core.E(core.KindInvalid, "fact.Reset", "an interlock that needs nothing never permits")
	case by.IsZero():
		return i, core.E(core.KindInvalid, "fact.Reset", "a person resets an interlock")
	case i.state == Permitting:
		return i, core.E(core.KindConflict, "fact.Reset", "the interlock permits already")
	case now.Before(i.last):
		return i, core.E(core.KindUnavailable, "fact.Reset", "the clock is behind what is known")
	case len(why) > 0:
		return i, core.E(core.KindConflict, "fact.Reset", list(why))
	}
	i.state, i.by, i.why = Permitting, by, nil
	return i, nil
}

// Permits reports whether the interlock permits now. It is the one question that
// an output asks, every time.
func (i Interlock) Permits(now time.Time) bool { return i.At(now).state == Permitting }

// State returns the state as of the last operation.
func (i Interlock) State() State {
	if i.state == "" {
		return Tripped
	}
	return i.state
}

// Tripped returns why it tripped last; nothing after a start or while it permits.
func (i Interlock) Tripped() []Why { return slices.Clone(i.why) }

// By returns who reset it last.
func (i Interlock) By() core.PersonID { return i.by }

func list(why []Why) string {
	parts := make([]string, len(why))
	for n, w := range why {
		parts[n] = w.String()
	}
	return strings.Join(parts, ", ")
}
