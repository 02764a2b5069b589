package signal

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Spectrum takes samples at their own times and yields, segment by segment, how
// much energy lies in bands that are a fixed part of an octave wide. The three
// axes are summed, so it does not matter how the sensor is mounted.
//
// It measures the rate first (the median interval of the first samples), draws
// the samples onto an even grid of that rate and takes segments that overlap by
// half, under a Hann window. After that it allocates nothing.
type Spectrum struct {
	Rate  float64 // samples a second, 0 while it is being measured
	Lo    float64 // the lower edge of the first band, Hz
	bands int
	edges []int // of the bands, in lines of the transform

	intervals []float64
	early     []Sample
	grid      *Grid
	ring      [3][]float64
	fill      int
	fft       *fourier.FFT
	window    []float64
	work      []float64
	coeff     []complex128
	power     []float64
	out       []float64
}

// The bands: six an octave from 2 Hz up to eight tenths of half the rate, beyond
// which an even grid drawn from uneven samples is not to be trusted.
const (
	BandsPerOctave = 6
	lowest         = 2.0
	usable         = 0.8
	measured       = 48 // intervals
	segment        = 2.0
	longestSegment = 16384
	bridged        = 64 // samples that may be missing in a row
)

// Put takes a sample, the times of which must rise, and returns the energies in
// (g rms)² of the bands when a segment is complete, else nil. What it returns is
// overwritten by the next segment.
func (s *Spectrum) Put(x Sample) []float64 {
	if s.Rate == 0 {
		s.measure(x)
		return nil
	}
	return s.put(x)
}

func (s *Spectrum) measure(x Sample) {
	if n := len(s.early); n > 0 {
		s.intervals = append(s.intervals, (x.At - s.early[n-1].At).Seconds())
	}
	s.early = append(s.early, x)
	if len(s.intervals) < measured {
		return
	}
	s.begin(1 / interval(s.intervals))
	for _, e := range s.early {
		s.put(e)
	}
	s.early, s.intervals = nil, nil
}

// interval is the sampling interval behind a number of them: their median, which
// holes and stragglers do not touch, or where samples come in bursts, with times
// of the burst, their mean.
func interval(all []float64) float64 {
	slices.Sort(all)
	mean := 0.0
	for _, d := range all {
		mean += d / float64(len(all))
	}
	if median := all[len(all)/2]; median > mean/4 {
		return median
	}
	return mean
}

// begin sets everything up for a rate.
func (s *Spectrum) begin(rate float64) {
	s.Rate = min(max(rate, 1), 1e5)
	n := 16
	for float64(2*n) <= s.Rate*segment && n < longestSegment {
		n *= 2
	}
	width := time.Duration(float64(time.Second) / s.Rate)
	s.grid = NewGrid(width, bridged*width)
	for k := range s.ring {
		s.ring[k] = make([]float64, n)
	}
	s.fft, s.window = fourier.NewFFT(n), make([]float64, n)
	for i := range s.window {
		s.window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(n))
	}
	s.work, s.coeff, s.power = make([]float64, n), make([]complex128, n/2+1), make([]float64, n/2+1)
	s.lay(n)
}

// lay lays the bands over the lines of the transform. A band narrower than a
// line is left out: there is nothing in it to tell from its neighbour.
func (s *Spectrum) lay(n int) {
	line := s.Rate / float64(n)
	s.Lo = lowest
	for f := lowest; ; f *= math.Exp2(1.0 / BandsPerOctave) {
		s.edges = append(s.edges, int(math.Ceil(f/line)))
		if f*math.Exp2(1.0/BandsPerOctave) > usable*s.Rate/2 {
			break
		}
	}
	s.bands = len(s.edges) - 1
	s.out = make([]float64, max(s.bands, 0))
}

func (s *Spectrum) put(x Sample) []float64 {
	if s.grid.Put(x) {
		s.fill = 0
	}
	var done []float64
	for b, ok := s.grid.Take(); ok; b, ok = s.grid.Take() {
		s.ring[0][s.fill], s.ring[1][s.fill], s.ring[2][s.fill] = b.Mean.X, b.Mean.Y, b.Mean.Z
		if s.fill++; s.fill == len(s.window) {
			done = s.transform()
			half := s.fill / 2
			for k := range s.ring {
				copy(s.ring[k], s.ring[k][half:])
			}
			s.fill = half
		}
	}
	return done
}

// transform computes one segment.
func (s *Spectrum) transform() []float64 {
	n := len(s.window)
	clear(s.power)
	for k := range s.ring {
		mean := 0.0
		for _, v := range s.ring[k] {
			mean += v
		}
		mean /= float64(n)
		for i, v := range s.ring[k] {
			s.work[i] = (v - mean) * s.window[i]
		}
		for i, c := range s.fft.Coefficients(s.coeff, s.work) {
			s.power[i] += real(c)*real(c) + imag(c)*imag(c)
		}
	}
	// A Hann window keeps 3/8 of the energy; the other half of a real signal's
	// spectrum mirrors this one.
	k := 2 / (float64(n) * float64(n) * 0.375)
	for b := range s.out {
		sum := 0.0
		for i := s.edges[b]; i < s.edges[b+1] && i < len(s.power); i++ {
			sum += s.power[i]
		}
		s.out[b] = sum * k
	}
	return s.out
}

// Bands is how many there are, 0 while the rate is being measured.
func (s *Spectrum) Bands() int { return s.bands }

// Empty says that no line of the transform falls into a band.
func (s *Spectrum) Empty(b int) bool { return s.edges[b] >= s.edges[b+1] }

// Hertz returns the middle of a band.
func Hertz(b int) float64 { return lowest * math.Exp2((float64(b)+0.5)/BandsPerOctave) }

// Decibel returns an energy in dB relative to (1 g)², no lower than the energy
// of a tenth of a microgravity.
func Decibel(energy float64) float64 { return 10 * math.Log10(max(energy, 1e-14)) }
