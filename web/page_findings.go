package web

import (
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

func findingRoutes(c *Console) {
	c.get("/findings", policy.FindingRead, c.findings)
	c.get("/findings/{id}", policy.FindingRead, c.finding)
	c.post("/findings/{id}/move", policy.FindingWork, c.moveFinding)
	c.post("/findings/{id}/assign", policy.FindingWork, c.assignFinding)
	c.post("/findings/{id}/note", policy.FindingWork, c.noteFinding)
	c.post("/findings/{id}/dismiss", policy.FindingDismiss, c.dismissFinding)
	c.post("/findings/{id}/accept", policy.FindingAccept, c.acceptFinding)
	c.post("/findings/{id}/approve", policy.FindingApprove, c.approveFinding)
	c.get("/campaigns", policy.CampaignRead, c.campaigns)
	c.get("/campaigns/{id}", policy.CampaignRead, c.campaign)
	c.get("/campaigns/{id}/export/{format}", policy.CampaignRead, c.exportCampaign)
	c.post("/campaigns", policy.CampaignStart, c.startCampaign)
}

// findingTabs are the parts of the list. The first is what to do.
var findingTabs = []struct{ which, text string }{
	{"", "To fix"}, {"overdue", "Overdue"}, {"verify", "To be verified"}, {"accepted", "Accepted"}, {"all", "All"},
}

type findingsView struct {
	Tabs     []tab
	Rows     []lifecycle.Finding
	Pager    pager
	Filter   api.FindingsInput
	Filtered bool
	Which    string
	Levels   []core.Severity
	Classes  []scanning.Class
	Sorts    []named
	Stats    lifecycle.Stats
	Burn     burn
	Base     database
	Doubtful []lifecycle.ReportRow
	Doubts   int // of which Doubtful are the first
	Scans    int
	Age      *lifecycle.Age // of the chosen subject's inventory, nil for none
}

// named is a word of the wire and what people call it.
type named struct{ Value, Text string }

// findingSorts are the orders of the list.
var findingSorts = []named{{string(lifecycle.SortPriority), "What to fix first"}, {string(lifecycle.SortDue), "What is due first"}, {string(lifecycle.SortNewest), "What was found last"}}

// burnDays is how many days the burn-down shows.
const burnDays = 30

func (c *Console) findings(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := findingsView{Which: q.Get("which"), Levels: core.Severities, Classes: scanning.Classes, Sorts: findingSorts, Filter: findingsFilter(q)}
	v.Filtered = narrowed(v.Filter)
	out, err := c.API.Findings(r.Context(), &v.Filter)
	if err != nil {
		return err
	}
	v.Rows = out.Body.Items
	v.Pager = pageOf("/findings", q, out.Body.Next, len(v.Rows), out.Body.Total, "finding", "findings")
	if err := c.fillFindings(r, &v); err != nil {
		return err
	}
	if v.Age, err = c.API.InventoryAge(r.Context(), v.Filter.Subject); err != nil {
		return err
	}
	for _, t := range findingTabs {
		to := without(q, "after", "which")
		if t.which != "" {
			to.Set("which", t.which)
		}
		v.Tabs = append(v.Tabs, tab{Href: address("/findings", to), Text: t.text, Here: v.Which == t.which, Count: v.count(t.which)})
	}
	return c.render(w, r, "page_findings", page{Title: "Findings", Nav: "findings", Body: v})
}

// findingsFilter reads what of the list is asked for.
func findingsFilter(q url.Values) api.FindingsInput {
	field := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	in := api.FindingsInput{
		After: q.Get("after"), Limit: listRows, Severity: q.Get("severity"), Class: q.Get("class"), Subject: field("subject"), Text: field("text"),
		Owner: field("owner"), Package: field("package"), Advisory: field("advisory"), Sort: q.Get("sort"),
	}
	switch q.Get("which") {
	case "overdue":
		in.Overdue = true
	case "verify":
		in.State = string(lifecycle.StateFixed)
	case "accepted":
		in.State = string(lifecycle.StateAccepted)
	case "all":
		in.All = true
	}
	return in
}

// narrowed reports whether a filter shows only some of a tab.
func narrowed(in api.FindingsInput) bool {
	return in.Severity+in.Class+in.Subject+in.Text+in.Owner+in.Package+in.Advisory != ""
}

// count is how many a tab holds, where the figures say so.
func (v findingsView) count(which string) int {
	switch which {
	case "overdue":
		return v.Stats.Overdue
	case "verify":
		return v.Stats.States[lifecycle.StateFixed]
	case "accepted":
		return v.Stats.Accepted
	case "":
		return v.Open()
	}
	return 0
}

// Open is how many want something of somebody.
func (v findingsView) Open() int { return total(v.Stats.Open) }

// fillFindings reads the figures, and how old they are: no number here is worth
// more than the scans behind it.
func (c *Console) fillFindings(r *http.Request, v *findingsView) error {
	stats, err := c.API.FindingStats(r.Context(), &api.FindingStatsInput{Days: burnDays})
	if err != nil {
		return err
	}
	v.Stats, v.Burn = stats.Body, burnDown(stats.Body.Days)
	fresh, err := c.API.Freshness(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	v.Scans, v.Base = len(fresh.Body.Scans), databaseOf(fresh.Body.Lists, c.Clock.Now())
	for _, s := range fresh.Body.Scans {
		if s.Outcome == scanning.OutcomeIncomplete || c.Clock.Now().Sub(s.Finished) > staleScan {
			v.Doubtful = append(v.Doubtful, s)
		}
	}
	v.Doubts = len(v.Doubtful)
	v.Doubtful = v.Doubtful[:min(len(v.Doubtful), shownDoubts)]
	return nil
}

const (
	// staleScan is the age at which a scan's silence says little.
	staleScan   = 14 * 24 * time.Hour
	shownDoubts = 10
)

// database is what the server knows of advisories: of when its lists are.
type database struct {
	Lists []listAge
	Stale bool
}

// listAge is a list with the time of which it is.
type listAge struct {
	Name  string
	At    time.Time
	Stale bool
}

// databaseOf says which lists are older than scans trust.
func databaseOf(lists map[string]time.Time, now time.Time) database {
	var b database
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		one := listAge{name, lists[name], now.Sub(lists[name]) > advisory.DefaultMaxAge}
		b.Lists, b.Stale = append(b.Lists, one), b.Stale || one.Stale
	}
	return b
}

// Missing reports whether there are no advisories at all.
func (b database) Missing() bool { return len(b.Lists) == 0 }

// burn is what was open at the end of each day, as a picture and in words.
type burn struct {
	Chart       template.HTML
	Top         int
	First, Last time.Time
	Said        string
	Legend      []layer // what is open now, as the picture's layers lie
}

// burnLayers are the layers of the picture, what is worst at the bottom, where
// heights can be compared.
var burnLayers = []layer{
	{"sev-bar-critical", "critical", 0}, {"sev-bar-high", "high", 0}, {"sev-bar-medium", "medium", 0}, {"sev-bar-low", "low", 0}, {"sev-bar-info", "info", 0},
}

// burnDown draws how many were open at the end of each day, by severity.
func burnDown(days []lifecycle.Day) burn {
	var b burn
	stacks := make([]stack, 0, len(days))
	var first, last, most lifecycle.Day
	for _, d := range days {
		at, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue
		}
		if n := total(d.Open); n > b.Top || len(stacks) == 0 {
			b.Top, most = n, d
		}
		if len(stacks) == 0 {
			b.First, first = at, d
		}
		b.Last, last = at, d
		stacks = append(stacks, stackOf(d))
	}
	if len(stacks) == 0 {
		return b
	}
	b.Legend = stacks[len(stacks)-1].Layers
	b.Said = fmt.Sprintf("%s open now, %s on %s; at most %s, on %s.", num(total(last.Open)), num(total(first.Open)), first.Day, num(b.Top), most.Day)
	b.Chart = stacked("Open findings at the end of each of the last days, by severity. "+b.Said, stacks, b.Top)
	return b
}

// stackOf is one day of the burn-down.
func stackOf(d lifecycle.Day) stack {
	one := stack{Text: fmt.Sprintf("%s: %d open", d.Day, total(d.Open))}
	for _, l := range burnLayers {
		if l.Count = d.Open[core.Severity(l.Name)]; l.Count > 0 {
			one.Text += fmt.Sprintf(", %d %s", l.Count, l.Name)
		}
		one.Layers = append(one.Layers, l)
	}
	one.Text += fmt.Sprintf("; %d new, %d closed", d.Opened, d.Closed)
	return one
}

// total is all of what is counted by severity.
func total(of map[core.Severity]int) int {
	n := 0
	for _, count := range of {
		n += count
	}
	return n
}
