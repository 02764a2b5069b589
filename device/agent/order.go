package agent

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/link"
)

// context is what this device knows of itself when an order comes. It reads
// memory only.
func (a *Agent) context() link.Context {
	code, age := a.presence.show(a.cfg.Elapsed())
	at := link.Context{
		Tenant: a.id.Tenant, Site: a.id.Site, Device: a.id.Device, Now: a.store.Time(), Presence: code, PresenceAge: age,
		Latches: map[string]bool{},
	}
	root := a.trust.Load().Root().Version
	a.view(func(epoch string, b *body) {
		at.Epoch, at.LastCounter = epoch, max(b.lastCounter(epoch, root), a.taken.last(epoch, root))
		for _, l := range b.Latches {
			at.Latches[l.ID] = true
		}
	})
	return at
}

// take decides on an order, whichever way it came, and carries it out. The
// answer is what became of it; it is also queued for the server.
func (a *Agent) take(raw []byte, via string) answer {
	env, err := link.ParseEnvelope(raw)
	if err != nil {
		return a.refuse(nil, nil, via, err)
	}
	o, err := link.DecodeOrder(env.Payload)
	if err != nil {
		return a.refuse(nil, env, via, err)
	}
	if o.Type != link.OrderStop {
		a.orders.Lock() // a stop waits for no other order
		defer a.orders.Unlock()
	}
	seen := a.tightened()
	if known, ok := a.known(o.ID); ok {
		return a.repeat(o, env, via, known)
	}
	at := a.context()
	v, err := a.trust.Load().CheckOrder(env, at)
	if err == nil {
		err = a.foresaw(v, at)
	}
	if err == nil && v.Row.Direction.Away() {
		err = a.logInDoubt(via)
	}
	switch {
	case err != nil:
		return a.refuse(o, env, via, err)
	case v.Delay > 0:
		return a.wait(v, env, via, seen)
	}
	return a.carryOut(v, payloadHash(env.Payload), seen)
}

// known returns the answer to an order that was accepted before. Stops are
// remembered in memory first: their record follows.
func (a *Agent) known(id core.UUID) (known answer, ok bool) {
	a.view(func(_ string, b *body) { known, ok = b.answered(id) })
	if ok {
		return known, true
	}
	a.stops.mu.Lock()
	defer a.stops.mu.Unlock()
	known, ok = a.stops.answers[id]
	return known, ok
}

// repeat answers an order that was answered before: the first answer stands. The
// same id with other contents is no repetition, except for a stop: while it is in
// force the server signs it anew for every stream.
func (a *Agent) repeat(o *link.Order, env *link.Envelope, via string, known answer) answer {
	if known.Hash != payloadHash(env.Payload) && !(known.Stop && o.Type == link.OrderStop) {
		return a.refuse(o, env, via, core.E(core.KindReplayed, "agent", "another order had this id"))
	}
	a.queueResult(known)
	return known
}

// refuse says no, on record. A refused order is not remembered: whoever sends it
// unsigned can't keep the signed one out.
func (a *Agent) refuse(o *link.Order, env *link.Envelope, via string, why error) answer {
	fields := map[string]any{"why": sensor.Text(why.Error()), "kind": core.KindOf(why).String(), "via": via}
	no := answer{Outcome: link.OutcomeRefused, Detail: clipDetail(why.Error())}
	if env != nil {
		var keys []string
		for _, s := range env.Signatures[:min(len(env.Signatures), 8)] {
			keys = append(keys, sensor.Text(s.KeyID))
		}
		fields["signatures"], fields["payload"] = keys, payloadHash(env.Payload)
	}
	if o != nil {
		no.Order, no.Hash = o.ID, payloadHash(env.Payload)
		fields["order"], fields["type"], fields["requester"] = o.ID, o.Type, o.Requester
	}
	a.refusals.tell(a, "order_refused", core.SeverityHigh, fields)
	if o != nil {
		a.queueResult(no)
	}
	return no
}

