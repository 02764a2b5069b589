package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/approval"
)

// deal is a request as the log says it.
type deal struct {
	Act      Act                 `json:"act"`
	Approval approval.Approval   `json:"approval"`
	Evidence map[string]Evidence `json:"evidence"` // by verb and person
	// NotBefore is set where nobody but the requester could approve: it waits
	// until then instead. Microseconds.
	NotBefore int64 `json:"not_before,omitempty"`
}

func (d *deal) alone() bool { return d.NotBefore != 0 }

// The states of a request as lists show them.
const (
	RequestOpen      = "open"     // waits for consents
	RequestWaiting   = "waiting"  // waits for its delay; nobody consented
	RequestApproved  = "approved" // its requester can carry it out
	RequestReady     = "ready"    // its delay is over; nobody consented
	RequestUsed      = "used"
	RequestRejected  = "rejected"
	RequestWithdrawn = "withdrawn"
	RequestExpired   = "expired"
)

// Approval is a request for what takes a second person, as lists show it.
type Approval struct {
	ID        core.UUID       `json:"id"`
	Act       Act             `json:"act"`
	What      string          `json:"what"` // the act in one line
	Digest    approval.Digest `json:"digest"`
	Requester core.PersonID   `json:"requester"`
	State     string          `json:"state"`
	// Need is how many persons beside the requester must consent; 0 where
	// nobody could, and the request waits until NotBefore instead.
	Need     int                `json:"need"`
	Consents []approval.Consent `json:"consents"`
	Eligible []core.PersonID    `json:"eligible"`
	Created  time.Time          `json:"created"`
	Expires  time.Time          `json:"expires"`
	// NotBefore is when a single operator's delay is over.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Alone says in one sentence that no second person was there.
	Alone  string        `json:"alone,omitempty"`
	By     string        `json:"by,omitempty"` // who ended it
	Reason string        `json:"reason,omitempty"`
	Log    core.Position `json:"log,omitzero"`
}

func aloneNote(d *deal) string {
	if !d.alone() {
		return ""
	}
	wait := time.UnixMicro(d.NotBefore).Sub(d.Approval.Request.Created).Round(time.Minute)
	return fmt.Sprintf("single operator: no second person agrees to this; it waits %s instead. Two-person control: not met", wait)
}

// approvalOf is a record as lists show it.
func approvalOf(object string, r record, now time.Time) Approval {
	d, req := r.Deal, r.Deal.Approval.Request
	id, _ := core.ParseUUID(nameOf(object)) // our own
	out := Approval{
		ID: id, Act: d.Act, What: d.Act.String(), Digest: req.Digest, Requester: r.Person, Need: req.Need,
		Consents: append([]approval.Consent{}, d.Approval.Consents...), Eligible: append([]core.PersonID{}, req.Eligible...),
		Created: req.Created, Expires: req.Expires, Alone: aloneNote(d), By: d.Approval.By, Reason: d.Approval.Reason, Log: r.at,
	}
	if d.alone() {
		out.NotBefore = time.UnixMicro(d.NotBefore).UTC()
	}
	switch state := d.Approval.StateAt(now); {
	case state == approval.Requested:
		out.State = RequestOpen
	case state == approval.Approved && d.alone() && now.Before(out.NotBefore):
		out.State = RequestWaiting
	case state == approval.Approved && d.alone():
		out.State = RequestReady
	default:
		out.State = string(state)
	}
	return out
}

// Approvals lists the requests, those that can still be decided or carried out
// first, then newest first. The caller asks the Guard.
func (p *People) Approvals(context.Context) []Approval {
	now := p.parts.Clock.Now()
	p.mu.RLock()
	list := []Approval{}
	for object, r := range p.objects {
		if kindOf(object) == kindApproval && r.Deal != nil {
			list = append(list, approvalOf(object, r, now))
		}
	}
	p.mu.RUnlock()
	slices.SortFunc(list, func(a, b Approval) int {
		if x, y := a.Open(), b.Open(); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(b.ID.String(), a.ID.String())
	})
	return list
}

// Open reports whether somebody can still do something about it.
func (a Approval) Open() bool {
	return slices.Contains([]string{RequestOpen, RequestWaiting, RequestApproved, RequestReady}, a.State)
}

// Approval returns one request. The caller asks the Guard.
func (p *People) Approval(_ context.Context, id core.UUID) (Approval, error) {
	r, err := p.deal(id)
	if err != nil {
		return Approval{}, err
	}
	return approvalOf(kindApproval+"/"+id.String(), r, p.parts.Clock.Now()), nil
}

func (p *People) deal(id core.UUID) (record, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, known := p.objects[kindApproval+"/"+id.String()]
	if !known || r.Deal == nil {
		return r, core.E(core.KindNotFound, "identity.Approval", "there is no request "+id.String())
	}
	return r, nil
}

