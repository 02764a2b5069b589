package web

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/scanning"
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
	Stats    lifecycle.Stats
	Chart    template.HTML
	Lists    []namedTime
	Doubtful []lifecycle.ReportRow
	Scans    int
}

// namedTime is a list and of when it is.
type namedTime struct {
	Name string
	At   time.Time
}

// burnDays is how many days the burn-down shows.
const burnDays = 30

func (c *Console) findings(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	v := findingsView{Which: q.Get("which"), Levels: core.Severities, Classes: scanning.Classes}
	v.Filter = api.FindingsInput{
		After: q.Get("after"), Limit: listRows, Severity: q.Get("severity"), Class: q.Get("class"),
		Subject: strings.TrimSpace(q.Get("subject")), Text: strings.TrimSpace(q.Get("text")),
	}
	v.Filtered = v.Filter.Severity+v.Filter.Class+v.Filter.Subject+v.Filter.Text != ""
	switch v.Which {
	case "overdue":
		v.Filter.Overdue = true
	case "verify":
		v.Filter.State = string(lifecycle.StateFixed)
	case "accepted":
		v.Filter.State = string(lifecycle.StateAccepted)
	case "all":
		v.Filter.All = true
	}
	out, err := c.API.Findings(r.Context(), &v.Filter)
	if err != nil {
		return err
	}
	v.Rows = out.Body.Items
	v.Pager = pageOf("/findings", q, out.Body.Next, len(v.Rows), out.Body.Total, "finding", "findings")
	if err := c.fillFindings(r, &v); err != nil {
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
func (v findingsView) Open() int {
	n := 0
	for _, of := range v.Stats.Open {
		n += of
	}
	return n
}

// fillFindings reads the figures, and how old they are: no number here is worth
// more than the scans behind it.
func (c *Console) fillFindings(r *http.Request, v *findingsView) error {
	stats, err := c.API.FindingStats(r.Context(), &api.FindingStatsInput{Days: burnDays})
	if err != nil {
		return err
	}
	v.Stats = stats.Body
	v.Chart = burnDown(v.Stats.Days)
	fresh, err := c.API.Freshness(r.Context(), &api.None{})
	if err != nil {
		return err
	}
	v.Scans = len(fresh.Body.Scans)
	for name, at := range fresh.Body.Lists {
		v.Lists = append(v.Lists, namedTime{name, at})
	}
	slices.SortFunc(v.Lists, func(a, b namedTime) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range fresh.Body.Scans {
		if s.Outcome == scanning.OutcomeIncomplete || c.Clock.Now().Sub(s.Finished) > staleScan {
			v.Doubtful = append(v.Doubtful, s)
		}
	}
	v.Doubtful = v.Doubtful[:min(len(v.Doubtful), shownDoubts)]
	return nil
}

const (
	// staleScan is the age at which a scan's silence says little.
	staleScan   = 14 * 24 * time.Hour
	shownDoubts = 10
)

// burnDown draws how many were open at the end of each day.
func burnDown(days []lifecycle.Day) template.HTML {
	bars := make([]bar, 0, len(days))
	for _, d := range days {
		at, err := time.Parse(time.DateOnly, d.Day)
		if err != nil {
			continue
		}
		bars = append(bars, bar{From: at, Count: total(d)})
	}
	return histogram("Open findings at the end of each of the last days", bars)
}

func total(d lifecycle.Day) int {
	n := 0
	for _, of := range d.Open {
		n += of
	}
	return n
}

type findingView struct {
	api.FindingDetail
	Moves          []findingMove
	Dismissable    bool
	Acceptable     bool
	Waits          bool // for somebody else to accept it
	Mine           bool // the one who asked looks at it
	Justifications []string
	Soon           string
}

// findingMove is a step that a person may take, in a person's words.
type findingMove struct{ To, Label, Hint string }

var findingMoves = map[lifecycle.State][2]string{
	lifecycle.StateTriaged:     {"I have looked at it", "It is real until somebody shows that it is not."},
	lifecycle.StateAffected:    {"We are affected", "It has to be fixed, or its risk accepted by two."},
	lifecycle.StateRemediating: {"Somebody fixes it", "The clock goes on."},
	lifecycle.StateFixed:       {"It is fixed", "It stays open until every detector that saw it looks again and does not find it."},
}

func (c *Console) finding(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Finding(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	v := findingView{FindingDetail: out.Body, Soon: c.Clock.Now().AddDate(0, 1, 0).UTC().Format(time.DateOnly)}
	slices.Reverse(v.Timeline) // the newest first
	for _, to := range v.Next {
		if words, ok := findingMoves[lifecycle.State(to)]; ok {
			v.Moves = append(v.Moves, findingMove{to, words[0], words[1]})
		}
	}
	v.Dismissable = slices.Contains(v.Next, string(lifecycle.StateFalsePositive)) || slices.Contains(v.Next, string(lifecycle.StateNotAffected))
	v.Waits = v.Finding.Acceptance != nil && v.Finding.Acceptance.Approver == ""
	v.Mine = v.Waits && v.Finding.Acceptance.Requester == sessionOf(r.Context()).Principal.String()
	v.Acceptable = !v.Waits && slices.Contains(v.Next, string(lifecycle.StateAccepted))
	v.Justifications = lifecycle.Justifications
	return c.render(w, r, "page_finding", page{Title: v.Finding.What.Title, Nav: "findings", Body: v})
}

// findingPage is where a finding's forms lead back to.
func findingPage(r *http.Request) string { return "/findings/" + url.PathEscape(r.PathValue("id")) }

func (c *Console) moveFinding(w http.ResponseWriter, r *http.Request) error {
	to := lifecycle.State(form(r, "to"))
	_, err := c.API.MoveFinding(r.Context(), &api.MoveFindingInput{ID: r.PathValue("id"), Body: api.MoveFinding{To: to, Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	said := "Noted."
	if to == lifecycle.StateFixed {
		said = "Noted. Only a later scan that does not find it any more verifies that."
	}
	return c.done(w, r, findingPage(r), "info", said)
}

func (c *Console) assignFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.AssignFinding(r.Context(), &api.AssignFindingInput{ID: r.PathValue("id"), Body: api.AssignFinding{Owner: strings.TrimSpace(form(r, "owner"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "ok", "The finding has its owner.")
}

func (c *Console) noteFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.NoteFinding(r.Context(), &api.NoteFindingInput{ID: r.PathValue("id"), Body: api.NoteFinding{Text: strings.TrimSpace(form(r, "text"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "ok", "The note stands in the timeline.")
}

func (c *Console) dismissFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.DismissFinding(r.Context(), &api.DismissFindingInput{ID: r.PathValue("id"), Body: api.DismissFinding{
		To: lifecycle.State(form(r, "to")), Reason: strings.TrimSpace(form(r, "reason")), Justification: form(r, "justification"),
	}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "info", "Closed by your word. It stands in the log under your name.")
}

func (c *Console) acceptFinding(w http.ResponseWriter, r *http.Request) error {
	until, err := time.Parse(time.DateOnly, strings.TrimSpace(form(r, "until")))
	if err != nil {
		return core.E(core.KindInvalid, "web.acceptFinding", "the day is written as 2026-12-24")
	}
	_, err = c.API.AcceptFinding(r.Context(), &api.AcceptFindingInput{ID: r.PathValue("id"), Body: api.AcceptFinding{Until: until, Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "info", "Asked. Somebody else has to approve it; until then its clock runs.")
}

func (c *Console) approveFinding(w http.ResponseWriter, r *http.Request) error {
	_, err := c.API.ApproveFinding(r.Context(), &api.ApproveFindingInput{ID: r.PathValue("id"), Body: api.ApproveFinding{Reason: strings.TrimSpace(form(r, "reason"))}})
	if err != nil {
		return err
	}
	return c.done(w, r, findingPage(r), "info", "The risk is accepted until its day, by two. Then it is open again by itself.")
}
