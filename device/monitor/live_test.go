package monitor

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

func (b *bench) read(r sensor.Reading) *bench {
	b.keep(b.core.Read(b.now, lid, r))
	return b
}

func volts(point string, v float64) sensor.Reading {
	return sensor.Reading{Kind: sensor.Measure, Point: point, Value: v, Unit: sensor.UnitVolt}
}

func (b *bench) status() Status { return b.core.Statuses()[0] }

func tenSeconds(c *sensor.Capabilities) { c.MaxSilence = 10 * time.Second }

func TestTheLastNumberOfEachPointIsShown(t *testing.T) {
	b := newBench().read(volts("in0", 3.3)).read(volts("in1", 12)).at(time.Second).read(volts("in0", 3.2))
	want := []Value{{"in0", 3.2, sensor.UnitVolt, epoch.Add(time.Second)}, {"in1", 12, sensor.UnitVolt, epoch}}
	if s := b.status(); !slices.Equal(s.Values, want) || len(b.events) != 0 || s.State != core.SensorOK {
		t.Errorf("values %+v, events %q, state %s", s.Values, b.types(), s.State)
	}
	if _, err := json.Marshal(b.core.Statuses()); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoNumberIsAFaultOfThatPoint(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		b := newBench().read(volts("in0", 3.3)).read(volts("in0", v))
		if b.state() != core.SensorFault || b.types() != "sensor_lost" || !strings.HasPrefix(b.status().Why, "in0: ") {
			t.Errorf("%v: %s %q %q", v, b.state(), b.types(), b.status().Why)
		}
		if b.read(volts("in0", 3.3)); b.state() != core.SensorOK || b.types() != "sensor_lost sensor_back" {
			t.Errorf("%v and back: %s %q", v, b.state(), b.types())
		}
		if _, err := json.Marshal(b.core.Statuses()); err != nil {
			t.Error(err)
		}
	}
}

// poll reads the points each second and gives each its value at that second.
func (b *bench) poll(seconds int, points map[string]func(i int) (float64, bool)) {
	start := b.now.Sub(epoch)
	for i := range seconds {
		b.at(start + time.Duration(i+1)*time.Second)
		for _, name := range []string{"a", "b"} {
			if v, says := points[name](i); says {
				r := volts(name, v)
				r.Lively = true
				b.read(r)
			}
		}
	}
}

func moves(i int) (float64, bool)  { return float64(i), true }
func stands(int) (float64, bool)   { return 5, true }
func silent(i int) (float64, bool) { return float64(i), i < 3 }

func TestAPointThatStandsStillOrFallsSilentIsNamedWhileTheOthersGoOn(t *testing.T) {
	for _, row := range []struct {
		name, why string
		point     func(int) (float64, bool)
	}{{"still", "stands still", stands}, {"silent", "silent", silent}} {
		b := newBench(tenSeconds)
		b.poll(40, map[string]func(int) (float64, bool){"a": row.point, "b": moves})
		if s := b.status(); b.types() != "sensor_lost" || s.State != core.SensorStale || !strings.HasPrefix(s.Why, "a: ") || !strings.Contains(s.Why, row.why) {
			t.Errorf("%s: events %q, %s, %q", row.name, b.types(), s.State, s.Why)
		}
		if len(b.events) == 0 || b.events[0].Point != "a" || b.events[0].At.Sub(epoch) > 15*time.Second {
			t.Errorf("%s: told %+v", row.name, b.events)
		}
		if len(b.core.Cut()) != 0 {
			t.Errorf("%s: the driver was cut although it reads", row.name)
		}
		b.poll(2, map[string]func(int) (float64, bool){"a": moves, "b": moves})
		if b.types() != "sensor_lost sensor_back" || b.state() != core.SensorOK {
			t.Errorf("%s and back: %q, %s", row.name, b.types(), b.state())
		}
	}
}

func TestADriverThatSaysNothingIsOneSilenceAndNotOneAPoint(t *testing.T) {
	b := newBench(tenSeconds)
	b.poll(20, map[string]func(int) (float64, bool){"a": moves, "b": moves})
	if b.at(time.Hour); b.types() != "sensor_lost" || b.events[0].Point != "" || b.state() != core.SensorStale {
		t.Errorf("events %q, %s", b.types(), b.state())
	}
}

func TestAWaveWithoutNoiseStandsStill(t *testing.T) {
	b := newBench(tenSeconds)
	for i := range 30 {
		b.at(time.Duration(i) * time.Second)
		b.read(sensor.Reading{Kind: sensor.Waveform, Point: "accel", Lively: true, Wave: &sensor.Wave{Samples: []sensor.Sample{{At: b.now.Sub(epoch), Z: 1}, {At: b.now.Sub(epoch) + ms, Z: 1}}}})
	}
	if b.types() != "sensor_lost" || b.state() != core.SensorStale {
		t.Errorf("events %q, %s", b.types(), b.state())
	}
}

