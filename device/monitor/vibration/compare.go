package vibration

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/device/monitor/internal/signal"
)

// Finding is how a vibration differs from its baseline.
type Finding struct {
	Change string    `json:"change"` // louder, quieter, stopped, other
	Level  float64   `json:"level_db"`
	Came   []float64 `json:"new_hz,omitempty"`  // tones that were not there
	Went   []float64 `json:"lost_hz,omitempty"` // tones that are gone
	Share  float64   `json:"share"`             // of the bands that differ
	Worst  float64   `json:"worst_db"`
	At     float64   `json:"worst_hz"`
	score  float64
	bands  int
	usable int
	told   float64 // how much louder or quieter is a change by itself
}

// compare holds the present levels against the baseline. A sensor with another
// rate is compared as far as both hear.
func compare(c Config, base *baseline, now []float64) (f Finding, differs bool) {
	n := min(len(base.Mean), len(now))
	was, is := base.Mean[:n], now[:n]
	f.Level = total(is) - total(was)
	strength := 0.0
	for b := range n {
		strength += f.band(c, was, is, b, base.Spread[b])
	}
	if f.usable == 0 {
		return f, false
	}
	f.Share = float64(f.bands) / float64(f.usable)
	f.score = min(0.4+0.4*strength/float64(f.usable)+f.Share/2, 1)
	f.name()
	f.told = max(c.Change/2, c.Spread*base.Level)
	tones := len(f.Came)+len(f.Went) > 0
	return f, math.Abs(f.Level) >= f.told || f.bands > 0 && (f.Share >= c.Share || tones)
}

// band compares one band and returns by how much of its limit it differs.
func (f *Finding) band(c Config, was, is []float64, b int, spread float64) float64 {
	floor := signal.Decibel(c.Floor * c.Floor)
	if was[b] <= floor && is[b] <= floor {
		return 0
	}
	f.usable++
	delta := differ(was, is, b, floor)
	if math.Abs(delta) > math.Abs(f.Worst) {
		f.Worst, f.At = delta, signal.Hertz(b)
	}
	limit := max(c.Change, c.Spread*spread)
	if math.Abs(delta) >= limit {
		f.bands++
		f.tone(was, is, b, delta)
	}
	return min(math.Abs(delta)/limit, 3)
}

// differ is by how many dB a band rose or fell. A machine's speed wanders by some
// percent, and a tone at the edge of a band with it into the next: what moved
// there is neither new nor lost.
func differ(was, is []float64, b int, floor float64) float64 {
	up := max(is[b], floor) - max(around(was, b), floor)
	down := max(was[b], floor) - max(around(is, b), floor)
	switch {
	case up > 0 && up >= down:
		return up
	case down > 0:
		return -down
	}
	return 0
}

// around is the highest of a band and its neighbours.
func around(db []float64, b int) float64 {
	return slices.Max(db[max(b-1, 0):min(b+2, len(db))])
}

// tone notes a band that rises out of its neighbours now or did before, and
// that matters in the whole.
func (f *Finding) tone(was, is []float64, b int, delta float64) {
	const rises, matters = 5.0, 20.0 // dB over the neighbours, below the whole
	hertz := math.Round(signal.Hertz(b)*10) / 10
	if delta > 0 && peak(is, b) >= rises && is[b] >= total(is)-matters {
		f.Came = append(f.Came, hertz)
	}
	if delta < 0 && peak(was, b) >= rises && was[b] >= total(was)-matters {
		f.Went = append(f.Went, hertz)
	}
}

// peak is by how much a band exceeds the mean of the two on either side.
func peak(db []float64, b int) float64 {
	sum, n := 0.0, 0
	for _, i := range [...]int{b - 2, b + 2} {
		if i >= 0 && i < len(db) {
			sum, n = sum+db[i], n+1
		}
	}
	if n == 0 {
		return 0
	}
	return db[b] - sum/float64(n)
}

func (f *Finding) name() {
	switch {
	case f.Level <= -12:
		f.Change = "stopped"
	case f.Level <= -1.5:
		f.Change = "quieter"
	case f.Level >= 1.5:
		f.Change = "louder"
	default:
		f.Change = "other"
	}
}

var changes = map[string]string{
	"stopped": "the vibration of the baseline is all but gone",
	"quieter": "quieter than the baseline",
	"louder":  "louder than the baseline",
	"other":   "as loud as the baseline, but otherwise",
}

func (f Finding) why(c Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%+.1f dB in all, told from %.1f dB); %d of %d bands differ by %.0f dB and %.0f times their spread, most by %+.1f dB at %.0f Hz",
		changes[f.Change], f.Level, f.told, f.bands, f.usable, c.Change, c.Spread, f.Worst, f.At)
	tones(&b, "new tone at", f.Came)
	tones(&b, "lost tone at", f.Went)
	return b.String()
}

func tones(b *strings.Builder, what string, hertz []float64) {
	for i, h := range hertz {
		if i == 4 {
			fmt.Fprintf(b, " and %d more", len(hertz)-i)
			return
		}
		if i == 0 {
			fmt.Fprintf(b, "; %s", what)
		}
		fmt.Fprintf(b, " %.0f Hz", h)
	}
}
