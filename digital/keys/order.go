package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// signOrder signs what tightens or contains, and nothing else. An order that was
// signed before, under the same intent and with the same bytes, is signed again
// and counts once.
func (k *keeper) signOrder(_ context.Context, in wireOrder) (any, error) {
	o, err := link.DecodeOrder(in.Payload)
	if err != nil {
		return nil, err
	}
	row, err := signable(o)
	if err != nil {
		return nil, err
	}
	w, err := in.Warrant.warrant()
	if err != nil {
		return nil, err
	}
	spend, err := k.permitted(w, o.Tenant, "device/"+o.Device.String(), ActionOf(o.Type))
	if err != nil {
		return nil, err
	}
	if err := k.says(o, w, in.Payload); err != nil {
		return nil, err
	}
	e := &orderEntry{ID: o.ID, Type: o.Type, Direction: row.Direction, Payload: ParamsOf(in.Payload)}
	if !k.ledger.repeats(spend.at, e.Payload) {
		if err := k.spendOrder(spend, e); err != nil {
			return nil, err
		}
	}
	sig, err := link.Sign(k.order, link.NamespaceOrder, in.Payload)
	return wireSignature{sig}, err
}

// spendOrder makes durable that the intent went into this order.
func (k *keeper) spendOrder(spend intent, e *orderEntry) error {
	if err := k.ledger.spendable(spend.at); err != nil {
		return err
	}
	if err := k.withinCaps(spend.actor, spend.object, e.Direction); err != nil {
		return err
	}
	return k.ledger.append(spend, entry{Order: e})
}

// signable knows the two directions that this key stands for. It asks for them
// by name, so that a direction added later is refused.
func signable(o *link.Order) (link.Row, error) {
	const op = "keys.signOrder"
	row, known := link.DirectionOf(o.Type)
	if !known {
		return row, core.E(core.KindInvalid, op, fmt.Sprintf("order type %q has no direction", o.Type))
	}
	switch row.Direction {
	case link.DirectionTighten, link.DirectionContain:
		return row, nil
	case link.DirectionStop:
		return row, core.E(core.KindDenied, op, "a stop is not signed here").WithHint("serve signs stops with its own key, so that they need nothing else")
	}
	return row, core.E(core.KindDenied, op, fmt.Sprintf("an order of type %q goes away from safety (%s); the server never signs it", o.Type, row.Direction)).WithHint("collect approvals of role " + string(row.Role))
}

// says checks that the order is the one that was permitted.
func (k *keeper) says(o *link.Order, w Warrant, payload []byte) error {
	const op = "keys.signOrder"
	now := k.o.Clock.Now()
	switch {
	case o.Requester != w.Principal.String():
		return core.E(core.KindDenied, op, fmt.Sprintf("the order says that %q asked for it, the warrant is %s's", o.Requester, w.Principal))
	case w.Resource.Params != "" && w.Resource.Params != ParamsOf(payload):
		return core.E(core.KindDenied, op, "the warrant is for other parameters than those of the order")
	case !w.Resource.Site.IsZero() && w.Resource.Site != o.Site:
		return core.E(core.KindDenied, op, fmt.Sprintf("the warrant is for site %q, the order for %q", w.Resource.Site, o.Site))
	case !time.UnixMicro(o.Expires).After(now):
		return core.E(core.KindExpired, op, fmt.Sprintf("the order expired at %s", time.UnixMicro(o.Expires).UTC().Format(time.RFC3339)))
	}
	return nil
}

// withinCaps bounds what can be signed in an hour. Arming is bounded in number
// alone; containment also by how many devices it reaches.
func (k *keeper) withinCaps(actor, object string, d link.Direction) error {
	const op = "keys.signOrder"
	k.ledger.forget()
	if n := len(k.ledger.hour); n >= k.o.Limits.Orders {
		return capped(op, fmt.Sprintf("%d orders were signed within the hour", n))
	}
	if d != link.DirectionContain {
		return nil
	}
	for _, c := range []struct {
		actor string
		limit int
	}{{actor, k.o.Limits.ActorDevices}, {"", k.o.Limits.Devices}} {
		reached := k.contained(c.actor)
		if _, again := reached[object]; !again && len(reached) >= c.limit {
			return capped(op, fmt.Sprintf("%d devices were contained within the hour %s", len(reached), by(c.actor)))
		}
	}
	return nil
}

// contained returns the devices that actor, or with "" anybody, contained
// within the hour.
func (k *keeper) contained(actor string) map[string]struct{} {
	out := map[string]struct{}{}
	for _, e := range k.ledger.hour {
		if e.direction == link.DirectionContain && (actor == "" || e.actor == actor) {
			out[e.object] = struct{}{}
		}
	}
	return out
}

func by(actor string) string {
	if actor == "" {
		return "in all"
	}
	return "by " + actor
}

func capped(op, why string) error {
	return core.E(core.KindDenied, op, why+": the cap of the keys process is reached").WithHint("stops are not capped; look who sends these orders before waiting the hour out")
}
