package motion_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

// happens is what goes on in an office on a working day, how often, and how
// strong at most: up to that, most of it weaker.
var happens = []struct {
	kind  synth.Kind
	aDay  float64
	level float64
}{
	{synth.Footsteps, 60, 0.04},
	{synth.Door, 25, 0.2},
	{synth.Knock, 10, 1.5},
	{synth.Bump, 6, 0.25},
	{synth.Rumble, 12, 0.02},
	{synth.Buzz, 6, 0.03},
}

// office is thirty days of one device, as the moments in which something
// happens: the hours between them are calm and left out, which the judge sees as
// holes. The sensor drifts by a degree a day with the temperature.
type office struct {
	rnd  *rand.Rand
	seed uint64
	axis float64
}

const (
	days  = 30
	drift = 0.5 // degrees, to either side
)

// moments calls show with the samples of one moment after the other.
func (o *office) moments(show func([]sensor.Sample)) (n int) {
	o.rnd = rand.New(rand.NewPCG(o.seed, 99))
	o.axis = o.rnd.Float64() * 2 * math.Pi
	for day := range days {
		if day%7 >= 5 {
			show(o.moment(day, 12, synth.Event{Kind: synth.Rumble, At: 5 * time.Second}))
			continue
		}
		hours := 9.0
		at := 8.0
		for _, e := range o.day() {
			at += hours / 125
			show(o.moment(day, at, e))
			n++
		}
	}
	return n
}

// day is what happens on one day, shuffled.
func (o *office) day() (all []synth.Event) {
	for _, h := range happens {
		for range int(h.aDay) {
			level := h.level * math.Pow(o.rnd.Float64(), 2)
			all = append(all, synth.Event{Kind: h.kind, At: 3 * time.Second, Level: max(level, 0.001)})
		}
	}
	o.rnd.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}

func (o *office) moment(day int, hour float64, e synth.Event) []sensor.Sample {
	o.seed += 1000
	all := synth.Make(synth.Config{Seed: o.seed, Rate: 26, Length: 13 * time.Second, Noise: 0.0015, Jitter: 0.1, Events: []synth.Event{e}})
	start := time.Duration((float64(day)*24 + hour) * float64(time.Hour))
	s, c := math.Sincos(drift * math.Sin(2*math.Pi*(hour-9)/24) * math.Pi / 180)
	for i := range all {
		x := &all[i]
		x.At += start
		x.X, x.Z = c*x.X+s*x.Z, c*x.Z-s*x.X
	}
	return all
}

// Synthetic: 30 days of office noise give at most one false alarm a device.
func TestOffice(t *testing.T) {
	for device := range uint64(2) {
		j := judge(t, motion.Config{})
		o := &office{seed: device}
		alarmed, said := 0, 0
		n := o.moments(func(samples []sensor.Sample) {
			for _, s := range show(t, j, samples) {
				said++
				if s.Alarm {
					alarmed++
					t.Logf("device %d, %v: %s: %s", device, time.Duration(s.Start*1e9).Round(time.Second), s.Class, s.Why)
				}
			}
		})
		t.Logf("device %d: %d moments, %d told, %d alarms", device, n, said, alarmed)
		if alarmed > 1 {
			t.Errorf("device %d: %d false alarms in %d days", device, alarmed, days)
		}
		if said == 0 || n < 2000 {
			t.Errorf("device %d: %d moments and %d told: the noise is none", device, n, said)
		}
	}
}

// Six hours without a hole, so that what adds up in calm hours is seen as well.
func TestSixHoursWithoutAHole(t *testing.T) {
	j := judge(t, motion.Config{})
	rnd := rand.New(rand.NewPCG(3, 3))
	const rate = 20
	part := make([]sensor.Sample, 0, rate*60)
	minutes := 6 * 60
	if testing.Short() {
		minutes = 60
	}
	for m := range minutes {
		part = part[:0]
		s, c := math.Sincos(drift * math.Sin(2*math.Pi*float64(m)/720) * math.Pi / 180)
		for i := range rate * 60 {
			at := time.Duration(m)*time.Minute + time.Duration(i)*time.Second/rate
			noise := 0.001 * (rnd.Float64() + rnd.Float64() - 1)
			part = append(part, sensor.Sample{At: at, X: s + noise, Y: 0.001 * (rnd.Float64() - 0.5), Z: c - noise})
		}
		if all := show(t, j, part); len(all) > 0 {
			t.Fatalf("minute %d: %+v", m, all)
		}
	}
}
