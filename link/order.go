package link

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Limits of an order.
const (
	// MaxOrderLife is the longest an order may be valid.
	MaxOrderLife = 7 * 24 * time.Hour
	maxLatches   = 256
	maxReason    = 1000
	maxPresence  = 32
	minPresence  = 6
	idBytes      = 16 // epochs and latch ids, in bytes before hex
)

// requesters are the kinds of principal that may ask for an order.
var requesters = []core.PrincipalKind{core.KindPerson, core.KindDevice, core.KindService, core.KindToken}

// DecodeOrder reads an order strictly, parameters included, and checks that it
// makes sense by itself. Whether to carry it out is [Trust.CheckOrder]'s answer.
func DecodeOrder(payload []byte) (*Order, error) {
	o, _, err := decodeOrder(payload)
	return o, err
}

// EncodeOrder makes the bytes that are signed, and refuses an order that no
// device would take.
func EncodeOrder(o *Order) ([]byte, error) {
	b, err := encodePayload("link.EncodeOrder", o)
	if err != nil {
		return nil, err
	}
	if _, _, err := decodeOrder(b); err != nil {
		return nil, err
	}
	return b, nil
}

func orderError(format string, args ...any) error {
	return core.E(core.KindInvalid, "link.DecodeOrder", fmt.Sprintf(format, args...))
}

func decodeOrder(payload []byte) (*Order, any, error) {
	if len(payload) > MaxPayload {
		return nil, nil, core.E(core.KindTooLarge, "link.DecodeOrder", fmt.Sprintf("%d bytes, at most %d are allowed", len(payload), MaxPayload))
	}
	o := new(Order)
	if err := DecodeStrict(payload, o); err != nil {
		return nil, nil, fmt.Errorf("link.DecodeOrder: %w", err)
	}
	if _, known := DirectionOf(o.Type); !known {
		return nil, nil, unknownType("link.DecodeOrder", o.Type)
	}
	for _, step := range []func(*Order) error{orderHead, orderState, orderTimes} {
		if err := step(o); err != nil {
			return nil, nil, err
		}
	}
	params, err := DecodeParams(o)
	if err != nil {
		return nil, nil, err
	}
	return o, params, nil
}

func orderHead(o *Order) error {
	switch {
	case o.V != 1:
		return orderError("version %d of the format, known is 1", o.V)
	case o.ID.IsZero():
		return orderError("there is no id")
	case o.Tenant.IsZero() || o.Site.IsZero() || o.Device.IsZero():
		return orderError("tenant, site and device must all be named")
	case len(o.Reason) > maxReason:
		return orderError("reason of %d bytes, at most %d are allowed", len(o.Reason), maxReason)
	case o.Reason == "" && o.Type != OrderStop:
		return orderError("there is no reason; only a stop is asked for it afterwards")
	case len(o.Incident) > maxName:
		return orderError("incident of %d bytes, at most %d are allowed", len(o.Incident), maxName)
	}
	kind, id, ok := strings.Cut(o.Requester, "/")
	if _, err := core.ParseID[core.PersonID](id); err != nil || !ok || !slices.Contains(requesters, core.PrincipalKind(kind)) {
		return orderError("requester %q is not of the form person/anna", clip(o.Requester))
	}
	return nil
}

// orderState checks what ties the order to one state of one device.
func orderState(o *Order) error {
	if o.Epoch != "" && !isHex(o.Epoch, idBytes) {
		return orderError("epoch %q is not 32 lower-case hex digits", clip(o.Epoch))
	}
	if o.Type == OrderStop {
		return noLatches(o)
	}
	if o.Epoch == "" {
		return orderError("there is no epoch")
	}
	if o.RootVersion == 0 {
		return orderError("there is no root_version")
	}
	if o.Type == OrderRelease {
		return releaseState(o)
	}
	if o.Counter == 0 {
		return orderError("counter is 0, which is for releases")
	}
	return noLatches(o)
}

func releaseState(o *Order) error {
	if o.Counter != 0 {
		return orderError("counter %d; a release has 0, its latches make it single", o.Counter)
	}
	if n := len(o.Latches); n == 0 || n > maxLatches {
		return orderError("a release names 1 to %d latches, not %d", maxLatches, n)
	}
	for i, l := range o.Latches {
		if !isHex(l, idBytes) || slices.Contains(o.Latches[:i], l) {
			return orderError("latches[%d]: %q is not 32 lower-case hex digits, or stands twice", i, clip(l))
		}
	}
	return nil
}

func noLatches(o *Order) error {
	if len(o.Latches) > 0 {
		return orderError("an order of type %s names no latches", o.Type)
	}
	return nil
}

func orderTimes(o *Order) error {
	if o.Issued <= 0 || o.Expires <= o.Issued {
		return orderError("expires must be after issued, and both after 1970")
	}
	if o.life() > MaxOrderLife {
		return orderError("valid for %s, at most %s are allowed", o.life(), MaxOrderLife)
	}
	return nil
}

// life is how long the order is valid; the subtraction can't overflow because
// both times are positive.
func (o *Order) life() time.Duration {
	us := o.Expires - o.Issued
	if us > int64(MaxOrderLife/time.Microsecond) {
		return MaxOrderLife + 1
	}
	return time.Duration(us) * time.Microsecond
}
