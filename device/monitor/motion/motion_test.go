package motion_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

// said is a reading with its fields opened.
type said struct {
	sensor.Reading
	Event int     `json:"event"`
	Class string  `json:"class"`
	Score float64 `json:"score"`
	Why   string  `json:"why"`
	Start float64 `json:"start"`
	End   float64 `json:"end"`
	Over  bool    `json:"over"`
	Fleet string  `json:"fleet"`
	SHA   string  `json:"sha256"`
}

var epoch = time.Unix(0, 0)

func open(t *testing.T, readings []sensor.Reading) (all []said) {
	t.Helper()
	for _, r := range readings {
		s := said{Reading: r}
		if r.Kind != sensor.Measure {
			if err := json.Unmarshal(r.Fields, &s); err != nil {
				t.Fatalf("fields %s: %v", r.Fields, err)
			}
		}
		all = append(all, s)
	}
	return all
}

func judge(t *testing.T, c motion.Config) *motion.Judge {
	t.Helper()
	j, err := motion.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// show feeds a judge as a driver would and returns all it says.
func show(t *testing.T, j *motion.Judge, samples []sensor.Sample) []said {
	t.Helper()
	var out []sensor.Reading
	var last time.Duration
	for part := range slices.Chunk(samples, 25) {
		last = max(last, part[len(part)-1].At)
		out = append(out, j.Judge(epoch.Add(last), sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Samples: part}})...)
	}
	if next := j.Next(); !next.IsZero() {
		out = append(out, j.Tick(next)...)
	}
	return open(t, out)
}

// events keeps the last word on each event.
func events(all []said) (last []said) {
	for _, s := range all {
		if s.Event > 0 && s.Over {
			last = append(last, s)
		}
	}
	return last
}

func alarms(all []said) bool { return slices.ContainsFunc(all, func(s said) bool { return s.Alarm }) }

func classes(all []said) string {
	var names []string
	for _, s := range events(all) {
		names = append(names, s.Class)
	}
	return strings.Join(names, " ")
}

// kinds are what happens, five seconds into a calm recording unless it says
// otherwise, what it may be called and whether it alarms.
var kinds = []struct {
	name   string
	events []synth.Event
	length time.Duration
	called string // separated by spaces; "" for nothing
	alarm  bool
}{
	{"footsteps nearby", []synth.Event{{Kind: synth.Footsteps}}, 15 * time.Second, "", false},
	{"heavy footsteps", []synth.Event{{Kind: synth.Footsteps, Level: 0.06, For: 9 * time.Second}}, 18 * time.Second, "footsteps disturbed", false},
	{"door", []synth.Event{{Kind: synth.Door}}, 12 * time.Second, "door_slam knock", false},
	{"hard door", []synth.Event{{Kind: synth.Door, Level: 0.25}}, 12 * time.Second, "door_slam knock", false},
	{"knock", []synth.Event{{Kind: synth.Knock}}, 12 * time.Second, "knock door_slam disturbed", false},
	{"three knocks", []synth.Event{{Kind: synth.Knock}, {Kind: synth.Knock, At: 400 * time.Millisecond}, {Kind: synth.Knock, At: 900 * time.Millisecond}}, 12 * time.Second, "knock door_slam disturbed", false},
	{"bump", []synth.Event{{Kind: synth.Bump}}, 12 * time.Second, "door_slam knock disturbed", false},
	{"hard bump", []synth.Event{{Kind: synth.Bump, Level: 0.25}}, 12 * time.Second, "door_slam knock disturbed", false},
	{"lorry", []synth.Event{{Kind: synth.Rumble}}, 20 * time.Second, "disturbed", false},
	{"telephone", []synth.Event{{Kind: synth.Buzz}}, 22 * time.Second, "disturbed knock earthquake footsteps", false},
	{"lift", []synth.Event{{Kind: synth.Lift}}, 15 * time.Second, "lift", true},
	{"carry", []synth.Event{{Kind: synth.Carry}}, 28 * time.Second, "carry handling", true},
	{"drive", []synth.Event{{Kind: synth.Drive}}, 30 * time.Second, "carry handling", true},
	{"tilt", []synth.Event{{Kind: synth.Tilt}}, 15 * time.Second, "tilt lift", true},
	{"tow in a minute", []synth.Event{{Kind: synth.Tilt, For: time.Minute, Level: 11}}, 90 * time.Second, "tilt", true},
	{"tow in ten minutes", []synth.Event{{Kind: synth.Tilt, For: 10 * time.Minute, Level: 11}}, 11 * time.Minute, "tilt", true},
	{"drill", []synth.Event{{Kind: synth.Drill}}, 18 * time.Second, "drill carry handling", true},
	{"drop by 78 cm", []synth.Event{{Kind: synth.Drop}}, 12 * time.Second, "drop", true},
	{"earthquake", []synth.Event{{Kind: synth.Earthquake}}, 40 * time.Second, "earthquake door_slam disturbed knock", false},
	{"fan", []synth.Event{{Kind: synth.Fan}}, 20 * time.Second, "", false},
	{"nothing", nil, 20 * time.Second, "", false},
}

