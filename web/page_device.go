package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	wire "github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// listRows is how many rows a page of a list has.
const listRows = 50

// maxShown bounds the small lists within a page.
const maxShown = 25

func deviceRoutes(c *Console) {
	c.get("/devices", policy.DeviceList, c.devices)
	c.get("/devices/{id}", policy.DeviceShow, c.device)
	c.post("/devices/{id}/admit", policy.DeviceApprove, c.admitDevice)
	c.post("/devices/enrol", policy.TokenCreate, c.enrolDevice)
	for _, a := range deviceActs {
		c.post("/devices/{id}/"+a.Name, a.action, c.actOnDevice(a))
	}
	c.post("/devices/{id}/criticality", policy.DeviceCriticality, c.setCriticality)
	c.post("/devices/{id}/walk-test/begin", policy.DeviceSignOff, c.beginWalkTest)
	c.post("/devices/{id}/walk-test/finish", policy.DeviceSignOff, c.finishWalkTest)
}

type devicesView struct {
	Tabs      []tab
	Rows      []api.Device
	Attention []api.Device
	// Sensors are the first of those that are not ok, NotOK counts all.
	Sensors  []api.Sensor
	NotOK    int
	Pager    pager
	Sites    []api.Site
	Filter   api.DevicesInput
	Filtered bool
}

// deviceTabs are the filters by state.
var deviceTabs = []struct{ text, state string }{
	{"All", ""}, {"Quarantined", "quarantined"}, {"Offline", "offline"}, {"Stale", "stale"}, {"Pending", "pending"}, {"Online", "online"},
}

