package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

type findingsCmd struct {
	List   findingsListCmd   `cmd:"" help:"Open findings, what to fix first first." default:"withargs"`
	Show   findingsShowCmd   `cmd:"" help:"One finding with its timeline."`
	Submit findingsSubmitCmd `cmd:"" help:"Hand in what scanners found."`
	Import findingsSubmitCmd `cmd:"" help:"Hand in what another tool found: SARIF, Trivy, Grype and others. The same as submit."`

	Triage        findingsTriageCmd        `cmd:"" help:"Say that you look at a finding."`
	Affected      findingsAffectedCmd      `cmd:"" help:"Say that a finding is real here."`
	Remediating   findingsRemediatingCmd   `cmd:"" help:"Say that a finding is being fixed."`
	Fixed         findingsFixedCmd         `cmd:"" help:"Say that a finding is fixed; a scan verifies it."`
	NotAffected   findingsNotAffectedCmd   `cmd:"" help:"Say that a finding affects nothing here, and why."`
	FalsePositive findingsFalsePositiveCmd `cmd:"" help:"Say that a finding is none, and why."`
	Duplicate     findingsDuplicateCmd     `cmd:"" help:"Say that a finding is another one."`
	Accept        findingsAcceptCmd        `cmd:"" help:"Ask for a risk to be accepted until a day."`
	Approve       findingsApproveCmd       `cmd:"" help:"Accept a risk that somebody else asked to accept."`
	Assign        findingsAssignCmd        `cmd:"" help:"Give a finding an owner."`
	Note          findingsNoteCmd          `cmd:"" help:"Add a remark to a finding."`

	Stats     findingsStatsCmd     `cmd:"" help:"Open, overdue, fixed: the figures, day by day."`
	Freshness findingsFreshnessCmd `cmd:"" help:"What was scanned when, and how old the lists are."`
	Campaign  findingsCampaignCmd  `cmd:"" help:"Who has a package or is affected by an advisory, and since when."`
	VEX       findingsVEXCmd       `cmd:"" name:"vex" help:"Statements of what affects nothing: ours for others, others' for us."`
	Facts     findingsFactsCmd     `cmd:"" help:"What became known about an advisory."`
	Owners    findingsOwnersCmd    `cmd:"" help:"Who looks after which findings."`
}

type findingsListCmd struct {
	listing
	All      bool   `help:"Closed ones too."`
	State    string `help:"Only findings in this state, such as fixed-pending-verification."`
	Severity string `help:"The least severity: info, low, medium, high or critical."`
	Class    string `help:"Only findings of this class: secret, vulnerability, code, web, host or provenance."`
	Subject  string `help:"Only findings of this subject, such as device/press-7 or repo/shop."`
	Owner    string `help:"Only findings of this owner."`
	Advisory string `help:"Only findings of this advisory, by any of its names." placeholder:"ID"`
	Package  string `help:"Only findings of this package."`
	Overdue  bool   `help:"Only findings whose time is over."`
	Sort     string `help:"priority (what to fix first), due or newest." enum:"priority,due,newest" default:"priority"`
	Text     string `arg:"" optional:"" help:"Only findings with this text in title, names, file, package or owner."`
}

// Help implements kong's long help.
func (findingsListCmd) Help() string {
	return `Exit code 1 when there are open findings in the list.

Example:
  interlock findings
  interlock findings --severity high --subject device/press-7
  interlock findings --overdue --sort due --json`
}

// Run lists findings.
func (c *findingsListCmd) Run(e *env) error {
	query := filter("state", c.State, "severity", c.Severity, "class", c.Class, "subject", c.Subject, "owner", c.Owner, "advisory", c.Advisory,
		"package", c.Package, "sort", c.Sort, "text", c.Text)
	query.Set("all", strconv.FormatBool(c.All))
	query.Set("overdue", strconv.FormatBool(c.Overdue))
	list, err := fetch[lifecycle.Finding](e, c.listing, "/v1/findings", query)
	if err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellFindingList(w, list, time.Now()) }); err != nil {
		return err
	}
	for i := range list {
		if list[i].State.Open() {
			return errFindings
		}
	}
	return nil
}

