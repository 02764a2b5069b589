package link

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
)

// Context is what a device knows of itself when an order comes.
type Context struct {
	Tenant core.TenantID
	Site   core.SiteID
	Device core.DeviceID
	// Epoch is 32 hex digits, random, new whenever the device's state is
	// created, restored or not provably continuous.
	Epoch string
	// LastCounter is the highest counter taken in this epoch under the trust
	// root in force.
	LastCounter uint64
	// Latches holds the ids that are latched now.
	Latches map[string]bool
	// Now bounds the time; see [TrustedTime].
	Now TrustedTime
	// Presence is the code that the device shows on its local socket, "" for
	// none. It is random, made by the device and used once.
	Presence string
	// PresenceAge is how long ago the code was made, by the boot-time
	// monotonic clock.
	PresenceAge time.Duration
	// Seen reports whether the device has answered an order of this id before.
	// It may be nil.
	Seen func(core.UUID) bool
}

// Verified is an order that the device may carry out.
type Verified struct {
	Order  *Order
	Params any // *ReleaseParams, *BypassParams, ... by Order.Type
	Row    Row
	// By is who the order stands on: "server-command", "server-stop" or
	// "persons".
	By string
	// Persons are those whose approvals counted.
	Persons []core.PersonID
	// Delay is how long the device shows the order, with outcome pending,
	// before it calls [Verified.StillHolds] and carries it out. Not zero only
	// where a single operator signed.
	Delay time.Duration
	// Ignored names signatures that counted nothing, and why.
	Ignored []string

	rootHash string
}

// Whom a verified order stands on.
const (
	ByServerCommand = string(RoleServerCommand)
	ByServerStop    = string(RoleServerStop)
	ByPersons       = "persons"
)

func refuse(kind core.Kind, format string, args ...any) error {
	return core.E(kind, "link.CheckOrder", fmt.Sprintf(format, args...))
}

