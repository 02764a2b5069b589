package agent

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/link"
)

// arming is how the device is armed, and why. The first of these that says
// something counts:
//
//  1. An order of persons that disarms, until it ends.
//  2. An order to arm, or somebody at the machine who arms: it holds against the
//     schedule until that has said armed by itself, so whoever arms in a window
//     is not overruled by the rest of it.
//  3. The schedule, while the time is certain.
//  4. Armed.
//
// It lives in memory, as arming waits for no disk; the state follows.
type arming struct {
	mu    sync.Mutex
	plan  schedule.Schedule
	grant *grant // an order that disarms
	held  bool   // against the schedule
	now   core.Arming
	by    string
	until time.Time // of the schedule's window
	asked asked
}

// asked is what the schedule said last. To ask costs a look through the calendar,
// and once a second would be once too often for a device that idles.
type asked struct {
	at      time.Duration // boot-time clock, 0: never
	bounded bool
	doubt   time.Duration // how far the bounds lay apart
	says    core.Arming
	until   time.Time
}

// askEvery is how often the schedule is asked, beside when its answer ends or
// nothing proves the time any more.
const askEvery = 10 * time.Second

// Who or what decides how a device is armed.
const (
	armedByOrder    = "order"
	armedBySchedule = "schedule"
	armedByDefault  = "default"
)

// beginArming takes up what was in force before this start.
func (a *Agent) beginArming() error {
	plan, err := schedule.New(a.cfg.Schedule)
	if err != nil {
		return err
	}
	boot, now := a.store.Continuity().Boot, a.cfg.Elapsed()
	a.view(func(_ string, b *body) {
		a.arm.held = b.Held
		if b.Disarmed != nil && b.Disarmed.left(boot, now) > 0 {
			g := *b.Disarmed
			a.arm.grant = &g
		}
	})
	a.arm.plan = plan
	a.arm.now, a.arm.by, a.arm.until = a.decide()
	return nil
}

// decide says how the device is to be armed now. a.arm is locked, or nobody else
// has it yet.
func (a *Agent) decide() (now core.Arming, by string, until time.Time) {
	if g := a.arm.grant; g != nil {
		if g.left(a.store.Continuity().Boot, a.cfg.Elapsed()) > 0 {
			return g.Arming, armedByOrder, time.Time{}
		}
		a.arm.grant = nil
	}
	says, until := a.scheduled()
	certain := !until.IsZero() // else it says armed for want of a certain time, or of a window
	switch {
	case says == core.Armed && certain:
		if a.arm.held && a.closed() {
			a.arm.held = false
			a.later(func(b *body) error { b.Held = false; return nil })
		}
		return core.Armed, armedBySchedule, until
	case a.arm.held:
		return core.Armed, armedByOrder, time.Time{}
	case says == core.Armed:
		return core.Armed, armedByDefault, time.Time{}
	}
	return says, armedBySchedule, until
}

// closed says that no window is open at any time that now may be. Bounds that lie
// across the end of a window arm the device; they don't end what somebody armed,
// for they may come together within that window again.
func (a *Agent) closed() bool {
	t := a.store.Time()
	first, opens := a.arm.plan.At(link.TrustedTime{Lower: t.Lower, Upper: t.Lower})
	return schedule.Bounded(t) && first == core.Armed && !opens.IsZero() && opens.After(t.Upper)
}

// scheduled returns what the schedule says now; see [schedule.Schedule.At].
func (a *Agent) scheduled() (core.Arming, time.Time) {
	t, now, last := a.store.Time(), a.cfg.Elapsed(), &a.arm.asked
	bounded := schedule.Bounded(t)
	doubt := t.Upper.Sub(t.Lower)
	over := !last.until.IsZero() && !t.Lower.Before(last.until)
	if last.at == 0 || now-last.at >= askEvery || bounded != last.bounded || doubt > last.doubt+time.Second || over {
		says, until := a.arm.plan.At(t)
		*last = asked{max(now, 1), bounded, doubt, says, until}
	}
	return last.says, last.until
}

// rearm puts what [Agent.decide] says into force, after change changed what it
// goes by. An error of change leaves everything as it is.
func (a *Agent) rearm(why string, change func() error) error {
	a.arm.mu.Lock()
	defer a.arm.mu.Unlock()
	if err := change(); err != nil {
		return err
	}
	was := a.arm.now
	a.arm.now, a.arm.by, a.arm.until = a.decide()
	if a.arm.now != was {
		a.mon.SetArming(a.arm.now)
		a.tellArming(was, why)
	}
	return nil
}