// Synthetic: the classes hold from 20 to 1600 samples a second, with uneven
// times, however the sensor is mounted, up to 3 mg of noise.
func TestKinds(t *testing.T) {
	for _, k := range kinds {
		for i, rate := range []float64{20, 26, 50, 104, 400, 1600} {
			if rate > 104 && k.length > 20*time.Second || rate > 400 && k.alarm {
				continue // long ones cost much and sound the same
			}
			for seed := uint64(i); seed < uint64(i)+2; seed++ { // other seeds at each rate
				all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{
					Seed: seed, Rate: rate, Length: k.length, Noise: 0.001 * float64(1+seed%3), Turned: true, Jitter: 0.3, Events: shift(k.events),
				}))
				if alarms(all) != k.alarm {
					t.Errorf("%s at %g Hz, seed %d: alarm %v: %s", k.name, rate, seed, !k.alarm, classes(all))
				}
				for _, e := range events(all) {
					if !slices.Contains(strings.Fields(k.called), e.Class) {
						t.Errorf("%s at %g Hz, seed %d: called %s: %s", k.name, rate, seed, e.Class, e.Why)
					}
				}
			}
		}
	}
}

func shift(in []synth.Event) (out []synth.Event) {
	for _, e := range in {
		if e.Kind != synth.Fan {
			e.At += 5 * time.Second
		}
		out = append(out, e)
	}
	return out
}

// The two sentences that this judge must make true.
func TestFootstepNoLiftYes(t *testing.T) {
	for seed := range uint64(20) {
		steps := synth.Config{Seed: seed, Length: 20 * time.Second, Events: []synth.Event{{Kind: synth.Footsteps, At: 5 * time.Second, Level: 0.03}}}
		lift := synth.Config{Seed: seed, Length: 20 * time.Second, Events: []synth.Event{{Kind: synth.Lift, At: 5 * time.Second}}}
		if all := show(t, judge(t, motion.Config{}), synth.Make(steps)); alarms(all) {
			t.Errorf("seed %d: footsteps alarm: %s", seed, classes(all))
		}
		if all := show(t, judge(t, motion.Config{}), synth.Make(lift)); !alarms(all) {
			t.Errorf("seed %d: a lift does not: %s", seed, classes(all))
		}
	}
}

// An event says what it is taken for, how sure, and why, with the numbers.
func TestAnEventExplainsItself(t *testing.T) {
	all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{Length: 15 * time.Second, Events: []synth.Event{{Kind: synth.Lift, At: 5 * time.Second}}}))
	if len(all) != 2 || all[0].Over || !all[1].Over || all[0].Event != all[1].Event {
		t.Fatalf("want one word while it lasts and one when it is over: %+v", all)
	}
	if all[1].Type != motion.EventOver || all[1].Alarm || all[1].End < all[0].End {
		t.Errorf("over: %+v", all[1])
	}
	e := all[0]
	if e.Type != motion.EventMotion || e.Severity != core.SeverityHigh || e.Start < 4.5 || e.Start > 5.5 || e.End <= e.Start || e.Score < 0.5 || e.Score > 1 {
		t.Errorf("got %+v", e)
	}
	for _, word := range []string{"gravity turned by", "2.0° are a tilt", "g below 6 Hz"} {
		if !strings.Contains(e.Why, word) {
			t.Errorf("why %q does not say %q", e.Why, word)
		}
	}
}

