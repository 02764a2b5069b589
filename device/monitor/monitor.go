// Package monitor runs the sensors and judges what they read. It stands between
// device/sensor, which only reports, and device/agent, which writes down, acts
// and tells the server.
//
// Each sensor has a goroutine of its own: one that fails, panics or falls
// silent becomes FAULT or STALE, which alarm, is started again with growing
// pauses, and never touches another. Levels are debounced; an alarm of a sensor
// that latches stays until [Monitor.Release] names the latch; each sensor has a
// budget of events, over which they are coalesced, latches never. The rules are
// in [Core], which knows no clock, no goroutine and no disk.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/risk"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// Sink takes events. It is called with the monitor locked, in order, and must
// not block: a reflex waits behind it.
type Sink func(Event)

// Config is what a monitor needs.
type Config struct {
	Sensors []sensor.Sensor
	// Fusions are sensors made up of others.
	Fusions []Fused
	// Judges judge what the driver of a sensor measures.
	Judges map[core.SensorID][]Named
	// Latch overrides per sensor what its driver declares. Always adds to it:
	// such a sensor can be neither disarmed nor bypassed.
	Latch  map[core.SensorID]bool
	Always map[core.SensorID]bool
	// Had are the sensors that read on this machine before this start. Whoever takes
	// a chip out while the device is off must not find it skipped.
	Had map[core.SensorID]bool
	// Memory is what was kept of the judges that learn, by sensor and judge.
	Memory map[core.SensorID]map[string][]byte
	// Keep writes down what the judges of a sensor want kept, all of them by
	// name. It may block; it is called without any lock of the monitor's, by one
	// goroutine at a time, soon after the first change and then at most every
	// KeepEvery (0 means ten minutes), at the end of Run, and by Accept before
	// that returns, with the error if it was not kept.
	Keep      func(id core.SensorID, memory map[string][]byte) error
	KeepEvery time.Duration
	Rules     Rules
	Clock     core.Clock
	// Elapsed counts since boot, also while the machine is suspended. nil is a
	// machine that never is.
	Elapsed func() time.Duration
	Sink    Sink
	Log     *slog.Logger
	// Retry is the first pause after a failure; it doubles up to 64 times that.
	// 0 means a second.
	Retry time.Duration
}

// Monitor runs sensors. See [New] and [Monitor.Run].
type Monitor struct {
	cfg     Config
	kick    chan struct{} // a deadline came nearer
	mu      sync.Mutex
	core    *Core
	awake   time.Time // when, by the clock, elapsed was this
	elapsed time.Duration
	keep    sync.Mutex // held while Keep is called; never with mu held
	stop    map[core.SensorID]context.CancelCauseFunc
	until   time.Time // when keepTime wakes up by itself, zero for never
}

// New returns a monitor that knows its sensors and has not started them.
func New(cfg Config) (*Monitor, error) {
	if cfg.Retry == 0 {
		cfg.Retry = time.Second
	}
	if cfg.KeepEvery == 0 {
		cfg.KeepEvery = 10 * time.Minute
	}
	if err := cfg.Rules.Risk.Validate(); err != nil {
		return nil, err
	}
	specs, err := cfg.specs()
	if err != nil {
		return nil, err
	}
	return &Monitor{cfg: cfg, kick: make(chan struct{}, 1), core: NewCore(cfg.Rules, specs...), stop: map[core.SensorID]context.CancelCauseFunc{}}, nil
}

// do runs fn on the core and hands its events to the sink before anything else
// can happen, so that the order of events is the order of what was seen. It wakes
// the keeper of time only where a deadline came nearer: most readings put one off,
// and a device that is left alone should sleep.
func (m *Monitor) do(fn func(c *Core, now time.Time) []Event) {
	if !m.locked(fn) {
		return
	}
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// locked runs fn, and reports whether there is a deadline before the one that the
// keeper of time sleeps until.
func (m *Monitor) locked(fn func(c *Core, now time.Time) []Event) (sooner bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Clock.Now()
	for _, e := range slices.Concat(m.wake(now), fn(m.core, now)) {
		m.cfg.Sink(e)
	}
	for _, p := range m.core.Panics() {
		m.cfg.Log.Error("judge panicked", slog.Any("sensor", p.Sensor), slog.String("judge", p.Judge), slog.String("panic", p.Value), slog.String("stack", p.Stack))
	}
	for _, id := range m.core.Cut() {
		if stop := m.stop[id]; stop != nil {
			stop(errSilent)
		}
	}
	next := m.core.Next()
	return !next.IsZero() && (m.until.IsZero() || next.Before(m.until))
}

// wake charges the grants with the time for which the machine was suspended: the
// clock's own intervals leave it out.
func (m *Monitor) wake(now time.Time) []Event {
	if m.cfg.Elapsed == nil {
		return nil
	}
	elapsed := m.cfg.Elapsed()
	slept := elapsed - m.elapsed - now.Sub(m.awake)
	if first := m.awake.IsZero(); !first && slept < time.Second {
		return nil
	} else if m.awake, m.elapsed = now, elapsed; first {
		return nil
	}
	return m.core.Slept(now, slept)
}

// errSilent ends the run of a driver that says nothing.
var errSilent = core.E(core.KindUnavailable, "monitor.Run", "the driver fell silent")

// Restore puts back persisted latches and the arming state; call it before Run.
func (m *Monitor) Restore(latches []Latch, arming core.Arming) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.core.Restore(latches)
	m.core.arming = arming
}

