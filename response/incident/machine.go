package incident

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// The services that take edges. They are the names of programs of ours; a
// person can't be one, because the kind of the principal is compared too.
var (
	ServicePlaybook     = core.MustID[core.ServiceID]("playbook")
	ServiceVerification = core.MustID[core.ServiceID]("verification")
	ServiceIncidents    = core.MustID[core.ServiceID]("incidents")
)

// Need is what a transition must bring.
type Need string

// The needs.
const (
	NeedReason      Need = "a reason"
	NeedContainment Need = "the actions that contain it, or a reason why there is nothing to contain"
	NeedPlan        Need = "at least one recovery step"
	NeedPass        Need = "a verification in which every check passed"
	NeedFailure     Need = "a verification in which a check failed"
	NeedTarget      Need = "another open incident to merge into"
)

// Edge is one permitted transition.
type Edge struct {
	From, To State
	// Roles of persons who may take it, any of them; none means no person may.
	Roles []string
	// Services that may take it.
	Services []core.ServiceID
	Needs    []Need
	// Officer demands the security officer or an administrator when the
	// incident is safety-relevant.
	Officer bool
}

var (
	responders = []string{core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}
	officers   = []string{core.RoleSecurityOfficer, core.RoleAdministrator}
	byPlaybook = []core.ServiceID{ServicePlaybook}
	byVerifier = []core.ServiceID{ServiceVerification}
)

// Edges is the whole machine. What is not here can't happen.
var Edges = slices.Concat([]Edge{
	{From: StateNew, To: StateTriaged, Roles: responders, Services: byPlaybook},
	{From: StateReopened, To: StateTriaged, Roles: responders, Services: byPlaybook},
	{From: StateTriaged, To: StateContained, Roles: responders, Services: byPlaybook, Needs: []Need{NeedContainment}},
	{From: StateContained, To: StateEradicating, Roles: responders, Services: byPlaybook},
	{From: StateEradicating, To: StateContained, Roles: responders, Needs: []Need{NeedReason}},
	{From: StateEradicating, To: StateRecovering, Roles: responders, Services: byPlaybook, Needs: []Need{NeedPlan}},
	{From: StateRecovering, To: StateEradicating, Roles: responders, Needs: []Need{NeedReason}},
	{From: StateRecovering, To: StateVerifying, Roles: responders, Services: byPlaybook},
	{From: StateVerifying, To: StateClosed, Services: byVerifier, Needs: []Need{NeedPass}},
	{From: StateVerifying, To: StateReopened, Services: byVerifier, Needs: []Need{NeedFailure}},
	{From: StateVerifying, To: StateRecovering, Roles: responders, Needs: []Need{NeedReason}},
	{From: StateClosed, To: StateReviewed, Roles: officers, Needs: []Need{NeedReason}},
	{From: StateClosed, To: StateReopened, Roles: responders, Needs: []Need{NeedReason}},
	{From: StateReviewed, To: StateReopened, Roles: officers, Needs: []Need{NeedReason}},
	{From: StateFalsePositive, To: StateReopened, Roles: responders, Needs: []Need{NeedReason}},
}, fromEach([]State{StateNew, StateTriaged, StateReopened}, Edge{
	To: StateFalsePositive, Roles: responders, Needs: []Need{NeedReason}, Officer: true,
}), fromEach([]State{StateNew, StateTriaged, StateReopened}, Edge{
	To: StateMerged, Roles: responders, Needs: []Need{NeedReason, NeedTarget},
}))

// fromEach repeats an edge for several states. A contained incident can be
// neither dismissed nor merged: its containment has to be taken back first, and
// that is what recovery and verification are for.
func fromEach(from []State, e Edge) []Edge {
	edges := make([]Edge, 0, len(from))
	for _, s := range from {
		e.From = s
		edges = append(edges, e)
	}
	return edges
}

// Change is a wish to move an incident.
type Change struct {
	To     State
	By     core.Principal
	At     time.Time
	Reason string
	// Refs are the objects that bear the change out: the orders that contain,
	// the run that recovers.
	Refs   []string
	Intent core.Position
	// Into and IntoState name the incident that this one merges into.
	Into      core.UUID
	IntoState State
	// Verdicts are the checks of a verification by their id.
	Verdicts map[string]core.Verdict
}

