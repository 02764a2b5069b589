package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/interlock-security/interlock/core"
)

// Grants end by themselves, at most this long after the order was issued, in
// microseconds.
const maxGrant = 30 * 24 * 3600 * 1_000_000

// maxMaintenance is the longest that one order can give people who work on a
// device: who needs longer asks again, and is seen to.
const maxMaintenance = 24 * 3600 * 1_000_000

// Limits of texts in parameters, in bytes.
const (
	maxPoint  = 256 // as long as any that a sensor says
	maxTicket = 64
)

// The parameters of each order type. They are decoded strictly: an order with a
// parameter that this version does not know is refused, not carried out in part.
//
// Presence is the code that a device shows on its local socket, repeated in the
// order by whoever stood in front of it. Single-operator sites need it for
// every order away from safety (F22), and so does a device that can't tell the
// time (see [Trust.CheckOrder]).
type (
	// StopParams are those of [OrderStop].
	StopParams struct{}
	// ArmParams are those of [OrderArm].
	ArmParams struct{}
	// QuarantineParams are those of [OrderQuarantine].
	QuarantineParams struct{}
	// SuspendParams are those of [OrderSuspend].
	SuspendParams struct{}
	// ReleaseParams are those of [OrderRelease]; the latches stand in the order.
	ReleaseParams struct {
		Presence string `json:"presence,omitempty"`
	}
	// ResetParams are those of [OrderReset].
	ResetParams struct {
		Presence string `json:"presence,omitempty"`
	}
	// DisarmParams are those of [OrderDisarm].
	DisarmParams struct {
		Arming core.Arming `json:"arming"` // disarmed, transport or maintenance
		Until  int64       `json:"until"`  // microseconds; it ends by itself
		// Ticket is the maintenance that it is for, as the site counts them.
		Ticket   string `json:"ticket,omitempty"`
		Presence string `json:"presence,omitempty"`
	}
	// BypassParams are those of [OrderBypass].
	BypassParams struct {
		Sensor core.SensorID `json:"sensor"`
		// Point is the one input of it that is bypassed, "" for all of it.
		Point string `json:"point,omitempty"`
		// From is when it begins, microseconds; 0 for at once.
		From     int64  `json:"from,omitempty"`
		Until    int64  `json:"until"`
		Ticket   string `json:"ticket,omitempty"`
		Presence string `json:"presence,omitempty"`
	}
	// BaselineParams are those of [OrderBaseline].
	BaselineParams struct {
		Sensor   core.SensorID `json:"sensor"`
		SHA256   string        `json:"sha256"` // of the inventory that is accepted
		Presence string        `json:"presence,omitempty"`
	}
	// PolicyParams are those of [OrderPolicy].
	PolicyParams struct {
		Version  uint64 `json:"version"`
		SHA256   string `json:"sha256"`
		Presence string `json:"presence,omitempty"`
	}
	// UpdateParams are those of [OrderUpdate].
	UpdateParams struct {
		Version  string `json:"version"` // 1.2.3
		SHA256   string `json:"sha256"`
		Size     int64  `json:"size"`
		Presence string `json:"presence,omitempty"`
	}
	// ServerAddressParams are those of [OrderServerAddress].
	ServerAddressParams struct {
		Servers  []string `json:"servers"`
		Presence string   `json:"presence,omitempty"`
	}
	// ZeroizeParams are those of [OrderZeroize].
	ZeroizeParams struct {
		Presence string `json:"presence,omitempty"`
	}
	// RetireParams are those of [OrderRetire].
	RetireParams struct {
		Presence string `json:"presence,omitempty"`
	}
)

// newParams returns the empty parameters of a type, nil for an unknown one.
func newParams(t OrderType) any {
	switch t {
	case OrderStop:
		return new(StopParams)
	case OrderArm:
		return new(ArmParams)
	case OrderQuarantine:
		return new(QuarantineParams)
	case OrderSuspend:
		return new(SuspendParams)
	case OrderRelease:
		return new(ReleaseParams)
	case OrderReset:
		return new(ResetParams)
	case OrderDisarm:
		return new(DisarmParams)
	case OrderBypass:
		return new(BypassParams)
	case OrderBaseline:
		return new(BaselineParams)
	case OrderPolicy:
		return new(PolicyParams)
	case OrderUpdate:
		return new(UpdateParams)
	case OrderServerAddress:
		return new(ServerAddressParams)
	case OrderZeroize:
		return new(ZeroizeParams)
	case OrderRetire:
		return new(RetireParams)
	}
	return nil
}

