package sensortest

import (
	"fmt"
	"math"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// Await returns the next reading that fits.
func (r *Rig) Await(what string, fits func(sensor.Reading) bool) sensor.Reading {
	r.t.Helper()
	for deadline := time.After(patience); ; {
		if x := r.next(what, deadline); fits(x) {
			return x
		}
	}
}

func (r *Rig) next(what string, deadline <-chan time.Time) sensor.Reading {
	r.t.Helper()
	for {
		select {
		case x := <-r.said:
			return x
		case <-r.ended:
			if len(r.said) == 0 { // what was said before counts
				r.t.Fatalf("no %s: the driver ended: %v", what, r.err)
			}
		case <-r.tick():
			r.Clock.Advance(r.Step)
		case <-deadline:
			r.t.Fatalf("no %s", what)
		}
	}
}

// AwaitKind returns the next reading of a kind.
func (r *Rig) AwaitKind(kind sensor.Kind) sensor.Reading {
	r.t.Helper()
	return r.Await(fmt.Sprint(kind), func(x sensor.Reading) bool { return x.Kind == kind })
}

// AwaitAt returns the next reading of a kind at a point.
func (r *Rig) AwaitAt(kind sensor.Kind, point string) sensor.Reading {
	r.t.Helper()
	return r.Await(fmt.Sprint(kind, " at ", point), func(x sensor.Reading) bool { return x.Kind == kind && x.Point == point })
}

// AwaitType returns the next reading of an event's type.
func (r *Rig) AwaitType(word string) sensor.Reading {
	r.t.Helper()
	return r.Await(word, func(x sensor.Reading) bool { return x.Type == word })
}

// AwaitLevel returns the next level that is active or not.
func (r *Rig) AwaitLevel(active bool) sensor.Reading {
	r.t.Helper()
	return r.Await(fmt.Sprint("level ", active), func(x sensor.Reading) bool { return x.Kind == sensor.Level && x.Active == active })
}

// AwaitLevelAt is AwaitLevel for one point.
func (r *Rig) AwaitLevelAt(point string, active bool) sensor.Reading {
	r.t.Helper()
	return r.Await(fmt.Sprint(point, " ", active), func(x sensor.Reading) bool {
		return x.Kind == sensor.Level && x.Point == point && x.Active == active
	})
}

// AwaitMeasure returns the next measure of a point that has a value.
func (r *Rig) AwaitMeasure(point string, value float64) sensor.Reading {
	r.t.Helper()
	return r.Await(fmt.Sprint(point, " ", value), func(x sensor.Reading) bool {
		return x.Kind == sensor.Measure && x.Point == point && math.Abs(x.Value-value) < 1e-9
	})
}

// Said returns what the driver has said and nobody has taken yet.
func (r *Rig) Said() (all []sensor.Reading) {
	for len(r.said) > 0 {
		all = append(all, <-r.said)
	}
	return all
}

// SaidType says whether a reading of a type is among them.
func (r *Rig) SaidType(word string) bool {
	found := false
	for _, x := range r.Said() {
		found = found || x.Type == word
	}
	return found
}

// Round returns what is said until the next beat.
func (r *Rig) Round() (all []sensor.Reading) {
	r.t.Helper()
	r.Await("beat", func(x sensor.Reading) bool {
		if x.Kind != sensor.Beat {
			all = append(all, x)
		}
		return x.Kind == sensor.Beat
	})
	return all
}

// Next lets a minute pass once the driver waits for it, and returns the round
// that follows.
func (r *Rig) Next() []sensor.Reading {
	r.t.Helper()
	r.Pass(time.Minute)
	return r.Round()
}

// Findings has a driver test itself, and holds what it found against what some
// checks should find. What is no pass says why.
func (r *Rig) Findings(s sensor.SelfTester, want map[string]sensor.Result) []sensor.Finding {
	r.t.Helper()
	all := s.SelfTest(r.t.Context())
	got := map[string]sensor.Result{}
	for _, f := range all {
		got[f.Check] = f.Result
		if f.Result != sensor.Pass && f.Why == "" {
			r.t.Errorf("%+v has no reason", f)
		}
	}
	for check, result := range want {
		if got[check] != result {
			r.t.Errorf("%s: %q, want %q", check, got[check], result)
		}
	}
	return all
}
