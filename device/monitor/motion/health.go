package motion

import (
	"fmt"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/signal"
	"github.com/interlock-security/interlock/device/sensor"
)

// health watches the sensor itself.
type health struct {
	last    signal.Sample
	since   time.Duration // of the same vector
	same    int
	broken  string
	step    float64 // the smallest difference between two values so far
	top     float64 // the largest value of an axis so far, in g
	doubted map[string]time.Duration
}

// again is how often a doubt is repeated, in the sensor's time.
const again = 10 * time.Minute

// doubt tells that what the sensor says must be taken with care.
func (j *Judge) doubt(class, why string) {
	if j.health.doubted == nil {
		j.health.doubted = map[string]time.Duration{}
	}
	if at, told := j.health.doubted[class]; told && j.clock.Now-at < again {
		return
	}
	j.health.doubted[class] = j.clock.Now
	j.out = append(j.out, sensor.Reading{
		Kind: sensor.Pulse, Point: class, Type: EventDoubt, Severity: core.SeverityMedium,
		Fields: sensor.Fields(map[string]any{"class": class, "why": why, "start": round(j.clock.Now.Seconds(), 3)}),
	})
}

// breakDown makes the sensor a fault, once.
func (j *Judge) breakDown(class, why string) {
	if j.health.broken == class {
		return
	}
	j.health.broken = class
	j.out = append(j.out, sensor.Reading{
		Kind: sensor.Broken, Point: point, Severity: core.SeverityHigh,
		Fields: sensor.Fields(map[string]any{"class": class, "why": why, "start": round(j.clock.Now.Seconds(), 3)}),
	})
}

// mend ends a fault.
func (j *Judge) mend() {
	j.health.broken = ""
	j.out = append(j.out, sensor.Reading{Kind: sensor.Measure, Point: point, Value: j.floor.Value, Unit: sensor.UnitG})
}

// standing is how many samples in a row may have no time of their own.
const standing = 100

func (j *Judge) timeStands() {
	if j.clock.Still == standing {
		j.breakDown("clock", fmt.Sprintf("time stands still: %d samples in a row are not later than the one before", standing))
	}
}

// watch looks for a sensor that says the same for ever. Noise is in every
// sensor's last digits; one without it is not measuring.
func (j *Judge) watch(s signal.Sample) {
	h := &j.health
	if h.broken == "clock" {
		j.mend()
	}
	if h.same > 0 {
		h.steps(s.V.Sub(h.last.V))
	}
	if s.V != h.last.V || h.same == 0 {
		h.since, h.same = s.At, 0
		if h.broken == "frozen" {
			j.mend()
		}
	}
	h.same++
	h.last = s
	limit := j.c.Frozen
	if h.step*j.scale >= coarse {
		limit *= patient
	}
	if s.At-h.since >= limit && h.same >= 20 {
		j.breakDown("frozen", fmt.Sprintf("the same vector (%g, %g, %g) to the last digit for %.0f s, %d samples: a sensor that measures has noise",
			s.V.X, s.V.Y, s.V.Z, (s.At-h.since).Seconds(), h.same))
	}
}

// A sensor with steps so coarse that its noise does not show may say the same for
// longer. One that never moved at all is believed to be none of these.
const (
	coarse  = 0.003 // g
	patient = 10    // times as long
)

func (h *health) steps(d signal.Vec) {
	for _, v := range [...]float64{d.X, d.Y, d.Z} {
		if v = math.Abs(v); v > 0 && (h.step == 0 || v < h.step) {
			h.step = v
		}
	}
}

// calibrate finds out from the first second in what unit the sensor speaks and
// whether gravity is in it, then lives that second through.
func (j *Judge) calibrate() {
	samples := j.start
	j.start, j.ready = nil, true
	if len(samples) == 0 {
		return
	}
	first := survey(samples)
	j.setScale(first)
	j.anchor = first.mean.Mul(j.scale)
	j.mean.Put(j.anchor, 1)
	if j.floor.Learned == 0 {
		most := 0.8 * j.c.Still
		if first.white {
			most = noisiest
		}
		j.floor.Value = min(first.rms*j.scale, most)
	}
	if !j.linear {
		j.unsure = min(math.Atan2(first.sway, first.mean.Len())*180/math.Pi, 6)
		if j.unsure < 1.5 {
			j.unsure = 0
		}
	}
	j.step = (samples[len(samples)-1].At - samples[0].At).Seconds() / float64(max(len(samples)-1, 1))
	if j.step > 1.0/slowest {
		j.doubt("rate", fmt.Sprintf("it measures %.1f times a second: a knock, a fall and a drill take %d", 1/j.step, slowest))
	}
	j.last = signal.Sample{At: samples[0].At, V: samples[0].V.Mul(j.scale)}
	for _, s := range samples {
		j.feel(s)
	}
}

// noisiest is the most noise, in g, that a sensor at rest is believed to have of
// its own: old telephones come near it.
const noisiest = 0.06

// slowest is the rate, in samples a second, below which much goes unseen.
const slowest = 18

// first is what the first second tells.
type first struct {
	mean signal.Vec
	size float64 // mean length
	rms  float64 // how far the samples scatter
	sway float64 // how far the means of fifths of it do
	// white says that they scatter as noise of the sensor does: from sample to
	// sample, alike on all axes, without outliers.
	white bool
}

