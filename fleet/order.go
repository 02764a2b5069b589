package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// OrderState is how far an order has come.
type OrderState string

// The states of an order.
const (
	OrderSigning  OrderState = "signing"  // waits for the keys process
	OrderAwaiting OrderState = "awaiting" // waits for the signatures of persons
	OrderQueued   OrderState = "queued"   // on its way to the device
	OrderPending  OrderState = "pending"  // the device accepted it, a delay runs
	OrderDone     OrderState = "done"
	OrderRefused  OrderState = "refused" // by the device, which says why
	OrderFailed   OrderState = "failed"
	OrderExpired  OrderState = "expired"
	// OrderSuperseded is an order whose counter was overtaken while it waited
	// for signatures: the device would refuse it as a replay.
	OrderSuperseded OrderState = "superseded"
	OrderWithdrawn  OrderState = "withdrawn"
)

// OrderStates lists them.
var OrderStates = []OrderState{
	OrderSigning, OrderAwaiting, OrderQueued, OrderPending, OrderDone, OrderRefused, OrderFailed, OrderExpired, OrderSuperseded, OrderWithdrawn,
}

// Final reports whether nothing more comes of the order.
func (s OrderState) Final() bool {
	return slices.Contains([]OrderState{OrderDone, OrderRefused, OrderFailed, OrderExpired, OrderSuperseded, OrderWithdrawn}, s)
}

// OrderRequest asks for an order to one device.
type OrderRequest struct {
	// Key makes the request idempotent within the tenant: the same key gives
	// the same order. It is required; a person's request carries a fresh one.
	Key       string
	Tenant    core.TenantID
	Device    core.DeviceID
	Type      link.OrderType
	Requester core.Principal
	Reason    string
	Incident  core.UUID // zero where there is none
	// Latches that a release opens; empty means all that are open now.
	Latches []string
	Params  json.RawMessage // "{}" where empty
	TTL     time.Duration   // 0 means the type's own
	// Decision is the Guard's. Without its durable intent there is no order.
	Decision core.Decision
}

