package rtctamper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// rig is a machine with one clock chip whose input the test changes.
type rig struct {
	t     *testing.T
	clock *clocktest.Clock
	s     *Sensor
	w     *watch
	path  string
	told  []sensor.Reading
}

func newRig(t *testing.T, place string) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0))}
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("rtc"), Clock: r.clock, Root: t.TempDir()}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	r.s = s.(*Sensor)
	r.path = r.s.env.Path("sys/class/rtc/rtc0", place)
	if err := os.MkdirAll(filepath.Dir(r.path), 0o755); err != nil {
		t.Fatal(err)
	}
	r.chip("")
	r.w = &watch{s: r.s, emit: func(x sensor.Reading) { r.told = append(r.told, x) }, since: map[string]time.Time{}}
	return r
}

func (r *rig) chip(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) look() sensor.Reading {
	r.t.Helper()
	r.told = nil
	for _, path := range r.s.inputs() {
		r.w.look(path)
	}
	if len(r.told) == 0 {
		r.t.Fatal("nothing was told")
	}
	return r.told[0]
}

func TestWhatHappenedWithoutPowerIsToldWithTheChipsTime(t *testing.T) {
	for _, place := range []string{"timestamp0", "device/timestamp0"} {
		r := newRig(t, place)
		if got := r.look(); got.Active || got.Kind != sensor.Level {
			t.Errorf("%s: an input that never changed: %+v", place, got)
		}
		r.chip("1699990000\n")
		got := r.look()
		if !got.Active || !got.Alarm || got.Point != "rtc0/timestamp0" || !strings.Contains(string(got.Fields), "2023-11-14T19:26:40Z") {
			t.Errorf("%s: %+v %s", place, got, got.Fields)
		}
	}
}

func TestTheChipIsRearmedOnlyAfterItsAlarmWasTold(t *testing.T) {
	r := newRig(t, "timestamp0")
	r.chip("1699990000\n")
	r.look()
	r.clock.Advance(rearmAfter - time.Second)
	r.look()
	if text, _ := os.ReadFile(r.path); string(text) != "1699990000\n" {
		t.Fatalf("cleared too soon: %q", text)
	}
	r.clock.Advance(2 * time.Second)
	r.look()
	if text, _ := os.ReadFile(r.path); string(text) != "1\n" { // what clears a real chip
		t.Fatalf("not cleared: %q", text)
	}
}

func TestWhatIsNoTimeIsAFault(t *testing.T) {
	r := newRig(t, "timestamp0")
	for _, text := range []string{"soon\n", "-5\n", "99999999999999999999\n", "\x1b[2J\n"} {
		r.chip(text)
		if got := r.look(); got.Kind != sensor.Broken {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestProbe(t *testing.T) {
	r := newRig(t, "timestamp0")
	if p := r.s.Probe(); !p.Present {
		t.Errorf("%+v", p)
	}
	if err := os.RemoveAll(filepath.Dir(r.path)); err != nil {
		t.Fatal(err)
	}
	if p := r.s.Probe(); p.Present || p.Reason == "" {
		t.Errorf("%+v", p)
	}
	r.s.had = []string{r.path}
	if p := r.s.Probe(); !p.Present {
		t.Error("a chip that was there and is gone was skipped")
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []string{"clock", "rtc", "rtc-1", "rtc0/../.."} {
		if core.KindOf(Config{Clock: bad}.Validate()) != core.KindInvalid {
			t.Errorf("%q was taken", bad)
		}
	}
}
