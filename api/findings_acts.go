package api

import (
	"context"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func (a *API) findingActs() {
	Register(a, policy.FindingWork, post("move-finding", "/v1/findings/{id}/move", "Move a finding on: triaged, affected, remediating, fixed"), a.MoveFinding)
	Register(a, policy.FindingDismiss, post("dismiss-finding", "/v1/findings/{id}/dismiss", "Judge a finding: not affected, false positive, duplicate"), a.DismissFinding)
	Register(a, policy.FindingAccept, post("accept-finding", "/v1/findings/{id}/accept", "Ask for a finding's risk to be accepted until a day"), a.AcceptFinding)
	Register(a, policy.FindingApprove, post("approve-finding", "/v1/findings/{id}/approve", "Accept a finding's risk, as somebody else asked"), a.ApproveFinding)
	Register(a, policy.FindingWork, post("assign-finding", "/v1/findings/{id}/assign", "Give a finding an owner"), a.AssignFinding)
	Register(a, policy.FindingWork, post("note-finding", "/v1/findings/{id}/notes", "Add a remark to a finding"), a.NoteFinding)
}

// MoveFinding says where a finding is to go.
type MoveFinding struct {
	To     lifecycle.State `json:"to"`
	Reason string          `json:"reason"` // "" where the step needs none
}

// MoveFindingInput names the finding.
type MoveFindingInput struct {
	ID   string `path:"id" doc:"The finding's id"`
	Body MoveFinding
}

// judgements are the states that close a finding by what somebody says of it:
// they have actions of their own.
var judgements = []lifecycle.State{lifecycle.StateNotAffected, lifecycle.StateFalsePositive, lifecycle.StateDuplicate, lifecycle.StateAccepted}

// MoveFinding moves a finding among the open states, or takes a judgement back.
func (a *API) MoveFinding(ctx context.Context, in *MoveFindingInput) (*Out[lifecycle.Finding], error) {
	if slices.Contains(judgements, in.Body.To) {
		return nil, core.E(core.KindInvalid, "api.MoveFinding", "a finding is not moved to "+string(in.Body.To)).WithHint("dismiss it, or ask for the risk to be accepted")
	}
	return a.onFinding(ctx, policy.FindingWork, in.ID, in.Body.Reason, func(tx *store.Tx, s *lifecycle.Store, id core.UUID, c lifecycle.Change) (lifecycle.Finding, error) {
		c.To = in.Body.To
		return s.Move(ctx, tx, c.By.Tenant, id, c)
	})
}

// DismissFinding is a judgement.
type DismissFinding struct {
	To     lifecycle.State `json:"to"` // not-affected, false-positive or duplicate
	Reason string          `json:"reason"`
	// Justification is VEX's word where it is not affected, or revoked for a
	// secret.
	Justification string `json:"justification,omitempty"`
	// Of is the finding that it is a duplicate of.
	Of string `json:"of,omitempty"`
}

// DismissFindingInput names the finding.
type DismissFindingInput struct {
	ID   string `path:"id" doc:"The finding's id"`
	Body DismissFinding
}

// DismissFinding closes a finding by what somebody answers for.
func (a *API) DismissFinding(ctx context.Context, in *DismissFindingInput) (*Out[lifecycle.Finding], error) {
	if !slices.Contains(judgements, in.Body.To) || in.Body.To == lifecycle.StateAccepted {
		return nil, core.E(core.KindInvalid, "api.DismissFinding", "a finding is dismissed as not-affected, false-positive or duplicate")
	}
	if err := short(map[string]string{"justification": in.Body.Justification, "of": in.Body.Of}); err != nil {
		return nil, err
	}
	return a.onFinding(ctx, policy.FindingDismiss, in.ID, in.Body.Reason, func(tx *store.Tx, s *lifecycle.Store, id core.UUID, c lifecycle.Change) (f lifecycle.Finding, err error) {
		c.To, c.Justification = in.Body.To, in.Body.Justification
		if in.Body.Of != "" {
			if c.Of, err = core.ParseUUID(in.Body.Of); err != nil {
				return f, err
			}
		}
		return s.Move(ctx, tx, c.By.Tenant, id, c)
	})
}

// AcceptFinding asks for a risk to be accepted.
type AcceptFinding struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// AcceptFindingInput names the finding.
type AcceptFindingInput struct {
	ID   string `path:"id" doc:"The finding's id"`
	Body AcceptFinding
}

// AcceptFinding asks; somebody else approves.
func (a *API) AcceptFinding(ctx context.Context, in *AcceptFindingInput) (*Out[lifecycle.Finding], error) {
	return a.onFinding(ctx, policy.FindingAccept, in.ID, in.Body.Reason, func(tx *store.Tx, s *lifecycle.Store, id core.UUID, c lifecycle.Change) (lifecycle.Finding, error) {
		return s.Ask(ctx, tx, c.By.Tenant, id, c, in.Body.Until)
	})
}

// ApproveFinding may have a remark.
type ApproveFinding struct {
	Reason string `json:"reason"` // "" for none
	// Request is which request is approved, never 0: the field revision of the finding's
	// acceptance, as the approver read it.
	Request uint64 `json:"request,omitempty"`
}

// ApproveFindingInput names the finding.
type ApproveFindingInput struct {
	ID   string `path:"id" doc:"The finding's id"`
	Body ApproveFinding
}

// ApproveFinding accepts a risk that somebody else asked to accept.
func (a *API) ApproveFinding(ctx context.Context, in *ApproveFindingInput) (*Out[lifecycle.Finding], error) {
	return a.onFinding(ctx, policy.FindingApprove, in.ID, in.Body.Reason, func(tx *store.Tx, s *lifecycle.Store, id core.UUID, c lifecycle.Change) (lifecycle.Finding, error) {
		c.Request = in.Body.Request
		return s.Approve(ctx, tx, c.By.Tenant, id, c)
	})
}

// AssignFinding names an owner.
type AssignFinding struct {
	Owner string `json:"owner"` // "" for nobody
}

// AssignFindingInput names the finding.
type AssignFindingInput struct {
	ID   string `path:"id" doc:"The finding's id"`
	Body AssignFinding
}

// AssignFinding gives a finding an owner.
func (a *API) AssignFinding(ctx context.Context, in *AssignFindingInput) (*Out[lifecycle.Finding], error) {
	return a.onFinding(ctx, policy.FindingWork, in.ID, "", func(tx *store.Tx, s *lifecycle.Store, id core.UUID, c lifecycle.Change) (lifecycle.Finding, error) {
		return s.Assign(ctx, tx, c.By.Tenant, id, in.Body.Owner, c)
	})
}

// NoteFinding is a remark.
type NoteFinding struct {
	Text string `json:"text"`
}

// NoteFindingInput names the finding.
type NoteFindingInput struct {
	ID   string `path:"id" doc:"The finding's id"`
	Body NoteFinding
}

// NoteFinding adds a remark.
func (a *API) NoteFinding(ctx context.Context, in *NoteFindingInput) (*Out[lifecycle.Finding], error) {
	return a.onFinding(ctx, policy.FindingWork, in.ID, in.Body.Text, func(tx *store.Tx, s *lifecycle.Store, id core.UUID, c lifecycle.Change) (lifecycle.Finding, error) {
		return s.Note(ctx, tx, c.By.Tenant, id, c)
	})
}

// onFinding does something to one finding in the caller's name: the Guard is asked
// first, and what it says is logged before the effect.
func (a *API) onFinding(
	ctx context.Context, action core.Action, text, reason string, do func(*store.Tx, *lifecycle.Store, core.UUID, lifecycle.Change) (lifecycle.Finding, error),
) (*Out[lifecycle.Finding], error) {
	s, err := a.findings()
	if err != nil {
		return nil, err
	}
	if err := tooLong("reason", reason, maxReason); err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(text)
	if err != nil {
		return nil, err
	}
	var f lifecycle.Finding
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		f, err = s.Get(ctx, tx, principal(ctx).Tenant, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	who, intent, err := a.decideFinding(ctx, action, text, f.Subject)
	if err != nil {
		return nil, err
	}
	c := lifecycle.Change{By: who, At: a.Clock.Now().UTC().Truncate(time.Microsecond), Reason: reason, Intent: intent}
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		f, err = do(tx, s, id, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(f), nil
}
