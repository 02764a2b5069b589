package playbook

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables response_runs and
// response_run_steps.
func Migrations() store.Migrations {
	return store.Migrations{Owner: "response_playbook", FS: migrations}
}

// RunState is how far a run has come.
type RunState string

// The states of a run.
const (
	// RunProposed waits for a person, because the evidence is too weak for
	// the playbook to start by itself.
	RunProposed RunState = "proposed"
	RunRunning  RunState = "running"
	RunDone     RunState = "done"
	// RunFailed wants a person: a step was refused, ran out of time, or its
	// verification did not pass.
	RunFailed RunState = "failed"
)

// Run is a playbook at work on one incident.
type Run struct {
	Tenant   core.TenantID `json:"tenant"`
	ID       core.UUID     `json:"id"`
	Incident core.UUID     `json:"incident"`
	Playbook string        `json:"playbook"`
	State    RunState      `json:"state"`
	Step     int           `json:"step"`
	Started  time.Time     `json:"started"`
	Book     []byte        `json:"-"`
}

// stepState is a row of one step's attempts.
type stepState struct {
	state    RunState
	attempts int
	deadline time.Time
	intent   core.Position
}

func insertRun(ctx context.Context, tx *store.Tx, r Run) (fresh bool, err error) {
	n, err := tx.Affected(ctx, `INSERT INTO response_runs (tenant, id, incident, playbook, state, step, started, book)
		VALUES ($1, $2, $3, $4, $5, 0, $6, $7) ON CONFLICT (tenant, incident, playbook) DO NOTHING`,
		r.Tenant, r.ID, r.Incident, r.Playbook, string(r.State), store.Micros(r.Started), r.Book)
	if err != nil {
		return false, fmt.Errorf("playbook: starting run %s: %w", r.ID, err)
	}
	return n == 1, nil
}

func getRun(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Run, error) {
	r := Run{Tenant: tenant, ID: id}
	var started int64
	err := tx.QueryRow(ctx, `SELECT incident, playbook, state, step, started, book FROM response_runs WHERE tenant = $1 AND id = $2`+tx.Dialect().ForUpdate(), tenant, id).
		Scan(&r.Incident, &r.Playbook, (*string)(&r.State), &r.Step, &started, &r.Book)
	if errors.Is(err, sql.ErrNoRows) {
		return r, core.E(core.KindNotFound, "playbook.Run", fmt.Sprintf("there is no run %s", id))
	}
	if err != nil {
		return r, fmt.Errorf("playbook: reading run %s: %w", id, err)
	}
	r.Started = store.FromMicros(started)
	return r, nil
}

func setRun(ctx context.Context, tx *store.Tx, r Run) error {
	_, err := tx.Exec(ctx, `UPDATE response_runs SET state = $1, step = $2 WHERE tenant = $3 AND id = $4`, string(r.State), r.Step, r.Tenant, r.ID)
	if err != nil {
		return fmt.Errorf("playbook: run %s: %w", r.ID, err)
	}
	return nil
}

func getStep(ctx context.Context, tx *store.Tx, r Run, step int) (s stepState, found bool, err error) {
	var deadline, index int64
	err = tx.QueryRow(ctx, `SELECT state, attempts, deadline, origin, intent FROM response_run_steps WHERE tenant = $1 AND run = $2 AND step = $3`, r.Tenant, r.ID, step).
		Scan((*string)(&s.state), &s.attempts, &deadline, &s.intent.Origin, &index)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("playbook: step %d of run %s: %w", step, r.ID, err)
	}
	s.deadline, s.intent.Index = store.FromMicros(deadline), uint64(index)
	return s, true, nil
}

func putStep(ctx context.Context, tx *store.Tx, r Run, step int, s stepState, detail string) error {
	_, err := tx.Exec(ctx, `INSERT INTO response_run_steps (tenant, run, step, state, attempts, deadline, origin, intent, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (tenant, run, step) DO UPDATE SET state = excluded.state, attempts = excluded.attempts, detail = excluded.detail`,
		r.Tenant, r.ID, step, string(s.state), s.attempts, store.Micros(s.deadline), s.intent.Origin, int64(s.intent.Index), detail)
	if err != nil {
		return fmt.Errorf("playbook: step %d of run %s: %w", step, r.ID, err)
	}
	return nil
}
