package geofence

import (
	"math"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// The points of the judge's levels.
const (
	pointFence = "fence"
	pointFix   = "fix"
	pointClock = "clock"
	pointDoubt = "doubt"
	pointSpoof = "spoof"
)

const (
	// unknownError is taken where the receiver gives none, in metres.
	unknownError = 50
	// minJump is the least distance that is a jump: reflections move a position
	// between houses by less.
	minJump = 200
	// doubtFor is how long a jump is a doubt.
	doubtFor = 10 * time.Minute
	// minSignals is how many satellites it takes to compare them, and equalSpread
	// how close they are in dB where one transmitter sends all of them.
	minSignals  = 4
	equalSpread = 1.0
	holdFor     = time.Minute
)

// Judge judges positions; see [New].
type Judge struct {
	cfg     Config
	begun   bool
	usable  time.Time // when a position last counted, or when the first came
	fence   hold
	fix     hold
	clock   hold
	equal   hold
	frozen  hold
	doubt   hold
	spoof   hold
	last    sensor.Fix // the last that counted
	lastAt  time.Time
	jumped  time.Time // zero for never
	still   time.Time // since when the position is the same to the last digit
	signals []float64 // when it began to be
	varied  bool      // the signals have changed since
}

// hold is something that is so or not, and counts once it held for a while.
type hold struct {
	known  bool
	active bool
	turns  bool // it is about to become the other
	since  time.Time
}

// settle notes how it is now and says whether it counts as changed. The first
// time counts as a change too.
func (h *hold) settle(now time.Time, active bool, after time.Duration) bool {
	if h.known && h.active == active {
		h.turns = false
		return false
	}
	if !h.turns {
		h.turns, h.since = true, now
	}
	if now.Sub(h.since) < after {
		return false
	}
	h.known, h.active, h.turns = true, active, false
	return true
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Judge{cfg: c.withDefaults()}, nil
}

// Judge implements monitor.Judge.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Position || r.Fix == nil {
		return j.Tick(now)
	}
	if !j.begun {
		j.begun, j.usable = true, now
	}
	f := *r.Fix
	said := j.time(now, f)
	if j.counts(f) {
		said = append(said, j.found(now)...)
		said = append(said, j.place(now, f)...)
	}
	return append(said, j.Tick(now)...)
}

// counts says whether a position is good enough. One without an estimated error
// counts by its mode.
func (j *Judge) counts(f sensor.Fix) bool {
	return f.Mode >= j.cfg.MinMode && f.Error <= j.cfg.MaxError && between(f.Error, 0, math.MaxFloat64) && Place{f.Lat, f.Lon}.valid()
}

func (j *Judge) found(now time.Time) []sensor.Reading {
	j.usable = now
	if j.fix.settle(now, false, j.cfg.Dwell) {
		return []sensor.Reading{j.level(pointFix, "position_lost", "position_found", core.SeverityMedium, false, false, map[string]any{})}
	}
	return nil
}

// place judges a position that counts.
func (j *Judge) place(now time.Time, f sensor.Fix) []sensor.Reading {
	said := j.jump(now, f)
	said = append(said, j.inside(now, f)...)
	j.equal.settle(now, equal(f.Signals), holdFor)
	j.stands(now, f)
	j.last, j.lastAt = f, now
	return append(said, j.doubts(now)...)
}

// inside judges where the device is. Outside means beyond the margin and the
// position's own error; what lies between changes nothing.
func (j *Judge) inside(now time.Time, f sensor.Fix) []sensor.Reading {
	if j.cfg.Circle == nil && len(j.cfg.Polygon) == 0 {
		return nil
	}
	beyond := j.cfg.beyond(Place{f.Lat, f.Lon})
	out := beyond > max(j.cfg.Hysteresis, f.Error)
	if !out && beyond > 0 && j.fence.known {
		out = j.fence.active
	}
	if !j.fence.settle(now, out, j.cfg.Dwell) {
		return nil
	}
	return []sensor.Reading{j.level(pointFence, "geofence_exit", "geofence_enter", core.SeverityCritical, out, true, map[string]any{
		"fence": j.cfg.Name, "lat": f.Lat, "lon": f.Lon, "beyond_m": math.Round(beyond), "error_m": math.Round(f.Error),
	})}
}

