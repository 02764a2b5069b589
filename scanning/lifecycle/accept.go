package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// two holds an acceptance against its request.
func (r Rules) two(f Finding, c Change) error {
	const op = "lifecycle.Approve"
	a := f.Acceptance
	switch {
	case a == nil || a.Approver != "":
		return core.E(core.KindConflict, op, fmt.Sprintf("finding %s: nobody has asked for its risk to be accepted", f.ID)).
			WithHint("ask for it: interlock findings accept")
	case a.Requester == c.By.String():
		return core.E(core.KindDenied, op, "who asks for a risk to be accepted does not approve it").WithHint("somebody else with the right approves it")
	case c.Request == 0:
		return core.E(core.KindInvalid, op, fmt.Sprintf("finding %s: it is not said which request is approved; number %d waits, until %s", f.ID, a.Revision, a.Until.Format(time.DateOnly))).
			WithHint("read the finding and name the number of its request")
	case c.Request != a.Revision:
		return core.E(core.KindConflict, op, fmt.Sprintf("finding %s: that request was taken back or asked anew since; the one that waits is number %d, until %s", f.ID, a.Revision, a.Until.Format(time.DateOnly))).
			WithHint("read the finding again and approve what is asked now")
	}
	if why := a.Risk.changed(riskOf(&f)); why != "" {
		return core.E(core.KindConflict, op, fmt.Sprintf("finding %s is not what %s asked about: %s", f.ID, a.Requester, why)).
			WithHint("look at it again, and ask anew if its risk is still to be accepted: interlock findings accept " + f.ID.String())
	}
	return r.span(op, c.At, a.Until)
}

// riskOf is a finding's risk as it is shown.
func riskOf(f *Finding) AskedRisk {
	r := AskedRisk{Severity: f.What.Severity, Exploited: f.exploited(), Reach: f.What.Reach}
	_, r.Decision, _ = rank(f)
	if f.What.Package != nil {
		r.Version = f.What.Package.Version
	}
	return r
}

// changed says in what a risk is another one than was asked about, "" for nothing.
func (r AskedRisk) changed(now AskedRisk) string {
	var list []string
	say := func(name, was, is string) {
		if was != is {
			list = append(list, fmt.Sprintf("%s %s → %s", name, cmp.Or(was, "unknown"), cmp.Or(is, "unknown")))
		}
	}
	say("severity", string(r.Severity), string(now.Severity))
	say("decision", r.Decision, now.Decision)
	say("reachable", string(r.Reach), string(now.Reach))
	say("version", r.Version, now.Version)
	if r.Exploited != now.Exploited {
		list = append(list, "it is known to be exploited by now")
	}
	return strings.Join(list, "; ")
}

// span refuses an acceptance that has ended or lasts too long.
func (r Rules) span(op string, now, until time.Time) error {
	switch {
	case !until.After(now):
		return core.E(core.KindInvalid, op, "the end of the acceptance has passed already")
	case until.Sub(now) > r.Acceptance:
		return core.E(core.KindInvalid, op, fmt.Sprintf("a risk is accepted for at most %d days", r.Acceptance/day)).WithHint("name an earlier day; it can be asked for again")
	}
	return nil
}

// Ask asks for a finding's risk to be accepted until a day; somebody else's
// approval makes it so. A second request takes the first one's place.
func (r Rules) Ask(f Finding, c Change, until time.Time) (Finding, Event, error) {
	const op = "lifecycle.Ask"
	if !slices.ContainsFunc(Edges, func(e Edge) bool { return e.From == f.State && e.To == StateAccepted }) {
		return f, Event{}, core.E(core.KindConflict, op, fmt.Sprintf("finding %s is %s: there is nothing to accept yet, or any more", f.ID, f.State)).
			WithHint("triage it first: interlock findings triage")
	}
	if strings.TrimSpace(c.Reason) == "" {
		return f, Event{}, core.E(core.KindInvalid, op, "why is the risk to be accepted?").WithHint("give a reason")
	}
	if c.By.Kind != core.KindPerson || c.By.Tenant != f.Tenant {
		return f, Event{}, core.E(core.KindDenied, op, fmt.Sprintf("finding %s: %s is no person of this tenant", f.ID, c.By))
	}
	if err := r.span(op, c.At, until); err != nil {
		return f, Event{}, err
	}
	f.Acceptance = &Acceptance{Requester: c.By.String(), Reason: c.Reason, Asked: c.At, Until: until, Revision: f.Revision + 1, Risk: riskOf(&f)}
	return f.tell(Event{At: c.At, By: c.By.String(), Kind: EventAsked, Text: c.Reason + "; until " + until.Format(time.DateOnly), Intent: c.Intent})
}

// asked is the request that goes on waiting when a finding moves among the open
// states; one that was approved has been used up.
func (f Finding) asked(from State) *Acceptance {
	if f.Acceptance == nil || from == StateAccepted || !f.State.Open() || f.State == StateFixed {
		return nil
	}
	return f.Acceptance
}
