// Package confirm tells an alarm that one detector raised from one that several
// have: sequential confirmation as in EN 50131-1 and BS 8243. It is a fusion
// ([monitor.Fusion]) and stands below device/monitor.
//
// The first detector makes an unverified alarm, which is told and latches
// nothing. A detector of another sensor within the window makes it verified: that
// latches. Detectors may weigh more or less than one. A detector that speaks
// twice confirms nothing, and neither does one that is bypassed or disarmed. Only
// what detects people is confirmed: tampering and fire wait for nobody, their
// sensors alarm for themselves, at once, and are never counted.
package confirm

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config tunes the fusion. Its zero value is the default: two detectors within
// 45 minutes.
type Config struct {
	// Window is how long after the first detector another one may confirm it,
	// 45 min if left out (BS 8243: 30 to 60 min).
	Window time.Duration `yaml:"window,omitempty"`
	// Score is the weight that makes an alarm verified, 2 if left out.
	Score float64 `yaml:"score,omitempty"`
	// Weights are the weights of sensors; 1 where none is given, 0 for one that
	// counts for nothing.
	Weights map[string]float64 `yaml:"weights,omitempty"`
	// Points counts each point of a sensor as a detector of its own, for several
	// motion detectors at one chip.
	Points bool `yaml:"points,omitempty"`
	// Types are the events that have to be confirmed, in place of
	// [DetectorTypes].
	Types []string `yaml:"types,omitempty"`
}

// DetectorTypes are the events of detectors of people. Everything else that its
// sensors notice, tampering and fire first of all, they alarm about themselves.
var DetectorTypes = []string{
	"motion_detected", "motion_seen", "vibration", "glass_broken", "access_denied_window", "access_forced", "light_in_case",
}

const (
	defaultWindow = 45 * time.Minute
	maxWindow     = 24 * time.Hour
	defaultScore  = 2
	maxEntries    = 64
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Window < 0 || c.Window > maxWindow:
		return invalid("window: %s; allowed are 0 (for %s) to %s", c.Window, defaultWindow, maxWindow)
	case !(c.Score >= 0 && c.Score <= 100):
		return invalid("score: %v; allowed are 0 (for %d) to 100", c.Score, defaultScore)
	case len(c.Weights) > maxEntries || len(c.Types) > maxEntries:
		return invalid("%d weights and %d types; at most %d each", len(c.Weights), len(c.Types), maxEntries)
	}
	for name, w := range c.Weights {
		if _, err := core.ParseID[core.SensorID](name); err != nil || !(w >= 0 && w <= 100) {
			return invalid("weights.%.64s: %v; a sensor's name and 0 to 100", name, w)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "confirm.New", fmt.Sprintf(format, args...))
}

// What the fusion says.
const (
	TypeUnverified = "alarm_unverified"
	TypeVerified   = "alarm_verified"
)

// Doc describes the fusion.
var Doc = sensor.Doc{
	Name: "confirm", Senses: "whether an alarm of one detector is confirmed by another (EN 50131-1, BS 8243)", Interface: "its sensors",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedSimulator},
	Events: []sensor.EventDoc{
		{Type: TypeUnverified, Severity: core.SeverityMedium, Alarm: true, Meaning: "one detector alarms; nothing latches yet"},
		{Type: TypeVerified, Severity: core.SeverityCritical, Alarm: true, Meaning: "detectors of enough weight alarmed within the window"},
	},
}

// detector is what has alarmed within the window.
type detector struct {
	sensor    core.SensorID
	point     string
	kind      string
	at        time.Time
	weight    float64
	simulated bool
}

func (d detector) String() string {
	if d.point == "" {
		return d.sensor.String()
	}
	return d.sensor.String() + "/" + d.point
}

// Fusion confirms; see [New].
type Fusion struct {
	cfg    Config
	recent []detector // one each, in the order of their last word
}

// New returns a fusion that has heard nothing.
func New(c Config) (*Fusion, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Window = cmp.Or(c.Window, defaultWindow)
	c.Score = cmp.Or(c.Score, defaultScore)
	if c.Types == nil {
		c.Types = DetectorTypes
	}
	return &Fusion{cfg: c}, nil
}

