package confirm_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/confirm"
	"github.com/interlock-security/interlock/device/sensor"
)

var epoch = time.Unix(1_700_000_000, 0).UTC()

func id(name string) core.SensorID { return core.MustID[core.SensorID](name) }

// rig is a room with detectors at a virtual clock.
type rig struct {
	core   *monitor.Core
	now    time.Time
	events []monitor.Event
}

func newRig(t *testing.T, c confirm.Config) *rig {
	t.Helper()
	f, err := confirm.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var specs []monitor.Spec
	of := []core.SensorID{id("pir"), id("glass"), id("door")}
	for _, s := range of {
		specs = append(specs, monitor.Spec{ID: s, Caps: sensor.Capabilities{Kind: s.String(), MaxSilence: 24 * time.Hour, Latches: true}})
	}
	caps := f.Capabilities()
	caps.Kind = "confirm"
	r := &rig{now: epoch, core: monitor.NewCore(monitor.Rules{}, append(specs, monitor.Spec{ID: id("room"), Caps: caps, Fusion: f, Of: of})...)}
	r.core.Begin(r.now)
	for _, s := range of {
		r.core.Started(r.now, s)
		r.core.Read(r.now, s, sensor.Reading{Kind: sensor.Beat})
	}
	return r
}

func (r *rig) at(d time.Duration) *rig {
	r.now = epoch.Add(d)
	r.core.Tick(r.now)
	return r
}

func (r *rig) seen(name, kind string) *rig {
	r.events = append(r.events, r.core.Read(r.now, id(name), sensor.Reading{Kind: sensor.Pulse, Point: "p", Type: kind, Alarm: true, Severity: core.SeverityHigh})...)
	return r
}

// said lists the alarms, as sensor:type.
func (r *rig) said() string {
	var all []string
	for _, e := range r.events {
		if e.Class == core.ClassDetectionFinding {
			all = append(all, e.Sensor.String()+":"+e.Type)
		}
	}
	r.events = nil
	return strings.Join(all, " ")
}

