package motion

import (
	"time"

	"github.com/interlock-security/interlock/device/monitor/internal/signal"
)

// Features are what an event is judged by: numbers with a meaning in physics,
// gathered while it lasts. Levels are in g.
type Features struct {
	Start, End time.Duration
	Duration   float64 // seconds, of what was above the threshold
	RMS        float64 // all that moves
	Low        float64 // rms of what is slower than about 6 Hz, gravity's own turning included
	Slow       float64 // rms of what is slower than about 1.5 Hz
	LowShare   float64 // of the energy
	Vertical   float64 // share of the slow energy along gravity
	Rate       float64 // samples a second
	Hertz      float64 // mean frequency of the raw motion
	Peak       float64 // largest departure from gravity
	Median     float64 // of the levels of each fifth of a second
	Steady     float64 // 20th over 80th percentile of these levels: 1 is a machine's
	Busy       float64 // share of the time above the threshold: a telephone pauses
	Shocks     int
	Blows      int
	Fall       float64 // seconds, the longest
	Since      float64 // seconds since that
	Falls      int     // how often it weighed nothing for an instant
	Tilt       float64 // degrees, the largest that lasted
	Net        float64 // degrees, at the end
	Stands     float64 // degrees, once it was calm again
	Unsure     float64 // degrees by which it is not known how it stood before
	Step       float64 // Hz, of what repeats itself; 0 for nothing
	Stepping   float64 // share of the looks at which it repeated itself like that
	Sharp      float64 // how well it did then, 1 for perfectly
	Uneven     float64 // by how much of itself Step varies from look to look
	Rhythm     float64 // Hz, of the repetition of shocks
	Floor      float64 // what the sensor reads when nothing goes on
	Learned    bool    // the floor was seen, not assumed
	Began      bool    // it went on already when the first sample came
	Linear     bool    // the sensor leaves gravity out
	Clipped    int
	Over       bool // it has ended
}

// episode gathers features.
type episode struct {
	Features
	id                int
	slowly            bool // opened by a tilt that nothing shook
	energy            float64
	samples           int
	slow, slowUp      float64
	crawl             float64
	bins              int
	turn              float64 // energy of the raw signal's slope, (g/s)²
	levels            signal.Levels
	looks, stepping   int
	stepSum, stepSq   float64
	sharp             float64
	shockLooks, beats int
	beatSum           float64
	told              Verdict
	toldRank          int
}

// look sums the running figures up.
func (e *episode) look() Features {
	f := e.Features
	f.Duration = (f.End - f.Start).Seconds()
	if e.samples > 0 {
		f.RMS = root(e.energy / float64(e.samples))
		f.Rate = float64(e.samples) / max(float64(e.levels.N())*hop.Seconds(), hop.Seconds())
	}
	if e.energy > 0 {
		f.Hertz = root(e.turn/e.energy) / (2 * pi)
	}
	if e.bins > 0 {
		f.Low = root(e.slow / float64(e.bins))
		f.Slow = root(e.crawl / float64(e.bins))
		f.LowShare = min(f.Low*f.Low/max(f.RMS*f.RMS, 1e-12), 1)
	}
	if e.slow > 0 {
		f.Vertical = e.slowUp / e.slow
	}
	f.Busy = float64(e.levels.N()) * hop.Seconds() / max(f.Duration, hop.Seconds())
	f.Median = e.levels.Quantile(0.5)
	f.Steady = e.levels.Quantile(0.2) / max(e.levels.Quantile(0.8), 1e-6)
	if e.stepping > 0 {
		f.Step, f.Sharp = e.stepSum/float64(e.stepping), e.sharp/float64(e.stepping)
		f.Uneven = root(e.stepSq/float64(e.stepping)-f.Step*f.Step) / f.Step
		f.Stepping = float64(e.stepping) / float64(e.looks)
	}
	if e.beats > 0 && 2*e.beats >= e.shockLooks {
		f.Rhythm = e.beatSum / float64(e.beats)
	}
	return f
}
