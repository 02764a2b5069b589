package environment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// A simulated month of an office, by the defaults: days, an open window now and
// then, a processor that works and rests, fans that follow, a lost reading. No
// alarm.
func TestAMonthOfAnOfficeIsQuiet(t *testing.T) {
	r := newRoom(t)
	random := rand.New(rand.NewPCG(5, 5))
	noise := func(of float64) float64 { return of * random.NormFloat64() }
	load, window := 0.0, 0.0
	for i := range 30 * 24 * 360 { // every ten seconds
		r.now = r.now.Add(9 * time.Second)
		if random.IntN(60) == 0 {
			load = random.Float64()
		}
		switch random.IntN(4000) {
		case 0:
			window = 4
		case 1:
			window = 0
		}
		hour := math.Mod(float64(i)/360, 24)
		air := 22 + 2*math.Sin((hour-8)/24*2*math.Pi) - window
		for _, m := range []struct {
			point string
			unit  sensor.Unit
			value float64
		}{
			{"temp", sensor.UnitCelsius, air + noise(0.2)},
			{"humidityrelative", sensor.UnitPercent, 45 + 5*math.Sin(hour/4) + noise(1)},
			{"coretemp@coretemp.0/temp1", sensor.UnitCelsius, 40 + 25*load + noise(2)},
			{"nct6775@isa/fan1", sensor.UnitRPM, 900 + 600*load + noise(30)},
		} {
			if random.IntN(20_000) == 0 {
				m.value = -128 // a lost reading
			}
			r.now = r.now.Add(-time.Second) // once adds it: all four at one instant
			if got := r.once(m.point, m.unit, m.value); len(got) > 0 {
				t.Fatalf("at %s: %v at %s, %g", r.now, got, m.point, m.value)
			}
		}
		r.now = r.now.Add(time.Second)
	}
}

// The judge in the monitor's core: an alarm that ends with its cause, a freeze
// that does not, a point that is missing.
func TestOnADevice(t *testing.T) {
	j, err := New(Config{Rules: []Rule{{Kind: KindAmbient, Point: "temp"}, {Point: "other"}}})
	if err != nil {
		t.Fatal(err)
	}
	id := core.MustID[core.SensorID]("air")
	c := monitor.NewCore(monitor.Rules{}, monitor.Spec{
		ID: id, Caps: sensor.Capabilities{Kind: "iio", Latches: true, MaxSilence: 30 * time.Second}, Judges: []monitor.Named{{Name: "environment", Judge: j}},
	})
	now := time.Unix(1_700_000_000, 0)
	c.Started(now, id)
	read := func(from, to float64, d time.Duration) (types []string) {
		for n := range int(d.Seconds()) {
			now = now.Add(time.Second)
			v := from + (to-from)*float64(n)/d.Seconds()
			for _, e := range append(c.Tick(now), c.Read(now, id, sensor.Reading{Kind: sensor.Measure, Point: "temp", Value: v, Unit: sensor.UnitCelsius})...) {
				types = append(types, e.Type)
			}
		}
		return types
	}
	state := func() core.SensorState { return c.Statuses()[0].State }
	if got := read(22, 22, 2*time.Minute); !slices.Equal(got, []string{"sensor_lost"}) || state() != core.SensorFault {
		t.Errorf("a rule names a point that nobody measures: %v, %s", got, state())
	}
	if got := read(22, 53, 10*time.Minute); !slices.Equal(got, []string{"temperature_high", "temperature_critical"}) {
		t.Errorf("warm: %v", got)
	}
	if got := read(53, 22, 10*time.Minute); !slices.Equal(got, []string{"temperature_eased", "temperature_normal"}) || len(c.Latches()) != 0 {
		t.Errorf("and back: %v, %d latches", got, len(c.Latches()))
	}
	if read(22, -5, 30*time.Second); len(c.Latches()) != 1 || c.Latches()[0].Type != "temperature_falling" {
		t.Errorf("frozen: %+v", c.Latches())
	}
}
