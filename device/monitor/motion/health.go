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
	mean, size, rms := spread(samples)
	j.setScale(mean, size, rms)
	j.anchor = mean.Mul(j.scale)
	j.mean.Put(j.anchor, 1)
	if j.floor.Learned == 0 {
		j.floor.Value = min(rms*j.scale, 0.8*j.c.Still)
	}
	j.last = signal.Sample{At: samples[0].At, V: samples[0].V.Mul(j.scale)}
	for _, s := range samples {
		j.feel(s)
	}
}

// spread returns the mean vector, the mean length and how far samples scatter.
func spread(samples []signal.Sample) (mean signal.Vec, size, rms float64) {
	n := 1 / float64(len(samples))
	for _, s := range samples {
		mean, size = mean.Add(s.V.Mul(n)), size+s.V.Len()*n
	}
	for _, s := range samples {
		rms += s.V.Sub(mean).Square() * n
	}
	return mean, size, math.Sqrt(rms)
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
func (j *Judge) setScale(mean signal.Vec, size, rms float64) {
	still := rms < 0.1*mean.Len()
	if size < 0.3 {
		j.linear = true
		j.doubt("calibration", fmt.Sprintf("it weighs %.2f g at the start: the sensor leaves gravity out (linear acceleration), so tilts and falls can't be seen", size))
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
