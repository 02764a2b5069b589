package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	wire "github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// deviceAct is an order that a person asks for on a device's page.
type deviceAct struct {
	// Name is in the form's address; several acts can be orders of one type.
	Name   string
	Type   wire.OrderType
	action core.Action
	Roles  []string
	Button string
	Means  string
	// Loosens says that the order waits for signatures, which the console can
	// neither make nor stand in for (TRUST F02).
	Loosens bool
	// Arming is what a disarm leads to.
	Arming core.Arming
	// Spans are how long it can last; none for what has no end of its own.
	Spans []span
	// Ticket asks for one, Sensor for a sensor, Inventory for its SHA-256.
	Ticket, Sensor, Inventory bool
}

// span is how long something lasts.
type span struct{ Value, Name string }

var (
	rolesThatAct = []string{core.RoleOperator, core.RoleSecurityOfficer}
	rolesThatAsk = []string{core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}
	shortSpans   = []span{{"1h", "1 hour"}, {"2h", "2 hours"}, {"4h", "4 hours"}, {"8h", "8 hours"}, {"12h", "12 hours"}, {"23h", "23 hours"}}
	longSpans    = append(slices.Clone(shortSpans), span{"48h", "2 days"}, span{"168h", "a week"})
)

var deviceActs = []deviceAct{
	{Name: "quarantine", Type: wire.OrderQuarantine, action: policy.DeviceQuarantine, Roles: rolesThatAct, Button: "Quarantine", Means: "Takes effect at once: only the device's link to this server stays. It lasts until persons release it."},
	{Name: "arm", Type: wire.OrderArm, action: policy.DeviceArm, Roles: rolesThatAct, Button: "Arm", Means: "From now on the device treats what it senses as an attack. It holds against the schedule and ends every disarming."},
	{Name: "release", Type: wire.OrderRelease, action: policy.DeviceRelease, Roles: rolesThatAsk, Button: "Ask for a release", Means: "Names every latch that is open now, and no other. Look at the machine first: a release says that a person has.", Loosens: true},
	{Name: "maintenance", Type: wire.OrderDisarm, action: policy.DeviceDisarm, Roles: rolesThatAsk, Button: "Ask for maintenance", Means: "For work inside the machine, under a ticket. Until it ends the device records what it senses and takes it for no attack; sensors that watch around the clock go on. It ends by itself, within a day.", Loosens: true, Arming: core.Maintenance, Spans: shortSpans, Ticket: true},
	{Name: "transport", Type: wire.OrderDisarm, action: policy.DeviceDisarm, Roles: rolesThatAsk, Button: "Ask for transport", Means: "The machine may be moved until then. Sensors that watch around the clock go on. It ends by itself.", Loosens: true, Arming: core.Transport, Spans: longSpans, Ticket: true},
	{Name: "disarm", Type: wire.OrderDisarm, action: policy.DeviceDisarm, Roles: rolesThatAsk, Button: "Ask for disarming", Means: "Until it ends the device records what it senses and takes it for no attack; sensors that watch around the clock go on. It ends by itself.", Loosens: true, Arming: core.Disarmed, Spans: longSpans, Ticket: true},
	{Name: "bypass", Type: wire.OrderBypass, action: policy.DeviceBypass, Roles: rolesThatAsk, Button: "Ask for a bypass", Means: "One sensor, or one input of it, counts for nothing until then; all others go on. A sensor that watches around the clock can't be bypassed: the device refuses it.", Loosens: true, Spans: longSpans, Ticket: true, Sensor: true},
	{Name: "baseline", Type: wire.OrderBaseline, action: policy.DeviceBaseline, Roles: rolesThatAsk, Button: "Ask for a new baseline", Means: "What the machine is made of now becomes what is expected. The device takes it only if its inventory is still this one when the signatures are there.", Loosens: true, Sensor: true, Inventory: true},
	{Name: "reset", Type: wire.OrderReset, action: policy.DeviceReset, Roles: rolesThatAsk, Button: "Ask for a reset", Means: "Ends the stops that are in force on this device now. It allows outputs again and starts nothing.", Loosens: true},
}

