// Package synth makes up recordings of motion from stated parameters and a
// seed, for what nobody recorded and for long times. What it makes is synthetic
// and is called so wherever a figure rests on it: it tests that a judge follows
// its rules, not that the rules fit the world.
package synth

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// Kind is something that happens.
type Kind string

// The kinds. Level is in g, or in degrees for Tilt; each says its default.
const (
	Footsteps  Kind = "footsteps"  // somebody walks past: a shock 1.9 times a second, 0.01 g
	Door       Kind = "door"       // a door slams: the frame rings sideways at 7 Hz, 0.08 g
	Knock      Kind = "knock"      // a short shock at 70 Hz, 0.6 g
	Lift       Kind = "lift"       // heaved by 30 cm, 0.2 g, and turned by 8°
	Carry      Kind = "carry"      // walked with: 1.9 steps a second, 0.25 g, swaying by 6°
	Drive      Kind = "drive"      // on wheels: body 1.1 Hz, wheels 12 Hz, 0.2 g
	Tilt       Kind = "tilt"       // turned evenly by 10°, and it stays so
	Drill      Kind = "drill"      // 45 Hz with overtones and noise, 0.12 g
	Drop       Kind = "drop"       // lifted a little, falls for For, strikes with 6 g
	Earthquake Kind = "earthquake" // 0.5 to 8 Hz in all directions, 0.15 g at its height
	Bump       Kind = "bump"       // somebody runs into the desk: it sways at 4 Hz, 0.12 g
	Rumble     Kind = "rumble"     // a lorry passes: 8 to 20 Hz, 0.008 g
	Buzz       Kind = "buzz"       // a telephone rings on the desk: 160 Hz, one second in two, 0.02 g
	Fan        Kind = "fan"        // a machine's tones from Hertz on (29.4), 0.01 g
)

// Event is something that happens at a time.
type Event struct {
	Kind  Kind
	At    time.Duration
	For   time.Duration // 0 for the kind's own length
	Level float64       // 0 for the kind's own
	Hertz float64       // of a fan or a drill
}

// Config is a recording to be.
type Config struct {
	Seed   uint64
	Rate   float64 // samples a second, default 104
	Length time.Duration
	Noise  float64       // g rms an axis, default 0.001
	Jitter float64       // of the sampling interval, 0 to 1
	Full   float64       // clips there, 0 for never
	Step   float64       // quantisation in g, default 0.0005
	Linear bool          // without gravity, as some phones say it
	Scale  float64       // of all values: 9.80665 for m/s², default 1
	Turned bool          // mounted askew, as the seed has it
	Frozen time.Duration // from here on the same vector for ever, 0 for never
	Events []Event
}

type vec [3]float64

func (a vec) add(b vec) vec     { return vec{a[0] + b[0], a[1] + b[1], a[2] + b[2]} }
func (a vec) mul(k float64) vec { return vec{a[0] * k, a[1] * k, a[2] * k} }
func (a vec) dot(b vec) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }
func (a vec) cross(b vec) vec {
	return vec{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

func (a vec) turn(axis vec, deg float64) vec {
	s, c := math.Sincos(deg * math.Pi / 180)
	return a.mul(c).add(axis.cross(a).mul(s)).add(axis.mul(axis.dot(a) * (1 - c)))
}

// scene is what an event adds: a force in the world's axes, z up, an angle by
// which the device is turned, and what is left of its weight.
type scene interface {
	at(t float64) (force vec, degrees float64, weight float64)
}

// placed is a scene and when it is on.
type placed struct {
	scene
	from, to float64
}

// Make makes the recording.
func Make(c Config) []sensor.Sample {
	c = c.withDefaults()
	rnd := rand.New(rand.NewPCG(c.Seed, 1))
	axis, mount := direction(rnd, true), direction(rnd, false)
	askew := 0.0
	if c.Turned {
		askew = rnd.Float64() * 180
	}
	scenes := c.scenes()
	n := int(c.Length.Seconds() * c.Rate)
	all := make([]sensor.Sample, 0, n)
	for i := range n {
		t := (float64(i) + c.Jitter*(rnd.Float64()-0.5)) / c.Rate
		force, degrees := c.at(scenes, t)
		all = append(all, c.sense(t, force.turn(axis, degrees).turn(mount, askew), rnd))
		if c.Frozen > 0 && t >= c.Frozen.Seconds() && i > 0 {
			was := all[i-1]
			all[i].X, all[i].Y, all[i].Z = was.X, was.Y, was.Z
		}
	}
	return all
}

// scenes places the events in time.
func (c Config) scenes() (all []placed) {
	for i, e := range c.Events {
		e = e.withDefaults()
		to := e.At + e.For
		switch e.Kind {
		case Tilt, Lift:
			to = c.Length + time.Second // it stays as it was put
		case Drop:
			to += time.Second // the blow comes behind the fall
		}
		all = append(all, placed{e.scene(rand.New(rand.NewPCG(c.Seed, uint64(i)+2))), e.At.Seconds(), to.Seconds()})
	}
	return all
}

// at is the force on the device at a time, in the world's axes, and by how much
// it is turned.
func (c Config) at(scenes []placed, t float64) (force vec, degrees float64) {
	weight := 1.0
	for _, s := range scenes {
		if t >= s.from && t < s.to {
			f, d, w := s.at(t - s.from)
			force, degrees, weight = force.add(f), degrees+d, weight*w
		}
	}
	if c.Linear {
		weight--
	}
	force[2] += weight
	return force, degrees
}

// sense is what the sensor makes of a vector.
func (c Config) sense(t float64, v vec, rnd *rand.Rand) sensor.Sample {
	for k := range v {
		v[k] += c.Noise * rnd.NormFloat64()
		if c.Full > 0 {
			v[k] = min(max(v[k], -c.Full), c.Full)
		}
		v[k] = math.Round(v[k]/c.Step) * c.Step * c.Scale
	}
	return sensor.Sample{At: time.Duration(max(t, 0) * float64(time.Second)), X: v[0], Y: v[1], Z: v[2]}
}

func direction(rnd *rand.Rand, flat bool) vec {
	a := rnd.Float64() * 2 * math.Pi
	z := 0.0
	if !flat {
		z = rnd.Float64()*2 - 1
	}
	r := math.Sqrt(1 - z*z)
	return vec{r * math.Cos(a), r * math.Sin(a), z}
}

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		v   *float64
		def float64
	}{{&c.Rate, 104}, {&c.Noise, 0.001}, {&c.Step, 0.0005}, {&c.Scale, 1}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	return c
}