// Order is an order and what became of it.
type Order struct {
	Tenant    core.TenantID  `json:"tenant"`
	ID        core.UUID      `json:"id"`
	Site      core.SiteID    `json:"site"`
	Device    core.DeviceID  `json:"device"`
	Request   string         `json:"request"`
	Type      link.OrderType `json:"type"`
	Direction link.Direction `json:"direction"`
	State     OrderState     `json:"state"`
	Requester string         `json:"requester"`
	Reason    string         `json:"reason"`
	Incident  string         `json:"incident"`
	// Needed is how many persons it takes, Approvals who signed so far.
	Needed    int             `json:"needed"`
	Approvals []core.PersonID `json:"approvals"`
	Outcome   link.Outcome    `json:"outcome,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	Revision  uint64          `json:"revision"`
	Created   time.Time       `json:"created"`
	Updated   time.Time       `json:"updated"`
	Expires   time.Time       `json:"expires"`
	Intent    core.Position   `json:"intent"`
	// Principal is the requester as the Guard saw it, for the keys process,
	// which judges again.
	Principal core.Principal `json:"principal"`
	// Answer is the device's signed answer as it came, an envelope.
	Answer json.RawMessage `json:"answer,omitempty"`
	// What is signed and what was signed; not part of the JSON.
	Payload    []byte           `json:"-"`
	Signatures []link.Signature `json:"-"`
	Cursor     uint64           `json:"-"`
	Counter    uint64           `json:"-"`
}

// Object is the order's name in the audit log.
func (o Order) Object() string { return "order/" + o.ID.String() }

// actionOf is what the Guard is asked for an order of a type.
func actionOf(t link.OrderType) core.Action {
	if t == link.OrderServerAddress {
		return policy.DeviceMove
	}
	return core.Action("device." + string(t))
}

// ResourceOf is what the Guard is asked about for an order to a device. The
// keys process holds the intent in the log against the same.
func ResourceOf(d Device) core.Resource {
	return core.Resource{Type: "device", ID: d.ID.String(), Tenant: d.Tenant, Site: d.Site}
}

func (o Order) resource() core.Resource {
	return core.Resource{Type: "device", ID: o.Device.String(), Tenant: o.Tenant, Site: o.Site}
}

// Envelope returns the bytes that travel to the device.
func (o Order) Envelope() ([]byte, error) {
	return (&link.Envelope{Payload: o.Payload, Signatures: o.Signatures}).Encode()
}

// Record is what the topic "results" carries: an order after a change.
type Record struct {
	Order Order `json:"order"`
}

// Limits of a request.
const (
	maxReason  = 500
	maxKey     = 200
	maxLatches = 64
	maxParams  = 8 << 10
	maxTTL     = 7 * 24 * time.Hour
)

// The default lives of orders. What the server signs is short, because it can
// be signed again; what waits for people is not.
const (
	serverTTL = 24 * time.Hour
	personTTL = 72 * time.Hour
)

func (r OrderRequest) check() (link.Row, error) {
	bad := func(format string, args ...any) (link.Row, error) {
		return link.Row{}, core.E(core.KindInvalid, "fleet.CreateOrder", fmt.Sprintf(format, args...))
	}
	row, ok := link.DirectionOf(r.Type)
	switch {
	case !ok:
		return bad("there is no order type %.40q", r.Type)
	case row.Direction == link.DirectionStop:
		return bad("a stop goes by the stop path, which waits for nothing that this one needs")
	case r.Tenant.IsZero() || r.Device.IsZero():
		return bad("an order needs a tenant and a device")
	case r.Requester.Tenant != r.Tenant:
		return bad("requester %s is of tenant %q, the order of %q", r.Requester, r.Requester.Tenant, r.Tenant)
	case r.Reason == "" || len(r.Reason) > maxReason:
		return bad("the reason has %d bytes, allowed are 1 to %d", len(r.Reason), maxReason)
	case r.Key == "" || len(r.Key) > maxKey:
		return bad("the idempotency key has %d bytes, allowed are 1 to %d", len(r.Key), maxKey)
	case len(r.Latches) > maxLatches || len(r.Params) > maxParams:
		return bad("%d latches and %d bytes of parameters; at most %d and %d are allowed", len(r.Latches), len(r.Params), maxLatches, maxParams)
	case len(r.Latches) > 0 && r.Type != link.OrderRelease:
		return bad("only a release names latches")
	case r.TTL < 0 || r.TTL > maxTTL:
		return bad("life of %s; allowed is up to %s", r.TTL, maxTTL)
	}
	if !r.Decision.Allowed || r.Decision.Intent == (core.Position{}) {
		return link.Row{}, core.E(core.KindDenied, "fleet.CreateOrder", fmt.Sprintf("%s of device %q: no permit with a durable intent", r.Type, r.Device))
	}
	return row, nil
}

// payload makes the exact bytes of an order for what is known of the device.
func (r OrderRequest) payload(id core.UUID, d Device, rootVersion, counter uint64, latches []string, issued, expires time.Time) ([]byte, error) {
	o := link.Order{
		V: 1, Type: r.Type, ID: id, Tenant: r.Tenant, Site: d.Site, Device: r.Device, Requester: r.Requester.String(), Reason: r.Reason,
		RootVersion: rootVersion, Epoch: d.Known.Epoch, Counter: counter, Latches: latches, Params: r.Params,
		Issued: issued.UnixMicro(), Expires: expires.UnixMicro(),
	}
	if !r.Incident.IsZero() {
		o.Incident = r.Incident.String()
	}
	return link.EncodeOrder(&o)
}

func (r OrderRequest) ttl(row link.Row) time.Duration {
	switch {
	case r.TTL > 0:
		return r.TTL
	case row.Direction.Away():
		return personTTL
	}
	return serverTTL
}
