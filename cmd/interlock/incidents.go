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

type incidentsCmd struct {
	List   incidentsListCmd   `cmd:"" help:"Open incidents." default:"withargs"`
	Show   incidentsShowCmd   `cmd:"" help:"One incident with its timeline and proofs."`
	Move   incidentsMoveCmd   `cmd:"" help:"Move an incident by hand."`
	Reopen incidentsReopenCmd `cmd:"" help:"Take up again what was closed."`
	Runs   incidentsRunsCmd   `cmd:"" help:"Playbooks at work, and those that wait for a person."`
	Start  incidentsStartCmd  `cmd:"" help:"Start a playbook that waits for a person, or go on with it."`
	DryRun incidentsDryRunCmd `cmd:"" help:"What the playbooks would do, without doing it."`
}

type incidentsListCmd struct {
	listing
	All    bool   `help:"Closed ones too."`
	State  string `help:"Only incidents in this state."`
	Device string `help:"Only incidents about this device."`
}

// Help implements kong's long help.
func (incidentsListCmd) Help() string {
	return `Exit code 1 when there are open incidents.

Example:
  interlock incidents list --all
  interlock incidents list --state reopened --device press-7`
}

// Run lists incidents, newest first.
func (c *incidentsListCmd) Run(e *env) error {
	query := filter("state", c.State, "device", c.Device)
	query.Set("all", strconv.FormatBool(c.All))
	list, err := fetch[api.Incident](e, c.listing, "/v1/incidents", query)
	if err != nil {
		return err
	}
	if err := e.show(list, func(w io.Writer) { tellIncidents(w, list) }); err != nil {
		return err
	}
	for _, i := range list {
		if i.Closed.IsZero() {
			return errFindings
		}
	}
	return nil
}

func tellIncidents(w io.Writer, list []api.Incident) {
	if len(list) == 0 {
		none(w, "incidents")
		return
	}
	rows := make([][]string, 0, len(list))
	for _, i := range list {
		rows = append(rows, []string{i.ID.String(), i.Opened.Format(time.DateTime), string(i.Severity), i.State, i.Device, i.Title})
	}
	table(w, "ID OPENED SEVERITY STATE DEVICE TITLE", rows)
}

type incidentsShowCmd struct {
	ID string `arg:"" help:"The incident's id."`
}

// Help implements kong's long help.
func (incidentsShowCmd) Help() string {
	return `Each step names the audit entry that proves it; fetch the proof with: interlock audit proof INDEX

Example:
  interlock incidents show 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run shows one incident.
func (c *incidentsShowCmd) Run(e *env) error {
	var i api.Incident
	if err := e.client().Get(e.ctx, "/v1/incidents/"+url.PathEscape(c.ID), nil, &i); err != nil {
		return err
	}
	return e.show(i, func(w io.Writer) { tellIncident(w, i) })
}

func tellIncident(w io.Writer, i api.Incident) {
	_, _ = fmt.Fprintf(w, "%s\n%s, %s, %s\n\n", printable(i.Title), i.ID, i.Severity, i.State)
	rows := make([][]string, 0, len(i.Timeline))
	for _, s := range i.Timeline {
		rows = append(rows, []string{s.Time.Format("15:04:05.000"), proofOf(s), s.By, transition(s), s.What})
	}
	table(w, "TIME AUDIT BY STATE STEP", rows)
	for _, name := range []string{"detect", "acknowledge", "contain", "recover"} {
		if v, ok := i.Metrics[name]; ok {
			_, _ = fmt.Fprintf(w, "%s: %vs\n", name, v)
		}
	}
}

func proofOf(s api.Step) string {
	if s.Audit == nil {
		return "-"
	}
	return "#" + strconv.FormatUint(s.Audit.Index, 10)
}

func transition(s api.Step) string {
	if s.To == "" {
		return ""
	}
	return strings.TrimPrefix(s.From+" → "+s.To, " → ")
}
