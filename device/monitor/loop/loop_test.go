package loop

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

var _ monitor.Judge = (*Judge)(nil)

// bench is a loop on a bench: a supply, a resistor to the converter, a box of
// resistors to ground, and samples ten times a second.
type bench struct {
	t      *testing.T
	j      *Judge
	now    time.Time
	supply float64
	pullup float64
	wobble float64 // volts of noise, alternating
	odd    bool
	levels map[string]bool // by type and point
	broken bool
	heard  []sensor.Reading
	pulses []string
}

// deol has two resistors of the pull-up's size: all five states.
func deol() Loop { return Loop{Name: "lid", Point: "voltage0", Pullup: 2200, EOL: 2200, Alarm: 2200} }

func newBench(t *testing.T, l Loop) *bench {
	t.Helper()
	j, err := New(Config{Loops: []Loop{l}})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, j: j, now: time.Unix(1_700_000_000, 0), supply: 3.3, pullup: 2200, levels: map[string]bool{}}
}

// hold has a resistance there for so many samples and returns the alarms that
// became active.
func (b *bench) hold(ohm float64, samples int) (alarms []string) {
	for range samples {
		v := b.supply
		if !math.IsInf(ohm, 1) {
			v = b.supply * ohm / (ohm + b.pullup)
		}
		if b.odd = !b.odd; b.odd {
			v += b.wobble
		} else {
			v -= b.wobble
		}
		alarms = append(alarms, b.volt("voltage0", v)...)
		b.now = b.now.Add(100 * time.Millisecond)
	}
	return alarms
}

func (b *bench) volt(point string, v float64) (alarms []string) {
	for _, r := range b.j.Judge(b.now, sensor.Reading{Kind: sensor.Measure, Point: point, Value: v, Unit: sensor.UnitVolt}) {
		b.heard = append(b.heard, r)
		switch r.Kind {
		case sensor.Broken:
			b.broken = true
			continue
		case sensor.Pulse:
			b.pulses = append(b.pulses, r.Type)
			continue
		}
		if b.broken = false; r.Active && !b.levels[r.Type] {
			alarms = append(alarms, r.Type)
		}
		b.levels[r.Type] = r.Active
		if !r.Alarm || !r.Settled || r.Severity != core.SeverityCritical {
			b.t.Errorf("level %+v", r)
		}
	}
	return alarms
}

func (b *bench) active() string {
	var all []string
	for _, e := range events {
		if b.levels[e.kind] {
			all = append(all, e.kind)
		}
	}
	return strings.Join(all, " ")
}

func (b *bench) want(what, active string) {
	b.t.Helper()
	if got := b.active(); got != active {
		b.t.Errorf("%s: active is %q, not %q", what, got, active)
	}
}

var open = math.Inf(1)

func TestEachStateOfALoopIsItsOwnEvent(t *testing.T) {
	for _, row := range []struct {
		name          string
		loop          Loop
		normal        float64
		states        map[string]float64
		unwatchedCuts bool
	}{
		{"two resistors, opening contact", deol(), 2200, map[string]float64{"case_intrusion": 4400, "loop_cut": open, "loop_short": 0, "loop_tamper": 8800}, false},
		{
			"two resistors, closing contact",
			Loop{Name: "lid", Point: "voltage0", Pullup: 2200, EOL: 4700, Alarm: 2200, Contact: "no"},
			4700,
			map[string]float64{"case_intrusion": 1498.6, "loop_cut": open, "loop_short": 0, "loop_tamper": 2500},
			false,
		},
		{
			"one resistor, opening contact",
			Loop{Name: "lid", Point: "voltage0", Pullup: 2200, EOL: 2200},
			2200,
			map[string]float64{"case_intrusion": open, "loop_short": 0, "loop_tamper": 4400},
			true,
		},
		{
			"one resistor, closing contact",
			Loop{Name: "lid", Point: "voltage0", Pullup: 2200, EOL: 2200, Contact: "no"},
			2200,
			map[string]float64{"case_intrusion": 0, "loop_cut": open, "loop_tamper": 1000},
			false,
		},
	} {
		for kind, ohm := range row.states {
			b := newBench(t, row.loop)
			b.hold(row.normal, 10)
			b.want(row.name, "")
			if got := b.hold(ohm, 20); len(got) != 1 || got[0] != kind {
				t.Errorf("%s: %g ohm gives %v, not one %s", row.name, ohm, got, kind)
			}
			if b.hold(row.normal, 10); b.active() != "" {
				t.Errorf("%s: after %s: %s", row.name, kind, b.active())
			}
		}
		b := newBench(t, row.loop)
		b.hold(row.normal, 10)
		b.hold(open, 10)
		if or := strings.Contains(string(b.heard[len(b.heard)-1].Fields), `"or":"cut"`); or != row.unwatchedCuts {
			t.Errorf("%s: says that it can't tell a cut from an opening: %v", row.name, or)
		}
	}
}

