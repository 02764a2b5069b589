package api

import (
	"net/http"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// runs lists the runs of playbooks, newest first, of one incident if asked.
func (a *API) runs(w http.ResponseWriter, r *http.Request) error {
	var of core.UUID
	if text := r.URL.Query().Get("incident"); text != "" {
		var err error
		if of, err = core.ParseUUID(text); err != nil {
			return err
		}
	}
	rows, err := a.Playbooks.List(r.Context(), httpd.PrincipalOf(r.Context()).Tenant, of)
	if err != nil {
		return err
	}
	list := make([]Run, 0, len(rows))
	for _, row := range rows {
		list = append(list, runOf(row, nil))
	}
	return httpd.WriteJSON(w, list)
}

// run answers with one run and every attempt at its steps.
func (a *API) run(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	row, attempts, err := a.Playbooks.Get(r.Context(), httpd.PrincipalOf(r.Context()).Tenant, id)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, runOf(row, attempts))
}

// startRun starts a run that waits for a person. The Guard is asked where the
// run is started, with the site of its incident.
func (a *API) startRun(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := read[struct{}](w, r); err != nil {
		return err
	}
	row, err := a.Playbooks.Start(r.Context(), httpd.PrincipalOf(r.Context()), id)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, runOf(row, nil))
}

func runOf(r playbook.Run, attempts []playbook.Attempt) Run {
	out := Run{
		ID: r.ID, Incident: r.Incident, Playbook: r.Playbook, State: string(r.State), Round: r.Round, Step: r.Step + 1,
		Created: r.Created, Starter: r.Starter, Book: string(r.Book),
	}
	if r.State == playbook.RunRunning {
		out.Deadline = r.Deadline
	}
	for _, t := range attempts {
		out.Attempts = append(out.Attempts, Attempt{
			Round: t.Round, Step: t.Step + 1, Attempt: t.Attempt, State: string(t.State), Began: t.Began, Ended: t.Ended, Detail: t.Detail,
		})
	}
	return out
}

// dryRun tells what the playbooks that answer to an incident would do now.
func (a *API) dryRun(w http.ResponseWriter, r *http.Request) error {
	in, err := a.findIncident(r)
	if err != nil {
		return err
	}
	lines, err := a.Playbooks.DryRun(r.Context(), in)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, DryRun{Lines: lines})
}

// findIncident reads the incident that the path names.
func (a *API) findIncident(r *http.Request) (in incident.Incident, err error) {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return in, err
	}
	err = a.State.View(r.Context(), func(tx *store.Tx) (err error) {
		in, err = a.Incidents.Get(r.Context(), tx, httpd.PrincipalOf(r.Context()).Tenant, id)
		return err
	})
	return in, err
}

// moveIncident takes an incident over one edge of its machine, by a person's
// hand.
func (a *API) moveIncident(w http.ResponseWriter, r *http.Request) error {
	in, err := a.findIncident(r)
	if err != nil {
		return err
	}
	req, err := read[MoveIncident](w, r)
	if err != nil {
		return err
	}
	c := incident.Change{Reason: req.Reason, At: a.Clock.Now()}
	if err := c.To.UnmarshalText([]byte(req.To)); err != nil {
		return err
	}
	if req.Into != "" {
		if c.Into, err = core.ParseUUID(req.Into); err != nil {
			return err
		}
	}
	if err := tooLong("reason", req.Reason, maxReason); err != nil {
		return err
	}
	d, who, err := a.decide(r, policy.IncidentTransition, core.Resource{Type: "incident", ID: in.ID.String(), Site: in.Site})
	if err != nil {
		return err
	}
	c.By, c.Intent = who, d.Intent
	err = a.State.Tx(r.Context(), func(tx *store.Tx) (err error) {
		in, err = a.Incidents.Move(r.Context(), tx, who.Tenant, in.ID, c)
		return err
	})
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, incidentOf(in))
}
