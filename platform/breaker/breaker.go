// Package breaker stops asking a part that keeps failing, and asks again a
// little later: a circuit breaker.
//
//	          failures within the window          after Open
//	closed ──────────────────────────────► open ─────────────► half_open
//	  ▲                                     ▲                     │   │
//	  │                                     └─────────────────────┘   │
//	  │                                       a probe fails or hangs  │
//	  └───────────────────────────────────────────────────────────────┘
//	                      all probes succeed, one after another or together
//
// [Breaker.Trip] opens it by hand and [Breaker.Reset] closes it; what a person
// tripped stays open until a person resets it. A breaker never refuses a stop:
// the stop path does not ask one.
//
// Time comes from the clock given, the state can be stored and restored
// ([Breaker.Snapshot]), and a clock that goes backwards neither opens nor keeps
// it open for longer than Open. Safe for concurrent use.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
)

// State is where a breaker is.
type State string

// The states.
const (
	// Closed lets everything through.
	Closed State = "closed"
	// Open refuses everything.
	Open State = "open"
	// HalfOpen lets some probes through.
	HalfOpen State = "half_open"
)

// States lists them.
var States = []State{Closed, Open, HalfOpen}

// Config is when a breaker opens and how it closes. [Default] is usual.
type Config struct {
	// Failures within Window open the breaker.
	Failures int           `yaml:"failures" json:"failures"`
	Window   time.Duration `yaml:"window" json:"window"`
	// Open is how long it stays open before it lets probes through. A probe
	// that takes longer counts as failed.
	Open time.Duration `yaml:"open" json:"open"`
	// Probes must succeed to close it; no more than that many run at once.
	Probes int `yaml:"probes" json:"probes"`
}

// Default opens at 5 failures within a minute, for 30 seconds, and closes after
// 3 probes.
var Default = Config{Failures: 5, Window: time.Minute, Open: 30 * time.Second, Probes: 3}

// Validate refuses a configuration that could never open or never close.
func (c Config) Validate() error {
	if c.Failures < 1 || c.Failures > 10_000 || c.Probes < 1 || c.Probes > 1000 || c.Window <= 0 || c.Open <= 0 {
		return core.E(core.KindInvalid, "breaker.Config", fmt.Sprintf("failures %d, window %s, open %s, probes %d: each must be above zero (failures at most 10000, probes at most 1000)", c.Failures, c.Window, c.Open, c.Probes))
	}
	return nil
}

// Change is one transition, for logs and metrics.
type Change struct {
	Name     string
	From, To State
	At       time.Time
	Reason   string
}

// Stats count what went through since the breaker was made.
type Stats struct {
	State     State  `json:"state"`
	Reason    string `json:"reason"`
	Opens     uint64 `json:"opens"`
	Allowed   uint64 `json:"allowed"`
	Refused   uint64 `json:"refused"`
	Failed    uint64 `json:"failed"`
	Succeeded uint64 `json:"succeeded"`
}

// Breaker is one circuit breaker.
type Breaker struct {
	name   string
	config Config
	clock  core.Clock
	change func(Change)

	mu       sync.Mutex
	state    State
	failures []time.Time // within the window, oldest first; while closed
	opened   time.Time
	manual   bool
	reason   string
	probes   []time.Time // when each running probe began; while half open
	passed   int         // probes that succeeded; while half open
	era      uint64      // rises with each transition: late results are ignored
	stats    Stats
	changes  []Change // told after the lock is given up
}

// New returns a closed breaker. The name is for messages; change, which may be
// nil, is told of every transition and must not call the breaker.
func New(name string, c Config, clock core.Clock, change func(Change)) (*Breaker, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Breaker{name: name, config: c, clock: clock, change: change, state: Closed}, nil
}

// Do runs f if the breaker lets it, and counts its result. An error of f counts
// as a failure unless the caller's own context ended; a panic counts and goes
// on. The refusal is of kind unavailable and f is not run.
func (b *Breaker) Do(ctx context.Context, f func(context.Context) error) error {
	done, err := b.Allow()
	if err != nil {
		return err
	}
	failed := true // a panic passes here without a result
	defer func() { done(!failed) }()
	err = f(ctx)
	failed = err != nil && !(ctx.Err() != nil && errors.Is(err, ctx.Err()))
	return err
}

// Allow asks to go through. When it may, the caller calls done exactly once with
// whether it worked; further calls do nothing.
func (b *Breaker) Allow() (done func(ok bool), err error) {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	b.advance(now)
	if b.state == Open || b.state == HalfOpen && len(b.probes)+b.passed >= b.config.Probes {
		b.stats.Refused++
		return nil, core.E(core.KindUnavailable, "breaker.Allow", b.name+" is not asked: "+b.reason).
			WithHint("it is tried again by itself, unless a person opened the breaker")
	}
	b.stats.Allowed++
	if b.state == HalfOpen {
		b.probes = append(b.probes, now)
	}
	era, once := b.era, sync.Once{}
	return func(ok bool) { once.Do(func() { b.result(era, now, ok) }) }, nil
}