// An alarm is told while it goes on and not when it is over.
func TestAlarmsAreEarly(t *testing.T) {
	for _, c := range []struct {
		kind synth.Kind
		soon time.Duration
	}{
		{synth.Drop, time.Second},
		{synth.Drill, 4 * time.Second},
		{synth.Carry, 6 * time.Second},
		{synth.Lift, 6 * time.Second},
	} {
		j := judge(t, motion.Config{})
		samples := synth.Make(synth.Config{Length: time.Minute, Events: []synth.Event{{Kind: c.kind, At: 10 * time.Second, For: map[bool]time.Duration{true: 40 * time.Second}[c.kind == synth.Carry]}}})
		told := time.Duration(0)
		for part := range slices.Chunk(samples, 10) {
			at := part[len(part)-1].At
			if told == 0 && alarms(open(t, j.Judge(epoch.Add(at), sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Samples: part}}))) {
				told = at
			}
		}
		if told == 0 || told > 10*time.Second+c.soon+500*time.Millisecond {
			t.Errorf("%s told at %v, want within %v of 10 s", c.kind, told, c.soon)
		}
	}
}

// An earthquake looks the same at each device of a site, and each says that the
// fleet must be asked.
func TestEarthquakeAsksTheFleet(t *testing.T) {
	for device := range uint64(12) {
		all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{
			Seed: device, Rate: []float64{26, 50, 104, 200}[device%4], Length: 45 * time.Second, Turned: true,
			Events: []synth.Event{{Kind: synth.Earthquake, At: 8 * time.Second, Level: 0.1 + 0.02*float64(device)}},
		}))
		asks := slices.ContainsFunc(events(all), func(s said) bool {
			return s.Class == "earthquake" && s.Fleet == "ask" && s.Type == motion.EventEarthquake && !s.Alarm
		})
		if !asks || alarms(all) {
			t.Errorf("device %d: %s", device, classes(all))
		}
	}
}

func TestTransport(t *testing.T) {
	for _, c := range []struct {
		kind  synth.Kind
		alarm bool
	}{{synth.Carry, false}, {synth.Lift, false}, {synth.Drive, false}, {synth.Drop, true}} {
		j := judge(t, motion.Config{})
		j.SetArming(epoch, core.Transport)
		all := show(t, j, synth.Make(synth.Config{Length: 20 * time.Second, Events: []synth.Event{{Kind: c.kind, At: 5 * time.Second}}}))
		if alarms(all) != c.alarm || len(events(all)) == 0 {
			t.Errorf("%s in transport: alarm %v, %s", c.kind, alarms(all), classes(all))
		}
	}
}

// What was done to the device while it was disarmed was allowed.
func TestArmingTakesItAsItStands(t *testing.T) {
	j := judge(t, motion.Config{})
	j.SetArming(epoch, core.Maintenance)
	flat := synth.Make(synth.Config{Seed: 1, Length: 60 * time.Second, Events: []synth.Event{{Kind: synth.Tilt, At: 5 * time.Second, Level: 1.8}}})
	show(t, j, flat[:len(flat)/2])
	j.SetArming(epoch, core.Armed)
	if all := show(t, j, flat[len(flat)/2:]); len(all) != 0 {
		t.Errorf("said %s", classes(all))
	}
}

func TestRepeatedKnocksRise(t *testing.T) {
	knocks := func(level float64, n int) (all []synth.Event) {
		for i := range n {
			all = append(all, synth.Event{Kind: synth.Knock, At: time.Duration(5+4*i) * time.Second, Level: level})
		}
		return all
	}
	soft := events(show(t, judge(t, motion.Config{}), synth.Make(synth.Config{Rate: 400, Length: 40 * time.Second, Events: knocks(0.6, 6)})))
	if len(soft) != 6 || soft[0].Severity != core.SeverityLow || soft[5].Severity != core.SeverityMedium || soft[5].Alarm {
		t.Errorf("knuckles: %+v", soft)
	}
	hard := events(show(t, judge(t, motion.Config{}), synth.Make(synth.Config{Rate: 400, Length: 40 * time.Second, Events: knocks(6, 6)})))
	if len(hard) != 6 || hard[0].Alarm || !hard[5].Alarm || hard[5].Type != motion.EventMotion {
		t.Errorf("a hammer: %+v", hard)
	}
}

