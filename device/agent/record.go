package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/link"
)

// entry is something to write down: an event, and the latch that must be
// durable before the event is told.
type entry struct {
	event link.DeviceEvent
	latch *latch
}

// recorder writes down beside the effects: whoever acts only queues. A disk
// that stalls or is full fills the queue, and nothing waits for it.
type recorder struct {
	a     *Agent
	kick  chan struct{}
	mu    sync.Mutex
	queue []entry
	lost  int // events dropped for want of memory
}

// Limits of the queue. What is over it goes, lowest class first; latches never.
const (
	maxQueue  = 4096
	maxRun    = 64
	retryFrom = 100 * time.Millisecond
	retryTo   = 5 * time.Second
)

func newRecorder(a *Agent) *recorder { return &recorder{a: a, kick: make(chan struct{}, 1)} }

// put queues an entry and never blocks.
func (r *recorder) put(e entry) {
	r.mu.Lock()
	r.queue = append(r.queue, e)
	if len(r.queue) > maxQueue {
		r.shed()
	}
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// shed drops the dearest of the least: the newest of the lowest class, so that
// how it began stays.
func (r *recorder) shed() {
	victim := -1
	for i, e := range r.queue {
		if e.latch == nil && (victim < 0 || spool.ClassOf(e.event) <= spool.ClassOf(r.queue[victim].event)) {
			victim = i
		}
	}
	if victim >= 0 {
		r.queue = slices.Delete(r.queue, victim, victim+1)
		r.lost++
	}
}

func (r *recorder) peek() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := slices.Clone(r.queue[:min(len(r.queue), maxRun)])
	if r.lost > 0 && len(r.queue) < maxQueue/2 {
		run = append(run, entry{event: r.a.event(spool.EventLost, core.SeverityHigh, map[string]any{"count": r.lost, "why": "the disk did not take them in time"})})
		r.lost = 0
	}
	return run
}

// latches returns the latches that wait for the disk.
func (r *recorder) latches() (set []latch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.queue {
		if e.latch != nil {
			set = append(set, *e.latch)
		}
	}
	return set
}

func (r *recorder) drop(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = r.queue[min(n, len(r.queue)):]
}

// run writes what is queued until ctx ends, and then what is left.
func (r *recorder) run(ctx context.Context) {
	pause := retryFrom
	for {
		err := r.flush()
		wait := (<-chan time.Time)(nil)
		if err != nil {
			r.a.cfg.Log.Error("events wait for the disk", slog.Any("error", err))
			wait, pause = r.a.cfg.Clock.After(pause), min(2*pause, retryTo)
		} else {
			pause = retryFrom
		}
		kick := r.kick
		if err != nil {
			kick = nil // the disk sets the pace
		}
		select {
		case <-ctx.Done():
			if err := r.flush(); err != nil {
				r.a.cfg.Log.Error("events were not written before the end", slog.Any("error", err))
			}
			return
		case <-kick:
		case <-wait:
		}
	}
}

// flush writes until the queue is empty or something fails. Latches first: one
// that is told must outlive the next power cut.
func (r *recorder) flush() error {
	for {
		run := r.peek()
		if len(run) == 0 {
			return nil
		}
		if err := r.a.keepLatches(run); err != nil {
			return err
		}
		events := make([]link.DeviceEvent, len(run))
		for i, e := range run {
			events[i] = e.event
		}
		if err := r.write(events); err != nil {
			return err
		}
		r.drop(len(run))
	}
}

