package baseline

import (
	"math"
	"time"
)

// Bucket is the span that is counted as one number.
const Bucket = 5 * time.Minute

const (
	// warmUp is how many buckets must be known before anything is told: two days.
	warmUp = 576
	// enough is how many buckets make a mean of an hour worth believing: one hour.
	enough = 12
	// unusual is the score, in usual deviations, that a bucket of a burst has at
	// least; a burst is told when burstRun in a row together reach sure.
	unusual  = 3
	burstRun = 3
	sure     = 6
	// silence is told when so many records did not come that should have, and more
	// than twice as many as in any silence before it that ended by itself.
	missed = 20
	// A mean of a cell follows over about two weeks, the level over a day, the
	// spread over half a week.
	cellMemory, levelMemory, spreadMemory = 24, 288, 1000
	leastSpread, firstSpread              = 0.02, 0.5
)

// Kind is what is unusual.
type Kind string

// The kinds; each is the type of the event that tells of it.
const (
	TypeSilent Kind = "source_silent"
	TypeBurst  Kind = "source_burst"
	TypeBack   Kind = "source_back"
)

// Verdict says that a source is not as it usually is, or is so again.
type Verdict struct {
	Kind Kind
	// Count is what came and Expected what usually does, in records, over For.
	Count    uint64
	Expected float64
	For      time.Duration
	// Score is by how many usual deviations Count is away, all buckets of For
	// taken together. It is 0 for TypeSilent, which counts what did not come.
	Score float64
	// Longest is the longest silence that was known before this one.
	Longest time.Duration
}

// cell is the mean of the buckets of one hour.
type cell struct {
	Mean float64 `json:"m"`
	N    int     `json:"n"`
}

func (c *cell) learn(x float64) {
	c.N = min(c.N+1, cellMemory)
	c.Mean += (x - c.Mean) / float64(c.N)
}

// Signal is what is known of one source. The zero value knows nothing.
type Signal struct {
	Week  [7 * 24]cell `json:"week"`
	Day   [24]cell     `json:"day"`
	Level float64      `json:"level"`
	// Spread is the part of the variance that grows with the square of what is
	// expected: logs come in clumps.
	Spread float64 `json:"spread"`
	// Seen counts buckets. Empty is the present run of empty ones and Missing what
	// was expected in it; Gap and Lull are the most that these were.
	Seen    int     `json:"seen"`
	Gap     int     `json:"gap"`
	Empty   int     `json:"empty"`
	Missing float64 `json:"missing,omitempty"`
	Lull    float64 `json:"lull,omitempty"`
	// The present unusual run, and what was told of it.
	Run     int     `json:"run,omitempty"`
	Scores  float64 `json:"scores,omitempty"`
	Sum     uint64  `json:"sum,omitempty"`
	Awaited float64 `json:"awaited,omitempty"`
	Told    Kind    `json:"told,omitempty"`
}

// Expected is how many records usually come in the bucket that begins at at.
func (s *Signal) Expected(at time.Time) float64 {
	at = at.UTC()
	if c := s.Week[int(at.Weekday())*24+at.Hour()]; c.N >= enough {
		return c.Mean
	}
	if c := s.Day[at.Hour()]; c.N >= enough {
		return c.Mean
	}
	return s.Level
}

// Step takes the count of the bucket that began at at and returns a verdict, nil
// where there is nothing to say.
func (s *Signal) Step(at time.Time, count uint64) *Verdict {
	want := s.Expected(at)
	deviation := math.Sqrt(want + s.spread()*want*want + 1)
	score := (float64(count) - want) / deviation
	v := s.judge(count, want, score)
	s.learn(at, count, want, deviation)
	return v
}

func (s *Signal) spread() float64 {
	if s.Seen == 0 {
		return firstSpread
	}
	return max(s.Spread, leastSpread)
}

func (s *Signal) judge(count uint64, want, score float64) *Verdict {
	if count == 0 {
		s.Empty++
		s.Missing += want
	}
	if v := s.silent(); v != nil || count == 0 {
		return v
	}
	long, missing := s.Empty, s.Missing
	s.Empty, s.Missing = 0, 0
	if s.Told != TypeSilent {
		s.Gap, s.Lull = max(s.Gap, long), max(s.Lull, missing)
	} else {
		s.Told = ""
		s.calm()
		return &Verdict{Kind: TypeBack, Count: count, Expected: want, For: time.Duration(long) * Bucket}
	}
	return s.burst(count, want, score)
}

func (s *Signal) silent() *Verdict {
	if s.Told == TypeSilent || s.Seen < warmUp || s.Missing < max(missed, 2*s.Lull) {
		return nil
	}
	s.Told = TypeSilent
	s.calm()
	return &Verdict{Kind: TypeSilent, Expected: s.Missing, For: time.Duration(s.Empty) * Bucket, Longest: time.Duration(s.Gap) * Bucket}
}

func (s *Signal) burst(count uint64, want, score float64) *Verdict {
	if score < unusual {
		s.calm()
		if s.Told == TypeBurst {
			s.Told = ""
			return &Verdict{Kind: TypeBack, Count: count, Expected: want, For: Bucket, Score: score}
		}
		return nil
	}
	s.Run++
	s.Scores += score
	s.Sum += count
	s.Awaited += want
	together := s.Scores / math.Sqrt(float64(s.Run))
	if s.Told == TypeBurst || s.Seen < warmUp || s.Run < burstRun || together < sure {
		return nil
	}
	s.Told = TypeBurst
	return &Verdict{Kind: TypeBurst, Count: s.Sum, Expected: s.Awaited, For: time.Duration(s.Run) * Bucket, Score: together}
}

func (s *Signal) calm() { s.Run, s.Scores, s.Sum, s.Awaited = 0, 0, 0, 0 }

// learn follows what came. A silence that was told teaches nothing, and an
// outlier no more than the edge of what is usual: whoever floods a log for an
// hour must not make floods usual.
func (s *Signal) learn(at time.Time, count uint64, want, deviation float64) {
	if s.Told == TypeSilent {
		return
	}
	x := float64(count)
	if s.Seen >= warmUp {
		x = max(want-unusual*deviation, min(want+unusual*deviation, x))
	}
	s.Seen = min(s.Seen+1, 1<<30)
	at = at.UTC()
	s.Week[int(at.Weekday())*24+at.Hour()].learn(x)
	s.Day[at.Hour()].learn(x)
	s.Level += (x - s.Level) / float64(min(s.Seen, levelMemory))
	if want > 0 {
		extra := ((x-want)*(x-want) - want) / (want * want)
		s.Spread += (min(max(extra, 0), 4) - s.Spread) / float64(min(s.Seen, spreadMemory))
	}
}