func broken(point string) sensor.Reading {
	return sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]string{"why": "no such attribute"})}
}

func TestABrokenPointIsAFaultAndTheOthersAreJudged(t *testing.T) {
	b := newBench().read(broken("in0")).read(broken("in0"))
	if s := b.status(); b.types() != "sensor_lost" || s.State != core.SensorFault || s.Why != "in0: no such attribute" {
		t.Errorf("events %q, %+v", b.types(), s)
	}
	if b.level(true).at(time.Second); len(b.core.Latches()) != 1 || b.state() != core.SensorAlarm {
		t.Errorf("beside a broken point: %s, %v", b.state(), b.core.Latches())
	}
	b.core.Release(b.now, []string{b.core.Latches()[0].ID})
	b.level(false).at(2 * time.Second)
	b.core.Release(b.now, []string{b.core.Latches()[0].ID})
	if b.state() != core.SensorFault {
		t.Errorf("released: %s", b.state())
	}
	if b.read(volts("in0", 1)); b.state() != core.SensorOK {
		t.Errorf("reads again: %s", b.state())
	}
}

func TestWhatIsThereIsToldOnceUntilItChanges(t *testing.T) {
	b := newBench()
	there := func(parts ...sensor.Part) {
		b.read(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Parts: parts, Fields: sensor.Fields(map[string]int{"n": len(parts)})})
	}
	disk, other := sensor.Part{Class: "disk", Place: "sda", Identity: "A"}, sensor.Part{Class: "disk", Place: "sda", Identity: "B"}
	for _, p := range []sensor.Part{disk, disk, other, other, disk} {
		there(p)
	}
	if b.types() != "inventory inventory inventory" || !strings.Contains(string(b.events[1].Fields), `"identity":"B"`) {
		t.Errorf("events %q %s", b.types(), b.events[1].Fields)
	}
}

// mind is a judge of the tests.
type mind struct {
	judge  func(r sensor.Reading) []sensor.Reading
	memory []byte
	fresh  bool
	bad    bool
	armed  []core.Arming
}

func (m *mind) Judge(_ time.Time, r sensor.Reading) []sensor.Reading {
	if m.judge == nil {
		return nil
	}
	return m.judge(r)
}
func (m *mind) Tick(time.Time) []sensor.Reading { return nil }
func (m *mind) Next() time.Time                 { return time.Time{} }
func (m *mind) Recall(memory []byte) error {
	if m.bad {
		return errors.New("no JSON")
	}
	m.memory = memory
	return nil
}

func (m *mind) Memory() ([]byte, bool) {
	was := m.fresh
	m.fresh = false
	return m.memory, was
}

func (m *mind) Accept(_ time.Time, sum string) ([]sensor.Reading, error) {
	if sum != "right" {
		return nil, errors.New("that is not what is there")
	}
	m.memory, m.fresh = []byte("accepted"), true
	return []sensor.Reading{{Kind: sensor.Pulse, Type: "baseline_accepted"}}, nil
}

func (m *mind) SetArming(_ time.Time, a core.Arming) []sensor.Reading {
	m.armed = append(m.armed, a)
	return nil
}

func benchWith(m *mind, change ...func(*sensor.Capabilities)) *bench {
	b := newBench(change...)
	b.core.inputs[lid].spec.Judges = []Named{{"mind", m}}
	return b
}

func TestAJudgeThatPanicsIsAFaultAndTheDriversOwnWordStillCounts(t *testing.T) {
	b := benchWith(&mind{judge: func(r sensor.Reading) []sensor.Reading {
		var none []int
		return make([]sensor.Reading, none[len(r.Point)])
	}})
	b.read(volts("in0", 1)).read(volts("in0", 2))
	if s := b.status(); b.types() != "sensor_lost" || s.State != core.SensorFault || !strings.HasPrefix(s.Why, "mind panicked: ") {
		t.Errorf("events %q, %+v", b.types(), s)
	}
	if p := b.core.Panics(); len(p) != 1 || p[0].Judge != "mind" || !strings.Contains(p[0].Stack, "live_test.go") {
		t.Errorf("panics %+v", p)
	}
	b.keep(b.core.Failed(b.now, lid, "x", false))
	b.core.Started(b.now, lid)
	if b.read(volts("in0", 3)); b.state() != core.SensorFault {
		t.Errorf("a driver that reads mends no judge: %s", b.state())
	}
	if b.level(true).at(time.Second); len(b.core.Latches()) != 1 {
		t.Error("the driver's own alarm was lost")
	}
}

