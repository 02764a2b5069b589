package api

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// maxWait is how long a request for something that ends by itself waits for
// signatures at most.
const maxWait = 72 * time.Hour

// Params are the parameters of the order that a request asks for, and how long
// the order may wait for signatures: what ends by itself is not asked for beyond
// its end. Zero leaves that to the type.
func (r ActRequest) Params(t link.OrderType, now time.Time) (params json.RawMessage, wait time.Duration, err error) {
	if err := r.fits(t); err != nil {
		return nil, 0, err
	}
	var p any
	switch t {
	case link.OrderDisarm:
		p = link.DisarmParams{Arming: r.Arming, Until: r.Until.UnixMicro(), Ticket: r.Ticket, Presence: r.Presence}
	case link.OrderBypass:
		id, err := core.ParseID[core.SensorID](r.Sensor)
		if err != nil {
			return nil, 0, err
		}
		b := link.BypassParams{Sensor: id, Point: r.Point, Until: r.Until.UnixMicro(), Ticket: r.Ticket, Presence: r.Presence}
		if !r.From.IsZero() {
			b.From = r.From.UnixMicro()
		}
		p = b
	case link.OrderBaseline:
		id, err := core.ParseID[core.SensorID](r.Sensor)
		if err != nil {
			return nil, 0, err
		}
		p = link.BaselineParams{Sensor: id, SHA256: r.SHA256, Presence: r.Presence}
	default:
		if r.Presence == "" {
			return nil, 0, nil
		}
		params, err = json.Marshal(map[string]string{"presence": r.Presence})
		return params, 0, core.Wrap(core.KindInternal, "api.Params", err)
	}
	if !r.Until.IsZero() {
		if wait = min(r.Until.Sub(now), maxWait); wait <= 0 {
			return nil, 0, core.E(core.KindInvalid, "api.Params", "the end of it has passed already")
		}
	}
	params, err = link.EncodeParams(p)
	return params, wait, err
}

// fits refuses what the type has no place for, so that nobody believes to have
// said it, and asks for what it can't do without.
func (r ActRequest) fits(t link.OrderType) error {
	disarm, bypass, baseline := t == link.OrderDisarm, t == link.OrderBypass, t == link.OrderBaseline
	for _, f := range []struct {
		name       string
		said       bool
		has, needs bool
	}{
		{"arming", r.Arming != "", disarm, disarm},
		{"sensor", r.Sensor != "", bypass || baseline, bypass || baseline},
		{"point", r.Point != "", bypass, false},
		{"from", !r.From.IsZero(), bypass, false},
		{"until", !r.Until.IsZero(), disarm || bypass, disarm || bypass},
		{"ticket", r.Ticket != "", disarm || bypass, disarm && r.Arming == core.Maintenance},
		{"sha256", r.SHA256 != "", baseline, baseline},
	} {
		if f.said && !f.has {
			return core.E(core.KindInvalid, "api.Params", fmt.Sprintf("an order of type %s has no %s", t, f.name))
		}
		if f.needs && !f.said {
			return core.E(core.KindInvalid, "api.Params", fmt.Sprintf("an order of type %s needs %s", t, f.name))
		}
	}
	return nil
}
