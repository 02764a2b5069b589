package anomaly

import (
	"math"
	"strconv"
	"time"
)

const (
	// gap is the longest time between two steps that counts as having passed:
	// a device that was off has learned nothing.
	gap = time.Hour
	// clip is how many deviations a value may pull the baseline at most, so that
	// what is unusual does not teach itself.
	clip = 3
	// far is the farthest that one value counts.
	far = 20
	// meanToSigma makes a standard deviation of a mean absolute one.
	meanToSigma = 1.25
	hours       = 24
	// quicker is by how much faster what is far away counts, and quickShare what it
	// counts for: more than twice as far for a twelfth of the time.
	quicker    = 12
	quickShare = 2.5 / 6
	// seasonShare is how much of a deviation the hour of the day takes.
	seasonShare = 0.5
)

// signal is what is known of one point.
type signal struct {
	Level  float64        `json:"level"`
	Spread float64        `json:"spread"` // usual absolute deviation
	Season [hours]float64 `json:"season,omitzero"`
	// Learned is for how long it has been learned.
	Learned time.Duration `json:"learned"`

	known bool
	at    time.Time // of the last step
	score float64   // signed, smoothed
	quick float64   // the same over a shorter time
	value float64   // of the last step
	// of the step that is not over
	sum   float64
	count int
	since time.Time
}

// add takes a number, and says whether a step is over.
func (s *signal) add(now time.Time, v float64, c Config) (done bool) {
	if s.count == 0 {
		s.since = now
	}
	s.sum, s.count = s.sum+v, s.count+1
	if !s.at.IsZero() && now.Sub(s.at) < c.Step {
		return false
	}
	s.step(now, s.sum/float64(s.count), c)
	s.sum, s.count = 0, 0
	return true
}

// expected is what the point usually reads at that time.
func (s *signal) expected(now time.Time, c Config) float64 {
	if c.Season == SeasonDaily {
		return s.Level + s.Season[now.UTC().Hour()]
	}
	return s.Level
}

// sigma is the usual deviation. A signal that never moved still has its last
// digit: a thousandth of itself.
func (s *signal) sigma() float64 {
	return max(meanToSigma*s.Spread, math.Abs(s.Level)*1e-3, 1e-9)
}

// step takes the mean of one step: it is compared with the baseline, then the
// baseline follows.
func (s *signal) step(now time.Time, v float64, c Config) {
	if !s.known {
		*s = signal{Level: v, known: true, at: now, value: v}
		return
	}
	if s.at.IsZero() { // first step after a start: no time is known to have passed
		s.at, s.value = now, v
		return
	}
	passed := min(now.Sub(s.at), gap)
	if s.at, s.value = now, v; passed <= 0 {
		return
	}
	away := v - s.expected(now, c)
	sigma := s.sigma()
	s.score += part(passed, c.Smooth) * (clamp(away/sigma, far) - s.score)
	s.quick += part(passed, c.Smooth/quicker) * (clamp(away/sigma, far) - s.quick)
	level, spread := c.Level, c.Spread
	if s.Learned < c.Learn { // quickly at first
		level, spread = min(level, max(s.Learned/3, gap)), min(spread, max(s.Learned/2, gap))
	} else {
		away = clamp(away, clip*sigma)
	}
	s.Level += part(passed, level) * away
	s.Spread += part(passed, spread) * (math.Abs(away) - s.Spread)
	if c.Season == SeasonDaily {
		s.Season[now.UTC().Hour()] += part(passed, c.Spread/hours) * seasonShare * away
	}
	s.Learned += passed
}

// unusual is how unusual the signal is, 0 while it is still learned.
func (s *signal) unusual(c Config) float64 {
	if s.Learned < c.Learn {
		return 0
	}
	return max(math.Abs(s.score), quickShare*math.Abs(s.quick))
}

// part is how much of the way an average goes in that time.
func part(passed, constant time.Duration) float64 {
	return 1 - math.Exp(-passed.Seconds()/constant.Seconds())
}

func clamp(v, limit float64) float64 { return max(-limit, min(limit, v)) }

// compact is what of it is kept: six digits are more than any sensor has.
func (s *signal) compact() *signal {
	c := &signal{Level: digits(s.Level), Spread: digits(s.Spread), Learned: s.Learned.Truncate(time.Second)}
	for i, v := range s.Season {
		c.Season[i] = digits(v)
	}
	return c
}

func digits(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64) // it was just written
	return r
}

// fit says whether what was kept can be a signal.
func (s *signal) fit() bool {
	for _, v := range append([]float64{s.Level, s.Spread}, s.Season[:]...) {
		if math.IsNaN(v) || math.Abs(v) > 1e12 {
			return false
		}
	}
	return s.Spread >= 0 && s.Learned >= 0 && s.Learned < 100*365*24*time.Hour
}
