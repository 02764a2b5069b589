package web

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

func alertRoutes(c *Console) {
	c.get("/alerts", policy.AlertRead, c.alerts)
	c.get("/alerts/{id}", policy.AlertRead, c.alert)
	c.post("/alerts/{id}/ack", policy.AlertAck, c.ackAlert)
	c.post("/alerts/{id}/close", policy.AlertClose, c.closeAlert)
}

type alertsView struct {
	Tabs     []tab
	Rows     []api.Alert
	Pager    pager
	Filter   api.AlertsInput
	Filtered bool
	Levels   []core.Severity
}

func (c *Console) alerts(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := api.AlertsInput{
		After: q.Get("after"), Limit: listRows, All: q.Get("state") == "all", Severity: q.Get("severity"),
		Device: strings.TrimSpace(q.Get("device")), Rule: strings.TrimSpace(q.Get("rule")),
	}
	out, err := c.API.Alerts(r.Context(), &in)
	if err != nil {
		return err
	}
	v := alertsView{
		Rows: out.Body.Items, Filter: in, Filtered: in.Severity != "" || in.Device != "" || in.Rule != "", Levels: core.Severities,
		Pager: pageOf("/alerts", q, out.Body.Next, len(out.Body.Items), out.Body.Total, "alert", "alerts"),
	}
	open, all := without(q, "after", "state"), without(q, "after", "state")
	all.Set("state", "all")
	v.Tabs = []tab{{Href: address("/alerts", open), Text: "Open", Here: !in.All}, {Href: address("/alerts", all), Text: "All", Here: in.All}}
	p := page{Title: "Alerts", Nav: "alerts", Body: v}
	if parts := []any{in, out.Body.Total}; v.Pager.First == "" {
		for _, a := range v.Rows {
			parts = append(parts, a.ID, a.State, a.Count)
		}
		p.Version = version(parts...)
	}
	return c.render(w, r, "page_alerts", p)
}

// without copies a query but for some fields.
func without(q url.Values, names ...string) url.Values {
	out := url.Values{}
	for name, values := range q {
		if !slices.Contains(names, name) {
			out[name] = values
		}
	}
	return out
}

type alertView struct {
	api.Alert
	// Fields are what the alert is about, sorted.
	Fields []field
	// Events are read only when they are asked for, because that reading is
	// recorded.
	Events   []eventLine
	Asked    bool
	NoEvents string
	// Open are the open incidents about its device.
	Open []api.Incident
}

// CountInt is the count of events, for words that depend on it.
func (v alertView) CountInt() int { return int(min(v.Count, math.MaxInt32)) }

// eventSlack is how far around an alert its events are looked for: the clock of
// a source may differ from the store's.
const eventSlack = time.Hour

// field is a named value.
type field struct{ Name, Value string }

func (c *Console) alert(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Alert(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	a := out.Body
	v := alertView{Alert: a, Asked: r.URL.Query().Has("events")}
	for name, value := range a.Group {
		v.Fields = append(v.Fields, field{name, value})
	}
	slices.SortFunc(v.Fields, func(x, y field) int { return strings.Compare(x.Name, y.Name) })
	if a.Device != "" {
		open, err := c.API.Incidents(r.Context(), &api.IncidentsInput{Device: a.Device, Limit: 5})
		if err != nil {
			return err
		}
		v.Open = open.Body.Items
	}
	if v.Asked {
		hits, err := c.API.SearchEvents(r.Context(), &api.SearchEventsInput{Query: eventsNamed(a.Events), From: a.First.Add(-eventSlack), To: a.Last.Add(eventSlack), Limit: maxShown})
		if err != nil {
			v.NoEvents = detail(err.Error())
		} else {
			v.Events = eventLines(hits.Body.Items)
		}
	}
	return c.render(w, r, "page_alert", page{Title: a.Title, Nav: "alerts", Body: v})
}

// eventsNamed is the search for events by their ids.
func eventsNamed(ids []core.UUID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = fmt.Sprintf("%q", id)
	}
	return "id:in(" + strings.Join(names, ",") + ")"
}

func (c *Console) ackAlert(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.AckAlert(r.Context(), &api.AckAlertInput{ID: r.PathValue("id"), Body: api.AckAlert{Note: strings.TrimSpace(form(r, "note"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, "/alerts/"+out.Body.ID.String(), "ok", "You look after this alert now. It goes on counting, and tells again if it rises.")
}
