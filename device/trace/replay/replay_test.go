package replay_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace"
	"github.com/interlock-security/interlock/device/trace/replay"
	"github.com/interlock-security/interlock/device/trace/synth"
)

func run(t *testing.T, samples []sensor.Sample, base *replay.Baseline) replay.Result {
	t.Helper()
	res, err := replay.Samples("x", samples, base)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func learn(t *testing.T, samples []sensor.Sample) *replay.Baseline {
	t.Helper()
	base, err := replay.LearnSamples(samples)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

// A recording in a file gives what its samples give.
func TestFilesAreJudgedAsTheirSamples(t *testing.T) {
	samples := synth.Make(synth.Config{Length: 20 * time.Second, Events: []synth.Event{{Kind: synth.Lift, At: 8 * time.Second}}})
	var b bytes.Buffer
	if err := trace.Write(&b, samples); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	base, err := replay.Learn(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := replay.Run("x", strings.NewReader(text), base)
	if want := run(t, samples, learn(t, samples)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func classes(r replay.Result) (names []string) {
	for _, l := range r.Lines {
		names = append(names, l.Class)
	}
	return names
}

// One thing that happens is one line, although several judges notice it, the
// first of them while it goes on.
func TestOneLineAnEvent(t *testing.T) {
	for kind, want := range map[synth.Kind]string{synth.Carry: "carry", synth.Tilt: "tilt", synth.Drop: "drop", synth.Drill: "drill", synth.Knock: "knock"} {
		level := map[synth.Kind]float64{synth.Tilt: 30, synth.Carry: 0.35}[kind]
		span := map[synth.Kind]time.Duration{synth.Tilt: 25 * time.Second}[kind]
		res := run(t, synth.Make(synth.Config{Rate: 200, Length: 40 * time.Second, Events: []synth.Event{{Kind: kind, At: 8 * time.Second, For: span, Level: level}}}), nil)
		if got := classes(res); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v", kind, got)
			continue
		}
		l := res.Lines[0]
		if l.T < 7 || l.T > 9.5 || l.End < l.T || l.Duration <= 0 || l.File != "x" || l.Why == "" || res.Alarm() != (kind != synth.Knock) {
			t.Errorf("%s: %+v", kind, l)
		}
	}
}

func TestStillSaysNothing(t *testing.T) {
	res := run(t, synth.Make(synth.Config{Length: 20 * time.Second}), nil)
	if len(res.Lines) != 0 || res.Alarm() || res.Seconds < 19 {
		t.Errorf("%+v", res)
	}
}

// With a baseline the place is known: what it always does is no event, what it
// does otherwise is, also where it is quieter.
func TestBaseline(t *testing.T) {
	fan := func(seed uint64, level float64) []sensor.Sample {
		return synth.Make(synth.Config{Seed: seed, Rate: 200, Length: 40 * time.Second, Events: []synth.Event{{Kind: synth.Fan, Level: level, Hertz: 31}}})
	}
	base := learn(t, fan(1, 0.2))
	if res := run(t, fan(1, 0.2), base); len(res.Lines) != 0 || !res.Compared {
		t.Errorf("as the baseline: %v", res.Lines)
	}
	for level, word := range map[float64]string{0.1: "quieter", 0.0001: "gone", 0.5: "louder"} {
		res := run(t, fan(1, level), base)
		if got := classes(res); !slices.Contains(got, "vibration") || !res.Alarm() || !strings.Contains(res.Lines[len(res.Lines)-1].Why, word) {
			t.Errorf("at %g g: %v", level, res.Lines)
		}
	}
	if res := run(t, fan(1, 0.1)[:100], base); res.Compared || !res.Short {
		t.Errorf("half a second was compared: %+v", res)
	}
}

// A sensor that stands still is a fault, and a fault is not still.
func TestFault(t *testing.T) {
	res := run(t, synth.Make(synth.Config{Length: 40 * time.Second, Frozen: 5 * time.Second}), nil)
	if got := classes(res); !slices.Equal(got, []string{"fault"}) || !res.Alarm() {
		t.Errorf("got %+v", res.Lines)
	}
}

// A recording that never changes is a fault at its end, also a short one, unless
// its sensor may be too coarse to show noise.
func TestFrozenRecording(t *testing.T) {
	for _, c := range []struct {
		seconds float64
		x, z    float64
		want    bool
	}{
		{60, 0.0123, 0.98371, true},
		{30, 0.0123, 0.98371, true},
		{10.1, 0.0123, 0.98371, true},
		{9, 0.0123, 0.98371, false},
		{19, 0, 1, false},
		{21, 0, 1, true},
		{19, 0.0234375, 0.98828125, false},
		{60, 0, 1, true},
	} {
		var samples []sensor.Sample
		for i := range int(c.seconds * 100) {
			samples = append(samples, sensor.Sample{At: time.Duration(i) * 10 * time.Millisecond, X: c.x, Z: c.z})
		}
		res := run(t, samples, nil)
		if got := slices.Equal(classes(res), []string{"fault"}) && res.Alarm() && strings.Contains(res.Lines[0].Why, "the same vector"); got != c.want {
			t.Errorf("%+v: %v", c, res.Lines)
		}
		samples[len(samples)/2].X += 0.001
		if res := run(t, samples, nil); c.seconds < 30 && res.Alarm() {
			t.Errorf("%+v with one digit that moved: %v", c, res.Lines)
		}
	}
}

// What a recording costs goes by its samples and not by its times: however they
// jump, no sample is worth more than a few bins, and as many lines come out as
// events are told.
func TestManyEvents(t *testing.T) {
	var samples []sensor.Sample
	at := time.Duration(0)
	for i := range 40000 {
		at += 250 * time.Millisecond
		if i%8 == 0 {
			at += 1500 * time.Millisecond
		}
		samples = append(samples, sensor.Sample{At: at, X: math.Sin(float64(i * i)), Z: 1})
	}
	res := run(t, samples, nil)
	for i, l := range res.Lines {
		if i > 0 && l.T < res.Lines[i-1].T || l.End < l.T {
			t.Fatalf("line %d: %+v", i, l)
		}
	}
	if len(res.Lines) < 1000 || len(res.Lines) > len(samples)/8+10 {
		t.Errorf("%d lines", len(res.Lines))
	}
}

func TestUnreadable(t *testing.T) {
	for _, text := range []string{"", "\n\n", "nonsense", `{"t":0}`} {
		if _, err := replay.Run("x", strings.NewReader(text), nil); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := replay.Learn(strings.NewReader(text)); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q as a baseline: %v", text, err)
		}
	}
	if _, err := replay.Learn(strings.NewReader(`{"t":0,"ax":0,"ay":0,"az":1}`)); core.KindOf(err) != core.KindInvalid {
		t.Errorf("one sample as a baseline: %v", err)
	}
}
