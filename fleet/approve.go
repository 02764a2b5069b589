package fleet

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
)

// Approve adds a person's signature to an order that waits for persons. The
// signature is verified against the trust root before it counts: in the
// approvals' namespace, over the order's exact bytes, by a key of somebody who
// holds the role, who is not the requester and has not signed yet. With the
// last one needed the order is checked as the device will check it and queued.
//
// who hands the signature in; it is the signature that says whose it is.
func (o *Orders) Approve(ctx context.Context, who core.Principal, tenant core.TenantID, id core.UUID, sig link.Signature) (Order, error) {
	ord, err := o.Get(ctx, tenant, id)
	if err != nil {
		return Order{}, err
	}
	on := core.Resource{Type: "order", ID: id.String(), Tenant: tenant, Site: ord.Site, Params: digest(string(ord.Payload), sig.KeyID)}
	decision, err := permit(ctx, o.guard, who, policy.OrderApprove, on)
	if err != nil {
		return ord, err
	}
	trust, err := o.roots.Vouched(ctx, tenant)
	if err != nil {
		return ord, err
	}
	err = o.reg.db.Tx(ctx, func(tx *store.Tx) (err error) {
		ord, err = o.approve(ctx, tx, tenant, id, sig, trust, decision.Intent)
		return err
	})
	return ord, err
}

func (o *Orders) approve(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID, sig link.Signature, trust *link.Trust, intent core.Position) (Order, error) {
	ord, err := getOrder(ctx, tx, tenant, id)
	if err != nil {
		return Order{}, err
	}
	if ord.State != OrderAwaiting {
		return ord, core.E(core.KindConflict, "fleet.Approve", fmt.Sprintf("order %s is %s and takes no approvals", id, ord.State))
	}
	if !o.reg.clock.Now().Before(ord.Expires) {
		return ord, core.E(core.KindExpired, "fleet.Approve", fmt.Sprintf("order %s ran out at %s", id, ord.Expires.Format("2006-01-02 15:04:05 MST"))).
			WithHint("ask for it again; approvals are for one order only")
	}
	before, after, env, err := tallies(trust, ord, sig)
	if err != nil {
		return ord, err
	}
	if len(after.Persons) == len(before.Persons) && after.Keys == before.Keys {
		return ord, core.E(core.KindDenied, "fleet.Approve", fmt.Sprintf("the signature by %s over order %s does not count: %s", sig.KeyID, id, after))
	}
	ord.Signatures, ord.Approvals, ord.Intent = env.Signatures, after.Persons, intent
	by := "person/" + after.Persons[len(after.Persons)-1].String()
	if !after.Complete() {
		return o.save(ctx, tx, ord, by, "order.approved")
	}
	return o.complete(ctx, tx, ord, trust, by)
}

// tallies counts the approvals without and with one more signature.
func tallies(trust *link.Trust, ord Order, sig link.Signature) (before, after link.Tally, env *link.Envelope, err error) {
	env = &link.Envelope{Payload: ord.Payload, Signatures: ord.Signatures}
	if before, err = trust.Approvals(env); err != nil {
		return before, after, nil, fmt.Errorf("fleet: order %s: %w", ord.ID, err)
	}
	if err := env.Add(sig); err != nil {
		return before, after, nil, fmt.Errorf("fleet: order %s: %w", ord.ID, err)
	}
	after, err = trust.Approvals(env)
	return before, after, env, err
}

// complete queues an order once its device would take it. One that was
// overtaken while it waited (by a counter, an epoch, another trust root, a
// latch that is no longer latched) would be refused, and the persons signed
// just that: it is superseded and has to be asked for again. So is one to a
// device that is in doubt by now.
func (o *Orders) complete(ctx context.Context, tx *store.Tx, ord Order, trust *link.Trust, by string) (Order, error) {
	d, err := o.reg.lock(ctx, tx, ord.Tenant, ord.Device)
	if err != nil {
		return ord, err
	}
	err = o.reg.vouch(ctx, d)
	if core.KindOf(err) == core.KindUnavailable {
		return ord, err // the signature can be handed in again
	}
	if err == nil {
		err = o.acceptable(ctx, tx, ord, trust, d)
	}
	switch core.KindOf(err) {
	case core.KindInternal:
		if err != nil {
			return ord, err
		}
		return o.queue(ctx, tx, ord)
	case core.KindReplayed, core.KindConflict, core.KindExpired:
		return o.stale(ctx, tx, ord, by, err)
	default:
		ord.Detail = "not complete yet: " + err.Error()
		return o.save(ctx, tx, ord, by, "order.approved")
	}
}

