package vibration

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/signal"
	"github.com/interlock-security/interlock/device/sensor"
)

const point = "vibration"

// Judge judges one accelerometer. It is not safe for concurrent use.
type Judge struct {
	c        Config
	clock    signal.Clock
	spectrum signal.Spectrum
	db       []float64
	recent   middle

	base    *baseline
	offer   *baseline // what accepting the last event would make of it
	fresh   bool      // the baseline is newer than what was last asked for
	learn   gather
	since   time.Duration // learning began
	learned bool          // since is set

	candidate time.Duration // when what is not yet told began
	waiting   bool
	active    bool
	now       time.Time // of the last waveform
	at        time.Duration
	flushed   bool
	out       []sensor.Reading
}

// New returns a judge.
func New(c Config) (*Judge, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Judge{c: c.withDefaults()}, nil
}

// Recall puts a baseline back.
func (j *Judge) Recall(memory []byte) error {
	if memory == nil {
		return nil
	}
	b, err := decode(memory)
	if err != nil {
		return err
	}
	j.base = b
	return nil
}

// Memory returns the baseline.
func (j *Judge) Memory() (memory []byte, changed bool) {
	if j.base == nil {
		return nil, false
	}
	changed, j.fresh = j.fresh, false
	return j.base.encode(), changed
}

// Present returns what would be the baseline if all that was heard since the
// start were normal; nil before anything was heard.
func (j *Judge) Present() []byte {
	if j.learn.single.n < 3 {
		return nil
	}
	return j.learn.baseline(j.spectrum.Rate).encode()
}

// Heard says whether there was enough to hold against the baseline.
func (j *Judge) Heard() bool { return j.base != nil && j.recent.n >= 2 }

// Accept takes the vibration that the last event named for the baseline. If it
// has changed again since, it differs from that one, and says so.
func (j *Judge) Accept(_ time.Time, sha256 string) ([]sensor.Reading, error) {
	if j.offer == nil || j.offer.hash() != sha256 {
		return nil, core.E(core.KindConflict, "vibration.Accept", "the vibration is not the one that was looked at").
			WithHint("take the sha256 of the latest vibration event of this sensor")
	}
	j.base, j.fresh, j.offer = j.offer, true, nil
	j.learn = gather{}
	j.recent.reset()
	var out []sensor.Reading
	if j.active {
		j.active, j.waiting = false, false
		out = append(out, j.level(Finding{Change: "accepted"}))
	}
	return out, nil
}

// propose is the baseline that accepting the present vibration would make. A
// few seconds tell too little of how much it varies: what was known of that
// stays.
func (j *Judge) propose() *baseline {
	b := j.learn.baseline(j.spectrum.Rate)
	for i := range b.Spread {
		if i < len(j.base.Spread) {
			b.Spread[i] = max(b.Spread[i], j.base.Spread[i])
		}
	}
	return b
}

// Judge takes a reading; only waveforms concern it.
func (j *Judge) Judge(now time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Waveform || r.Wave == nil {
		return nil
	}
	j.now, j.flushed = now, false
	for _, s := range r.Wave.Samples {
		v := signal.Vec{X: s.X, Y: s.Y, Z: s.Z}
		at, verdict := j.clock.Put(s.At)
		if !v.Sane() || verdict == signal.Stale {
			continue
		}
		if bands := j.spectrum.Put(signal.Sample{At: at, V: v}); bands != nil {
			j.segment(at, bands)
		}
	}
	return j.say()
}

func (j *Judge) say() []sensor.Reading {
	out := j.out
	j.out = nil
	return out
}

// patience is how long after the last waveform what was heard is judged as it is.
const patience = 3 * time.Second

// Tick judges what is undecided when no more samples come: a change that began
// just before the sensor fell silent is still one.
func (j *Judge) Tick(now time.Time) []sensor.Reading {
	if next := j.Next(); next.IsZero() || now.Before(next) {
		return nil
	}
	j.flushed = true
	f, differs := compare(j.c, j.base, j.recent.median())
	if differs != j.active {
		j.hold(j.at+j.c.Hold, f, differs)
		if j.waiting {
			j.hold(j.candidate+j.c.Hold, f, differs)
		}
	}
	return j.say()
}