// eligible are the persons whose consent counts for an act that somebody asks
// for: who may approve and can, neither the requester nor whom it is about.
func (p *People) eligible(act Act, requester core.PersonID) []core.PersonID {
	p.mu.RLock()
	defer p.mu.RUnlock()
	list := []core.PersonID{}
	for _, id := range p.persons() {
		if id != requester && id != act.subject() && p.mayApprove(id, act) {
			list = append(list, id)
		}
	}
	return list
}

// mayApprove reports whether a person may be one of two, now. The caller holds
// the lock.
func (p *People) mayApprove(id core.PersonID, act Act) bool {
	r, known := p.person(id)
	if !known || r.State != stateActive || p.doubt[id] != "" || !canApprove(r.Roles) || !p.joined(id) {
		return false
	}
	return !slices.ContainsFunc(act.Sites, func(s core.SiteID) bool { return !slices.Contains(r.Sites, s) })
}

// need is how many persons beside the requester must consent: two agree on
// everything here, and whom it is about is not one of them.
func need(act Act, requester core.PersonID) int {
	if act.subject() == requester {
		return 2
	}
	return 1
}

// Request asks for an act. The requester proves it with a fresh confirmation
// ([ConfirmDigest] with [VerbRequest] and the zero UUID) or by the socket.
func (p *People) Request(ctx context.Context, who core.Principal, act Act) (Approval, error) {
	const op = "identity.Request"
	act = act.normal()
	requester, err := core.ParseID[core.PersonID](who.ID)
	if err != nil || who.Kind != core.KindPerson {
		return Approval{}, core.E(core.KindDenied, op, "only persons ask for this")
	}
	if err := p.checkAct(who, act); err != nil {
		return Approval{}, err
	}
	evidence, err := p.proved(ctx, who, ConfirmDigest(VerbRequest, core.UUID{}, act.Digest()))
	if err != nil {
		return Approval{}, err
	}
	p.editing.Lock()
	defer p.editing.Unlock()
	d, err := p.newDeal(act, requester)
	if err != nil {
		return Approval{}, err
	}
	d.Evidence[VerbRequest+" "+who.ID] = evidence
	c := change{object: kindApproval + "/" + d.Approval.Request.ID.String(), outcome: "requested", claim: claim{State: string(d.Approval.State), Person: requester, Deal: d}}
	if c, err = p.permit(ctx, who, policy.ApprovalRequest, c); err != nil {
		return Approval{}, err
	}
	if err := p.commit(ctx, nil, c); err != nil {
		return Approval{}, err
	}
	return p.Approval(ctx, d.Approval.Request.ID)
}

// checkAct says what is wrong with an act that somebody asks for. It changes
// nothing in it: the act is what was confirmed.
func (p *People) checkAct(who core.Principal, act Act) error {
	if err := act.check(); err != nil {
		return err
	}
	switch act.Kind {
	case ActInvite:
		return p.checkInvite(who, &InviteRequest{act.Person, act.Name, act.Roles, act.Sites})
	case ActRoles:
		if err := checkGrant("identity.Request", who, &act.Roles, &act.Sites); err != nil {
			return err
		}
		return p.changeable(act.Person)
	case ActLink, ActStopWithdraw:
		_, err := p.known("identity.Request", act.Person)
		return err
	}
	return nil
}

// changeable says whether a person's roles are ours to change.
func (p *People) changeable(id core.PersonID) error {
	r, err := p.known("identity.Request", id)
	if err == nil && r.Configured {
		return core.E(core.KindConflict, "identity.Request", id.String()+" is an operator of the configuration").
			WithHint("change operators in interlock.yaml and restart the server")
	}
	return err
}

// newDeal opens a request; where nobody could consent, one that waits.
func (p *People) newDeal(act Act, requester core.PersonID) (*deal, error) {
	now := p.parts.Clock.Now().UTC()
	r := approval.Request{
		ID: core.NewUUID(now), Action: act.Kind, Object: kindPerson + "/" + act.Person.String(), Digest: act.Digest(), Tenant: p.parts.Tenant,
		Requester: kindPerson + "/" + requester.String(), Need: need(act, requester), Eligible: p.eligible(act, requester),
		Created: now, Expires: now.Add(requestLife),
	}
	if act.Kind == ActCapLift {
		r.Object = act.Actor
	}
	d := &deal{Act: act, Evidence: map[string]Evidence{}}
	if len(r.Eligible) >= r.Need {
		a, err := approval.New(r)
		d.Approval = a
		return d, err
	}
	delay, err := p.waits(act, requester, len(r.Eligible))
	if err != nil {
		return nil, err
	}
	// Approved is the state in which it can be used; that nobody approved
	// stands in Need and in NotBefore.
	r.Need, r.Eligible, r.Expires = 0, nil, now.Add(delay+requestLife)
	d.NotBefore = now.Add(delay).UnixMicro()
	d.Approval = approval.Approval{Request: r, State: approval.Approved, Last: now}
	return d, nil
}

