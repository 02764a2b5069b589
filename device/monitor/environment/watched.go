package environment

import (
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
	"github.com/interlock-security/interlock/device/sensor"
)

// side is on which side of its limits a value is.
type side int8

const (
	criticalLow side = iota - 2
	warnLow
	within
	warnHigh
	criticalHigh
)

var sideNames = map[side]string{criticalLow: "low", warnLow: "low", warnHigh: "high", criticalHigh: "high"}

// watched is the state of one point.
type watched struct {
	point              string
	rule               Rule
	kind               kind
	side, safe, change hold.State[side]
	trail              trail
	moves              bool // it has been on its calm side, or people named it
	seen               time.Time
	silent             bool
}

func newWatched(point string, r Rule, named bool) *watched {
	w := &watched{point: point, rule: r, kind: kinds[r.Kind], moves: named}
	w.side.Set(within)
	w.safe.Set(within)
	w.change.Set(within)
	return w
}

func (w *watched) due() time.Time {
	if w.silent || w.rule.Stale == 0 || w.seen.IsZero() || w.rule.Kind == KindIgnore {
		return time.Time{}
	}
	return w.seen.Add(w.rule.Stale)
}

// connected says whether something hangs on an input that nobody named: a fan
// that never turned is a header without a fan, and a chip's temperature at the
// end of its scale is an input without a probe.
func (w *watched) connected(v float64) bool {
	switch w.rule.Kind {
	case KindFan:
		return w.rule.CriticalLow == nil || v > *w.rule.CriticalLow+w.rule.Hysteresis
	case KindChip:
		return v > -55 && v < 125
	}
	return true
}

// see takes one value.
func (w *watched) see(now time.Time, r sensor.Reading) (said []sensor.Reading) {
	w.seen = now
	if w.silent {
		w.silent = false
		said = append(said, sensor.Reading{Kind: sensor.Measure, Point: w.point, Value: r.Value, Unit: r.Unit})
	}
	if w.moves = w.moves || w.connected(r.Value); !w.moves {
		return said
	}
	return append(said, slices.Concat(w.limits(now, r), w.safety(now, r), w.speed(now, r))...)
}

// limits compares a value with the limits. One that is beyond a limit is within
// it again only by the hysteresis.
func (w *watched) limits(now time.Time, r sensor.Reading) []sensor.Reading {
	was, _ := w.side.Now()
	if !w.side.See(now, w.sideOf(r.Value, was), w.rule.Hold) {
		return nil
	}
	is, _ := w.side.Now()
	return w.told(was, is, r)
}

func (w *watched) sideOf(v float64, was side) side {
	for _, l := range []struct {
		side  side
		limit *float64
		low   bool
	}{{criticalLow, w.rule.CriticalLow, true}, {criticalHigh, w.rule.CriticalHigh, false}, {warnLow, w.rule.WarnLow, true}, {warnHigh, w.rule.WarnHigh, false}} {
		if l.limit == nil {
			continue
		}
		limit := *l.limit
		if back := w.rule.Hysteresis; was == l.side || l.low && was < l.side || !l.low && was > l.side {
			if l.low {
				limit += back
			} else {
				limit -= back
			}
		}
		if l.low && v < limit || !l.low && v > limit {
			return l.side
		}
	}
	return within
}

// told makes levels of a change: what is over ends, what is new begins. What is
// beyond the limit to alarm at is beyond the one to warn at as well.
func (w *watched) told(was, is side, r sensor.Reading) (said []sensor.Reading) {
	before, after := w.sides(was), w.sides(is)
	for _, s := range before {
		if level, ok := w.word(s); ok && !slices.Contains(after, s) {
			said = append(said, w.level(level, false, s, r))
		}
	}
	for _, s := range after {
		if level, ok := w.word(s); ok && !slices.Contains(before, s) {
			said = append(said, w.level(level, true, s, r))
		}
	}
	return said
}

// sides are all the limits that a value is beyond.
func (w *watched) sides(s side) []side {
	switch {
	case s == criticalLow && w.rule.WarnLow != nil:
		return []side{warnLow, criticalLow}
	case s == criticalHigh && w.rule.WarnHigh != nil:
		return []side{warnHigh, criticalHigh}
	case s == within:
		return nil
	}
	return []side{s}
}

// level fills in what every level of the point has. Each side has its own point,
// since a value may go from one to the other.
func (w *watched) level(l sensor.Reading, active bool, s side, r sensor.Reading) sensor.Reading {
	l.Kind, l.Active, l.Settled, l.Point = sensor.Level, active, true, w.point+"/"+l.Point
	fields := map[string]any{"value": math.Round(r.Value*1000) / 1000, "unit": r.Unit, "measured": sensor.Text(w.point)}
	if name := sideNames[s]; name != "" {
		fields["side"] = name
	}
	if limit := w.limit(s); limit != nil {
		fields["limit"] = *limit
	}
	if l.Type == typeSafety && active {
		fields["limit"], fields["safe_state"] = w.safeLimit(s), "requested"
	}
	l.Fields = sensor.Fields(fields)
	return l
}

func (w *watched) limit(s side) *float64 {
	return map[side]*float64{criticalLow: w.rule.CriticalLow, warnLow: w.rule.WarnLow, warnHigh: w.rule.WarnHigh, criticalHigh: w.rule.CriticalHigh}[s]
}

func (w *watched) safeLimit(s side) *float64 {
	if s == criticalLow {
		return w.rule.SafeLow
	}
	return w.rule.SafeHigh
}