// Apply moves an incident by one edge and returns it with its step of the
// timeline. It changes nothing when it returns an error: KindConflict for a
// transition that doesn't exist, KindDenied for somebody who may not take it,
// KindInvalid for what is missing.
func Apply(in Incident, c Change) (Incident, Step, error) {
	e, ok := edge(in.State, c.To)
	if !ok {
		return in, Step{}, noEdge(in, c.To)
	}
	if err := e.mayTake(in, c.By); err != nil {
		return in, Step{}, err
	}
	for _, n := range e.Needs {
		if !n.met(in, c) {
			return in, Step{}, core.E(core.KindInvalid, "incident.Apply",
				fmt.Sprintf("incident %s: %s → %s needs %s", in.ID, in.State, c.To, n))
		}
	}
	step := Step{
		Revision: in.Revision + 1, At: c.At, By: c.By.String(), Kind: StepMoved,
		From: in.State, To: c.To, Text: c.Reason, Refs: c.Refs, Intent: c.Intent,
	}
	in.Revision++
	in.State = c.To
	if in.Into = (core.UUID{}); c.To == StateMerged {
		in.Into = c.Into
	}
	in.Stamps = in.Stamps.after(c)
	if in.Owner == "" && c.By.Kind == core.KindPerson {
		in.Owner = c.By.String()
	}
	return in, step, nil
}

// Next lists the states that an incident may go to from s.
func Next(s State) []State {
	var next []State
	for _, e := range Edges {
		if e.From == s {
			next = append(next, e.To)
		}
	}
	return next
}

func edge(from, to State) (Edge, bool) {
	i := slices.IndexFunc(Edges, func(e Edge) bool { return e.From == from && e.To == to })
	if i < 0 {
		return Edge{}, false
	}
	return Edges[i], true
}

func noEdge(in Incident, to State) error {
	words := make([]string, 0, len(Edges))
	for _, s := range Next(in.State) {
		words = append(words, string(s))
	}
	err := core.E(core.KindConflict, "incident.Apply", fmt.Sprintf("incident %s is %s and cannot become %q", in.ID, in.State, to))
	if len(words) == 0 {
		return err.WithHint("nothing follows " + string(in.State))
	}
	return err.WithHint("from " + string(in.State) + " it goes to " + strings.Join(words, ", "))
}

func (e Edge) mayTake(in Incident, who core.Principal) error {
	denied := func(why string) error {
		return core.E(core.KindDenied, "incident.Apply", fmt.Sprintf("incident %s: %s may not take %s → %s: %s", in.ID, who, e.From, e.To, why))
	}
	if who.Tenant != in.Tenant {
		return denied("other tenant")
	}
	switch who.Kind {
	case core.KindService:
		if !slices.ContainsFunc(e.Services, func(s core.ServiceID) bool { return s.String() == who.ID }) {
			return denied("not a step of this service")
		}
		return nil
	case core.KindPerson:
		return e.mayPerson(in, who, denied)
	}
	return denied("neither a person nor a service")
}

func (e Edge) mayPerson(in Incident, who core.Principal, denied func(string) error) error {
	if len(e.Roles) == 0 {
		return denied("only verification takes it")
	}
	roles := e.Roles
	if e.Officer && in.Safety {
		roles = officers
	}
	if !slices.ContainsFunc(roles, who.HasRole) {
		return denied("it takes one of the roles " + strings.Join(roles, ", "))
	}
	return nil
}

func (n Need) met(in Incident, c Change) bool {
	switch n {
	case NeedReason:
		return strings.TrimSpace(c.Reason) != ""
	case NeedContainment:
		return len(c.Refs) > 0 || strings.TrimSpace(c.Reason) != "" && c.By.Kind == core.KindPerson
	case NeedPlan:
		return len(c.Refs) > 0
	case NeedPass:
		return Judge(c.Verdicts) == core.VerdictPass
	case NeedFailure:
		return Judge(c.Verdicts) == core.VerdictFail
	case NeedTarget:
		return !c.Into.IsZero() && c.Into != in.ID && c.IntoState.Open()
	}
	return false
}

// Judge folds the verdicts of a verification: one failure fails it, and only a
// non-empty set in which every check passed is a pass.
func Judge(verdicts map[string]core.Verdict) core.Verdict {
	whole := core.VerdictPass
	for _, v := range verdicts {
		switch v {
		case core.VerdictFail:
			return core.VerdictFail
		case core.VerdictPass:
		default:
			whole = core.VerdictIncomplete
		}
	}
	if len(verdicts) == 0 {
		return core.VerdictIncomplete
	}
	return whole
}

// after stamps a transition. The first acknowledgement and containment stand;
// reopening takes the closing stamp back, so that the time to recover counts
// until it is really over.
func (s Stamps) after(c Change) Stamps {
	switch c.To {
	case StateTriaged, StateFalsePositive, StateMerged:
		s.Acknowledged = first(s.Acknowledged, c.At)
	case StateContained:
		s.Contained = first(s.Contained, c.At)
	case StateClosed:
		s.Closed = c.At
	case StateReviewed:
		s.Reviewed = c.At
	case StateReopened:
		s.Closed, s.Reviewed = time.Time{}, time.Time{}
	}
	return s
}

func first(have, now time.Time) time.Time {
	if have.IsZero() {
		return now
	}
	return have
}