// waits says how long somebody waits who has nobody to ask, or why that is no
// way. See docs/design/003-people.md.
func (p *People) waits(act Act, requester core.PersonID, others int) (time.Duration, error) {
	const op = "identity.Request"
	hint := "let a second person in: interlock people invite NAME --role security-officer"
	switch {
	case !act.alone() || act.subject() == requester:
		return 0, core.E(core.KindConflict, op, fmt.Sprintf("%s takes two persons, and %d other can agree to it", act.Kind, others)).WithHint(hint)
	case !p.parts.SingleOperator() && act.Kind != ActInvite:
		return 0, core.E(core.KindConflict, op, "the trust root wants several persons, and nobody else can agree").WithHint(hint)
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.said.approvedOnce(requester) {
		return RecoveryDelay, nil
	}
	return AloneDelay, nil
}

// Approve consents to a request, and carries it out where it was the last
// consent needed and nobody has to be handed a secret.
func (p *People) Approve(ctx context.Context, who core.Principal, id core.UUID) (Approval, error) {
	return p.decide(ctx, who, id, VerbApprove, approval.Op{Kind: approval.Vote})
}

// Reject ends a request. Of one that waits because there was no second person,
// whoever has become one may object.
func (p *People) Reject(ctx context.Context, who core.Principal, id core.UUID, reason string) (Approval, error) {
	return p.decide(ctx, who, id, VerbReject, approval.Op{Kind: approval.Reject, Reason: clip(reason)})
}

// Withdraw takes the caller's own request back.
func (p *People) Withdraw(ctx context.Context, who core.Principal, id core.UUID, reason string) (Approval, error) {
	return p.decide(ctx, who, id, VerbWithdraw, approval.Op{Kind: approval.Withdraw, Reason: clip(reason)})
}

func clip(reason string) string {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
	}
	return strings.ToValidUTF8(reason, "")
}

var permitOf = map[string]core.Action{VerbApprove: policy.ApprovalDecide, VerbReject: policy.ApprovalDecide, VerbWithdraw: policy.ApprovalWithdraw}

// decide applies one operation of a person.
func (p *People) decide(ctx context.Context, who core.Principal, id core.UUID, verb string, op approval.Op) (Approval, error) {
	p.editing.Lock()
	defer p.editing.Unlock()
	r, err := p.deal(id)
	if err != nil {
		return Approval{}, err
	}
	next, err := p.apply(who, r.Deal, op)
	if err != nil {
		return Approval{}, err
	}
	if verb != VerbWithdraw || r.Person.String() != who.ID { // less is never held up
		evidence, err := p.proved(ctx, who, ConfirmDigest(verb, id, r.Deal.Approval.Request.Digest))
		if err != nil {
			return Approval{}, err
		}
		next.Evidence[verb+" "+who.ID] = evidence
		next.name(who, evidence)
	}
	c := change{object: kindApproval + "/" + id.String(), outcome: string(next.Approval.State), claim: claim{State: string(next.Approval.State), Person: r.Person, Deal: next}}
	if c, err = p.permit(ctx, who, permitOf[verb], c); err != nil {
		return Approval{}, err
	}
	if err := p.commit(ctx, nil, c); err != nil {
		return Approval{}, err
	}
	if next.Approval.State == approval.Approved && !next.Act.gives() {
		if _, err := p.carry(ctx, who, id); err != nil {
			return Approval{}, err
		}
	}
	return p.Approval(ctx, id)
}

// apply returns the deal after an operation; the one given stays as it is.
func (p *People) apply(who core.Principal, d *deal, op approval.Op) (*deal, error) {
	next := *d
	next.Evidence = map[string]Evidence{}
	for k, v := range d.Evidence {
		next.Evidence[k] = v
	}
	op.By, op.Digest, op.At = who.String(), d.Approval.Request.Digest, p.parts.Clock.Now().UTC()
	id, err := core.ParseID[core.PersonID](who.ID)
	if err != nil || who.Kind != core.KindPerson {
		return nil, core.E(core.KindDenied, "identity.Approval", who.String()+" is no person")
	}
	p.mu.RLock()
	may := p.mayApprove(id, d.Act)
	p.mu.RUnlock()
	if op.Kind == approval.Vote || op.Kind == approval.Reject {
		if !may {
			return nil, core.E(core.KindDenied, "identity.Approval", who.String()+" may not decide this request")
		}
	}
	if op.Kind == approval.Vote && d.alone() && !d.Approval.State.Final() {
		return nil, core.E(core.KindConflict, "identity.Approval", "it waits instead: no second person was there to agree when it was asked for").
			WithHint("where there is one now, withdraw it and ask anew")
	}
	a := d.Approval
	if op.Kind == approval.Reject && d.alone() && op.By != a.Request.Requester { // an objection to one who waits
		a.Request.Eligible = []core.PersonID{id}
	}
	next.Approval, err = a.Apply(op)
	next.Approval.Request.Eligible = d.Approval.Request.Eligible
	return &next, err
}

// name puts the evidence beside the consent that it proves.
func (d *deal) name(who core.Principal, evidence Evidence) {
	for i := range d.Approval.Consents {
		if d.Approval.Consents[i].By.String() == who.ID {
			d.Approval.Consents[i].Evidence = evidence.String()
		}
	}
}