func TestOneDetectorIsUnverifiedAndTwoAreVerified(t *testing.T) {
	r := newRig(t, confirm.Config{})
	if got := r.seen("pir", "motion_detected").said(); got != "room:alarm_unverified" || len(r.core.Latches()) != 0 {
		t.Fatalf("one: %s, %v", got, r.core.Latches())
	}
	if got := r.at(time.Minute).seen("pir", "motion_detected").said(); got != "" {
		t.Errorf("the same again: %s", got)
	}
	r.at(20*time.Minute).seen("glass", "vibration")
	var fields struct {
		Score float64
		By    []struct{ By, Type string }
	}
	for _, e := range r.events {
		if e.Type == "alarm_verified" {
			if err := json.Unmarshal(e.Fields, &fields); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := r.said(); got != "room:alarm_verified" || len(r.core.Latches()) != 1 || r.core.Latches()[0].Sensor != id("room") {
		t.Errorf("two: %s, %v", got, r.core.Latches())
	}
	if fields.Score != 2 || len(fields.By) != 2 || fields.By[0].By != "pir" || fields.By[1].Type != "vibration" {
		t.Errorf("fields %+v", fields)
	}
}

func TestWhatIsTooOldConfirmsNothing(t *testing.T) {
	r := newRig(t, confirm.Config{Window: 30 * time.Minute})
	r.seen("pir", "motion_detected").at(31*time.Minute).seen("glass", "vibration")
	if got := r.said(); got != "room:alarm_unverified room:alarm_unverified" {
		t.Error(got)
	}
}

func TestTamperingIsSeparateAndAtOnceAndCountsForNothing(t *testing.T) {
	r := newRig(t, confirm.Config{})
	r.seen("door", "loop_cut")
	if got := r.said(); got != "door:loop_cut" || len(r.core.Latches()) != 1 {
		t.Fatalf("tampering: %s, %v", got, r.core.Latches())
	}
	if got := r.seen("pir", "motion_detected").said(); got != "room:alarm_unverified" {
		t.Errorf("after tampering: %s", got)
	}
}

func TestFireWaitsForNobody(t *testing.T) {
	r := newRig(t, confirm.Config{})
	if got := r.seen("pir", "smoke_detected").said(); got != "pir:smoke_detected" {
		t.Errorf("smoke: %s", got)
	}
	own := newRig(t, confirm.Config{Types: []string{"case_intrusion"}})
	if got := own.seen("pir", "case_intrusion").seen("glass", "motion_detected").said(); got != "room:alarm_unverified glass:motion_detected" {
		t.Errorf("other types: %s", got)
	}
}

func TestWeights(t *testing.T) {
	r := newRig(t, confirm.Config{Score: 3, Weights: map[string]float64{"glass": 2.5, "door": 0}})
	if got := r.seen("glass", "vibration").said(); got != "room:alarm_unverified" {
		t.Errorf("2.5 of 3: %s", got)
	}
	if got := r.seen("door", "access_forced").said(); got != "door:access_forced" {
		t.Errorf("one that weighs nothing alarms for itself: %s", got)
	}
	if got := r.seen("pir", "motion_detected").said(); got != "room:alarm_verified" {
		t.Errorf("3.5 of 3: %s", got)
	}
	alone := newRig(t, confirm.Config{Weights: map[string]float64{"glass": 2}})
	if got := alone.seen("glass", "vibration").said(); got != "room:alarm_verified" {
		t.Errorf("2 of 2: %s", got)
	}
}

func TestPointsMayBeDetectorsOfTheirOwn(t *testing.T) {
	for _, points := range []bool{false, true} {
		r := newRig(t, confirm.Config{Points: points})
		for _, p := range []string{"west", "east"} {
			r.events = append(r.events, r.core.Read(r.now, id("pir"), sensor.Reading{Kind: sensor.Pulse, Point: p, Type: "motion_detected", Alarm: true, Severity: core.SeverityHigh})...)
		}
		want := map[bool]string{false: "room:alarm_unverified", true: "room:alarm_unverified room:alarm_verified"}[points]
		if got := r.said(); got != want {
			t.Errorf("points %v: %s", points, got)
		}
	}
}

func TestDisarmedOrBypassedDetectorsConfirmNothing(t *testing.T) {
	r := newRig(t, confirm.Config{})
	r.core.SetArming(r.now, core.Disarmed)
	r.seen("pir", "motion_detected").seen("glass", "vibration")
	r.core.SetArming(r.now, core.Armed)
	if got := r.seen("door", "access_forced").said(); got != "room:alarm_unverified" {
		t.Errorf("seen while disarmed: %s", got)
	}
	b := newRig(t, confirm.Config{})
	if _, err := b.core.Bypass(b.now, monitor.Bypass{Sensor: id("pir"), For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := b.seen("pir", "motion_detected").seen("glass", "vibration").said(); got != "room:alarm_unverified" {
		t.Errorf("one of two bypassed: %s", got)
	}
}

// After people have released a verified alarm, the next intruder is one too.
func TestTheNextAlarmAfterARelease(t *testing.T) {
	r := newRig(t, confirm.Config{})
	r.seen("pir", "motion_detected").seen("glass", "vibration").said()
	r.core.Release(r.now, []string{r.core.Latches()[0].ID})
	if r.at(5*time.Minute).seen("pir", "motion_detected"); len(r.core.Latches()) != 1 {
		t.Error("no latch for the next one")
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []confirm.Config{
		{Window: -1},
		{Window: 25 * time.Hour},
		{Score: -1},
		{Score: math.NaN()},
		{Weights: map[string]float64{"": 1}},
		{Weights: map[string]float64{"a": -1}},
		{Weights: map[string]float64{"a": math.Inf(1)}},
		{Types: make([]string, 65)},
	} {
		if _, err := confirm.New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
