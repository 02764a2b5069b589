package action

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Devices finds the device that an action is about; fleet.Registry is the real
// one.
type Devices interface {
	Get(ctx context.Context, tenant core.TenantID, id core.DeviceID) (fleet.Device, error)
}

// Orders makes orders; fleet.Orders is the real one.
type Orders interface {
	Create(ctx context.Context, r fleet.OrderRequest) (fleet.Order, error)
}

// Runner runs actions.
type Runner struct {
	guard   core.Guard
	devices Devices
	orders  Orders
}

// NewRunner returns a runner.
func NewRunner(guard core.Guard, devices Devices, orders Orders) *Runner {
	return &Runner{guard, devices, orders}
}

// Request is one action on one device.
type Request struct {
	// Key makes the request idempotent within the tenant: the same key gives
	// the same order.
	Key      string
	Kind     Kind
	Device   core.DeviceID
	By       core.Principal
	Reason   string
	Incident core.UUID // zero where there is none
	Params   json.RawMessage
	TTL      time.Duration // how long the order may wait; 0 means its type's own
}

// Run asks the Guard and makes the order. A refusal is an error of kind denied;
// an order that needs persons comes back awaiting them.
func (r *Runner) Run(ctx context.Context, q Request) (fleet.Order, error) {
	spec, ok := SpecOf(q.Kind)
	if !ok {
		return fleet.Order{}, core.E(core.KindInvalid, "action.Run", fmt.Sprintf("there is no action %q; known are %v", q.Kind, Kinds()))
	}
	d, err := r.devices.Get(ctx, q.By.Tenant, q.Device)
	if err != nil {
		return fleet.Order{}, err
	}
	on := fleet.ResourceOf(d)
	decision, err := r.guard.Permit(ctx, q.By, spec.Action, on)
	if err != nil {
		return fleet.Order{}, err
	}
	if err := httpd.Refusal(decision, q.By, spec.Action, on); err != nil {
		return fleet.Order{}, err
	}
	return r.orders.Create(ctx, fleet.OrderRequest{
		Key: q.Key, Tenant: q.By.Tenant, Device: q.Device, Type: spec.Order, Requester: q.By, Reason: q.Reason,
		Incident: q.Incident, Params: q.Params, TTL: q.TTL, Decision: decision,
	})
}