// Next returns when Tick has something to do.
func (j *Judge) Next() time.Time {
	if j.base == nil || j.flushed || j.recent.n < 2 || j.recent.full() && !j.waiting {
		return time.Time{}
	}
	return j.now.Add(patience)
}

// segment takes the levels of one segment.
func (j *Judge) segment(at time.Duration, energies []float64) {
	if len(energies) == 0 {
		return
	}
	j.at = at
	j.db = j.db[:0]
	for b, e := range energies {
		if j.spectrum.Empty(b) {
			e = 0
		}
		j.db = append(j.db, signal.Decibel(e))
	}
	if j.base == nil {
		j.listen(at)
		return
	}
	j.recent.put(j.db)
	if !j.recent.full() {
		return
	}
	now := j.recent.median()
	f, differs := compare(j.c, j.base, now)
	j.remember(differs)
	j.hold(at, f, differs)
}

// remember gathers what a new baseline would be: what is heard while it differs.
func (j *Judge) remember(differs bool) {
	if differs != j.waiting && !j.active || j.learn.single.n > 10000 {
		j.learn = gather{}
	}
	j.learn.put(j.db)
}

// listen learns the first baseline.
func (j *Judge) listen(at time.Duration) {
	if !j.learned {
		j.since, j.learned = at, true
		j.out = append(j.out, sensor.Reading{
			Kind: sensor.Pulse, Point: point, Type: EventLearning, Severity: core.SeverityLow,
			Fields: sensor.Fields(map[string]any{"class": "learning", "why": fmt.Sprintf("there is no baseline: nothing is compared for %s", j.c.Learn), "start": at.Seconds()}),
		})
	}
	j.learn.put(j.db)
	if at-j.since < j.c.Learn || j.learn.single.n < 16 {
		return
	}
	j.base, j.fresh = j.learn.baseline(j.spectrum.Rate), true
	j.learn = gather{}
	j.out = append(j.out, sensor.Reading{
		Kind: sensor.Pulse, Point: point, Type: EventLearned, Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"class": "learned", "bands": len(j.base.Mean), "segments": j.base.Segments, "sha256": j.base.hash(), "start": at.Seconds()}),
	})
}

// hold tells a change once it lasted.
func (j *Judge) hold(at time.Duration, f Finding, differs bool) {
	if differs == j.active {
		j.waiting = false
		return
	}
	if !j.waiting {
		j.waiting, j.candidate = true, at
	}
	if at-j.candidate < j.c.Hold {
		return
	}
	j.active, j.waiting = differs, false
	j.out = append(j.out, j.level(f))
}

// level is the reading of how it stands.
func (j *Judge) level(f Finding) sensor.Reading {
	if !j.active {
		return j.says(map[string]any{"class": "normal", "why": fmt.Sprintf("within the baseline again (%+.1f dB)", f.Level), "start": j.candidate.Seconds()})
	}
	j.offer = j.propose()
	fields := map[string]any{
		"class": "vibration", "change": f.Change, "score": float64(int(f.score*100)) / 100, "why": f.why(j.c),
		"level_db": f.Level, "start": j.candidate.Seconds(), "sha256": j.offer.hash(),
	}
	if len(f.Came) > 0 {
		fields["new_hz"] = f.Came[:min(len(f.Came), 8)]
	}
	if len(f.Went) > 0 {
		fields["lost_hz"] = slices.Clip(f.Went[:min(len(f.Went), 8)])
	}
	return j.says(fields)
}

func (j *Judge) says(fields map[string]any) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: point, Type: EventVibration, Clear: EventNormal, Active: j.active, Settled: true, Alarm: true,
		Severity: core.SeverityMedium, Fields: sensor.Fields(fields),
	}
}