// A sensor that clips is said to, and its knocks are told all the same.
func TestClipping(t *testing.T) {
	for _, full := range []float64{0, 2} {
		samples := synth.Make(synth.Config{Rate: 1600, Length: 12 * time.Second, Full: 2, Events: []synth.Event{{Kind: synth.Knock, At: 5 * time.Second, Level: 8, Hertz: 30}}})
		j := judge(t, motion.Config{})
		out := j.Judge(epoch, sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Full: full, Samples: samples}})
		all := open(t, out)
		if got := classes(all); got != "knock" {
			t.Errorf("range %g: called %q", full, got)
		}
		if !strings.Contains(events(all)[0].Why, "clipped") || !slices.ContainsFunc(all, func(s said) bool { return s.Type == motion.EventDoubt && s.Class == "clipping" }) {
			t.Errorf("range %g: clipping is not told: %+v", full, all)
		}
	}
}

// An old telephone's sensor is noisy from the first sample on, and is still.
func TestNoisySensor(t *testing.T) {
	for _, rate := range []float64{20, 50, 100, 200} {
		for _, noise := range []float64{0.005, 0.01, 0.02, 0.03} {
			all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{Seed: uint64(rate), Rate: rate, Noise: noise, Step: 0.004, Jitter: 0.3, Length: 30 * time.Second, Turned: true}))
			if len(all) != 0 {
				t.Errorf("%g Hz, %g g of noise: %s: %s", rate, noise, classes(all), all[0].Why)
			}
		}
	}
}

// The last digit of a coarse sensor flickers where its value lies between two.
func TestCoarseSensor(t *testing.T) {
	for _, step := range []float64{0.0039, 0.0156, 0.039} {
		for seed := range uint64(12) {
			all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{
				Seed: seed, Rate: 50, Noise: 0.003, Step: step, Length: 40 * time.Second, Turned: true,
				Events: []synth.Event{{Kind: synth.Tilt, At: 5 * time.Second, For: 30 * time.Second, Level: 0.5}},
			}))
			if alarms(all) {
				t.Errorf("steps of %g g, seed %d: %s: %s", step, seed, classes(all), all[0].Why)
			}
		}
		lifted := synth.Make(synth.Config{Rate: 50, Noise: 0.003, Step: step, Length: 20 * time.Second, Events: []synth.Event{{Kind: synth.Lift, At: 5 * time.Second}}})
		if all := show(t, judge(t, motion.Config{}), lifted); !alarms(all) {
			t.Errorf("steps of %g g: a lift is not seen", step)
		}
	}
}

// A recording that begins while a door swings does not know how it stood before.
func TestBeginsInMotion(t *testing.T) {
	samples := synth.Make(synth.Config{Rate: 104, Length: 12 * time.Second})
	for i := range samples {
		if at := samples[i].At.Seconds(); at < 1.8 {
			samples[i].X += 0.12 * math.Sin(math.Pi*(at+0.4)/1.1) * math.Exp(-at/2)
		}
	}
	if all := show(t, judge(t, motion.Config{}), samples); alarms(all) {
		t.Errorf("called %s: %s", classes(all), all[len(all)-1].Why)
	}
}

