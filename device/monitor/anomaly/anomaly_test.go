package anomaly

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

var _ monitor.Learner = (*Judge)(nil)

// office is a synthetic building: days that are warm, weekends that are not,
// noise.
type office struct {
	t      *testing.T
	j      *Judge
	now    time.Time
	random *rand.Rand
	events []sensor.Reading
	offset map[string]float64
}

func newOffice(t *testing.T, c Config, seed uint64) *office {
	t.Helper()
	j, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &office{t: t, j: j, now: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), random: rand.New(rand.NewPCG(seed, 7)), offset: map[string]float64{}}
}

// pass lets time go by, a sample of each signal a minute.
func (o *office) pass(d time.Duration) (told []string) {
	for end := o.now.Add(d); o.now.Before(end); o.now = o.now.Add(time.Minute) {
		hour := float64(o.now.Hour()) + float64(o.now.Minute())/60
		day := math.Max(0, math.Sin((hour-7)/12*math.Pi))
		if wd := o.now.Weekday(); wd == time.Saturday || wd == time.Sunday {
			day *= 0.4
		}
		for _, s := range []struct {
			point             string
			base, swing, wave float64
		}{{"temp", 21, 3, 0.2}, {"humidity", 45, -6, 1}, {"fan1", 1200, 150, 20}} {
			v := s.base + s.swing*day + s.wave*o.random.NormFloat64() + o.offset[s.point]
			for _, x := range o.j.Judge(o.now, sensor.Reading{Kind: sensor.Measure, Point: s.point, Value: v, Unit: sensor.UnitNone}) {
				o.events = append(o.events, x)
				word := x.Type
				if !x.Active {
					word = x.Clear
				}
				told = append(told, word)
			}
		}
	}
	return told
}

const day = 24 * time.Hour

// Synthetic office noise: at most one false alarm a device in thirty days.
func TestThirtyDaysOfAnOfficeAreQuiet(t *testing.T) {
	for _, season := range []string{SeasonNone, SeasonDaily} {
		for seed := range uint64(5) {
			o := newOffice(t, Config{Season: season}, seed)
			wrong := 0
			for _, word := range o.pass(30 * day) {
				if word == "anomaly" {
					wrong++
				}
			}
			if wrong > 1 {
				t.Errorf("season %s, seed %d: %d false alarms", season, seed, wrong)
			}
		}
	}
}

func TestAnEventNamesTheSignalsThatMadeIt(t *testing.T) {
	o := newOffice(t, Config{Season: SeasonDaily}, 1)
	if told := o.pass(20 * day); len(told) > 0 {
		t.Fatalf("calm: %v", told)
	}
	o.offset["fan1"] = -700
	if told := o.pass(12 * time.Hour); len(told) != 1 || told[0] != "anomaly" {
		t.Fatalf("a fan is at half its speed: %v", told)
	}
	x := o.events[0]
	var f struct {
		Score   float64
		Signals []struct {
			Point                  string
			Value, Expected, Score float64
		}
	}
	if err := json.Unmarshal(x.Fields, &f); err != nil || len(f.Signals) != 1 || f.Signals[0].Point != "fan1" || f.Signals[0].Value > 900 || f.Signals[0].Expected < 1000 {
		t.Errorf("%s (%v)", x.Fields, err)
	}
	if x.Alarm || !x.Unlatched || x.Severity != core.SeverityMedium {
		t.Errorf("reading %+v", x)
	}
	o.offset["fan1"] = 0
	if told := o.pass(2 * day); len(told) != 1 || told[0] != "anomaly_over" {
		t.Errorf("it turns as usual: %v", told)
	}
}

// What is far from usual is told within half an hour; figures of synthetic noise.
func TestWhatIsFarAwayIsToldSoon(t *testing.T) {
	o := newOffice(t, Config{Season: SeasonDaily}, 6)
	o.pass(20 * day)
	o.offset["fan1"] = -1200
	if told := o.pass(30 * time.Minute); len(told) != 1 {
		t.Errorf("a fan stands still for half an hour: %v", told)
	}
}

func TestShortSpikesAndGapsAreNothing(t *testing.T) {
	o := newOffice(t, Config{Season: SeasonDaily}, 2)
	o.pass(20 * day)
	for range 5 {
		o.offset["temp"] = 20
		told := o.pass(2 * time.Minute)
		o.offset["temp"] = 0
		if told = append(told, o.pass(6*time.Hour)...); len(told) > 0 {
			t.Errorf("two odd minutes: %v", told)
		}
	}
	o.now = o.now.Add(3 * day) // the device was off
	if told := o.pass(day); len(told) > 0 {
		t.Errorf("after three days off: %v", told)
	}
}

