package replay_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// variant is the same motion as another sensor would have recorded it.
type variant struct {
	name string
	make func([]sensor.Sample) []sensor.Sample
}

var variants = []variant{
	{"20 Hz", func(s []sensor.Sample) []sensor.Sample { return resample(s, 20) }},
	{"50 Hz", func(s []sensor.Sample) []sensor.Sample { return resample(s, 50) }},
	{"400 Hz", func(s []sensor.Sample) []sensor.Sample { return resample(s, 400) }},
	{"mounted askew", turned},
	{"3 mg noise", func(s []sensor.Sample) []sensor.Sample { return noisy(s, 0.003) }},
	{"10 mg noise", func(s []sensor.Sample) []sensor.Sample { return noisy(s, 0.010) }},
	{"clips at 2 g", func(s []sensor.Sample) []sensor.Sample { return quantised(s, 0, 2) }},
	{"8 mg steps", func(s []sensor.Sample) []sensor.Sample { return quantised(s, 0.0078, 0) }},
	{"m/s²", func(s []sensor.Sample) []sensor.Sample {
		return each(s, func(x sensor.Sample) sensor.Sample { x.X, x.Y, x.Z = x.X*9.80665, x.Y*9.80665, x.Z*9.80665; return x })
	}},
	{"4 % off", func(s []sensor.Sample) []sensor.Sample {
		return each(s, func(x sensor.Sample) sensor.Sample { x.X, x.Y, x.Z = x.X*1.04+0.02, x.Y*1.04-0.02, x.Z*1.04; return x })
	}},
	{"uneven times", jittered},
	{"read in bursts of eight", bursts},
	{"times in tenths of a second", func(s []sensor.Sample) []sensor.Sample {
		return each(s, func(x sensor.Sample) sensor.Sample { x.At = x.At.Truncate(100 * time.Millisecond); return x })
	}},
	{"a tenth of the samples lost", lossy},
	{"only the second half", func(s []sensor.Sample) []sensor.Sample { return s[len(s)/2:] }},
	{"only six seconds of the middle", middle(6 * time.Second)},
	{"only two and a half seconds of it", middle(2500 * time.Millisecond)},
}

func each(in []sensor.Sample, f func(sensor.Sample) sensor.Sample) []sensor.Sample {
	out := slices.Clone(in)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}

// resample takes the value that the signal has at the time, drawn as a line: a
// sensor's own rate, without a filter, as many are configured.
func resample(in []sensor.Sample, rate float64) (out []sensor.Sample) {
	i := 0
	for n := 0; ; n++ {
		at := in[0].At + time.Duration(float64(n)/rate*float64(time.Second))
		for i+1 < len(in) && in[i+1].At < at {
			i++
		}
		if i+1 >= len(in) {
			return out
		}
		a, b := in[i], in[i+1]
		k := float64(at-a.At) / float64(b.At-a.At)
		out = append(out, sensor.Sample{At: at, X: a.X + k*(b.X-a.X), Y: a.Y + k*(b.Y-a.Y), Z: a.Z + k*(b.Z-a.Z)})
	}
}

func turned(in []sensor.Sample) []sensor.Sample {
	s, c := math.Sincos(1.1)
	s2, c2 := math.Sincos(2.3)
	return each(in, func(x sensor.Sample) sensor.Sample {
		y, z := c*x.Y-s*x.Z, s*x.Y+c*x.Z
		x.X, x.Y, x.Z = c2*x.X-s2*y, s2*x.X+c2*y, z
		return x
	})
}

func noisy(in []sensor.Sample, g float64) []sensor.Sample {
	rnd := rand.New(rand.NewPCG(1, 1))
	return each(in, func(x sensor.Sample) sensor.Sample {
		x.X, x.Y, x.Z = x.X+g*rnd.NormFloat64(), x.Y+g*rnd.NormFloat64(), x.Z+g*rnd.NormFloat64()
		return x
	})
}

func quantised(in []sensor.Sample, step, full float64) []sensor.Sample {
	sense := func(v float64) float64 {
		if step > 0 {
			v = math.Round(v/step) * step
		}
		if full > 0 {
			v = min(max(v, -full), full)
		}
		return v
	}
	return each(in, func(x sensor.Sample) sensor.Sample {
		x.X, x.Y, x.Z = sense(x.X), sense(x.Y), sense(x.Z)
		return x
	})
}

func jittered(in []sensor.Sample) []sensor.Sample {
	rnd := rand.New(rand.NewPCG(1, 1))
	out := slices.Clone(in)
	for i := 1; i+1 < len(out); i++ {
		out[i].At += time.Duration(0.45 * (2*rnd.Float64() - 1) * float64(in[i+1].At-in[i].At))
	}
	return out
}

// bursts gives eight samples at a time the times of their reading.
func bursts(in []sensor.Sample) []sensor.Sample {
	out := slices.Clone(in)
	for i := range out {
		first := i - i%8
		out[i].At = in[first].At + time.Duration(i%8)*100*time.Microsecond
	}
	return out
}

func lossy(in []sensor.Sample) (out []sensor.Sample) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, s := range in {
		if rnd.Float64() > 0.1 {
			out = append(out, s)
		}
	}
	return out
}

// middle is what is left of a recording that somebody began too late and ended
// too early; what is shorter stays whole.
func middle(span time.Duration) func([]sensor.Sample) []sensor.Sample {
	return func(in []sensor.Sample) []sensor.Sample {
		from := in[len(in)-1].At/2 - span/2
		return slices.DeleteFunc(slices.Clone(in), func(s sensor.Sample) bool { return s.At < from || s.At >= from+span })
	}
}