func (c *Console) devices(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := api.DevicesInput{After: q.Get("after"), Limit: listRows, State: q.Get("state"), Site: q.Get("site"), Query: strings.TrimSpace(q.Get("query"))}
	out, err := c.API.Devices(r.Context(), &in)
	if err != nil {
		return err
	}
	sites, err := c.API.Sites(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	v := devicesView{
		Rows: out.Body.Items, Sites: sites.Body.Items, Filter: in, Filtered: in.State != "" || in.Site != "" || in.Query != "",
		Pager: pageOf("/devices", q, out.Body.Next, len(out.Body.Items), out.Body.Total, "device", "devices"),
	}
	for _, t := range deviceTabs {
		to := without(q, "after", "state")
		if t.state != "" {
			to.Set("state", t.state)
		}
		v.Tabs = append(v.Tabs, tab{Href: address("/devices", to), Text: t.text, Here: in.State == t.state})
	}
	if !v.Filtered && in.After == "" {
		if v.Attention, err = c.attention(r.Context()); err != nil {
			return err
		}
		board, err := c.boardNow(r.Context())
		if err != nil {
			return err
		}
		v.Sensors, v.NotOK = board.Sensors, board.SensorsNotOK
	}
	return c.render(w, r, "page_devices", page{Title: "Devices", Nav: "devices", Body: v})
}

type deviceView struct {
	api.Device
	// Sensors that are not ok come first.
	Sensors []api.Sensor
	// Heard says that it is heard now; what is shown of it is what it said last.
	Heard bool
	// Lively says that a sensor has values, Proofs that one was ever proven.
	Lively, Proofs bool
	Seals          []api.Seal
	Levels         []fleet.Criticality
	Acts           []deviceAct
	Single         bool // one person and the code of the device instead of several persons
	Alerts         []api.Alert
	Open           []api.Incident
	Waiting        []api.Order
	Stops          []deviceStop
	// Findings are what scanners found on it, Inspected that it is known.
	Findings  int
	Inspected bool
	Inventory *lifecycle.Age // nil for none
	// Events are the last ones, read only when they are asked for, because that
	// reading is recorded.
	Events   []eventLine
	Asked    bool
	NoEvents string
	Problems []string
}

// Outside reports whether the device has no part in the fleet yet or any more:
// what it shows of itself counts for nothing, and the code that it must show is
// not told here.
func (v deviceView) Outside() bool {
	return v.State == core.DevicePending || v.State == core.DeviceRetired
}

// heard reports whether a device is heard now. What it said before may have
// changed since, so none of that is shown as good.
func heard(d api.Device, now time.Time) bool {
	silent := d.State == core.DeviceStale || d.State == core.DeviceOffline
	return !silent && (d.LastSeen.IsZero() || now.Sub(d.LastSeen) < fleet.DefaultFold.OfflineAfter)
}

// Walked reports whether a person signed off the last walk test, and everything
// real was set off in it.
func (v deviceView) Walked() bool {
	if len(v.WalkTests) == 0 {
		return false
	}
	w := v.WalkTests[0]
	return !w.Signed.IsZero() && w.Complete && !w.Simulated
}

// Pending is the sensor whose inventory differs from its baseline, "" for none.
func (v deviceView) Pending() string {
	if v.Status == nil || v.Status.Parts == nil || v.Status.Parts.Event == "component_restored" {
		return ""
	}
	if b := v.Status.Baseline; b != nil && b.At.After(v.Status.Parts.At) {
		return ""
	}
	return v.Status.Parts.Sensor
}

// attention lists the devices that somebody should look at.
func (c *Console) attention(ctx context.Context) ([]api.Device, error) {
	var list []api.Device
	for _, state := range []core.DeviceState{core.DeviceQuarantined, core.DeviceOffline, core.DeviceStale, core.DevicePending} {
		out, err := c.API.Devices(ctx, &api.DevicesInput{State: string(state), Limit: 10})
		if err != nil {
			return nil, err
		}
		list = append(list, out.Body.Items...)
	}
	return list, nil
}

func (c *Console) device(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	out, err := c.API.Device(ctx, &api.IDInput{ID: id})
	if err != nil {
		return err
	}
	v := deviceView{Device: out.Body, Heard: heard(out.Body, c.Clock.Now()), Sensors: sortedSensors(out.Body.SensorList), Single: c.Standing().Mode == string(wire.ModeSingleOperator), Asked: r.URL.Query().Has("events")}
	for _, o := range v.Orders {
		if o.State == orderAwaiting {
			v.Waiting = append(v.Waiting, o)
		}
	}
	v.Stops = c.stopsOn(sessionOf(ctx).Principal.Tenant, v.ID)
	v.Acts, v.Levels = actsFor(out.Body, sessionOf(ctx).Roles), fleet.Criticalities
	for _, one := range v.Sensors {
		v.Lively, v.Proofs = v.Lively || len(one.Values) > 0, v.Proofs || !one.Proven.IsZero()
	}
	c.deviceParts(ctx, &v)
	p := page{Title: id, Nav: "devices", Body: v}
	if !v.Asked { // looking again at events would be recorded again
		p.Version = v.version()
	}
	return c.render(w, r, "page_device", p)
}

// deviceStop is a stop in force that a device is in.
type deviceStop struct {
	Trip      core.UUID
	What      string
	Confirmed bool
}

// stopsOn lists the stops that a device is in, from memory.
func (c *Console) stopsOn(tenant core.TenantID, id core.DeviceID) []deviceStop {
	var list []deviceStop
	for _, st := range c.Stops.Status(tenant).Stops {
		confirmed := slices.Contains(st.Confirmed, id)
		if confirmed || slices.Contains(st.NotConfirmed, id) {
			list = append(list, deviceStop{st.Trip, st.Scope.String(), confirmed})
		}
	}
	return list
}

// deviceParts reads what stands around the device.
// deviceFindings counts what scanners found on a device, and says how old what
// is known of its packages is.
func (c *Console) deviceFindings(ctx context.Context, v *deviceView) {
	if c.API.Parts.Findings == nil || c.permitted(ctx, policy.FindingRead, "*") != nil {
		return
	}
	subject := "device/" + v.ID.String()
	out, err := c.API.Findings(ctx, &api.FindingsInput{Subject: subject, Limit: 1})
	if err == nil {
		v.Findings = out.Body.Total
		v.Inventory, err = c.API.InventoryAge(ctx, subject)
	}
	if v.Inspected = err == nil; err != nil {
		v.Problems = append(v.Problems, "its findings could not be read: "+detail(err.Error()))
	}
}

func (c *Console) deviceParts(ctx context.Context, v *deviceView) {
	alerts, err := c.API.Alerts(ctx, &api.AlertsInput{Device: v.ID.String(), All: true, Limit: 10})
	if err != nil {
		v.Problems = append(v.Problems, "its alerts could not be read: "+detail(err.Error()))
	} else {
		v.Alerts = alerts.Body.Items
	}
	open, err := c.API.Incidents(ctx, &api.IncidentsInput{Device: v.ID.String(), Limit: 10})
	if err != nil {
		v.Problems = append(v.Problems, "its incidents could not be read: "+detail(err.Error()))
	} else {
		v.Open = open.Body.Items
	}
	seals, err := c.API.Seals(ctx, &api.SealsInput{Device: v.ID.String(), Limit: maxShown})
	if err != nil {
		v.Problems = append(v.Problems, "its seals could not be read: "+detail(err.Error()))
	} else {
		v.Seals = seals.Body.Items
	}
	c.deviceFindings(ctx, v)
	if v.Asked {
		hits, err := c.API.SearchEvents(ctx, &api.SearchEventsInput{Query: eventsOf(v.ID), Limit: maxShown})
		if err != nil {
			v.NoEvents = detail(err.Error())
			return
		}
		v.Events = eventLines(hits.Body.Items)
	}
}

// eventLine is an event in a short list.
type eventLine struct {
	Time               time.Time
	Type, Source, Text string
}

// envelopeFields are those of a stored event that stand elsewhere in its line.
var envelopeFields = []string{"_msg", "_stream", "_stream_id", "_time", "device", "id", "received", "sequence", "severity", "source", "tenant", "type"}

func eventLines(hits []api.EventHit) []eventLine {
	list := make([]eventLine, len(hits))
	for i, h := range hits {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(h.Fields)) {
			if !slices.Contains(envelopeFields, name) && !strings.HasPrefix(name, "journal.") {
				parts = append(parts, name+"="+h.Fields[name])
			}
		}
		list[i] = eventLine{h.Time, h.Type, h.Source, strings.Join(parts, "  ")}
	}
	return list
}

