package monitor_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/sim"
)

// floor runs a monitor over simulated sensors with a clock of its own.
type floor struct {
	t      *testing.T
	clock  *clocktest.Clock
	m      *monitor.Monitor
	sims   map[string]*sim.Sensor
	mu     sync.Mutex
	events []monitor.Event
	more   chan struct{}
}

func newFloor(t *testing.T, names ...string) *floor {
	t.Helper()
	f := &floor{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), sims: map[string]*sim.Sensor{}, more: make(chan struct{}, 1)}
	var sensors []sensor.Sensor
	for _, n := range names {
		s, err := sim.New(core.MustID[core.SensorID](n), f.clock, sim.Options{})
		if err != nil {
			t.Fatal(err)
		}
		f.sims[n] = s
		sensors = append(sensors, s)
	}
	m, err := monitor.New(monitor.Config{Sensors: sensors, Clock: f.clock, Sink: f.sink, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	f.m = m
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return f
}

func (f *floor) sink(e monitor.Event) {
	f.mu.Lock()
	f.events = append(f.events, e)
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

func (f *floor) feed(name string, step sim.Step) {
	f.t.Helper()
	if err := f.sims[name].Feed(f.t.Context(), step); err != nil {
		f.t.Fatal(err)
	}
}

func (f *floor) count(name, kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range f.events {
		if e.Sensor.String() == name && e.Type == kind {
			n++
		}
	}
	return n
}

// await lets time pass in small steps until the condition holds; the deadline
// only bounds a failure.
func (f *floor) await(what string, ok func() bool) {
	f.t.Helper()
	deadline := time.After(3 * time.Minute)
	for !ok() {
		select {
		case <-f.more:
		case <-deadline:
			f.t.Fatalf("never: %s; events %+v", what, f.events)
		case <-time.After(time.Millisecond):
			f.clock.Advance(20 * time.Millisecond)
		}
	}
}

func (f *floor) state(name string) core.SensorState {
	for _, s := range f.m.Statuses() {
		if s.ID.String() == name {
			return s.State
		}
	}
	return ""
}

func TestOneFaultySensorLeavesTheOthersRunning(t *testing.T) {
	for _, fault := range []string{"panic", "error", "end", "silence", "frozen"} {
		t.Run(fault, func(t *testing.T) {
			f := newFloor(t, "bad", "good")
			f.await("both read", func() bool { return f.state("bad") == core.SensorOK && f.state("good") == core.SensorOK })
			f.feed("bad", sim.Step{Do: fault, Why: "test"})
			want := core.SensorFault
			if fault == "silence" || fault == "frozen" {
				want = core.SensorStale
			}
			f.await("told", func() bool { return f.count("bad", "sensor_lost") == 1 })
			f.mu.Lock()
			if e := f.events[len(f.events)-1]; e.Type == "sensor_lost" && e.State != want {
				t.Errorf("state %s, want %s", e.State, want)
			}
			f.mu.Unlock()
			f.feed("good", sim.Step{Do: "level", Point: "lid", Active: true, Type: "case_opened", Clear: "case_closed"})
			f.await("the other alarms", func() bool { return f.count("good", "case_opened") == 1 })
			f.await("started again", func() bool { return f.count("bad", "sensor_back") == 1 && f.state("bad") == core.SensorOK })
			if n := f.count("good", "sensor_lost"); n != 0 {
				t.Errorf("the good sensor was lost %d times", n)
			}
		})
	}
}

func TestReleaseAndRestore(t *testing.T) {
	f := newFloor(t, "case")
	f.feed("case", sim.Step{Do: "pulse", Point: "mesh", Type: "mesh_cut", Alarm: true})
	f.await("latched", func() bool { return len(f.m.Latches()) == 1 })
	l := f.m.Latches()
	if got := f.m.Release([]string{l[0].ID}); len(got) != 1 || len(f.m.Latches()) != 0 {
		t.Errorf("Release = %v, left %v", got, f.m.Latches())
	}
	g := newFloor(t, "case")
	g.m.Restore(l, core.Armed)
	if got := g.m.Latches(); len(got) != 1 || got[0] != l[0] {
		t.Errorf("restored %v", got)
	}
}

func TestBadSetsOfSensorsAreRefused(t *testing.T) {
	one, err := sim.New(core.MustID[core.SensorID]("a"), core.SystemClock{}, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	nameless, err := sim.New(core.SensorID{}, core.SystemClock{}, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range [][]sensor.Sensor{{one, one}, {nameless}} {
		if _, err := monitor.New(monitor.Config{Sensors: set, Clock: core.SystemClock{}}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("New: %v", err)
		}
	}
}

// absent is a sensor that this machine does not have.
type absent struct{ sensor.Sensor }

func (absent) ID() core.SensorID { return core.MustID[core.SensorID]("absent") }

func (absent) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Kind: "usb", MaxSilence: time.Minute}
}
func (absent) Probe() sensor.Presence { return sensor.Skipped("no bus") }

func TestAnAbsentSensorIsToldOnceAndIsNeverOK(t *testing.T) {
	f := &floor{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), more: make(chan struct{}, 1)}
	m, err := monitor.New(monitor.Config{Sensors: []sensor.Sensor{absent{}}, Clock: f.clock, Sink: f.sink, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	start := f.clock.Now()
	f.m = m
	f.await("probed some times", func() bool { return f.clock.Now().Sub(start) > 30*time.Second })
	cancel()
	<-done
	if n := f.count("absent", "sensor_skipped"); n != 1 || f.state("absent") != core.SensorUnknown {
		t.Errorf("%d events, state %s", n, f.state("absent"))
	}
}
