package environment

import (
	"encoding/json"
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

// room is what is measured, once a second.
type room struct {
	t     *testing.T
	j     *Judge
	now   time.Time
	heard []sensor.Reading
}

func newRoom(t *testing.T, rules ...Rule) *room {
	t.Helper()
	j, err := New(Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return &room{t: t, j: j, now: time.Unix(1_700_000_000, 0)}
}

// is measures a value for some seconds and returns what became active, and what
// ended as "-word".
func (r *room) is(point string, unit sensor.Unit, v float64, seconds int) (said []string) {
	for range seconds {
		said = append(said, r.once(point, unit, v)...)
	}
	return said
}

func (r *room) once(point string, unit sensor.Unit, v float64) (said []string) {
	r.now = r.now.Add(time.Second)
	for _, x := range judgetest.Measure(r.j, r.now, judgetest.Point{Name: point, Unit: unit}, v) {
		r.heard = append(r.heard, x)
		switch {
		case x.Kind == sensor.Broken:
			said = append(said, "broken "+x.Point)
		case x.Kind == sensor.Measure:
			said = append(said, "well "+x.Point)
		case x.Active:
			said = append(said, x.Type)
		default:
			said = append(said, "-"+x.Type)
		}
		judgetest.Documented(r.t, Doc, x)
	}
	return said
}

func (r *room) want(what string, got []string, want ...string) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// ramp goes from one value to another, so much a second.
func (r *room) ramp(point string, unit sensor.Unit, from, to, step float64) (said []string) {
	if to < from {
		step = -step
	}
	for v := from; (step > 0) == (v < to); v += step {
		said = append(said, r.once(point, unit, v)...)
	}
	return said
}

func TestAWarmingRoomWarnsThenAlarmsAndEasesByTheHysteresis(t *testing.T) {
	r := newRoom(t)
	r.want("calm", r.is("temp", sensor.UnitCelsius, 22, 60))
	r.want("up", r.ramp("temp", sensor.UnitCelsius, 22, 52, 0.05), "temperature_high", "temperature_critical")
	r.want("at the limit", r.ramp("temp", sensor.UnitCelsius, 52, 49.5, 0.05))
	r.want("down", r.ramp("temp", sensor.UnitCelsius, 49.5, 30, 0.05), "-temperature_critical", "-temperature_high")
	var f struct {
		Value, Limit   float64
		Side, Measured string
	}
	if err := json.Unmarshal(r.heard[1].Fields, &f); err != nil || f.Limit != 50 || f.Side != "high" || f.Measured != "temp" || f.Value < 50 {
		t.Errorf("%s (%v)", r.heard[1].Fields, err)
	}
	r.want("cold", r.ramp("temp", sensor.UnitCelsius, 30, -12, 0.05), "temperature_low", "temperature_critical")
}

func TestAValueAtALimitDoesNotChatter(t *testing.T) {
	r := newRoom(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 24 * 3600 {
		r.once("temp", sensor.UnitCelsius, 45+0.3*random.NormFloat64())
	}
	if n := len(r.heard); n > 1 {
		t.Errorf("a day at the limit told %d levels", n)
	}
}

func TestOneOddValueIsNothing(t *testing.T) {
	r := newRoom(t)
	r.is("temp", sensor.UnitCelsius, 22, 30)
	r.want("the 85 °C of a probe that starts", r.is("temp", sensor.UnitCelsius, 85, 1))
	r.want("and back", r.is("temp", sensor.UnitCelsius, 22, 120))
	r.want("a lost bit", r.is("temp", sensor.UnitCelsius, -120, 1))
	r.want("and back", r.is("temp", sensor.UnitCelsius, 22, 120))
}

func TestAFreezeAttackIsFasterThanWeather(t *testing.T) {
	r := newRoom(t)
	r.is("temp", sensor.UnitCelsius, 25, 60)
	got := r.ramp("temp", sensor.UnitCelsius, 25, -5, 1) // spray: 30 degrees in half a minute
	if len(got) == 0 || got[0] != "temperature_falling" {
		t.Errorf("spray: %v", got)
	}
	if x := r.heard[0]; x.Unlatched || !x.Alarm || x.Severity != core.SeverityCritical {
		t.Errorf("reading %+v", x)
	}
	door := newRoom(t)
	door.is("temp", sensor.UnitCelsius, 22, 60)
	door.want("a door is open in winter: 5 degrees a minute", door.ramp("temp", sensor.UnitCelsius, 22, 5, 5.0/60))
	chip := newRoom(t)
	chip.is("coretemp@coretemp.0/temp1", sensor.UnitCelsius, 65, 60)
	chip.want("a processor that is idle again", chip.is("coretemp@coretemp.0/temp1", sensor.UnitCelsius, 38, 60))
	fire := newRoom(t)
	fire.is("temp", sensor.UnitCelsius, 22, 60)
	fire.want("a torch", fire.ramp("temp", sensor.UnitCelsius, 22, 40, 0.5), "temperature_rising")
}

func TestASlowSensorIsJudgedByItsPace(t *testing.T) {
	r := newRoom(t)
	for i := range 10 {
		r.now = r.now.Add(5 * time.Minute)
		if got := r.once("temp", sensor.UnitCelsius, 30-float64(i)); got != nil {
			t.Errorf("a degree in five minutes: %v", got)
		}
	}
}

func TestEachKindHasItsWords(t *testing.T) {
	low, high := 1.0, 0.5
	for _, row := range []struct {
		point     string
		unit      sensor.Unit
		rules     []Rule
		calm, bad float64
		want      []string
	}{
		{"humidityrelative", sensor.UnitPercent, nil, 50, 75, []string{"humidity_high"}},
		{"humidityrelative", sensor.UnitPercent, nil, 50, 95, []string{"humidity_high", "humidity_critical"}},
		{"humidityrelative", sensor.UnitPercent, nil, 50, 20, []string{"humidity_low"}},
		{"battery/capacity", sensor.UnitPercent, nil, 50, 2, nil}, // a percentage of something else
		{"pressure", sensor.UnitPascal, []Rule{{Kind: KindPressure, Point: "pressure", CriticalLow: at(90000)}}, 101325, 80000, []string{"pressure_critical"}},
		{"illuminance", sensor.UnitLux, []Rule{{Kind: KindLight}}, 0.2, 40, []string{"light_in_case"}},
		{"illuminance", sensor.UnitLux, nil, 0.2, 40, nil}, // nobody said that it is in a case
		{"nct6775@isa/fan2", sensor.UnitRPM, nil, 1200, 0, []string{"fan_stopped"}},
		{"voltage3", sensor.UnitVolt, []Rule{{Kind: KindWater, Point: "voltage3", CriticalLow: &low}}, 3, 0.2, []string{"water_detected"}},
		{"concentration", sensor.UnitPercent, []Rule{{Kind: KindSmoke, Point: "concentration", CriticalHigh: &high}}, 0.01, 3, []string{"smoke_detected"}},
		{"cpu/temp", sensor.UnitCelsius, nil, 50, 75, []string{"temperature_high"}},
		{"temp", sensor.UnitCelsius, []Rule{{Kind: KindIgnore, Point: "temp"}}, 20, 99, nil},
		{"temp", sensor.UnitCelsius, []Rule{{Point: "other*"}}, 20, 99, nil},
	} {
		r := newRoom(t, row.rules...)
		r.want(row.point+" calm", r.is(row.point, row.unit, row.calm, 10))
		got := r.is(row.point, row.unit, row.bad, 10)
		got = slices.DeleteFunc(got, func(s string) bool { return s == "temperature_rising" })
		if !slices.Equal(got, row.want) {
			t.Errorf("%s at %g: %v, not %v", row.point, row.bad, got, row.want)
		}
		if len(row.want) > 0 {
			if got := r.is(row.point, row.unit, row.calm, 100); len(got) < len(row.want) {
				t.Errorf("%s is calm again: %v", row.point, got)
			}
		}
	}
}

func TestWhatIsNotConnectedIsNoAlarm(t *testing.T) {
	r := newRoom(t)
	r.want("a header without a fan", r.is("nct6775@isa/fan5", sensor.UnitRPM, 0, 100))
	r.want("an input without a probe", r.is("nct6775@isa/temp3", sensor.UnitCelsius, 127, 100))
	named := newRoom(t, Rule{Point: "fan5"})
	named.want("a fan that people named", named.is("nct6775@isa/fan5", sensor.UnitRPM, 0, 100), "fan_stopped")
}

// P56: nothing of the rule but these limits changes what they do.
func TestTheSafetyLimitStandsApart(t *testing.T) {
	r := newRoom(t, Rule{Point: "temp", WarnHigh: at(200), CriticalHigh: at(300), SafeHigh: at(60), Rise: 1e5, Fall: 1e5, Hold: time.Hour})
	r.is("temp", sensor.UnitCelsius, 30, 10)
	r.want("beyond", r.is("temp", sensor.UnitCelsius, 61, 10), "safety_limit")
	x := r.heard[len(r.heard)-1]
	if x.Unlatched || !strings.Contains(string(x.Fields), `"safe_state":"requested"`) || !strings.Contains(string(x.Fields), `"limit":60`) {
		t.Errorf("%+v %s", x, x.Fields)
	}
	r.want("back", r.is("temp", sensor.UnitCelsius, 50, 10), "-safety_limit")
	if strings.Contains(string(r.heard[len(r.heard)-1].Fields), "requested") {
		t.Error("the way back asks for the safe state")
	}
}

func TestAPointThatFallsSilentIsBrokenAndComesBack(t *testing.T) {
	r := newRoom(t, Rule{Point: "temp", Stale: 20 * time.Second}, Rule{Point: "humidity"})
	r.is("temp", sensor.UnitCelsius, 22, 5)
	r.want("silent, and a point that is never there", r.is("pressure", sensor.UnitPascal, 101325, 90), "broken temp", "broken humidity")
	r.want("back", r.is("temp", sensor.UnitCelsius, 22, 5), "well temp")
	r.want("there at last", r.is("x/humidity", sensor.UnitPercent, 50, 5), "well humidity")
}

func TestHostileNumbersAreNotJudged(t *testing.T) {
	r := newRoom(t)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		r.want("no number", r.is("temp", sensor.UnitCelsius, v, 10))
	}
	for i := range 1000 {
		r.once("temp"+strings.Repeat("x", i), sensor.UnitCelsius, 20)
	}
	if len(r.j.points) > maxPoints {
		t.Errorf("%d points are remembered", len(r.j.points))
	}
}

func TestRulesThatCannotBeMeantAreRefused(t *testing.T) {
	for name, r := range map[string]Rule{
		"a kind":               {Kind: "soil"},
		"a pattern":            {Point: "["},
		"limits upside down":   {Kind: KindAmbient, WarnHigh: at(50), CriticalHigh: at(45)},
		"low above high":       {Kind: KindAmbient, WarnLow: at(50), WarnHigh: at(40)},
		"no room":              {Kind: KindAmbient, WarnLow: at(20), WarnHigh: at(21)},
		"no number":            {Kind: KindAmbient, WarnHigh: at(math.NaN())},
		"water without limits": {Kind: KindWater},
		"a negative fall":      {Fall: -1},
		"a hold":               {Hold: -time.Second},
	} {
		if _, err := New(Config{Rules: []Rule{r}}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, k := range []string{KindAmbient, KindChip, KindHumidity, KindPressure, KindLight, KindFan} {
		if err := (Config{Rules: []Rule{{Kind: k}}}).Validate(); err != nil {
			t.Errorf("the defaults of %s: %v", k, err)
		}
	}
}
