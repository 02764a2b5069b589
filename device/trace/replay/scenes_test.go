package replay_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

// motions are described by hand, apart from the generator, so that a judge that
// learned the generator's ways is found out: the force at a time, in g, for a
// device that lies flat.
var motions = []struct {
	name   string
	length float64
	force  func(t float64, r *rand.Rand) (x, y, z float64)
	called string
	alarm  bool
}{
	{"a telephone falls out of a hand, bounces and lies on its side", 10, fallen, "drop", true},
	{"a door that the device hangs on swings and slams", 12, swung(0.8), "knock door_slam", false},
	{"that door is closed gently", 12, swung(0.02), "door_slam", false},
	{"a saw", 25, sawn, "drill", true},
	{"a grinder, five seconds in eight", 40, ground, "drill", true},
	{"a grinder that runs already", 20, func(_ float64, r *rand.Rand) (float64, float64, float64) {
		return 0.04 * r.NormFloat64(), 0.01 * r.NormFloat64(), 1 + 0.025*r.NormFloat64()
	}, "drill", true},
	{"heaved without being turned", 12, func(t float64, _ *rand.Rand) (float64, float64, float64) {
		return 0, 0, 1 + during(t, 4, 5.5)*0.15*math.Sin(2*math.Pi*(t-4)/1.5)
	}, "lift", true},
	{"picked up, looked at and put back as it stood", 15, func(t float64, _ *rand.Rand) (float64, float64, float64) {
		on := during(t, 4, 8)
		a := on * 0.4 * math.Pow(math.Sin(math.Pi*(t-4)/4), 2)
		return math.Sin(a) + on*0.03*math.Sin(9*t), on * 0.03 * math.Cos(7*t), math.Cos(a) + on*0.05*math.Sin(5*t)
	}, "lift handling", true},
	{"a slow tow that has begun already", 40, func(t float64, _ *rand.Rand) (float64, float64, float64) {
		s, c := math.Sincos(11 * math.Pi / 180 * min(t/30, 1))
		return s, 0, c
	}, "tilt", true},
	{"five knocks, two seconds apart", 15, knocked(2), "knock", false},
	{"fifteen knocks in six seconds", 15, knocked(0.4), "knock footsteps", false},
	{"a strong quake of few tones that beat with each other", 40, tones, "earthquake", false},
	{"an elevator", 30, func(t float64, _ *rand.Rand) (float64, float64, float64) {
		return 0, 0, 1 + 0.08*(during(t, 5, 7)*math.Sin(math.Pi*(t-5)/2)-during(t, 20, 22)*math.Sin(math.Pi*(t-20)/2))
	}, "disturbed", false},
}

func tones(t float64, _ *rand.Rand) (float64, float64, float64) {
	e := during(t, 5, 40) * min((t-5)/3, 1) * math.Exp(-max(t-12, 0)/8) / 5
	var v [3]float64
	for axis, phase := range [...]float64{1, 2.3, 4.1} {
		for i, hertz := range [...]float64{1.1, 1.9, 2.7, 3.6, 5.2} {
			v[axis] += e * math.Sin(2*math.Pi*hertz*t+phase*[...]float64{1, 2, 3, 5, 7}[i])
		}
	}
	return 1.05 * v[0], 1.05 * v[1], 1 + 0.45*v[2]
}

func during(t, from, to float64) float64 {
	if t >= from && t < to {
		return 1
	}
	return 0
}

func fallen(t float64, _ *rand.Rand) (float64, float64, float64) {
	switch {
	case t < 4:
		return 0.05 * math.Sin(5*t), 0.3 + 0.04*math.Sin(3*t), 0.95
	case t < 4.35:
		return 0.1 * math.Sin(30*t), 0.1, 0.08
	case t < 4.5:
		return 3 * math.Sin(90*t), 2 * math.Cos(70*t), 2
	case t < 4.65:
		return 0.1, 0.1, 0.05
	case t < 4.8:
		return 1.5 * math.Sin(80*t), 0.5, 1.2
	}
	return -0.99, 0.05, 0.1
}

