package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

type findingsStatsCmd struct {
	Days int `help:"Over how many days." default:"30"`
}

// Help implements kong's long help.
func (findingsStatsCmd) Help() string {
	return `Exit code 1 when a finding's time is over.

Example:
  interlock findings stats
  interlock findings stats --days 90 --json`
}

// Run tells the figures of findings.
func (c *findingsStatsCmd) Run(e *env) error {
	var st lifecycle.Stats
	if err := e.client().Get(e.ctx, "/v1/findings/stats", filter("days", strconv.Itoa(c.Days)), &st); err != nil {
		return err
	}
	if err := e.show(st, func(w io.Writer) { tellStats(w, &st, c.Days) }); err != nil {
		return err
	}
	if st.Overdue > 0 {
		return errFindings
	}
	return nil
}

func tellStats(w io.Writer, st *lifecycle.Stats, days int) {
	open := make([]string, 0, len(core.Severities))
	for _, s := range slices.Backward(core.Severities) {
		if n := st.Open[s]; n > 0 {
			open = append(open, fmt.Sprintf("%d %s", n, s))
		}
	}
	_, _ = fmt.Fprintf(w, "open        %s\n", cmp.Or(strings.Join(open, ", "), "none"))
	_, _ = fmt.Fprintf(w, "overdue     %d, due soon %d, exploited %d, risk accepted %d\n", st.Overdue, st.DueSoon, st.Exploited, st.Accepted)
	fixed := ""
	if st.Fixed > 0 {
		fixed = fmt.Sprintf(", in %.1f days on average, %d in time", st.ToFix/86400, st.OnTime)
	}
	_, _ = fmt.Fprintf(w, "fixed       %d verified in %d days%s\n", st.Fixed, days, fixed)
	most := func(label string, by map[string]int) {
		keys := slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Or(by[b]-by[a], strings.Compare(a, b)) })
		for _, k := range keys[:min(len(keys), 10)] {
			_, _ = fmt.Fprintf(w, "%-11s %5d %s\n", label, by[k], onOneLine(cmp.Or(k, "nobody")))
		}
	}
	most("owner", st.Owners)
	most("subject", st.Subjects)
	rows := make([][]string, 0, len(st.Days))
	for _, d := range st.Days {
		n := 0
		for _, v := range d.Open {
			n += v
		}
		if d.Opened+d.Closed > 0 {
			rows = append(rows, []string{d.Day, strconv.Itoa(n), strconv.Itoa(d.Opened), strconv.Itoa(d.Closed)})
		}
	}
	if len(rows) > 0 {
		table(w, "DAY OPEN OPENED CLOSED", rows)
	}
}

type findingsFactsCmd struct {
	Advisory string    `arg:"" help:"Any name of the advisory, such as CVE-2021-44228."`
	Add      string    `help:"Note a fact: published, poc, kev, epss or exploited." enum:"published,poc,kev,epss,exploited," default:"" placeholder:"KIND"`
	At       time.Time `help:"Since when; without it, now." format:"2006-01-02" placeholder:"DAY"`
	Source   string    `help:"Who says so." placeholder:"TEXT"`
	Value    float64   `help:"EPSS's probability, from 0 to 1." placeholder:"P"`
	Due      time.Time `help:"By when CISA wants it done." format:"2006-01-02" placeholder:"DAY"`
}

// Help implements kong's long help.
func (findingsFactsCmd) Help() string {
	return `What is known to be exploited has three days from then, or until CISA's day: clocks get shorter, never longer. Facts are not taken back.

Example:
  interlock findings facts CVE-2021-44228
  interlock findings facts CVE-2021-44228 --add exploited --source "our own proxy's log"`
}

