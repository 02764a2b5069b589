package replay_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/trace/replay"
	"github.com/interlock-security/interlock/device/trace/synth"
)

// BenchmarkSecond is what a second of samples costs all three judges.
func BenchmarkSecond(b *testing.B) {
	for name, rate := range map[string]float64{"26Hz": 26, "104Hz": 104, "1600Hz": 1600} {
		b.Run(name, func(b *testing.B) {
			const seconds = 60
			samples := synth.Make(synth.Config{Rate: rate, Length: seconds * time.Second, Events: []synth.Event{{Kind: synth.Fan}}})
			base, err := replay.LearnSamples(samples)
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				if _, err := replay.Samples("x", samples, base); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/seconds, "ns/sample-second")
		})
	}
}
