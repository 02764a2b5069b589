package fleet

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
)

// outcomeStates is what an outcome makes of an order. A duplicate changes
// nothing: the device's first answer stands.
var outcomeStates = map[link.Outcome]OrderState{
	link.OutcomeDone: OrderDone, link.OutcomeRefused: OrderRefused, link.OutcomePending: OrderPending, link.OutcomeFailed: OrderFailed,
}

// Answered takes a device's verified answer to one of its orders; envelope is
// the answer as it came, kept as evidence. A final answer is never replaced.
func (o *Orders) Answered(ctx context.Context, d Device, r *link.Result, envelope []byte) (Order, error) {
	var ord Order
	err := o.reg.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if ord, err = getOrder(ctx, tx, d.Tenant, r.Order); err != nil {
			return err
		}
		if ord.Device != d.ID {
			return core.E(core.KindDenied, "fleet.Result", fmt.Sprintf("device %q answered order %s, which is for device %q", d.ID, ord.ID, ord.Device))
		}
		ord, err = o.answered(ctx, tx, ord, r, envelope)
		return err
	})
	return ord, err
}

func (o *Orders) answered(ctx context.Context, tx *store.Tx, ord Order, r *link.Result, envelope []byte) (Order, error) {
	to, known := outcomeStates[r.Outcome]
	if !known || ord.State == to || ord.State.Final() && ord.State != OrderExpired {
		return ord, nil
	}
	if ord.Cursor == 0 {
		return ord, core.E(core.KindConflict, "fleet.Result", fmt.Sprintf("order %s is %s and was never sent", ord.ID, ord.State))
	}
	ord.State, ord.Outcome, ord.Detail, ord.Answer = to, r.Outcome, r.Detail, json.RawMessage(envelope)
	if to == OrderDone {
		if err := o.done(ctx, tx, ord); err != nil {
			return ord, err
		}
	}
	return o.save(ctx, tx, ord, "device/"+ord.Device.String(), "order."+string(to))
}

// done folds what the device says that it did into the registry.
func (o *Orders) done(ctx context.Context, tx *store.Tx, ord Order) error {
	switch ord.Type {
	case link.OrderRelease:
		return o.released(ctx, tx, ord)
	case link.OrderRetire:
		d, err := o.reg.lock(ctx, tx, ord.Tenant, ord.Device)
		if err != nil || d.Identity == IdentityRetired {
			return err
		}
		return o.reg.setIdentity(ctx, tx, d, IdentityRetired, "device/"+ord.Device.String(), "order "+ord.ID.String()+" was carried out", ord.Intent)
	}
	return nil
}

// released closes the latches that the order named. With the last one the
// containment is over.
func (o *Orders) released(ctx context.Context, tx *store.Tx, ord Order) error {
	body, err := link.DecodeOrder(ord.Payload)
	if err != nil {
		return core.Wrap(core.KindDamaged, "fleet.Result", err)
	}
	for _, id := range body.Latches {
		if _, err := tx.Exec(ctx, `UPDATE fleet_latches SET is_open = 0 WHERE tenant = $1 AND device = $2 AND latch = $3`, ord.Tenant, ord.Device, id); err != nil {
			return fmt.Errorf("fleet: latches of device %q: %w", ord.Device, err)
		}
	}
	open, err := latches(ctx, tx, ord.Tenant, ord.Device, true)
	if err != nil || len(open) > 0 {
		return err
	}
	return uncontain(ctx, tx, ord.Tenant, ord.Device)
}
