// Package jobs does what must happen outside the database: at least once, each
// time with the same key, which the receiver can refuse.
//
// A job is enqueued in the transaction that decides on it and carried out later
// by a [Runner], here or in another process on the same database. Its key
// makes enqueueing twice harmless, and is what the handler passes on: an order's
// id, a webhook's idempotency key.
//
//	waiting ─► running ─► done
//	   ▲          │  ├──► failed      too many attempts, or never possible
//	   └──────────┘  └──► uncertain   interrupted, and not to be repeated blindly
//
// A job that cannot be repeated and was interrupted is uncertain: nobody can
// know whether its effect happened. It waits for a person ([Decide]). Failed and
// uncertain jobs are told in the [Troubles] topic, in the transaction that made
// them so.
package jobs

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// Limits of a job.
const (
	maxKey     = 512
	maxPayload = 1 << 20
	maxError   = 2000
)

// channel is the wake-up of runners.
const channel = "jobs"

// Job is something to do.
type Job struct {
	Tenant core.TenantID
	// Kind chooses the handler.
	Kind string
	// Key is unique within tenant and kind, for as long as the job is kept.
	Key string
	// RunAt is when it is due; zero means now.
	RunAt   time.Time
	Payload []byte
	// Attempt counts from 1; set by the runner.
	Attempt int
}

// name is a job's key in the table.
type name struct {
	tenant    core.TenantID
	kind, key string
}

func (j Job) name() name { return name{j.Tenant, j.Kind, j.Key} }

// State is where a job is.
type State string

// The states.
const (
	Waiting   State = "waiting"
	Running   State = "running"
	Done      State = "done"
	Failed    State = "failed"
	Uncertain State = "uncertain"
)

// Troubles is the topic of jobs that need a person; its records are [Trouble].
var Troubles = journal.NewTopic("jobs.troubles")

// Trouble says that a job failed for good or is uncertain.
type Trouble struct {
	Tenant  core.TenantID `json:"tenant"`
	Kind    string        `json:"kind"`
	Key     string        `json:"key"`
	State   State         `json:"state"`
	Attempt int           `json:"attempt"`
	Error   string        `json:"error"`
	At      time.Time     `json:"at"`
}

//go:embed migrations
var migrations embed.FS

// Migrations is the schema. It stands beside journal.Migrations, which holds the
// topic.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return store.Migrations{Owner: "jobs"} // refused by Migrate; the path is a constant
	}
	return store.Migrations{Owner: "jobs", FS: sub}
}

var validKind = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)

// Enqueue adds the job to the transaction. A job of the same tenant, kind and
// key stays as it is, whatever its state: nothing is done twice because it was
// decided twice.
func Enqueue(ctx context.Context, tx *store.Tx, j Job) error {
	if err := check(j); err != nil {
		return err
	}
	due := int64(0)
	if !j.RunAt.IsZero() {
		due = j.RunAt.UnixMicro()
	}
	payload := j.Payload
	if payload == nil {
		payload = []byte{}
	}
	n, err := tx.Affected(ctx, `INSERT INTO jobs (tenant, kind, key, state, run_at, attempt, token, owner, until, payload, error, changed)
		VALUES ($1, $2, $3, 'waiting', $4, 0, 0, '', 0, $5, '', $4) ON CONFLICT (tenant, kind, key) DO NOTHING`, j.Tenant, j.Kind, j.Key, due, payload)
	if err != nil || n == 0 {
		return err
	}
	return tx.Notify(ctx, channel)
}

func check(j Job) error {
	const op = "jobs.Enqueue"
	switch {
	case !validKind.MatchString(j.Kind):
		return core.E(core.KindInvalid, op, fmt.Sprintf("%.64q is no kind of job", j.Kind))
	case j.Key == "" || len(j.Key) > maxKey || !utf8.ValidString(j.Key) || strings.IndexByte(j.Key, 0) >= 0:
		return core.E(core.KindInvalid, op, fmt.Sprintf("the key of a %s job is empty, longer than %d bytes or not text", j.Kind, maxKey))
	case len(j.Payload) > maxPayload:
		return core.E(core.KindTooLarge, op, fmt.Sprintf("the payload of %s job %q has %d bytes, at most %d are allowed", j.Kind, j.Key, len(j.Payload), maxPayload))
	}
	return nil
}

// Verdict is a person's answer about a job that is uncertain or failed.
type Verdict string

// The verdicts.
const (
	// Repeat means that it did not happen, or may happen again.
	Repeat Verdict = "repeat"
	// Settled means that it happened, or is no longer wanted.
	Settled Verdict = "settled"
)

// Decide applies a person's verdict to a job that is uncertain or failed.
// Whoever calls it has asked the Guard.
func Decide(ctx context.Context, tx *store.Tx, tenant core.TenantID, kind, key string, v Verdict, at time.Time) error {
	next := map[Verdict]State{Repeat: Waiting, Settled: Done}[v]
	if next == "" {
		return core.E(core.KindInvalid, "jobs.Decide", fmt.Sprintf("%.20q is no verdict", v))
	}
	n, err := tx.Affected(ctx, `UPDATE jobs SET state = $4, run_at = $5, attempt = 0, changed = $5
		WHERE tenant = $1 AND kind = $2 AND key = $3 AND state IN ('uncertain', 'failed')`, tenant, kind, key, string(next), at.UnixMicro())
	if err != nil {
		return err
	}
	if n == 0 {
		return core.E(core.KindConflict, "jobs.Decide", fmt.Sprintf("there is no %s job %q that is uncertain or failed", kind, key))
	}
	return tx.Notify(ctx, channel)
}

// List returns a tenant's jobs in a state, those that changed last first, at
// most limit. Error is the last attempt's.
func List(ctx context.Context, tx *store.Tx, tenant core.TenantID, s State, limit int) ([]Trouble, error) {
	rows, err := tx.Query(ctx, `SELECT kind, key, attempt, error, changed FROM jobs WHERE tenant = $1 AND state = $2 ORDER BY changed DESC, kind, key LIMIT $3`,
		tenant, string(s), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var list []Trouble
	for rows.Next() {
		j := Trouble{Tenant: tenant, State: s}
		var at int64
		if err := rows.Scan(&j.Kind, &j.Key, &j.Attempt, &j.Error, &at); err != nil {
			return nil, err
		}
		j.At = store.FromMicros(at)
		list = append(list, j)
	}
	return list, rows.Err()
}
