package signal

import "time"

// Bin is one step of an even grid: the mean of the samples in it, or where
// there was none the straight line between its neighbours.
type Bin struct {
	At   time.Duration // its middle
	Mean Vec
	N    int // samples in it, 0 where it was drawn
}

// Grid puts samples with times of their own onto an even grid. Above the grid's
// rate it averages, which is also the low-pass that the lower rate needs; below
// it draws lines. A hole longer than MaxGap is not bridged: the grid starts
// anew and says so.
type Grid struct {
	Width  time.Duration
	MaxGap time.Duration

	start  time.Duration // of the bin that is filling
	sum    Vec
	n      int
	last   Sample
	begun  bool
	queue  []Bin
	queued int
	taken  int
}

// Sample is a vector and its time.
type Sample struct {
	At time.Duration
	V  Vec
}

// NewGrid returns a grid of bins of the given width.
func NewGrid(width, maxGap time.Duration) *Grid {
	return &Grid{Width: width, MaxGap: maxGap, queue: make([]Bin, int(maxGap/width)+2)}
}

// Put takes a sample, the times of which must rise, and says whether the grid
// had to start anew because of a hole. The bins that it completes are taken with
// Take before the next Put.
func (g *Grid) Put(s Sample) (gap bool) {
	g.queued, g.taken = 0, 0
	if gap = g.begun && s.At-g.last.At > g.MaxGap; gap || !g.begun {
		g.start, g.sum, g.n, g.begun = s.At, Vec{}, 0, true
	}
	for s.At >= g.start+g.Width {
		g.finish(s)
	}
	g.sum, g.n, g.last = g.sum.Add(s.V), g.n+1, s
	return gap
}

// finish completes the bin that is filling; s is the first sample behind it.
func (g *Grid) finish(s Sample) {
	b := Bin{At: g.start + g.Width/2, N: g.n}
	if g.n > 0 {
		b.Mean = g.sum.Mul(1 / float64(g.n))
	} else {
		b.Mean = between(g.last, s, b.At)
	}
	if g.queued < len(g.queue) {
		g.queue[g.queued] = b
		g.queued++
	}
	g.start, g.sum, g.n = g.start+g.Width, Vec{}, 0
}

func between(a, b Sample, at time.Duration) Vec {
	if b.At <= a.At {
		return b.V
	}
	k := float64(at-a.At) / float64(b.At-a.At)
	k = min(max(k, 0), 1)
	return a.V.Add(b.V.Sub(a.V).Mul(k))
}

// Take returns the next completed bin.
func (g *Grid) Take() (Bin, bool) {
	if g.taken == g.queued {
		return Bin{}, false
	}
	g.taken++
	return g.queue[g.taken-1], true
}

// Reset makes the next sample the first.
func (g *Grid) Reset() { g.begun, g.queued, g.taken = false, 0, 0 }
