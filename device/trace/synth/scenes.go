package synth

import (
	"math"
	"math/rand/v2"
	"time"
)

// defaults are the length and the level of each kind.
var defaults = map[Kind]struct {
	length time.Duration
	level  float64
	hertz  float64
}{
	Footsteps:  {6 * time.Second, 0.01, 1.9},
	Door:       {2 * time.Second, 0.08, 7},
	Knock:      {300 * time.Millisecond, 0.6, 70},
	Lift:       {1500 * time.Millisecond, 0.2, 0},
	Carry:      {20 * time.Second, 0.25, 1.9},
	Drive:      {30 * time.Second, 0.2, 1.1},
	Tilt:       {2 * time.Second, 10, 0},
	Drill:      {8 * time.Second, 0.12, 45},
	Drop:       {400 * time.Millisecond, 6, 0},
	Earthquake: {25 * time.Second, 0.15, 0},
	Bump:       {3 * time.Second, 0.12, 4},
	Rumble:     {7 * time.Second, 0.008, 0},
	Buzz:       {12 * time.Second, 0.02, 160},
	Fan:        {time.Hour, 0.01, 29.4},
}

func (e Event) withDefaults() Event {
	d := defaults[e.Kind]
	if e.For == 0 {
		e.For = d.length
	}
	if e.Level == 0 {
		e.Level = d.level
	}
	if e.Hertz == 0 {
		e.Hertz = d.hertz
	}
	return e
}

type sceneFunc func(t float64) (vec, float64, float64)

func (f sceneFunc) at(t float64) (vec, float64, float64) { return f(t) }

func (e Event) scene(rnd *rand.Rand) scene {
	switch e.Kind {
	case Footsteps:
		return e.footsteps(rnd)
	case Door:
		return e.door(rnd)
	case Knock:
		return e.knock(rnd)
	case Lift:
		return e.lift(rnd)
	case Carry:
		return e.carry(rnd)
	case Drive:
		return e.drive(rnd)
	case Tilt:
		return e.tilt()
	case Drill:
		return e.drill(rnd)
	case Drop:
		return e.drop(rnd)
	case Earthquake:
		return e.earthquake(rnd)
	case Bump:
		return e.bump(rnd)
	case Rumble:
		return e.rumble(rnd)
	case Buzz:
		return e.buzz(rnd)
	case Fan:
		return e.fan(rnd)
	}
	return sceneFunc(func(float64) (vec, float64, float64) { return vec{}, 0, 1 })
}

// noise is a random signal between two frequencies with an rms of 1: a sum of
// sines, so that it has a value at any time and folds down as a real one would.
type noise struct{ hertz, phase [24]float64 }

func newNoise(rnd *rand.Rand, lo, hi float64) *noise {
	n := &noise{}
	for i := range n.hertz {
		n.hertz[i] = lo * math.Pow(hi/lo, rnd.Float64())
		n.phase[i] = rnd.Float64() * 2 * math.Pi
	}
	return n
}

func (n *noise) at(t float64) float64 {
	sum := 0.0
	for i, f := range n.hertz {
		sum += math.Sin(2*math.Pi*f*t + n.phase[i])
	}
	return sum / math.Sqrt(float64(len(n.hertz))/2)
}

// ring is a damped swing that begins at 0.
func ring(t, hertz, tau float64) float64 {
	if t < 0 {
		return 0
	}
	return math.Exp(-t/tau) * math.Sin(2*math.Pi*hertz*t)
}

// smooth goes from 0 to 1.
func smooth(x float64) float64 {
	x = min(max(x, 0), 1)
	return x * x * (3 - 2*x)
}

func (e Event) footsteps(rnd *rand.Rand) scene {
	pace, hertz := e.Hertz*(0.9+0.2*rnd.Float64()), 15+10*rnd.Float64()
	return sceneFunc(func(t float64) (vec, float64, float64) {
		// Somebody comes near and goes away again.
		off := (t/e.For.Seconds() - 0.5) * 3
		near := math.Exp(-off * off)
		a := e.Level * near * ring(math.Mod(t, 1/pace), hertz, 0.04)
		return vec{0.3 * a, 0.2 * a, a}, 0, 1
	})
}

func (e Event) door(rnd *rand.Rand) scene {
	hertz, way := e.Hertz*(0.8+0.4*rnd.Float64()), direction(rnd, true)
	return sceneFunc(func(t float64) (vec, float64, float64) {
		a := e.Level*ring(t, hertz, 0.2) + 0.6*e.Level*ring(t, 40, 0.05)
		return way.mul(a).add(vec{0, 0, 0.3 * a}), 0, 1
	})
}

func (e Event) knock(rnd *rand.Rand) scene {
	way, hertz := direction(rnd, false), e.Hertz*(0.6+0.8*rnd.Float64())
	return sceneFunc(func(t float64) (vec, float64, float64) {
		return way.mul(e.Level * ring(t, hertz, 0.02) * 1.3), 0, 1
	})
}

// lift moves up and stops: the force is one swing of a sine.
func (e Event) lift(rnd *rand.Rand) scene {
	shiver, turn := newNoise(rnd, 4, 11), 6+6*rnd.Float64()
	span := e.For.Seconds()
	return sceneFunc(func(t float64) (vec, float64, float64) {
		if t > span {
			return vec{}, turn, 1
		}
		tremor := 0.1 * e.Level * shiver.at(t)
		return vec{tremor, tremor, e.Level*math.Sin(2*math.Pi*t/span) + tremor}, turn * smooth(t/span), 1
	})
}

