package orientation_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/orientation"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

var epoch = time.Unix(0, 0)

func judge(t *testing.T, c orientation.Config) *orientation.Judge {
	t.Helper()
	j, err := orientation.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func show(j *orientation.Judge, samples []sensor.Sample) (out []sensor.Reading) {
	for part := range slices.Chunk(samples, 25) {
		at := epoch.Add(part[len(part)-1].At)
		out = append(out, j.Judge(at, sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Samples: part}})...)
	}
	return out
}

type fields struct {
	Degrees float64
	From    [3]float64
	To      [3]float64
	SHA256  string
	Why     string
}

func open(t *testing.T, r sensor.Reading) (f fields) {
	t.Helper()
	if err := json.Unmarshal(r.Fields, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// later moves a recording on in time.
func later(samples []sensor.Sample, by time.Duration) []sensor.Sample {
	out := slices.Clone(samples)
	for i := range out {
		out[i].At += by
	}
	return out
}

func tilt(degrees float64, at, span, length time.Duration) []sensor.Sample {
	return synth.Make(synth.Config{Seed: 2, Rate: 50, Length: length, Events: []synth.Event{{Kind: synth.Tilt, At: at, For: span, Level: degrees}}})
}

func TestTurned(t *testing.T) {
	for _, c := range []struct {
		name    string
		degrees float64
		span    time.Duration
		want    int
	}{
		{"less than the threshold", 14, time.Second, 0},
		{"more", 17, time.Second, 1},
		{"on its side", 90, time.Second, 1},
		{"upside down", 180, 2 * time.Second, 1},
		{"in an hour", 20, time.Hour, 1},
	} {
		out := show(judge(t, orientation.Config{}), tilt(c.degrees, 5*time.Second, c.span, c.span+30*time.Second))
		if len(out) != c.want {
			t.Fatalf("%s: %d readings", c.name, len(out))
		}
		if c.want == 0 {
			continue
		}
		r, f := out[0], open(t, out[0])
		if r.Kind != sensor.Level || !r.Active || !r.Alarm || r.Type != orientation.EventChanged || r.Severity != core.SeverityHigh {
			t.Errorf("%s: %+v", c.name, r)
		}
		if f.Degrees < 15 || f.From[2] < 0.99 || f.To == f.From || len(f.SHA256) != 64 || !strings.Contains(f.Why, "15.0°") {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

// What is shorter than the time, or only moves about, is no change of orientation.
func TestShort(t *testing.T) {
	for name, events := range map[string][]synth.Event{
		"three seconds": {{Kind: synth.Tilt, At: 5 * time.Second, For: 100 * time.Millisecond, Level: 40}, {Kind: synth.Tilt, At: 8 * time.Second, For: 100 * time.Millisecond, Level: -40}},
		"drop":          {{Kind: synth.Drop, At: 5 * time.Second}},
		"drill":         {{Kind: synth.Drill, At: 5 * time.Second}},
		"earthquake":    {{Kind: synth.Earthquake, At: 5 * time.Second, Level: 0.3}},
	} {
		samples := synth.Make(synth.Config{Rate: 50, Length: 40 * time.Second, Turned: true, Events: events})
		if out := show(judge(t, orientation.Config{}), samples); len(out) != 0 {
			t.Errorf("%s: %s", name, out[0].Fields)
		}
	}
}

// The way back counts only well below the threshold.
func TestHysteresis(t *testing.T) {
	j := judge(t, orientation.Config{})
	samples := synth.Make(synth.Config{Rate: 50, Length: 90 * time.Second, Events: []synth.Event{
		{Kind: synth.Tilt, At: 5 * time.Second, Level: 20},
		{Kind: synth.Tilt, At: 25 * time.Second, Level: -7}, // 13 degrees: not enough
		{Kind: synth.Tilt, At: 45 * time.Second, Level: -8}, // 5 degrees
	}})
	out := show(j, samples)
	if len(out) != 2 || !out[0].Active || out[1].Active || out[1].Clear != orientation.EventBack {
		t.Fatalf("got %d readings: %+v", len(out), out)
	}
	if f := open(t, out[1]); f.Degrees > 7 {
		t.Errorf("came back at %g degrees", f.Degrees)
	}
}

func TestPersistent(t *testing.T) {
	samples := tilt(3, 20*time.Second, time.Minute, 5*time.Minute)
	if out := show(judge(t, orientation.Config{}), samples); len(out) != 0 {
		t.Errorf("three degrees are told without being asked for: %s", out[0].Fields)
	}
	out := show(judge(t, orientation.Config{Persistent: 2, PersistentFor: 2 * time.Minute}), samples)
	if len(out) != 1 || !strings.Contains(open(t, out[0]).Why, "2m0s") {
		t.Errorf("got %+v", out)
	}
}

// A device that was laid on its side while it was off says so when it wakes up.
func TestRestart(t *testing.T) {
	j := judge(t, orientation.Config{})
	show(j, tilt(0, 0, time.Second, 10*time.Second))
	kept, changed := j.Memory()
	if !changed || kept == nil {
		t.Fatal("nothing is kept")
	}
	if _, changed := j.Memory(); changed {
		t.Error("it is kept twice")
	}
	for degrees, want := range map[float64]int{0: 0, 60: 1} {
		again := judge(t, orientation.Config{})
		if err := again.Recall(kept); err != nil {
			t.Fatal(err)
		}
		if out := show(again, tilt(degrees, 0, time.Millisecond, 20*time.Second)); len(out) != want {
			t.Errorf("%g degrees while off: %d readings", degrees, len(out))
		}
	}
	for _, bad := range []string{"", "{}", "nonsense", `{"version":1,"down":[1,1,1]}`, `{"version":2,"down":[0,0,1]}`, strings.Repeat(" ", 2000)} {
		if judge(t, orientation.Config{}).Recall([]byte(bad)) == nil {
			t.Errorf("memory %.20q was believed", bad)
		}
	}
}

func TestAccept(t *testing.T) {
	j := judge(t, orientation.Config{})
	out := show(j, tilt(30, 5*time.Second, time.Second, 20*time.Second))
	if len(out) != 1 {
		t.Fatal(out)
	}
	f := open(t, out[0])
	if _, err := j.Accept(epoch, "00"); core.KindOf(err) != core.KindConflict {
		t.Errorf("another hash: %v", err)
	}
	back, err := j.Accept(epoch, f.SHA256)
	if err != nil || len(back) != 1 || back[0].Active {
		t.Fatalf("got %v, %v", back, err)
	}
	if _, err := j.Accept(epoch, f.SHA256); err == nil {
		t.Error("accepted twice")
	}
	still := later(tilt(30, 0, time.Millisecond, 20*time.Second), 20*time.Second)
	if out := show(j, still); len(out) != 0 {
		t.Errorf("as accepted: %s", out[0].Fields)
	}
}

// A device that was moved again since people looked at it is not accepted.
func TestAcceptOnlyAsItWasLookedAt(t *testing.T) {
	j := judge(t, orientation.Config{})
	samples := synth.Make(synth.Config{Rate: 50, Length: 40 * time.Second, Events: []synth.Event{
		{Kind: synth.Tilt, At: 5 * time.Second, Level: 30}, {Kind: synth.Tilt, At: 20 * time.Second, Level: 30},
	}})
	out := show(j, samples)
	if len(out) != 1 {
		t.Fatal(out)
	}
	if _, err := j.Accept(epoch, open(t, out[0]).SHA256); core.KindOf(err) != core.KindConflict {
		t.Errorf("got %v", err)
	}
}

func TestArmingTakesItAsItStands(t *testing.T) {
	j := judge(t, orientation.Config{})
	j.SetArming(epoch, core.Disarmed)
	if out := show(j, tilt(40, 5*time.Second, time.Second, 30*time.Second)); len(out) != 1 {
		t.Fatal(out)
	}
	if out := j.SetArming(epoch, core.Armed); len(out) != 1 || out[0].Active {
		t.Errorf("got %+v", out)
	}
}

// Without gravity there is no direction and nothing to say.
func TestWithoutGravity(t *testing.T) {
	samples := synth.Make(synth.Config{Rate: 50, Length: time.Minute, Linear: true})
	if out := show(judge(t, orientation.Config{}), samples); len(out) != 0 {
		t.Errorf("said %s", out[0].Fields)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []orientation.Config{{Degrees: -1}, {Degrees: 171}, {For: time.Millisecond}, {Persistent: 20}, {Persistent: 1, PersistentFor: time.Second}} {
		if _, err := orientation.New(bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
