package api

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/playbook"
)

// RunsInput selects runs of playbooks.
type RunsInput struct {
	Incident string `query:"incident" doc:"Only runs of this incident"`
}

// Runs lists the runs of playbooks, newest first, as many as the engine lists at
// once.
func (a *API) Runs(ctx context.Context, in *RunsInput) (*Out[Page[Run]], error) {
	who, err := a.see(ctx, policy.PlaybookRead, "*")
	if err != nil {
		return nil, err
	}
	var of core.UUID
	if in.Incident != "" {
		if of, err = core.ParseUUID(in.Incident); err != nil {
			return nil, err
		}
	}
	list, err := a.Playbooks.List(ctx, who.Tenant, of)
	if err != nil {
		return nil, err
	}
	page := Page[playbook.Run]{Items: list, Total: len(list)}
	return out(convert(page, func(r playbook.Run) Run { return runOf(r, nil) })), nil
}

// Run shows one run and every attempt at its steps.
func (a *API) Run(ctx context.Context, in *IDInput) (*Out[Run], error) {
	who, err := a.see(ctx, policy.PlaybookRead, in.ID)
	if err != nil {
		return nil, err
	}
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	row, attempts, err := a.Playbooks.Get(ctx, who.Tenant, id)
	if err != nil {
		return nil, err
	}
	return out(runOf(row, attempts)), nil
}

// StartRunInput names the run; its body is {}.
type StartRunInput struct {
	ID   string `path:"id" doc:"The run's id"`
	Body struct{}
}

// StartRun starts a run that waits for a person. The Guard is asked where the
// run is started, with the site of its incident.
func (a *API) StartRun(ctx context.Context, in *StartRunInput) (*Out[Run], error) {
	id, err := core.ParseUUID(in.ID)
	if err != nil {
		return nil, err
	}
	row, err := a.Playbooks.Start(ctx, principal(ctx), id)
	if err != nil {
		return nil, err
	}
	return out(runOf(row, nil)), nil
}

func runOf(r playbook.Run, attempts []playbook.Attempt) Run {
	shown := Run{
		ID: r.ID, Incident: r.Incident, Playbook: r.Playbook, State: string(r.State), Round: r.Round, Step: r.Step + 1,
		Created: r.Created, Starter: r.Starter, Book: string(r.Book),
	}
	if r.State == playbook.RunRunning {
		shown.Deadline = r.Deadline
	}
	for _, t := range attempts {
		shown.Attempts = append(shown.Attempts, Attempt{
			Round: t.Round, Step: t.Step + 1, Attempt: t.Attempt, State: string(t.State), Began: t.Began, Ended: t.Ended, Detail: t.Detail,
		})
	}
	return shown
}

// DryRun tells what the playbooks that answer to an incident would do now.
func (a *API) DryRun(ctx context.Context, in *IDInput) (*Out[DryRun], error) {
	if _, err := a.see(ctx, policy.PlaybookRead, in.ID); err != nil {
		return nil, err
	}
	found, err := a.findIncident(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	lines, err := a.Playbooks.DryRun(ctx, found)
	if err != nil {
		return nil, err
	}
	return out(DryRun{Lines: lines}), nil
}
