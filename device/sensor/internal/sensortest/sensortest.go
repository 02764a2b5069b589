// Package sensortest runs a driver as the monitor does and keeps what it says,
// for the tests of drivers. Nothing outside tests imports it.
package sensortest

import (
	"context"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// patience bounds a failure; nothing waits for it that works.
const patience = 90 * time.Second

// Run is a driver that runs.
type Run struct {
	t        testing.TB
	driver   sensor.Sensor
	Clock    *clocktest.Clock
	Readings chan sensor.Reading
	ended    chan error
	Stop     context.CancelFunc
}

// Start makes a driver and runs it. Its time is the run's and moves when told.
func Start[S sensor.Sensor](t testing.TB, with func(sensor.Env) (S, error)) *Run {
	t.Helper()
	r := &Run{t: t, Clock: clocktest.New(time.Unix(1_800_000_000, 0))}
	s, err := with(sensor.Env{ID: core.MustID[core.SensorID]("sensor"), Clock: r.Clock})
	if err != nil {
		t.Fatal(err)
	}
	r.driver = s
	r.Again()
	t.Cleanup(func() { r.Stop() })
	return r
}

// Again runs the driver anew after it ended.
func (r *Run) Again() {
	readings, ended := make(chan sensor.Reading, 4096), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	r.Readings, r.ended, r.Stop = readings, ended, stop
	driver := r.driver
	go func() { ended <- driver.Run(ctx, func(x sensor.Reading) { readings <- x }) }()
}

// Await returns the next reading of a kind.
func (r *Run) Await(kind sensor.Kind) sensor.Reading {
	r.t.Helper()
	for {
		if x := r.reading(); x.Kind == kind {
			return x
		}
	}
}

// Round returns what is said until the next beat.
func (r *Run) Round() (all []sensor.Reading) {
	r.t.Helper()
	for {
		x := r.reading()
		if x.Kind == sensor.Beat {
			return all
		}
		all = append(all, x)
	}
}

func (r *Run) reading() sensor.Reading {
	r.t.Helper()
	select {
	case x := <-r.Readings:
		return x
	case err := <-r.ended:
		r.ended <- err
		select {
		case x := <-r.Readings: // said before it ended
			return x
		default:
		}
		r.t.Fatalf("it ended: %v", err)
	case <-time.After(patience):
		r.t.Fatal("it says nothing")
	}
	return sensor.Reading{}
}

// Next lets a minute pass once the driver waits for it, and returns the round
// that follows.
func (r *Run) Next() []sensor.Reading {
	r.t.Helper()
	r.Pass(time.Minute)
	return r.Round()
}

// Pass lets time pass once the driver waits for it.
func (r *Run) Pass(d time.Duration) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); r.Clock.Waiters() == 0; {
		if time.Now().After(deadline) {
			r.t.Fatal("the driver waits for no time")
		}
		<-time.After(time.Millisecond)
	}
	r.Clock.Advance(d)
}

// End returns how the driver ended.
func (r *Run) End() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("it runs on")
		return nil
	}
}
