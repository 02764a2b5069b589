package motion

import (
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/signal"
	"github.com/interlock-security/interlock/device/sensor"
)

// The judge looks at bins of 40 ms, decides in hops of five of them, and knows
// the direction of gravity from the last second.
const (
	binWidth  = 40 * time.Millisecond
	hopBins   = 5
	hop       = hopBins * binWidth
	second    = 25 // bins
	remember  = 8 * second
	crawlBins = 10
	maxGap    = time.Second
	startSpan = time.Second
	startMax  = 8192 // samples
	longest   = 10 * time.Minute
	point     = "acceleration"
)

// Judge judges one accelerometer. It is not safe for concurrent use.
type Judge struct {
	c      Config
	arming core.Arming
	now    time.Time // of the last waveform
	out    []sensor.Reading

	clock  signal.Clock
	health health
	start  []signal.Sample // the first second, until the scale is known
	full   float64

	ready  bool
	scale  float64
	linear bool

	grid    *signal.Grid
	bins    *signal.Ring // means
	lows    *signal.Ring // slow motion, gravity removed
	shocks  *signal.Ring // X: the largest departure within the bin
	mean    signal.Low   // gravity as it is about now
	anchor  signal.Vec   // gravity as it should be
	unsure  float64      // degrees by which that may be wrong
	angles  []float64    // of the last hops, a ring
	angleAt int
	floor   signal.Floor
	kept    float64       // the floor as it was last kept
	offer   memory        // the floor that accepting the last drilling would make
	all     signal.Levels // of all hops
	last    signal.Sample
	step    float64 // seconds from sample to sample, on the whole
	hop     hopSum
	fall    fallWatch
	ep      *episode
	count   int
	sustain int
	shock   shockWatch
	past    *signal.Ring // gravity, once a second
	hops    int
	knocks  []time.Duration
	blows   []time.Duration
}

// hopSum gathers one hop.
type hopSum struct {
	start          time.Duration
	energy, turn   float64
	n              int
	slow, slowUp   float64
	crawl          float64
	bins           int
	peak, binPeak  float64
	shocks, blows  int
	fall           float64
	falls, clipped int
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	return &Judge{
		c: c, arming: core.Armed, scale: 1,
		grid: signal.NewGrid(binWidth, maxGap), bins: signal.NewRing(remember), lows: signal.NewRing(remember), shocks: signal.NewRing(remember),
		mean: signal.Low{Tau: 1}, past: signal.NewRing(30),
		angles: make([]float64, max(int(c.TiltHold/hop), 1)),
	}, nil
}

// Judge takes a reading; only waveforms concern it.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Waveform || r.Wave == nil {
		return nil
	}
	j.now, j.full = now, r.Wave.Full
	for _, s := range r.Wave.Samples {
		j.take(s)
	}
	return j.say()
}

// say hands out what was concluded.
func (j *Judge) say() []sensor.Reading {
	out := j.out
	j.out = nil
	return out
}

// patience is how long after the last waveform an event is taken to be over.
const patience = 3 * time.Second

// Next returns when Tick has something to do: an event must not stay open
// because the sensor fell silent in the middle of it.
func (j *Judge) Next() time.Time {
	if j.ep == nil && (j.ready || len(j.start) == 0) {
		return time.Time{}
	}
	return j.now.Add(patience)
}

// Tick ends what is open when no more samples come.
func (j *Judge) Tick(now time.Time) []sensor.Reading {
	if next := j.Next(); next.IsZero() || now.Before(next) {
		return nil
	}
	if !j.ready {
		j.calibrate()
	}
	if j.hop.n > 0 && j.hop.bins > 0 {
		j.endHop(j.last.At)
	}
	if j.ep != nil {
		j.finish()
	}
	return j.say()
}

// SetArming tells how the device is armed.
func (j *Judge) SetArming(_ time.Time, a core.Arming) []sensor.Reading {
	if a == core.Armed && j.arming != core.Armed && j.ready && j.ep == nil && j.bins.Len() >= second {
		j.anchor, j.unsure = j.gravity(), 0 // what was done while disarmed was allowed
	}
	j.arming = a
	return nil
}

// take takes one sample as the sensor gave it.
func (j *Judge) take(s sensor.Sample) {
	v := signal.Vec{X: s.X, Y: s.Y, Z: s.Z}
	if !v.Sane() {
		j.doubt("values", "a sample is no number that a sensor could have measured")
		return
	}
	at, verdict := j.clock.Put(s.At)
	if verdict == signal.Restarted {
		j.doubt("clock", "the sensor's clock jumped back")
	}
	if verdict == signal.Stale {
		j.timeStands()
		return
	}
	sample := signal.Sample{At: at, V: v}
	j.watch(sample)
	if j.ready {
		j.feel(sample)
		return
	}
	j.start = append(j.start, sample)
	if at-j.start[0].At >= startSpan || len(j.start) == startMax {
		j.calibrate()
	}
}

// feel takes one sample in g.
func (j *Judge) feel(s signal.Sample) {
	s.V = s.V.Mul(j.scale)
	dt := (s.At - j.last.At).Seconds()
	if dt > 0 && dt < maxGap.Seconds() {
		// Samples that come in bursts have times of the burst: a slope is taken
		// over half the mean interval at least.
		j.step += (dt - j.step) * 0.02
		run := max(dt, j.step/2)
		j.hop.turn += s.V.Sub(j.last.V).Square() / (run * run)
	}
	away := s.V.Sub(j.mean.Value)
	j.hop.energy, j.hop.n = j.hop.energy+away.Square(), j.hop.n+1
	j.hop.binPeak = max(j.hop.binPeak, away.Len())
	j.weigh(s, dt)
	j.last = s
	if j.grid.Put(s) {
		j.resume()
	}
	for b, ok := j.grid.Take(); ok; b, ok = j.grid.Take() {
		j.bin(b)
	}
}

