package api

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// acts are the orders that a person may ask for through the API, each with its
// action.
var acts = map[link.OrderType]core.Action{
	link.OrderQuarantine: policy.DeviceQuarantine,
	link.OrderArm:        policy.DeviceArm,
	link.OrderRelease:    policy.DeviceRelease,
	link.OrderReset:      policy.DeviceReset,
	link.OrderDisarm:     policy.DeviceDisarm,
	link.OrderBypass:     policy.DeviceBypass,
	link.OrderBaseline:   policy.DeviceBaseline,
}

// DevicesInput selects devices.
type DevicesInput struct {
	After string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	State string `query:"state" doc:"pending, online, stale, offline, quarantined, maintenance or retired"`
	Site  string `query:"site" doc:"Only devices of this site"`
	Query string `query:"query" doc:"Only devices whose name holds this text"`
}

func (in *DevicesInput) query() (q fleet.DeviceQuery, limit int, err error) {
	if limit, err = rows(in.Limit); err != nil {
		return q, 0, err
	}
	after, err := decodeCursor("devices", in.After, 1)
	if err != nil {
		return q, 0, err
	}
	if err := oneOf("state", in.State, core.DeviceStates...); err != nil {
		return q, 0, err
	}
	if err := tooLong("query", in.Query, maxText); err != nil {
		return q, 0, err
	}
	q = fleet.DeviceQuery{State: core.DeviceState(in.State), Text: in.Query, Limit: limit + 1}
	if in.Site != "" {
		if q.Site, err = core.ParseID[core.SiteID](in.Site); err != nil {
			return q, 0, err
		}
	}
	if after != nil {
		q.After, err = core.ParseID[core.DeviceID](after[0])
	}
	return q, limit, err
}

// Devices lists the registry by name.
func (a *API) Devices(ctx context.Context, in *DevicesInput) (*Out[Page[Device]], error) {
	who, err := a.see(ctx, policy.DeviceList, "*")
	if err != nil {
		return nil, err
	}
	q, limit, err := in.query()
	if err != nil {
		return nil, err
	}
	list, total, err := a.Registry.Search(ctx, who.Tenant, q)
	if err != nil {
		return nil, err
	}
	page := cut(list, limit, total, func(d fleet.Listed) string { return encodeCursor("devices", d.ID.String()) })
	return out(convert(page, func(d fleet.Listed) Device {
		shown := deviceOf(d.Device)
		shown.OpenLatches, shown.SensorsNotOK = d.OpenLatches, d.SensorsNotOK
		return shown
	})), nil
}

