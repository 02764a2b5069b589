// Package enclosure makes one sensor of all the switches in a case: a contact at
// a GPIO line, the mainboard's own case switch, a BMC's, a light sensor. It is a
// fusion ([monitor.Fusion]) and stands below device/monitor.
//
// A case that is opened is one latch and not four alarms. The event says who
// noticed first; whoever notices after that is told once, as confirmation. The
// switches go on reporting and alarm no more by themselves, unless this fusion
// fails. Switches of one case that disagree for longer than the slowest of them
// needs are an event of their own: one of them is broken, or held down.
package enclosure

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config tunes the fusion. Its zero value is the default.
type Config struct {
	// Disagree is how long the switches may differ, 30 s if left out: a chip on
	// the mainboard is read from a cache that is up to 3 s old, a BMC is asked
	// every ten.
	Disagree time.Duration `yaml:"disagree,omitempty"`
	// Types are the events that mean an open case, in place of [CaseTypes]. What
	// else its sensors notice, heat or a cut loop, they alarm about themselves.
	Types []string `yaml:"types,omitempty"`
	// Ignore are inputs that belong to another case or to none, as sensor/point.
	Ignore []string `yaml:"ignore,omitempty"`
}

// CaseTypes are the events that mean an open case.
var CaseTypes = []string{"case_intrusion", "case_opened", "light_in_case"}

const (
	defaultDisagree = 30 * time.Second
	maxDisagree     = time.Hour
	maxIgnore       = 64
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Disagree < 0 || c.Disagree > maxDisagree:
		return core.E(core.KindInvalid, "enclosure.New", fmt.Sprintf("disagree: %s; allowed are 0 (for %s) to %s", c.Disagree, defaultDisagree, maxDisagree))
	case len(c.Ignore) > maxIgnore || len(c.Types) > maxIgnore:
		return core.E(core.KindInvalid, "enclosure.New", fmt.Sprintf("ignore, types: %d and %d; at most %d each", len(c.Ignore), len(c.Types), maxIgnore))
	}
	return nil
}

// What the fusion says.
const (
	TypeOpened    = "case_intrusion"
	TypeClosed    = "case_closed"
	TypeConfirmed = "case_confirmed"
	TypeDisagreed = "case_disagreement"
	TypeAgreed    = "case_agreement"
)

// Doc describes the fusion.
var Doc = sensor.Doc{
	Name: "enclosure", Senses: "one case with several switches: who noticed first, who confirmed it, who disagrees", Interface: "its sensors",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedSimulator},
	Events: []sensor.EventDoc{
		{Type: TypeOpened, Severity: core.SeverityCritical, Alarm: true, Meaning: "the first switch of the case says open; one latch, whoever follows"},
		{Type: TypeClosed, Severity: core.SeverityInfo, Meaning: "every switch says closed; a latch stays"},
		{Type: TypeConfirmed, Severity: core.SeverityMedium, Meaning: "a further switch says open too"},
		{Type: TypeDisagreed, Severity: core.SeverityMedium, Meaning: "some switches say open and others closed, for too long: one is broken, or held down"},
		{Type: TypeAgreed, Severity: core.SeverityInfo, Meaning: "they agree again"},
	},
}

// point is where the fusion says everything.
const point = "case"

// input is one switch: a point of a sensor.
type input struct {
	sensor core.SensorID
	point  string
}

func (i input) String() string { return i.sensor.String() + "/" + i.point }

// open is a switch that says open.
type open struct {
	since     time.Time
	simulated bool
	severity  core.Severity
	kind      string
}

// Fusion is the case; see [New].
type Fusion struct {
	cfg      Config
	inputs   map[input]*open // nil where it says closed
	order    []input
	first    input
	differs  time.Time // since when they do, zero while they agree
	disagree bool      // and that was told
}

// New returns a case that knows nothing of its switches.
func New(c Config) (*Fusion, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Disagree = cmp.Or(c.Disagree, defaultDisagree)
	if c.Types == nil {
		c.Types = CaseTypes
	}
	return &Fusion{cfg: c, inputs: map[input]*open{}}, nil
}

// Capabilities implements what [monitor.Fusion] may have.
func (*Fusion) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, Latches: true}
}

// Owns implements [monitor.Owner]: the case alarms for its switches. What is
// over in an instant, a chip that is pulled out, stays their own.
func (f *Fusion) Owns(id core.SensorID, r sensor.Reading) bool {
	return r.Kind == sensor.Level && r.Alarm && slices.Contains(f.cfg.Types, r.Type) && !f.ignored(input{id, r.Point})
}

func (f *Fusion) ignored(i input) bool { return slices.Contains(f.cfg.Ignore, i.String()) }

// switches says whether an event is a switch of the case, one way or the other.
func (f *Fusion) switches(i input, e monitor.Event) bool {
	return e.Kind == sensor.Level && e.Alarm && slices.Contains(f.cfg.Types, e.Level) && !f.ignored(i)
}

// maxInputs bounds what the fusion remembers.
const maxInputs = 128