// Run shows what became known about an advisory, or notes more.
func (c *findingsFactsCmd) Run(e *env) error {
	path := "/v1/advisories/" + url.PathEscape(c.Advisory) + "/facts"
	if c.Add != "" {
		at := c.At
		if at.IsZero() {
			at = time.Now().UTC()
		}
		var noted api.FactNoted
		err := e.client().Post(e.ctx, path, api.AddAdvisoryFact{Kind: lifecycle.FactKind(c.Add), At: at, Source: c.Source, Value: c.Value, Due: c.Due}, &noted)
		if err != nil {
			return err
		}
		return e.show(noted, func(w io.Writer) { _, _ = fmt.Fprintf(w, "noted; it concerns %s\n", count(noted.Findings, "finding")) })
	}
	var known api.AdvisoryFacts
	if err := e.client().Get(e.ctx, path, nil, &known); err != nil {
		return err
	}
	return e.show(known, func(w io.Writer) {
		for _, f := range known.Facts {
			_, _ = fmt.Fprintln(w, onOneLine(f.String()))
		}
	})
}

type findingsFreshnessCmd struct{}

// Help implements kong's long help.
func (findingsFreshnessCmd) Help() string {
	return `What was not scanned for long stands first: a finding that nobody looked for is not one that is not there.

Example:
  interlock findings freshness`
}

// Run tells how old what is known is.
func (c *findingsFreshnessCmd) Run(e *env) error {
	var f api.Freshness
	if err := e.client().Get(e.ctx, "/v1/findings/freshness", nil, &f); err != nil {
		return err
	}
	return e.show(f, func(w io.Writer) { tellFreshness(w, &f, time.Now()) })
}

func tellFreshness(w io.Writer, f *api.Freshness, now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(f.Lists)) {
		_, _ = fmt.Fprintf(w, "%s of %s\n", name, ago(f.Lists[name], now))
	}
	if len(f.Lists) == 0 {
		_, _ = fmt.Fprintln(w, "the server has no advisories: inventories are kept and not looked at")
	}
	_, _ = fmt.Fprintf(w, "%s", count(f.Inventories, "inventory"))
	if f.Inventories > 0 {
		_, _ = fmt.Fprintf(w, ", the oldest of %s", ago(f.Oldest, now))
	}
	_, _ = fmt.Fprintln(w)
	rows := make([][]string, 0, len(f.Scans))
	for _, s := range f.Scans {
		rows = append(rows, []string{s.Subject, strings.TrimSpace(s.Tool.Name + " " + s.Tool.Version), ago(s.Started, now), string(s.Outcome), strconv.Itoa(s.Findings), strconv.Itoa(len(s.Gaps))})
	}
	if len(rows) > 0 {
		table(w, "SUBJECT DETECTOR SCANNED OUTCOME FINDINGS GAPS", rows)
	}
}

type findingsOwnersCmd struct {
	Set string `help:"Put the text of this file in force; - for standard input." placeholder:"FILE"`
}

// Help implements kong's long help.
func (findingsOwnersCmd) Help() string {
	return `A line is patterns and an owner; the last line that fits decides. A pattern is subject:…, package:… or path:…; "*" is anything but a slash, "**"
anything. Findings without an owner get theirs at once.

  *                               security
  subject:repo/shop               shop-team
  subject:repo/shop path:/web/**  frontend
  package:npm/lodash*             frontend
  subject:device/press-*          operations

Example:
  interlock findings owners
  interlock findings owners --set OWNERS`
}

// maxOwnersFile bounds a text of owners.
const maxOwnersFile = 100 << 10

// Run shows who looks after what, or says it anew.
func (c *findingsOwnersCmd) Run(e *env) error {
	var o lifecycle.Owners
	if c.Set == "" {
		if err := e.client().Get(e.ctx, "/v1/findings/owners", nil, &o); err != nil {
			return err
		}
		return e.show(o, func(w io.Writer) { _, _ = io.WriteString(w, printable(o.Text)) })
	}
	text, err := readLimitedOrInput(e, c.Set, maxOwnersFile)
	if err != nil {
		return err
	}
	if err := e.client().Post(e.ctx, "/v1/findings/owners", api.SetFindingOwners{Text: string(text)}, &o); err != nil {
		return err
	}
	return e.show(o, func(w io.Writer) { _, _ = fmt.Fprintf(w, "in force, revision %d\n", o.Revision) })
}
