package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

const day = 24 * time.Hour

// TagValid marks a secret that is known to open something still.
const TagValid = "valid"

// Rules is by when findings are to be fixed and for how long a risk may be
// accepted.
type Rules struct {
	// SLA is the time from discovery for each severity; one without an entry
	// has no due day.
	SLA map[core.Severity]time.Duration
	// Exploited is the time from when it is known that an advisory is exploited
	// (unless CISA names a day), Secret that of a secret that is known to be
	// valid.
	Exploited, Secret time.Duration
	// Acceptance is the longest that a risk is accepted for.
	Acceptance time.Duration
}

// DefaultRules are the rules of an installation that says nothing else.
func DefaultRules() Rules {
	return Rules{
		SLA: map[core.Severity]time.Duration{
			core.SeverityCritical: 7 * day, core.SeverityHigh: 30 * day, core.SeverityMedium: 90 * day, core.SeverityLow: 180 * day,
		},
		Exploited: 3 * day, Secret: day, Acceptance: 90 * day,
	}
}

// Validate says what is wrong.
func (r Rules) Validate() error {
	last := time.Duration(0)
	for _, s := range slices.Backward(core.Severities) {
		d, is := r.SLA[s]
		switch {
		case !is:
		case d <= 0:
			return fmt.Errorf("sla: %s is no time", s)
		case d < last:
			return fmt.Errorf("sla: %s has less time than what is graver", s)
		default:
			last = d
		}
	}
	if r.Exploited <= 0 || r.Secret <= 0 || r.Acceptance <= 0 {
		return fmt.Errorf("the times for exploited advisories, valid secrets and acceptances have to be longer than none")
	}
	return nil
}

// whyValid sets the clock of a secret that is known to open something.
const whyValid = "valid secret"

// limit is a moment by which something is to be done, and why.
type limit struct {
	due time.Time
	why string
}

// limits are all that ask for a finding to be fixed.
func (r Rules) limits(f Finding) (all []limit) {
	since := f.Clock.Since
	if d, is := r.SLA[f.What.Severity]; is {
		all = append(all, limit{since.Add(d), string(f.What.Severity)})
	}
	if f.What.Class == scanning.ClassSecret && slices.Contains(f.What.Tags, TagValid) {
		all = append(all, limit{since.Add(r.Secret), whyValid})
	}
	for _, at := range []time.Time{f.Facts.KEV, f.Facts.Exploited, f.What.Risk.KEV} {
		if at.IsZero() {
			continue
		}
		l := limit{later(at, since).Add(r.Exploited), "exploited"}
		if due := f.Facts.KEVDue; at.Equal(f.Facts.KEV) && due.After(since) && due.Before(l.due) {
			l = limit{due, "exploited, CISA's day"}
		}
		all = append(all, l)
	}
	return all
}

// wind sets a clock by what is known now. It only ever shortens it.
func (r Rules) wind(f Finding) (Finding, bool) {
	before := f.Clock.Due
	for _, l := range r.limits(f) {
		if f.Clock.Due.IsZero() || l.due.Before(f.Clock.Due) {
			f.Clock.Due, f.Clock.Why = l.due, l.why
		}
	}
	return f, !before.IsZero() && f.Clock.Due.Before(before)
}

// restart begins a new clock for what had been verified and came back.
func (r Rules) restart(f Finding, at time.Time) Finding {
	f.Clock = Clock{Since: at}
	f, _ = r.wind(f)
	return f
}

// stepAt is when a clock reaches a step; zero for never.
func (c Clock) stepAt(s Step) time.Time {
	span := c.Due.Sub(c.Since)
	switch {
	case c.Due.IsZero():
		return time.Time{}
	case s == StepSoon:
		return c.Since.Add(span * 3 / 4)
	case s == StepTwice:
		return c.Since.Add(span * 2)
	}
	return c.Due
}

// steps are in the order in which a clock reaches them.
var steps = []Step{StepSoon, StepOverdue, StepTwice}

// reached is the last step that a clock has come to.
func (c Clock) reached(now time.Time) Step {
	at := StepNone
	for _, s := range steps {
		if t := c.stepAt(s); !t.IsZero() && !t.After(now) {
			at = s
		}
	}
	return at
}

// next is when a clock comes to a step that nobody was told of; zero for never.
func (c Clock) next() time.Time {
	i := slices.Index(steps, c.Step) + 1
	if i == len(steps) {
		return time.Time{}
	}
	return c.stepAt(steps[i])
}

// Escalate tells that a clock has come to a step that nobody was told of. Several
// that passed while nobody looked are one.
func (r Rules) Escalate(f Finding, now time.Time) (Finding, Event, bool) {
	step := f.Clock.reached(now)
	if !f.State.Open() || slices.Index(steps, step) <= slices.Index(steps, f.Clock.Step) {
		return f, Event{}, false
	}
	f.Clock.Step = step
	text := fmt.Sprintf("%s: due on %s (%s)", step, f.Clock.Due.UTC().Format(time.DateOnly), f.Clock.Why)
	f, e, _ := f.tell(Event{At: now, By: service, Kind: EventEscalated, Text: text})
	return f, e, true
}

// wakes is when time has something to do with a finding; zero for never.
func (f Finding) wakes() time.Time {
	switch {
	case f.State == StateAccepted && f.Acceptance != nil:
		return f.Acceptance.Until
	case f.State == StateNotAffected && f.Statement != nil:
		return f.Statement.Until
	case f.State.Open():
		return f.Clock.next()
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