func tellFindingList(w io.Writer, list []lifecycle.Finding, now time.Time) {
	if len(list) == 0 {
		none(w, "findings")
		return
	}
	rows := make([][]string, 0, len(list))
	for i := range list {
		f := &list[i]
		rows = append(rows, []string{f.ID.String(), string(f.What.Severity), string(f.State), dueDay(f, now), cmp.Or(f.Owner, "-"), f.Subject, f.What.Rule, whatOf(f), f.Why})
	}
	table(w, "ID SEVERITY STATE DUE OWNER SUBJECT RULE WHAT WHY", rows)
}

// dueDay is by when a finding is to be fixed, and whether that is over.
func dueDay(f *lifecycle.Finding, now time.Time) string {
	switch {
	case f.State == lifecycle.StateAccepted && f.Acceptance != nil:
		return "until " + f.Acceptance.Until.Format(time.DateOnly)
	case !f.State.Open() || f.Clock.Due.IsZero():
		return "-"
	case f.Clock.Due.Before(now):
		return f.Clock.Due.Format(time.DateOnly) + " OVERDUE"
	}
	return f.Clock.Due.Format(time.DateOnly)
}

// whatOf names what is wrong with its place.
func whatOf(f *lifecycle.Finding) string {
	what := f.What.Title
	if p := f.What.Package; p != nil {
		what = strings.TrimSpace(p.Name + " " + p.Version)
	}
	if f.What.Location.File != "" {
		what += " in " + f.What.Location.File
	}
	return what
}

type findingsShowCmd struct {
	ID string `arg:"" help:"The finding's id."`
}

// Help implements kong's long help.
func (findingsShowCmd) Help() string {
	return `Example:
  interlock findings show 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run shows one finding.
func (c *findingsShowCmd) Run(e *env) error {
	var d api.FindingDetail
	if err := e.client().Get(e.ctx, "/v1/findings/"+url.PathEscape(c.ID), nil, &d); err != nil {
		return err
	}
	return e.show(d, func(w io.Writer) { tellFindingDetail(w, &d, time.Now()) })
}

func tellFindingDetail(w io.Writer, d *api.FindingDetail, now time.Time) {
	f := &d.Finding
	line := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(w, "%-12s %s\n", label, onOneLine(text))
		}
	}
	_, _ = fmt.Fprintf(w, "%s\n", onOneLine(f.What.Title))
	line("id", f.ID.String())
	line("state", string(f.State)+because(f.Reason))
	line("severity", string(f.What.Severity))
	line("subject", f.Subject)
	line("names", strings.Join(f.Names, ", "))
	line("what", whatOf(f))
	line("match", f.What.Redacted)
	line("advice", f.What.Advice)
	line("fixed in", strings.Join(f.What.Fixed, ", "))
	line("owner", f.Owner)
	line("due", dueDay(f, now)+because(f.Clock.Why))
	line("why first", f.Why)
	if a := f.Acceptance; a != nil {
		line("acceptance", "until "+a.Until.Format(time.DateOnly)+", asked by "+a.Requester+", "+approvedBy(a))
	}
	if !f.Of.IsZero() {
		line("duplicate of", f.Of.String())
	}
	for _, s := range d.Sightings {
		line("detector", sightingLine(s))
	}
	for _, fact := range d.Facts {
		line("known", fact.String())
	}
	tellTimeline(w, d.Timeline)
	if len(d.Next) > 0 {
		line("next", strings.Join(d.Next, ", "))
	}
}

func sightingLine(s lifecycle.Sighting) string {
	has := "has it"
	if !s.Present {
		has = "does not have it any more"
	}
	return fmt.Sprintf("%s %s on %s %s: %s (%s)", s.Tool, s.Version, s.Kind, s.Scope, has, s.At.Format(time.DateTime))
}

// tellTimeline tells what happened to a finding, a line an event.
func tellTimeline(w io.Writer, list []lifecycle.Event) {
	rows := make([][]string, 0, len(list))
	for _, e := range list {
		step := string(e.Kind)
		if e.To != "" && e.Kind == lifecycle.EventMoved {
			step = string(e.To)
		}
		rows = append(rows, []string{e.At.Format(time.DateTime), step, e.By, e.Text})
	}
	_, _ = fmt.Fprintln(w)
	table(w, "AT WHAT BY TEXT", rows)
}

func approvedBy(a *lifecycle.Acceptance) string {
	if a.Approver == "" {
		return "waits for somebody else's approval"
	}
	return "approved by " + a.Approver
}
