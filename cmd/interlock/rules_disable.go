package main

import (
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

type rulesDisableCmd struct {
	ID     string `arg:"" help:"The rule's id or name."`
	Reason string `help:"Why." required:"" short:"m"`
	Owner  string `help:"Who answers for it." required:""`
	Until  string `help:"When it comes back by itself: a date (2026-12-24) or a time from now (720h); left out: when somebody brings it back." placeholder:"WHEN"`
}

// Help implements kong's long help.
func (rulesDisableCmd) Help() string {
	return `The rule raises no alerts any more. It keeps that state over restarts and upgrades, also a shipped rule; correlations that count it
go on. The act is in the audit log, and an alert tells everybody. Keeping single events from a rule is better: rules exclude.

Example:
  interlock rules disable sshd-bruteforce-one-account --owner anna --reason "a scanner of ours, until it is moved" --until 720h`
}

// Run takes a rule out of force.
func (c *rulesDisableCmd) Run(e *env) error {
	until, err := momentFrom(c.Until, time.Now())
	if err != nil {
		return err
	}
	var done tuning.Change
	err = e.client().Post(e.ctx, "/v1/rules/"+url.PathEscape(c.ID)+"/disable", api.DisableRule{Owner: c.Owner, Reason: c.Reason, Until: until}, &done)
	if err != nil {
		return err
	}
	return e.show(done, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s raises no alerts%s\n", oneLineOf(done.Title), oneLineOf(ends(done.Until)))
	})
}

// momentFrom reads a date, a moment or a time from now; "" is none.
func momentFrom(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, core.E(core.KindInvalid, "rules", fmt.Sprintf("%.40q is no date and no time from now", text)).WithHint("write 2026-12-24 or 720h")
	}
	return now.Add(d), nil
}

// ends says when something ends, nothing where it does not.
func ends(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return " until " + until.UTC().Format(time.DateTime)
}