// actsFor lists what a person of these roles may ask of a device as it is.
func actsFor(d api.Device, roles []string) []deviceAct {
	if d.State == core.DevicePending || d.State == core.DeviceRetired {
		return nil
	}
	var acts []deviceAct
	for _, a := range deviceActs {
		mayAsk := slices.ContainsFunc(a.Roles, func(r string) bool { return slices.Contains(roles, r) })
		if !mayAsk || a.Type == wire.OrderRelease && len(d.Latches) == 0 || a.Sensor && len(d.SensorList) == 0 {
			continue
		}
		acts = append(acts, a)
	}
	return acts
}

// request reads the form of an act.
func (a deviceAct) request(r *http.Request, now time.Time) (api.ActRequest, error) {
	field := func(name string) string { return strings.TrimSpace(form(r, name)) }
	req := api.ActRequest{Reason: field("reason"), Presence: field("presence"), Arming: a.Arming}
	if a.Ticket {
		req.Ticket = field("ticket")
	}
	if a.Sensor {
		req.Sensor = field("sensor")
	}
	if a.Inventory {
		req.SHA256 = strings.ToLower(field("sha256"))
	} else if a.Sensor {
		req.Point = field("point")
	}
	if len(a.Spans) == 0 {
		return req, nil
	}
	i := slices.IndexFunc(a.Spans, func(s span) bool { return s.Value == form(r, "for") })
	if i < 0 {
		return req, core.E(core.KindInvalid, "web.act", "it has to end by itself: choose how long it lasts")
	}
	d, err := time.ParseDuration(a.Spans[i].Value)
	req.Until = now.Add(d)
	return req, core.Wrap(core.KindInternal, "web.act", err)
}

func (c *Console) actOnDevice(a deviceAct) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := r.PathValue("id")
		req, err := a.request(r, c.Clock.Now())
		if err != nil {
			return err
		}
		out, err := c.API.ActOnDevice(r.Context(), a.Type, &api.ActInput{ID: id, Body: req})
		if err != nil {
			return err
		}
		if a.Loosens {
			return c.done(w, r, "/approvals/"+out.Body.ID.String(), "info", "Requested. Nothing has been loosened: it takes effect when enough persons have signed these exact bytes.")
		}
		return c.done(w, r, "/devices/"+id, "info", "Ordered: "+string(a.Type)+". The order is "+out.Body.State+"; it is done when the device says so with its signature.")
	}
}

func (c *Console) setCriticality(w http.ResponseWriter, r *http.Request) error {
	in := &api.SetCriticalityInput{ID: r.PathValue("id"), Body: api.SetCriticality{Criticality: form(r, "criticality"), Reason: strings.TrimSpace(form(r, "reason"))}}
	out, err := c.API.SetCriticality(r.Context(), in)
	if err != nil {
		return err
	}
	return c.done(w, r, "/devices/"+out.Body.ID.String(), "ok", "Recorded: criticality "+out.Body.Criticality+".")
}

// signOff reads a sign-off's form.
func signOff(fields string) (api.SignWalkTest, error) {
	f, err := url.ParseQuery(fields)
	return api.SignWalkTest{Hash: f.Get("hash"), Note: strings.TrimSpace(f.Get("note"))}, core.Wrap(core.KindInvalid, "web.walktest", err)
}

// beginWalkTest asks for a passkey's signature over exactly the report that the
// page showed.
func (c *Console) beginWalkTest(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[filled](w, r)
	if err != nil {
		return err
	}
	body, err := signOff(in.Fields)
	if err != nil {
		return err
	}
	id, err := core.ParseID[core.DeviceID](r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.beginConfirm(w, r, api.WalkTestDigest(id, body))
}

// finishWalkTest signs it off. The form comes once more; a passkey's answer to
// another one is refused by its digest.
func (c *Console) finishWalkTest(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[provedForm](w, r)
	if err != nil {
		return err
	}
	body, err := signOff(in.Fields)
	if err != nil {
		return err
	}
	ctx, s, err := c.takeConfirm(r, in.Handle, in.Credential)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if _, err := c.API.SignWalkTest(ctx, &api.SignWalkTestInput{ID: id, Body: body}); err != nil {
		return err
	}
	c.flashes.put(s.ID, flash{Tone: "ok", Text: "Signed off. Your name and this exact report are in the audit log."})
	return httpd.WriteJSON(w, map[string]string{"next": "/devices/" + id})
}
