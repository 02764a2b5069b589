package api

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/siem/alert"
)

// AlertsInput selects alerts.
type AlertsInput struct {
	After string `query:"after" doc:"Cursor: the field next of the page before"`
	Limit int    `query:"limit" doc:"How many, up to 500; 0 means 50"`
	// All shows acknowledged and closed alerts too.
	All bool `query:"all" doc:"Acknowledged ones too"`
	// Severity is the least severity, "" for any.
	Severity string `query:"severity" doc:"The least severity: info, low, medium, high or critical"`
	Device   string `query:"device" doc:"Only alerts about this device"`
	Rule     string `query:"rule" doc:"Only alerts of this rule"`
}

// query reads what the input selects.
func (in *AlertsInput) query() (q alert.Query, limit int, err error) {
	if limit, err = rows(in.Limit); err != nil {
		return q, 0, err
	}
	from, err := momentOf("alerts", in.After)
	if err != nil {
		return q, 0, err
	}
	if err := short(map[string]string{"severity": in.Severity, "device": in.Device, "rule": in.Rule}); err != nil {
		return q, 0, err
	}
	if err := oneOf("severity", in.Severity, core.Severities...); err != nil {
		return q, 0, err
	}
	q = alert.Query{State: alert.StateOpen, MinSeverity: core.Severity(in.Severity), Rule: in.Rule, Before: from.at, BeforeID: from.id, Limit: limit + 1}
	if in.All {
		q.State = ""
	}
	if in.Device != "" {
		q.Device, err = core.ParseID[core.DeviceID](in.Device)
	}
	return q, limit, err
}

// Alerts lists alerts, the latest change first.
func (a *API) Alerts(ctx context.Context, in *AlertsInput) (*Out[Page[Alert]], error) {
	who, err := a.see(ctx, policy.AlertRead, "*")
	if err != nil {
		return nil, err
	}
	q, limit, err := in.query()
	if err != nil {
		return nil, err
	}
	var list []alert.Alert
	var total int
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		if list, err = alert.List(ctx, tx, who.Tenant, q); err != nil {
			return err
		}
		total, err = alert.Total(ctx, tx, who.Tenant, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	page := cut(list, limit, total, func(a alert.Alert) string { return moment{a.Updated, a.ID}.cursor("alerts") })
	return out(convert(page, alertOf)), nil
}

// Alert shows one alert.
func (a *API) Alert(ctx context.Context, in *IDInput) (*Out[Alert], error) {
	who, err := a.see(ctx, policy.AlertRead, in.ID)
	if err != nil {
		return nil, err
	}
	found, err := a.findAlert(ctx, who.Tenant, in.ID)
	if err != nil {
		return nil, err
	}
	shown := alertOf(found)
	if shown.Shaken, err = a.shaken(ctx, who.Tenant, found); err != nil {
		return nil, err
	}
	return out(shown), nil
}

func (a *API) findAlert(ctx context.Context, tenant core.TenantID, text string) (found alert.Alert, err error) {
	id, err := core.ParseUUID(text)
	if err != nil {
		return found, err
	}
	err = a.view(ctx, func(tx *store.Tx) (err error) {
		found, err = alert.Get(ctx, tx, tenant, id)
		return err
	})
	return found, err
}

// AckAlert is a person's word that somebody looks after an alert.
type AckAlert struct {
	Note string `json:"note"` // "" for none
}

// AckAlertInput names the alert.
type AckAlertInput struct {
	ID   string `path:"id" doc:"The alert's id"`
	Body AckAlert
}

// AckAlert acknowledges an alert: no more notices unless it rises, and counting
// goes on. The Guard is asked with the site of the alert's device.
func (a *API) AckAlert(ctx context.Context, in *AckAlertInput) (*Out[Alert], error) {
	who := principal(ctx)
	found, err := a.findAlert(ctx, who.Tenant, in.ID)
	if err != nil {
		return nil, err
	}
	if err := tooLong("note", in.Body.Note, maxReason); err != nil {
		return nil, err
	}
	if err := a.decideAlert(ctx, policy.AlertAck, found); err != nil {
		return nil, err
	}
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		found, err = a.Parts.Alerts.Acknowledge(ctx, tx, who.Tenant, found.ID, who, in.Body.Note, a.Clock.Now())
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(alertOf(found)), nil
}

// decideAlert asks the Guard about an alert, with the site of its device.
func (a *API) decideAlert(ctx context.Context, action core.Action, found alert.Alert) error {
	on := core.Resource{Type: "alert", ID: found.ID.String()}
	if !found.Device.IsZero() {
		d, err := a.Registry.Get(ctx, principal(ctx).Tenant, found.Device)
		if err != nil && core.KindOf(err) != core.KindNotFound {
			return err
		}
		on.Site = d.Site
	}
	_, _, err := a.decide(ctx, action, on)
	return err
}

// CloseAlert is a person's judgement of an alert.
type CloseAlert struct {
	Verdict string `json:"verdict"` // resolved, benign or false-positive
	Reason  string `json:"reason"`  // "" only for resolved
}

// CloseAlertInput names the alert.
type CloseAlertInput struct {
	ID   string `path:"id" doc:"The alert's id"`
	Body CloseAlert
}

// CloseAlert ends an alert with a verdict: what comes after is a new one. Its
// incident, if it has one, goes its own way. The reason is what rules are tuned
// by.
func (a *API) CloseAlert(ctx context.Context, in *CloseAlertInput) (*Out[Alert], error) {
	who := principal(ctx)
	found, err := a.findAlert(ctx, who.Tenant, in.ID)
	if err != nil {
		return nil, err
	}
	if err := tooLong("reason", in.Body.Reason, maxReason); err != nil {
		return nil, err
	}
	if err := a.decideAlert(ctx, policy.AlertClose, found); err != nil {
		return nil, err
	}
	how := alert.Closing{Verdict: alert.Verdict(in.Body.Verdict), By: who.String(), At: a.Clock.Now(), Reason: in.Body.Reason}
	err = a.State.Tx(ctx, func(tx *store.Tx) (err error) {
		found, err = a.Parts.Alerts.Close(ctx, tx, who.Tenant, found.ID, how)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out(alertOf(found)), nil
}

func alertOf(a alert.Alert) Alert {
	return Alert{
		ID: a.ID, Rule: a.Name, RuleID: a.Rule.ID, Title: a.Title, Author: a.Author, Severity: a.Severity, Fingerprint: a.Fingerprint, Group: a.Group,
		Count: a.Count, First: a.First, Last: a.Last, Updated: a.Updated, State: string(a.State), Device: a.Device.String(), Source: a.Source,
		Provenance: a.Provenance, Events: a.Events, Simulated: a.Simulated, AckedBy: a.AckedBy, AckedAt: a.AckedAt, AckedNote: a.AckedNote,
		References: a.References, FalsePositives: a.FalsePos, Link: a.Link, License: a.License, Level: a.Level, Tags: a.Tags,
		Categories: alert.Categories(a.Tags), Verdict: string(a.Closing.Verdict), ClosedBy: a.Closing.By, ClosedAt: a.Closing.At, ClosedReason: a.Closing.Reason,
	}
}