func swung(slam float64) func(float64, *rand.Rand) (float64, float64, float64) {
	return func(t float64, _ *rand.Rand) (float64, float64, float64) {
		on := during(t, 4, 6)
		x := on*0.08*math.Sin(math.Pi*(t-4)) + during(t, 6, 6.5)*slam*math.Exp(-(t-6)/0.06)*math.Sin(2*math.Pi*18*(t-6))
		return x, on * 0.07 * math.Pow(math.Sin(math.Pi*(t-4)/2), 2), 1
	}
}

func sawn(t float64, r *rand.Rand) (float64, float64, float64) {
	e := during(t, 5, 20) * 0.06 * math.Pow(math.Abs(math.Sin(math.Pi*1.6*t)), 0.7)
	return e * r.NormFloat64(), e * r.NormFloat64(), 1 + e*r.NormFloat64()
}

func ground(t float64, r *rand.Rand) (float64, float64, float64) {
	on := during(math.Mod(t, 8), 3, 8)
	return on * 0.03 * r.NormFloat64(), on * 0.02 * r.NormFloat64(), 1 + on*0.025*r.NormFloat64()
}

func knocked(every float64) func(float64, *rand.Rand) (float64, float64, float64) {
	return func(t float64, _ *rand.Rand) (float64, float64, float64) {
		u := math.Mod(t, every)
		return 0, 0, 1 + during(t, 3, 13)*during(t, 3, 3+max(15*every, 10))*during(t, 0, 9+4*every)*0.7*math.Exp(-u/0.03)*math.Sin(2*math.Pi*35*u)
	}
}

func TestMotionsDescribedByHand(t *testing.T) {
	for _, m := range motions {
		for _, rate := range []float64{20, 31.25, 50, 100, 400} {
			r := rand.New(rand.NewPCG(uint64(rate), 7))
			var samples []sensor.Sample
			for i := range int(m.length * rate) {
				at := float64(i) / rate
				x, y, z := m.force(at, r)
				samples = append(samples, sensor.Sample{
					At: time.Duration(at * 1e9), X: x + 0.002*r.NormFloat64(), Y: y + 0.002*r.NormFloat64(), Z: z + 0.002*r.NormFloat64(),
				})
			}
			res := run(t, samples, nil)
			if res.Alarm() != m.alarm {
				t.Errorf("%s at %g Hz: alarm %v, %v", m.name, rate, !m.alarm, classes(res))
			}
			class, _ := segment{whole: true}.strongest(res)
			if !slices.Contains(strings.Fields(m.called), class) {
				t.Errorf("%s at %g Hz: %v: %v", m.name, rate, classes(res), res.Lines)
			}
		}
	}
}

// Where a sensor leaves gravity out, what needs none is still told apart.
func TestWithoutGravity(t *testing.T) {
	for kind, c := range map[synth.Kind]struct {
		called string
		alarm  bool
	}{
		synth.Carry:      {"carry handling", true},
		synth.Drive:      {"carry handling", true},
		synth.Lift:       {"handling lift", true},
		synth.Drop:       {"drop", true},
		synth.Drill:      {"drill", true},
		synth.Knock:      {"knock door_slam disturbed still", false},
		synth.Earthquake: {"earthquake", false},
	} {
		for _, rate := range []float64{31.25, 100, 200} {
			res := run(t, synth.Make(synth.Config{
				Seed: uint64(rate), Rate: rate, Length: 40 * time.Second, Linear: true, Turned: true, Step: 0.0001,
				Events: []synth.Event{{Kind: kind, At: 8 * time.Second}},
			}), nil)
			class, alarm := segment{whole: true}.strongest(res)
			if alarm != c.alarm || !slices.Contains(strings.Fields(c.called), class) {
				t.Errorf("%s at %g Hz: alarm %v, %v", kind, rate, alarm, classes(res))
			}
		}
	}
}
