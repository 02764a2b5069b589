package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/safety/stop"
)

// resets takes a device out of the stops that persons have ended on it. It goes
// by the device's own signed answer that it carried the reset out, for which it
// asked the trust root's threshold; what the server wishes ends no stop.
func (s *Server) resets(_ context.Context, _ *store.Tx, f journal.Frame) error {
	for _, record := range f.Records {
		var rec fleet.Record
		if err := json.Unmarshal(record, &rec); err != nil {
			return core.Wrap(core.KindDamaged, "app.resets", err)
		}
		if rec.Order.Tenant != f.Tenant {
			return core.E(core.KindDamaged, "app.resets", fmt.Sprintf("order %s of tenant %s in a frame of %s", rec.Order.ID, rec.Order.Tenant, f.Tenant))
		}
		if rec.Order.Type == link.OrderReset && rec.Order.State == fleet.OrderDone {
			if err := endStops(s.Stops, rec.Order); err != nil {
				return err
			}
		}
	}
	return nil
}

// endStops takes the order's device out of every stop that was in force when the
// order was made. One that came later stands, for nobody has signed it away. A
// stop that holds no device any more is over.
func endStops(stops *stop.Service, o fleet.Order) error {
	who := core.Principal{Kind: core.KindDevice, ID: o.Device.String(), Tenant: o.Tenant}
	why := "order " + o.ID.String() + " of " + o.Requester + ": " + o.Reason
	for _, st := range stops.Status(o.Tenant).Stops {
		if !st.At.Before(o.Created) || !slices.Contains(st.Confirmed, o.Device) && !slices.Contains(st.NotConfirmed, o.Device) {
			continue
		}
		if err := stops.Reset(who, st.ID, why, o.Device); err != nil && core.KindOf(err) != core.KindNotFound {
			return err
		}
	}
	for _, st := range stops.Status(o.Tenant).Stops {
		if !slices.Contains(st.Reset, o.Device) || len(st.Confirmed)+len(st.NotConfirmed) > 0 {
			continue
		}
		if err := stops.Reset(who, st.ID, why); err != nil && core.KindOf(err) != core.KindNotFound {
			return err
		}
	}
	return nil
}
