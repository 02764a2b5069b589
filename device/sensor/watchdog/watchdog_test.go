package watchdog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// fake is a watchdog that counts. The real one is in the virtual machine of
// test/hil: it resets what it stands in.
type fake struct {
	pets   chan struct{}
	closed chan struct{}
	reset  bool
	broken error
	longer time.Duration // what the hardware makes of the timeout, 0: what was asked
}

func (f *fake) info() (string, bool, error) { return "i6300ESB\x1b[2J", f.reset, nil }

func (f *fake) setTimeout(want time.Duration) (time.Duration, error) {
	return max(want, f.longer), nil
}

func (f *fake) pet() error {
	if f.broken != nil {
		return f.broken
	}
	f.pets <- struct{}{}
	return nil
}

func (f *fake) close() error { close(f.closed); return nil }

type run struct {
	clock *clocktest.Clock
	s     *Sensor
	heard chan sensor.Reading
	ended chan error
	stop  context.CancelFunc
}

func start(t *testing.T, f *fake, c Config) *run {
	t.Helper()
	r := &run{clock: clocktest.New(time.Unix(1_700_000_000, 0)), heard: make(chan sensor.Reading, 256), ended: make(chan error, 1)}
	r.s = newSensor(sensor.Env{ID: core.MustID[core.SensorID]("wd"), Clock: r.clock, Root: t.TempDir()}, c)
	r.s.open = func(string) (board, error) { return f, nil }
	r.again(t)
	return r
}

func (r *run) again(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { r.ended <- r.s.Run(ctx, func(x sensor.Reading) { r.heard <- x }) }()
}

func (r *run) drain() (types []string) {
	for {
		select {
		case x := <-r.heard:
			if x.Type != "" {
				types = append(types, x.Type)
			}
		default:
			return types
		}
	}
}

func TestItIsPettedFourTimesInItsTimeout(t *testing.T) {
	f := &fake{pets: make(chan struct{}), closed: make(chan struct{}), longer: 40 * time.Second}
	r := start(t, f, Config{Timeout: 20 * time.Second})
	for range 5 {
		<-f.pets
		for r.clock.Waiters() == 0 {
			runtime.Gosched() // Run is between the petting and the wait
		}
		r.clock.Advance(10 * time.Second) // a quarter of what the hardware made of it
	}
	<-f.pets
	r.stop()
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	<-f.closed // in order: stopping the agent is no reset
	if types := r.drain(); len(types) != 1 || types[0] != "inventory" {
		t.Errorf("told %v", types)
	}
}

func TestAResetByTheWatchdogIsToldOnce(t *testing.T) {
	f := &fake{pets: make(chan struct{}, 8), closed: make(chan struct{}), reset: true}
	r := start(t, f, Config{})
	<-f.pets
	r.stop()
	<-r.ended
	if types := r.drain(); strings.Join(types, " ") != "inventory watchdog_reset" {
		t.Errorf("told %v", types)
	}
	f.closed = make(chan struct{})
	r.again(t)
	<-f.pets
	r.stop()
	<-r.ended
	if types := r.drain(); strings.Join(types, " ") != "inventory" {
		t.Errorf("told %v at the second start", types)
	}
}

func TestAWatchdogThatNoLongerAnswersAlarms(t *testing.T) {
	f := &fake{closed: make(chan struct{}), broken: unix.ENODEV}
	r := start(t, f, Config{})
	if err := <-r.ended; core.KindOf(err) != core.KindUnavailable {
		t.Fatalf("%v", err)
	}
	if types := r.drain(); strings.Join(types, " ") != "inventory watchdog_gone" {
		t.Errorf("told %v", types)
	}
}

func TestAWatchdogThatAnotherHoldsIsAFaultThatSaysSo(t *testing.T) {
	s := newSensor(sensor.Env{ID: core.MustID[core.SensorID]("wd"), Clock: core.SystemClock{}}, Config{})
	s.open = func(string) (board, error) {
		return nil, &os.PathError{Op: "open", Path: "/dev/watchdog0", Err: unix.EBUSY}
	}
	err := s.Run(t.Context(), func(sensor.Reading) {})
	if core.KindOf(err) != core.KindConflict || !strings.Contains(err.Error(), "another program") {
		t.Fatal(err)
	}
}

func TestProbe(t *testing.T) {
	root := t.TempDir()
	s := newSensor(sensor.Env{ID: core.MustID[core.SensorID]("wd"), Clock: core.SystemClock{}, Root: root}, Config{})
	if p := s.Probe(); p.Present || p.Reason == "" {
		t.Errorf("a machine without a watchdog has one: %+v", p)
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "dev"), 0o755), os.WriteFile(filepath.Join(root, "dev/watchdog0"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if p := s.Probe(); !p.Present {
		t.Errorf("%+v", p)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{{Device: "watchdog0"}, {Device: "/dev/../etc/shadow"}, {Timeout: time.Millisecond}, {Timeout: 1500 * time.Millisecond}, {Timeout: 2 * time.Hour}} {
		if core.KindOf(bad.Validate()) != core.KindInvalid {
			t.Errorf("%+v was taken", bad)
		}
	}
}