// P01: an opening is told at the second sample, well within 250 ms.
func TestAnOpeningIsToldAtTheSecondSample(t *testing.T) {
	b := newBench(t, deol())
	b.hold(2200, 10)
	if got := b.hold(4400, 1); got != nil {
		t.Errorf("one sample is enough: %v", got)
	}
	if got := b.hold(4400, 1); len(got) != 1 {
		t.Errorf("two samples are not: %v", got)
	}
	b.hold(2200, 5)
	if got := b.hold(4400, 1); got != nil || b.hold(2200, 5) != nil {
		t.Error("one odd sample is an event")
	}
}

func TestALoopThatIsOpenAtTheStartAlarms(t *testing.T) {
	b := newBench(t, deol())
	if got := b.hold(4400, 5); len(got) != 1 || got[0] != "case_intrusion" {
		t.Errorf("got %v", got)
	}
}

func TestACutLoopSaysNothingOfItsContact(t *testing.T) {
	b := newBench(t, deol())
	b.hold(2200, 5)
	b.hold(4400, 5)
	b.hold(open, 5)
	b.want("opened, then cut", "loop_cut case_intrusion")
	b.hold(4400, 5)
	b.want("the wire is mended, the case is open", "case_intrusion")
	b.hold(2200, 5)
	b.want("all is well", "")
}

// A contact that moves passes through the voltages between; a resistor that
// somebody put in stays there, or is turned until it fits.
func TestWhatIsBetweenTheStatesIsTamperingOnceItStays(t *testing.T) {
	b := newBench(t, deol())
	b.hold(2200, 10)
	if got := b.hold(3000, 3); got != nil {
		t.Errorf("300 ms between two states: %v", got)
	}
	if b.hold(2200, 5); b.active() != "" {
		t.Errorf("active %s", b.active())
	}
	if got := b.hold(3000, 8); len(got) != 1 || got[0] != "loop_tamper" {
		t.Errorf("800 ms between two states: %v", got)
	}
	b = newBench(t, deol())
	b.hold(2200, 10)
	var got []string
	for range 10 { // it never means one thing for two samples
		got = append(got, b.hold(4400, 1)...)
		got = append(got, b.hold(3000, 1)...)
	}
	if len(got) != 1 || got[0] != "loop_tamper" {
		t.Errorf("a loop that never rests: %v", got)
	}
	b = newBench(t, deol())
	b.hold(2200, 10)
	for range 10 {
		b.volt("voltage0", 5)
		b.now = b.now.Add(100 * time.Millisecond)
	}
	b.want("a voltage above the supply", "loop_tamper")
}

func TestNoiseAtABorderDoesNotChatter(t *testing.T) {
	b := newBench(t, deol())
	border := 2200 * 0.54 / 0.46 // where normal ends
	b.hold(2200, 10)
	b.wobble = 0.009 * 3.3 // less than the hysteresis
	if got := b.hold(border, 600); got != nil {
		t.Errorf("a minute of noise: %v", got)
	}
	told := len(b.heard)
	b.wobble = 0.02 * 3.3 // more than the hysteresis
	b.hold(border, 600)
	if n := len(b.heard) - len(b.pulses) - told; n > 4 {
		t.Errorf("a minute of strong noise told %d levels", n)
	}
}

func TestALoopThatIsTriedAgainAndAgainIsTold(t *testing.T) {
	b := newBench(t, deol())
	b.hold(2200, 10)
	for range 25 {
		if got := b.hold(4400, 1); got != nil {
			t.Fatalf("one sample: %v", got)
		}
		b.hold(2200, 9)
	}
	if len(b.pulses) != 1 || b.pulses[0] != "loop_unsteady" {
		t.Errorf("25 tries in as many seconds: %v", b.pulses)
	}
	for range 25 { // a spike every ten seconds
		b.hold(4400, 1)
		b.hold(2200, 99)
	}
	if len(b.pulses) != 1 {
		t.Errorf("a spike now and then: %v", b.pulses)
	}
}

func TestASaggingSupplyIsNoTampering(t *testing.T) {
	blind := newBench(t, deol())
	blind.hold(2200, 5)
	blind.supply = 2.8
	blind.hold(2200, 10)
	blind.want("nobody measures the supply", "loop_tamper")

	l := deol()
	l.SupplyPoint = "voltage7"
	b := newBench(t, l)
	for volt := 3.3; volt > 2; volt -= 0.01 {
		b.supply = volt
		b.volt("voltage7", volt)
		b.hold(2200, 1)
	}
	b.want("a supply that is measured", "")
	b.volt("voltage7", b.supply)
	if got := b.hold(4400, 3); len(got) != 1 || got[0] != "case_intrusion" {
		t.Errorf("opened on a low supply: %v", got)
	}
}

