package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// Who takes an edge.
type Who string

// Who there is. Scans and time are this package itself, as service/findings; a
// person can't be one, because the kind of the principal is compared.
const (
	WhoPerson Who = "person"
	WhoScan   Who = "scan"
	WhoTime   Who = "time"
	// WhoStatement is the author of a VEX statement whose word the operator's
	// configuration says that counts.
	WhoStatement Who = "statement"
)

// byStatement begins the name under which a statement's author stands in the
// timeline.
const byStatement = "vex/"

// service is under which name scans and time stand in the timeline.
const service = "service/findings"

// Need is what a transition must bring.
type Need string

// The needs.
const (
	NeedReason        Need = "a reason"
	NeedJustification Need = "one of VEX's justifications, or revoked for a secret"
	NeedTarget        Need = "another finding of the same subject that is neither a duplicate nor verified"
	NeedProof         Need = "a later report of every detector that saw it, whole where it was, that does not have it"
	NeedSight         Need = "a later report that has it"
	NeedTwo           Need = "a request of somebody else, until a day that is allowed"
	NeedEnd           Need = "an acceptance that is over"
	NeedStatement     Need = "a statement of an author whose word counts"
	NeedNoStatement   Need = "a statement that closed it and does not count any more"
)

// Edge is one permitted transition.
type Edge struct {
	From, To State
	Who      Who
	Needs    []Need
}

// Edges is the whole machine. What is not here can't happen.
var Edges = slices.Concat(
	[]Edge{
		{StateIntroduced, StateDiscovered, WhoScan, []Need{NeedSight}},
		{StateDiscovered, StateTriaged, WhoPerson, nil},
		{StateTriaged, StateAffected, WhoPerson, nil},
		{StateAffected, StateRemediating, WhoPerson, nil},
		{StateRemediating, StateAffected, WhoPerson, []Need{NeedReason}},
		{StateAffected, StateFixed, WhoPerson, nil},
		{StateRemediating, StateFixed, WhoPerson, nil},
		{StateFixed, StateAffected, WhoPerson, []Need{NeedReason}},
		{StateFixed, StateAffected, WhoScan, []Need{NeedSight}},
		{StateFixed, StateVerified, WhoScan, []Need{NeedProof}},
		{StateVerified, StateAffected, WhoScan, []Need{NeedSight}},
		{StateNotAffected, StateTriaged, WhoStatement, []Need{NeedReason, NeedNoStatement}},
		{StateAccepted, StateAffected, WhoTime, []Need{NeedEnd}},
		{StateAccepted, StateAffected, WhoPerson, []Need{NeedReason}},
	},
	fromEach([]State{StateDiscovered, StateTriaged, StateAffected, StateRemediating},
		Edge{To: StateFixed, Who: WhoScan, Needs: []Need{NeedProof}},
		Edge{To: StateNotAffected, Who: WhoPerson, Needs: []Need{NeedReason, NeedJustification}},
		Edge{To: StateFalsePositive, Who: WhoPerson, Needs: []Need{NeedReason}},
		Edge{To: StateDuplicate, Who: WhoPerson, Needs: []Need{NeedReason, NeedTarget}},
		Edge{To: StateDuplicate, Who: WhoScan, Needs: []Need{NeedTarget}},
		Edge{To: StateNotAffected, Who: WhoStatement, Needs: []Need{NeedReason, NeedJustification, NeedStatement}},
	),
	fromEach([]State{StateTriaged, StateAffected, StateRemediating},
		Edge{To: StateAccepted, Who: WhoPerson, Needs: []Need{NeedTwo}},
	),
	fromEach([]State{StateNotAffected, StateFalsePositive, StateDuplicate},
		Edge{To: StateTriaged, Who: WhoPerson, Needs: []Need{NeedReason}},
	),
)

func fromEach(from []State, edges ...Edge) (all []Edge) {
	for _, s := range from {
		for _, e := range edges {
			e.From = s
			all = append(all, e)
		}
	}
	return all
}