func survey(samples []signal.Sample) (f first) {
	n := 1 / float64(len(samples))
	for _, s := range samples {
		f.mean, f.size = f.mean.Add(s.V.Mul(n)), f.size+s.V.Len()*n
	}
	var axes signal.Vec
	var turn, far float64
	for i, s := range samples {
		d := s.V.Sub(f.mean)
		axes = axes.Add(signal.Vec{X: d.X * d.X, Y: d.Y * d.Y, Z: d.Z * d.Z})
		far = max(far, d.Square())
		if i > 0 {
			turn += s.V.Sub(samples[i-1].V).Square() / 2
		}
	}
	sum := axes.X + axes.Y + axes.Z
	f.rms = math.Sqrt(sum * n)
	f.sway = swaying(samples, f.mean)
	least, most := min(axes.X, axes.Y, axes.Z), max(axes.X, axes.Y, axes.Z)
	f.white = len(samples) >= 15 && turn > 0.75*sum && turn < 1.25*sum && most < 5*least && far*n < 16*sum*n*n
	return f
}

// swaying is how far the means of the fifths of the samples scatter.
func swaying(samples []signal.Sample, mean signal.Vec) float64 {
	part := len(samples) / 5
	if part == 0 {
		return 0
	}
	sum := 0.0
	for k := range 5 {
		var m signal.Vec
		for _, s := range samples[k*part : (k+1)*part] {
			m = m.Add(s.V.Mul(1 / float64(part)))
		}
		sum += m.Sub(mean).Square() / 5
	}
	return math.Sqrt(sum)
}

// units are what sensors are known to speak by mistake.
var units = []struct {
	name  string
	inOne float64 // how many make a g
}{
	{"g", 1},
	{"m/s²", 9.80665},
	{"mg", 1000},
}

// setScale judges the length of gravity. A few percent are the tolerance of
// cheap sensors; beyond it the numbers are not in g, which is a fault of the
// installation and no theft.
func (j *Judge) setScale(f first) {
	still, size := f.rms < 0.1*f.mean.Len(), f.size
	if f.mean.Len() < 0.3 && (size < 0.3 || f.mean.Len() < 0.35*size) {
		j.linear = true
		j.doubt("calibration", fmt.Sprintf("it weighs %.2f g at the start: the sensor leaves gravity out (linear acceleration), so tilts can't be seen", f.mean.Len()))
		return
	}
	for _, u := range units {
		if low, high := 0.85*u.inOne, 1.15*u.inOne; size >= low && size <= high || !still && size > 0.5*u.inOne && size < 3*u.inOne {
			j.scale = 1 / u.inOne
			if u.inOne != 1 {
				j.doubt("calibration", fmt.Sprintf("it weighs %.3g at the start, so its unit is %s and not g: taken as that", size, u.name))
			}
			return
		}
	}
	if still {
		j.scale = 1 / size
	}
	j.doubt("calibration", fmt.Sprintf("it weighs %.3g g at the start instead of 1 g: wrongly scaled, taken with a factor of %.3g", size, j.scale))
}

// fallWatch measures how long the device weighs nothing.
type fallWatch struct {
	since   time.Duration
	falling bool
	moved   bool // the values moved meanwhile: a fall, not a wire that came off
	first   signal.Vec
}

// shortest is a weightlessness worth counting.
const shortest = 0.04

// weigh looks for falls and for the end of the sensor's range.
func (j *Judge) weigh(s signal.Sample, dt float64) {
	j.clips(s)
	w := &j.fall
	half := time.Duration(dt / 2 * float64(time.Second))
	below := s.V.Len() < j.c.FallG
	if j.linear {
		// What falls is pulled by 1 g, evenly, once gravity is taken out.
		below = math.Abs(s.V.Len()-1) < 0.15 && (!w.falling || s.V.Sub(w.first).Len() < 0.5)
	}
	switch {
	case below && !w.falling:
		*w = fallWatch{since: s.At - half, falling: true, first: s.V}
	case below:
		w.moved = w.moved || s.V != w.first
	case w.falling:
		w.falling = false
		if length := (s.At - half - w.since).Seconds(); length >= shortest && dt < maxGap.Seconds() {
			j.hop.falls++
			if w.moved {
				j.hop.fall = max(j.hop.fall, length)
			}
		}
	}
}

// clips counts samples at the end of the range: at the one that the driver
// names, or flat tops at one that sensors have.
func (j *Judge) clips(s signal.Sample) {
	was := j.last.V
	for _, a := range [3][2]float64{{s.V.X, was.X}, {s.V.Y, was.Y}, {s.V.Z, was.Z}} {
		size := math.Abs(a[0])
		j.health.top = max(j.health.top, size)
		if j.full > 0 && size >= 0.99*j.full*j.scale || a[0] == a[1] && atRange(size) && size >= 0.995*j.health.top {
			j.hop.clipped++
			return
		}
	}
}

func atRange(size float64) bool {
	for _, full := range [...]float64{2, 4, 8, 16, 32} {
		if size >= 0.975*full && size <= 1.025*full {
			return true
		}
	}
	return false
}

func (j *Judge) tellClipping(f Features) {
	if f.Clipped > 0 {
		j.doubt("clipping", fmt.Sprintf("%d samples at the end of the sensor's range: the peaks were higher than %.1f g", f.Clipped, f.Peak))
	}
}

// shockWatch counts shocks: bins that stick out of what went before.
type shockWatch struct {
	mean  float64
	pause int
}

func (w *shockWatch) put(peak, knock float64) bool {
	hit := peak >= knock && peak >= 3*w.mean && w.pause == 0
	w.mean += (peak - w.mean) * 0.12
	switch {
	case hit:
		w.pause = 4
	case w.pause > 0:
		w.pause--
	}
	return hit
}
