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
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Sink takes events. It is called with the monitor locked, in order, and must
// not block: a reflex waits behind it.
type Sink func(Event)

// Config is what a monitor needs.
type Config struct {
	Sensors []sensor.Sensor
	// Latch overrides per sensor what its driver declares.
	Latch map[core.SensorID]bool
	Rules Rules
	Clock core.Clock
	Sink  Sink
	Log   *slog.Logger
	// Retry is the first pause after a failure; it doubles up to 64 times that.
	// 0 means a second.
	Retry time.Duration
}

// Monitor runs sensors. See [New] and [Monitor.Run].
type Monitor struct {
	cfg  Config
	kick chan struct{} // a deadline may have moved
	mu   sync.Mutex
	core *Core
	stop map[core.SensorID]context.CancelCauseFunc
}

// New returns a monitor that knows its sensors and has not started them.
func New(cfg Config) (*Monitor, error) {
	if cfg.Retry == 0 {
		cfg.Retry = time.Second
	}
	specs := make([]Spec, 0, len(cfg.Sensors))
	seen := map[core.SensorID]bool{}
	for _, s := range cfg.Sensors {
		caps := s.Capabilities()
		if err := check(s.ID(), caps, seen); err != nil {
			return nil, err
		}
		if latch, set := cfg.Latch[s.ID()]; set {
			caps.Latches = latch
		}
		specs = append(specs, Spec{ID: s.ID(), Caps: caps})
	}
	return &Monitor{cfg: cfg, kick: make(chan struct{}, 1), core: NewCore(cfg.Rules, specs...), stop: map[core.SensorID]context.CancelCauseFunc{}}, nil
}

func check(id core.SensorID, caps sensor.Capabilities, seen map[core.SensorID]bool) error {
	switch {
	case id.IsZero():
		return core.E(core.KindInvalid, "monitor.New", "a sensor has no id")
	case seen[id]:
		return core.E(core.KindInvalid, "monitor.New", fmt.Sprintf("two sensors are called %s", id))
	case caps.MaxSilence <= 0:
		return core.E(core.KindInvalid, "monitor.New", fmt.Sprintf("sensor %s declares no longest silence", id))
	}
	seen[id] = true
	return nil
}

// do runs fn on the core and hands its events to the sink before anything else
// can happen, so that the order of events is the order of what was seen.
func (m *Monitor) do(fn func(c *Core, now time.Time) []Event) {
	m.locked(fn)
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

func (m *Monitor) locked(fn func(c *Core, now time.Time) []Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range fn(m.core, m.cfg.Clock.Now()) {
		m.cfg.Sink(e)
	}
	for _, id := range m.core.Cut() {
		if stop := m.stop[id]; stop != nil {
			stop(errSilent)
		}
	}
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
	var wg sync.WaitGroup
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

// Bypass takes a sensor out of service for a while. It reports whether there is
// such a sensor.
func (m *Monitor) Bypass(id core.SensorID, d time.Duration) (known bool) {
	m.do(func(c *Core, now time.Time) []Event {
		known = c.Bypass(id, now.Add(d))
		return nil
	})
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

// Arming returns the arming state.
func (m *Monitor) Arming() core.Arming {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.core.Arming()
}
