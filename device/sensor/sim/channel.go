package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// ramp is a number that goes from one value to another while time passes.
type ramp struct {
	from, to   float64
	start, end time.Duration
}

func still(v float64) ramp { return ramp{from: v, to: v} }

func (r ramp) at(t time.Duration) float64 {
	switch {
	case t >= r.end:
		return r.to
	case t <= r.start:
		return r.from
	}
	return r.from + (r.to-r.from)*float64(t-r.start)/float64(r.end-r.start)
}

// toward is a ramp from where r is at t.
func (r ramp) toward(v float64, t, over time.Duration) ramp {
	return ramp{from: r.at(t), to: v, start: t, end: t + over}
}

// channel is a point that measures again and again.
type channel struct {
	point   string
	kind    sensor.Kind
	every   time.Duration
	due     time.Duration
	frozen  bool
	dropped bool
	broken  string
	last    *sensor.Reading

	// a Measure
	value ramp
	noise float64 // standard deviation, of a Measure or of each axis in g
	unit  sensor.Unit

	// a Waveform
	rate   float64
	full   float64
	tilt   ramp // degrees from upright
	shakes []shake

	// a Position
	lat, lon ramp
	err      float64
	lost     bool
}

// shake is a vibration, or a blow that dies away.
type shake struct {
	from, until time.Duration
	hz, g       float64
	decay       time.Duration // of a blow
}

func (s shake) at(t time.Duration) float64 {
	if t < s.from || t >= s.until {
		return 0
	}
	since := (t - s.from).Seconds()
	a := s.g * math.Sin(2*math.Pi*s.hz*since)
	if s.decay > 0 {
		a = s.g * math.Cos(2*math.Pi*s.hz*since) * math.Exp(-since/s.decay.Seconds())
	}
	return a
}

// read is what the channel says at t, nothing if it is dropped.
func (c *channel) read(t time.Duration, rng *rand.Rand) []sensor.Reading {
	switch {
	case c.dropped:
		return nil
	case c.broken != "":
		return []sensor.Reading{{Kind: sensor.Broken, Point: c.point, Fields: sensor.Fields(map[string]string{"why": c.broken})}}
	case c.frozen && c.last != nil:
		return []sensor.Reading{c.stands(t)}
	}
	r := c.fresh(t, rng)
	c.last = &r
	return []sensor.Reading{r}
}

func (c *channel) fresh(t time.Duration, rng *rand.Rand) sensor.Reading {
	r := sensor.Reading{Kind: c.kind, Point: c.point, Lively: c.noise > 0}
	switch c.kind {
	case sensor.Waveform:
		r.Wave = c.wave(t, rng)
	case sensor.Position:
		r.Fix = c.fix(t)
	default:
		r.Unit = c.unit
		r.Value = c.value.at(t) + c.noise*rng.NormFloat64()
	}
	return r
}

// stands is the last reading again, as a sensor gives it that hangs.
func (c *channel) stands(t time.Duration) sensor.Reading {
	r := *c.last
	if r.Wave == nil || len(r.Wave.Samples) == 0 {
		return r
	}
	v := r.Wave.Samples[len(r.Wave.Samples)-1]
	w := &sensor.Wave{Full: r.Wave.Full}
	for _, at := range c.instants(t) {
		v.At = at
		w.Samples = append(w.Samples, v)
	}
	r.Wave = w
	c.last = &r
	return r
}

// instants are when the samples of the run that ends at t were taken.
func (c *channel) instants(t time.Duration) (all []time.Duration) {
	n := int(math.Round(c.every.Seconds() * c.rate))
	for i := range n {
		if at := t - c.every + time.Duration(float64(i+1)/c.rate*float64(time.Second)); at >= 0 {
			all = append(all, at)
		}
	}
	return all
}

// wave is gravity as the tilt turns it, every vibration along its axis, noise on
// each axis, and the sensor's range.
func (c *channel) wave(t time.Duration, rng *rand.Rand) *sensor.Wave {
	w := &sensor.Wave{Full: c.full}
	for _, at := range c.instants(t) {
		angle := c.tilt.at(at) * math.Pi / 180
		s := sensor.Sample{At: at, Y: math.Sin(angle), Z: math.Cos(angle)}
		for _, x := range c.shakes {
			s.Z += x.at(at)
		}
		s.X, s.Y, s.Z = c.clip(s.X+c.noise*rng.NormFloat64()), c.clip(s.Y+c.noise*rng.NormFloat64()), c.clip(s.Z+c.noise*rng.NormFloat64())
		w.Samples = append(w.Samples, s)
	}
	c.shakes = over(c.shakes, t)
	return w
}

func (c *channel) clip(v float64) float64 {
	if c.full == 0 {
		return v
	}
	return max(-c.full, min(c.full, v))
}

// over drops the vibrations that have ended.
func over(all []shake, t time.Duration) []shake {
	kept := all[:0]
	for _, s := range all {
		if s.until > t {
			kept = append(kept, s)
		}
	}
	return kept
}

func (c *channel) fix(t time.Duration) *sensor.Fix {
	if c.lost {
		return &sensor.Fix{}
	}
	return &sensor.Fix{Mode: 3, Lat: c.lat.at(t), Lon: c.lon.at(t), Error: c.err, Signals: []float64{38, 41, 35, 44, 39}}
}
