package fleet

import (
	"context"
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
}

const (
	refusalWindow  = time.Minute
	maxRefusals    = 1024
	otherStrangers = "other"
)

func newRefusals(reg *Registry, log Log, clock core.Clock, warn *slog.Logger) *refusals {
	return &refusals{reg: reg, log: log, clock: clock, warn: warn, strangers: map[string]*refusal{}, devices: map[string]*refusal{}}
}

// stranger counts a refusal of somebody who proved nothing.
func (r *refusals) stranger(address string, err error) {
	r.warn.Warn("refused a stranger", "from", address, "error", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.strangers[address]; !known && len(r.strangers) >= maxRefusals {
		address = otherStrangers
	}
	count(r.strangers, address, err, r.clock.Now())
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
// seconds.
func (r *refusals) Flush(ctx context.Context) error {
	now := r.clock.Now()
	for address, e := range r.due(now) {
		_, err := r.log.Append(ctx, audit.Entry{
			Type: audit.TypeRefusals, Time: e.since, Actor: "stranger/" + addressWord(address), Action: "agent.connect", Outcome: "refused", Class: audit.ClassSecurity,
			Body: map[string]any{"from": address, "counts": e.counts, "first": e.sample, "until": now},
		})
		if err != nil {
			return fmt.Errorf("fleet: summary of refusals from %s: %w", address, err)
		}
		r.mu.Lock()
		if r.strangers[address] == e {
			delete(r.strangers, address)
		}
		r.mu.Unlock()
	}
	return nil
}

func (r *refusals) due(now time.Time) map[string]*refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := map[string]*refusal{}
	for address, e := range r.strangers {
		if now.Sub(e.since) >= refusalWindow {
			due[address] = e
		}
	}
	for name, e := range r.devices {
		if now.Sub(e.since) >= refusalWindow {
			delete(r.devices, name)
		}
	}
	return due
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

// note records the first refusal of its kind in a minute, with what else
// belongs to it.
func (r *refusals) note(ctx context.Context, d Device, action core.Action, refused error, also func(*store.Tx, time.Time) error) {
	r.warn.Warn("refused a device", "device", d.ID, "tenant", d.Tenant, "action", action, "error", refused)
	name := d.Tenant.String() + "/" + d.ID.String() + "/" + string(action) + "/" + core.KindOf(refused).String()
	r.mu.Lock()
	first := len(r.devices) < maxRefusals && count(r.devices, name, refused, r.clock.Now())
	r.mu.Unlock()
	if !first {
		return
	}
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
		r.warn.Error("a refusal could not be recorded", "device", d.ID, "error", err)
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