func TestALearnerWhoseMemoryIsDamagedIsAFaultUntilItIsTold(t *testing.T) {
	m := &mind{bad: true}
	b := benchWith(m)
	b.keep(b.core.Recall(b.now, map[core.SensorID]map[string][]byte{lid: {"mind": []byte("{")}}))
	b.read(volts("in0", 1))
	m.fresh = true
	if _, changed := b.core.Memory(b.now, lid); changed || b.state() != core.SensorFault || b.types() != "sensor_lost" {
		t.Errorf("changed %v, %s, %q", changed, b.state(), b.types())
	}
	if _, err := b.core.Accept(b.now, lid, "wrong"); core.KindOf(err) != core.KindConflict || b.state() != core.SensorFault {
		t.Errorf("a wrong hash: %v, %s", err, b.state())
	}
	events, err := b.core.Accept(b.now, lid, "right")
	b.keep(events)
	memory, changed := b.core.Memory(b.now, lid)
	if err != nil || b.state() != core.SensorOK || !changed || string(memory["mind"]) != "accepted" || b.types() != "sensor_lost sensor_back baseline_accepted" {
		t.Errorf("%v, %s, %q %v, %q", err, b.state(), memory["mind"], changed, b.types())
	}
}

func TestOnlyALearnerTakesABaseline(t *testing.T) {
	b := newBench()
	if _, err := b.core.Accept(b.now, lid, "right"); core.KindOf(err) != core.KindInvalid {
		t.Errorf("no learner: %v", err)
	}
	if _, err := b.core.Accept(b.now, core.MustID[core.SensorID]("other"), "right"); core.KindOf(err) != core.KindNotFound {
		t.Errorf("no sensor: %v", err)
	}
}

func TestJudgesHearHowTheDeviceIsArmedUnlessTheirSensorAlwaysIs(t *testing.T) {
	for _, always := range []bool{false, true} {
		m := &mind{}
		b := benchWith(m, func(c *sensor.Capabilities) { c.Always = always })
		b.keep(b.core.Begin(b.now))
		b.keep(b.core.SetArming(b.now, core.Transport))
		want := []core.Arming{core.Armed, core.Transport}
		if always {
			want[1] = core.Armed
		}
		if !slices.Equal(m.armed, want) {
			t.Errorf("always %v: %v", always, m.armed)
		}
	}
}

func TestAJudgeMayDisbelieveAPoint(t *testing.T) {
	says := broken("accel")
	b := benchWith(&mind{judge: func(sensor.Reading) []sensor.Reading { return []sensor.Reading{says} }})
	b.read(volts("accel", 1)).read(volts("accel", 2))
	if b.types() != "sensor_lost" || b.state() != core.SensorFault {
		t.Errorf("disbelieved: %q %s", b.types(), b.state())
	}
	says = sensor.Reading{Kind: sensor.Level, Point: "accel", Type: "vibration", Clear: "vibration_over"}
	if b.read(volts("accel", 3)); b.types() != "sensor_lost sensor_back" || b.state() != core.SensorOK {
		t.Errorf("believed again: %q %s", b.types(), b.state())
	}
}

func TestProvenIsWhenItLastShowedThatItWorks(t *testing.T) {
	b := newBench().level(false).at(time.Minute)
	if s := b.status(); !s.Proven.IsZero() || s.LastSeen.IsZero() {
		t.Errorf("a contact that never moved: %+v", s)
	}
	b.level(true).at(2 * time.Minute)
	if got := b.status().Proven; !got.Equal(epoch.Add(time.Minute + 50*ms)) {
		t.Errorf("opened: proven %s", got)
	}
	b.core.Proved(b.now, lid)
	if got := b.status().Proven; !got.Equal(b.now) {
		t.Errorf("tested: proven %s", got)
	}
}

// fickle is a judge that panics when it is asked what is next.
type fickle struct{ mind }

func (*fickle) Next() time.Time { panic("no next") }

func TestAJudgeThatPanicsWhenAskedWhatIsNextIsAFaultToo(t *testing.T) {
	b := newBench()
	b.core.inputs[lid].spec.Judges = []Named{{"mind", &fickle{}}}
	if b.read(volts("in0", 1)).at(time.Second); b.types() != "sensor_lost" || b.state() != core.SensorFault || len(b.core.Panics()) != 1 {
		t.Errorf("events %q, %s", b.types(), b.state())
	}
}
