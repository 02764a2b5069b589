package power

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/internal/judgetest"
	"github.com/interlock-security/interlock/device/sensor"
)

var _ monitor.Judge = (*Judge)(nil)

// scope feeds a judge synthetic waveforms: every figure below is of these, not
// of a real supply.
type scope struct {
	t     *testing.T
	j     *Judge
	now   time.Time
	heard []sensor.Reading
}

func newScope(t *testing.T, rails ...Rail) *scope {
	t.Helper()
	j, err := New(Config{Rails: rails})
	if err != nil {
		t.Fatal(err)
	}
	return &scope{t: t, j: j, now: time.Unix(1_700_000_000, 0)}
}

// is takes one value, a tenth of a second after the one before.
func (s *scope) is(point string, unit sensor.Unit, v float64) (said []string) {
	s.now = s.now.Add(100 * time.Millisecond)
	for _, x := range judgetest.Measure(s.j, s.now, judgetest.Point{Name: point, Unit: unit}, v) {
		s.heard = append(s.heard, x)
		word := x.Type
		if x.Kind == sensor.Level && !x.Active {
			word = "-" + word
		}
		said = append(said, word)
		judgetest.Documented(s.t, Doc, x)
		if !x.Unlatched {
			s.t.Errorf("%s latches", x.Type)
		}
	}
	return said
}

// wave takes so many samples of a waveform.
func (s *scope) wave(point string, unit sensor.Unit, samples int, v func(i int) float64) (said []string) {
	for i := range samples {
		said = append(said, s.is(point, unit, v(i))...)
	}
	return said
}

func (s *scope) want(what string, got []string, want ...string) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: %v, not %v", what, got, want)
	}
}

func flat(v float64) func(int) float64 { return func(int) float64 { return v } }

func TestWhatHappensToASupplyIsToldWhenItChanges(t *testing.T) {
	for _, row := range []struct {
		name    string
		samples int
		v       func(i int) float64
		want    []string
	}{
		{"calm", 600, flat(5.02), nil},
		{"the limit itself", 600, flat(4.8), nil},
		{"a sag of one sample", 1, flat(4.6), []string{"voltage_sag"}},
		{"a long sag is one", 600, flat(4.7), []string{"voltage_sag"}},
		{"slowly down", 600, func(i int) float64 { return 5 - float64(i)/2000 }, []string{"voltage_sag"}},
		{"too much", 50, flat(5.6), []string{"voltage_tamper"}},
		{"a 1 Hz swing of 0.4 V", 100, func(i int) float64 { return 5.1 + 0.2*math.Sin(2*math.Pi*float64(i)/10) }, []string{"voltage_ripple"}},
		{"a 2.5 Hz swing of 0.24 V", 100, func(i int) float64 { return 5.0 + 0.12*math.Sin(2*math.Pi*float64(i)/4+0.5) }, []string{"voltage_ripple"}},
		{"a swing of 0.1 V", 600, func(i int) float64 { return 5.05 + 0.05*math.Sin(2*math.Pi*float64(i)/10) }, nil},
		{"a slow swing", 600, func(i int) float64 { return 5.05 + 0.2*math.Sin(2*math.Pi*float64(i)/300) }, nil},
		{"off", 30, flat(0.02), []string{"voltage_sag"}},
	} {
		s := newScope(t, Rail{Point: "5v"})
		s.want(row.name+" before", s.wave("5v", sensor.UnitVolt, 20, flat(5.05)))
		s.want(row.name, s.wave("5v", sensor.UnitVolt, row.samples, row.v), row.want...)
		after := s.wave("5v", sensor.UnitVolt, 100, flat(5.05))
		for _, w := range row.want {
			if !slices.Contains(after, "-"+w) {
				t.Errorf("%s: afterwards %v", row.name, after)
			}
		}
		if slices.Contains(after, "power_cycle") != (row.name == "off") {
			t.Errorf("%s: afterwards %v", row.name, after)
		}
	}
}

func TestASagThatIsOverIsNoRipple(t *testing.T) {
	s := newScope(t, Rail{Point: "5v"})
	got := s.wave("5v", sensor.UnitVolt, 200, func(i int) float64 {
		if i%100 == 50 {
			return 4.6
		}
		return 5.05
	})
	s.want("two short sags", got, "voltage_sag", "-voltage_sag", "voltage_sag", "-voltage_sag")
}

func TestAPowerCycleSaysHowLong(t *testing.T) {
	s := newScope(t, Rail{Point: "12v", Nominal: 12})
	s.want("it was never there", s.wave("12v", sensor.UnitVolt, 10, flat(0)), "voltage_sag")
	s.want("it is switched on", s.wave("12v", sensor.UnitVolt, 10, flat(12)), "-voltage_sag")
	s.wave("12v", sensor.UnitVolt, 15, flat(0.1))
	got := s.wave("12v", sensor.UnitVolt, 1, flat(12.1))
	s.want("it is back", got, "-voltage_sag", "power_cycle")
	if f := string(s.heard[len(s.heard)-1].Fields); !strings.Contains(f, `"off_ms":1500`) {
		t.Errorf("fields %s", f)
	}
}

