package api

import (
	"net/http"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/alert"
)

func (a *API) alerts(w http.ResponseWriter, r *http.Request) error {
	all, err := flagOf(r.URL.Query(), "all")
	if err != nil {
		return err
	}
	q := alert.Query{State: alert.StateOpen}
	if all {
		q.State = ""
	}
	list := []Alert{}
	err = a.State.View(r.Context(), func(tx *store.Tx) error {
		rows, err := alert.List(r.Context(), tx, httpd.PrincipalOf(r.Context()).Tenant, q)
		list = list[:0]
		for _, row := range rows {
			list = append(list, alertOf(row))
		}
		return err
	})
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, list)
}

func (a *API) alert(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	var found alert.Alert
	err = a.State.View(r.Context(), func(tx *store.Tx) (err error) {
		found, err = alert.Get(r.Context(), tx, httpd.PrincipalOf(r.Context()).Tenant, id)
		return err
	})
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, alertOf(found))
}

func alertOf(a alert.Alert) Alert {
	return Alert{
		ID: a.ID, Rule: a.Name, Title: a.Title, Author: a.Author, Severity: a.Severity, Fingerprint: a.Fingerprint, Group: a.Group,
		Count: a.Count, First: a.First, Last: a.Last, State: string(a.State), Device: a.Device.String(), Source: a.Source,
		Provenance: a.Provenance, Events: a.Events, Simulated: a.Simulated,
	}
}
