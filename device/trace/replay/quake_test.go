package replay_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

// quake is the shaking of the ground as engineers make it up: white noise through
// the resonance of the soil (Kanai and Tajimi) and a filter that takes out what
// would carry the ground away (Clough and Penzien), each axis by itself. A weak,
// fast wave comes first, mostly up and down, the strong one some seconds later,
// and it dies away slowly.
type quake struct {
	seed   uint64
	peak   float64 // g, of the stronger horizontal axis
	hertz  float64 // of the soil
	length float64 // seconds
	rate   float64 // of the sensor
}

const (
	quakeStart = 6.0       // seconds of quiet before it
	quakeStep  = 1.0 / 400 // of the integration
	quakeFast  = 10.0      // Hz, above which the way through the rock takes it out
)

// soil is a resonance that is shaken from below.
type soil struct{ x, v, y, u, omega, damping float64 }

func (s *soil) put(force float64) float64 {
	w := s.omega
	s.v += quakeStep * (-force - 2*s.damping*w*s.v - w*w*s.x)
	s.x += quakeStep * s.v
	a := -(2*s.damping*w*s.v + w*w*s.x)
	low := 0.2 * w
	up := a - 2*0.7*low*s.u - low*low*s.y
	s.u += quakeStep * up
	s.y += quakeStep * s.u
	return up
}

// rock is a low-pass of second order.
type rock struct{ x, v float64 }

func (r *rock) put(a float64) float64 {
	w := 2 * math.Pi * quakeFast
	r.v += quakeStep * (w*w*(a-r.x) - 1.4*w*r.v)
	r.x += quakeStep * r.v
	return r.x
}

// axis is the acceleration of one axis at each step, its peak made one.
func (q quake) axis(rnd *rand.Rand, first, strong, wait float64) []float64 {
	p := soil{omega: 2 * math.Pi * min(2.5*q.hertz, 12), damping: 0.5}
	s := soil{omega: 2 * math.Pi * q.hertz, damping: 0.25 + 0.35*rnd.Float64()}
	var way rock
	all := make([]float64, int(q.length/quakeStep))
	most := 0.0
	for i := range all {
		t := float64(i) * quakeStep
		weak := min(t/0.3, 1) * math.Exp(-t/(wait+3))
		e := 0.0
		if t > wait {
			u := t - wait
			e = min(u/1.5, 1) * math.Exp(-max(u-q.length/8, 0)/(q.length/5))
		}
		all[i] = first*math.Sqrt(q.hertz/p.omega*2*math.Pi)*p.put(weak*rnd.NormFloat64()) + strong*s.put(e*rnd.NormFloat64())
		all[i] = way.put(all[i])
		most = max(most, math.Abs(all[i]))
	}
	for i := range all {
		all[i] /= most
	}
	return all
}

// samples is what a sensor that lies askew makes of it, with half a minute of
// quiet behind it.
func (q quake) samples() (out []sensor.Sample) {
	rnd := rand.New(rand.NewPCG(q.seed, 17))
	wait := 1.5 + 5*rnd.Float64()
	x, y, z := q.axis(rnd, 0.1, 1, wait), q.axis(rnd, 0.1, 1, wait), q.axis(rnd, 0.3, 0.8, wait)
	second, up := 0.7+0.3*rnd.Float64(), 0.4+0.3*rnd.Float64()
	at := func(a []float64, t float64) float64 {
		if i := int((t - quakeStart) / quakeStep); t >= quakeStart && i < len(a) {
			return a[i] * q.peak
		}
		return 0
	}
	for i := range int((quakeStart + q.length + 8) * q.rate) {
		t := float64(i) / q.rate
		out = append(out, sensor.Sample{
			At: time.Duration(t * 1e9), X: at(x, t) + 0.002*rnd.NormFloat64(), Y: second*at(y, t) + 0.002*rnd.NormFloat64(), Z: 1 + up*at(z, t) + 0.002*rnd.NormFloat64(),
		})
	}
	return turned(out)
}

// quakes are the ones that the page has figures of.
func quakes() (all []quake) {
	for _, peak := range []float64{0.02, 0.1, 0.2, 0.35, 0.6, 1} {
		for _, hertz := range []float64{0.5, 1, 2, 3.5, 5} {
			for i, rate := range []float64{26, 50, 100, 200} {
				n := len(all)
				all = append(all, quake{seed: uint64(n), peak: peak, hertz: hertz, rate: rate, length: []float64{15, 30, 60}[(n+i)%3]})
			}
		}
	}
	return all
}

type felt struct {
	quake
	class string
	alarm bool
}

var quakesFelt []felt

// feelQuakes judges them once: a test and the page ask for it.
func feelQuakes(t *testing.T) []felt {
	t.Helper()
	if quakesFelt == nil {
		for _, q := range quakes() {
			class, alarm := segment{whole: true}.strongest(run(t, q.samples(), nil))
			quakesFelt = append(quakesFelt, felt{q, class, alarm})
		}
	}
	return quakesFelt
}

// A quake is no theft. What is left alarms where the ground moves as far as a hand
// does, or where a slow sensor folds its first wave down.
func TestQuakes(t *testing.T) {
	wrong, weak := 0, 0
	all := feelQuakes(t)
	for _, f := range all {
		if !f.alarm {
			continue
		}
		t.Logf("%+v alarms", f)
		if wrong++; f.peak < 0.35 {
			weak++
		}
	}
	if wrong*20 > len(all) || weak > 1 {
		t.Errorf("%d of %d alarm, %d of them weaker than 0.35 g; at most one in twenty and one may", wrong, len(all), weak)
	}
}

// quakeRows publishes them.
func quakeRows(t *testing.T, b *strings.Builder) {
	t.Helper()
	b.WriteString("### Synthetic quakes\n\nNoise through the resonance of the soil (Kanai and Tajimi), 0.5 to 5 Hz, a weak fast wave first, a strong one behind it and a long decay, each axis by itself; 15 to 60 s.\n\n| peak | 26 Hz | 50 Hz | 100 Hz | 200 Hz | is called |\n|---|---|---|---|---|---|\n")
	for part := range slices.Chunk(feelQuakes(t), 20) {
		alarms, n, classes := map[float64]int{}, map[float64]int{}, map[string]int{}
		for _, f := range part {
			n[f.rate]++
			classes[f.class]++
			if f.alarm {
				alarms[f.rate]++
			}
		}
		fmt.Fprintf(b, "| %g g |", part[0].peak)
		for _, rate := range []float64{26, 50, 100, 200} {
			fmt.Fprintf(b, " %s |", of(alarms[rate], n[rate]))
		}
		fmt.Fprintf(b, " %s |\n", counted(classes))
	}
	b.WriteString("\nCells: how many alarm.\n\n")
}

func counted(classes map[string]int) string {
	var names []string
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		names = append(names, fmt.Sprintf("%s %d", c, classes[c]))
	}
	return strings.Join(names, ", ")
}
