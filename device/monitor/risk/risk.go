// Package risk says in one number how much a device is at risk, and what that
// number is made of. It stands below device/monitor, which feeds it.
//
// Latches, sensors that can't be relied on and a device that is not armed count
// as long as they last; what happened counts less and less, half as much after
// each half-life. The score is 0 to 100 and the factors add up to it: whoever
// reads it can say why. It decides nothing.
package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Config tunes the score. Its zero value is the default.
type Config struct {
	// HalfLife is after how long an event counts half, one hour if left out.
	HalfLife time.Duration `yaml:"half_life,omitempty"`
	// Latch and Event are points by severity, State and Arming by word; a word
	// that is left out keeps its default.
	Latch  map[core.Severity]float64    `yaml:"latch,omitempty"`
	Event  map[core.Severity]float64    `yaml:"event,omitempty"`
	State  map[core.SensorState]float64 `yaml:"state,omitempty"`
	Arming map[core.Arming]float64      `yaml:"arming,omitempty"`
}

// The default points.
var (
	latchPoints  = map[core.Severity]float64{core.SeverityCritical: 45, core.SeverityHigh: 30, core.SeverityMedium: 15, core.SeverityLow: 5, core.SeverityInfo: 2}
	eventPoints  = map[core.Severity]float64{core.SeverityCritical: 20, core.SeverityHigh: 8, core.SeverityMedium: 3, core.SeverityLow: 0.5}
	statePoints  = map[core.SensorState]float64{core.SensorFault: 15, core.SensorStale: 15, core.SensorBypassed: 10, core.SensorUnknown: 5}
	armingPoints = map[core.Arming]float64{core.Disarmed: 10, core.Transport: 10, core.Maintenance: 15}
)

const (
	defaultHalfLife = time.Hour
	maxPoints       = 100
	// maxTrace is what all events of one type at one sensor can count for: a
	// flood is one factor and not the whole score.
	maxTrace = 25
	maxKeys  = 128
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.HalfLife < 0 || c.HalfLife > 30*24*time.Hour {
		return core.E(core.KindInvalid, "risk.New", fmt.Sprintf("half_life: %s; allowed are 0 (for %s) to 720h", c.HalfLife, defaultHalfLife))
	}
	for _, err := range []error{inRange("latch", c.Latch), inRange("event", c.Event), inRange("state", c.State), inRange("arming", c.Arming)} {
		if err != nil {
			return err
		}
	}
	return nil
}

func inRange[K ~string](key string, points map[K]float64) error {
	for k, v := range points {
		if !(v >= 0 && v <= maxPoints) {
			return core.E(core.KindInvalid, "risk.New", fmt.Sprintf("%s.%.32s: %v points; allowed are 0 to %d", key, k, v, maxPoints))
		}
	}
	return nil
}

func points[K comparable](own, usual map[K]float64, word K) float64 {
	if v, given := own[word]; given {
		return v
	}
	return usual[word]
}

// Latch is an alarm that nobody has released.
type Latch struct {
	Sensor   core.SensorID
	Point    string
	Type     string
	Severity core.Severity
}

// Sensor is a sensor and how it is without what it senses.
type Sensor struct {
	ID     core.SensorID
	Health core.SensorState
}

// State is what holds now.
type State struct {
	Latches []Latch
	Sensors []Sensor
	Arming  core.Arming
}

// Factor is a part of the score.
type Factor struct {
	// What is what counts: "latch case_intrusion at lid/lid", "board is stale".
	What   string  `json:"what"`
	Points float64 `json:"points"` // rounded to tenths
}

// Assessment is the score and what it is made of, the greatest first.
type Assessment struct {
	Score   float64  `json:"score"` // 0 to 100, the sum of the factors
	Factors []Factor `json:"factors"`
}

type key struct {
	sensor core.SensorID
	kind   string
}

// trace is what events of one kind have left.
type trace struct {
	points float64
	at     time.Time
}

// Risk remembers what happened; see [New]. Not safe for concurrent use.
type Risk struct {
	cfg    Config
	traces map[key]trace
}

// New returns one to which nothing has happened.
func New(c Config) (*Risk, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.HalfLife = cmp.Or(c.HalfLife, defaultHalfLife)
	return &Risk{cfg: c, traces: map[key]trace{}}, nil
}

// Note takes an event.
func (r *Risk) Note(now time.Time, id core.SensorID, kind string, sev core.Severity) {
	p := points(r.cfg.Event, eventPoints, sev)
	if p <= 0 {
		return
	}
	k := key{id, kind}
	if _, known := r.traces[k]; !known && len(r.traces) >= maxKeys {
		r.forget(now)
	}
	left := r.left(now, r.traces[k])
	r.traces[k] = trace{min(left+p, max(maxTrace, p)), now}
}

// forget drops the trace that counts least.
func (r *Risk) forget(now time.Time) {
	var least key
	lowest := math.Inf(1)
	for k, t := range r.traces {
		left := r.left(now, t)
		if left < lowest || (left == lowest && less(k, least)) {
			least, lowest = k, left
		}
	}
	delete(r.traces, least)
}

func less(a, b key) bool {
	return cmp.Or(cmp.Compare(a.sensor.String(), b.sensor.String()), cmp.Compare(a.kind, b.kind)) < 0
}

// left is what a trace still counts. A clock that was set back makes nothing
// count more than it did.
func (r *Risk) left(now time.Time, t trace) float64 {
	age := max(0, now.Sub(t.at))
	return t.points * math.Exp2(-float64(age)/float64(r.cfg.HalfLife))
}

// Assess adds up what holds and what happened.
func (r *Risk) Assess(now time.Time, s State) Assessment {
	var all []Factor
	for _, l := range s.Latches {
		all = append(all, Factor{"latch " + l.Type + " at " + place(l.Sensor, l.Point), points(r.cfg.Latch, latchPoints, l.Severity)})
	}
	for _, x := range s.Sensors {
		all = append(all, Factor{x.ID.String() + " is " + string(x.Health), points(r.cfg.State, statePoints, x.Health)})
	}
	all = append(all, Factor{"the device is " + string(s.Arming), points(r.cfg.Arming, armingPoints, s.Arming)})
	for k, t := range r.traces {
		all = append(all, Factor{"recent " + k.kind + " at " + k.sensor.String(), r.left(now, t)})
	}
	return sum(all)
}

func place(id core.SensorID, point string) string {
	if point == "" {
		return id.String()
	}
	return id.String() + "/" + point
}

// sum scales the factors so that they add up to 100 at most, in whole tenths, and
// the score is exactly their sum.
func sum(all []Factor) Assessment {
	slices.SortFunc(all, func(x, y Factor) int { return cmp.Or(cmp.Compare(y.Points, x.Points), cmp.Compare(x.What, y.What)) })
	total := 0.0
	for _, f := range all {
		total += f.Points
	}
	scale := min(1, maxPoints/max(total, 1))
	a, tenths := Assessment{Factors: []Factor{}}, 0.0
	for _, f := range all {
		if t := min(math.Round(f.Points*scale*10), maxPoints*10-tenths); t >= 1 {
			tenths += t
			a.Factors = append(a.Factors, Factor{f.What, t / 10})
		}
	}
	a.Score = tenths / 10
	return a
}