// advance makes the transitions that time makes.
func (b *Breaker) advance(now time.Time) {
	switch b.state {
	case Open:
		if b.opened.After(now) { // the clock went backwards
			b.opened = now
		}
		if !b.manual && now.Sub(b.opened) >= b.config.Open {
			b.move(HalfOpen, now, "probing")
		}
	case HalfOpen:
		if slices.ContainsFunc(b.probes, func(began time.Time) bool { return now.Sub(began) >= b.config.Open }) {
			b.open(now, "a probe did not return")
		}
	}
}

// result counts what became of a call.
func (b *Breaker) result(era uint64, began time.Time, ok bool) {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	if ok {
		b.stats.Succeeded++
	} else {
		b.stats.Failed++
	}
	if era != b.era {
		return // it was allowed in an earlier state
	}
	switch b.state {
	case Closed:
		if !ok {
			b.fail(now)
		}
	case HalfOpen:
		b.probed(began, now, ok)
	}
}

func (b *Breaker) fail(now time.Time) {
	b.failures = slices.DeleteFunc(b.failures, func(t time.Time) bool { return now.Sub(t) >= b.config.Window })
	b.failures = append(b.failures, now)
	if n := len(b.failures); n >= b.config.Failures {
		b.open(now, fmt.Sprintf("%d failures within %s", n, b.config.Window))
	}
}

func (b *Breaker) probed(began, now time.Time, ok bool) {
	if i := slices.IndexFunc(b.probes, began.Equal); i >= 0 {
		b.probes = slices.Delete(b.probes, i, i+1)
	}
	if !ok {
		b.open(now, "a probe failed")
		return
	}
	b.passed++
	if b.passed >= b.config.Probes {
		b.move(Closed, now, fmt.Sprintf("%d probes succeeded", b.passed))
	}
}

func (b *Breaker) open(now time.Time, reason string) {
	b.opened = now
	b.stats.Opens++
	b.move(Open, now, reason)
}

// move enters a state afresh.
func (b *Breaker) move(to State, now time.Time, reason string) {
	b.changes = append(b.changes, Change{b.name, b.state, to, now, reason})
	b.state, b.reason, b.failures, b.probes, b.passed = to, reason, nil, nil, 0
	b.era++
}

// tell tells of the transitions made, after the lock is given up.
func (b *Breaker) tell() {
	b.mu.Lock()
	changes := b.changes
	b.changes = nil
	b.mu.Unlock()
	if b.change == nil {
		return
	}
	for _, c := range changes {
		b.change(c)
	}
}

// Trip opens the breaker until [Breaker.Reset].
func (b *Breaker) Trip(reason string) {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.manual = true
	b.open(b.clock.Now(), "opened by hand: "+reason)
}

// Reset closes the breaker and forgets the failures.
func (b *Breaker) Reset(reason string) {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.manual = false
	b.move(Closed, b.clock.Now(), "closed by hand: "+reason)
}

// State returns where the breaker is now.
func (b *Breaker) State() State { return b.Stats().State }

// Stats returns the counts and the state now.
func (b *Breaker) Stats() Stats {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(b.clock.Now())
	s := b.stats
	s.State, s.Reason = b.state, b.reason
	return s
}

// Snapshot is a breaker's state, for keeping it over a restart.
type Snapshot struct {
	State    State       `json:"state"`
	Failures []time.Time `json:"failures"`
	Opened   time.Time   `json:"opened"`
	Manual   bool        `json:"manual"`
	Reason   string      `json:"reason"`
}

// Snapshot returns the state now. Running probes are not part of it.
func (b *Breaker) Snapshot() Snapshot {
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(b.clock.Now())
	return Snapshot{b.state, append([]time.Time{}, b.failures...), b.opened, b.manual, b.reason}
}

// Restore takes the state of a snapshot. Results of calls allowed before are
// ignored. Times in the future are taken for now: a clock that was set back does
// not keep the breaker open for longer.
func (b *Breaker) Restore(s Snapshot) error {
	if !slices.Contains(States, s.State) || s.Manual && s.State != Open || len(s.Failures) >= b.config.Failures {
		return core.E(core.KindInvalid, "breaker.Restore", fmt.Sprintf("the snapshot of %s makes no sense: state %.20q, %d failures", b.name, s.State, len(s.Failures)))
	}
	defer b.tell()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.clock.Now()
	b.move(s.State, now, s.Reason)
	b.manual, b.opened = s.Manual, earlier(s.Opened, now)
	for _, t := range s.Failures {
		b.failures = append(b.failures, earlier(t, now))
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}