// Device shows a device with its sensors, open latches and latest orders.
func (a *API) Device(ctx context.Context, in *IDInput) (*Out[Device], error) {
	who, err := a.see(ctx, policy.DeviceShow, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	d, err := a.wholeDevice(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	return out(d), nil
}

// ordersShown is how many orders stand with a device.
const ordersShown = 50

// wholeDevice reads a device with its sensors, open latches and orders.
func (a *API) wholeDevice(ctx context.Context, tenant core.TenantID, id core.DeviceID) (Device, error) {
	row, err := a.Registry.Get(ctx, tenant, id)
	if err != nil {
		return Device{}, err
	}
	d := deviceOf(row)
	d.StopOnly = a.Registry.InDoubt(row)
	if d.SensorList, err = a.sensors(ctx, tenant, id); err != nil {
		return Device{}, err
	}
	if err := a.around(ctx, tenant, id, &d); err != nil {
		return Device{}, err
	}
	d.Sensors = make(map[string]string, len(d.SensorList))
	for _, s := range d.SensorList {
		d.Sensors[s.ID] = string(s.State)
		if s.State != core.SensorOK {
			d.SensorsNotOK++
		}
	}
	latches, err := a.Registry.Latches(ctx, tenant, id, true)
	if err != nil {
		return Device{}, err
	}
	d.OpenLatches = len(latches)
	for _, l := range latches {
		d.Latches = append(d.Latches, Latch{ID: l.ID, Sensor: l.Sensor, Type: l.Type, Since: l.Since})
	}
	orders, err := a.Parts.Orders.List(ctx, tenant, id, ordersShown)
	for _, o := range orders {
		d.Orders = append(d.Orders, orderOf(o))
	}
	return d, err
}

// around reads what a device reported of itself and what people said of it.
func (a *API) around(ctx context.Context, tenant core.TenantID, id core.DeviceID, d *Device) (err error) {
	if d.Status, err = a.reported(ctx, tenant, id, d.SensorList); err != nil {
		return err
	}
	if d.WalkTests, err = a.walkTests(ctx, tenant, id); err != nil {
		return err
	}
	asset, err := a.Registry.Asset(ctx, tenant, id)
	if err != nil {
		return err
	}
	d.Criticality = string(asset.Criticality)
	risks, err := a.risks(ctx, tenant, id)
	if len(risks) == 1 {
		d.Risk = &risks[0]
	}
	return err
}

func deviceOf(d fleet.Device) Device {
	return Device{
		ID: d.ID, Site: d.Site, State: d.State(), Protection: d.Protection, FirstUse: d.FirstUse, ShortCode: d.ShortCode,
		LastSeen: d.Known.LastSeen, Epoch: d.Known.Epoch, Sequence: d.Known.Sequence, Serial: d.Serial, Contained: d.Contained,
		Enrolled: d.Enrolled,
	}
}

// ApproveDeviceInput names the device and the code that it shows.
type ApproveDeviceInput struct {
	ID   string `path:"id" doc:"The device's name"`
	Body ApproveDevice
}

// ApproveDevice takes a waiting device in, against the code that it shows. The
// Guard is asked where it is taken in.
func (a *API) ApproveDevice(ctx context.Context, in *ApproveDeviceInput) (*Out[Device], error) {
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	who := principal(ctx)
	if err := a.Enrolment.Approve(ctx, who, who.Tenant, id, in.Body.Code); err != nil {
		return nil, err
	}
	d, err := a.wholeDevice(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	return out(d), nil
}

// ActInput names the device and says why.
type ActInput struct {
	ID   string `path:"id" doc:"The device's name"`
	Body ActRequest
}

// ActOnDevice asks for an order in the caller's name. The Guard is asked where the order is made, with its exact
// parameters.
func (a *API) ActOnDevice(ctx context.Context, t link.OrderType, in *ActInput) (*Out[Order], error) {
	if _, known := acts[t]; !known {
		return nil, core.E(core.KindInvalid, "api.ActOnDevice", "an operator asks for arm, quarantine, disarm, bypass, baseline, release or reset")
	}
	id, err := core.ParseID[core.DeviceID](in.ID)
	if err != nil {
		return nil, err
	}
	o, err := a.Act(ctx, principal(ctx), id, t, in.Body)
	if err != nil {
		return nil, err
	}
	return out(orderOf(o)), nil
}

// Site is a place where devices stand.
type Site struct {
	ID      string `json:"id"`
	Devices int    `json:"devices"` // those that have not retired
}

// Sites lists the sites that have devices, and the caller's own.
func (a *API) Sites(ctx context.Context, _ *None) (*Out[Page[Site]], error) {
	who, err := a.see(ctx, policy.DeviceList, "*")
	if err != nil {
		return nil, err
	}
	counts, err := a.Registry.Sites(ctx, who.Tenant)
	if err != nil {
		return nil, err
	}
	for _, s := range who.Sites {
		counts[s] += 0
	}
	p := Page[Site]{Items: make([]Site, 0, len(counts)), Total: len(counts)}
	for _, id := range sortedSites(counts) {
		p.Items = append(p.Items, Site{ID: id.String(), Devices: counts[id]})
	}
	return out(p), nil
}
