package loop

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// house is the judge in the monitor's core, as on a device, fed by a converter
// with noise.
type house struct {
	t      *testing.T
	id     core.SensorID
	c      *monitor.Core
	now    time.Time
	random *rand.Rand
	noise  float64
}

func newHouse(t *testing.T, l Loop) *house {
	t.Helper()
	j, err := New(Config{Loops: []Loop{l}})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, id: core.MustID[core.SensorID]("loops"), now: time.Unix(1_700_000_000, 0), random: rand.New(rand.NewPCG(1, 1)), noise: 0.0008}
	caps := sensor.Capabilities{Kind: "iio", Latches: true, MaxSilence: 30 * time.Second}
	h.c = monitor.NewCore(monitor.Rules{}, monitor.Spec{ID: h.id, Caps: caps, Judges: []monitor.Named{{Name: "loop", Judge: j}}})
	h.c.Started(h.now, h.id)
	return h
}

// hold reads a voltage for a while, ten times a second, and returns what the
// monitor says.
func (h *house) hold(point string, volt float64, d time.Duration) (types []string) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.now = h.now.Add(100 * time.Millisecond)
		v := volt + h.noise*h.random.NormFloat64()
		for _, e := range h.c.Read(h.now, h.id, sensor.Reading{Kind: sensor.Measure, Point: point, Value: v, Unit: sensor.UnitVolt, Lively: true}) {
			types = append(types, e.Type)
		}
	}
	return types
}

func (h *house) state() core.SensorState { return h.c.Statuses()[0].State }

func TestOnADeviceEachAttackLatchesOnceAndAReleaseIsForWhatWas(t *testing.T) {
	h := newHouse(t, deol())
	if got := h.hold("voltage0", 1.65, time.Minute); len(got) != 0 || h.state() != core.SensorOK {
		t.Fatalf("calm: %v, %s", got, h.state())
	}
	if got := h.hold("voltage0", 2.2, 3*time.Second); !slices.Equal(got, []string{"case_intrusion"}) {
		t.Errorf("opened: %v", got)
	}
	if got := h.hold("voltage0", 3.3, 3*time.Second); !slices.Equal(got, []string{"loop_cut"}) {
		t.Errorf("cut: %v", got)
	}
	if h.hold("voltage0", 1.65, 3*time.Second); h.state() != core.SensorAlarm {
		t.Errorf("mended: %s", h.state())
	}
	var ids []string
	for _, l := range h.c.Latches() {
		ids = append(ids, l.ID)
	}
	if released, _ := h.c.Release(h.now, ids); len(released) != 2 || h.state() != core.SensorOK {
		t.Errorf("released %d of %d, %s", len(released), len(ids), h.state())
	}
}

func TestOnADeviceAFrozenConverterIsStaleAndALostSupplyAFault(t *testing.T) {
	h := newHouse(t, deol())
	h.hold("voltage0", 1.65, time.Minute)
	h.noise = 0
	if got := h.hold("voltage0", 1.65, time.Minute); !slices.Equal(got, []string{"sensor_lost"}) || h.state() != core.SensorStale {
		t.Errorf("frozen: %v, %s", got, h.state())
	}
	l := deol()
	l.SupplyPoint = "voltage7"
	h = newHouse(t, l)
	if got := h.hold("voltage0", 1.65, 20*time.Second); !slices.Equal(got, []string{"sensor_lost"}) || h.state() != core.SensorFault {
		t.Errorf("a supply that nobody measures: %v, %s", got, h.state())
	}
	h.hold("voltage7", 3.3, 100*time.Millisecond)
	if got := h.hold("voltage0", 1.65, time.Second); !slices.Equal(got, []string{"sensor_back"}) || h.state() != core.SensorOK {
		t.Errorf("measured: %v, %s", got, h.state())
	}
}

// A simulated month on a loop with the noise of a bad supply: no alarm.
func TestAMonthOfNoiseIsQuiet(t *testing.T) {
	j, err := New(Config{Loops: []Loop{deol()}})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(2, 2))
	now := time.Unix(1_700_000_000, 0)
	for i := range 30 * 24 * 3600 {
		v := 1.65 + 0.02*random.NormFloat64()
		if i%3600 == 0 {
			v = 3.3 * random.Float64() // a spike of one sample, once an hour
		}
		for _, r := range j.Judge(now, sensor.Reading{Kind: sensor.Measure, Point: "voltage0", Value: v, Unit: sensor.UnitVolt}) {
			if r.Active {
				t.Fatalf("second %d: %s %s", i, r.Type, r.Fields)
			}
		}
		now = now.Add(time.Second)
	}
}