// Capabilities implements what [monitor.Fusion] may have.
func (*Fusion) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, Latches: true}
}

// Owns implements [monitor.Owner]: a detector alone alarms nobody.
func (f *Fusion) Owns(id core.SensorID, r sensor.Reading) bool {
	return r.Alarm && f.weight(id) > 0 && slices.Contains(f.cfg.Types, r.Type)
}

// Enough implements [monitor.Quorate]: what too few detectors are left to confirm
// is not waited for. Where each point counts, one sensor may have as many as it
// takes.
func (f *Fusion) Enough(well []core.SensorID) bool {
	sum := 0.0
	for _, id := range well {
		w := f.weight(id)
		if w > 0 && f.cfg.Points {
			return true
		}
		sum += w
	}
	return sum >= f.cfg.Score
}

func (f *Fusion) weight(id core.SensorID) float64 {
	if w, given := f.cfg.Weights[id.String()]; given {
		return w
	}
	return 1
}

// Event implements [monitor.Fusion].
func (f *Fusion) Event(now time.Time, e monitor.Event) []sensor.Reading {
	w := f.weight(e.Sensor)
	begins := e.Kind == sensor.Pulse || (e.Kind == sensor.Level && e.Active)
	if !begins || !e.Attack || w == 0 || !slices.Contains(f.cfg.Types, e.Type) {
		return nil
	}
	d := detector{sensor: e.Sensor, kind: e.Type, at: now, weight: w, simulated: e.Simulated}
	if f.cfg.Points {
		d.point = e.Point
	}
	f.expire(now)
	repeated := f.forget(d)
	f.recent = append(f.recent, d)
	switch score := f.score(); {
	case score >= f.cfg.Score:
		return []sensor.Reading{f.say(TypeVerified, core.SeverityCritical, score, false)}
	case repeated:
		return nil // told, and no stronger
	default:
		return []sensor.Reading{f.say(TypeUnverified, core.SeverityMedium, score, true)}
	}
}

// expire drops what is too old to confirm anything.
func (f *Fusion) expire(now time.Time) {
	f.recent = slices.DeleteFunc(f.recent, func(d detector) bool { return now.Sub(d.at) > f.cfg.Window })
	if over := len(f.recent) - maxEntries; over > 0 {
		f.recent = slices.Delete(f.recent, 0, over)
	}
}

// forget drops what the same detector said before.
func (f *Fusion) forget(d detector) (known bool) {
	n := len(f.recent)
	f.recent = slices.DeleteFunc(f.recent, func(x detector) bool { return x.sensor == d.sensor && x.point == d.point })
	return len(f.recent) < n
}

func (f *Fusion) score() (sum float64) {
	for _, d := range f.recent {
		sum += d.weight
	}
	return sum
}

func (f *Fusion) say(kind string, sev core.Severity, score float64, unlatched bool) sensor.Reading {
	type one struct {
		By     string  `json:"by"`
		Type   string  `json:"type"`
		At     int64   `json:"at"`
		Weight float64 `json:"weight"`
	}
	var by []one
	simulated := false
	for _, d := range f.recent {
		by = append(by, one{d.String(), d.kind, d.at.UnixMicro(), d.weight})
		simulated = simulated || d.simulated
	}
	return sensor.Reading{
		Kind: sensor.Pulse, Point: "alarm", Type: kind, Alarm: true, Unlatched: unlatched, Severity: sev, Simulated: simulated,
		Fields: sensor.Fields(map[string]any{"by": by, "score": math.Round(score*100) / 100, "needed": f.cfg.Score, "window_s": int(f.cfg.Window.Seconds())}),
	}
}

// SetArming implements [monitor.Armable]: what was noticed in another mode
// confirms nothing in this one.
func (f *Fusion) SetArming(time.Time, core.Arming) []sensor.Reading {
	f.recent = nil
	return nil
}

// Tick implements [monitor.Fusion].
func (*Fusion) Tick(time.Time) []sensor.Reading { return nil }

// Next implements [monitor.Fusion].
func (*Fusion) Next() time.Time { return time.Time{} }
