// Package anomaly judges whether the numbers of a sensor are as they usually
// are. For each it learns a level that follows slowly, how far values are
// usually from it and, where that is wanted, what the hour of the day adds; the
// score is by how many usual deviations the numbers are away, for how long. An
// event names the signals that made it, with what was expected of each.
//
// It stands on any driver that measures and is pure. It is for what no limit
// catches, so it is slow and seldom speaks: its test publishes what it finds and
// how often it is wrong on labelled recordings. What it has learned survives a
// restart, and people can say by an order that what is unusual now is as it
// should be.
package anomaly

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
	"github.com/interlock-security/interlock/device/sensor"
)

// Doc describes the judge.
var Doc = sensor.Doc{
	Name: "anomaly", Senses: "numbers that are not as they usually are, with the ones that contribute",
	Interface: "numbers of the sensor (iio, hwmon, power)", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "anomaly", Severity: core.SeverityMedium, Meaning: "numbers are not as they usually are; `signals` names them, with value, expected value and score. An alarm where that is configured"},
		{Type: "anomaly_over", Severity: core.SeverityInfo, Meaning: "they are as usual again, or have become usual"},
	},
	Tested: []sensor.Tested{sensor.TestedTrace, sensor.TestedSimulator},
}

const (
	pointAnomaly = "anomaly"
	// maxSignals bounds what is learned.
	maxSignals = 32
	// maxNamed is how many signals an event names.
	maxNamed = 5
	// keepEvery is how often what was learned is worth writing down.
	keepEvery = 6 * time.Hour
	// contributes is the least score of a signal that counts.
	contributes = 1.25
	memoryV     = 1
	maxMemory   = 64 << 10
)

// Judge learns the numbers of one sensor; see [New].
type Judge struct {
	cfg     Config
	signals map[string]*signal
	units   map[string]sensor.Unit
	active  bool
	// offered is the hash of what the last event said, for an order to name.
	offered string
	kept    time.Time
	changed bool
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Judge{cfg: c.withDefaults(), signals: map[string]*signal{}, units: map[string]sensor.Unit{}}, nil
}

// Judge implements monitor.Judge.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Measure || math.IsNaN(r.Value) || math.Abs(r.Value) > 1e12 || !j.learns(r.Point) {
		return nil
	}
	s, known := j.signals[r.Point]
	if !known {
		if len(j.signals) >= maxSignals {
			return nil
		}
		s = &signal{}
		j.signals[r.Point] = s
	}
	j.units[r.Point] = r.Unit
	if !s.add(now, r.Value, j.cfg) {
		return nil
	}
	if now.Sub(j.kept) >= keepEvery {
		j.kept, j.changed = now, true
	}
	return j.conclude(now)
}

func (j *Judge) learns(point string) bool {
	return len(j.cfg.Points) == 0 || slices.ContainsFunc(j.cfg.Points, func(p string) bool { return hold.Match(p, point) })
}

// Tick implements monitor.Judge.
func (j *Judge) Tick(time.Time) []sensor.Reading { return nil }

// Next implements monitor.Judge.
func (j *Judge) Next() time.Time { return time.Time{} }

// score is that of all signals together: the fourth root of the sum of their
// fourth powers, so that several that are each a little unusual count for more,
// and many usual ones for nothing.
func (j *Judge) score() float64 {
	sum := 0.0
	for _, s := range j.signals {
		if u := s.unusual(j.cfg); u >= contributes {
			sum += u * u * u * u
		}
	}
	return math.Sqrt(math.Sqrt(sum))
}

func (j *Judge) conclude(now time.Time) []sensor.Reading {
	score := j.score()
	switch {
	case !j.active && score >= j.cfg.Threshold:
		j.active = true
	case j.active && score < j.cfg.Threshold/2:
		j.active = false
	default:
		return nil
	}
	return []sensor.Reading{j.level(now, score)}
}

