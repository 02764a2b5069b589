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
	Level    float64   `json:"level_spread_db"` // of the whole
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
	if b.Version != version || len(b.Mean) != len(b.Spread) || len(b.Mean) == 0 || len(b.Mean) > maxBands || !(b.Rate > 0) || !(b.Level > 0) {
		return nil, core.E(core.KindDamaged, op, "the baseline is not one of this version")
	}
	for _, s := range b.Spread {
		if !(s > 0) {
			return nil, core.E(core.KindDamaged, op, "a band of the baseline has no spread")
		}
	}
	return b, nil
}

// gather learns how levels are and how they vary: of single segments, and of
// the medians of runs of them, which is what is judged later.
type gather struct {
	single, runs moments
	level        moments // of the whole, run by run
	run          middle
}

// moments are the sums that a mean and a spread are made of, band by band.
type moments struct {
	n       int
	sum, sq []float64
}

func (m *moments) put(db []float64) {
	if len(m.sum) != len(db) {
		*m = moments{sum: make([]float64, len(db)), sq: make([]float64, len(db))}
	}
	for i, v := range db {
		m.sum[i], m.sq[i] = m.sum[i]+v, m.sq[i]+v*v
	}
	m.n++
}

func (m *moments) at(i int) (mean, spread float64) {
	mean = m.sum[i] / float64(m.n)
	return mean, math.Sqrt(max(m.sq[i]/float64(m.n)-mean*mean, 0))
}

func (g *gather) put(db []float64) {
	g.single.put(db)
	g.run.put(db)
	if g.run.n%len(g.run.rows) == 0 {
		now := g.run.median()
		g.runs.put(now)
		g.level.put([]float64{total(now)})
	}
}

// What a spread is believed to be at least, in dB, and by how much the median of
// a run varies less than a segment.
const (
	least  = 0.4
	calmer = 2.5
)

func (g *gather) baseline(rate float64) *baseline {
	b := &baseline{Version: version, Rate: tidy(rate), Segments: g.single.n, Level: least}
	for i := range g.single.sum {
		mean, spread := g.single.at(i)
		spread /= calmer
		if g.runs.n >= 2 {
			m, s := g.runs.at(i)
			mean, spread = m, max(spread, 1.2*s)
		}
		b.Mean = append(b.Mean, tidy(mean))
		b.Spread = append(b.Spread, tidy(max(spread, least)))
	}
	if g.level.n >= 2 {
		_, s := g.level.at(0)
		b.Level = tidy(max(1.2*s, least))
	}
	return b
}

func tidy(v float64) float64 { return math.Round(v*100) / 100 }

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
