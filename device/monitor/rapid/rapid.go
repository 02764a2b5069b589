// Package rapid notices inputs that change too often: a contact that somebody
// works with a magnet, a cable that is plugged in and out, a relay that chatters.
// It stands below device/monitor.
//
// It is a judge ([monitor.Judge]) and a fusion ([monitor.Fusion]). As a judge of
// one sensor it counts every change that the driver reads, however short; as a
// fusion of several it counts the changes that held. Both count per point.
package rapid

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config tunes it. Its zero value is the default.
type Config struct {
	// Changes is how many changes within the window are still usual, 10 if left
	// out.
	Changes int `yaml:"changes,omitempty"`
	// Window is how long they are counted, one minute if left out. It ends when
	// there were no more than Changes for as long.
	Window time.Duration `yaml:"window,omitempty"`
}

const (
	defaultChanges = 10
	maxChanges     = 10_000
	defaultWindow  = time.Minute
	maxWindow      = 24 * time.Hour
	maxInputs      = 128
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Changes < 0 || c.Changes > maxChanges:
		return core.E(core.KindInvalid, "rapid.New", fmt.Sprintf("changes: %d; allowed are 0 (for %d) to %d", c.Changes, defaultChanges, maxChanges))
	case c.Window < 0 || c.Window > maxWindow:
		return core.E(core.KindInvalid, "rapid.New", fmt.Sprintf("window: %s; allowed are 0 (for %s) to %s", c.Window, defaultWindow, maxWindow))
	}
	return nil
}

// What it says.
const (
	TypeRapid = "rapid_transitions"
	TypeOver  = "rapid_transitions_over"
)

// Doc describes it.
var Doc = sensor.Doc{
	Name: "rapid", Senses: "inputs that change more often than they should", Interface: "its sensors",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedSimulator},
	Events: []sensor.EventDoc{
		{Type: TypeRapid, Severity: core.SeverityHigh, Alarm: true, Meaning: "an input changed more often within the window than is usual"},
		{Type: TypeOver, Severity: core.SeverityInfo, Meaning: "it is calm again"},
	},
}

// input counts the changes of one point.
type input struct {
	name      string
	known     bool
	active    bool
	changes   []time.Time // the last of them, as many as make it rapid
	rapid     bool
	simulated bool
}

// Rapid counts; see [New].
type Rapid struct {
	cfg    Config
	inputs []*input
}

// New returns one that has counted nothing.
func New(c Config) (*Rapid, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Rapid{cfg: Config{Changes: cmp.Or(c.Changes, defaultChanges), Window: cmp.Or(c.Window, defaultWindow)}}, nil
}

// Capabilities implements what [monitor.Fusion] may have.
func (*Rapid) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent}
}

// Judge implements [monitor.Judge].
func (j *Rapid) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	return j.take(now, r.Point, r.Kind, r.Active, r.Simulated)
}

// Event implements [monitor.Fusion]. What is bypassed is not counted.
func (j *Rapid) Event(now time.Time, e monitor.Event) []sensor.Reading {
	if e.Bypassed {
		return nil
	}
	return j.take(now, e.Sensor.String()+"/"+e.Point, e.Kind, e.Active, e.Simulated)
}

func (j *Rapid) take(now time.Time, name string, kind sensor.Kind, active, simulated bool) []sensor.Reading {
	if kind != sensor.Level && kind != sensor.Pulse {
		return nil
	}
	in := j.input(name)
	if kind == sensor.Level {
		changed := in.known && in.active != active
		in.known, in.active = true, active
		if !changed {
			return nil
		}
	}
	in.simulated = simulated
	if in.changes = append(in.changes, now); len(in.changes) > j.cfg.Changes+1 {
		in.changes = slices.Delete(in.changes, 0, 1)
	}
	if in.rapid || !j.tooMany(in, now) {
		return nil
	}
	in.rapid = true
	return []sensor.Reading{j.say(in)}
}

// input finds a point. What is beyond the bound is counted together.
func (j *Rapid) input(name string) *input {
	if i := slices.IndexFunc(j.inputs, func(x *input) bool { return x.name == name }); i >= 0 {
		return j.inputs[i]
	}
	if len(j.inputs) >= maxInputs {
		return j.inputs[maxInputs-1]
	}
	j.inputs = append(j.inputs, &input{name: name})
	return j.inputs[len(j.inputs)-1]
}

// tooMany says whether the last changes, one more than is usual, lie within a
// window that ends now.
func (j *Rapid) tooMany(in *input, now time.Time) bool {
	return len(in.changes) > j.cfg.Changes && now.Sub(in.changes[0]) < j.cfg.Window
}

func (j *Rapid) say(in *input) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: "rapid:" + in.name, Active: in.rapid, Settled: true, Alarm: true, Type: TypeRapid, Clear: TypeOver,
		Severity: core.SeverityHigh, Simulated: in.simulated,
		Fields: sensor.Fields(map[string]any{"input": in.name, "changes": len(in.changes), "window_s": j.cfg.Window.Seconds()}),
	}
}

// Tick implements [monitor.Judge].
func (j *Rapid) Tick(now time.Time) (said []sensor.Reading) {
	for _, in := range j.inputs {
		if in.rapid && !j.tooMany(in, now) {
			in.rapid = false
			said = append(said, j.say(in))
		}
	}
	return said
}

// Next implements [monitor.Judge].
func (j *Rapid) Next() (next time.Time) {
	for _, in := range j.inputs {
		if !in.rapid {
			continue
		}
		if t := in.changes[0].Add(j.cfg.Window); next.IsZero() || t.Before(next) {
			next = t
		}
	}
	return next
}
