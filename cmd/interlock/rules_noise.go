package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
)

type rulesNoiseCmd struct {
	Days int  `help:"Over how many days." default:"7"`
	Full bool `help:"Also write out the filters that are proposed."`
}

// Help implements kong's long help.
func (rulesNoiseCmd) Help() string {
	return `What each rule cost the people who look at alerts: how many alerts and events, how many of the closed were false positives, the
median time to close one, and what could be done about it. A proposed filter goes into a file, gets an owner and a reason, and is tried
with rules exclude.

Example:
  interlock rules noise --days 30
  interlock rules noise --full`
}

// Run reports.
func (c *rulesNoiseCmd) Run(e *env) error {
	var report api.NoiseReport
	if err := e.client().Get(e.ctx, "/v1/rules/noise", url.Values{"days": {strconv.Itoa(c.Days)}}, &report); err != nil {
		return err
	}
	return e.show(report, func(w io.Writer) { tellNoise(w, report, c.Full) })
}

func tellNoise(w io.Writer, report api.NoiseReport, full bool) {
	rows := make([][]string, 0, len(report.Rules))
	for _, n := range report.Rules {
		rows = append(rows, []string{
			strconv.Itoa(n.Alerts), strconv.FormatUint(n.Events, 10), strconv.Itoa(n.Open), wrong(n), toClose(n), n.Title, n.Name, "by " + n.Author,
		})
	}
	if len(rows) > 0 {
		table(w, "ALERTS EVENTS OPEN FALSE CLOSED-IN TITLE RULE AUTHOR", rows)
	}
	_, _ = fmt.Fprintf(w, "%d rules had no alert in %d days\n", report.Quiet, report.Days)
	if !report.Complete {
		_, _ = fmt.Fprintln(w, "NOT COMPLETE: there are more alerts than are looked at; ask for fewer days")
	}
	for _, n := range report.Rules {
		for _, a := range n.Advice {
			_, _ = fmt.Fprintf(w, "%s: %s\n", oneLineOf(n.Title), oneLineOf(a.Text))
			if full && a.Filter != "" {
				for line := range strings.Lines(a.Filter) {
					_, _ = fmt.Fprintln(w, "    "+printable(strings.TrimRight(line, "\n")))
				}
			}
		}
		for _, reason := range n.Reasons {
			_, _ = fmt.Fprintf(w, "%s: a false positive, because: %s\n", oneLineOf(n.Title), oneLineOf(reason))
		}
	}
}

func wrong(n api.RuleNoise) string {
	if n.Closed == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", n.FalsePositives, n.Closed)
}

func toClose(n api.RuleNoise) string {
	if n.ToClose == 0 {
		return "-"
	}
	return (time.Duration(n.ToClose) * time.Second).String()
}
