package synth_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

func length(s sensor.Sample) float64 { return math.Sqrt(s.X*s.X + s.Y*s.Y + s.Z*s.Z) }

func TestTheSameSeedGivesTheSameRecording(t *testing.T) {
	c := synth.Config{Seed: 7, Length: 5 * time.Second, Jitter: 0.5, Turned: true, Events: []synth.Event{{Kind: synth.Carry, At: time.Second}}}
	if !reflect.DeepEqual(synth.Make(c), synth.Make(c)) {
		t.Error("two recordings of one seed differ")
	}
	other := c
	other.Seed = 8
	if reflect.DeepEqual(synth.Make(c), synth.Make(other)) {
		t.Error("two seeds give one recording")
	}
}

func TestWhatRestsWeighsOneG(t *testing.T) {
	for _, linear := range []bool{false, true} {
		want := 1.0
		if linear {
			want = 0
		}
		all := synth.Make(synth.Config{Seed: 1, Rate: 50, Length: 2 * time.Second, Turned: true, Linear: linear})
		if len(all) != 100 {
			t.Fatalf("%d samples, want 100", len(all))
		}
		for _, s := range all {
			if math.Abs(length(s)-want) > 0.01 {
				t.Fatalf("linear %v: %v weighs %.3f g, want %.0f", linear, s.At, length(s), want)
			}
		}
	}
}

func TestWhatASensorDoes(t *testing.T) {
	all := synth.Make(synth.Config{
		Seed: 1, Rate: 400, Length: 2 * time.Second, Full: 2, Step: 0.25, Scale: 10, Frozen: time.Second,
		Events: []synth.Event{{Kind: synth.Knock, At: 500 * time.Millisecond, Level: 20}},
	})
	clipped := false
	for i, s := range all {
		for _, v := range []float64{s.X, s.Y, s.Z} {
			if math.Abs(v) > 20 {
				t.Fatalf("%v reads %g beyond its range", s.At, v)
			}
			clipped = clipped || math.Abs(v) == 20
			if q := v / 2.5; q != math.Round(q) {
				t.Fatalf("%v reads %g between two steps", s.At, v)
			}
		}
		if was := all[max(i-1, 0)]; s.At > time.Second+10*time.Millisecond && (s.X != was.X || s.Y != was.Y || s.Z != was.Z) {
			t.Fatalf("%v is not frozen", s.At)
		}
	}
	if !clipped {
		t.Error("a blow of 20 g did not clip at 2 g")
	}
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind synth.Kind
		lo   float64 // of the largest departure from 1 g
		hi   float64
	}{
		{synth.Footsteps, 0.003, 0.03},
		{synth.Door, 0.01, 0.15},
		{synth.Knock, 0.1, 1},
		{synth.Lift, 0.15, 0.4},
		{synth.Carry, 0.2, 0.9},
		{synth.Drive, 0.2, 1.2},
		{synth.Tilt, 0, 0.01},
		{synth.Drill, 0.08, 0.6},
		{synth.Drop, 0.9, 9},
		{synth.Earthquake, 0.02, 0.3},
		{synth.Bump, 0.005, 0.2},
		{synth.Rumble, 0.004, 0.05},
		{synth.Buzz, 0.004, 0.04},
		{synth.Fan, 0.004, 0.03},
	} {
		most := 0.0
		for _, s := range synth.Make(synth.Config{Seed: 3, Rate: 400, Length: 12 * time.Second, Events: []synth.Event{{Kind: c.kind, At: time.Second}}}) {
			most = max(most, math.Abs(length(s)-1))
		}
		if most < c.lo || most > c.hi {
			t.Errorf("%s departs by %.3f g, want %g to %g", c.kind, most, c.lo, c.hi)
		}
	}
}