func TestNoiseAtALimitDoesNotChatter(t *testing.T) {
	s := newScope(t, Rail{Point: "5v"})
	random := rand.New(rand.NewPCG(3, 4))
	s.wave("5v", sensor.UnitVolt, 36_000, func(int) float64 { return 4.8 + 0.01*random.NormFloat64() })
	if n := len(s.heard); n > 1 {
		t.Errorf("an hour at the limit told %d levels", n)
	}
}

func TestAShortSagCanBeTolerated(t *testing.T) {
	s := newScope(t, Rail{Point: "5v", Hold: 300 * time.Millisecond})
	s.wave("5v", sensor.UnitVolt, 10, flat(5))
	s.want("two samples", s.wave("5v", sensor.UnitVolt, 2, flat(4.75)))
	s.want("and back", s.wave("5v", sensor.UnitVolt, 10, flat(5)))
	s.want("five samples", s.wave("5v", sensor.UnitVolt, 5, flat(4.75)), "voltage_sag")
}

func TestEachSourceIsJudgedForItself(t *testing.T) {
	s := newScope(t)
	on := func(point string, v float64) []string { return s.is(point, sensor.UnitNone, v) }
	s.want("mains", on("AC/online", 1))
	s.want("a plug that nobody uses", on("usb-c/online", 0))
	s.want("calm", on("BAT0/discharging", 0))
	s.want("mains fails", on("AC/online", 0), "source_failover")
	s.want("the battery takes over", on("BAT0/discharging", 1))
	s.want("once", on("AC/online", 0))
	s.want("the plug still", on("usb-c/online", 0))
	s.want("mains is back", on("AC/online", 1), "-source_failover")
	if s.heard[0].Point != "AC/online" {
		t.Errorf("point %s", s.heard[0].Point)
	}
	start := newScope(t)
	start.is("BAT0/discharging", sensor.UnitNone, 1)
	start.want("it starts on its battery", start.is("AC/online", sensor.UnitNone, 0), "source_failover")
}

func TestABatteryWarnsThenAlarms(t *testing.T) {
	s := newScope(t)
	s.want("down", s.wave("BAT0/capacity", sensor.UnitPercent, 100, func(i int) float64 { return float64(100 - i) }), "battery_low", "battery_critical")
	s.want("up", s.wave("BAT0/capacity", sensor.UnitPercent, 100, func(i int) float64 { return float64(i) }), "-battery_critical", "-battery_low")
	s.want("worn", s.is("BAT0/unhealthy", sensor.UnitNone, 1), "battery_failing")
	edge := newScope(t)
	edge.want("at the limit", edge.wave("BAT0/capacity", sensor.UnitPercent, 500, func(i int) float64 { return float64(19 + i%3) }), "battery_low")
}

func TestThrottlingIsTold(t *testing.T) {
	s := newScope(t)
	s.want("weak supply", s.is("throttle/undervoltage", sensor.UnitNone, 1), "voltage_sag")
	s.want("well", s.is("throttle/undervoltage", sensor.UnitNone, 0), "-voltage_sag")
	s.want("slowed", s.wave("throttle/throttled", sensor.UnitNone, 5, flat(1)), "throttled")
	s.want("count at the start", s.is("cpu/throttle_count", sensor.UnitNone, 17))
	s.want("count rises", s.wave("cpu/throttle_count", sensor.UnitNone, 20, func(i int) float64 { return float64(17 + i) }), "throttled")
	s.want("and rests", s.wave("cpu/throttle_count", sensor.UnitNone, 700, flat(36)), "-throttled")
	s.want("the processor was restarted", s.is("cpu/throttle_count", sensor.UnitNone, 0))
}

func TestACurrentIsJudgedByItsLimit(t *testing.T) {
	s := newScope(t, Rail{Point: "5v-current", MaxCurrent: 2})
	s.want("load", s.wave("5v-current", sensor.UnitAmpere, 50, func(i int) float64 { return 0.3 + float64(i%3)/2 }))
	s.want("something is attached", s.wave("5v-current", sensor.UnitAmpere, 20, flat(2.4)), "current_spike")
	s.want("gone", s.wave("5v-current", sensor.UnitAmpere, 20, flat(0.5)), "-current_spike")
}

func TestWhatNobodyNamedIsNotJudged(t *testing.T) {
	s := newScope(t)
	s.want("a voltage", s.wave("BAT0/voltage", sensor.UnitVolt, 10, flat(3)))
	s.want("no number", s.wave("5v", sensor.UnitVolt, 10, flat(math.NaN())))
	for i := range 1000 {
		s.is("x"+strings.Repeat("y", i), sensor.UnitVolt, 1)
	}
	if len(s.j.points) > maxPoints {
		t.Errorf("%d points are remembered", len(s.j.points))
	}
}

func TestRailsThatCannotBeMeantAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"no point":       {Rails: []Rail{{}}},
		"no order":       {Rails: []Rail{{Point: "5v", Min: 6}}},
		"no room":        {Rails: []Rail{{Point: "5v", Hysteresis: 1}}},
		"no number":      {Rails: []Rail{{Point: "5v", Nominal: math.NaN()}}},
		"few swings":     {Rails: []Rail{{Point: "5v", Swings: 2}}},
		"a long hold":    {Rails: []Rail{{Point: "5v", Hold: time.Hour}}},
		"a full battery": {BatteryLow: 5},
	} {
		if _, err := New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Config{Rails: []Rail{{Point: "5v"}}}).Validate(); err != nil {
		t.Error(err)
	}
}
