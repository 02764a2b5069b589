package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/approval"
)

// CarryOut does what was agreed on, by the one who asked for it: where it makes
// a link, which only the requester gets, and where nobody could agree, after the
// delay. The Link is zero for an act that makes none.
func (p *People) CarryOut(ctx context.Context, who core.Principal, id core.UUID) (Approval, Link, error) {
	p.editing.Lock()
	defer p.editing.Unlock()
	r, err := p.deal(id)
	if err != nil {
		return Approval{}, Link{}, err
	}
	if r.Deal.Approval.Request.Requester != who.String() {
		return Approval{}, Link{}, core.E(core.KindDenied, "identity.CarryOut", "only "+r.Deal.Approval.Request.Requester+" carries it out")
	}
	if _, err := p.proved(ctx, who, ConfirmDigest(VerbCarry, id, r.Deal.Approval.Request.Digest)); err != nil {
		return Approval{}, Link{}, err
	}
	made, err := p.carry(ctx, who, id)
	if err != nil {
		return Approval{}, Link{}, err
	}
	a, err := p.Approval(ctx, id)
	return a, made, err
}

// carry uses a request up and does what it says. The caller holds editing.
func (p *People) carry(ctx context.Context, who core.Principal, id core.UUID) (Link, error) {
	r, err := p.deal(id)
	if err != nil {
		return Link{}, err
	}
	d := r.Deal
	if now := p.parts.Clock.Now(); d.alone() && now.UnixMicro() < d.NotBefore {
		return Link{}, core.E(core.KindConflict, "identity.CarryOut", "it waits until "+time.UnixMicro(d.NotBefore).UTC().Format(time.RFC3339)+", because no second person agrees to it")
	}
	if err := p.stillAgreed(d); err != nil {
		return Link{}, err
	}
	next, err := p.apply(who, d, approval.Op{Kind: approval.Use})
	if err != nil {
		return Link{}, err
	}
	if d.Act.Digest() != d.Approval.Request.Digest {
		return Link{}, core.E(core.KindDamaged, "identity.CarryOut", "the act is not the one that was agreed on")
	}
	changes, made, effect, err := p.effect(ctx, who, d)
	if err != nil {
		return Link{}, err
	}
	used := change{object: kindApproval + "/" + id.String(), outcome: string(next.Approval.State), claim: claim{State: string(next.Approval.State), Person: r.Person, Deal: next}}
	if used, err = p.permit(ctx, who, policy.ApprovalUse, used); err != nil {
		return Link{}, err
	}
	if err := p.commit(ctx, nil, append(changes, used)...); err != nil {
		return Link{}, err
	}
	return made, effect()
}

// stillAgreed holds the persons of a request against what they are now: a
// consent of somebody who was revoked since, or is in doubt, is none.
func (p *People) stillAgreed(d *deal) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	requester, _ := core.ParseID[core.PersonID](nameOf(d.Approval.Request.Requester)) // checked when it was asked for
	if r, known := p.person(requester); !known || r.State != stateActive || p.doubt[requester] != "" || !canApprove(r.Roles) {
		return core.E(core.KindConflict, "identity.CarryOut", requester.String()+", who asked for it, may not any more")
	}
	for _, c := range d.Approval.Consents {
		if !p.mayApprove(c.By, d.Act) {
			return core.E(core.KindConflict, "identity.CarryOut", c.By.String()+", who agreed to it, may not any more").WithHint("ask anew")
		}
	}
	return nil
}

