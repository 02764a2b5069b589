package rtctamper

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
)

// rig is a machine with one clock chip whose input the test changes.
type rig struct {
	*sensortest.Rig
	t    *testing.T
	s    *Sensor
	w    *watch
	path string
	told []sensor.Reading
}

func newRig(t *testing.T, place string) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t), t: t, path: "sys/class/rtc/rtc0/" + place}
	s, err := New(r.Env, Config{})
	r.Must(err)
	r.s = s.(*Sensor)
	r.WriteRaw(r.path, "")
	r.w = &watch{s: r.s, emit: func(x sensor.Reading) { r.told = append(r.told, x) }, since: map[string]time.Time{}}
	return r
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
		r.Write(r.path, "1699990000")
		got := r.look()
		if !got.Active || !got.Alarm || got.Point != "rtc0/timestamp0" || !strings.Contains(string(got.Fields), "2023-11-14T19:26:40Z") {
			t.Errorf("%s: %+v %s", place, got, got.Fields)
		}
	}
}

func TestTheChipIsRearmedOnlyAfterItsAlarmWasTold(t *testing.T) {
	r := newRig(t, "timestamp0")
	r.Write(r.path, "1699990000")
	r.look()
	r.Clock.Advance(rearmAfter - time.Second)
	r.look()
	if text := r.Read(r.path); text != "1699990000" {
		t.Fatalf("cleared too soon: %q", text)
	}
	r.Clock.Advance(2 * time.Second)
	r.look()
	if text := r.Read(r.path); text != "1" { // what clears a real chip
		t.Fatalf("not cleared: %q", text)
	}
}

func TestWhatIsNoTimeIsAFault(t *testing.T) {
	r := newRig(t, "timestamp0")
	for _, text := range []string{"soon\n", "-5\n", "99999999999999999999\n", "\x1b[2J\n"} {
		r.WriteRaw(r.path, text)
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
	r.Remove(filepath.Dir(r.path))
	if p := r.s.Probe(); p.Present || p.Reason == "" {
		t.Errorf("%+v", p)
	}
	r.s.had = []string{r.Env.Path(r.path)}
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