// Event implements [monitor.Fusion].
func (f *Fusion) Event(now time.Time, e monitor.Event) []sensor.Reading {
	if e.Kind == sensor.Beat {
		if e.Bypassed {
			f.forget(e)
			return f.judge(now, e.Simulated)
		}
		return nil
	}
	i := input{e.Sensor, e.Point}
	if !f.switches(i, e) {
		return nil
	}
	if _, known := f.inputs[i]; !known {
		switch {
		case len(f.order) < maxInputs:
			f.order = append(f.order, i)
		case !e.Active || e.Bypassed:
			return nil // it closes nothing in another one's place
		default:
			i = f.order[len(f.order)-1]
		}
	}
	was := f.inputs[i]
	switch {
	case e.Bypassed:
		delete(f.inputs, i)
		f.order = slices.DeleteFunc(f.order, func(x input) bool { return x == i })
	case !e.Active:
		f.inputs[i] = nil
	case was == nil:
		return f.opened(now, i, e)
	}
	return f.judge(now, e.Simulated)
}

// forget drops the switches that are out of service: what they say counts for
// nothing, neither as open nor as closed.
func (f *Fusion) forget(e monitor.Event) {
	f.order = slices.DeleteFunc(f.order, func(i input) bool {
		gone := i.sensor == e.Sensor && (e.Point == "" || i.point == e.Point)
		if gone {
			delete(f.inputs, i)
		}
		return gone
	})
}

// opened takes the word of one more switch.
func (f *Fusion) opened(now time.Time, i input, e monitor.Event) []sensor.Reading {
	already := f.openInputs()
	f.inputs[i] = &open{since: now, simulated: e.Simulated, severity: e.Severity, kind: e.Type}
	if len(already) == 0 {
		f.first = i
		return f.judge(now, e.Simulated)
	}
	said := []sensor.Reading{{
		Kind: sensor.Pulse, Point: point, Type: TypeConfirmed, Severity: core.SeverityMedium, Simulated: e.Simulated,
		Fields: sensor.Fields(map[string]any{"by": i.String(), "first": f.first.String(), "after_ms": now.Sub(f.inputs[f.first].since).Milliseconds(), "open": f.names(true)}),
	}}
	return append(said, f.judge(now, e.Simulated)...)
}

func (f *Fusion) openInputs() (all []input) {
	for _, i := range f.order {
		if f.inputs[i] != nil {
			all = append(all, i)
		}
	}
	return all
}

// names are the switches that say open, or closed.
func (f *Fusion) names(isOpen bool) []string {
	all := []string{}
	for _, i := range f.order {
		if (f.inputs[i] != nil) == isOpen {
			all = append(all, i.String())
		}
	}
	return all
}

// judge says how the case is, and notes whether its switches agree.
func (f *Fusion) judge(now time.Time, simulated bool) []sensor.Reading {
	opened := f.openInputs()
	r := sensor.Reading{
		Kind: sensor.Level, Point: point, Active: len(opened) > 0, Settled: true, Alarm: true, Type: TypeOpened, Clear: TypeClosed,
		Severity: core.SeverityCritical, Simulated: simulated,
	}
	if len(opened) > 0 {
		if f.inputs[f.first] == nil {
			f.first = opened[0] // the one that noticed first is calm again
		}
		first := f.inputs[f.first]
		r.Fields = sensor.Fields(map[string]any{"first": f.first.String(), "first_type": first.kind, "open": f.names(true), "closed": f.names(false)})
	}
	return append([]sensor.Reading{r}, f.compare(now, simulated)...)
}

// compare notes since when the switches disagree. It is told in Tick.
func (f *Fusion) compare(now time.Time, simulated bool) []sensor.Reading {
	n := len(f.openInputs())
	if n > 0 && n < len(f.order) {
		if f.differs.IsZero() {
			f.differs = now
		}
		return nil
	}
	told := f.disagree
	f.differs, f.disagree = time.Time{}, false
	if !told {
		return nil
	}
	return []sensor.Reading{{Kind: sensor.Pulse, Point: point, Type: TypeAgreed, Severity: core.SeverityInfo, Simulated: simulated}}
}

// Tick implements [monitor.Fusion].
func (f *Fusion) Tick(now time.Time) []sensor.Reading {
	if next := f.Next(); next.IsZero() || now.Before(next) {
		return nil
	}
	f.disagree = true
	return []sensor.Reading{{
		Kind: sensor.Pulse, Point: point, Type: TypeDisagreed, Severity: core.SeverityMedium, Simulated: f.simulated(),
		Fields: sensor.Fields(map[string]any{"open": f.names(true), "closed": f.names(false), "for_ms": now.Sub(f.differs).Milliseconds()}),
	}}
}

// simulated says whether any switch that says open is.
func (f *Fusion) simulated() bool {
	return slices.ContainsFunc(f.openInputs(), func(i input) bool { return f.inputs[i].simulated })
}

// Next implements [monitor.Fusion].
func (f *Fusion) Next() time.Time {
	if f.differs.IsZero() || f.disagree {
		return time.Time{}
	}
	return f.differs.Add(f.cfg.Disagree)
}