// safety compares with the limits that stand apart. Nothing else of the rule
// changes what they do, and what they find latches.
func (w *watched) safety(now time.Time, r sensor.Reading) []sensor.Reading {
	v, is := r.Value, within
	was, _ := w.safe.Now()
	back := func(s side) float64 {
		if was == s {
			return w.rule.Hysteresis
		}
		return 0
	}
	switch {
	case w.rule.SafeLow != nil && v < *w.rule.SafeLow+back(criticalLow):
		is = criticalLow
	case w.rule.SafeHigh != nil && v > *w.rule.SafeHigh-back(criticalHigh):
		is = criticalHigh
	}
	if !w.safe.See(now, is, min(w.rule.Hold, time.Second)) {
		return nil
	}
	l := sensor.Reading{Point: "safety", Type: typeSafety, Clear: "safety_limit_over", Severity: core.SeverityCritical, Alarm: true}
	return []sensor.Reading{w.level(l, is != within, is, r)}
}

const typeSafety = "safety_limit"

// speed compares how fast a value changes with what the rule allows.
func (w *watched) speed(now time.Time, r sensor.Reading) []sensor.Reading {
	if w.rule.Fall == 0 && w.rule.Rise == 0 {
		return nil
	}
	fell, rose := w.trail.add(now, r.Value)
	was, _ := w.change.Now()
	is := within
	switch {
	case w.rule.Fall > 0 && (fell >= w.rule.Fall || was == warnLow && fell >= w.rule.Fall/2):
		is = warnLow
	case w.rule.Rise > 0 && (rose >= w.rule.Rise || was == warnHigh && rose >= w.rule.Rise/2):
		is = warnHigh
	}
	if !w.change.See(now, is, min(w.rule.Hold, 2*time.Second)) {
		return nil
	}
	var said []sensor.Reading
	for _, s := range []side{was, is} {
		if l, ok := w.changing(s); ok {
			said = append(said, w.level(l, s == is, within, r))
		}
	}
	return said
}

// changing is the word of a fast change.
func (w *watched) changing(s side) (sensor.Reading, bool) {
	switch {
	case s == warnLow && w.kind.word == "temperature":
		return sensor.Reading{Point: "falling", Type: "temperature_falling", Clear: "temperature_steady", Severity: core.SeverityCritical, Alarm: true}, true
	case s == warnHigh && w.kind.word == "temperature":
		return sensor.Reading{Point: "rising", Type: "temperature_rising", Clear: "temperature_steady", Severity: core.SeverityHigh, Alarm: true, Unlatched: true}, true
	}
	return sensor.Reading{}, false
}

// word is what a side of a kind is called, and how bad it is. What light, a fan,
// water and smoke are has one word on either side.
func (w *watched) word(s side) (sensor.Reading, bool) {
	critical := s == criticalLow || s == criticalHigh
	switch w.rule.Kind {
	case KindLight:
		return sensor.Reading{Point: "light", Type: "light_in_case", Clear: "light_gone", Severity: core.SeverityHigh, Alarm: true}, s == criticalHigh
	case KindFan:
		return sensor.Reading{Point: "stopped", Type: "fan_stopped", Clear: "fan_turning", Severity: core.SeverityHigh, Alarm: true, Unlatched: true}, critical
	case KindWater:
		return sensor.Reading{Point: "water", Type: "water_detected", Clear: "water_gone", Severity: core.SeverityCritical, Alarm: true, Unlatched: true}, critical
	case KindSmoke:
		return sensor.Reading{Point: "smoke", Type: "smoke_detected", Clear: "smoke_gone", Severity: core.SeverityCritical, Alarm: true, Unlatched: true}, critical
	}
	return w.graded(s)
}

// graded are the words of what has limits to warn at and limits to alarm at.
func (w *watched) graded(s side) (sensor.Reading, bool) {
	l := sensor.Reading{Clear: w.kind.word + "_normal", Severity: core.SeverityMedium}
	switch s {
	case criticalLow, criticalHigh:
		l.Point, l.Type, l.Clear = "critical", w.kind.word+"_critical", w.kind.word+"_eased"
		l.Alarm, l.Unlatched, l.Severity = true, true, core.SeverityHigh
		if w.kind.word == "temperature" {
			l.Severity = core.SeverityCritical
		}
	case warnLow:
		l.Point, l.Type = "low", w.kind.word+"_low"
	case warnHigh:
		l.Point, l.Type = "high", w.kind.word+"_high"
	case within:
		return sensor.Reading{}, false
	}
	return l, true
}

// trail is what a value was during the last minutes, for how fast it changes.
type trail struct {
	marks []mark
	last  [3]float64 // values, for their median
	count int
}

type mark struct {
	at time.Time
	v  float64
}

const (
	window   = time.Minute
	markGap  = time.Second
	maxMarks = 64
)

// add takes a value and returns by how much it fell and rose within a minute, or
// would have at this pace. One odd value counts for nothing.
func (t *trail) add(now time.Time, v float64) (fell, rose float64) {
	t.last[t.count%3] = v
	if t.count++; t.count < 3 {
		return 0, 0
	}
	sorted := t.last
	slices.Sort(sorted[:])
	mid := sorted[1]
	for _, m := range t.marks {
		part := 1.0
		if age := now.Sub(m.at); age > window {
			part = window.Seconds() / age.Seconds()
		}
		fell, rose = max(fell, (m.v-mid)*part), max(rose, (mid-m.v)*part)
	}
	if n := len(t.marks); n == 0 || now.Sub(t.marks[n-1].at) >= markGap {
		t.marks = append(t.marks, mark{now, mid})
	}
	if len(t.marks) > maxMarks {
		t.marks = slices.Delete(t.marks, 0, len(t.marks)-maxMarks)
	}
	return fell, rose
}
