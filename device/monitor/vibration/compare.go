package vibration

import (
	"fmt"
	"math"
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
	floor := signal.Decibel(c.Floor * c.Floor)
	f.Level = total(now[:n]) - total(base.Mean[:n])
	strength := 0.0
	for b := range n {
		was, is := max(base.Mean[b], floor), max(now[b], floor)
		if was == floor && is == floor {
			continue
		}
		f.usable++
		delta := is - was
		limit := max(c.Change, c.Spread*base.Spread[b])
		strength += min(math.Abs(delta)/limit, 3)
		if math.Abs(delta) > math.Abs(f.Worst) {
			f.Worst, f.At = delta, signal.Hertz(b)
		}
		if math.Abs(delta) >= limit {
			f.bands++
			f.tone(base, now, b, delta, n)
		}
	}
	if f.usable == 0 {
		return f, false
	}
	f.Share = float64(f.bands) / float64(f.usable)
	f.score = min(0.4+0.4*strength/float64(f.usable)+f.Share/2, 1)
	f.name()
	f.told = max(c.Change/2, c.Spread*base.Level)
	loudness := math.Abs(f.Level) >= f.told
	tones := len(f.Came)+len(f.Went) > 0
	return f, loudness || f.bands > 0 && (f.Share >= c.Share || tones)
}

// tone notes a band that rises out of its neighbours now or did before, and
// that matters in the whole.
func (f *Finding) tone(base *baseline, now []float64, b int, delta float64, n int) {
	const rises, matters = 5.0, 20.0 // dB over the neighbours, below the whole
	hertz := math.Round(signal.Hertz(b)*10) / 10
	if delta > 0 && peak(now[:n], b) >= rises && now[b] >= total(now[:n])-matters {
		f.Came = append(f.Came, hertz)
	}
	if delta < 0 && peak(base.Mean[:n], b) >= rises && base.Mean[b] >= total(base.Mean[:n])-matters {
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
