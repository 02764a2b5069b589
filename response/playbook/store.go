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

// RunState is how far a run, or one attempt at a step, has come.
type RunState string

// The states. An attempt is running, done or failed.
const (
	// RunProposed waits for a person, because the evidence is too weak for
	// the playbook to start by itself.
	RunProposed RunState = "proposed"
	RunRunning  RunState = "running"
	// RunDone means that verification closed the incident.
	RunDone RunState = "done"
	// RunFailed wants a person: a step was refused, ran out of time, or its
	// verification did not pass.
	RunFailed RunState = "failed"
	// RunStopped gave way to people, who took the incident another way.
	RunStopped RunState = "stopped"
)

// Run is a playbook at work on one incident. Round, Step and Attempt say where
// it stands; each such place is worked on once.
type Run struct {
	Tenant   core.TenantID `json:"tenant"`
	ID       core.UUID     `json:"id"`
	Incident core.UUID     `json:"incident"`
	Playbook string        `json:"playbook"`
	State    RunState      `json:"state"`
	// Round rises each time that the run is started; 0 was never started.
	Round   int `json:"round"`
	Step    int `json:"step"`
	Attempt int `json:"attempt"`
	// Deadline is when the present step ends, done or not.
	Deadline time.Time `json:"deadline,omitzero"`
	Created  time.Time `json:"created"`
	// Starter is the person who started it, "" where it started by itself.
	Starter string `json:"starter,omitempty"`
	// Book is the playbook's exact bytes.
	Book []byte `json:"-"`

	// begun is set once the incident was taken into the step; intent is the
	// entry that permitted to move it.
	begun  bool
	intent core.Position
}

// Attempt is one try at one step. Its row is written before it has any effect.
type Attempt struct {
	Round   int       `json:"round"`
	Step    int       `json:"step"`
	Attempt int       `json:"attempt"`
	State   RunState  `json:"state"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Detail  string    `json:"detail,omitempty"`
}

func insertRun(ctx context.Context, tx *store.Tx, r Run) (fresh bool, err error) {
	n, err := tx.Affected(ctx, `INSERT INTO response_runs (tenant, id, incident, playbook, state, round, step, attempt, begun, deadline, origin, intent, started, starter, book)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, '', 0, $6, '', $7) ON CONFLICT (tenant, incident, playbook) DO NOTHING`,
		r.Tenant, r.ID, r.Incident, r.Playbook, string(r.State), store.Micros(r.Created), r.Book)
	if err != nil {
		return false, fmt.Errorf("playbook: making run %s: %w", r.ID, err)
	}
	return n == 1, nil
}

const selectRun = `SELECT tenant, id, incident, playbook, state, round, step, attempt, begun, deadline, origin, intent, started, starter, book FROM response_runs`

type scanner interface{ Scan(dest ...any) error }

func scanRun(row scanner) (Run, error) {
	var r Run
	var begun, deadline, index, created int64
	err := row.Scan(&r.Tenant, &r.ID, &r.Incident, &r.Playbook, (*string)(&r.State), &r.Round, &r.Step, &r.Attempt, &begun, &deadline,
		&r.intent.Origin, &index, &created, &r.Starter, &r.Book)
	if err != nil {
		return Run{}, err
	}
	r.begun, r.intent.Index, r.Created = begun == 1, uint64(index), store.FromMicros(created)
	if deadline != 0 {
		r.Deadline = store.FromMicros(deadline)
	}
	return r, nil
}

// getRun reads a run, and locks it where the transaction may write.
func getRun(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Run, error) {
	r, err := scanRun(tx.QueryRow(ctx, selectRun+` WHERE tenant = $1 AND id = $2`+tx.ForUpdate(), tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, core.E(core.KindNotFound, "playbook.Run", fmt.Sprintf("there is no run %s", id))
	}
	if err != nil {
		return r, fmt.Errorf("playbook: reading run %s: %w", id, err)
	}
	return r, nil
}

// listRuns reads the newest runs, of one incident or with a zero one of all.
func listRuns(ctx context.Context, tx *store.Tx, tenant core.TenantID, incident core.UUID, limit int) ([]Run, error) {
	of := ""
	if !incident.IsZero() {
		of = incident.String()
	}
	rows, err := tx.Query(ctx, selectRun+` WHERE tenant = $1 AND ($2 = '' OR incident = $2) ORDER BY started DESC, id DESC LIMIT $3`, tenant, of, limit)
	if err != nil {
		return nil, fmt.Errorf("playbook: listing runs: %w", err)
	}
	return collect(rows, scanRun)
}

func setRun(ctx context.Context, tx *store.Tx, r Run) error {
	deadline := int64(0)
	if !r.Deadline.IsZero() {
		deadline = store.Micros(r.Deadline)
	}
	begun := 0
	if r.begun {
		begun = 1
	}
	_, err := tx.Exec(ctx, `UPDATE response_runs SET state = $1, round = $2, step = $3, attempt = $4, begun = $5, deadline = $6, origin = $7, intent = $8, starter = $9
		WHERE tenant = $10 AND id = $11`,
		string(r.State), r.Round, r.Step, r.Attempt, begun, deadline, r.intent.Origin, int64(r.intent.Index), r.Starter, r.Tenant, r.ID)
	if err != nil {
		return fmt.Errorf("playbook: run %s: %w", r.ID, err)
	}
	return nil
}

// openAttempt writes that the run's present attempt runs; a second time changes
// nothing.
func openAttempt(ctx context.Context, tx *store.Tx, r Run, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO response_run_steps (tenant, run, round, step, attempt, state, began, ended, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '') ON CONFLICT (tenant, run, round, step, attempt) DO NOTHING`,
		r.Tenant, r.ID, r.Round, r.Step, r.Attempt, string(RunRunning), store.Micros(at))
	if err != nil {
		return fmt.Errorf("playbook: step %d of run %s: %w", r.Step+1, r.ID, err)
	}
	return nil
}