// jump compares with the position before. Both errors are in the device's
// favour.
func (j *Judge) jump(now time.Time, f sensor.Fix) []sensor.Reading {
	if j.lastAt.IsZero() {
		return nil
	}
	way := distance(Place{j.last.Lat, j.last.Lon}, Place{f.Lat, f.Lon})
	sure := way - known(j.last.Error) - known(f.Error)
	seconds := max(now.Sub(j.lastAt).Seconds(), 1)
	speed := sure / seconds
	if sure < minJump || speed <= j.cfg.MaxSpeed {
		return nil
	}
	j.jumped = now
	return []sensor.Reading{{
		Kind: sensor.Pulse, Point: pointFence, Type: "position_jump", Alarm: true, Severity: core.SeverityHigh,
		Fields: sensor.Fields(map[string]any{
			"distance_m": math.Round(way), "seconds": math.Round(seconds), "speed_m_s": math.Round(speed),
			"from_lat": j.last.Lat, "from_lon": j.last.Lon, "lat": f.Lat, "lon": f.Lon,
		}),
	}}
}

func known(e float64) float64 {
	if e <= 0 {
		return unknownError
	}
	return e
}

// time compares the satellites' time with the device's. A receiver tells it also
// without a position.
func (j *Judge) time(now time.Time, f sensor.Fix) []sensor.Reading {
	if f.Time.IsZero() {
		return nil
	}
	apart := now.Round(0).Sub(f.Time)
	if !j.clock.settle(now, apart.Abs() > j.cfg.ClockTolerance, holdFor) {
		return nil
	}
	return []sensor.Reading{j.level(pointClock, "gps_clock_disagrees", "gps_clock_agrees", core.SeverityMedium, j.clock.active, false, map[string]any{
		"gps": f.Time.UTC().Format(time.RFC3339), "device": now.UTC().Format(time.RFC3339), "apart_s": math.Round(apart.Seconds()),
	})}
}

// equal says that all satellites are equally strong, as one transmitter makes
// them: in the sky some stand low and some high.
func equal(signals []float64) bool {
	return len(signals) >= minSignals && slices.Max(signals)-slices.Min(signals) <= equalSpread
}

// stands judges a position that is the same to the last digit while the signals
// behind it change: a receiver's noise moves it.
func (j *Judge) stands(now time.Time, f sensor.Fix) {
	if j.still.IsZero() || f.Lat != j.last.Lat || f.Lon != j.last.Lon {
		j.still, j.signals, j.varied = now, f.Signals, false
	}
	j.varied = j.varied || len(f.Signals) > 0 && len(j.signals) > 0 && !slices.Equal(f.Signals, j.signals)
	j.frozen.settle(now, j.cfg.FrozenAfter > 0 && j.varied && now.Sub(j.still) >= j.cfg.FrozenAfter, 0)
}

// doubts counts what speaks against the position.
func (j *Judge) doubts(now time.Time) []sensor.Reading {
	why := []string{}
	for _, d := range []struct {
		word  string
		holds bool
	}{
		{"jump", !j.jumped.IsZero() && now.Sub(j.jumped) < doubtFor},
		{"clock", j.clock.known && j.clock.active},
		{"equal_signals", j.equal.known && j.equal.active},
		{"frozen", j.frozen.known && j.frozen.active},
	} {
		if d.holds {
			why = append(why, d.word)
		}
	}
	var said []sensor.Reading
	if j.doubt.settle(now, len(why) > 0, 0) {
		said = append(said, j.level(pointDoubt, "position_doubtful", "position_plausible", core.SeverityMedium, j.doubt.active, false, map[string]any{"doubts": why}))
	}
	if j.spoof.settle(now, len(why) > 1, 0) {
		said = append(said, j.level(pointSpoof, "position_spoof_suspected", "position_plausible", core.SeverityHigh, j.spoof.active, true, map[string]any{"doubts": why}))
	}
	return said
}

// Tick implements monitor.Judge: it finds that no position has counted for long.
func (j *Judge) Tick(now time.Time) []sensor.Reading {
	if !j.begun || now.Sub(j.usable) < j.cfg.LostAfter || !j.fix.settle(now, true, 0) {
		return nil
	}
	return []sensor.Reading{j.level(pointFix, "position_lost", "position_found", core.SeverityMedium, true, false, map[string]any{
		"for_s": math.Round(now.Sub(j.usable).Seconds()),
	})}
}

// Next implements monitor.Judge.
func (j *Judge) Next() time.Time {
	if !j.begun || j.fix.known && j.fix.active {
		return time.Time{}
	}
	return j.usable.Add(j.cfg.LostAfter)
}

// level is a level that held already.
func (j *Judge) level(point, kind, clear string, sev core.Severity, active, alarm bool, fields map[string]any) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: point, Type: kind, Clear: clear, Severity: sev, Active: active, Alarm: alarm, Settled: true, Fields: sensor.Fields(fields),
	}
}
