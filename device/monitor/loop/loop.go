// Package loop judges supervised loops: a wire with resistors at its far end,
// read as a voltage. A closed case, an opened one, a cut wire, a short circuit
// and somebody else's resistor are different voltages, and different events.
//
// It stands on the iio driver, whose numbers it takes, and is pure. What it
// promises: a value that means none of the states for longer than Hold is a
// loop_tamper, noise at the border of a state is nothing, and a loop whose
// supply is gone is a fault and never calm.
package loop

import (
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
	Name: "loop", Senses: "a supervised loop: opened, cut, shorted, replaced by another resistor",
	Interface: "voltages of the sensor (iio)", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "case_intrusion", Severity: core.SeverityCritical, Alarm: true, Meaning: "the contact of the loop opened"},
		{Type: "case_closed", Severity: core.SeverityInfo, Meaning: "it is closed again; a latch stays"},
		{Type: "loop_cut", Severity: core.SeverityCritical, Alarm: true, Meaning: "the wire is cut: no current flows"},
		{Type: "loop_short", Severity: core.SeverityCritical, Alarm: true, Meaning: "the wire is shorted: it has no resistance"},
		{Type: "loop_tamper", Severity: core.SeverityCritical, Alarm: true, Meaning: "the loop has a resistance that it should never have, or a voltage from elsewhere"},
		{Type: "loop_unsteady", Severity: core.SeverityMedium, Meaning: "the loop leaves its state again and again, too shortly to count: somebody works on the wire, or it is bad"},
		{Type: "loop_restored", Severity: core.SeverityInfo, Meaning: "the loop can be read again; a latch stays"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// state is what a voltage means.
type state string

const (
	normal state = "normal"
	alarm  state = "alarm"
	cut    state = "cut"
	short  state = "short"
	tamper state = "tamper"
)

// events are the words of the states, in the order in which they are told.
var events = []struct {
	state       state
	suffix      string // of the point
	kind, clear string
}{
	{cut, "/cut", "loop_cut", "loop_restored"},
	{short, "/short", "loop_short", "loop_restored"},
	{tamper, "/tamper", "loop_tamper", "loop_restored"},
	{alarm, "", "case_intrusion", "case_closed"},
}

// Judge judges the loops of one sensor; see [New].
type Judge struct{ loops []*loop }

// loop is the state of one of them.
type loop struct {
	Loop
	bands  []band
	state  hold.State[state]
	active map[state]bool // as last told
	told   bool
	// ref is the measured supply, at refAt.
	ref       float64
	refAt     time.Time
	blindFrom time.Time // since when it can't be judged
	broken    bool      // and that was told
	out       bool      // the last sample meant another state
	unsteady  []time.Time
}

// New returns a judge for the loops.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	j := &Judge{}
	for _, l := range c.Loops {
		l = l.withDefaults()
		j.loops = append(j.loops, &loop{Loop: l, bands: l.bands(), active: map[state]bool{}})
	}
	return j, nil
}

// Judge implements monitor.Judge.
func (j *Judge) Judge(now time.Time, r sensor.Reading) (said []sensor.Reading) {
	if r.Kind != sensor.Measure || r.Unit != sensor.UnitVolt {
		return nil
	}
	for _, l := range j.loops {
		if l.SupplyPoint != "" && hold.Match(l.SupplyPoint, r.Point) {
			l.ref, l.refAt = r.Value, now
		}
		if hold.Match(l.Point, r.Point) {
			said = append(said, l.judge(now, r.Value)...)
		}
	}
	return said
}

// Tick implements monitor.Judge. A loop is judged by what comes; that nothing
// comes is the monitor's to judge.
func (j *Judge) Tick(time.Time) []sensor.Reading { return nil }

// Next implements monitor.Judge.
func (j *Judge) Next() time.Time { return time.Time{} }

// refAge is how old the measured supply may be.
const refAge = 5 * time.Second

func (l *loop) judge(now time.Time, volt float64) []sensor.Reading {
	supply, why := l.supply(now)
	if why != "" {
		return l.blind(now, why)
	}
	l.blindFrom = time.Time{}
	fraction := volt / supply
	current, known := l.state.Now()
	seen := l.classify(fraction, current)
	said := l.steady(now, known && seen != current)
	changed := l.state.See(now, seen, l.need(seen))
	if !changed && known && l.state.Away(now) > 2*l.Hold {
		l.state.Set(tamper) // it means one thing and then another, and never what it should
		changed = current != tamper
	}
	if _, known := l.state.Now(); !known || !changed && !l.broken && l.told {
		return said
	}
	return append(said, l.tell(volt, supply)...)
}