// tellArming tells a change, some times a minute one by one: bounds of the time
// that waver must not fill the record. a.arm is locked.
func (a *Agent) tellArming(was core.Arming, why string) {
	fields := map[string]any{"arming": a.arm.now, "was": was, "by": a.arm.by}
	if why != "" {
		fields["why"] = why
	}
	if !a.arm.until.IsZero() {
		fields["until"] = a.arm.until.UnixMicro()
	}
	if g := a.arm.grant; g != nil {
		fields["persons"], fields["ticket"] = g.Persons, g.Ticket
		fields["for_s"] = int64(g.left(a.store.Continuity().Boot, a.cfg.Elapsed()).Seconds())
	}
	if a.arm.now == core.Armed {
		a.refusals.tell(a, "armed", core.SeverityInfo, fields)
		return
	}
	a.refusals.tell(a, "disarmed", core.SeverityMedium, fields)
}

// armNow arms against every grant there is: the count comes first, so that an
// order to disarm that is being carried out sees it, or is overruled.
func (a *Agent) armNow(why string) {
	a.tighten(func(t *tightened) { t.Arms++ })
	_ = a.rearm(why, func() error { // it has no error
		a.arm.grant, a.arm.held = nil, true
		return nil
	})
}

// keepArmed makes an arming durable.
func (a *Agent) keepArmed(b *body) {
	b.Disarmed, b.Held = nil, true
	a.keepTightened(b)
}

func (a *Agent) planArm() plan {
	return plan{
		first:  true,
		change: func(b *body) error { a.keepArmed(b); return nil },
		effect: func() (link.Outcome, string) {
			a.armNow("an order")
			return done("armed")
		},
	}
}

func (a *Agent) armLocally() error {
	a.armNow("somebody at the machine")
	a.later(func(b *body) error { a.keepArmed(b); return nil })
	return nil
}

// grantFor turns a time into a span: from the latest that now may be, so that
// it never lasts longer than was granted. Where nothing says how late it is, it
// lasts as long as persons meant when they asked: a device whose clock is weeks
// behind must not be open for weeks.
func (a *Agent) grantFor(until, issued int64) (g grant, left time.Duration) {
	now := a.store.Time()
	from := now.Upper
	if from.IsZero() {
		from = now.Lower
		if wall := a.cfg.Clock.Now(); wall.After(from) {
			from = wall
		}
	}
	left = max(0, min(time.UnixMicro(until).Sub(from), time.UnixMicro(until).Sub(time.UnixMicro(issued))))
	return grant{Boot: a.store.Continuity().Boot, Ends: (a.cfg.Elapsed() + left).Microseconds()}, left
}

func (a *Agent) planDisarm(v *link.Verified, p *link.DisarmParams, seen tightened) plan {
	g, left := a.grantFor(p.Until, v.Order.Issued)
	g.Arming, g.Ticket, g.Persons, g.Why = p.Arming, p.Ticket, v.Persons, clipDetail(v.Order.Reason)
	return plan{
		change: func(b *body) error {
			if err := a.outdated(link.OrderDisarm, seen); err != nil {
				return err
			}
			b.Disarmed, b.Held = &g, false
			return nil
		},
		effect: func() (link.Outcome, string) {
			err := a.rearm("order "+v.Order.ID.String(), func() error {
				if err := a.outdated(link.OrderDisarm, seen); err != nil {
					return err // armed at this very moment
				}
				a.arm.grant, a.arm.held = &g, false
				return nil
			})
			if err != nil {
				return failed(err)
			}
			return done("%s for %s", p.Arming, left.Round(time.Second))
		},
	}
}

// keepTime lets the schedule and the judges that grant by the time of day know
// what is known of it: each minute, and at once when that ends.
func (a *Agent) keepTime() {
	_ = a.rearm("", func() error { return nil }) // what changes nothing has no error
	t := a.store.Time()
	bounded, now := schedule.Bounded(t), a.cfg.Elapsed()
	if bounded != a.timed.bounded || a.timed.at == 0 || now-a.timed.at >= time.Minute {
		a.timed.bounded, a.timed.at = bounded, max(now, 1)
		a.mon.SetTime(t)
	}
}

