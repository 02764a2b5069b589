package signal

import "math"

// Levels is a histogram of levels on a logarithmic scale, from 0.1 mg to about
// 10 g in steps of a quarter octave: quantiles without keeping what was counted.
type Levels struct {
	counts [68]uint32
	n      uint32
}

const (
	levelLow  = 1e-4
	levelStep = 4.0 // bins an octave
)

func levelBin(v float64) int {
	if v <= levelLow {
		return 0
	}
	return min(int(math.Log2(v/levelLow)*levelStep)+1, len(Levels{}.counts)-1)
}

// Put counts a level.
func (l *Levels) Put(v float64) {
	l.counts[levelBin(v)]++
	l.n++
}

// N is how many were counted.
func (l *Levels) N() int { return int(l.n) }

// Quantile returns the level below which the fraction q lies.
func (l *Levels) Quantile(q float64) float64 {
	if l.n == 0 {
		return 0
	}
	want := uint32(math.Ceil(q * float64(l.n)))
	want = max(want, 1)
	var seen uint32
	for i, c := range l.counts {
		if seen += c; seen >= want {
			return levelLow * math.Exp2((float64(i)-0.5)/levelStep)
		}
	}
	return 0
}

// Reset forgets all.
func (l *Levels) Reset() { *l = Levels{} }

// Floor learns the level of nothing going on: a low quantile that creeps up
// slowly and comes down fast, so that a loud hour does not make it deaf.
type Floor struct {
	// Value is the floor in g, Learned how many seconds of it were quiet.
	Value, Learned float64
}

// Up and Down are the fractions by which the floor moves in a second.
const (
	floorUp   = 0.02
	floorDown = 0.10
)

// Put takes the level of dt quiet seconds. The first seconds set it.
func (f *Floor) Put(level, dt float64) {
	level = max(level, levelLow)
	switch {
	case f.Learned < 1:
		w := dt / (f.Learned + dt)
		f.Value += (level - f.Value) * w
	case level > f.Value:
		f.Value *= 1 + min(floorUp*dt, level/f.Value-1)
	default:
		f.Value -= (f.Value - level) * min(floorDown*dt, 1)
	}
	f.Learned += dt
}

// Period finds the shortest lag at which a series of vectors repeats itself: the
// first peak of its normalised autocorrelation that comes near the highest one,
// so that a multiple of the period is not taken for it. Strength is 1 for a
// perfect repetition. The newest n of the ring are looked at, less their mean.
func Period(r *Ring, n, lo, hi int) (lag int, strength float64) {
	n = min(n, r.Len())
	if lo < 1 || n < 2*hi {
		return 0, 0
	}
	mean := r.Mean(n)
	var c [64]float64
	hi = min(hi, len(c)-2)
	best := 0.0
	for l := lo - 1; l <= hi+1; l++ {
		c[l] = correlate(r, n, l, mean)
		if l >= lo && l <= hi {
			best = max(best, c[l])
		}
	}
	for l := lo; l <= hi; l++ {
		if c[l] >= 0.85*best && c[l] >= c[l-1] && c[l] > c[l+1] {
			return l, c[l]
		}
	}
	return 0, 0
}

// correlate is the correlation of the newest n with themselves, lag earlier.
func correlate(r *Ring, n, lag int, mean Vec) float64 {
	var ab, aa, bb float64
	for i := 0; i+lag < n; i++ {
		a, b := r.At(i).Sub(mean), r.At(i+lag).Sub(mean)
		ab, aa, bb = ab+a.Dot(b), aa+a.Square(), bb+b.Square()
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
