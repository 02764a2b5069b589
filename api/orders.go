package api

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// OrdersInput selects orders.
type OrdersInput struct {
	After string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	// State is a state of an order, "" for any; "awaiting" is the inbox of those
	// who approve.
	State  string `query:"state" doc:"signing, awaiting, queued, pending, done, refused, failed, expired, superseded or withdrawn"`
	Device string `query:"device" doc:"Only orders to this device"`
}

// Orders lists orders, the newest first.
func (a *API) Orders(ctx context.Context, in *OrdersInput) (*Out[Page[Order]], error) {
	who, err := a.see(ctx, policy.OrderList, "*")
	if err != nil {
		return nil, err
	}
	limit, err := rows(in.Limit)
	if err != nil {
		return nil, err
	}
	from, err := momentOf("orders", in.After)
	if err != nil {
		return nil, err
	}
	if err := oneOf("state", in.State, fleet.OrderStates...); err != nil {
		return nil, err
	}
	q := fleet.OrderQuery{State: fleet.OrderState(in.State), Before: from.at, BeforeID: from.id, Limit: limit + 1}
	if in.Device != "" {
		if q.Device, err = core.ParseID[core.DeviceID](in.Device); err != nil {
			return nil, err
		}
	}
	list, total, err := a.Parts.Orders.Search(ctx, who.Tenant, q)
	if err != nil {
		return nil, err
	}
	page := cut(list, limit, total, func(o fleet.Order) string { return moment{o.Created, o.ID}.cursor("orders") })
	return out(convert(page, orderOf)), nil
}

// Order shows an order and its envelope: the exact bytes that an approver signs.
func (a *API) Order(ctx context.Context, in *IDInput) (*Out[Order], error) {
	who, err := a.see(ctx, policy.OrderShow, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	o, err := a.Parts.Orders.Get(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	shown := orderOf(o)
	if shown.Envelope, err = o.Envelope(); err != nil {
		return nil, err
	}
	return out(shown), nil
}

// ApproveOrderInput is a signature over the order that is named.
type ApproveOrderInput struct {
	ID   string `path:"id" doc:"The order's id"`
	Body Approval
}

// ApproveOrder hands a person's signature in. Whose it is, the signature says.
// The Guard is asked where the signature is checked.
func (a *API) ApproveOrder(ctx context.Context, in *ApproveOrderInput) (*Out[Order], error) {
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	who := principal(ctx)
	o, err := a.Parts.Orders.Approve(ctx, who, who.Tenant, id, link.Signature{KeyID: in.Body.KeyID, Sig: in.Body.Sig})
	if err != nil {
		return nil, err
	}
	return out(orderOf(o)), nil
}

func orderOf(o fleet.Order) Order {
	shown := Order{
		ID: o.ID, Type: string(o.Type), Device: o.Device, Site: o.Site, State: string(o.State), Requester: o.Requester, Needed: o.Needed,
		Reason: o.Reason, Incident: o.Incident, Direction: string(o.Direction), Detail: o.Detail, Answer: o.Answer, Created: o.Created,
		Updated: o.Updated, Expires: o.Expires, Intent: o.Intent,
	}
	for _, p := range o.Approvals {
		shown.Approvals = append(shown.Approvals, p.String())
	}
	return shown
}
