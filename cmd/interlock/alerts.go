package main

import (
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api"
)

type alertsCmd struct {
	All bool `help:"Closed ones too."`
}

// Help implements kong's long help.
func (alertsCmd) Help() string {
	return `Exit code 1 when there are open alerts.

Example:
  interlock alerts
  interlock alerts --all --json`
}

// Run lists alerts, newest first.
func (c *alertsCmd) Run(e *env) error {
	var list []api.Alert
	if err := e.client().Get(e.ctx, "/v1/alerts", url.Values{"all": {strconv.FormatBool(c.All)}}, &list); err != nil {
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
		_, _ = io.WriteString(w, "no alerts\n")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, a := range list {
		rows = append(rows, []string{a.Last.Format(time.DateTime), string(a.Severity), strconv.FormatUint(a.Count, 10) + "x", a.State, a.Device, a.Title, a.Rule, "by " + a.Author})
	}
	table(w, "LAST SEVERITY COUNT STATE DEVICE TITLE RULE AUTHOR", rows)
}
