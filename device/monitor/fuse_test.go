package monitor

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

var (
	board = core.MustID[core.SensorID]("board")
	whole = core.MustID[core.SensorID]("case")
)

// anyOf is a fusion that says what each of its sensors says.
type anyOf struct{ heard []Event }

func (f *anyOf) Event(_ time.Time, e Event) []sensor.Reading {
	f.heard = append(f.heard, e)
	if e.Kind != sensor.Level || e.Bypassed {
		return nil
	}
	return []sensor.Reading{{Kind: sensor.Level, Point: "case", Active: e.Active, Settled: true, Alarm: true, Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical}}
}
func (f *anyOf) Tick(time.Time) []sensor.Reading { return nil }
func (f *anyOf) Next() time.Time                 { return time.Time{} }

func fusionBench() (*bench, *anyOf) {
	f := &anyOf{}
	caps := sensor.Capabilities{Kind: "gpio", MaxSilence: time.Minute}
	b := &bench{now: epoch}
	b.core = NewCore(
		Rules{}, Spec{ID: lid, Caps: caps}, Spec{ID: board, Caps: caps},
		Spec{ID: whole, Caps: sensor.Capabilities{Kind: "enclosure", Latches: true}, Fusion: f, Of: []core.SensorID{lid, board}},
	)
	b.core.Started(b.now, lid)
	b.core.Started(b.now, board)
	return b, f
}

func (b *bench) of(id core.SensorID) Status {
	for _, s := range b.core.Statuses() {
		if s.ID == id {
			return s
		}
	}
	return Status{}
}

func TestAFusionIsAsWellAsItsSensors(t *testing.T) {
	b, _ := fusionBench()
	if s := b.of(whole); s.State != core.SensorUnknown {
		t.Errorf("nothing read: %s", s.State)
	}
	b.level(false)
	if s := b.of(whole); s.State != core.SensorUnknown || len(b.events) != 0 {
		t.Errorf("one of two read: %s %q", s.State, b.types())
	}
	b.keep(b.core.Read(b.now, board, caseLevel(false)))
	if s := b.of(whole); s.State != core.SensorOK || b.types() != "inventory" || b.events[0].Sensor != whole {
		t.Errorf("both read: %s %q", s.State, b.types())
	}
	b.keep(b.core.Failed(b.now, board, "bus gone", false))
	if s := b.of(whole); s.State != core.SensorFault || s.Why != "board is fault" || b.types() != "inventory sensor_lost fusion_degraded" {
		t.Errorf("board failed: %+v %q", s, b.types())
	}
	b.core.Started(b.now, board)
	b.keep(b.core.Read(b.now, board, caseLevel(false)))
	if s := b.of(whole); s.State != core.SensorOK || !strings.HasSuffix(b.types(), "sensor_back fusion_whole") {
		t.Errorf("board back: %s %q", s.State, b.types())
	}
	b.bypass(Bypass{Sensor: lid, For: time.Hour})
	if s := b.of(whole); s.State != core.SensorBypassed {
		t.Errorf("lid bypassed: %s", s.State)
	}
}

func TestASkippedSensorIsNeverMissedByAFusion(t *testing.T) {
	b, _ := fusionBench()
	b.level(false)
	b.keep(b.core.Skipped(b.now, board, "no chip"))
	if s := b.of(whole); s.State != core.SensorUnknown || s.Why != "board is unknown" || !strings.Contains(b.types(), "fusion_degraded") {
		t.Errorf("%+v %q", s, b.types())
	}
}

func TestAFusionHearsPastTheBudgetAndPastALatch(t *testing.T) {
	b, f := fusionBench()
	b.core.inputs[lid].spec.Caps.Latches = true
	for i := range 500 {
		b.at(time.Duration(i) * ms)
		b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Pulse, Point: "p", Type: "seen"}))
	}
	heard := len(f.heard)
	if heard < 500 {
		t.Errorf("heard %d of a flood of 500", heard)
	}
	b.at(time.Second).level(true).at(2 * time.Second).level(false).at(3 * time.Second).level(true).at(4 * time.Second)
	if len(f.heard)-heard < 3 || len(b.core.Latches()) != 2 {
		t.Errorf("heard %d, latches %v", len(f.heard)-heard, b.core.Latches())
	}
}

