package replay_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/replay"
	"github.com/interlock-security/interlock/device/trace/synth"
)

// FuzzJudges shows the judges what a broken driver might: any number at any
// time. They must end, and must not say more than there is time for.
// Run it with -fuzzminimizetime 1x: by default each find is made smaller for up to a
// minute, in which no new input is tried and the engine shows 0 execs/sec.
func FuzzJudges(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	for _, v := range []uint64{0, math.Float64bits(math.NaN()), math.Float64bits(math.Inf(-1)), math.Float64bits(1e300), math.MaxUint64, 1 << 63} {
		var b []byte
		for i := range 64 {
			b = binary.LittleEndian.AppendUint64(b, v>>(i%7))
		}
		f.Add(b, uint8(3))
	}
	base, err := replay.LearnSamples(synth.Make(synth.Config{Length: 10 * time.Second}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte, repeat uint8) {
		b = b[:min(len(b), 4096)] // time goes by the samples: a longer input finds nothing else
		var samples []sensor.Sample
		at := time.Duration(0)
		for range int(repeat%16) + 1 {
			for p := b; len(p) >= 16; p = p[16:] {
				v := math.Float64frombits(binary.LittleEndian.Uint64(p[8:]))
				step := int64(binary.LittleEndian.Uint64(p))
				if step%3 != 0 {
					step %= int64(50 * time.Millisecond)
				}
				at += time.Duration(step)
				samples = append(samples, sensor.Sample{At: at, X: v, Y: -v / 3, Z: 1})
			}
		}
		if len(samples) == 0 {
			return
		}
		res, err := replay.Samples("x", samples, base)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range res.Lines {
			if math.IsNaN(l.Score) || l.Score < 0 || l.Score > 1 || l.Why == "" {
				t.Fatalf("%+v", l)
			}
		}
	})
}