// write appends events. One that no batch can carry is replaced by word of it:
// it must not hold up the others.
func (r *recorder) write(events []link.DeviceEvent) error {
	err := r.a.spool.Append(events...)
	var partial *spool.PartialError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &partial):
		// What is reserved was written; the rest is lost with the next word of it.
		r.mu.Lock()
		for _, e := range events {
			if spool.ClassOf(e) < spool.ClassReserved {
				r.lost++
			}
		}
		r.mu.Unlock()
		return nil
	case core.KindOf(err) == core.KindUnavailable:
		return err
	}
	for _, e := range events {
		if err := r.a.spool.Append(e); err != nil && core.KindOf(err) != core.KindUnavailable {
			err = r.a.spool.Append(r.a.event("event_unfit", core.SeverityMedium, map[string]any{"why": sensor.Text(err.Error()), "type": sensor.Text(e.Type)}))
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return nil
}

// keepLatches makes the latches of a run durable.
func (a *Agent) keepLatches(run []entry) error {
	var set []latch
	for _, e := range run {
		if e.latch != nil {
			set = append(set, *e.latch)
		}
	}
	if len(set) == 0 {
		return nil
	}
	return a.store.Update(func(b *body) error {
		for _, l := range set {
			if !slices.ContainsFunc(b.Latches, func(x latch) bool { return x.ID == l.ID }) {
				b.Latches = append(b.Latches, l)
			}
		}
		return nil
	})
}

// event makes an event of the agent's own.
func (a *Agent) event(kind string, sev core.Severity, fields map[string]any) link.DeviceEvent {
	now := a.cfg.Clock.Now()
	return link.DeviceEvent{
		ID: core.NewUUID(now), Time: max(0, now.UnixMicro()), Mono: a.cfg.Elapsed().Microseconds(), Type: kind, Class: core.ClassDeviceState,
		Severity: sev, Fields: boundFields(sensor.Fields(fields)),
	}
}

// tell records an event of the agent's own.
func (a *Agent) tell(kind string, sev core.Severity, fields map[string]any) {
	a.rec.put(entry{event: a.event(kind, sev, fields)})
}

// sink takes the monitor's events: the effect of a latch first, then the record.
func (a *Agent) sink(e monitor.Event) {
	a.ports.note(a.kinds[e.Sensor], e)
	a.tick(e)
	out := link.DeviceEvent{
		ID: core.NewUUID(e.At), Time: max(0, e.At.UnixMicro()), Mono: a.cfg.Elapsed().Microseconds(), Type: e.Type, Class: e.Class,
		Severity: e.Severity, Sensor: e.Sensor.String(), State: e.State, Simulated: e.Simulated, Fields: boundFields(e.Fields),
	}
	if e.Latch == nil {
		a.rec.put(entry{event: out})
		return
	}
	reflexes := a.reflexes[e.Sensor]
	l := &latch{Latch: *e.Latch, Contains: slices.Contains(reflexes, ReflexQuarantine)}
	if slices.Contains(reflexes, ReflexStop) {
		go func() { _ = a.stopOutputs("latch " + l.ID) }() // it records its own failure
	}
	if l.Contains {
		go func() { _, _ = a.contain("latch "+l.ID, e.Simulated) }() // so does this
	}
	out.Latch = l.ID
	a.rec.put(entry{event: out, latch: l})
}

// maxFields is what one event may say, in bytes: a batch has to take it.
const maxFields = 12 << 10

// boundFields leaves out the largest members until the rest fits, and says of
// each how large it was and its SHA-256: a machine with a thousand parts is told
// of all the same.
func boundFields(fields json.RawMessage) json.RawMessage {
	if len(fields) <= maxFields {
		return fields
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(fields, &all) != nil {
		all = nil
	}
	left := map[string]any{}
	for size := len(fields); size > maxFields/2 && len(all) > 0; {
		largest := slices.MaxFunc(slices.Collect(maps.Keys(all)), func(x, y string) int { return cmp.Compare(len(all[x]), len(all[y])) })
		if len(left) < 16 {
			left[clipTo(largest, 64)] = map[string]any{"bytes": len(all[largest]), "sha256": payloadHash(all[largest])}
		}
		size -= len(all[largest])
		delete(all, largest)
	}
	out := map[string]any{"left_out": left}
	for name, v := range all {
		out[name] = v
	}
	return sensor.Fields(out)
}

// contain puts the device in quarantine, says what that did, and has the
// workloads' keys and certificates withdrawn after it.
func (a *Agent) contain(why string, simulated bool) (enforced bool, err error) {
	e := a.reflex.Contain()
	fields := map[string]any{"why": why, "took_us": e.Took.Microseconds(), "enforced": e.Enforced}
	kind, sev := "quarantine_on", core.SeverityHigh
	switch {
	case e.Err != nil:
		kind, sev, fields["error"] = "quarantine_failed", core.SeverityCritical, sensor.Text(e.Err.Error())
	case !e.Enforced:
		kind, fields["plan"] = "quarantine_planned", e.Plan
	}
	ev := a.event(kind, sev, fields)
	ev.Simulated = simulated || a.cfg.Enforce == EnforceSimulated
	a.rec.put(entry{event: ev})
	a.takeWorkloads(why)
	return e.Enforced, e.Err
}

// lift ends the quarantine.
func (a *Agent) lift(why string) error {
	e := a.reflex.Release()
	ev := a.event("quarantine_off", core.SeverityMedium, map[string]any{"why": why, "enforced": e.Enforced})
	if e.Err != nil {
		ev = a.event("quarantine_stuck", core.SeverityHigh, map[string]any{"why": why, "error": sensor.Text(e.Err.Error())})
	}
	ev.Simulated = a.cfg.Enforce == EnforceSimulated
	a.rec.put(entry{event: ev})
	return e.Err
}

// stopWait is how long a stop waits for its outputs before it names those that
// did not answer.
const stopWait = 2 * time.Second

// stopOutputs is a stop that somebody or something asks for now: no order that
// came before it undoes it.
func (a *Agent) stopOutputs(why string) error {
	return a.stopAskedAt(a.cfg.Clock.Now().UnixMicro(), why)
}

func (a *Agent) stopAskedAt(at int64, why string) error {
	a.tighten(func(t *tightened) { t.Stops, t.StopAt = t.Stops+1, max(t.StopAt, at) })
	a.presence.afterStop()
	return a.applyStop(why)
}

// applyStop brings the outputs to their safe state, remembers that beside and
// says what happened.
func (a *Agent) applyStop(why string) error {
	e := a.reflex.Stop(a.cfg.Clock, stopWait)
	a.later(func(b *body) error { b.Stopped = true; a.keepTightened(b); return nil })
	fields := map[string]any{"why": why, "took_us": e.Took.Microseconds(), "outputs": a.reflex.Outputs()}
	sev := core.SeverityHigh
	if e.Err != nil {
		sev, fields["error"] = core.SeverityCritical, sensor.Text(e.Err.Error())
	}
	a.tell("stopped", sev, fields)
	return e.Err
}

// later makes a change of the state durable beside whoever asks, in order, and
// tries until the disk takes it.
func (a *Agent) later(change func(*body) error) {
	a.deferred.mu.Lock()
	a.deferred.changes = append(a.deferred.changes, change)
	a.deferred.mu.Unlock()
	select {
	case a.deferred.kick <- struct{}{}:
	default:
	}
}

// deferred are changes of the state that follow an effect.
type deferred struct {
	kick    chan struct{}
	writing sync.Mutex // held while they are written, so that each counts once
	mu      sync.Mutex
	changes []func(*body) error
}

// update makes a change of the state durable now, after everything that was
// deferred before it: a reset must not be overtaken by the stop that it ends.
func (a *Agent) update(change func(*body) error) error {
	if err := a.settle(); err != nil {
		return err
	}
	return a.store.Update(change)
}

func (a *Agent) writeLater(ctx context.Context) {
	for {
		err := a.settle()
		var retry <-chan time.Time
		if err != nil {
			a.cfg.Log.Error("a change of state waits for the disk", slog.Any("error", err))
			retry = a.cfg.Clock.After(retryTo)
		}
		select {
		case <-ctx.Done():
			if err := a.settle(); err != nil {
				a.cfg.Log.Error("a change of state was not written before the end", slog.Any("error", err))
			}
			return
		case <-a.deferred.kick:
		case <-retry:
		}
	}
}

// settle writes what is deferred in one step.
func (a *Agent) settle() error {
	a.deferred.writing.Lock()
	defer a.deferred.writing.Unlock()
	a.deferred.mu.Lock()
	changes := slices.Clone(a.deferred.changes)
	a.deferred.mu.Unlock()
	if len(changes) == 0 {
		return nil
	}
	err := a.store.Update(func(b *body) error {
		for _, change := range changes {
			if err := change(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	a.deferred.mu.Lock()
	a.deferred.changes = a.deferred.changes[len(changes):]
	a.deferred.mu.Unlock()
	return nil
}
