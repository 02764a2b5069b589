package clock

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rig is a machine whose clocks the test sets.
type rig struct {
	*sensortest.Rig
	s     *Sensor
	w     *watch
	wall  time.Time
	boot  time.Duration
	heard []sensor.Reading
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t), wall: start, boot: time.Hour}
	r.Must(c.Validate())
	r.s = newSensor(r.Env, c)
	r.s.now = func() (time.Time, time.Duration) { return r.wall, r.boot }
	return r
}

const sinceEpoch = "sys/class/rtc/rtc0/since_epoch"

// rtc sets the battery-backed clock.
func (r *rig) rtc(at time.Time) {
	r.Write(sinceEpoch, strconv.FormatInt(at.Unix(), 10))
}

// begin is a new run of the driver.
func (r *rig) begin() {
	r.w = &watch{s: r.s, emit: func(x sensor.Reading) { r.heard = append(r.heard, x) }, rtc: r.s.rtc()}
}

// pass lets both clocks run and looks.
func (r *rig) pass(d time.Duration) []sensor.Reading {
	r.wall, r.boot, r.heard = r.wall.Add(d), r.boot+d, nil
	r.w.look()
	return r.heard
}

func find(all []sensor.Reading, kind string) (sensor.Reading, bool) {
	for _, r := range all {
		if r.Type == kind {
			return r, true
		}
	}
	return sensor.Reading{}, false
}

func TestAStepIsToldOnceWithItsWayAndSize(t *testing.T) {
	for _, tt := range []struct {
		name string
		step time.Duration
		told bool
		sev  core.Severity
		way  string
	}{
		{"nothing", 0, false, "", ""},
		{"the slewing of a time service", 20 * time.Millisecond, false, "", ""},
		{"forward", 3 * time.Hour, true, core.SeverityMedium, "forward"},
		{"back to 1970", -start.Sub(time.Unix(0, 0)), true, core.SeverityHigh, "back"},
		{"a clock that stands still", -lookEvery, true, core.SeverityHigh, "back"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, Config{})
			r.begin()
			r.pass(lookEvery)
			r.wall = r.wall.Add(tt.step)
			got, told := find(r.pass(lookEvery), "clock_stepped")
			if told != tt.told {
				t.Fatalf("told %v, want %v", told, tt.told)
			}
			if !told {
				return
			}
			var f struct {
				By  float64 `json:"by_s"`
				Way string  `json:"way"`
			}
			if err := json.Unmarshal(got.Fields, &f); err != nil || got.Severity != tt.sev || f.Way != tt.way || f.By != tt.step.Seconds() || !got.Alarm {
				t.Fatalf("%+v %s (%v)", got, got.Fields, err)
			}
			if _, again := find(r.pass(lookEvery), "clock_stepped"); again {
				t.Error("one step was told twice")
			}
		})
	}
}

func TestAStepWhileTheDriverIsRestartedIsAStep(t *testing.T) {
	r := newRig(t, Config{})
	r.begin()
	r.pass(lookEvery)
	r.wall = r.wall.Add(-48 * time.Hour)
	r.begin()
	if _, told := find(r.pass(lookEvery), "clock_stepped"); !told {
		t.Fatal("a step between two runs was not told")
	}
}

func TestTheBatteryBackedClock(t *testing.T) {
	r := newRig(t, Config{})
	r.rtc(start)
	r.begin()
	level := func(all []sensor.Reading) bool {
		t.Helper()
		got, ok := find(all, "rtc_disagrees")
		if !ok {
			t.Fatalf("nothing said of the battery-backed clock: %+v", all)
		}
		return got.Active
	}
	r.rtc(start.Add(lookEvery))
	if level(r.pass(lookEvery)) {
		t.Error("two clocks that agree were told apart")
	}
	r.rtc(start.Add(-3 * time.Hour))
	if !level(r.pass(lookEvery)) {
		t.Error("a battery-backed clock three hours behind was taken for right")
	}
	if all := r.pass(lookEvery); !broken(all) {
		t.Errorf("a clock that stands still reads as well: %+v", all)
	}
	r.Write(sinceEpoch, "soon")
	if all := r.pass(lookEvery); !broken(all) {
		t.Errorf("a clock that can't be read reads as well: %+v", all)
	}
}

func broken(all []sensor.Reading) bool {
	for _, r := range all {
		if r.Kind == sensor.Broken && r.Point == pointRTC {
			return true
		}
	}
	return false
}

func TestALookThatComesEarlyIsNoFrozenClock(t *testing.T) {
	r := newRig(t, Config{})
	r.rtc(start)
	r.begin()
	r.pass(0)
	if all := r.pass(time.Second / 2); broken(all) {
		t.Errorf("the same second twice was taken for a clock that stands still: %+v", all)
	}
}

func TestANamedClockThatIsMissingIsAFault(t *testing.T) {
	r := newRig(t, Config{RTC: "rtc7"})
	r.begin()
	if all := r.pass(lookEvery); !broken(all) {
		t.Fatalf("%+v", all)
	}
	if r := newRig(t, Config{}); r.s.rtc() != "" {
		t.Error("a machine without a battery-backed clock was given one")
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []Config{{Tolerance: -1}, {Tolerance: 2 * time.Hour}, {RTCTolerance: 48 * time.Hour}, {RTC: "../../etc"}, {RTC: "clock"}} {
		if core.KindOf(bad.Validate()) != core.KindInvalid {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestTheKernelTellsWhenTheClockIsSet sets the clock to what it is: a step of no
// time, which the kernel tells all the same.
func TestTheKernelTellsWhenTheClockIsSet(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	woken, err := whenSet(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
			t.Fatal(err)
		}
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); errors.Is(err, unix.EPERM) && os.Getenv("CI") == "" {
			t.Skip("setting the clock needs root")
		} else if err != nil {
			t.Fatal(err)
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for range woken {
	}
}

func TestRunTellsStepsAsTheKernelTellsThem(t *testing.T) {
	r := newRig(t, Config{})
	woken := make(chan error)
	r.s.wake = func(context.Context) (<-chan error, error) { return woken, nil }
	r.s.now = kernelNow
	stop := r.Run(r.s)
	r.AwaitKind(sensor.Beat)
	r.s.offset -= time.Hour // Run waits; this is as if the clock had been an hour behind
	woken <- nil
	r.AwaitType("clock_stepped")
	stop()
}