func TestWhatWasLearnedSurvivesARestart(t *testing.T) {
	o := newOffice(t, Config{Season: SeasonDaily}, 3)
	o.pass(20 * day)
	kept, changed := o.j.Memory()
	if !changed || len(kept) > 4096 {
		t.Errorf("changed %v, %d bytes", changed, len(kept))
	}
	if _, again := o.j.Memory(); again {
		t.Error("it is written again at once")
	}
	fresh, err := New(Config{Season: SeasonDaily})
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Recall(kept); err != nil {
		t.Fatal(err)
	}
	o.j = fresh
	if told := o.pass(day); len(told) > 0 {
		t.Errorf("after the restart: %v", told)
	}
	o.offset["fan1"] = -700
	if told := o.pass(12 * time.Hour); len(told) != 1 {
		t.Errorf("a fan at half its speed: %v", told)
	}
}

func TestAnOrderMakesUsualWhatPeopleSaw(t *testing.T) {
	o := newOffice(t, Config{Season: SeasonDaily}, 4)
	o.pass(20 * day)
	if _, err := o.j.Accept(o.now, strings.Repeat("0", 64)); core.KindOf(err) != core.KindConflict {
		t.Errorf("nothing is going on: %v", err)
	}
	o.offset["fan1"] = -700 // it was replaced by a slower one
	o.pass(12 * time.Hour)
	var f struct{ Baseline string }
	if err := json.Unmarshal(o.events[0].Fields, &f); err != nil || len(f.Baseline) != 64 {
		t.Fatalf("%s (%v)", o.events[0].Fields, err)
	}
	if _, err := o.j.Accept(o.now, strings.Repeat("0", 64)); core.KindOf(err) != core.KindConflict {
		t.Errorf("another baseline: %v", err)
	}
	said, err := o.j.Accept(o.now, f.Baseline)
	if err != nil || len(said) != 1 || said[0].Active {
		t.Fatalf("%+v, %v", said, err)
	}
	if _, changed := o.j.Memory(); !changed {
		t.Error("it is not kept")
	}
	if told := o.pass(3 * day); len(told) > 0 {
		t.Errorf("afterwards: %v", told)
	}
}

func TestOnlyTheNamedPointsAreLearned(t *testing.T) {
	o := newOffice(t, Config{Points: []string{"fan*"}}, 5)
	o.pass(time.Hour)
	if len(o.j.signals) != 1 {
		t.Errorf("%d signals", len(o.j.signals))
	}
	all := newOffice(t, Config{}, 5)
	for i := range 1000 {
		all.j.Judge(all.now, sensor.Reading{Kind: sensor.Measure, Point: strings.Repeat("x", i), Value: 1})
	}
	if len(all.j.signals) != maxSignals {
		t.Errorf("%d signals", len(all.j.signals))
	}
}

func TestDamagedMemoryIsNotBelieved(t *testing.T) {
	for _, text := range []string{"{", `{"v":2}`, `{"v":1,"signals":{"a":null}}`, `{"v":1,"signals":{"a":{"level":1,"spread":-1}}}`, `{"v":1,"other":1}`, strings.Repeat(" ", maxMemory+1)} {
		j, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Recall([]byte(text)); err == nil {
			t.Errorf("%.60q is believed", text)
		}
	}
}

func FuzzRecall(f *testing.F) {
	f.Add([]byte(`{"v":1,"signals":{"temp":{"level":21,"spread":0.4,"learned":600000000000000}}}`), 25.0)
	f.Fuzz(func(t *testing.T, kept []byte, v float64) {
		j, err := New(Config{Season: SeasonDaily})
		if err != nil {
			t.Fatal(err)
		}
		if j.Recall(kept) != nil {
			return
		}
		now := time.Unix(1_700_000_000, 0)
		for i := range 20 {
			for _, x := range j.Judge(now.Add(time.Duration(i)*time.Hour), sensor.Reading{Kind: sensor.Measure, Point: "temp", Value: v}) {
				if !json.Valid(x.Fields) || strings.Contains(string(x.Fields), "unreadable") {
					t.Errorf("fields %s", x.Fields)
				}
			}
		}
		again, _ := j.Memory()
		fresh, _ := New(Config{Season: SeasonDaily})
		if err := fresh.Recall(again); err != nil {
			t.Errorf("what it keeps it does not believe: %v: %s", err, again)
		}
	})
}

func TestConfigurationsThatCannotBeMeantAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"a pattern":   {Points: []string{"["}},
		"a threshold": {Threshold: 0.5},
		"no number":   {Threshold: math.NaN()},
		"a season":    {Season: "weekly"},
		"a step":      {Step: time.Millisecond},
		"a level":     {Level: time.Second},
	} {
		if _, err := New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
