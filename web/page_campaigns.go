package web

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

type campaignsView struct {
	Items []lifecycle.Campaign
}

func (c *Console) campaigns(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Campaigns(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	return c.render(w, r, "page_campaigns", page{Title: "Campaigns", Nav: "findings", Body: campaignsView{out.Body.Items}})
}

// campaignRow is one subject in a campaign.
type campaignRow struct {
	Subject string    `json:"subject"`
	State   string    `json:"state"` // one of campaignStates
	What    []string  `json:"packages,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Rid     time.Time `json:"rid,omitzero"`
	Seen    time.Time `json:"inventory,omitzero"` // zero for none
	Device  string    `json:"-"`
}

// The states of a campaign's rows. Who was not looked at stands beside who has
// it: nobody knows which of the two is worse.
const (
	rowHas     = "has-it"
	rowBlind   = "not-looked-at"
	rowUnclear = "cannot-tell"
	rowRid     = "rid-of-it"
)

var campaignTabs = []named{{rowHas, "Have it"}, {rowBlind, "Not looked at"}, {rowUnclear, "Nobody can tell"}, {rowRid, "Rid of it"}}

type campaignView struct {
	api.CampaignState
	Tabs  []tab
	Which string
	Rows  []campaignRow
	Pager pager
	// Blind is how many were not looked at, Never of them never.
	Blind, Never int
	// Had is how many have it or had it, Part of a hundred are rid of it.
	Had, Part int
	Base      database
}

// campaignShown is how many rows a page shows.
const campaignShown = 100

// readCampaign reads a campaign with everybody in it.
func (c *Console) readCampaign(r *http.Request) (api.CampaignState, []campaignRow, error) {
	out, err := c.API.Campaign(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return api.CampaignState{}, nil, err
	}
	blind, err := c.API.NotLookedAt(r.Context(), c.Clock.Now().Add(-staleScan))
	if err != nil {
		return api.CampaignState{}, nil, err
	}
	rows := make([]campaignRow, 0, len(out.Body.Hits)+len(blind))
	seen := make(map[string]bool, len(out.Body.Hits))
	for _, h := range out.Body.Hits {
		row := rowOf(h)
		seen[h.Subject] = row.State == rowHas || row.State == rowUnclear // what is known of it is bad enough
		rows = append(rows, row)
	}
	for _, a := range blind {
		if !seen[a.Subject] {
			rows = append(rows, campaignRow{Subject: a.Subject, State: rowBlind, Seen: a.Seen, Device: deviceOf(a.Subject)})
		}
	}
	return out.Body, rows, nil
}

func rowOf(h lifecycle.Hit) campaignRow {
	row := campaignRow{Subject: h.Subject, State: rowHas, Since: h.Since, Rid: h.Ended, Seen: h.Seen, Device: deviceOf(h.Subject)}
	switch {
	case !h.Ended.IsZero():
		row.State = rowRid
	case h.Doubt:
		row.State = rowUnclear
	}
	for _, p := range h.Packages {
		row.What = append(row.What, p.Name+" "+p.Version)
	}
	return row
}

func (c *Console) campaign(w http.ResponseWriter, r *http.Request) error {
	state, rows, err := c.readCampaign(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	v := campaignView{CampaignState: state, Which: q.Get("which"), Base: databaseOf(state.Lists, c.Clock.Now()), Had: state.Affected + state.Rid + state.Doubt}
	if v.Had > 0 {
		v.Part = state.Rid * 100 / v.Had
	}
	counts := map[string]int{}
	for _, row := range rows {
		counts[row.State]++
		if row.State == rowBlind && row.Seen.IsZero() {
			v.Never++
		}
	}
	if _, known := counts[v.Which]; !known {
		v.Which = firstTab(counts)
	}
	v.Blind = counts[rowBlind]
	at := "/campaigns/" + url.PathEscape(r.PathValue("id"))
	for _, t := range campaignTabs {
		v.Tabs = append(v.Tabs, tab{Href: address(at, url.Values{"which": {t.Value}}), Text: t.Text, Here: v.Which == t.Value, Count: counts[t.Value]})
	}
	v.Rows, v.Pager = slicePage(at, url.Values{"which": {v.Which}}, rowsIn(rows, v.Which), q.Get("page"))
	return c.render(w, r, "page_campaign", page{Title: cut(state.Campaign.Name, maxTitle), Nav: "findings", Body: v})
}

// firstTab is the first that has somebody in it.
func firstTab(counts map[string]int) string {
	for _, t := range campaignTabs {
		if counts[t.Value] > 0 {
			return t.Value
		}
	}
	return rowHas
}

func rowsIn(rows []campaignRow, state string) (list []campaignRow) {
	for _, row := range rows {
		if row.State == state {
			list = append(list, row)
		}
	}
	return list
}

// slicePage cuts the page out of rows that a query's number asks for.
func slicePage(path string, q url.Values, rows []campaignRow, asked string) ([]campaignRow, pager) {
	n, err := strconv.Atoi(asked)
	if err != nil || n < 1 || (n-1)*campaignShown >= len(rows) {
		n = 1
	}
	p := pager{Total: len(rows), One: "subject", Many: "subjects"}
	if n > 1 {
		p.First = address(path, q)
	}
	shown := rows[(n-1)*campaignShown : min(n*campaignShown, len(rows))]
	if p.Shown = len(shown); n*campaignShown < len(rows) {
		next := url.Values{"page": {strconv.Itoa(n + 1)}}
		for name, values := range q {
			next[name] = values
		}
		p.Next = address(path, next)
	}
	return shown, p
}

// exportCampaign hands out everybody in a campaign as a file.
func (c *Console) exportCampaign(w http.ResponseWriter, r *http.Request) error {
	format := r.PathValue("format")
	if format != "csv" && format != "json" {
		return core.E(core.KindNotFound, "web.exportCampaign", "a campaign is handed out as csv or json")
	}
	state, rows, err := c.readCampaign(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="campaign-`+state.Campaign.ID.String()+`.`+format+`"`)
	if format == "json" {
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(map[string]any{"campaign": state.Campaign, "lists": state.Lists, "cut": state.Cut, "subjects": rows})
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	out := csv.NewWriter(w)
	_ = out.Write([]string{"subject", "state", "packages", "since", "rid", "inventory"}) // Error tells
	for _, row := range rows {
		_ = out.Write([]string{cell(row.Subject), row.State, cell(strings.Join(row.What, "; ")), stamp(row.Since), stamp(row.Rid), stamp(row.Seen)})
	}
	out.Flush()
	return out.Error()
}

// cell is text from outside in a table that people open with a program that
// takes what begins like a formula for one.
func cell(text string) string {
	text = plainText(text)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (c *Console) startCampaign(w http.ResponseWriter, r *http.Request) error {
	field := func(name string) string { return strings.TrimSpace(form(r, name)) }
	out, err := c.API.StartCampaign(r.Context(), &api.StartCampaignInput{Body: api.StartCampaign{
		Name: field("name"), Advisory: field("advisory"), Ecosystem: field("ecosystem"), Package: field("package"), Below: field("below"),
	}})
	if err != nil {
		return err
	}
	return c.done(w, r, "/campaigns/"+out.Body.Campaign.ID.String(), "info", "This is who has it now, by the inventories that are stored. Nothing was scanned.")
}