// endGrants forgets what ran out. Bypasses end in the monitor by themselves.
func (a *Agent) endGrants() {
	boot, over := a.store.Continuity().Boot, false
	ended := func(g grant) bool { return g.left(boot, a.cfg.Elapsed()) == 0 }
	a.view(func(_ string, b *body) {
		over = b.Disarmed != nil && ended(*b.Disarmed) || slices.ContainsFunc(b.Bypassed, ended)
	})
	if !over {
		return
	}
	_ = a.rearm("the time of the disarming is over", func() error { return nil })
	var gone []grant
	a.view(func(_ string, b *body) {
		for _, g := range b.Bypassed {
			if ended(g) {
				gone = append(gone, g)
			}
		}
	})
	for _, g := range gone {
		a.cutBypass(g)
	}
	a.later(func(b *body) error {
		if b.Disarmed != nil && ended(*b.Disarmed) {
			b.Disarmed = nil
		}
		b.Bypassed = slices.DeleteFunc(b.Bypassed, ended)
		return nil
	})
}

// cutBypass ends a bypass that the monitor still has: its clock stood while the
// machine slept, and the grant's did not.
func (a *Agent) cutBypass(g grant) {
	for _, s := range a.mon.Statuses() {
		same := func(b monitor.Bypassed) bool { return b.Point == g.Point && b.Ticket == g.Ticket }
		if s.ID == g.Sensor && slices.ContainsFunc(s.Bypassed, same) {
			_ = a.mon.SetBypass(monitor.Bypass{Sensor: g.Sensor, Point: g.Point, Ticket: g.Ticket, For: 1}) // it is one that was taken before
		}
	}
}

// planBypass takes a sensor or a point out of service. One that watches around
// the clock is refused before anything is written.
func (a *Agent) planBypass(v *link.Verified, p *link.BypassParams, seen tightened) plan {
	g, left := a.bypassFor(p, v.Order.Issued)
	g.Why, g.Persons = clipDetail(v.Order.Reason), v.Persons
	return plan{
		change: func(b *body) error {
			if err := a.outdated(link.OrderBypass, seen); err != nil {
				return err
			}
			if err := a.mayBypass(p.Sensor, left); err != nil {
				return err
			}
			b.Bypassed = append(slices.DeleteFunc(b.Bypassed, g.replaces), g)
			return nil
		},
		effect: func() (link.Outcome, string) {
			b := g.bypass(a.cfg.Elapsed())
			if err := a.mon.SetBypass(b); err != nil {
				a.later(func(b *body) error { b.Bypassed = slices.DeleteFunc(b.Bypassed, g.replaces); return nil })
				return failed(err)
			}
			a.tell("sensor_bypassed", core.SeverityMedium, map[string]any{
				"sensor": p.Sensor, "point": p.Point, "ticket": p.Ticket, "for_s": int64(b.For.Seconds()), "after_s": int64(b.After.Seconds()),
				"reason": g.Why, "persons": v.Persons, "order": v.Order.ID,
			})
			return done("%s is bypassed for %s", p.Sensor, b.For.Round(time.Second))
		},
	}
}

// replaces says whether g takes the place of another bypass.
func (g grant) replaces(x grant) bool {
	return x.Sensor == g.Sensor && x.Point == g.Point && x.Ticket == g.Ticket
}

// bypassFor turns times into a span: it begins when the earliest that now may be
// has reached them, and ends when the latest has.
func (a *Agent) bypassFor(p *link.BypassParams, issued int64) (g grant, left time.Duration) {
	g, left = a.grantFor(p.Until, issued)
	g.Sensor, g.Point, g.Ticket = p.Sensor, p.Point, p.Ticket
	if p.From > 0 {
		wait := max(0, time.UnixMicro(p.From).Sub(a.store.Time().Lower))
		g.Begins = (a.cfg.Elapsed() + wait).Microseconds()
		left -= wait
	}
	return g, left
}

func (a *Agent) mayBypass(id core.SensorID, left time.Duration) error {
	for _, s := range a.mon.Statuses() {
		switch {
		case s.ID != id:
		case s.Always:
			return core.E(core.KindDenied, "agent.bypass", fmt.Sprintf("%s watches around the clock and can't be bypassed", id))
		case left <= 0:
			return core.E(core.KindExpired, "agent.bypass", "as far as this device can tell the time, the bypass is over before it begins")
		default:
			return nil
		}
	}
	return core.E(core.KindNotFound, "agent.bypass", "there is no sensor "+id.String())
}
