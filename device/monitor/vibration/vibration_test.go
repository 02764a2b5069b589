package vibration_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/vibration"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

var epoch = time.Unix(0, 0)

func judge(t *testing.T, c vibration.Config) *vibration.Judge {
	t.Helper()
	j, err := vibration.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func show(j *vibration.Judge, samples []sensor.Sample) (out []sensor.Reading) {
	for part := range slices.Chunk(samples, 25) {
		at := epoch.Add(part[len(part)-1].At)
		out = append(out, j.Judge(at, sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Samples: part}})...)
	}
	if next := j.Next(); !next.IsZero() {
		out = append(out, j.Tick(next)...)
	}
	return out
}

type fields struct {
	Change string
	Why    string
	SHA256 string
	New    []float64 `json:"new_hz"`
	Lost   []float64 `json:"lost_hz"`
	Level  float64   `json:"level_db"`
}

func open(t *testing.T, r sensor.Reading) (f fields) {
	t.Helper()
	if err := json.Unmarshal(r.Fields, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// normal is a fan with a tone and an overtone.
var normal = []synth.Event{{Kind: synth.Fan, Level: 0.02, Hertz: 31}}

func record(seed uint64, events []synth.Event) []sensor.Sample {
	return synth.Make(synth.Config{Seed: seed, Rate: 200, Length: 40 * time.Second, Jitter: 0.1, Events: events})
}

// learned is a judge with the normal fan for its baseline.
func learned(t *testing.T) *vibration.Judge {
	t.Helper()
	first := judge(t, vibration.Config{Learn: 20 * time.Second})
	out := show(first, record(1, normal))
	if len(out) != 2 || out[0].Type != vibration.EventLearning || out[1].Type != vibration.EventLearned {
		t.Fatalf("learning: %+v", out)
	}
	kept, changed := first.Memory()
	if !changed || len(kept) == 0 || len(kept) > 2048 {
		t.Fatalf("%d bytes are kept, changed %v", len(kept), changed)
	}
	j := judge(t, vibration.Config{})
	if err := j.Recall(kept); err != nil {
		t.Fatal(err)
	}
	return j
}

func fan(level, hertz float64) []synth.Event {
	return []synth.Event{{Kind: synth.Fan, Level: level, Hertz: hertz}}
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []synth.Event
		change string // "" for none
	}{
		{"the same", normal, ""},
		{"the same and a knock", append(fan(0.02, 31), synth.Event{Kind: synth.Knock, At: 20 * time.Second, Level: 3}), ""},
		{"the same and a slammed door", append(fan(0.02, 31), synth.Event{Kind: synth.Door, At: 20 * time.Second, Level: 0.3}), ""},
		{"three percent slower", fan(0.02, 30.1), ""},
		{"three percent faster", fan(0.02, 31.9), ""},
		{"half as strong", fan(0.01, 31), "quieter"},
		{"twice as strong", fan(0.04, 31), "louder"},
		{"off", nil, "stopped"},
		{"slower", fan(0.02, 24), "other"},
		{"another machine beside it", append(fan(0.02, 31), fan(0.02, 47)...), "louder"},
		{"a drill", append(fan(0.02, 31), synth.Event{Kind: synth.Drill, At: 5 * time.Second, For: 30 * time.Second}), "louder"},
	} {
		// The direction and the phase of a synthetic fan go by the seed, so the
		// recordings have one, and noise of their own.
		out := show(learned(t), record(1, c.events))
		if c.change == "" {
			if len(out) != 0 {
				t.Errorf("%s: %s", c.name, out[0].Fields)
			}
			continue
		}
		if len(out) == 0 {
			t.Errorf("%s: nothing is said", c.name)
			continue
		}
		f := open(t, out[0])
		if f.Change != c.change || !out[0].Active || !out[0].Alarm || out[0].Type != vibration.EventVibration || !strings.Contains(f.Why, "dB") {
			t.Errorf("%s: %s", c.name, out[0].Fields)
		}
	}
}

// Tones are named.
func TestTones(t *testing.T) {
	f := open(t, show(learned(t), record(1, fan(0.02, 24)))[0])
	if !within(f.New, 24) || !within(f.Lost, 31) || within(f.New, 31) || within(f.Lost, 24) {
		t.Errorf("new %v, lost %v; want 24 and 31", f.New, f.Lost)
	}
}

func within(list []float64, hertz float64) bool {
	return slices.ContainsFunc(list, func(h float64) bool { return h > hertz*0.9 && h < hertz*1.1 })
}

// A change that ends is told to have ended.
func TestThereAndBack(t *testing.T) {
	j := judge(t, vibration.Config{Learn: 20 * time.Second})
	samples := synth.Make(synth.Config{Seed: 1, Rate: 200, Length: 120 * time.Second, Events: append(fan(0.02, 31), synth.Event{Kind: synth.Drill, At: 40 * time.Second, For: 30 * time.Second})})
	var words []string
	for _, r := range show(j, samples) {
		words = append(words, map[bool]string{true: r.Type, false: r.Clear + r.Type}[r.Kind != sensor.Level || r.Active])
	}
	want := []string{"vibration_learning", "vibration_learned", "vibration", "vibration_normalvibration"}
	if !slices.Equal(words, want) {
		t.Errorf("got %v, want %v", words, want)
	}
}

// A recording of a few seconds is judged by what there is.
func TestShort(t *testing.T) {
	j := learned(t)
	samples := synth.Make(synth.Config{Seed: 1, Rate: 200, Length: 6 * time.Second})
	if out := show(j, samples); len(out) != 1 || open(t, out[0]).Change != "stopped" || !j.Heard() {
		t.Errorf("six seconds: %+v", out)
	}
	j = learned(t)
	if out := show(j, samples[:200]); len(out) != 0 || j.Heard() {
		t.Errorf("one second: %+v, heard %v", out, j.Heard())
	}
}

func TestAccept(t *testing.T) {
	j := learned(t)
	out := show(j, record(1, fan(0.04, 31)))
	if len(out) != 1 {
		t.Fatal(out)
	}
	if _, err := j.Accept(epoch, "00"); core.KindOf(err) != core.KindConflict {
		t.Errorf("another hash: %v", err)
	}
	back, err := j.Accept(epoch, open(t, out[0]).SHA256)
	if err != nil || len(back) != 1 || back[0].Active {
		t.Fatalf("got %+v, %v", back, err)
	}
	if _, changed := j.Memory(); !changed {
		t.Error("the new baseline is not kept")
	}
	again := record(1, fan(0.04, 31))
	for i := range again {
		again[i].At += 40 * time.Second
	}
	if out := show(j, again); len(out) != 0 {
		t.Errorf("as accepted: %s", out[0].Fields)
	}
}

func TestDamagedMemory(t *testing.T) {
	for _, bad := range []string{
		"", "nonsense", "{}",
		`{"version":1,"rate_hz":100,"mean_db":[1],"spread_db":[]}`,
		`{"version":1,"rate_hz":100,"mean_db":[1],"spread_db":[0]}`,
		`{"version":9,"rate_hz":100,"mean_db":[1],"spread_db":[1]}`,
		strings.Repeat("x", 1<<17),
	} {
		if judge(t, vibration.Config{}).Recall([]byte(bad)) == nil {
			t.Errorf("memory %.30q was believed", bad)
		}
	}
	if err := judge(t, vibration.Config{}).Recall(nil); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range []vibration.Config{{Learn: time.Second}, {Change: -1}, {Spread: 1}, {Share: 2}, {Hold: time.Millisecond}, {Floor: 5}} {
		if _, err := vibration.New(bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