// eventsOf is the search for the events of a device; its name can't hold what
// would end the text.
func eventsOf(id core.DeviceID) string { return `device:="` + id.String() + `"` }

// sortedSensors puts what is not ok first: the worst, then the newest.
func sortedSensors(list []api.Sensor) []api.Sensor {
	rank := func(s api.Sensor) int {
		return slices.Index([]core.SensorState{core.SensorAlarm, core.SensorFault, core.SensorStale, core.SensorUnknown, core.SensorBypassed, core.SensorOK}, s.State)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b api.Sensor) int {
		if d := rank(a) - rank(b); d != 0 || a.State == core.SensorOK {
			return d
		}
		return b.Since.Compare(a.Since)
	})
	return list
}

// enrolDevice makes the line that a device enrols with. It is shown once, with
// the next page.
func (c *Console) enrolDevice(w http.ResponseWriter, r *http.Request) error {
	req := api.TokenRequest{TTL: form(r, "ttl"), Fact: strings.ToLower(strings.TrimSpace(form(r, "fact")))}
	var err error
	if req.Device, err = core.ParseID[core.DeviceID](strings.TrimSpace(form(r, "device"))); err != nil {
		return err
	}
	if req.Site, err = core.ParseID[core.SiteID](form(r, "site")); err != nil {
		return err
	}
	out, err := c.API.CreateToken(r.Context(), &api.CreateTokenInput{Body: req})
	if err != nil {
		return err
	}
	c.flashes.put(sessionOf(r.Context()).ID, flash{
		Tone: "ok", Secret: out.Body.String,
		Text: "The line for " + req.Device.String() + ", good once until " + out.Body.Expires.UTC().Format("2006-01-02 15:04 UTC") + ". At the machine: INTERLOCK_ENROL='…' interlock agent",
	})
	http.Redirect(w, r, "/devices", http.StatusSeeOther)
	return nil
}

func (c *Console) admitDevice(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.ApproveDevice(r.Context(), &api.ApproveDeviceInput{ID: r.PathValue("id"), Body: api.ApproveDevice{Code: strings.TrimSpace(form(r, "code"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, "/devices/"+out.Body.ID.String(), "ok", out.Body.ID.String()+" is taken in.")
}