func clipDetail(s string) string {
	const limit = 1000
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// plan is how an order is carried out: what it changes for good, and what it
// does. Away from safety the change is durable first, so that an order happens
// at most once; towards safety the effect is first, and the record follows.
type plan struct {
	change func(*body) error
	effect func() (link.Outcome, string)
	first  bool // effect first
}

// carryOut carries out a verified order. seen is what was tightened when it came.
func (a *Agent) carryOut(v *link.Verified, hash string, seen tightened) answer {
	p := a.planOf(v, seen)
	if p.effect == nil {
		return a.unable(v, hash)
	}
	done := answer{Order: v.Order.ID, Hash: hash, Outcome: link.OutcomeDone, Stop: v.Order.Type == link.OrderStop}
	if p.first {
		a.taken.note(v.Order)
		done.Outcome, done.Detail = p.effect()
		a.rememberStop(v, done)
		a.later(func(b *body) error {
			b.take(v.Order)
			b.note(done)
			return p.change(b)
		})
		return a.finish(v, done)
	}
	err := a.update(func(b *body) error {
		b.take(v.Order)
		b.note(done)
		return p.change(b)
	})
	if err != nil {
		done.Outcome, done.Detail = link.OutcomeFailed, clipDetail("nothing was changed: "+err.Error())
		return a.finish(v, done)
	}
	done.Outcome, done.Detail = p.effect()
	a.later(func(b *body) error { b.note(done); return nil })
	return a.finish(v, done)
}

// rememberStop keeps the answer to a stop until its record is durable.
func (a *Agent) rememberStop(v *link.Verified, done answer) {
	a.stops.mu.Lock()
	defer a.stops.mu.Unlock()
	if len(a.stops.answers) >= maxAnswers {
		clear(a.stops.answers)
	}
	a.stops.answers[v.Order.ID] = done
}

// unable answers an order that was verified in full and that this build has no
// hands for.
func (a *Agent) unable(v *link.Verified, hash string) answer {
	no := answer{Order: v.Order.ID, Hash: hash, Outcome: link.OutcomeRefused, Detail: fmt.Sprintf("refused: this build cannot %s", v.Order.Type)}
	if err := a.update(func(b *body) error { b.take(v.Order); b.note(no); return nil }); err != nil {
		a.cfg.Log.Error("an answer was not kept", slog.Any("order", v.Order.ID), slog.Any("error", err))
	}
	a.refusals.tell(a, "order_refused", core.SeverityMedium, map[string]any{"order": v.Order.ID, "type": v.Order.Type, "why": no.Detail, "kind": "unable"})
	a.queueResult(no)
	return no
}

// finish tells what became of an order.
func (a *Agent) finish(v *link.Verified, done answer) answer {
	sev := core.SeverityInfo
	if v.Row.Direction.Away() || done.Outcome != link.OutcomeDone {
		sev = core.SeverityMedium
	}
	a.tell("order_result", sev, map[string]any{
		"order": done.Order, "type": v.Order.Type, "direction": v.Row.Direction, "outcome": done.Outcome, "detail": done.Detail,
		"by": v.By, "persons": v.Persons, "requester": v.Order.Requester, "incident": v.Order.Incident,
	})
	a.queueResult(done)
	return done
}

// planOf says how each order type is carried out; a type without a plan is one
// that this build cannot.
func (a *Agent) planOf(v *link.Verified, seen tightened) plan {
	switch p := v.Params.(type) {
	case *link.StopParams:
		return a.planStop(v)
	case *link.ArmParams:
		return a.planArm()
	case *link.QuarantineParams:
		return a.planQuarantine(v)
	case *link.ReleaseParams:
		a.presence.used(p.Presence)
		return a.planRelease(v, seen)
	case *link.ResetParams:
		a.presence.used(p.Presence)
		return a.planReset(seen)
	case *link.DisarmParams:
		a.presence.used(p.Presence)
		return a.planDisarm(v, p, seen)
	case *link.BypassParams:
		a.presence.used(p.Presence)
		return a.planBypass(v, p, seen)
	case *link.BaselineParams:
		a.presence.used(p.Presence)
		return a.planBaseline(p)
	case *link.PolicyParams:
		a.presence.used(p.Presence)
		return a.planPolicy(p)
	case *link.ServerAddressParams:
		a.presence.used(p.Presence)
		return a.planServers(p)
	}
	return plan{}
}

func done(format string, args ...any) (link.Outcome, string) {
	return link.OutcomeDone, clipDetail(fmt.Sprintf(format, args...))
}

func failed(err error) (link.Outcome, string) { return link.OutcomeFailed, clipDetail(err.Error()) }

func (a *Agent) planStop(v *link.Verified) plan {
	return plan{
		first:  true,
		change: func(b *body) error { b.Stopped = true; return nil },
		effect: func() (link.Outcome, string) {
			if err := a.stopAskedAt(a.asked(v.Order), "order "+v.Order.ID.String()); err != nil {
				return failed(err)
			}
			return done("%d outputs are in their safe state", len(a.reflex.Outputs()))
		},
	}
}

// planQuarantine latches: a quarantine that was ordered ends as one that was
// felt, by a release that names its latch.
func (a *Agent) planQuarantine(v *link.Verified) plan {
	return plan{
		first:  true,
		change: func(b *body) error { return nil }, // the recorder keeps the latch with its event
		effect: func() (link.Outcome, string) {
			enforced, err := a.contain("order "+v.Order.ID.String(), false)
			l := a.latchQuarantine(map[string]any{"order": v.Order.ID, "requester": v.Order.Requester, "incident": v.Order.Incident})
			switch {
			case err != nil:
				return failed(err)
			case !enforced:
				return link.OutcomeFailed, "this machine does not enforce quarantine (enforce: none); it told the rules that it would apply and latched as " + l.ID
			}
			return done("in quarantine, latch %s", l.ID)
		},
	}
}

// planRelease opens exactly the latches that the order names.
func (a *Agent) planRelease(v *link.Verified, seen tightened) plan {
	ids := v.Order.Latches
	return plan{
		change: func(b *body) error {
			if err := a.outdated(link.OrderRelease, seen); err != nil {
				return err
			}
			b.release(ids)
			return nil
		},
		effect: func() (link.Outcome, string) {
			a.openLatches(ids, "order "+v.Order.ID.String())
			if a.mustContain(ids) {
				return done("%d latches released; others keep the device in quarantine", len(ids))
			}
			if !a.reflex.Contained() {
				return done("%d latches released", len(ids))
			}
			if err := a.lift("order " + v.Order.ID.String()); err != nil {
				return failed(err)
			}
			return done("%d latches released, quarantine over", len(ids))
		},
	}
}

// openLatches clears latches of sensors and of the agent itself, and tells so.
func (a *Agent) openLatches(ids []string, why string) {
	released := a.mon.Release(ids)
	for _, id := range ids {
		if slices.Contains(released, id) {
			continue
		}
		e := a.event("latch_released", core.SeverityMedium, map[string]any{"released": id, "why": why})
		e.Sensor, e.State = ownSensor, a.ownState()
		a.rec.put(entry{event: e})
	}
}

// ownState is the state of the agent as a sensor of itself.
func (a *Agent) ownState() core.SensorState {
	state := core.SensorOK
	a.view(func(_ string, b *body) {
		if slices.ContainsFunc(b.Latches, func(l latch) bool { return l.Sensor.String() == ownSensor }) {
			state = core.SensorAlarm
		}
	})
	return state
}

// mustContain says whether a latch holds the device in quarantine, told or not
// yet told, other than those that are being released.
func (a *Agent) mustContain(released []string) (must bool) {
	a.view(func(_ string, b *body) { must = b.contained() })
	queued := func(l latch) bool { return l.Contains && !slices.Contains(released, l.ID) }
	return must || slices.ContainsFunc(a.rec.latches(), queued) || slices.ContainsFunc(a.mon.Latches(), func(l monitor.Latch) bool { return slices.Contains(a.reflexes[l.Sensor], ReflexQuarantine) })
}

func (a *Agent) planReset(seen tightened) plan {
	still := func() error { return a.outdated(link.OrderReset, seen) }
	return plan{
		change: func(b *body) error {
			if err := still(); err != nil {
				return err
			}
			b.Stopped = false
			return nil
		},
		effect: func() (link.Outcome, string) {
			if err := a.reflex.Resume(still); err != nil {
				return failed(err)
			}
			return done("outputs may be switched on again; nothing was started")
		},
	}
}

func (a *Agent) planPolicy(p *link.PolicyParams) plan {
	return plan{
		change: func(b *body) error {
			if p.Version <= b.Policy.Version {
				return core.E(core.KindConflict, "agent", fmt.Sprintf("policy version %d is not above %d", p.Version, b.Policy.Version))
			}
			b.Policy = policyRef{p.Version, p.SHA256}
			return nil
		},
		effect: func() (link.Outcome, string) { return done("policy %d is the one to hold", p.Version) },
	}
}

func (a *Agent) planServers(p *link.ServerAddressParams) plan {
	return plan{
		change: func(b *body) error { b.Servers = slices.Clone(p.Servers); return nil },
		effect: func() (link.Outcome, string) {
			a.client.close()
			if a.reflex.Contained() {
				if _, err := a.contain("the server moved", false); err != nil {
					return failed(err)
				}
			}
			return done("the server is at %s", strings.Join(p.Servers, ", "))
		},
	}
}

// wait keeps an order of a single operator until its delay is over, and says so
// where anybody can object (F22).
func (a *Agent) wait(v *link.Verified, env *link.Envelope, via string, seen tightened) answer {
	raw, err := env.Encode()
	if err != nil {
		return a.refuse(v.Order, env, via, err)
	}
	at := a.context()
	w := pending{
		Order: v.Order.ID, Envelope: raw, Delay: v.Delay, Boot: a.store.Continuity().Boot, Since: a.cfg.Elapsed().Microseconds(),
		Presence: at.Presence, PresenceAge: at.PresenceAge, Lower: at.Now.Lower.UnixMicro(), LastCounter: at.LastCounter, Tightened: seen, Via: via,
	}
	if !at.Now.Upper.IsZero() {
		w.Upper = at.Now.Upper.UnixMicro()
	}
	yes := answer{Order: v.Order.ID, Hash: payloadHash(env.Payload), Outcome: link.OutcomePending, Detail: fmt.Sprintf("waits %s, for anybody who objects", v.Delay)}
	err = a.update(func(b *body) error {
		if len(b.Pending) >= maxPending {
			return core.E(core.KindConflict, "agent", fmt.Sprintf("%d orders wait already", len(b.Pending)))
		}
		b.Pending = append(b.Pending, w)
		b.take(v.Order)
		b.note(yes)
		return nil
	})
	if err != nil {
		return a.refuse(v.Order, env, via, err)
	}
	a.waiting[v.Order.ID] = v
	a.presence.used(at.Presence)
	a.tell("release_pending", core.SeverityHigh, map[string]any{
		"order": v.Order.ID, "type": v.Order.Type, "latches": v.Order.Latches, "delay_s": int64(v.Delay.Seconds()), "persons": v.Persons, "via": via,
	})
	a.queueResult(yes)
	return yes
}

// due carries out the waiting orders whose delay is over.
func (a *Agent) due() {
	a.orders.Lock()
	defer a.orders.Unlock()
	var over []pending
	boot := a.store.Continuity().Boot
	a.view(func(_ string, b *body) {
		for _, w := range b.Pending {
			if w.Boot == boot && a.cfg.Elapsed()-time.Duration(w.Since)*time.Microsecond >= w.Delay {
				over = append(over, w)
			}
		}
	})
	for _, w := range over {
		a.conclude(w)
	}
}

// conclude ends one wait. The order must still hold: the same trust root, the
// same epoch, the latches that it names, and nobody asked for the opposite since.
func (a *Agent) conclude(w pending) {
	v, err := a.verified(w)
	if err == nil {
		err = v.StillHolds(a.trust.Load(), a.context())
	}
	if err == nil {
		err = a.outdated(v.Order.Type, w.Tightened)
	}
	if err == nil && v.Row.Direction.Away() {
		err = a.logInDoubt(w.Via)
	}
	drop := func(b *body) error {
		b.Pending = slices.DeleteFunc(b.Pending, func(x pending) bool { return x.Order == w.Order })
		return nil
	}
	if uerr := a.update(drop); uerr != nil {
		a.cfg.Log.Error("a waiting order goes on waiting for the disk", slog.Any("order", w.Order), slog.Any("error", uerr))
		return
	}
	delete(a.waiting, w.Order)
	env, perr := link.ParseEnvelope(w.Envelope)
	if perr != nil {
		return // it was parsed when it was kept
	}
	if err != nil {
		no := answer{Order: w.Order, Hash: payloadHash(env.Payload), Outcome: link.OutcomeRefused, Detail: clipDetail(err.Error())}
		a.later(func(b *body) error { b.note(no); return nil })
		a.refusals.tell(a, "order_refused", core.SeverityHigh, map[string]any{"order": w.Order, "why": sensor.Text(err.Error()), "kind": core.KindOf(err).String(), "via": "delay"})
		a.queueResult(no)
		return
	}
	a.carryOut(v, payloadHash(env.Payload), w.Tightened)
}

// verified returns the order as it was verified when it came. After a restart of
// the agent it is verified again, against what was known then.
func (a *Agent) verified(w pending) (*link.Verified, error) {
	if v := a.waiting[w.Order]; v != nil {
		return v, nil
	}
	env, err := link.ParseEnvelope(w.Envelope)
	if err != nil {
		return nil, err
	}
	at := a.context()
	at.Presence, at.PresenceAge, at.LastCounter = w.Presence, w.PresenceAge, w.LastCounter
	at.Now = link.TrustedTime{Lower: time.UnixMicro(w.Lower)}
	if w.Upper != 0 {
		at.Now.Upper = time.UnixMicro(w.Upper)
	}
	return a.trust.Load().CheckOrder(env, at)
}
