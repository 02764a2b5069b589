package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/breaker"
)

var (
	noon      = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	errBroken = errors.New("broken")
)

func newBreaker(t testing.TB) (*breaker.Breaker, *clocktest.Clock, *[]string) {
	t.Helper()
	clock, changes := clocktest.New(noon), &[]string{}
	var mu sync.Mutex
	b, err := breaker.New("events", breaker.Default, clock, func(c breaker.Change) {
		mu.Lock()
		defer mu.Unlock()
		*changes = append(*changes, fmt.Sprintf("%s-%s", c.From, c.To))
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, clock, changes
}

func call(b *breaker.Breaker, err error) error {
	return b.Do(context.Background(), func(context.Context) error { return err })
}

func fail(t testing.TB, b *breaker.Breaker, n int) {
	t.Helper()
	for range n {
		if err := call(b, errBroken); !errors.Is(err, errBroken) {
			t.Fatalf("the call was not made: %v", err)
		}
	}
}

func TestFiveFailuresThirtySecondsThreeProbes(t *testing.T) {
	b, clock, changes := newBreaker(t)
	fail(t, b, 4)
	if b.State() != breaker.Closed {
		t.Fatal("open after four")
	}
	fail(t, b, 1)
	ran := false
	err := b.Do(context.Background(), func(context.Context) error { ran = true; return nil })
	if ran || core.KindOf(err) != core.KindUnavailable || b.State() != breaker.Open {
		t.Fatalf("an open breaker: ran %v, %v", ran, err)
	}
	clock.Advance(30*time.Second - 1)
	if call(b, nil) == nil {
		t.Fatal("a call before its time")
	}
	clock.Advance(1)
	for n := range 3 {
		if b.State() != breaker.HalfOpen {
			t.Fatalf("before probe %d: %s", n, b.State())
		}
		if err := call(b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if s := b.Stats(); s.State != breaker.Closed || s.Opens != 1 || s.Refused != 2 || s.Failed != 5 || s.Succeeded != 3 || s.Allowed != 8 {
		t.Errorf("%+v", s)
	}
	if want := []string{"closed-open", "open-half_open", "half_open-closed"}; !reflect.DeepEqual(*changes, want) {
		t.Errorf("%v", *changes)
	}
}

func TestTheWindowSlides(t *testing.T) {
	b, clock, _ := newBreaker(t)
	for range 20 { // four a minute, for ever
		fail(t, b, 1)
		clock.Advance(15 * time.Second)
	}
	if b.State() != breaker.Closed {
		t.Fatal("four failures a minute opened it")
	}
	fail(t, b, 2)
	if b.State() != breaker.Open {
		t.Error("five within a minute did not")
	}
}

func TestProbesFailHangAndAreFew(t *testing.T) {
	b, clock, _ := newBreaker(t)
	fail(t, b, 5)
	clock.Advance(30 * time.Second)
	var dones []func(bool)
	for range 3 {
		done, err := b.Allow()
		if err != nil {
			t.Fatal(err)
		}
		dones = append(dones, done)
	}
	if _, err := b.Allow(); err == nil {
		t.Error("a fourth probe")
	}
	dones[0](true)
	dones[0](true) // once is enough
	if _, err := b.Allow(); err == nil {
		t.Error("a fourth probe after one came back")
	}
	dones[1](false)
	if b.State() != breaker.Open {
		t.Error("a failed probe left it half open")
	}
	dones[2](true) // late, of an earlier state
	clock.Advance(30 * time.Second)
	if _, err := b.Allow(); err != nil {
		t.Fatal(err)
	}
	clock.Advance(30 * time.Second) // that probe hangs
	if b.State() != breaker.Open {
		t.Error("a probe that hangs keeps it half open")
	}
	clock.Advance(30 * time.Second)
	for range 3 {
		if err := call(b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if b.State() != breaker.Closed {
		t.Errorf("%+v", b.Stats())
	}
}

func TestWhatCountsAsAFailure(t *testing.T) {
	b, _, _ := newBreaker(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 10 {
		_ = b.Do(ctx, func(ctx context.Context) error { return fmt.Errorf("asking: %w", ctx.Err()) })
	}
	if s := b.Stats(); s.State != breaker.Closed || s.Failed != 0 {
		t.Errorf("the caller's own end counted: %+v", s)
	}
	for range 5 {
		_ = call(b, context.DeadlineExceeded) // the part's own time limit
	}
	if b.State() != breaker.Open {
		t.Error("time-outs of the part did not count")
	}
	b.Reset("test")
	for range 5 {
		func() {
			defer func() { _ = recover() }()
			_ = b.Do(context.Background(), func(context.Context) error { panic("boom") })
		}()
	}
	if b.State() != breaker.Open {
		t.Error("panics did not count")
	}
}

func TestByHand(t *testing.T) {
	b, clock, _ := newBreaker(t)
	b.Trip("maintenance")
	clock.Advance(24 * time.Hour)
	if err := call(b, nil); err == nil || b.State() != breaker.Open {
		t.Errorf("what a person opened closed by itself: %v", err)
	}
	again, _, _ := newBreaker(t)
	if err := again.Restore(b.Snapshot()); err != nil || again.State() != breaker.Open || again.Stats().Reason != "opened by hand: maintenance" {
		t.Errorf("after a restart: %v, %+v", err, again.Stats())
	}
	b.Reset("done")
	if err := call(b, nil); err != nil {
		t.Error(err)
	}
}

func TestTheStateSurvivesARestart(t *testing.T) {
	restart := func(b *breaker.Breaker, clock *clocktest.Clock) *breaker.Breaker {
		t.Helper()
		stored, err := json.Marshal(b.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var s breaker.Snapshot
		if err := json.Unmarshal(stored, &s); err != nil {
			t.Fatal(err)
		}
		next, err := breaker.New("events", breaker.Default, clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Restore(s); err != nil {
			t.Fatal(err)
		}
		return next
	}
	b, clock, _ := newBreaker(t)
	fail(t, b, 4)
	b = restart(b, clock)
	fail(t, b, 1)
	if b = restart(b, clock); b.State() != breaker.Open {
		t.Fatalf("%+v", b.Stats())
	}
	clock.Advance(30 * time.Second)
	if b = restart(b, clock); b.State() != breaker.HalfOpen {
		t.Fatalf("%+v", b.Stats())
	}
	fail(t, b, 1)
	clock.Set(noon.Add(-24 * time.Hour)) // the clock is set back
	b = restart(b, clock)
	clock.Advance(30 * time.Second)
	if b.State() != breaker.HalfOpen {
		t.Error("a clock set back keeps it open")
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, c := range []breaker.Config{{}, {Failures: 1, Window: 1, Open: 1}, {Failures: 1, Window: 1, Probes: 1}, {Failures: -1, Window: 1, Open: 1, Probes: 1}, {Failures: 1, Open: 1, Probes: 1}} {
		if _, err := breaker.New("x", c, clocktest.New(noon), nil); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	b, _, _ := newBreaker(t)
	for _, s := range []breaker.Snapshot{{}, {State: "ajar"}, {State: breaker.Closed, Manual: true}, {State: breaker.Closed, Failures: make([]time.Time, 5)}} {
		if err := b.Restore(s); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// TestAgainstTheModel makes random calls, one at a time, against a model that
// keeps every result and judges from them alone.
func TestAgainstTheModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(19, 23))
	reached := map[breaker.State]int{}
	for range 500 {
		b, clock, _ := newBreaker(t)
		state, since, passed := breaker.Closed, noon, 0
		var failures []time.Time
		for range 60 {
			clock.Advance(time.Duration(rnd.IntN(20)) * time.Second)
			now := clock.Now()
			if state == breaker.Open && now.Sub(since) >= 30*time.Second {
				state, passed = breaker.HalfOpen, 0
			}
			ok := rnd.IntN(3) == 0
			var result error
			if !ok {
				result = errBroken
			}
			err := call(b, result)
			if refused := core.KindOf(err) == core.KindUnavailable; refused != (state == breaker.Open) {
				t.Fatalf("refused %v in %s", refused, state)
			}
			switch {
			case state == breaker.Closed && !ok:
				failures = append(failures, now)
				recent := 0
				for _, f := range failures {
					if now.Sub(f) < time.Minute {
						recent++
					}
				}
				if recent >= 5 {
					state, since, failures = breaker.Open, now, nil
				}
			case state == breaker.HalfOpen && !ok:
				state, since = breaker.Open, now
			case state == breaker.HalfOpen:
				if passed++; passed == 3 {
					state, failures = breaker.Closed, nil
				}
			}
			if got := b.State(); got != state {
				t.Fatalf("it is %s, the model says %s", got, state)
			}
			reached[state]++
		}
	}
	if len(reached) != 3 {
		t.Errorf("reached only %v", reached)
	}
}

func TestManyAtOnce(t *testing.T) {
	b, clock, _ := newBreaker(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 200 {
				var err error
				if (i+n)%3 == 0 {
					err = errBroken
				}
				_ = call(b, err)
				if i%20 == 0 {
					clock.Advance(10 * time.Second)
				}
			}
		}()
	}
	wg.Wait()
	if s := b.Stats(); s.Allowed != s.Failed+s.Succeeded || s.Allowed+s.Refused != 1600 {
		t.Errorf("%+v", s)
	}
}