// A fault of the installation is told as that, and the judge goes on.
func TestWrongScale(t *testing.T) {
	for _, c := range []struct {
		name   string
		scale  float64
		linear bool
		says   string
	}{
		{"metres per second squared", 9.80665, false, "m/s²"},
		{"milligravities", 1000, false, "mg"},
		{"half the range", 0.5, false, "wrongly scaled"},
		{"twice the range", 2, false, "wrongly scaled"},
		{"without gravity", 1, true, "leaves gravity out"},
	} {
		calm := synth.Config{Rate: 100, Length: 20 * time.Second, Scale: c.scale, Step: 0.0005, Linear: c.linear, Turned: true}
		all := show(t, judge(t, motion.Config{}), synth.Make(calm))
		if len(all) != 1 || all[0].Type != motion.EventDoubt || all[0].Class != "calibration" || !strings.Contains(all[0].Why, c.says) || all[0].Alarm {
			t.Errorf("%s, calm: %+v", c.name, all)
		}
		moved := calm
		moved.Events = []synth.Event{{Kind: synth.Carry, At: 5 * time.Second, Level: 0.35}}
		if all := show(t, judge(t, motion.Config{}), synth.Make(moved)); !alarms(all) {
			t.Errorf("%s, carried: %s", c.name, classes(all))
		}
	}
	if all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{Length: 10 * time.Second, Scale: 1.08})); len(all) != 0 {
		t.Errorf("a sensor eight percent off: %+v", all)
	}
}

func TestFrozen(t *testing.T) {
	j := judge(t, motion.Config{})
	live := synth.Make(synth.Config{Rate: 50, Length: 60 * time.Second, Frozen: 10 * time.Second})
	all := show(t, j, live)
	if len(all) != 1 || all[0].Kind != sensor.Broken || all[0].Class != "frozen" || !strings.Contains(all[0].Why, "30 s") {
		t.Fatalf("frozen: %+v", all)
	}
	again := synth.Make(synth.Config{Rate: 50, Length: 2 * time.Second, Seed: 5})
	for i := range again {
		again[i].At += time.Minute
	}
	if all := show(t, j, again); len(all) != 1 || all[0].Kind != sensor.Measure || all[0].Point != "acceleration" {
		t.Errorf("alive again: %+v", all)
	}
}

func TestTimeThatStandsStill(t *testing.T) {
	j := judge(t, motion.Config{})
	samples := synth.Make(synth.Config{Rate: 50, Length: 20 * time.Second})
	for i := 500; i < 700; i++ {
		samples[i].At = samples[500].At
	}
	all := show(t, j, samples)
	if len(all) != 2 || all[0].Kind != sensor.Broken || all[0].Class != "clock" || all[1].Kind != sensor.Measure {
		t.Errorf("got %+v", all)
	}
}

// A sensor too slow to see a knock is not taken for calm.
func TestTooSlow(t *testing.T) {
	for rate, want := range map[float64]int{1: 1, 5: 1, 12: 1, 20: 0} {
		all := show(t, judge(t, motion.Config{}), synth.Make(synth.Config{Rate: rate, Length: 20 * time.Second}))
		if len(all) != want || want == 1 && (all[0].Class != "rate" || all[0].Type != motion.EventDoubt) {
			t.Errorf("%g Hz: %+v", rate, all)
		}
	}
}

func TestTimeThatJumpsBack(t *testing.T) {
	samples := synth.Make(synth.Config{Rate: 50, Length: 60 * time.Second, Events: []synth.Event{{Kind: synth.Carry, At: 40 * time.Second}}})
	for i := 1000; i < len(samples); i++ {
		samples[i].At -= 19 * time.Second
	}
	all := show(t, judge(t, motion.Config{}), samples)
	if len(all) == 0 || all[0].Type != motion.EventDoubt || all[0].Class != "clock" || !alarms(all) {
		t.Errorf("got %s", classes(all))
	}
}

// Samples out of order, double or with holes between them change no verdict.
func TestUntidySamples(t *testing.T) {
	samples := synth.Make(synth.Config{Rate: 100, Length: 30 * time.Second, Events: []synth.Event{{Kind: synth.Carry, At: 5 * time.Second}}})
	var untidy []sensor.Sample
	for i, s := range samples {
		switch {
		case i%7 == 0: // lost
		case i%11 == 0 && len(untidy) > 0:
			last := untidy[len(untidy)-1]
			untidy = append(untidy[:len(untidy)-1], s, last)
		case i%13 == 0:
			untidy = append(untidy, s, s)
		default:
			untidy = append(untidy, s)
		}
	}
	untidy = append(untidy, sensor.Sample{At: 30 * time.Second, X: math.NaN(), Y: math.Inf(1)})
	all := show(t, judge(t, motion.Config{}), untidy)
	if got := events(all); !alarms(all) || len(got) == 0 || got[0].Class != "carry" && got[0].Class != "handling" {
		t.Errorf("got %s", classes(all))
	}
}