// A loop that leaves its state so often within that time is one that somebody
// works on, however short each time is.
const (
	maxExcursions = 20
	excursionTime = time.Minute
)

// steady counts how often the loop leaves its state.
func (l *loop) steady(now time.Time, out bool) []sensor.Reading {
	left := out && !l.out
	if l.out = out; !left {
		return nil
	}
	l.unsteady = append(l.unsteady, now)
	for now.Sub(l.unsteady[0]) > excursionTime {
		l.unsteady = l.unsteady[1:]
	}
	n := len(l.unsteady)
	if n < maxExcursions {
		return nil
	}
	l.unsteady = nil
	return []sensor.Reading{{
		Kind: sensor.Pulse, Point: l.Name + "/unsteady", Type: "loop_unsteady", Severity: core.SeverityMedium,
		Fields: sensor.Fields(map[string]any{"loop": l.Name, "times": n, "window_ms": excursionTime.Milliseconds()}),
	}}
}

// supply is what the loop hangs on, or why that is not known.
func (l *loop) supply(now time.Time) (volt float64, why string) {
	switch {
	case l.SupplyPoint == "":
		return l.Supply, ""
	case l.refAt.IsZero() || now.Sub(l.refAt) > refAge:
		return 0, "the supply at " + l.SupplyPoint + " is not measured"
	case l.ref < l.Supply/2:
		return 0, fmt.Sprintf("the supply is at %.2f V of %g V", l.ref, l.Supply)
	}
	return l.ref, ""
}

// blind says that a loop can't be judged, once that has lasted.
func (l *loop) blind(now time.Time, why string) []sensor.Reading {
	if l.blindFrom.IsZero() {
		l.blindFrom = now
	}
	if l.broken || now.Sub(l.blindFrom) < refAge {
		return nil
	}
	l.broken = true
	return []sensor.Reading{{Kind: sensor.Broken, Point: l.Name, Fields: sensor.Fields(map[string]string{"why": sensor.Text(why)})}}
}

// need is how long a state must hold: what is between the states must hold
// longer, since a contact that moves passes through there.
func (l *loop) need(s state) time.Duration {
	if s == tamper {
		return l.Hold
	}
	return l.Debounce
}

// classify says what a fraction of the supply means. A state is left only
// beyond its band by the hysteresis, and the space between the bands only by
// going as far into one.
func (l *loop) classify(fraction float64, current state) state {
	for _, b := range l.bands {
		if b.state == current && b.holds(fraction, l.Hysteresis) {
			return current
		}
	}
	margin := 0.0
	if current == tamper {
		margin = -l.Hysteresis
	}
	for _, b := range l.bands {
		if b.holds(fraction, margin) {
			return b.state
		}
	}
	return tamper
}

// tell says the levels of every state. A loop that can't be read says nothing
// of its contact: only one that is well, or whose contact shows, ends an alarm.
func (l *loop) tell(volt, supply float64) (said []sensor.Reading) {
	now, _ := l.state.Now()
	was := maps.Clone(l.active)
	for _, e := range events {
		switch {
		case e.state == now:
			l.active[e.state] = true
		case now == normal, now == alarm && e.state != alarm:
			l.active[e.state] = false
		}
	}
	fields := sensor.Fields(l.fields(now, volt, supply))
	for _, e := range events {
		if l.told && !l.broken && was[e.state] == l.active[e.state] {
			continue
		}
		said = append(said, sensor.Reading{
			Kind: sensor.Level, Point: l.Name + e.suffix, Type: e.kind, Clear: e.clear, Active: l.active[e.state],
			Alarm: true, Settled: true, Severity: l.Severity, Fields: fields,
		})
	}
	l.told, l.broken = true, false
	return said
}

func (l *loop) fields(now state, volt, supply float64) map[string]any {
	f := map[string]any{"loop": l.Name, "state": now, "volt": round(volt), "supply": round(supply)}
	if l.Pullup > 0 && volt > 0 && volt < supply {
		f["ohm"] = math.Round(l.Pullup * volt / (supply - volt))
	}
	if now == alarm && !slices.ContainsFunc(l.bands, func(b band) bool { return b.state == cut }) {
		f["or"] = cut // one resistor and an opening contact: both are no current
	}
	return f
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }
