// Package orientation judges which way is down: whether the device stands
// otherwise than it stood when it was armed or last accepted, however slowly it
// got there.
//
// It is a judge of the monitor (device/monitor.Judge, Learner and Armable). It
// keeps the direction of gravity across restarts, so a device that was laid on
// its side while it was off says so when it wakes up.
package orientation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/signal"
	"github.com/interlock-security/interlock/device/sensor"
)

// Config are the thresholds. The zero value of a field means its default.
type Config struct {
	// Degrees is by how much gravity must have turned, For how long. Defaults 15
	// and 5 s.
	Degrees float64       `yaml:"degrees"`
	For     time.Duration `yaml:"for"`
	// Persistent is a smaller change, in degrees, that is told once it lasted
	// for PersistentFor: a shelf that gives way. 0 leaves it out; default of
	// PersistentFor is 10 min.
	Persistent    float64       `yaml:"persistent_degrees"`
	PersistentFor time.Duration `yaml:"persistent_for"`
}

func (c Config) withDefaults() Config {
	if c.Degrees == 0 {
		c.Degrees = 15
	}
	if c.For == 0 {
		c.For = 5 * time.Second
	}
	if c.PersistentFor == 0 {
		c.PersistentFor = 10 * time.Minute
	}
	return c
}

// Validate says what of the configuration can't be meant.
func (c Config) Validate() error {
	c = c.withDefaults()
	const op = "orientation.Config"
	switch {
	case !(c.Degrees >= 1 && c.Degrees <= 170):
		return core.E(core.KindInvalid, op, fmt.Sprintf("degrees is %g, outside 1 to 170", c.Degrees))
	case c.For < time.Second || c.For > time.Hour:
		return core.E(core.KindInvalid, op, fmt.Sprintf("for is %s, outside 1s to 1h", c.For))
	case c.Persistent != 0 && !(c.Persistent >= 0.2 && c.Persistent <= c.Degrees):
		return core.E(core.KindInvalid, op, fmt.Sprintf("persistent_degrees is %g, outside 0.2 to degrees (%g)", c.Persistent, c.Degrees))
	case c.PersistentFor < c.For || c.PersistentFor > 7*24*time.Hour:
		return core.E(core.KindInvalid, op, fmt.Sprintf("persistent_for is %s, outside for (%s) to 168h", c.PersistentFor, c.For))
	}
	return nil
}

// Events of the judge.
const (
	EventChanged = "orientation_changed"
	EventBack    = "orientation_restored"
)

// Doc says what the judge is.
var Doc = sensor.Doc{
	Name:      "orientation",
	Senses:    "which way is down: turned by more than some degrees for some seconds, also slowly, also while it was off",
	Interface: "judge of an accelerometer's waveforms",
	Latency:   sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: EventChanged, Severity: core.SeverityHigh, Alarm: true, Meaning: "gravity points otherwise than at arming; fields have from, to, degrees and the sha256 under which the new direction can be accepted"},
		{Type: EventBack, Severity: core.SeverityInfo, Meaning: "gravity points as it did again"},
	},
	Tested: []sensor.Tested{sensor.TestedTrace, sensor.TestedSimulator},
}

// What the judge sees of the motion.
const (
	binWidth = 100 * time.Millisecond
	maxGap   = 2 * time.Second
	window   = 10 // bins that the direction is the mean of
	calm     = 0.03
	settle   = 30 // bins from the start in which a calm second is looked for
	back     = 0.7
	weight   = 0.3 // g
	point    = "orientation"
)

// Judge judges one accelerometer. It is not safe for concurrent use.
type Judge struct {
	c      Config
	arming core.Arming
	clock  signal.Clock
	grid   *signal.Grid
	bins   *signal.Ring
	seen   int

	from   signal.Vec // of length 1
	to     signal.Vec // as told
	known  bool
	fresh  bool
	turned [2]since // beyond Degrees, beyond Persistent
	level  since    // back again
	active bool
	out    []sensor.Reading
}

// since is a condition that must last.
type since struct {
	at time.Duration
	on bool
}

func (s *since) holds(on bool, now, span time.Duration) bool {
	if !on {
		s.on = false
		return false
	}
	if !s.on {
		s.on, s.at = true, now
	}
	return now-s.at >= span
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Judge{c: c.withDefaults(), arming: core.Armed, grid: signal.NewGrid(binWidth, maxGap), bins: signal.NewRing(window)}, nil
}

// memory is what is kept.
type memory struct {
	Version int        `json:"version"`
	Down    [3]float64 `json:"down"`
}

func encode(v signal.Vec) []byte {
	b, err := json.Marshal(memory{1, array(v)})
	if err != nil {
		return nil // finite numbers always marshal
	}
	return b
}

func hash(v signal.Vec) string {
	sum := sha256.Sum256(encode(v))
	return hex.EncodeToString(sum[:])
}

// array rounds to what a sensor can tell apart, so that a hash says the same
// before and after.
func array(v signal.Vec) [3]float64 {
	r := func(x float64) float64 { return math.Round(x*1e4) / 1e4 }
	return [3]float64{r(v.X), r(v.Y), r(v.Z)}
}

// Recall puts the reference back.
func (j *Judge) Recall(kept []byte) error {
	if kept == nil {
		return nil
	}
	var m memory
	if len(kept) > 1024 {
		return core.E(core.KindTooLarge, "orientation.Recall", "the reference is longer than 1024 bytes")
	}
	if err := json.Unmarshal(kept, &m); err != nil {
		return core.Wrap(core.KindDamaged, "orientation.Recall", err)
	}
	v := signal.Vec{X: m.Down[0], Y: m.Down[1], Z: m.Down[2]}
	if m.Version != 1 || math.Abs(v.Len()-1) > 0.01 {
		return core.E(core.KindDamaged, "orientation.Recall", "the reference is no direction")
	}
	j.from, j.known = v, true
	return nil
}

// Memory returns the reference.
func (j *Judge) Memory() (kept []byte, changed bool) {
	if !j.known {
		return nil, false
	}
	changed, j.fresh = j.fresh, false
	return encode(j.from), changed
}

// Accept makes the present direction the reference. It must be within a degree
// of the one that the event named.
func (j *Judge) Accept(_ time.Time, sha256 string) ([]sensor.Reading, error) {
	if !j.active || sha256 != hash(j.told()) {
		return nil, core.E(core.KindConflict, "orientation.Accept", "the device does not stand as it was looked at").
			WithHint("take the sha256 of the latest orientation event of this sensor")
	}
	return j.adopt(), nil
}

// told is the direction that the event named, while the device still stands so.
func (j *Judge) told() signal.Vec {
	if signal.Angle(j.to, j.down()) > 2 {
		return signal.Vec{}
	}
	return j.to
}

// adopt takes the present direction for right.
func (j *Judge) adopt() []sensor.Reading {
	j.from, j.known, j.fresh = j.down(), true, true
	j.turned, j.level = [2]since{}, since{}
	if !j.active {
		return nil
	}
	j.active = false
	return []sensor.Reading{j.reading(0, "accepted as it stands")}
}

// SetArming tells how the device is armed. How it stands when it is armed is how
// it shall stand.
func (j *Judge) SetArming(_ time.Time, a core.Arming) []sensor.Reading {
	was := j.arming
	j.arming = a
	if a == core.Armed && was != core.Armed && j.bins.Len() == window && j.known {
		return j.adopt()
	}
	return nil
}

// Judge takes a reading; only waveforms concern it.
func (j *Judge) Judge(_ time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Waveform || r.Wave == nil {
		return nil
	}
	for _, s := range r.Wave.Samples {
		v := signal.Vec{X: s.X, Y: s.Y, Z: s.Z}
		at, verdict := j.clock.Put(s.At)
		if !v.Sane() || verdict == signal.Stale {
			continue
		}
		if j.grid.Put(signal.Sample{At: at, V: v}) {
			j.bins.Reset()
		}
		for b, ok := j.grid.Take(); ok; b, ok = j.grid.Take() {
			j.bin(b)
		}
	}
	out := j.out
	j.out = nil
	return out
}

// Tick has nothing to do.
func (j *Judge) Tick(time.Time) []sensor.Reading { return nil }

// Next returns never: without samples nothing turns.
func (j *Judge) Next() time.Time { return time.Time{} }

// down is the direction of the last second.
func (j *Judge) down() signal.Vec {
	v := j.bins.Mean(window)
	if l := v.Len(); l > 0 {
		return v.Mul(1 / l)
	}
	return v
}

func (j *Judge) bin(b signal.Bin) {
	j.bins.Put(b.Mean)
	j.seen++
	if j.bins.Len() < window {
		return
	}
	mean := j.bins.Mean(window)
	if mean.Len() < weight {
		return // falling, or a sensor that leaves gravity out: no direction at all
	}
	if !j.known {
		j.begin(mean)
		return
	}
	j.weigh(b.At, signal.Angle(mean, j.from))
}

// weigh decides by the angle between now and as it should be.
func (j *Judge) weigh(at time.Duration, angle float64) {
	far := j.turned[0].holds(angle > j.c.Degrees, at, j.c.For)
	slow := j.turned[1].holds(j.c.Persistent > 0 && angle > j.c.Persistent, at, j.c.PersistentFor)
	limit := j.c.Degrees
	if j.c.Persistent > 0 {
		limit = j.c.Persistent
	}
	restored := j.level.holds(angle < back*limit, at, j.c.For)
	switch {
	case !j.active && (far || slow):
		j.active, j.to = true, j.down()
		j.out = append(j.out, j.reading(angle, j.why(angle, far)))
	case j.active && restored:
		j.active = false
		j.out = append(j.out, j.reading(angle, "points as it did again"))
	}
}

// begin takes the first calm second for the reference, or the third second where
// none is calm.
func (j *Judge) begin(mean signal.Vec) {
	scatter := 0.0
	for i := range window {
		scatter += j.bins.At(i).Sub(mean).Square() / window
	}
	if math.Sqrt(scatter) < calm*mean.Len() || j.seen >= settle {
		j.from, j.known, j.fresh = j.down(), true, true
	}
}

func (j *Judge) why(angle float64, far bool) string {
	if far {
		return fmt.Sprintf("gravity turned by %.1f°, more than %.1f°, for %s", angle, j.c.Degrees, j.c.For)
	}
	return fmt.Sprintf("gravity turned by %.1f°, more than %.1f°, for %s", angle, j.c.Persistent, j.c.PersistentFor)
}

func (j *Judge) reading(angle float64, why string) sensor.Reading {
	fields := map[string]any{"class": "orientation", "why": why, "degrees": math.Round(angle*10) / 10, "from": array(j.from), "to": array(j.down())}
	if j.active {
		fields["sha256"] = hash(j.to)
		fields["start"] = max(j.turned[0].at, 0).Seconds()
		fields["score"] = math.Round(min(0.5+angle/j.c.Degrees/4, 1)*100) / 100
	}
	return sensor.Reading{
		Kind: sensor.Level, Point: point, Type: EventChanged, Clear: EventBack, Active: j.active, Settled: true, Alarm: true,
		Severity: core.SeverityHigh, Fields: sensor.Fields(fields),
	}
}