// Run starts every sensor and returns when ctx ends and all of them have.
func (m *Monitor) Run(ctx context.Context) error {
	m.do(func(c *Core, now time.Time) []Event {
		return slices.Concat(c.Recall(now, m.cfg.Memory), c.Begin(now))
	})
	var wg sync.WaitGroup
	wg.Go(func() { m.remember(ctx) })
	for _, s := range m.cfg.Sensors {
		wg.Go(func() { m.supervise(ctx, s) })
	}
	m.keepTime(ctx)
	wg.Wait()
	return nil
}

// keepTime ticks the core when one of its deadlines comes.
func (m *Monitor) keepTime(ctx context.Context) {
	for {
		m.mu.Lock()
		next := m.core.Next()
		m.until = next
		m.mu.Unlock()
		var due <-chan time.Time
		if !next.IsZero() {
			due = m.cfg.Clock.After(next.Sub(m.cfg.Clock.Now()))
		}
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-due:
			m.locked(func(c *Core, now time.Time) []Event { return c.Tick(now) })
		}
	}
}

// supervise runs one sensor until ctx ends, again after each failure.
func (m *Monitor) supervise(ctx context.Context, s sensor.Sensor) {
	skipped := false
	for pause := m.cfg.Retry; ctx.Err() == nil; pause = min(2*pause, 64*m.cfg.Retry) {
		presence, err := probe(s)
		switch {
		case err != nil:
			m.failed(s, err)
		case presence.Present:
			skipped = false
			started := m.cfg.Clock.Now()
			m.do(func(c *Core, now time.Time) []Event { c.Started(now, s.ID()); return nil })
			err := m.runOnce(ctx, s)
			if ctx.Err() != nil {
				return
			}
			if !errors.Is(err, errSilent) { // that was told as stale
				m.failed(s, err)
			}
			if m.cfg.Clock.Now().Sub(started) > 64*m.cfg.Retry {
				pause = m.cfg.Retry // it ran well for long
			}
		case !skipped:
			skipped = true
			m.do(func(c *Core, now time.Time) []Event { return c.Skipped(now, s.ID(), presence.Reason) })
		}
		select {
		case <-ctx.Done():
		case <-m.cfg.Clock.After(pause):
		}
	}
}

func (m *Monitor) failed(s sensor.Sensor, err error) {
	if err == nil {
		err = core.E(core.KindUnavailable, "monitor.Run", "the driver stopped although nobody asked it to")
	}
	var p *panicError
	panicked := errors.As(err, &p)
	if panicked {
		m.cfg.Log.Error("sensor panicked", slog.Any("sensor", s.ID()), slog.Any("panic", p.value), slog.String("stack", string(p.stack)))
	}
	m.do(func(c *Core, now time.Time) []Event { return c.Failed(now, s.ID(), err.Error(), panicked) })
}

// panicError is a panic of a driver, kept on this side of the process's end.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func catch(err *error) {
	if v := recover(); v != nil {
		*err = &panicError{v, debug.Stack()}
	}
}

// runOnce runs a driver until it ends or is cut for its silence. A driver that
// does not heed its context can't be started anew; it stays stale.
func (m *Monitor) runOnce(ctx context.Context, s sensor.Sensor) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	m.mu.Lock()
	m.stop[s.ID()] = stop
	m.mu.Unlock()
	defer func() {
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
	}()
	defer catch(&err)
	return s.Run(ctx, func(r sensor.Reading) {
		m.do(func(c *Core, now time.Time) []Event { return c.Read(now, s.ID(), r) })
	})
}

func probe(s sensor.Sensor) (p sensor.Presence, err error) {
	defer catch(&err)
	return s.Probe(), nil
}

// Release clears the named latches and returns those that were set.
func (m *Monitor) Release(ids []string) (released []string) {
	m.do(func(c *Core, now time.Time) (events []Event) {
		released, events = c.Release(now, ids)
		return events
	})
	return released
}

// SetArming changes whether what is sensed counts as an attack.
func (m *Monitor) SetArming(a core.Arming) {
	m.do(func(c *Core, now time.Time) []Event { return c.SetArming(now, a) })
}

// SetBypass takes a sensor or a point out of service, now or later, for a while.
func (m *Monitor) SetBypass(b Bypass) (err error) {
	m.do(func(c *Core, now time.Time) (events []Event) {
		events, err = c.Bypass(now, b)
		return events
	})
	return err
}

// SetTime tells the judges that grant by the time of day what is known of the
// time. Call it every minute, and at once when nothing proves the time any more.
func (m *Monitor) SetTime(t schedule.Trusted) {
	m.do(func(c *Core, now time.Time) []Event { return c.SetTime(now, t) })
}

// Proved notes that a sensor passed a test that drives it.
func (m *Monitor) Proved(id core.SensorID) (known bool) {
	m.do(func(c *Core, now time.Time) []Event { known = c.Proved(now, id); return nil })
	return known
}

// Latches returns the latches that are set.
func (m *Monitor) Latches() []Latch {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Latches()
}

// Statuses returns what is known of every sensor.
func (m *Monitor) Statuses() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Statuses()
}

// Risk says how much the device is at risk, and of what that is made up.
func (m *Monitor) Risk() risk.Assessment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Risk(m.cfg.Clock.Now())
}

// Arming returns the arming state.
func (m *Monitor) Arming() core.Arming {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Arming()
}
