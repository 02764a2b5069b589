package api

import (
	"net/http"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/incident"
)

func (a *API) incidents(w http.ResponseWriter, r *http.Request) error {
	all, err := flagOf(r.URL.Query(), "all")
	if err != nil {
		return err
	}
	list := []Incident{}
	err = a.State.View(r.Context(), func(tx *store.Tx) error {
		rows, err := a.Incidents.List(r.Context(), tx, httpd.PrincipalOf(r.Context()).Tenant, incident.Filter{OpenOnly: !all})
		list = list[:0]
		for _, row := range rows {
			list = append(list, incidentOf(row))
		}
		return err
	})
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, list)
}

// incident answers with one incident, its timeline and the alerts under it.
func (a *API) incident(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	tenant := httpd.PrincipalOf(r.Context()).Tenant
	var out Incident
	err = a.State.View(r.Context(), func(tx *store.Tx) error {
		in, err := a.Incidents.Get(r.Context(), tx, tenant, id)
		if err != nil {
			return err
		}
		steps, err := a.Incidents.Timeline(r.Context(), tx, tenant, id)
		if err != nil {
			return err
		}
		alerts, err := a.Incidents.Alerts(r.Context(), tx, tenant, id)
		out = incidentOf(in)
		for _, s := range steps {
			out.Timeline = append(out.Timeline, stepOf(s))
		}
		for _, al := range alerts {
			out.Alerts = append(out.Alerts, al.ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, out)
}

func incidentOf(in incident.Incident) Incident {
	t := in.Stamps.Times()
	metrics := map[string]float64{}
	for name, d := range map[string]time.Duration{"detect": t.Detect, "acknowledge": t.Acknowledge, "contain": t.Contain, "recover": t.Recover} {
		if d != incident.NotYet {
			metrics[name] = d.Seconds()
		}
	}
	return Incident{
		ID: in.ID, Title: in.Title, State: string(in.State), Severity: in.Severity, Device: in.Device.String(), Subject: in.Subject,
		Simulated: in.Simulated, Opened: in.Stamps.Detected, Closed: in.Stamps.Closed, Metrics: metrics,
	}
}

// stepOf shows a step with the entries that permitted and recorded it.
func stepOf(s incident.Step) Step {
	out := Step{Time: s.At, By: s.By, What: s.Text, From: string(s.From), To: string(s.To), Refs: s.Refs}
	if s.Fact != (core.Position{}) {
		out.Audit = &s.Fact
	}
	if s.Intent != (core.Position{}) {
		out.Intent = &s.Intent
	}
	return out
}