// acceptable checks an order as its device will, with what the registry knows
// of it. The code that a person read from the device's socket is the device's
// to compare, so here the one in the order stands for it.
func (o *Orders) acceptable(ctx context.Context, tx *store.Tx, ord Order, trust *link.Trust, d Device) error {
	body, err := link.DecodeOrder(ord.Payload)
	if err != nil {
		return core.Wrap(core.KindDamaged, "fleet.Order", err)
	}
	open, err := latches(ctx, tx, ord.Tenant, ord.Device, true)
	if err != nil {
		return err
	}
	last, err := queuedCounter(ctx, tx, d)
	if err != nil {
		return err
	}
	now := o.reg.clock.Now()
	at := link.Context{
		Tenant: ord.Tenant, Site: d.Site, Device: ord.Device, Epoch: d.Known.Epoch, LastCounter: last, Latches: map[string]bool{},
		Now: link.TrustedTime{Lower: now, Upper: now}, Presence: presenceOf(body),
	}
	for _, l := range open {
		at.Latches[l.ID] = true
	}
	if _, err := trust.CheckOrder(&link.Envelope{Payload: ord.Payload, Signatures: ord.Signatures}, at); err != nil {
		return fmt.Errorf("fleet: order %s would be refused: %w", ord.ID, err)
	}
	return nil
}

// presenceOf is the presence code in the parameters, "" where there is none.
func presenceOf(o *link.Order) string {
	var p struct {
		Presence string `json:"presence"`
	}
	if json.Unmarshal(o.Params, &p) != nil {
		return ""
	}
	return p.Presence
}

// Withdraw takes back an order that still waits for approvals.
func (o *Orders) Withdraw(ctx context.Context, who core.Principal, tenant core.TenantID, id core.UUID) (Order, error) {
	ord, err := o.Get(ctx, tenant, id)
	if err != nil {
		return Order{}, err
	}
	on := core.Resource{Type: "order", ID: id.String(), Tenant: tenant, Site: ord.Site, Attrs: map[string]any{"own": ord.Requester == who.String()}}
	if _, err := permit(ctx, o.guard, who, policy.OrderWithdraw, on); err != nil {
		return ord, err
	}
	err = o.reg.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if ord, err = getOrder(ctx, tx, tenant, id); err != nil {
			return err
		}
		if ord.State != OrderAwaiting {
			return core.E(core.KindConflict, "fleet.Withdraw", fmt.Sprintf("order %s is %s", id, ord.State))
		}
		ord.State = OrderWithdrawn
		ord, err = o.save(ctx, tx, ord, who.String(), "order.withdrawn")
		return err
	})
	return ord, err
}

// Get reads one order.
func (o *Orders) Get(ctx context.Context, tenant core.TenantID, id core.UUID) (Order, error) {
	var ord Order
	err := o.reg.db.View(ctx, func(tx *store.Tx) (err error) {
		ord, err = getOrder(ctx, tx, tenant, id)
		return err
	})
	return ord, err
}

// List reads the orders of a device, or of all with a zero one, newest first.
func (o *Orders) List(ctx context.Context, tenant core.TenantID, device core.DeviceID, limit int) ([]Order, error) {
	list, _, err := o.Search(ctx, tenant, OrderQuery{Device: device, Limit: limit})
	return list, err
}

// resume returns where the stream of a device goes on. A cursor that was never
// given out is another server's: a captured one's, or this one's before its
// database was restored. Such a device gets all that is queued, for otherwise it
// would never get anything again; what it knows it answers as before.
func (o *Orders) resume(ctx context.Context, d Device, after uint64) (uint64, error) {
	var last uint64
	err := o.reg.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT queue_cursor FROM fleet_devices WHERE tenant = $1 AND id = $2`, d.Tenant, d.ID).Scan(&last)
	})
	if err != nil {
		return after, fmt.Errorf("fleet: cursor of device %q: %w", d.ID, err)
	}
	if after > last {
		return 0, nil
	}
	return after, nil
}

// after reads what the stream of a device still has to send.
func (o *Orders) after(ctx context.Context, tenant core.TenantID, device core.DeviceID, cursor uint64) ([]Order, error) {
	var list []Order
	err := o.reg.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, selectOrder+` WHERE tenant = $1 AND device = $2 AND cursor > $3 AND state = $4 AND expires > $5 ORDER BY cursor LIMIT 100`,
			tenant, device, int64(cursor), string(OrderQueued), store.Micros(o.reg.clock.Now()))
		if err != nil {
			return fmt.Errorf("fleet: orders of device %q: %w", device, err)
		}
		list, err = collect(rows, scanOrder)
		return err
	})
	return list, err
}
