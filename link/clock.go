package link

import (
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// TrustedTime bounds now (TRUST F18). Neither bound is a wall clock reading by
// itself: whoever can set the clock could then let an order live again.
type TrustedTime struct {
	// Lower is a time that has certainly passed: the latest of build, saved
	// state and witness cosignatures. The zero time is always true.
	Lower time.Time
	// Upper is a time that has certainly not passed yet: a time proven once
	// plus what the boot-time monotonic clock has counted since, with its
	// worst drift. It is zero where nothing proves one, for example after a
	// power cut and before the next word from outside.
	Upper time.Time
}

// bounded reports whether there is an upper bound. Bounds that contradict each
// other prove nothing.
func (n TrustedTime) bounded() bool { return !n.Upper.IsZero() && !n.Upper.Before(n.Lower) }

// latest is the latest that now may be, as far as known.
func (n TrustedTime) latest() time.Time {
	if n.bounded() {
		return n.Upper
	}
	return n.Lower
}

// maxSkew is how far the clock of whoever issued an order may run ahead.
const maxSkew = 5 * time.Minute

func micros(us int64) time.Time { return time.UnixMicro(us) }

func cutPerson(requester string) (string, bool) {
	return strings.CutPrefix(requester, string(core.KindPerson)+"/")
}

// timely judges the clock, always as the worst that the bounds allow, so that a
// wrong clock never lets through what the right one would refuse.
//
//   - A stop is never judged by time.
//   - Tightening and containment are too late only when the lower bound is past
//     the expiry: what protects does not end because a clock was lost.
//   - Everything else must certainly be in time: the upper bound is not past the
//     order's expiry nor the root's review date (F23).
//   - Without an upper bound, what leads away from safety needs two other proofs.
//     The presence code shows that the order was made after the device made the
//     code, so an order that lives at least as long as the code is old can't
//     have expired. And the root role signs too: it could have moved the
//     review date, so it may vouch that this root is still the newest. That is
//     the way out after a power cut with the server dead.
func (t *Trust) timely(v *Verified, env *Envelope, at Context) error {
	o, now := v.Order, at.Now
	if v.Row.Direction == DirectionStop {
		return nil
	}
	if now.Lower.After(micros(o.Expires)) {
		return refuse(core.KindExpired, "the order expired at %s", stamp(o.Expires))
	}
	if !v.Row.Direction.Away() {
		return nil
	}
	if now.latest().After(micros(t.root.ReviewBy)) {
		return t.reviewDue()
	}
	if !now.bounded() {
		return t.timeless(v, env, at)
	}
	if now.Upper.After(micros(o.Expires)) {
		return refuse(core.KindExpired, "the order expires at %s and it may be later than that here", stamp(o.Expires))
	}
	if micros(o.Issued).After(now.Upper.Add(maxSkew)) {
		return refuse(core.KindInvalid, "the order was issued at %s, which is still to come", stamp(o.Issued))
	}
	return nil
}

// timeless judges an order away from safety on a device that can't tell the
// time.
func (t *Trust) timeless(v *Verified, env *Envelope, at Context) error {
	const hint = "connect the device so that it learns the time, or put its presence code into the order and have the root role sign as well"
	if !present(v.Params, at) || at.PresenceAge < 0 || at.PresenceAge > v.Order.life() {
		return core.E(core.KindDenied, "link.CheckOrder", "this device can't prove what time it is, and the order has no fresh presence code").WithHint(hint)
	}
	tally := t.tally(RoleRoot, verified(env, NamespaceApproval), v.Order.requester())
	if !tally.Complete() {
		return core.E(core.KindDenied, "link.CheckOrder", "this device can't prove that its trust root is not past its review: "+tally.String()).WithHint(hint)
	}
	return nil
}

func (t *Trust) reviewDue() error {
	return core.E(core.KindExpired, "link.CheckOrder", "trust root review was due at "+stamp(t.root.ReviewBy)+"; until a new version is here this device only tightens").WithHint("sign the next trust root")
}

func stamp(us int64) string { return micros(us).UTC().Format(time.RFC3339) }