func (e Event) carry(rnd *rand.Rand) scene {
	pace := e.Hertz * (0.9 + 0.2*rnd.Float64())
	rough, sway := newNoise(rnd, 3, 12), newNoise(rnd, 0.1, 0.6)
	return sceneFunc(func(t float64) (vec, float64, float64) {
		w := 2 * math.Pi * pace * t
		up := e.Level * (math.Sin(w) + 0.35*math.Sin(2*w+1) + 0.2*rough.at(t))
		side := 0.4 * e.Level * math.Sin(w/2)
		return vec{side, 0.3 * e.Level * math.Sin(w+0.7), up}, 6 * sway.at(t) * smooth(t), 1
	})
}

func (e Event) drive(rnd *rand.Rand) scene {
	body, wheels, engine, sway := newNoise(rnd, 0.7, 2), newNoise(rnd, 9, 16), newNoise(rnd, 25, 60), newNoise(rnd, 0.15, 0.5)
	return sceneFunc(func(t float64) (vec, float64, float64) {
		s := 0.4 * e.Level * sway.at(t)
		up := e.Level * (0.6*body.at(t) + 0.4*wheels.at(t) + 0.4*engine.at(t))
		return vec{s, 0.3*e.Level*body.at(t+9) + 0.2*e.Level*engine.at(t+3), up}, 0, 1
	})
}

func (e Event) tilt() scene {
	return sceneFunc(func(t float64) (vec, float64, float64) {
		return vec{}, e.Level * min(t/e.For.Seconds(), 1), 1
	})
}

func (e Event) drill(rnd *rand.Rand) scene {
	way, rough := direction(rnd, false), newNoise(rnd, 60, 400)
	hertz := e.Hertz * (0.8 + 0.4*rnd.Float64())
	return sceneFunc(func(t float64) (vec, float64, float64) {
		w := 2 * math.Pi * hertz * t
		a := e.Level * (0.8*math.Sin(w) + 0.5*math.Sin(2*w+1) + 0.3*math.Sin(3*w+2) + 0.6*rough.at(t))
		b := e.Level * 0.4 * rough.at(t+5)
		return way.mul(a).add(vec{b, -b, b}), 0, 1
	})
}

// drop is a hand's breadth of lifting, the fall, the blow and two bounces.
func (e Event) drop(rnd *rand.Rand) scene {
	fall := e.For.Seconds()
	way := direction(rnd, false)
	return sceneFunc(func(t float64) (vec, float64, float64) {
		if t < fall {
			return vec{0.03, 0.02 * math.Sin(20*t), 0}, 0, 0.02
		}
		return way.mul(e.Level * ring(t-fall, 60, 0.02) * 1.3), 0, 1
	})
}

func (e Event) earthquake(rnd *rand.Rand) scene {
	var axes [3]*noise
	for i := range axes {
		axes[i] = newNoise(rnd, 0.6, 8)
	}
	span := e.For.Seconds()
	return sceneFunc(func(t float64) (vec, float64, float64) {
		// A weak first wave, the strong one from a fifth on, a long decay.
		envelope := 0.2 * smooth(t/2)
		if t > span/5 {
			envelope += 0.8 * smooth((t-span/5)/2) * math.Exp(-max(t-span/5-3, 0)/(span/4))
		}
		a := e.Level / 2.2 * envelope * smooth((span-t)/3)
		return vec{a * axes[0].at(t), a * axes[1].at(t), 0.5 * a * axes[2].at(t)}, 0, 1
	})
}

func (e Event) fan(rnd *rand.Rand) scene {
	way, rough := direction(rnd, false), newNoise(rnd, 20, 200)
	p := rnd.Float64() * 6
	return sceneFunc(func(t float64) (vec, float64, float64) {
		w := 2 * math.Pi * e.Hertz * t
		a := e.Level * (math.Sin(w+p) + 0.4*math.Sin(2*w) + 0.15*math.Sin(5*w) + 0.2*rough.at(t))
		return way.mul(a), 0, 1
	})
}

func (e Event) bump(rnd *rand.Rand) scene {
	hertz, way := e.Hertz*(0.75+0.5*rnd.Float64()), direction(rnd, true)
	return sceneFunc(func(t float64) (vec, float64, float64) {
		return way.mul(e.Level * (ring(t, hertz, 0.35) + 0.5*ring(t, 30, 0.03))), 0, 1
	})
}

func (e Event) rumble(rnd *rand.Rand) scene {
	var axes [3]*noise
	for i := range axes {
		axes[i] = newNoise(rnd, 8, 20)
	}
	span := e.For.Seconds()
	return sceneFunc(func(t float64) (vec, float64, float64) {
		off := (t/span - 0.5) * 4
		near := e.Level * math.Exp(-off*off) / 2
		return vec{near * axes[0].at(t), near * axes[1].at(t), 2 * near * axes[2].at(t)}, 0, 1
	})
}

func (e Event) buzz(rnd *rand.Rand) scene {
	hertz, way := e.Hertz*(0.9+0.2*rnd.Float64()), direction(rnd, false)
	return sceneFunc(func(t float64) (vec, float64, float64) {
		if math.Mod(t, 2) > 1 {
			return vec{}, 0, 1
		}
		return way.mul(e.Level * math.Sin(2*math.Pi*hertz*t)), 0, 1
	})
}
