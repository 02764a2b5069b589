package api

import (
	"context"
	"net/http"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// acts are the orders that a person may ask for through the API, each with its
// action.
var acts = map[core.Action]link.OrderType{
	policy.DeviceQuarantine: link.OrderQuarantine,
	policy.DeviceArm:        link.OrderArm,
	policy.DeviceRelease:    link.OrderRelease,
	policy.DeviceReset:      link.OrderReset,
}

func (a *API) devices(w http.ResponseWriter, r *http.Request) error {
	tenant := httpd.PrincipalOf(r.Context()).Tenant
	list := []Device{}
	var after core.DeviceID
	for {
		page, err := a.Registry.List(r.Context(), tenant, after, fleet.MaxList)
		if err != nil {
			return err
		}
		for _, d := range page {
			list, after = append(list, deviceOf(d)), d.ID
		}
		if len(page) < fleet.MaxList {
			return httpd.WriteJSON(w, list)
		}
	}
}

func (a *API) device(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseID[core.DeviceID](r.PathValue("id"))
	if err != nil {
		return err
	}
	d, err := a.wholeDevice(r.Context(), httpd.PrincipalOf(r.Context()).Tenant, id)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, d)
}

// wholeDevice reads a device with its sensors, open latches and orders.
func (a *API) wholeDevice(ctx context.Context, tenant core.TenantID, id core.DeviceID) (Device, error) {
	row, err := a.Registry.Get(ctx, tenant, id)
	if err != nil {
		return Device{}, err
	}
	d := deviceOf(row)
	d.StopOnly = a.Registry.InDoubt(row)
	sensors, err := a.Registry.Sensors(ctx, tenant, id)
	if err != nil {
		return Device{}, err
	}
	d.Sensors = make(map[string]string, len(sensors))
	for _, s := range sensors {
		d.Sensors[s.ID] = string(s.State)
	}
	latches, err := a.Registry.Latches(ctx, tenant, id, true)
	if err != nil {
		return Device{}, err
	}
	for _, l := range latches {
		d.Latches = append(d.Latches, Latch{ID: l.ID, Sensor: l.Sensor, Type: l.Type, Since: l.Since})
	}
	orders, err := a.Orders.List(ctx, tenant, id, 50)
	for _, o := range orders {
		d.Orders = append(d.Orders, orderOf(o))
	}
	return d, err
}

func deviceOf(d fleet.Device) Device {
	return Device{
		ID: d.ID, Site: d.Site, State: d.State(), Protection: d.Protection, FirstUse: d.FirstUse, ShortCode: d.ShortCode,
		LastSeen: d.Known.LastSeen, Epoch: d.Known.Epoch, Sequence: d.Known.Sequence, Serial: d.Serial, Contained: d.Contained,
	}
}

// approveDevice takes a waiting device in, against the code that it shows.
func (a *API) approveDevice(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseID[core.DeviceID](r.PathValue("id"))
	if err != nil {
		return err
	}
	req, err := read[ApproveDevice](w, r)
	if err != nil {
		return err
	}
	who := httpd.PrincipalOf(r.Context())
	if err := a.Enrolment.Approve(r.Context(), who, who.Tenant, id, req.Code); err != nil {
		return err
	}
	d, err := a.wholeDevice(r.Context(), who.Tenant, id)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, d)
}

// act asks for an order in the caller's name. The Guard is asked where the
// order is made, with its exact parameters.
func (a *API) act(t link.OrderType) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := core.ParseID[core.DeviceID](r.PathValue("id"))
		if err != nil {
			return err
		}
		req, err := read[ActRequest](w, r)
		if err != nil {
			return err
		}
		o, err := a.Act(r.Context(), httpd.PrincipalOf(r.Context()), id, t, req)
		if err != nil {
			return err
		}
		return httpd.WriteJSON(w, orderOf(o))
	}
}