// CheckOrder decides whether a device may carry out an order. It looks at the
// payload bytes as received, and in this order: is it an order, is it for this
// device, is it for this state of the device, is it signed by who may say that,
// is it still time.
//
//   - A stop needs one valid signature, by the stop key or by any person. It has
//     no expiry, no root version and no counter to fail on: refusing a stop for
//     bookkeeping can hurt somebody, and a stop said twice hurts nobody. One
//     whose id was seen is answered as replayed.
//   - Tightening and containment need the command key, or the release
//     threshold of persons (a site whose server is dead).
//   - Everything else needs the threshold of its role, in persons. The requester
//     never counts in quorum mode. In single-operator mode the presence code and
//     the delay stand in for the second person.
//
// Epoch and counter, or epoch and latch ids, make an order single: it is worth
// nothing on another device, after the latch closed again, or after the state
// was lost or restored.
func (t *Trust) CheckOrder(env *Envelope, at Context) (*Verified, error) {
	if err := env.check("link.CheckOrder"); err != nil {
		return nil, err
	}
	o, params, err := decodeOrder(env.Payload)
	if err != nil {
		return nil, err
	}
	row, known := DirectionOf(o.Type)
	if !known {
		return nil, unknownType("link.CheckOrder", o.Type)
	}
	v := &Verified{Order: o, Params: params, Row: row, rootHash: t.hash}
	for _, step := range []func() error{
		func() error { return t.addressed(o, at) },
		func() error { return t.fresh(o, at) },
		func() error { return t.authorise(v, env) },
		func() error { return t.timely(v, env, at) },
		func() error { return t.attended(v, at) },
		func() error { return t.allowed(params) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (t *Trust) addressed(o *Order, at Context) error {
	switch {
	case at.Tenant.IsZero() || at.Site.IsZero() || at.Device.IsZero() || !isHex(at.Epoch, idBytes):
		return core.E(core.KindInternal, "link.CheckOrder", "the device's own context is incomplete")
	case o.Tenant != at.Tenant || o.Tenant != t.root.Tenant:
		return refuse(core.KindDenied, "the order is for tenant %q, this device is of %q", o.Tenant, at.Tenant)
	case o.Site != at.Site:
		return refuse(core.KindDenied, "the order is for site %q, this device is at %q", o.Site, at.Site)
	case o.Device != at.Device:
		return refuse(core.KindDenied, "the order is for device %q, this is %q", o.Device, at.Device)
	}
	return nil
}

// fresh checks that the order is for this state of the device and was not
// carried out before.
func (t *Trust) fresh(o *Order, at Context) error {
	if at.Seen != nil && at.Seen(o.ID) {
		return refuse(core.KindReplayed, "order %s was answered before", o.ID)
	}
	if o.Type == OrderStop {
		return nil
	}
	if o.RootVersion != t.root.Version {
		return refuse(core.KindConflict, "the order was made under trust root %d, this device has %d", o.RootVersion, t.root.Version)
	}
	return o.state(at)
}

func (o *Order) state(at Context) error {
	if o.Epoch != at.Epoch {
		return refuse(core.KindReplayed, "the order is for epoch %s, this device is in %s", o.Epoch, at.Epoch)
	}
	if o.Type == OrderRelease {
		for _, l := range o.Latches {
			if !at.Latches[l] {
				return refuse(core.KindReplayed, "latch %s is not latched here now", l)
			}
		}
		return nil
	}
	if o.Counter <= at.LastCounter {
		return refuse(core.KindReplayed, "counter %d is not above %d, the last one taken", o.Counter, at.LastCounter)
	}
	return nil
}

// authorise finds whom the order stands on.
func (t *Trust) authorise(v *Verified, env *Envelope) error {
	approvals := verified(env, NamespaceApproval)
	switch v.Row.Direction {
	case DirectionStop:
		return t.authoriseStop(v, env, approvals)
	case DirectionTighten, DirectionContain:
		if signedBy(env, t.command) {
			v.By = ByServerCommand
			return nil
		}
		return t.authorisePersons(v, env, approvals, RoleRelease)
	case DirectionLoosen, DirectionDestroy:
		return t.authorisePersons(v, env, approvals, v.Row.Role)
	}
	return unknownType("link.CheckOrder", v.Order.Type)
}

func (t *Trust) authoriseStop(v *Verified, env *Envelope, approvals []*sshsig) error {
	if signedBy(env, t.stop) {
		v.By = ByServerStop
		return nil
	}
	for _, s := range approvals {
		if person, ok := t.keys[KeyID(s.key)]; ok {
			v.By, v.Persons = ByPersons, []core.PersonID{person}
			return nil
		}
	}
	return refuse(core.KindDenied, "a stop needs one signature, by the stop key or by a person; none of the %d here is", len(env.Signatures))
}

func (t *Trust) authorisePersons(v *Verified, env *Envelope, approvals []*sshsig, role RoleName) error {
	tally := t.tally(role, approvals, v.Order.requester())
	tally.Ignored = append(tally.Ignored, otherNamespaces(env)...)
	if !tally.Complete() {
		return refuse(core.KindDenied, "order type %s: %s", v.Order.Type, tally)
	}
	v.By, v.Persons, v.Ignored = ByPersons, tally.Persons, tally.Ignored
	return nil
}

// requester returns the requesting person's id, "" where it is no person.
func (o *Order) requester() string {
	if id, ok := cutPerson(o.Requester); ok {
		return id
	}
	return ""
}

// signedBy reports whether a server key signed in the order namespace.
func signedBy(env *Envelope, key ssh.PublicKey) bool {
	return slices.ContainsFunc(verified(env, NamespaceOrder), func(s *sshsig) bool { return sameKey(s.key, key) })
}

// otherNamespaces names signatures that are no approvals.
func otherNamespaces(env *Envelope) []string {
	var out []string
	for _, s := range env.Signatures {
		if _, _, err := Verify(s, NamespaceApproval, env.Payload); err != nil {
			out = append(out, s.KeyID+" is no approval: "+err.Error())
		}
	}
	return out
}

// attended asks for the presence code where a single operator signed (F22).
func (t *Trust) attended(v *Verified, at Context) error {
	if !v.Row.Direction.Away() || t.root.Mode != ModeSingleOperator {
		return nil
	}
	if !present(v.Params, at) {
		return core.E(core.KindDenied, "link.CheckOrder", fmt.Sprintf("order type %s: the presence code is missing or is not the one that this device shows", v.Order.Type)).WithHint("read the code from the agent's local socket on the device, and put it into the order")
	}
	v.Delay = time.Duration(t.root.ReleaseDelay) * time.Second
	return nil
}

// present compares the codes in constant time; a device that shows none has
// nobody in front of it.
func present(params any, at Context) bool {
	code := presenceOf(params)
	return len(at.Presence) >= minPresence && subtle.ConstantTimeCompare([]byte(code), []byte(at.Presence)) == 1
}

// allowed checks parameters against the trust root.
func (t *Trust) allowed(params any) error {
	u, ok := params.(*UpdateParams)
	if ok && t.root.MinAgent != "" && compareVersions(u.Version, t.root.MinAgent) < 0 {
		return refuse(core.KindDenied, "agent version %s is below %s, the least that trust root %d allows", u.Version, t.root.MinAgent, t.root.Version)
	}
	return nil
}

// StillHolds checks an order again at the end of its delay: the device is in
// the same state and under the same trust root, whose review has not come due.
// Expiry is not asked again: the order was in time when it was taken.
func (v *Verified) StillHolds(t *Trust, at Context) error {
	if t.hash != v.rootHash {
		return refuse(core.KindConflict, "trust root %d took the place of the one that order %s was checked under", t.root.Version, v.Order.ID)
	}
	if err := t.addressed(v.Order, at); err != nil {
		return err
	}
	if v.Order.Type != OrderStop && v.Order.Epoch != at.Epoch {
		return refuse(core.KindReplayed, "the device's epoch changed while order %s waited", v.Order.ID)
	}
	if v.Order.Type == OrderRelease {
		if err := v.Order.state(at); err != nil {
			return err
		}
	}
	if v.Row.Direction.Away() && at.Now.latest().After(micros(t.root.ReviewBy)) {
		return t.reviewDue()
	}
	return nil
}
