package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/api"
)

type incidentsRunsCmd struct {
	Incident string `arg:"" optional:"" help:"Only the runs of this incident."`
}

// Help implements kong's long help.
func (incidentsRunsCmd) Help() string {
	return `Exit code 1 when a run waits for a person.

Example:
  interlock incidents runs`
}

// Run lists the runs of playbooks, newest first.
func (c *incidentsRunsCmd) Run(e *env) error {
	var page api.Page[api.Run]
	if err := e.client().Get(e.ctx, "/v1/runs", filter("incident", c.Incident), &page); err != nil {
		return err
	}
	list := page.Items
	err := e.show(list, func(w io.Writer) {
		rows := make([][]string, 0, len(list))
		for _, r := range list {
			rows = append(rows, []string{r.ID.String(), r.Playbook, r.State, strconv.Itoa(r.Step), r.Created.Format(time.DateTime), r.Incident.String()})
		}
		table(w, "RUN PLAYBOOK STATE STEP CREATED INCIDENT", rows)
	})
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.State == "proposed" || r.State == "failed" {
			return errFindings
		}
	}
	return nil
}

type incidentsStartCmd struct {
	ID string `arg:"" name:"run" help:"The run, as the incident's timeline names it."`
}

// Help implements kong's long help.
func (incidentsStartCmd) Help() string {
	return `Starts a playbook that waits for a person, or goes on with one that failed: where the incident stands, so that what you did by hand is not done again.

Example:
  interlock incidents start 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run starts a run.
func (c *incidentsStartCmd) Run(e *env) error {
	var r api.Run
	if err := e.client().Post(e.ctx, "/v1/runs/"+url.PathEscape(c.ID)+"/start", struct{}{}, &r); err != nil {
		return err
	}
	return e.show(r, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "playbook %s is at step %d of incident %s\n", r.Playbook, r.Step, r.Incident)
	})
}

type incidentsDryRunCmd struct {
	ID string `arg:"" help:"The incident."`
}

// Help implements kong's long help.
func (incidentsDryRunCmd) Help() string {
	return `What the playbooks that answer to the incident would do now, step by step, and why they could not. Nothing is done.

Example:
  interlock incidents dry-run 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55`
}

// Run tells the plan.
func (c *incidentsDryRunCmd) Run(e *env) error {
	var d api.DryRun
	if err := e.client().Get(e.ctx, "/v1/incidents/"+url.PathEscape(c.ID)+"/dry-run", nil, &d); err != nil {
		return err
	}
	return e.show(d, func(w io.Writer) {
		for _, line := range d.Lines {
			_, _ = fmt.Fprintln(w, printable(line))
		}
	})
}

type incidentsMoveCmd struct {
	ID     string `arg:"" help:"The incident."`
	To     string `arg:"" help:"The state to enter."`
	Reason string `help:"Why; it stands in the timeline and in the audit log." short:"r"`
	Into   string `help:"The incident that this one merges into."`
}

// Help implements kong's long help.
func (incidentsMoveCmd) Help() string {
	return `Moves an incident by hand. Which way it may go the server says; only verification closes one.

Example:
  interlock incidents move 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 contained --reason "switch port 7 is shut"`
}

// Run moves an incident.
func (c *incidentsMoveCmd) Run(e *env) error {
	return move(e, c.ID, api.MoveIncident{To: c.To, Reason: c.Reason, Into: c.Into})
}

type incidentsReopenCmd struct {
	ID     string `arg:"" help:"The incident."`
	Reason string `help:"Why; it stands in the timeline and in the audit log." short:"r" required:""`
}

// Help implements kong's long help.
func (incidentsReopenCmd) Help() string {
	return `For an incident that is closed, reviewed or was taken for nothing.

Example:
  interlock incidents reopen 01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55 --reason "the same screw was loose again"`
}

// Run reopens an incident.
func (c *incidentsReopenCmd) Run(e *env) error {
	return move(e, c.ID, api.MoveIncident{To: "reopened", Reason: c.Reason})
}

func move(e *env, id string, m api.MoveIncident) error {
	var i api.Incident
	if err := e.client().Post(e.ctx, "/v1/incidents/"+url.PathEscape(id)+"/move", m, &i); err != nil {
		return err
	}
	return e.show(i, func(w io.Writer) { _, _ = fmt.Fprintf(w, "incident %s is %s\n", i.ID, i.State) })
}
