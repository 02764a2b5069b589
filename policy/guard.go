package policy

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"github.com/interlock-security/interlock/core"
)

// Recorder makes a decision durable in the audit log and names the entry. It
// returns after the entry is durable; an error means that it is not, and then
// the Guard permits nothing.
type Recorder interface {
	Intent(ctx context.Context, who core.Principal, action core.Action, on core.Resource, d core.Decision) (core.Position, error)
}

// Options are what a [Guard] tells and asks beside the recorder. The zero value
// works: no cap but the default one, no hooks.
type Options struct {
	// Caps limits containment; nil means [NewCaps] with [DefaultLimits].
	Caps *Caps
	// Counted is told of every answer, for metrics. It must not block.
	Counted func(action core.Action, allowed bool)
	// Capped is told when an actor reaches the cap: raise an alert. It must
	// not block.
	Capped func(who core.Principal, action core.Action, on core.Resource)
	// Refused is told of every refusal of a stranger: make an event of it.
	// It must not block.
	Refused func(who core.Principal, action core.Action, on core.Resource, d core.Decision)
	// Summary writes one audit entry per source and minute for the refusals
	// of strangers; see [Guard.Run].
	Summary func(ctx context.Context, s Summary) error
	// Log is where faults go that nobody waits for; nil discards them.
	Log *slog.Logger
}

// Guard implements [core.Guard]. Safe for concurrent use.
type Guard struct {
	set       atomic.Pointer[Set]
	rec       Recorder
	clock     core.Clock
	o         Options
	strangers *strangers
	late      *late
}

// NewGuard returns a Guard over the set, which may be nil where no good set of
// policies is to be had: then stops, reports of devices and repairs work and
// nothing else does.
// [Guard.Run] must run for deferred records and summaries to be written.
func NewGuard(set *Set, rec Recorder, clock core.Clock, opts ...Options) *Guard {
	g := &Guard{rec: rec, clock: clock, strangers: newStrangers(), late: newLate()}
	for _, o := range opts {
		g.o = o
	}
	if g.o.Caps == nil {
		g.o.Caps = NewCaps(clock, DefaultLimits)
	}
	if g.o.Log == nil {
		g.o.Log = slog.New(slog.DiscardHandler)
	}
	g.set.Store(set)
	return g
}

// Set returns the policies in force, nil where there are none.
func (g *Guard) Set() *Set { return g.set.Load() }

// Caps returns the containment caps.
func (g *Guard) Caps() *Caps { return g.o.Caps }

// Load puts the policies of fsys in force. Where they do not parse, the last
// good set stays and the error names file, line and column. The caller asks the
// Guard for [PolicyLoad], or for [PolicyRestore] with [Default], before.
func (g *Guard) Load(fsys fs.FS) error {
	set, err := Load(fsys)
	if err != nil {
		return err
	}
	g.set.Store(set)
	return nil
}

// Replace puts a set in force that parsed before. A nil set is refused.
func (g *Guard) Replace(set *Set) error {
	if set == nil {
		return core.E(core.KindInvalid, "policy.Replace", "there is no set")
	}
	g.set.Store(set)
	return nil
}

// Could reports whether somebody like who could do the action to anything at all;
// see [Set.Could].
func (g *Guard) Could(who core.Principal, action core.Action) bool { return g.Set().Could(who, action) }

// Permit implements [core.Guard]. What it records is durable before it returns:
// permits of changes, permits of reads that name people, refusals of somebody
// known. Other reads are counted. A stop and a reflex are answered at once and
// recorded late.
func (g *Guard) Permit(ctx context.Context, who core.Principal, action core.Action, on core.Resource) (core.Decision, error) {
	d := g.Set().Evaluate(who, action, on)
	class, _ := ClassOf(action)
	if d.Allowed && Undelayed(action) {
		g.count(action, true)
		g.late.put(deferred{who, action, on, d, g.clock.Now()})
		core.NoteRecorded(ctx)
		return d, nil
	}
	if err := ctx.Err(); err != nil {
		return core.Decision{}, core.Wrap(core.KindUnavailable, "policy.Permit", err)
	}
	undo := func() {}
	if d.Allowed && class == ClassContain {
		d, undo = g.capped(who, action, on, d)
	}
	d, err := g.record(ctx, who, action, on, class, d)
	if err != nil {
		undo()
		return core.Decision{}, err
	}
	g.count(action, d.Allowed)
	return d, nil
}

func (g *Guard) record(ctx context.Context, who core.Principal, action core.Action, on core.Resource, class Class, d core.Decision) (core.Decision, error) {
	switch {
	case d.Allowed && !class.Recorded():
		return d, nil
	case !d.Allowed && !known(who):
		g.strangers.refuse(who, action, g.clock.Now())
		if g.o.Refused != nil {
			g.o.Refused(who, action, on, d)
		}
		return d, nil
	}
	pos, err := g.rec.Intent(ctx, who, action, on, d)
	if err != nil {
		return d, fmt.Errorf("policy.Permit: the decision on %s by %s could not be recorded: %w", action, who, err)
	}
	d.Intent = pos
	core.NoteRecorded(ctx)
	return d, nil
}

func (g *Guard) capped(who core.Principal, action core.Action, on core.Resource, d core.Decision) (core.Decision, func()) {
	undo, err := g.o.Caps.take(who, on)
	if err == nil {
		return d, undo
	}
	if g.o.Capped != nil {
		g.o.Capped(who, action, on)
	}
	return deny(RuleCap, err.Error()), func() {}
}

func (g *Guard) count(action core.Action, allowed bool) {
	if g.o.Counted != nil {
		g.o.Counted(action, allowed)
	}
}

var _ core.Guard = (*Guard)(nil)
