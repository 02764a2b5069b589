package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// refusals keeps what was refused at the door. Of strangers the log gets one
// summary per source and minute; a refusal of a known device is an alarm and a
// fact of its own, the first of its kind in a minute at once, the rest counted.
type refusals struct {
	reg   *Registry
	log   Log
	clock core.Clock
	warn  *slog.Logger

	mu        sync.Mutex
	strangers map[string]*refusal
	devices   map[string]*refusal
}

type refusal struct {
	since  time.Time
	counts map[string]int
	sample string
	device Device // zero for a stranger
	action core.Action
}

func (e *refusal) total() (n int) {
	for _, k := range e.counts {
		n += k
	}
	return n
}

const (
	refusalWindow  = time.Minute
	maxRefusals    = 1024
	otherStrangers = "other"
)

func newRefusals(reg *Registry, log Log, clock core.Clock, warn *slog.Logger) *refusals {
	return &refusals{reg: reg, log: log, clock: clock, warn: warn, strangers: map[string]*refusal{}, devices: map[string]*refusal{}}
}

// stranger counts a refusal of somebody who proved nothing. The first of a
// minute is told to the program's log too; a flood must not fill the disk.
func (r *refusals) stranger(address string, err error) {
	r.mu.Lock()
	first := count(r.strangers, r.place(address), err, r.clock.Now())
	r.mu.Unlock()
	if first {
		r.warn.Warn("refused a stranger", slog.Any("from", address), slog.Any("error", err))
	}
}

// place is the name under which an address is counted.
func (r *refusals) place(address string) string {
	if _, known := r.strangers[address]; !known && len(r.strangers) >= maxRefusals {
		return otherStrangers
	}
	return address
}

func count(in map[string]*refusal, name string, err error, now time.Time) (first bool) {
	e := in[name]
	if e == nil {
		e = &refusal{since: now, counts: map[string]int{}, sample: clip(err.Error())}
		in[name] = e
		first = true
	}
	e.counts[core.KindOf(err).String()]++
	return first
}

// Flush writes the summaries of a minute that is over. It is called every few
// seconds. What the log does not take is counted on.
func (r *refusals) Flush(ctx context.Context) error {
	return errors.Join(r.flush(ctx, r.strangers, r.sum), r.flush(ctx, r.devices, r.sumDevice))
}

func (r *refusals) flush(ctx context.Context, table map[string]*refusal, sum func(context.Context, string, *refusal, time.Time) error) error {
	now := r.clock.Now()
	var failed error
	for name, e := range r.due(table, now) {
		if failed == nil {
			failed = sum(ctx, name, e, now)
		}
		if failed != nil {
			r.giveBack(table, name, e)
		}
	}
	return failed
}

func (r *refusals) sum(ctx context.Context, address string, e *refusal, now time.Time) error {
	_, err := r.log.Append(ctx, audit.Entry{
		Type: audit.TypeRefusals, Time: e.since, Actor: "stranger/" + addressWord(address), Action: "agent.connect", Outcome: "refused", Class: audit.ClassSecurity,
		Body: map[string]any{"from": address, "counts": e.counts, "first": e.sample, "until": now},
	})
	if err != nil {
		return fmt.Errorf("fleet: summary of refusals from %s: %w", address, err)
	}
	return nil
}

// sumDevice tells how many more there were of a kind whose first was told at
// once.
func (r *refusals) sumDevice(ctx context.Context, name string, e *refusal, now time.Time) error {
	more := e.total() - 1
	if more <= 0 {
		return nil
	}
	_, err := r.log.Append(ctx, audit.Entry{
		Type: audit.TypeRefusals, Time: e.since, Actor: e.device.Object(), Action: e.action, Object: e.device.Object(), Outcome: "refused", Class: audit.ClassSecurity,
		Body: map[string]any{"more": more, "counts": e.counts, "first": e.sample, "until": now},
	})
	if err != nil {
		return fmt.Errorf("fleet: summary of refusals %s: %w", name, err)
	}
	return nil
}

// due takes the entries whose minute is over out of the table: from here on
// nobody else counts in them.
func (r *refusals) due(table map[string]*refusal, now time.Time) map[string]*refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := map[string]*refusal{}
	for name, e := range table {
		if now.Sub(e.since) >= refusalWindow {
			due[name] = e
			delete(table, name)
		}
	}
	return due
}

// giveBack puts an entry that could not be written back, with what came since.
func (r *refusals) giveBack(table map[string]*refusal, name string, e *refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.device.ID.IsZero() {
		name = r.place(name)
	}
	if since := table[name]; since != nil {
		for kind, n := range since.counts {
			e.counts[kind] += n
		}
	}
	table[name] = e
}

// device raises the refusal of something that a known device sent.
func (r *refusals) device(ctx context.Context, d Device, action core.Action, refused error) {
	r.note(ctx, d, action, refused, func(tx *store.Tx, now time.Time) error {
		return r.reg.raise(ctx, tx, alarm{
			tenant: d.Tenant, device: d.ID, kind: "device_refused", severity: core.SeverityHigh, at: now,
			fields: map[string]any{"action": action, "kind": core.KindOf(refused).String(), "error": clip(refused.Error())},
		})
	})
}

// quietly records a refusal that says nothing against the device.
func (r *refusals) quietly(ctx context.Context, d Device, action core.Action, refused error) {
	r.note(ctx, d, action, refused, func(*store.Tx, time.Time) error { return nil })
}

// countDevice reports whether a refusal is the first of its kind in a minute. Only
// that one is told at once, to the program's log too: a captured device must not
// fill a disk with its refusals.
func (r *refusals) countDevice(d Device, action core.Action, refused error) bool {
	name := d.Tenant.String() + "/" + d.ID.String() + "/" + string(action) + "/" + core.KindOf(refused).String()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.devices[name] == nil && len(r.devices) >= maxRefusals {
		return false
	}
	first := count(r.devices, name, refused, r.clock.Now())
	r.devices[name].device, r.devices[name].action = d, action
	return first
}

// note records the first refusal of its kind in a minute, with what else
// belongs to it.
func (r *refusals) note(ctx context.Context, d Device, action core.Action, refused error, also func(*store.Tx, time.Time) error) {
	if !r.countDevice(d, action, refused) {
		return
	}
	r.warn.Warn("refused a device", slog.Any("device", d.ID), slog.Any("tenant", d.Tenant), slog.Any("action", action), slog.Any("error", refused))
	err := r.reg.db.Tx(ctx, func(tx *store.Tx) error {
		now := r.clock.Now()
		err := r.reg.facts(ctx, tx, audit.Entry{
			Type: audit.TypeFact, Time: now, Actor: d.Object(), Action: action, Object: d.Object(), Outcome: "refused", Class: audit.ClassSecurity,
			Body: map[string]any{"kind": core.KindOf(refused).String(), "error": clip(refused.Error())},
		})
		if err != nil {
			return err
		}
		return also(tx, now)
	})
	if err != nil {
		r.warn.Error("a refusal could not be recorded", slog.Any("device", d.ID), slog.Any("error", err))
	}
}

const maxSample = 400

func clip(s string) string {
	if len(s) <= maxSample {
		return s
	}
	return s[:maxSample] + "…"
}

// addressWord writes an address with the characters that a name may have.
func addressWord(address string) string {
	b := []byte(address)
	for i, c := range b {
		if c == '%' || c == '[' || c == ']' || c == '/' {
			b[i] = '_'
		}
	}
	return string(b)
}
