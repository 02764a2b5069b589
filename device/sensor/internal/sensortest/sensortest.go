// Package sensortest is a machine for the tests of drivers: files as the kernel
// shows them in a folder, a kernel that says what the test says, a time that
// moves when told, and what the driver makes of it all. It runs a driver as the
// monitor does. Nothing outside tests imports it.
package sensortest

import (
	"context"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

// patience bounds a failure; nothing waits for it that works.
const patience = 90 * time.Second

// Rig is a machine and the driver that runs on it.
type Rig struct {
	Env    sensor.Env
	Clock  *clocktest.Clock
	Kernel *ueventtest.Kernel
	// Step passes again and again while the test waits for what the driver says;
	// with 0 time stands still.
	Step time.Duration

	t      testing.TB
	driver sensor.Sensor
	*run
}

// run is one run of a driver.
type run struct {
	said   chan sensor.Reading
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // known once ended is closed
}

// New returns a machine that shows nothing yet.
func New(t testing.TB) *Rig {
	t.Helper()
	r := &Rig{t: t, Clock: clocktest.New(time.Unix(1_700_000_000, 0)), Kernel: ueventtest.New()}
	r.Env = sensor.Env{ID: core.MustID[core.SensorID]("sensor"), Clock: r.Clock, Root: t.TempDir()}
	return r
}

// Start makes a machine and a driver, and runs it.
func Start[S sensor.Sensor](t testing.TB, with func(sensor.Env) (S, error)) *Rig {
	t.Helper()
	r := New(t)
	s, err := with(r.Env)
	r.Must(err)
	r.Run(s)
	return r
}

// Must ends the test if preparing it failed.
func (r *Rig) Must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Run runs a driver until the test stops it or ends.
func (r *Rig) Run(driver sensor.Sensor) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	now := &run{said: make(chan sensor.Reading, 4096), cancel: cancel, ended: make(chan struct{})}
	r.driver, r.run = driver, now
	go func() {
		defer close(now.ended)
		now.err = driver.Run(ctx, func(x sensor.Reading) { now.hear(ctx, x) })
	}()
	r.t.Cleanup(func() {
		cancel()
		<-now.ended
	})
	return r.Stop
}

// hear keeps a reading. A driver that is told to end is not held up by a test
// that no longer listens.
func (n *run) hear(ctx context.Context, x sensor.Reading) {
	select {
	case n.said <- x:
		return
	default:
	}
	select {
	case n.said <- x:
	case <-ctx.Done():
	}
}

// Again runs the driver anew after it ended.
func (r *Rig) Again() (stop func()) { return r.Run(r.driver) }

// Stop stops the driver, which is no error.
func (r *Rig) Stop() {
	r.t.Helper()
	r.cancel()
	if err := r.End(); err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// End waits for the driver to end by itself and returns its error.
func (r *Rig) End() error {
	r.t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case <-r.ended:
			return r.err
		case <-r.tick():
			r.Clock.Advance(r.Step)
		case <-deadline:
			r.t.Fatal("the driver runs on")
		}
	}
}

// Pass lets time pass once the driver waits for it.
func (r *Rig) Pass(d time.Duration) {
	r.t.Helper()
	r.PassWith(1, d)
}

// PassWith lets time pass once so many waits for it are under way.
func (r *Rig) PassWith(waits int, d time.Duration) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); r.Clock.Waiters() < waits; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("the driver waits %d times, not %d", r.Clock.Waiters(), waits)
		}
	}
	r.Clock.Advance(d)
}

// tick is when the next Step is due.
func (r *Rig) tick() <-chan time.Time {
	if r.Step == 0 {
		return nil
	}
	return time.After(time.Millisecond)
}
