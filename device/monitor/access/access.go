package access

import (
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// maxStale is how old the last word about the time may be.
const maxStale = 10 * time.Minute

// door is what the fusion knows of one.
type door struct {
	Door
	at        input
	requests  []input
	schedule  schedule.Schedule
	asked     time.Time // the last request
	askedSim  bool      // and whether that was simulated
	open      bool
	since     time.Time
	simulated bool
	permitted bool // it was, when it was last looked at
	held      bool // told
}

// Fusion watches doors; see [New].
type Fusion struct {
	doors []*door
	time  schedule.Trusted
	told  time.Time // when it was told the time
}

// New returns a fusion whose doors are closed and may not be opened: it has not
// been told the time.
func New(c Config) (*Fusion, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := &Fusion{}
	for _, d := range c.Doors {
		one := &door{Door: d.withDefaults()}
		one.at, _ = parseInput(d.Input) // validated
		for _, r := range d.Requests {
			in, _ := parseInput(r)
			one.requests = append(one.requests, in)
		}
		one.schedule, _ = schedule.New(d.Schedule)
		f.doors = append(f.doors, one)
	}
	return f, nil
}

// Capabilities implements what [monitor.Fusion] may have.
func (*Fusion) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, Latches: true}
}

// Owns implements [monitor.Owner]: whether the opening of a door is an alarm is
// decided here, and to ask is none.
func (f *Fusion) Owns(id core.SensorID, r sensor.Reading) bool {
	at := input{id.String(), r.Point}
	return r.Kind == sensor.Level && slices.ContainsFunc(f.doors, func(d *door) bool { return d.at == at || slices.Contains(d.requests, at) })
}

// Event implements [monitor.Fusion].
func (f *Fusion) Event(now time.Time, e monitor.Event) (said []sensor.Reading) {
	at := input{e.Sensor.String(), e.Point}
	for _, d := range f.doors {
		// What is bypassed satisfies nothing (TRUST F25).
		if active := e.Kind == sensor.Pulse || e.Active; active && !e.Bypassed && slices.Contains(d.requests, at) {
			d.asked, d.askedSim = now, e.Simulated
		}
		if d.at == at && e.Kind == sensor.Level && e.Active != d.open {
			said = append(said, f.turned(now, d, e))
		}
	}
	return said
}

// turned judges a door that was opened or closed.
func (f *Fusion) turned(now time.Time, d *door, e monitor.Event) sensor.Reading {
	d.open, d.since, d.simulated, d.held = e.Active, now, e.Simulated, false
	r := sensor.Reading{
		Kind: sensor.Level, Point: d.Name, Active: e.Active, Settled: true, Type: TypeOpened, Clear: TypeClosed,
		Severity: core.SeverityInfo, Simulated: e.Simulated, Unlatched: d.unlatched(),
	}
	if !e.Active {
		r.Fields = d.fields(nil)
		return r
	}
	var why string
	d.permitted, _, why = f.permitted(now, d)
	switch {
	case !d.permitted:
		r.Type, r.Alarm, r.Severity = TypeDenied, true, core.SeverityHigh
	case !d.requested(now):
		r.Type, r.Alarm, r.Severity = TypeForced, true, core.SeverityCritical
		why = "nobody asked to pass"
	}
	r.Fields = d.fields(map[string]any{"why": why})
	return r
}

func (d *door) unlatched() bool { return d.Latch != nil && !*d.Latch }

func (d *door) fields(more map[string]any) []byte {
	all := map[string]any{"door": d.Name, "door_kind": d.Kind, "input": d.Input}
	for k, v := range more {
		if v != "" {
			all[k] = v
		}
	}
	return sensor.Fields(all)
}

// requested says whether somebody asked to pass just now. What is simulated lets
// nobody through a door that is not.
func (d *door) requested(now time.Time) bool {
	if len(d.requests) == 0 {
		return true
	}
	return !d.asked.IsZero() && now.Sub(d.asked) <= d.Grace && (d.simulated || !d.askedSim)
}

// permitted says whether a door may be open now, how long that certainly holds,
// and if not, why.
func (f *Fusion) permitted(now time.Time, d *door) (ok bool, holds time.Duration, why string) {
	since := now.Sub(f.told)
	if f.told.IsZero() || since > maxStale || since < 0 || !schedule.Bounded(f.time) {
		return false, 0, "nothing proves what time it is"
	}
	t := schedule.Later(f.time, since)
	open, until := d.schedule.Open(t)
	if !open {
		return false, 0, "outside of its schedule"
	}
	return true, min(until.Sub(t.Lower), maxStale-since+1), ""
}

// SetTime implements [monitor.Timed].
func (f *Fusion) SetTime(now time.Time, t schedule.Trusted) []sensor.Reading {
	f.time, f.told = t, now
	return f.Tick(now)
}

// Tick implements [monitor.Fusion]: windows end, and doors stay open too long.
func (f *Fusion) Tick(now time.Time) (said []sensor.Reading) {
	for _, d := range f.doors {
		if !d.open {
			continue
		}
		if d.permitted {
			ok, _, why := f.permitted(now, d)
			if d.permitted = ok; !ok {
				said = append(said, d.pulse(TypeDenied, core.SeverityHigh, map[string]any{"why": why, "left_open": true}))
			}
		}
		if d.Held > 0 && !d.held && now.Sub(d.since) >= d.Held {
			d.held = true
			r := d.pulse(TypeHeld, core.SeverityMedium, map[string]any{"for_s": int64(now.Sub(d.since).Seconds())})
			r.Unlatched = true // or it would stand before what is worse
			said = append(said, r)
		}
	}
	return said
}

func (d *door) pulse(kind string, sev core.Severity, fields map[string]any) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Pulse, Point: d.Name, Type: kind, Alarm: true, Severity: sev, Simulated: d.simulated, Unlatched: d.unlatched(), Fields: d.fields(fields),
	}
}

// Next implements [monitor.Fusion].
func (f *Fusion) Next() (next time.Time) {
	sooner := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, d := range f.doors {
		if d.open && d.Held > 0 && !d.held {
			sooner(d.since.Add(d.Held))
		}
		if d.open && d.permitted {
			_, holds, _ := f.permitted(f.told, d)
			sooner(f.told.Add(holds))
		}
	}
	return next
}
