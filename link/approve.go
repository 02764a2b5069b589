package link

import (
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// Approve signs an order as a person, after the checks that the approver's own
// machine makes against its own copy of the trust root (TRUST F02): the order is
// of this tenant and this root version, and this key counts for it. The caller
// has shown [RenderOrder] of the same bytes and asked.
//
// A key of the root role may approve anything: it is what a device asks for
// beside the role's own threshold when it can't tell the time.
func (t *Trust) Approve(payload []byte, s Signer) (Signature, error) {
	const op = "link.Trust.Approve"
	o, err := DecodeOrder(payload)
	if err != nil {
		return Signature{}, err
	}
	id := KeyID(s.PublicKey())
	person, known := t.keys[id]
	switch {
	case o.Tenant != t.root.Tenant:
		return Signature{}, core.E(core.KindDenied, op, fmt.Sprintf("the order is for tenant %q, this trust root is of %q", o.Tenant, t.root.Tenant))
	case o.Type != OrderStop && o.RootVersion != t.root.Version:
		return Signature{}, core.E(core.KindConflict, op, fmt.Sprintf("the order was made under trust root %d, this copy is %d", o.RootVersion, t.root.Version)).WithHint("fetch the trust root again and verify it")
	case !known:
		return Signature{}, core.E(core.KindDenied, op, fmt.Sprintf("key %s is no person's in trust root %d", id, t.root.Version))
	case t.root.Mode == ModeQuorum && o.Type != OrderStop && o.requester() == person.String():
		return Signature{}, core.E(core.KindDenied, op, fmt.Sprintf("%s requested this order and so can't approve it", person))
	}
	if role := approvalRole(o); role != "" && !t.counts(t.roles[role], id) && !t.counts(t.roles[RoleRoot], id) {
		return Signature{}, core.E(core.KindDenied, op, fmt.Sprintf("key %s of %s does not count in role %s", id, person, role))
	}
	return Sign(s, NamespaceApproval, payload)
}

// approvalRole is the role whose persons can carry the order, "" for a stop,
// which any person can.
func approvalRole(o *Order) RoleName {
	row, _ := DirectionOf(o.Type)
	switch row.Direction {
	case DirectionStop:
		return ""
	case DirectionTighten, DirectionContain:
		return RoleRelease
	}
	return row.Role
}

// Approvals says how far an order's threshold of persons is reached, for
// whoever collects the signatures. The device counts again by itself.
func (t *Trust) Approvals(env *Envelope) (Tally, error) {
	o, err := DecodeOrder(env.Payload)
	if err != nil {
		return Tally{}, err
	}
	role := approvalRole(o)
	if role == "" {
		return Tally{}, core.E(core.KindInvalid, "link.Trust.Approvals", "a stop collects no approvals: any one signature carries it")
	}
	return t.tally(role, verified(env, NamespaceApproval), o.requester()), nil
}