func TestALoopWithoutItsSupplyIsAFaultAndComesBack(t *testing.T) {
	l := deol()
	l.SupplyPoint = "voltage7"
	b := newBench(t, l)
	b.hold(2200, 40)
	if b.broken || len(b.heard) != 0 {
		t.Errorf("it is judged before its supply is known: %+v", b.heard)
	}
	b.hold(2200, 40)
	if !b.broken {
		t.Fatal("a supply that is never measured is no fault")
	}
	b.volt("voltage7", 3.3)
	b.hold(2200, 5)
	if b.broken || b.active() != "" || b.heard[len(b.heard)-1].Point != "lid" {
		t.Errorf("it does not come back: %+v", b.heard)
	}
	for range 80 { // the supply is off
		b.volt("voltage7", 0.1)
		b.supply = 0.1
		b.hold(2200, 1)
	}
	if !b.broken || b.active() != "" {
		t.Errorf("a loop without a supply: broken %v, active %s", b.broken, b.active())
	}
}

func TestTheFieldsHelpWhoeverRepairs(t *testing.T) {
	b := newBench(t, deol())
	b.hold(2200, 5)
	b.hold(8800, 10)
	var f struct {
		Loop, State string
		Volt, Ohm   float64
	}
	last := b.heard[len(b.heard)-1]
	if err := json.Unmarshal(last.Fields, &f); err != nil || f.Loop != "lid" || f.State != "tamper" || f.Ohm < 8700 || f.Ohm > 8900 || last.Point != "lid/tamper" {
		t.Errorf("%s %s (%v)", last.Point, last.Fields, err)
	}
}

func TestBandsCanBeGivenInstead(t *testing.T) {
	b := newBench(t, Loop{Name: "lid", Point: "voltage0", Bands: &Bands{Short: []float64{-0.1, 0.1}, Normal: []float64{0.4, 0.6}, Cut: []float64{0.9, 1.1}}})
	b.hold(2200, 5)
	b.want("normal", "")
	b.hold(open, 5)
	b.want("cut", "loop_cut")
}

func TestALoopThatCannotBeJudgedIsRefused(t *testing.T) {
	change := func(f func(*Loop)) Config {
		l := deol()
		f(&l)
		return Config{Loops: []Loop{l}}
	}
	for name, c := range map[string]Config{
		"none":                     {},
		"two of a name":            {Loops: []Loop{deol(), deol()}},
		"no point":                 change(func(l *Loop) { l.Point = "" }),
		"no resistors":             change(func(l *Loop) { l.Pullup, l.EOL = 0, 0 }),
		"resistors and bands":      change(func(l *Loop) { l.Bands = &Bands{Normal: []float64{0.4, 0.6}, Cut: []float64{0.9, 1.1}} }),
		"states that are too near": change(func(l *Loop) { l.Alarm = 200 }),
		"a short that is normal":   change(func(l *Loop) { l.EOL = 50 }),
		"half a band":              {Loops: []Loop{{Name: "lid", Point: "v", Bands: &Bands{Normal: []float64{0.5}, Cut: []float64{0.9, 1}}}}},
		"bands that overlap":       {Loops: []Loop{{Name: "lid", Point: "v", Bands: &Bands{Normal: []float64{0.4, 0.8}, Cut: []float64{0.7, 1}}}}},
		"no number":                change(func(l *Loop) { l.Supply = math.NaN() }),
		"a contact":                change(func(l *Loop) { l.Contact = "maybe" }),
		"info":                     change(func(l *Loop) { l.Severity = core.SeverityInfo }),
	} {
		if _, err := New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever voltages come, a loop that was never normal is never all calm.
func FuzzLoop(f *testing.F) {
	f.Add([]byte{0, 64, 128, 255}, 1.65)
	f.Fuzz(func(t *testing.T, steps []byte, v float64) {
		j, err := New(Config{Loops: []Loop{deol()}})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(0, 0)
		for _, s := range steps {
			volt := float64(s)/255*4 - 0.2
			if s == 7 {
				volt = v
			}
			now = now.Add(time.Duration(s) * time.Millisecond)
			j.Judge(now, sensor.Reading{Kind: sensor.Measure, Point: "voltage0", Value: volt, Unit: sensor.UnitVolt})
		}
		for range 20 { // NaN means no state either
			j.Judge(now, sensor.Reading{Kind: sensor.Measure, Point: "voltage0", Value: v, Unit: sensor.UnitVolt})
			now = now.Add(time.Second)
		}
		fraction := v / 3.3
		if well := fraction > 0.45 && fraction < 0.55; well != (len(active(j)) == 0) {
			if well || fraction < 0.44 || fraction > 0.56 || math.IsNaN(v) {
				t.Errorf("%g V of 3.3 V: active %v", v, active(j))
			}
		}
	})
}

func active(j *Judge) (all []state) {
	for s, on := range j.loops[0].active {
		if on {
			all = append(all, s)
		}
	}
	return all
}
