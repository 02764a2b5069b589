package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/siem/coverage"
)

type rulesCoverageCmd struct {
	Paths     []string `arg:"" optional:"" help:"Files with events, or folders of them; left out: what the server received." type:"existingpath"`
	Rules     string   `help:"A rule file or a folder whose rules stand beside the shipped ones; left out: the shipped ones alone." type:"existingpath" placeholder:"DIR"`
	Days      int      `help:"How many days back the server looks, at most 90." default:"7"`
	Format    string   `help:"text, markdown for a page, csv for a line for each rule." enum:"text,markdown,csv" default:"text"`
	Navigator string   `help:"Also write a layer for the ATT&CK Navigator to this file." type:"path" placeholder:"FILE"`
	Domain    string   `help:"The layer's matrix: enterprise or ics." enum:"enterprise,ics" default:"enterprise"`
	All       bool     `help:"Name all that is missing, and every rule that can't fire with what it lacks."`
}

// Help implements kong's long help.
func (rulesCoverageCmd) Help() string {
	return `Says which rules can fire at all, given the logsources, fields and numbers (EventID) that events really had, and which missing one
would let most others fire. A rule that is said not to be able to fire would not have fired for any of the events; of the others only
names are known and no values but those numbers, so that "can fire" is not "will".

With files it reads what a hunt reads (NDJSON, JSON, EVTX, logs of syslog, journald and auditd, also packed) and takes the shipped rules
and those of --rules. What can't be read is told beside the report, which is about the rest. Without files it asks the server about its
own rules and the last days of its journal.

Exit code 0, and 2 when there is nothing to report on.

Example:
  interlock rules coverage --days 30
  interlock rules coverage --rules sigma/rules /var/log/export
  interlock rules coverage --rules sigma/rules events.ndjson.gz --format csv
  interlock rules coverage --rules sigma/rules events.ndjson.gz --navigator layer.json`
}

// Run makes the report and prints it.
func (c *rulesCoverageCmd) Run(e *env) error {
	report, err := c.report(e)
	if err != nil {
		return err
	}
	if c.Navigator != "" {
		if err := c.layer(report); err != nil {
			return err
		}
	}
	switch {
	case e.global.JSON || c.Format == "text":
		return e.show(report, func(w io.Writer) { c.tell(w, report) })
	case c.Format == "csv":
		return report.WriteCSV(e.out)
	}
	var page strings.Builder
	if err := report.WriteMarkdown(&page); err != nil {
		return err
	}
	_, err = io.WriteString(e.out, printable(page.String()))
	return err
}

func (c *rulesCoverageCmd) report(e *env) (*coverage.Coverage, error) {
	if len(c.Paths) == 0 {
		return c.remote(e)
	}
	engine, err := localRules(c.Rules)
	if err != nil {
		return nil, err
	}
	seen, err := coverageOf(e, c.Paths)
	if err != nil {
		return nil, err
	}
	if seen.Counts().Events == 0 {
		return nil, core.E(core.KindInvalid, "rules coverage", "there is no event in "+strings.Join(c.Paths, ", ")).
			WithHint("name files that interlock hunt can read")
	}
	return coverage.New(engine, seen, coverage.Options{}), nil
}

// remote asks the server, which knows the rules in force and the journal.
func (c *rulesCoverageCmd) remote(e *env) (*coverage.Coverage, error) {
	if c.Rules != "" {
		return nil, core.E(core.KindInvalid, "rules coverage", "the server answers with its own rules").
			WithHint("leave --rules out, or name files with events")
	}
	var r coverage.Coverage
	err := e.client().Get(e.ctx, "/v1/rules/coverage", url.Values{"days": {strconv.Itoa(c.Days)}}, &r)
	return &r, err
}

func (c *rulesCoverageCmd) layer(r *coverage.Coverage) error {
	domain := coverage.Enterprise
	if c.Domain == "ics" {
		domain = coverage.ICS
	}
	var b strings.Builder
	if err := r.WriteNavigator(&b, domain); err != nil {
		return err
	}
	return core.Wrap(core.KindUnavailable, "rules coverage", atomicfile.WriteFile(c.Navigator, []byte(b.String()), 0o644))
}

// toldMost is how many rows of a table are told where not all are asked for.
const toldMost = 12

func (c *rulesCoverageCmd) tell(w io.Writer, r *coverage.Coverage) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) }
	say("%d of %d rules can fire, by %d events", r.Totals.Of[coverage.CanFire], r.Totals.All, r.Counts.Events)
	for _, s := range coverage.States {
		if n := r.Totals.Of[s]; n > 0 && s != coverage.CanFire {
			say("  %-22s %d", s, n)
		}
	}
	for _, odd := range []struct {
		n    uint64
		what string
	}{
		{r.Counts.Unrouted, "events are of no logsource that is known: nothing in them says what they are"},
		{r.Counts.Unread, "records are no event"},
		{r.Counts.Beyond, "events had more names than are remembered"},
	} {
		if odd.n > 0 {
			say("  %d %s", odd.n, odd.what)
		}
	}
	if r.Counts.Partial {
		say("  the journal holds more; only the beginning of the time was read")
	}
	most := toldMost
	if c.All {
		most = len(r.Rules)
	}
	tellGroups(w, r, most)
	tellMissing(w, r, most)
	if c.All {
		tellUnable(w, r)
	}
}

func tellGroups(w io.Writer, r *coverage.Coverage, most int) {
	_, _ = fmt.Fprintln(w)
	var rows [][]string
	for _, g := range r.Logsources {
		if g.Of[coverage.CanFire] > 0 && len(rows) < most {
			rows = append(rows, []string{g.Name, strconv.Itoa(g.Of[coverage.CanFire]), strconv.Itoa(g.All)})
		}
	}
	table(w, "LOGSOURCE CAN-FIRE RULES", rows)
}

func tellMissing(w io.Writer, r *coverage.Coverage, most int) {
	if len(r.Sources) > 0 {
		_, _ = fmt.Fprintln(w, "\nLogsources that would light up most rules:")
		for _, m := range r.Sources[:min(most, len(r.Sources))] {
			_, _ = fmt.Fprintln(w, oneLineOf(fmt.Sprintf("  %4d  %s: %s", m.Rules, m.Logsource, m.First())))
		}
	}
	if len(r.Fields) > 0 {
		_, _ = fmt.Fprintln(w, "\nFields and kinds of events that would light up most rules:")
		for _, m := range r.Fields[:min(most, len(r.Fields))] {
			_, _ = fmt.Fprintln(w, oneLineOf(fmt.Sprintf("  %4d  %s of %s", m.Rules, m.Field, m.Logsource)))
		}
	}
}

func tellUnable(w io.Writer, r *coverage.Coverage) {
	_, _ = fmt.Fprintln(w)
	for _, rule := range r.Rules {
		if rule.State == coverage.CanFire {
			continue
		}
		lacks := ""
		if len(rule.Lacks) > 0 {
			lacks = ": " + strings.Join(rule.Lacks, ", ")
		}
		_, _ = fmt.Fprintln(w, oneLineOf(fmt.Sprintf("%s  %s (%s)  %s%s", rule.ID, rule.Title, rule.Logsource, rule.State, lacks)))
	}
}
