package vibration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/signal"
)

// baseline is how it sounds when all is well: per band the mean level in dB and
// its spread. It is what is kept, some hundred numbers.
type baseline struct {
	Version  int       `json:"version"`
	Rate     float64   `json:"rate_hz"`
	Segments int       `json:"segments"`
	Mean     []float64 `json:"mean_db"`
	Spread   []float64 `json:"spread_db"`
}

// The limits of a memory.
const (
	version  = 1
	maxBands = 120
	maxBytes = 64 << 10
)

func (b *baseline) encode() []byte {
	out, err := json.Marshal(b)
	if err != nil {
		return nil // numbers always marshal
	}
	return out
}

func (b *baseline) hash() string {
	sum := sha256.Sum256(b.encode())
	return hex.EncodeToString(sum[:])
}

func decode(memory []byte) (*baseline, error) {
	const op = "vibration.Recall"
	if len(memory) > maxBytes {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("the baseline has %d bytes, more than %d", len(memory), maxBytes))
	}
	b := &baseline{}
	if err := json.Unmarshal(memory, b); err != nil {
		return nil, core.Wrap(core.KindDamaged, op, err)
	}
	if b.Version != version || len(b.Mean) != len(b.Spread) || len(b.Mean) == 0 || len(b.Mean) > maxBands || !(b.Rate > 0) {
		return nil, core.E(core.KindDamaged, op, "the baseline is not one of this version")
	}
	for _, s := range b.Spread {
		if !(s > 0) {
			return nil, core.E(core.KindDamaged, op, "a band of the baseline has no spread")
		}
	}
	return b, nil
}

// gather sums levels up to means and spreads.
type gather struct {
	n        int
	sum, sq  []float64
	attempts int
}

func (g *gather) put(db []float64) {
	if len(g.sum) != len(db) {
		*g = gather{sum: make([]float64, len(db)), sq: make([]float64, len(db))}
	}
	for i, v := range db {
		g.sum[i], g.sq[i] = g.sum[i]+v, g.sq[i]+v*v
	}
	g.n++
}

// least is the smallest spread that a band is believed to have, in dB.
const least = 0.5

func (g *gather) baseline(rate float64) *baseline {
	b := &baseline{Version: version, Rate: math.Round(rate*100) / 100, Segments: g.n}
	for i := range g.sum {
		mean := g.sum[i] / float64(g.n)
		spread := math.Sqrt(max(g.sq[i]/float64(g.n)-mean*mean, 0))
		b.Mean = append(b.Mean, math.Round(mean*100)/100)
		b.Spread = append(b.Spread, math.Round(max(spread, least)*100)/100)
	}
	return b
}

// middle keeps the last segments and gives the median of each band: one knock,
// one slammed door is not how a machine sounds.
type middle struct {
	rows [8][]float64
	n    int
	sort [8]float64
	out  []float64
}

func (m *middle) put(db []float64) {
	row := &m.rows[m.n%len(m.rows)]
	*row = append((*row)[:0], db...)
	m.n++
}

func (m *middle) full() bool { return m.n >= len(m.rows) }

func (m *middle) median() []float64 {
	bands := len(m.rows[0])
	if len(m.out) != bands {
		m.out = make([]float64, bands)
	}
	n := min(m.n, len(m.rows))
	for b := range bands {
		for i, row := range m.rows[:n] {
			m.sort[i] = row[b]
		}
		slices.Sort(m.sort[:n])
		m.out[b] = (m.sort[(n-1)/2] + m.sort[n/2]) / 2
	}
	return m.out
}

func (m *middle) reset() { m.n = 0 }

func total(db []float64) float64 {
	sum := 0.0
	for _, v := range db {
		sum += math.Pow(10, v/10)
	}
	return signal.Decibel(sum)
}
