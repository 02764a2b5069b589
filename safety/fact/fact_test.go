package fact_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/safety/fact"
)

var (
	noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	anna = core.MustID[core.PersonID]("anna")
)

func on(name string, at time.Time) fact.Fact {
	return fact.Fact{Name: name, Value: true, Observed: at, Fresh: 10 * time.Second, Source: "device/press-7"}
}

func TestOnlyOnIsOn(t *testing.T) {
	good := on("guard", noon)
	spoil := func(f func(*fact.Fact)) fact.Fact { c := good; f(&c); return c }
	rows := []struct {
		f    fact.Fact
		at   time.Time
		want fact.Reading
	}{
		{good, noon, fact.On},
		{good, noon.Add(10*time.Second - 1), fact.On},
		{good, noon.Add(10 * time.Second), fact.Stale},
		{good, noon.Add(time.Hour * 24 * 3650), fact.Stale},
		{good, noon.Add(-1), fact.Future},
		{good, time.Unix(0, 0), fact.Future},
		{fact.Fact{}, noon, fact.Missing},
		{spoil(func(f *fact.Fact) { f.Value = false }), noon, fact.Off},
		{spoil(func(f *fact.Fact) { f.Simulated = true }), noon, fact.Simulated},
		{spoil(func(f *fact.Fact) { f.Bypassed = true }), noon, fact.Bypassed},
		{spoil(func(f *fact.Fact) { f.Fresh = 0 }), noon, fact.Stale},
		{spoil(func(f *fact.Fact) { f.Fresh = -time.Hour }), noon, fact.Stale},
	}
	for _, r := range rows {
		if got := r.f.Read(r.at); got != r.want {
			t.Errorf("%+v at %s: %s, want %s", r.f, r.at, got, r.want)
		}
	}
}

func TestAnInterlockNeedsAllFactsAndAPerson(t *testing.T) {
	i, err := fact.New("guard", "attested")
	if err != nil {
		t.Fatal(err)
	}
	step := func(f fact.Fact, now time.Time) {
		t.Helper()
		if i, err = i.Observe(f, now); err != nil {
			t.Fatal(err)
		}
	}
	step(on("guard", noon), noon)
	if _, err := i.Reset(anna, noon); core.KindOf(err) != core.KindConflict || err.Error() != "fact.Reset: attested is missing" {
		t.Errorf("reset with a fact missing: %v", err)
	}
	step(on("attested", noon), noon)
	if i.Permits(noon) {
		t.Error("it permits without a reset")
	}
	if _, err := i.Reset(core.PersonID{}, noon); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a reset by nobody: %v", err)
	}
	if i, err = i.Reset(anna, noon); err != nil || !i.Permits(noon) || i.By() != anna || i.State() != fact.Permitting {
		t.Fatalf("reset: %v", err)
	}
	if _, err := i.Reset(anna, noon); core.KindOf(err) != core.KindConflict {
		t.Errorf("a second reset: %v", err)
	}
	if i.Permits(noon.Add(10 * time.Second)) {
		t.Error("it permits on stale facts")
	}
	later := noon.Add(11 * time.Second)
	step(on("guard", later), later) // the facts come back
	step(on("attested", later), later)
	if i.Permits(later) || len(i.Tripped()) == 0 {
		t.Error("facts that came back restarted it")
	}
	if i, err = i.Reset(anna, later); err != nil {
		t.Fatal(err)
	}
	step(fact.Fact{Name: "guard", Observed: later, Fresh: time.Minute}, later)
	if i.Permits(later) || fmt.Sprint(i.Tripped()) != "[guard is off]" {
		t.Errorf("an open guard: permits %v, %v", i.Permits(later), i.Tripped())
	}
}

func TestAClockThatGoesBackTrips(t *testing.T) {
	i, _ := fact.New("guard")
	i, err := i.Observe(on("guard", noon), noon)
	if err != nil {
		t.Fatal(err)
	}
	if i, err = i.Reset(anna, noon.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, now := range []time.Time{noon, noon.Add(-24 * time.Hour), time.Unix(0, 0), noon.Add(24 * time.Hour), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC)} {
		if i.Permits(now) {
			t.Errorf("it permits at %s", now)
		}
		if _, err := i.At(now).Reset(anna, now); err == nil {
			t.Errorf("it can be reset at %s", now)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for _, needs := range [][]string{{}, {""}, {"a", "a"}, make([]string, fact.MaxNeeds+1)} {
		if _, err := fact.New(needs...); core.KindOf(err) != core.KindInvalid {
			t.Errorf("needs %q: %v", needs, err)
		}
	}
	i, _ := fact.New("guard")
	if _, err := i.Observe(on("door", noon), noon); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a foreign fact: %v", err)
	}
	i, err := i.Observe(on("guard", noon), noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Observe(on("guard", noon.Add(-1)), noon); core.KindOf(err) != core.KindReplayed {
		t.Errorf("an older observation: %v", err)
	}
	if (fact.Interlock{}).Permits(noon) || (fact.Interlock{}).State() != fact.Tripped {
		t.Error("the zero interlock permits")
	}
	if _, err := (fact.Interlock{}).Reset(anna, noon); core.KindOf(err) != core.KindInvalid {
		t.Errorf("the zero interlock was reset: %v", err)
	}
}

// TestAgainstTheModel runs random observations, resets and waits. The model is
// one sentence: it permits if it was reset, and since then every fact was on at
// every moment that anybody looked.
func TestAgainstTheModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 17))
	names := []string{"a", "b", "c"}
	permitted, tripped := 0, 0
	for range 2000 {
		i, err := fact.New(names...)
		if err != nil {
			t.Fatal(err)
		}
		now, facts, permits := noon, map[string]fact.Fact{}, false
		allOn := func() bool {
			for _, n := range names {
				if facts[n].Read(now) != fact.On {
					return false
				}
			}
			return true
		}
		for range 40 {
			now = now.Add(time.Duration(rnd.IntN(4)) * time.Second)
			permits = permits && allOn()
			switch rnd.IntN(4) {
			case 0, 1:
				f := on(names[rnd.IntN(3)], now.Add(-time.Duration(rnd.IntN(3))*time.Second))
				f.Value, f.Simulated, f.Bypassed = rnd.IntN(8) > 0, rnd.IntN(20) == 0, rnd.IntN(20) == 0
				next, err := i.Observe(f, now)
				if old, known := facts[f.Name]; known && f.Observed.Before(old.Observed) {
					if core.KindOf(err) != core.KindReplayed {
						t.Fatalf("an older observation: %v", err)
					}
				} else {
					facts[f.Name] = f
				}
				i = next
				permits = permits && allOn()
			case 2:
				next, err := i.Reset(anna, now)
				want := !permits && allOn()
				if (err == nil) != want {
					t.Fatalf("reset: %v, the model says %v", err, want)
				}
				permits, i = permits || want, next
			case 3:
				i = i.At(now)
			}
			if i.Permits(now) != permits {
				t.Fatalf("it permits %v, the model says %v; %v", i.Permits(now), permits, i.Missing(now))
			}
			if permits {
				permitted++
			} else {
				tripped++
			}
		}
	}
	if permitted < 1000 || tripped < 1000 {
		t.Errorf("permitted %d times, tripped %d times", permitted, tripped)
	}
}