// contribution is one signal of an event.
type contribution struct {
	Point    string      `json:"point"`
	Value    float64     `json:"value"`
	Expected float64     `json:"expected"`
	Unit     sensor.Unit `json:"unit"`
	Score    float64     `json:"score"`
}

func (j *Judge) level(now time.Time, score float64) sensor.Reading {
	named := []contribution{}
	for point, s := range j.signals {
		if u := s.unusual(j.cfg); u >= contributes {
			named = append(named, contribution{sensor.Text(point), round(s.value), round(s.expected(now, j.cfg)), j.units[point], round(u)})
		}
	}
	slices.SortFunc(named, func(a, b contribution) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Point, b.Point))
	})
	fields := map[string]any{"score": round(score), "threshold": j.cfg.Threshold, "signals": named[:min(len(named), maxNamed)]}
	j.offered = ""
	if j.active {
		j.offered = hash(named)
		fields["baseline"] = j.offered
	}
	return sensor.Reading{
		Kind: sensor.Level, Point: pointAnomaly, Type: "anomaly", Clear: "anomaly_over", Active: j.active, Settled: true, Unlatched: true,
		Alarm: j.cfg.Alarm, Severity: core.SeverityMedium, Fields: sensor.Fields(fields),
	}
}

func hash(named []contribution) string {
	b, _ := json.Marshal(named) // finite numbers and strings always marshal
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

// memory is what is kept.
type memory struct {
	V       int                `json:"v"`
	Signals map[string]*signal `json:"signals"`
}

// Recall implements monitor.Learner.
func (j *Judge) Recall(kept []byte) error {
	if len(kept) == 0 {
		return nil
	}
	var m memory
	d := json.NewDecoder(bytes.NewReader(kept))
	d.DisallowUnknownFields()
	if len(kept) > maxMemory {
		return core.E(core.KindTooLarge, "anomaly.Recall", fmt.Sprintf("%d bytes; at most %d", len(kept), maxMemory))
	}
	if err := d.Decode(&m); err != nil {
		return core.Wrap(core.KindDamaged, "anomaly.Recall", err)
	}
	if m.V != memoryV || len(m.Signals) > maxSignals {
		return core.E(core.KindDamaged, "anomaly.Recall", fmt.Sprintf("version %d with %d signals", m.V, len(m.Signals)))
	}
	for point, s := range m.Signals {
		if s == nil || !s.fit() {
			return core.E(core.KindDamaged, "anomaly.Recall", fmt.Sprintf("what is kept of %s can't be", sensor.Text(point)))
		}
		s.known = true
	}
	j.signals = m.Signals
	if j.signals == nil {
		j.signals = map[string]*signal{}
	}
	return nil
}

// Memory implements monitor.Learner. What is learned changes all the time and is
// worth keeping some times a day.
func (j *Judge) Memory() (kept []byte, changed bool) {
	changed, j.changed = j.changed, false
	m := memory{V: memoryV, Signals: map[string]*signal{}}
	for point, s := range j.signals {
		if s.known {
			m.Signals[point] = s.compact()
		}
	}
	b, err := json.Marshal(m)
	if err != nil { // a number that JSON has no word for
		return nil, false
	}
	return b, changed
}

// Accept implements monitor.Learner: what the event with this baseline called
// unusual is usual from now on.
func (j *Judge) Accept(now time.Time, sum string) ([]sensor.Reading, error) {
	if !j.active || j.offered == "" || sum != j.offered {
		return nil, core.E(core.KindConflict, "anomaly.Accept", "no anomaly with this baseline is going on").
			WithHint("take the baseline of the last anomaly event")
	}
	for _, point := range slices.Sorted(maps.Keys(j.signals)) {
		if s := j.signals[point]; s.unusual(j.cfg) >= contributes {
			s.Level += s.value - s.expected(now, j.cfg)
			s.score, s.quick = 0, 0
		}
	}
	j.active, j.changed = false, true
	return []sensor.Reading{j.level(now, j.score())}, nil
}