// resume begins anew behind a hole in the samples.
func (j *Judge) resume() {
	if j.ep != nil {
		j.finish()
	}
	j.bins.Reset()
	j.lows.Reset()
	j.shocks.Reset()
	j.past.Reset()
	j.mean.Reset()
	j.hop = hopSum{}
	j.fall = fallWatch{}
}

// bin takes one step of the even grid.
func (j *Judge) bin(b signal.Bin) {
	j.bins.Put(b.Mean)
	low := b.Mean
	if j.bins.Len() >= 3 {
		low = j.bins.At(0).Add(j.bins.At(1).Mul(2)).Add(j.bins.At(2)).Mul(0.25)
	}
	low = low.Sub(j.mean.Value)
	j.lows.Put(low)
	up := 0.0
	if g := j.mean.Value.Len(); g > 0.3 {
		up = low.Dot(j.mean.Value) / g
	}
	j.hop.crawl += j.lows.Mean(crawlBins).Square()
	j.hop.slow, j.hop.slowUp = j.hop.slow+low.Square(), j.hop.slowUp+up*up
	j.mean.Put(b.Mean, binWidth.Seconds())
	j.shocks.Put(signal.Vec{X: j.hop.binPeak})
	if j.shock.put(j.hop.binPeak, 1.5*j.threshold()) {
		j.hop.shocks++
		if j.hop.binPeak >= j.c.Blow {
			j.hop.blows++
		}
	}
	j.hop.peak, j.hop.binPeak = max(j.hop.peak, j.hop.binPeak), 0
	if j.hop.bins++; j.hop.bins == hopBins {
		j.endHop(b.At + binWidth/2)
	}
}

// gravity is where it points, by the last second.
func (j *Judge) gravity() signal.Vec { return j.bins.Mean(second) }

// endHop decides what the last fifth of a second was.
func (j *Judge) endHop(at time.Duration) {
	h := j.hop
	j.hop = hopSum{start: at}
	if h.n == 0 {
		return
	}
	h.start = max(at-hop, 0)
	level := root(h.energy / float64(h.n))
	j.all.Put(level)
	angle := 0.0
	if !j.linear {
		angle = signal.Angle(j.gravity(), j.anchor)
	}
	j.angles[j.angleAt] = angle
	j.angleAt = (j.angleAt + 1) % len(j.angles)
	if j.hops++; j.hops%5 == 0 {
		j.past.Put(j.gravity())
	}
	held := j.held()
	active := level >= j.threshold()
	switch {
	case j.ep != nil:
	case active, held >= j.tilted(), j.sustained(level):
		j.open(h, !active && held >= j.tilted())
	default:
		j.rest(level, angle)
		return
	}
	j.ep.Tilt, j.ep.Net = max(j.ep.Tilt, held), angle
	j.grow(h, level, active || j.sustained(level) || j.ep.slowly && !j.settled())
	j.decide(at, held)
}

// held is the angle that gravity kept for all of TiltHold. What only sways may be
// away from where it was all the time, to this side and to that: the mean is not.
func (j *Judge) held() float64 {
	low := j.angles[0]
	for _, a := range j.angles[1:] {
		low = min(low, a)
	}
	if low < j.c.Tilt/2 {
		return low
	}
	return min(low, signal.Angle(j.bins.Mean(len(j.angles)*hopBins), j.anchor))
}

// threshold is the level from which something goes on. A loud place does not make
// the judge deaf: what is loud is also even, so less than a multiple suffices.
func (j *Judge) threshold() float64 {
	quiet := j.quiet()
	return max(j.c.Still, min(4*quiet, 1.5*quiet+0.02))
}

// tilted is the angle from which it is tilted: more where it is not known how it
// stood, or where the last digit of a coarse sensor is as much.
func (j *Judge) tilted() float64 {
	return max(j.c.Tilt, math.Atan(1.3*j.health.step*j.scale)*180/math.Pi) + j.unsure
}

// quiet is what the sensor reads when nothing goes on: its noise, or the last
// digit of one that is too coarse to show it, which flickers now and then.
func (j *Judge) quiet() float64 { return max(j.floor.Value, 0.6*j.health.step*j.scale) }

// sustained says that a vibration too weak to be noticed at once has gone on for
// some time. It needs a floor that was seen.
func (j *Judge) sustained(level float64) bool {
	if j.floor.Learned < 5 || level < max(j.c.Still/3, 2.2*j.quiet()) {
		j.sustain = 0
		return false
	}
	j.sustain++
	return time.Duration(j.sustain)*hop >= j.c.DrillTime
}

// rest learns from quiet.
func (j *Judge) rest(level, angle float64) {
	if j.sustain == 0 {
		j.floor.Put(level, hop.Seconds())
	}
	if j.linear || angle == 0 {
		return
	}
	if j.unsure > 0 && j.past.Len() > 2 && signal.Angle(j.past.At(0), j.past.At(2)) < 0.3 {
		j.anchor, j.unsure = j.gravity(), 0
		return
	}
	// Temperature turns the anchor, but only so fast: whoever tilts the device
	// more slowly than that needs a day for it.
	most := j.c.Drift * hop.Hours()
	j.anchor = j.anchor.Add(j.gravity().Sub(j.anchor).Mul(min(most/angle, 1)))
}