// describeAttempt writes what the run's present attempt waits for.
func describeAttempt(ctx context.Context, tx *store.Tx, r Run, detail string) error {
	_, err := tx.Exec(ctx, `UPDATE response_run_steps SET detail = $1 WHERE tenant = $2 AND run = $3 AND round = $4 AND step = $5 AND attempt = $6 AND ended = 0 AND detail <> $1`,
		detail, r.Tenant, r.ID, r.Round, r.Step, r.Attempt)
	if err != nil {
		return fmt.Errorf("playbook: step %d of run %s: %w", r.Step+1, r.ID, err)
	}
	return nil
}

// closeAttempt writes how the run's present attempt ended.
func closeAttempt(ctx context.Context, tx *store.Tx, r Run, s RunState, at time.Time, detail string) error {
	_, err := tx.Exec(ctx, `INSERT INTO response_run_steps (tenant, run, round, step, attempt, state, began, ended, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
		ON CONFLICT (tenant, run, round, step, attempt) DO UPDATE SET state = excluded.state, ended = excluded.ended, detail = excluded.detail`,
		r.Tenant, r.ID, r.Round, r.Step, r.Attempt, string(s), store.Micros(at), detail)
	if err != nil {
		return fmt.Errorf("playbook: step %d of run %s: %w", r.Step+1, r.ID, err)
	}
	return nil
}

func listAttempts(ctx context.Context, tx *store.Tx, tenant core.TenantID, run core.UUID) ([]Attempt, error) {
	rows, err := tx.Query(ctx, `SELECT round, step, attempt, state, began, ended, detail FROM response_run_steps
		WHERE tenant = $1 AND run = $2 ORDER BY round, step, attempt`, tenant, run)
	if err != nil {
		return nil, fmt.Errorf("playbook: steps of run %s: %w", run, err)
	}
	return collect(rows, func(row scanner) (Attempt, error) {
		var a Attempt
		var began, ended int64
		err := row.Scan(&a.Round, &a.Step, &a.Attempt, (*string)(&a.State), &began, &ended, &a.Detail)
		a.Began = store.FromMicros(began)
		if ended != 0 {
			a.Ended = store.FromMicros(ended)
		}
		return a, err
	})
}

func collect[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // rows.Err tells
	list := []T{}
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("playbook: reading a row: %w", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
