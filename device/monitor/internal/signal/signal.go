// Package signal is the little signal processing that the judges of
// acceleration share: vectors, samples put onto an even grid by their own
// times, means over a ring, spectra, noise floors.
//
// Everything works on time stamps, never on a promised rate: sensors deliver
// at 20 Hz or at 4 kHz, unevenly, with holes. Memory is bounded and allocated
// when a thing is made; taking a sample allocates nothing.
package signal

import (
	"math"
)

// Vec is a vector of acceleration, in g.
type Vec struct{ X, Y, Z float64 }

// Add returns a + b.
func (a Vec) Add(b Vec) Vec { return Vec{a.X + b.X, a.Y + b.Y, a.Z + b.Z} }

// Sub returns a - b.
func (a Vec) Sub(b Vec) Vec { return Vec{a.X - b.X, a.Y - b.Y, a.Z - b.Z} }

// Mul returns a times k.
func (a Vec) Mul(k float64) Vec { return Vec{a.X * k, a.Y * k, a.Z * k} }

// Dot returns the inner product.
func (a Vec) Dot(b Vec) float64 { return a.X*b.X + a.Y*b.Y + a.Z*b.Z }

// Square returns the squared length.
func (a Vec) Square() float64 { return a.Dot(a) }

// Len returns the length.
func (a Vec) Len() float64 { return math.Sqrt(a.Square()) }

// most is the largest value of an axis that is believed, whatever its unit: the
// square of more would not stay a number for long.
const most = 1e6

// Sane says that each component is a number that a sensor could have measured.
func (a Vec) Sane() bool {
	return math.Abs(a.X) <= most && math.Abs(a.Y) <= most && math.Abs(a.Z) <= most
}

// Angle returns the angle between two vectors in degrees, 0 where one of them
// has no direction. The arctangent keeps small angles exact, where the
// arccosine loses them.
func Angle(a, b Vec) float64 {
	cross := Vec{a.Y*b.Z - a.Z*b.Y, a.Z*b.X - a.X*b.Z, a.X*b.Y - a.Y*b.X}
	if a.Square() == 0 || b.Square() == 0 {
		return 0
	}
	return math.Atan2(cross.Len(), a.Dot(b)) * 180 / math.Pi
}

// Low is a low-pass of first order that steps by time.
type Low struct {
	Value Vec
	Tau   float64 // seconds
	begun bool
}

// Put takes a value dt seconds after the last one. The first one is taken as it
// is: a filter that starts at zero would see a lift in every start.
func (l *Low) Put(v Vec, dt float64) Vec {
	if !l.begun {
		l.Value, l.begun = v, true
		return v
	}
	k := 1 - math.Exp(-dt/l.Tau)
	l.Value = l.Value.Add(v.Sub(l.Value).Mul(k))
	return l.Value
}

// Reset makes the next value the first.
func (l *Low) Reset() { l.begun = false }

// Ring holds the last vectors of an even grid and their running sum.
type Ring struct {
	data []Vec
	next int
	n    int
}

// NewRing returns a ring of the given size.
func NewRing(size int) *Ring { return &Ring{data: make([]Vec, size)} }

// Put adds a vector, dropping the oldest when full.
func (r *Ring) Put(v Vec) {
	r.data[r.next] = v
	r.next = (r.next + 1) % len(r.data)
	r.n = min(r.n+1, len(r.data))
}

// Len is how many there are.
func (r *Ring) Len() int { return r.n }

// At returns the i-th from the newest, which is 0.
func (r *Ring) At(i int) Vec { return r.data[(r.next-1-i+2*len(r.data))%len(r.data)] }

// Mean is the mean of the newest k, or of all where there are fewer.
func (r *Ring) Mean(k int) Vec {
	k = min(k, r.n)
	if k == 0 {
		return Vec{}
	}
	var sum Vec
	for i := range k {
		sum = sum.Add(r.At(i))
	}
	return sum.Mul(1 / float64(k))
}

// Reset empties it.
func (r *Ring) Reset() { r.next, r.n = 0, 0 }
