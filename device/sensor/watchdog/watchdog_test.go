package watchdog

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
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

func start(t *testing.T, f *fake, c Config) *sensortest.Rig {
	t.Helper()
	return sensortest.Start(t, func(env sensor.Env) (*Sensor, error) {
		s := newSensor(env, c)
		s.open = func(string) (board, error) { return f, nil }
		return s, nil
	})
}

// types are the events that were told and not asked for yet.
func types(r *sensortest.Rig) (all []string) {
	for _, x := range r.Said() {
		if x.Type != "" {
			all = append(all, x.Type)
		}
	}
	return all
}

func TestItIsPettedFourTimesInItsTimeout(t *testing.T) {
	f := &fake{pets: make(chan struct{}), closed: make(chan struct{}), longer: 40 * time.Second}
	r := start(t, f, Config{Timeout: 20 * time.Second})
	for range 5 {
		<-f.pets
		r.Pass(10 * time.Second) // a quarter of what the hardware made of it
	}
	<-f.pets
	r.Stop()
	<-f.closed // in order: stopping the agent is no reset
	if told := types(r); len(told) != 1 || told[0] != "inventory" {
		t.Errorf("told %v", told)
	}
}

func TestAResetByTheWatchdogIsToldOnce(t *testing.T) {
	f := &fake{pets: make(chan struct{}, 8), closed: make(chan struct{}), reset: true}
	r := start(t, f, Config{})
	<-f.pets
	r.Stop()
	if told := types(r); strings.Join(told, " ") != "inventory watchdog_reset" {
		t.Errorf("told %v", told)
	}
	f.closed = make(chan struct{})
	r.Again()
	<-f.pets
	r.Stop()
	if told := types(r); strings.Join(told, " ") != "inventory" {
		t.Errorf("told %v at the second start", told)
	}
}

func TestAWatchdogThatNoLongerAnswersAlarms(t *testing.T) {
	f := &fake{closed: make(chan struct{}), broken: unix.ENODEV}
	r := start(t, f, Config{})
	if err := r.End(); core.KindOf(err) != core.KindUnavailable {
		t.Fatalf("%v", err)
	}
	if told := types(r); strings.Join(told, " ") != "inventory watchdog_gone" {
		t.Errorf("told %v", told)
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
	r := sensortest.New(t)
	s := newSensor(r.Env, Config{})
	if p := s.Probe(); p.Present || p.Reason == "" {
		t.Errorf("a machine without a watchdog has one: %+v", p)
	}
	r.Write("dev/watchdog0", "")
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
