package api

import (
	"context"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
)

// IncidentsInput selects incidents.
type IncidentsInput struct {
	After  string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit  int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	All    bool   `query:"all" doc:"Closed ones too"`
	State  string `query:"state" doc:"Only incidents in this state"`
	Device string `query:"device" doc:"Only incidents about this device"`
}

func (in *IncidentsInput) filter() (f incident.Filter, limit int, err error) {
	if limit, err = rows(in.Limit); err != nil {
		return f, 0, err
	}
	from, err := momentOf("incidents", in.After)
	if err != nil {
		return f, 0, err
	}
	if err := oneOf("state", in.State, incident.States...); err != nil {
		return f, 0, err
	}
	f = incident.Filter{OpenOnly: !in.All, State: incident.State(in.State), Before: from.at, BeforeID: from.id, Limit: limit + 1}
	if f.State != "" {
		f.OpenOnly = false // the state says it
	}
	if in.Device != "" {
		f.Device, err = core.ParseID[core.DeviceID](in.Device)
	}
	return f, limit, err
}

// Incidents lists incidents, the newest first.
func (a *API) Incidents(ctx context.Context, in *IncidentsInput) (*Out[Page[Incident]], error) {
	who, err := a.see(ctx, policy.IncidentRead, "*")
	if err != nil {
		return nil, err
	}
	f, limit, err := in.filter()
	if err != nil {
		return nil, err
	}
	var list []incident.Incident
	var total int
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		if list, err = a.Parts.Incidents.List(ctx, tx, who.Tenant, f); err != nil {
			return err
		}
		total, err = a.Parts.Incidents.Count(ctx, tx, who.Tenant, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	page := cut(list, limit, total, func(in incident.Incident) string { return moment{in.Stamps.Detected, in.ID}.cursor("incidents") })
	return out(convert(page, incidentOf)), nil
}

// Incident shows one incident, its timeline and the alerts under it.
func (a *API) Incident(ctx context.Context, in *IDInput) (*Out[Incident], error) {
	who, err := a.see(ctx, policy.IncidentRead, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	var shown Incident
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		shown, err = a.wholeIncident(ctx, tx, who.Tenant, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(shown), nil
}

func (a *API) wholeIncident(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Incident, error) {
	in, err := a.Parts.Incidents.Get(ctx, tx, tenant, id)
	if err != nil {
		return Incident{}, err
	}
	steps, err := a.Parts.Incidents.Timeline(ctx, tx, tenant, id)
	if err != nil {
		return Incident{}, err
	}
	alerts, err := a.Parts.Incidents.Alerts(ctx, tx, tenant, id)
	shown := incidentOf(in)
	for _, s := range steps {
		shown.Timeline = append(shown.Timeline, stepOf(s))
	}
	for _, al := range alerts {
		shown.Alerts = append(shown.Alerts, al.ID)
	}
	return shown, err
}

// MoveIncidentInput asks for a transition.
type MoveIncidentInput struct {
	ID   string `path:"id" doc:"The incident's id"`
	Body MoveIncident
}

func (in *MoveIncidentInput) change(now time.Time) (incident.Change, error) {
	c := incident.Change{Reason: in.Body.Reason, At: now}
	if err := c.To.UnmarshalText([]byte(in.Body.To)); err != nil {
		return c, err
	}
	if in.Body.Into != "" {
		var err error
		if c.Into, err = core.ParseUUID(in.Body.Into); err != nil {
			return c, err
		}
	}
	return c, tooLong("reason", in.Body.Reason, maxReason)
}

// MoveIncident takes an incident over one edge of its machine, by a person's
// hand.
func (a *API) MoveIncident(ctx context.Context, in *MoveIncidentInput) (*Out[Incident], error) {
	found, err := a.findIncident(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	c, err := in.change(a.Clock.Now())
	if err != nil {
		return nil, err
	}
	d, who, err := a.decide(ctx, policy.IncidentTransition, core.Resource{Type: "incident", ID: found.ID.String(), Site: found.Site})
	if err != nil {
		return nil, err
	}
	c.By, c.Intent = who, d.Intent
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		found, err = a.Parts.Incidents.Move(ctx, tx, who.Tenant, found.ID, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(incidentOf(found)), nil
}

// findIncident reads the incident that a path names.
func (a *API) findIncident(ctx context.Context, text string) (in incident.Incident, err error) {
	id, err := core.ParseUUID(text)
	if err != nil {
		return in, err
	}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		in, err = a.Parts.Incidents.Get(ctx, tx, principal(ctx).Tenant, id)
		return err
	})
	return in, err
}

func incidentOf(in incident.Incident) Incident {
	t := in.Stamps.Times()
	metrics := map[string]float64{}
	for name, d := range map[string]time.Duration{"detect": t.Detect, "acknowledge": t.Acknowledge, "contain": t.Contain, "recover": t.Recover} {
		if d != incident.NotYet {
			metrics[name] = d.Seconds()
		}
	}
	shown := Incident{
		ID: in.ID, Title: in.Title, State: string(in.State), Severity: in.Severity, Device: in.Device.String(), Site: in.Site.String(), Subject: in.Subject,
		Rule: in.Rule, Owner: in.Owner, Provenance: in.Provenance, Safety: in.Safety, Simulated: in.Simulated, AlertCount: in.Alerts,
		Opened: in.Stamps.Detected, Closed: in.Stamps.Closed, Metrics: metrics,
	}
	if !in.Into.IsZero() {
		shown.Into = in.Into.String()
	}
	for _, s := range incident.Next(in.State) {
		shown.Next = append(shown.Next, string(s))
	}
	return shown
}

// stepOf shows a step with the entries that permitted and recorded it.
func stepOf(s incident.Step) Step {
	shown := Step{Time: s.At, By: s.By, Kind: string(s.Kind), What: s.Text, From: string(s.From), To: string(s.To), Refs: s.Refs}
	if s.Fact != (core.Position{}) {
		shown.Audit = &s.Fact
	}
	if s.Intent != (core.Position{}) {
		shown.Intent = &s.Intent
	}
	return shown
}