// A hole ends the event; what comes behind it is judged anew.
func TestHole(t *testing.T) {
	samples := synth.Make(synth.Config{Rate: 50, Length: 30 * time.Second, Events: []synth.Event{{Kind: synth.Carry, At: 5 * time.Second, For: 20 * time.Second}}})
	for i := range samples {
		if i >= 800 {
			samples[i].At += time.Hour
		}
	}
	if got := events(show(t, judge(t, motion.Config{}), samples)); len(got) != 2 || got[0].Type != motion.EventOver || got[1].Type != motion.EventOver || got[1].Start < 3600 {
		t.Errorf("got %+v", got)
	}
}

// A judge that remembers is not deaf after a restart, and a damaged memory is
// not believed.
func TestMemory(t *testing.T) {
	fan := synth.Config{Rate: 104, Length: 30 * time.Second, Events: []synth.Event{{Kind: synth.Fan, Level: 0.2}}}
	j := judge(t, motion.Config{})
	all := show(t, j, synth.Make(fan))
	if !alarms(all) {
		t.Fatal("a strong vibration at the start is no alarm to a judge that knows nothing")
	}
	sha := all[len(all)-1].SHA
	if _, err := j.Accept(epoch, "00"); err == nil {
		t.Error("another hash was accepted")
	}
	if _, err := j.Accept(epoch, sha); err != nil {
		t.Fatal(err)
	}
	kept, changed := j.Memory()
	if !changed || kept == nil {
		t.Fatal("what was accepted is not to be kept")
	}
	if _, changed := j.Memory(); changed {
		t.Error("it is to be kept twice")
	}
	again := judge(t, motion.Config{})
	if err := again.Recall(kept); err != nil {
		t.Fatal(err)
	}
	if all := show(t, again, synth.Make(fan)); alarms(all) {
		t.Errorf("what was accepted alarms after a restart: %s", classes(all))
	}
	for _, bad := range []string{"", "nonsense", `{"version":2,"floor_g":1}`, `{"version":1,"floor_g":-1}`, strings.Repeat("x", 2000)} {
		if judge(t, motion.Config{}).Recall([]byte(bad)) == nil {
			t.Errorf("memory %.20q was believed", bad)
		}
	}
	if err := judge(t, motion.Config{}).Recall(nil); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []motion.Config{
		{Still: -1},
		{Tilt: 91},
		{Blows: 1},
		{Fall: time.Millisecond},
		{Frozen: time.Second},
		{Handling: math.NaN()},
		{TiltHold: time.Hour},
	} {
		if _, err := motion.New(bad); err == nil || core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := (motion.Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestOtherReadingsDoNotConcernIt(t *testing.T) {
	j := judge(t, motion.Config{})
	for _, r := range []sensor.Reading{{Kind: sensor.Beat}, {Kind: sensor.Waveform}, {Kind: sensor.Measure, Value: 9}, {Kind: sensor.Waveform, Wave: &sensor.Wave{}}} {
		if got := j.Judge(epoch, r); len(got) != 0 {
			t.Errorf("%v: %v", r.Kind, got)
		}
	}
	if !j.Next().IsZero() || j.Tick(epoch.Add(time.Hour)) != nil {
		t.Error("it has something to do although nothing happened")
	}
}

// The steady state allocates nothing for a sample.
func TestNoAllocations(t *testing.T) {
	j := judge(t, motion.Config{})
	samples := synth.Make(synth.Config{Rate: 104, Length: 60 * time.Second})
	show(t, j, samples)
	at := samples[len(samples)-1].At
	wave := sensor.Wave{Samples: samples[:1000]}
	r := sensor.Reading{Kind: sensor.Waveform, Wave: &wave}
	n := testing.AllocsPerRun(5, func() {
		for i := range wave.Samples {
			at += 9615 * time.Microsecond
			wave.Samples[i].At = at
		}
		j.Judge(epoch, r)
	})
	if n > 0 {
		t.Errorf("%g allocations in 1000 samples", n)
	}
}