func TestWhatFollowsFromSomethingSimulatedIsSimulated(t *testing.T) {
	b, _ := fusionBench()
	r := caseLevel(true)
	r.Simulated, r.Settled = true, true
	b.keep(b.core.Read(b.now, lid, r))
	l := b.core.Latches()
	if len(l) != 1 || l[0].Sensor != whole || !l[0].Simulated {
		t.Errorf("latches %+v", l)
	}
}

func TestBadFusionsAndJudgesAreRefused(t *testing.T) {
	real := only{lid}
	f := &anyOf{}
	for name, cfg := range map[string]Config{
		"unknown sensor":   {Fusions: []Fused{{whole, "enclosure", []core.SensorID{board}, f}}},
		"nothing":          {Fusions: []Fused{{whole, "enclosure", nil, f}}},
		"itself":           {Fusions: []Fused{{whole, "enclosure", []core.SensorID{whole}, f}}},
		"twice":            {Fusions: []Fused{{whole, "enclosure", []core.SensorID{lid, lid}, f}}},
		"behind it":        {Fusions: []Fused{{whole, "a", []core.SensorID{board}, f}, {board, "b", []core.SensorID{lid}, f}}},
		"taken":            {Fusions: []Fused{{lid, "enclosure", []core.SensorID{lid}, f}}},
		"no judge":         {Fusions: []Fused{{whole, "enclosure", []core.SensorID{lid}, nil}}},
		"judge of nothing": {Judges: map[core.SensorID][]Named{board: {{"m", &mind{}}}}},
		"two of a name":    {Judges: map[core.SensorID][]Named{lid: {{"m", &mind{}}, {"m", &mind{}}}}},
		"nameless":         {Judges: map[core.SensorID][]Named{lid: {{"", &mind{}}}}},
	} {
		cfg.Sensors, cfg.Clock = []sensor.Sensor{real}, core.SystemClock{}
		if _, err := New(cfg); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := Config{Sensors: []sensor.Sensor{real}, Clock: core.SystemClock{}, Fusions: []Fused{{board, "a", []core.SensorID{lid}, f}, {whole, "b", []core.SensorID{lid, board}, f}}, Judges: map[core.SensorID][]Named{lid: {{"m", &mind{}}}}}
	if _, err := New(cfg); err != nil {
		t.Error(err)
	}
}

// only is a sensor that is there and does nothing.
type only struct{ id core.SensorID }

func (o only) ID() core.SensorID { return o.id }
func (o only) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Kind: "gpio", MaxSilence: time.Minute}
}

func (o only) Probe() sensor.Presence                          { return sensor.Present() }
func (o only) Run(context.Context, func(sensor.Reading)) error { return nil }

// owning is a fusion that alarms for its sensors until it panics.
type owning struct {
	anyOf
	panics bool
}

func (f *owning) Owns(core.SensorID, sensor.Reading) bool { return true }
func (f *owning) Event(now time.Time, e Event) []sensor.Reading {
	if f.panics {
		panic("no more")
	}
	return f.anyOf.Event(now, e)
}

func TestSensorsAlarmForThemselvesOnceTheirFusionFails(t *testing.T) {
	f := &owning{}
	caps := sensor.Capabilities{Kind: "gpio", MaxSilence: time.Minute, Latches: true}
	b := &bench{now: epoch}
	b.core = NewCore(Rules{}, Spec{ID: lid, Caps: caps}, Spec{ID: board, Caps: caps}, Spec{ID: whole, Caps: sensor.Capabilities{Kind: "enclosure", Latches: true}, Fusion: f, Of: []core.SensorID{lid, board}})
	b.level(true).at(time.Second)
	if l := b.core.Latches(); len(l) != 1 || l[0].Sensor != whole {
		t.Fatalf("the fusion alarms for its sensor: %+v", l)
	}
	f.panics = true
	b.keep(b.core.Read(b.now, board, caseLevel(true)))
	b.at(2 * time.Second)
	if l := b.core.Latches(); len(l) != 3 || b.of(whole).State != core.SensorAlarm {
		t.Errorf("the fusion failed, and latched are %+v", l)
	}
	if b.core.Panics() == nil || !strings.Contains(b.types(), "sensor_lost") {
		t.Errorf("told %q", b.types())
	}
}
