package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api"
)

type alertsCmd struct {
	List alertsListCmd `cmd:"" help:"Open alerts, the latest first." default:"withargs"`
	Show alertsShowCmd `cmd:"" help:"One alert with its events."`
	Ack  alertsAckCmd  `cmd:"" help:"Say that you look after an alert: no more notices unless it rises."`
	// Close judges one alert; its incident goes its own way.
	Close alertsCloseCmd `cmd:"" help:"Close an alert with a verdict, such as a false positive."`
}

type alertsListCmd struct {
	listing
	All      bool   `help:"Acknowledged ones too."`
	Severity string `help:"The least severity: info, low, medium, high or critical."`
	Device   string `help:"Only alerts about this device."`
	Rule     string `help:"Only alerts of this rule."`
}

// Help implements kong's long help.
func (alertsListCmd) Help() string {
	return `Exit code 1 when there are open alerts.

Example:
  interlock alerts
  interlock alerts --severity high --device press-7
  interlock alerts --all --json`
}

// Run lists alerts, the latest change first.
func (c *alertsListCmd) Run(e *env) error {
	query := filter("severity", c.Severity, "device", c.Device, "rule", c.Rule)
	query.Set("all", strconv.FormatBool(c.All))
	list, err := fetch[api.Alert](e, c.listing, "/v1/alerts", query)
	if err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellAlerts(w, list) }); err != nil {
		return err
	}
	for _, a := range list {
		if a.State == "open" {
			return errFindings
		}
	}
	return nil
}

func tellAlerts(w io.Writer, list []api.Alert) {
	if len(list) == 0 {
		none(w, "alerts")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, a := range list {
		rows = append(rows, []string{
			a.ID.String(), a.Last.Format(time.DateTime), string(a.Severity), strconv.FormatUint(a.Count, 10) + "x", a.State, a.Device, a.Title, a.Rule, "by " + a.Author,
		})
	}
	table(w, "ID LAST SEVERITY COUNT STATE DEVICE TITLE RULE AUTHOR", rows)
}

type alertsShowCmd struct {
	ID string `arg:"" help:"The alert's id."`
}

// Help implements kong's long help.
func (alertsShowCmd) Help() string {
	return `Example:
  interlock alerts show 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run shows one alert.
func (c *alertsShowCmd) Run(e *env) error {
	var a api.Alert
	if err := e.client().Get(e.ctx, "/v1/alerts/"+url.PathEscape(c.ID), nil, &a); err != nil {
		return err
	}
	return e.show(a, func(w io.Writer) { tellAlert(w, a) })
}

func tellAlert(w io.Writer, a api.Alert) {
	line := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(w, "%-11s %s\n", label, printable(text))
		}
	}
	_, _ = fmt.Fprintf(w, "%s\n", printable(a.Title))
	line("id", a.ID.String())
	line("severity", string(a.Severity))
	line("state", a.State+because(a.AckedBy))
	line("note", a.AckedNote)
	line("device", a.Device)
	line("source", a.Source+", "+string(a.Provenance))
	line("events", strconv.FormatUint(a.Count, 10)+", "+a.First.Format(time.DateTime)+" to "+a.Last.Format(time.DateTime))
	line("rule", a.Rule+" by "+a.Author)
	line("read it", a.Link)
	line("license", a.License)
	for _, c := range a.Categories {
		line("category", c.String())
	}
	if a.Verdict != "" {
		line("verdict", a.Verdict+because(a.ClosedBy)+", "+a.ClosedReason)
	}
	for _, r := range a.References {
		line("see", r)
	}
	for _, id := range a.Events {
		line("event", id.String())
	}
}

type alertsAckCmd struct {
	ID   string `arg:"" help:"The alert's id."`
	Note string `help:"What you found or do; it stands with the alert." short:"m"`
}

// Help implements kong's long help.
func (alertsAckCmd) Help() string {
	return `Counting goes on; notices stop unless the alert rises. The act is in the audit log.

Example:
  interlock alerts ack 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --note "technician at the press"`
}

// Run acknowledges an alert.
func (c *alertsAckCmd) Run(e *env) error {
	var a api.Alert
	if err := e.client().Post(e.ctx, "/v1/alerts/"+url.PathEscape(c.ID)+"/ack", api.AckAlert{Note: c.Note}, &a); err != nil {
		return err
	}
	return e.show(a, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "alert %s is %s by %s\n", a.ID, a.State, printable(a.AckedBy))
	})
}

type alertsCloseCmd struct {
	ID      string `arg:"" help:"The alert's id."`
	Verdict string `help:"What it was: resolved, benign (right, and all right here) or false-positive." enum:"resolved,benign,false-positive" required:""`
	Reason  string `help:"Why; rules are tuned by it." short:"m"`
}

// Help implements kong's long help.
func (alertsCloseCmd) Help() string {
	return `What comes after is a new alert. An incident that the alert is in goes its own way. Benign and false-positive need a reason, which stays
with the alert and in interlock rules noise. The act is in the audit log.

Example:
  interlock alerts close 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --verdict false-positive --reason "the scanner of the audit"`
}

// Run closes an alert.
func (c *alertsCloseCmd) Run(e *env) error {
	var a api.Alert
	if err := e.client().Post(e.ctx, "/v1/alerts/"+url.PathEscape(c.ID)+"/close", api.CloseAlert{Verdict: c.Verdict, Reason: c.Reason}, &a); err != nil {
		return err
	}
	return e.show(a, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "alert %s is closed as %s\n", a.ID, printable(a.Verdict))
	})
}