// DecodeParams reads an order's parameters by its type: a *[ReleaseParams] for
// [OrderRelease], and so on.
func DecodeParams(o *Order) (any, error) {
	const op = "link.DecodeParams"
	p := newParams(o.Type)
	if p == nil {
		return nil, unknownType(op, o.Type)
	}
	if err := DecodeStrict(o.Params, p); err != nil {
		return nil, fmt.Errorf("%s: params of %s: %w", op, o.Type, err)
	}
	if code := presenceOf(p); len(code) > maxPresence || !plain(code) {
		return nil, core.E(core.KindInvalid, op, "presence is not a code")
	}
	c, ok := p.(interface{ check(issued int64) error })
	if !ok {
		return p, nil
	}
	if err := c.check(o.Issued); err != nil {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("params of %s: %v", o.Type, err))
	}
	return p, nil
}

// presenceOf returns the presence code of parameters that have one.
func presenceOf(params any) string {
	f := reflect.ValueOf(params).Elem().FieldByName("Presence")
	if !f.IsValid() {
		return ""
	}
	return f.String()
}

// EncodeParams makes the parameters of an order.
func EncodeParams(p any) (json.RawMessage, error) { return Encode(p) }

func unknownType(op string, t OrderType) error {
	return core.E(core.KindDenied, op, fmt.Sprintf("order type %q is unknown, so it is taken to lead away from safety and is refused", clip(string(t))))
}

func (p DisarmParams) check(issued int64) error {
	if p.Arming == core.Armed {
		return fmt.Errorf("arming %q is not disarmed; use an order of type %s", p.Arming, OrderArm)
	}
	if p.Arming == core.Maintenance && p.Until-issued > maxMaintenance {
		return errors.New("a maintenance ends at most 24 hours after it was issued")
	}
	if err := checkText("ticket", p.Ticket, maxTicket); err != nil {
		return err
	}
	return checkGrant(p.Until, issued)
}

func (p BypassParams) check(issued int64) error {
	switch {
	case p.Sensor.IsZero():
		return errors.New("there is no sensor")
	case p.From != 0 && (p.From < issued || p.From >= p.Until):
		return errors.New("from must not be before issued, and must be before until")
	}
	if err := checkText("point", p.Point, maxPoint); err != nil {
		return err
	}
	if err := checkText("ticket", p.Ticket, maxTicket); err != nil {
		return err
	}
	return checkGrant(p.Until, issued)
}

func (p BaselineParams) check(int64) error {
	if p.Sensor.IsZero() {
		return errors.New("there is no sensor")
	}
	return checkSHA256(p.SHA256)
}

func (p PolicyParams) check(int64) error {
	if p.Version == 0 {
		return errors.New("versions begin at 1")
	}
	return checkSHA256(p.SHA256)
}

func (p UpdateParams) check(int64) error {
	if !isVersion(p.Version) {
		return fmt.Errorf("version %q is not like 1.2.3", clip(p.Version))
	}
	if p.Size <= 0 {
		return fmt.Errorf("size %d", p.Size)
	}
	return checkSHA256(p.SHA256)
}

func (p ServerAddressParams) check(int64) error {
	if len(p.Servers) == 0 {
		return errors.New("there is no server")
	}
	return checkServers(p.Servers)
}

func checkGrant(until, issued int64) error {
	if until <= issued || until-issued > maxGrant {
		return errors.New("until must be after issued and at most 30 days after it")
	}
	return nil
}

func checkText(name, text string, limit int) error {
	if len(text) > limit || !plain(text) {
		return fmt.Errorf("%s %q is over %d bytes, or does not print as it stands", name, clip(text), limit)
	}
	return nil
}

func checkSHA256(s string) error {
	if !isHex(s, 32) {
		return fmt.Errorf("sha256 %q is not a SHA-256 in lower-case hex", clip(s))
	}
	return nil
}