// effect is what an act does: changes of ours, and something elsewhere that
// happens once they are durable.
func (p *People) effect(ctx context.Context, who core.Principal, d *deal) ([]change, Link, func() error, error) {
	nothing := func() error { return nil }
	act := d.Act
	switch act.Kind {
	case ActInvite:
		changes, made, err := p.invitation(ctx, who, InviteRequest{act.Person, act.Name, act.Roles, act.Sites})
		return changes, made, nothing, err
	case ActRoles:
		changes, err := p.regrade(ctx, who, act)
		return changes, Link{}, nothing, err
	case ActLink:
		if _, err := p.known("identity.CarryOut", act.Person); err != nil {
			return nil, Link{}, nil, err
		}
		c, made, err := p.newLink(act.Person)
		if err != nil {
			return nil, Link{}, nil, err
		}
		c, err = p.permit(ctx, who, policy.PersonLink, c)
		return []change{c}, made, nothing, err
	case ActCapLift:
		effect, err := p.lift(ctx, who, d)
		return nil, Link{}, effect, err
	case ActStopWithdraw:
		effect, err := p.withdrawStop(ctx, who, d)
		return nil, Link{}, effect, err
	}
	return nil, Link{}, nil, core.E(core.KindInvalid, "identity.CarryOut", fmt.Sprintf("%q is nothing that can be done", act.Kind))
}

// regrade gives a person other roles and sites. Their sessions end: a right is
// never older than the sign-in that has it.
func (p *People) regrade(ctx context.Context, who core.Principal, act Act) ([]change, error) {
	if err := p.changeable(act.Person); err != nil {
		return nil, err
	}
	r, err := p.there("identity.CarryOut", act.Person)
	if err != nil {
		return nil, err
	}
	c := p.stored(r)
	c.Roles, c.Sites, c.Configured = act.Roles, act.Sites, false
	graded, err := p.permit(ctx, who, policy.PersonRoles, change{object: kindPerson + "/" + act.Person.String(), outcome: "regraded", claim: c})
	if err != nil {
		return nil, err
	}
	return append([]change{graded}, p.endAll(act.Person, "", "role-change", who.String())...), nil
}

// both are the two persons who agreed, the requester one of them unless it is
// about the requester.
func both(d *deal) []core.PersonID {
	requester, _ := core.ParseID[core.PersonID](nameOf(d.Approval.Request.Requester)) // checked when it was asked for
	var list []core.PersonID
	if requester != d.Act.subject() {
		list = append(list, requester)
	}
	for _, c := range d.Approval.Consents {
		list = append(list, c.By)
	}
	return list
}

func (p *People) lift(ctx context.Context, who core.Principal, d *deal) (func() error, error) {
	if p.parts.Caps == nil {
		return nil, core.E(core.KindUnavailable, "identity.CarryOut", "there are no caps here")
	}
	on := core.Resource{Type: "cap", ID: nameOf(d.Act.Actor), Tenant: p.parts.Tenant, Params: d.Approval.Request.Digest.String()}
	if err := p.ask(ctx, who, policy.CapLift, on); err != nil {
		return nil, err
	}
	return func() error {
		until := p.parts.Clock.Now().Add(time.Duration(d.Act.Hours) * time.Hour)
		return p.parts.Caps.Lift(p.parts.Tenant, d.Act.actor(p.parts.Tenant), d.Act.Extra, until, both(d)...)
	}, nil
}

func (p *People) withdrawStop(ctx context.Context, who core.Principal, d *deal) (func() error, error) {
	persons := both(d)
	if p.parts.Stops == nil || len(persons) < 2 {
		return nil, core.E(core.KindUnavailable, "identity.CarryOut", "a remote stop is withdrawn by two persons where there is a stop path")
	}
	on := core.Resource{Type: "person", ID: d.Act.Person.String(), Tenant: p.parts.Tenant, Params: d.Approval.Request.Digest.String()}
	if err := p.ask(ctx, who, policy.StopWithdraw, on); err != nil {
		return nil, err
	}
	return func() error {
		until := p.parts.Clock.Now().Add(time.Duration(d.Act.Hours) * time.Hour)
		return p.parts.Stops.Withdraw(p.parts.Tenant, d.Act.Person, until, d.Act.Reason, persons[0], persons[1])
	}, nil
}

// ask asks the Guard about an effect elsewhere.
func (p *People) ask(ctx context.Context, who core.Principal, action core.Action, on core.Resource) error {
	d, err := p.parts.Guard.Permit(ctx, who, action, on)
	if err != nil {
		return fmt.Errorf("identity: asking for %s on %s: %w", action, on, err)
	}
	return httpd.Refusal(d, who, action, on)
}