// Justifications are VEX's words for why something is not affected. Revoked is
// ours, for a secret that opens nothing any more.
var Justifications = []string{
	"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

// JustificationRevoked is for secrets alone.
const JustificationRevoked = "revoked"

// Change is a wish to move a finding.
type Change struct {
	To     State
	Who    Who
	By     core.Principal // where Who is a person
	At     time.Time
	Reason string
	// Justification is of not-affected.
	Justification string
	// Of and OfState name the finding that this one is a duplicate of.
	Of        core.UUID
	OfState   State
	OfSubject string
	// Request is the number of the request that is approved.
	Request uint64
	// Statement is what closes it, where Who is a statement.
	Statement *StatementRef
	// Proven is set where reports prove that it is gone, Seen where a report has
	// it.
	Proven, Seen bool
	Refs         []string
	Intent       core.Position
}

// Apply moves a finding by one edge and returns it with its event. It changes
// nothing when it returns an error: KindConflict for a transition that doesn't
// exist, KindDenied for somebody who may not take it, KindInvalid for what is
// missing.
func (r Rules) Apply(f Finding, c Change) (Finding, Event, error) {
	e, err := r.edge(f, c)
	if err != nil {
		return f, Event{}, err
	}
	for _, n := range e.Needs {
		if err := r.meets(n, f, c); err != nil {
			return f, Event{}, err
		}
	}
	f.Revision++
	event := Event{
		Revision: f.Revision, At: c.At, By: c.by(), Kind: kindOf(e), From: f.State, To: c.To, Text: c.Reason, Refs: c.Refs, Intent: c.Intent,
	}
	return r.after(f, c), event, nil
}

func (c Change) by() string {
	switch {
	case c.Who == WhoPerson:
		return c.By.String()
	case c.Who == WhoStatement && c.Statement != nil:
		return byStatement + c.Statement.Author
	}
	return service
}

// kindOf is how the timeline calls an edge.
func kindOf(e Edge) EventKind {
	switch {
	case e.From == StateIntroduced:
		return EventDiscovered
	case e.Who == WhoScan && e.From == StateVerified:
		return EventReopened
	case e.Who == WhoScan && e.From == StateFixed && e.To == StateAffected:
		return EventRefuted
	case e.Who == WhoTime:
		return EventEnded
	}
	return EventMoved
}

// edge finds the transition and asks whether the one who asks may take it.
func (r Rules) edge(f Finding, c Change) (Edge, error) {
	const op = "lifecycle.Apply"
	i := slices.IndexFunc(Edges, func(e Edge) bool { return e.From == f.State && e.To == c.To && e.Who == c.Who })
	if i >= 0 {
		if c.Who == WhoPerson && (c.By.Kind != core.KindPerson || c.By.Tenant != f.Tenant) {
			return Edge{}, core.E(core.KindDenied, op, fmt.Sprintf("finding %s: %s is no person of this tenant", f.ID, c.By))
		}
		return Edges[i], nil
	}
	if slices.ContainsFunc(Edges, func(e Edge) bool { return e.From == f.State && e.To == c.To }) {
		return Edge{}, core.E(core.KindDenied, op, fmt.Sprintf("finding %s: no %s takes it from %s to %s", f.ID, c.Who, f.State, c.To)).
			WithHint(hintOf(c.To))
	}
	err := core.E(core.KindConflict, op, fmt.Sprintf("finding %s is %s and cannot become %q", f.ID, f.State, c.To))
	if next := Next(f.State); len(next) > 0 {
		return Edge{}, err.WithHint("a person moves it from " + string(f.State) + " to " + strings.Join(next, ", "))
	}
	return Edge{}, err.WithHint("only a scan moves it from " + string(f.State))
}

func hintOf(to State) string {
	if to == StateVerified {
		return "scan the same scope again with the same detector"
	}
	return "see docs/howto/drive-findings-to-a-fix.md"
}

// Next lists the states to which a person may move a finding from s.
func Next(s State) (next []string) {
	for _, e := range Edges {
		if e.From == s && e.Who == WhoPerson {
			next = append(next, string(e.To))
		}
	}
	return next
}

// meets says what of a need is missing.
func (r Rules) meets(n Need, f Finding, c Change) error {
	ok := false
	switch n {
	case NeedReason:
		ok = strings.TrimSpace(c.Reason) != ""
	case NeedJustification:
		ok = justified(f, c.Justification)
	case NeedTarget:
		ok = !c.Of.IsZero() && c.Of != f.ID && c.OfState != StateDuplicate && c.OfState != StateVerified && c.OfState != "" && c.OfSubject == f.Subject
	case NeedProof:
		ok = c.Proven
	case NeedSight:
		ok = c.Seen
	case NeedTwo:
		return r.two(f, c)
	case NeedStatement:
		ok = c.Statement != nil && c.Statement.Author != "" && f.What.Class == scanning.ClassVulnerability
	case NeedNoStatement:
		ok = f.Statement != nil
	case NeedEnd:
		ok = f.Acceptance != nil && !c.At.Before(f.Acceptance.Until)
	}
	if ok {
		return nil
	}
	return core.E(core.KindInvalid, "lifecycle.Apply", fmt.Sprintf("finding %s: %s → %s needs %s", f.ID, f.State, c.To, n))
}

func justified(f Finding, word string) bool {
	if word == JustificationRevoked {
		return f.What.Class == scanning.ClassSecret
	}
	return slices.Contains(Justifications, word)
}

// tell adds an event that moves nothing.
func (f Finding) tell(e Event) (Finding, Event, error) {
	f.Revision++
	e.Revision = f.Revision
	return f, e, nil
}

// after is what a transition leaves in the finding.
func (r Rules) after(f Finding, c Change) Finding {
	from := f.State
	f.State = c.To
	if c.To.Open() || c.To == StateVerified {
		if c.Who == WhoPerson && f.Statement != nil {
			f.Overruled = f.Statement
		}
		f.Reason, f.Justification, f.Of, f.Statement = "", "", core.UUID{}, nil
	}
	switch c.To {
	case StateFixed:
		f.Fixed = c.At
	case StateVerified:
		f.Verified = c.At
	case StateNotAffected, StateFalsePositive, StateDuplicate:
		f.Reason, f.Justification, f.Of = c.Reason, c.Justification, c.Of
		if f.Statement = nil; c.Who == WhoStatement {
			f.Statement = c.Statement
		}
	case StateAccepted:
		a := *f.Acceptance
		a.Approver = c.By.String()
		f.Acceptance, f.Reason = &a, a.Reason
	}
	if c.To != StateFixed && c.To != StateVerified {
		f.Fixed = time.Time{}
	}
	if c.To != StateAccepted {
		f.Acceptance = f.asked(from)
	}
	if from == StateVerified {
		f.Returns++
		f.Verified = time.Time{}
		f = r.restart(f, c.At)
	}
	return f
}
