package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// claim is a job that this runner holds, with its fencing token.
type claim struct {
	job   Job
	token int64
}

// result is what becomes of a job.
type result struct {
	state State
	runAt time.Time
	// uncounted gives the attempt back: it was not the job's fault.
	uncounted bool
	err       string
}

// kinds returns the kinds with a handler, for which keep is true, as arguments
// and as the placeholders that follow the first n.
func (r *Runner) kinds(n int, keep func(Handler) bool) (list []any, placeholders string) {
	for kind, h := range r.Handlers {
		if keep(h) {
			list = append(list, kind)
		}
	}
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	marks := make([]string, len(list))
	for i := range list {
		marks[i] = "$" + strconv.Itoa(n+i+1)
	}
	return list, strings.Join(marks, ", ")
}

// claim takes up to n due jobs. The subquery is materialised: PostgreSQL could
// otherwise run it again and lock more rows than the limit says.
func (r *Runner) claim(ctx context.Context, n int) (claims []claim, err error) {
	if n <= 0 {
		return nil, nil
	}
	now := r.Clock.Now()
	kinds, marks := r.kinds(4, func(Handler) bool { return true })
	args := append([]any{now.UnixMicro(), n, r.owner, now.Add(r.Lease).UnixMicro()}, kinds...)
	err = r.DB.LockTx(ctx, func(tx *store.Tx) error {
		claims = nil
		rows, err := tx.Query(ctx, `WITH due AS MATERIALIZED (
				SELECT tenant, kind, key FROM jobs WHERE state = 'waiting' AND run_at <= $1 AND kind IN (`+marks+`)
				ORDER BY run_at, tenant, kind, key LIMIT $2`+tx.SkipLocked()+`)
			UPDATE jobs SET state = 'running', attempt = attempt + 1, token = token + 1, owner = $3, until = $4, changed = $1
			WHERE (tenant, kind, key) IN (SELECT tenant, kind, key FROM due)
			RETURNING tenant, kind, key, run_at, attempt, token, payload`, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells
		for rows.Next() {
			var c claim
			var runAt int64
			if err := rows.Scan(&c.job.Tenant, &c.job.Kind, &c.job.Key, &runAt, &c.job.Attempt, &c.token, &c.job.Payload); err != nil {
				return err
			}
			c.job.RunAt = store.FromMicros(runAt)
			claims = append(claims, c)
		}
		return rows.Err()
	})
	slices.SortStableFunc(claims, func(a, b claim) int { return a.job.RunAt.Compare(b.job.RunAt) })
	return claims, err
}

// sweep looks after jobs whose runner is gone. Those that may be repeated wait
// again, unless they have had their attempts; the others are uncertain.
func (r *Runner) sweep(ctx context.Context) error {
	now := r.Clock.Now()
	lost, err := r.expired(ctx, now)
	if err != nil {
		return err
	}
	for _, c := range lost {
		h := r.Handlers[c.job.Kind]
		cause := core.E(core.KindUnavailable, "jobs.Run", "the process that ran it ended in the middle")
		res := outcome(h, c, cause, true, now)
		if h.Idempotent && c.job.Attempt >= orDefault(h.Attempts, defaultAttempts) {
			res = result{state: Failed, runAt: now, err: cause.Error()}
		}
		// It ran, for all we know: unlike after an orderly end, the attempt counts.
		res.uncounted = false
		if err := r.finish(ctx, c, res); err != nil && core.KindOf(err) != core.KindExpired {
			return err
		}
	}
	if now.Sub(r.swept) < time.Hour {
		return nil
	}
	r.swept = now
	return r.DB.LockTx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM jobs WHERE state = 'done' AND changed < $1`, now.Add(-r.Keep).UnixMicro())
		return err
	})
}

func (r *Runner) expired(ctx context.Context, now time.Time) (lost []claim, err error) {
	kinds, marks := r.kinds(1, func(Handler) bool { return true })
	args := append([]any{now.UnixMicro()}, kinds...)
	err = r.DB.View(ctx, func(tx *store.Tx) error {
		lost = nil
		rows, err := tx.Query(ctx, `SELECT tenant, kind, key, attempt, token FROM jobs WHERE state = 'running' AND until <= $1 AND kind IN (`+marks+`)`, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells
		for rows.Next() {
			var c claim
			if err := rows.Scan(&c.job.Tenant, &c.job.Kind, &c.job.Key, &c.job.Attempt, &c.token); err != nil {
				return err
			}
			if !r.runs(c) {
				lost = append(lost, c)
			}
		}
		return rows.Err()
	})
	return lost, err
}

// outcome decides what becomes of a job after its handler returned.
func outcome(h Handler, c claim, err error, interrupted bool, now time.Time) result {
	if err == nil {
		return result{state: Done, runAt: now}
	}
	var p panicked
	kind := core.KindOf(err)
	text := errorText(err)
	switch {
	case !h.Idempotent && (interrupted || kind == core.KindUncertain || errors.As(err, &p)):
		return result{state: Uncertain, runAt: now, err: text}
	case interrupted:
		return result{state: Waiting, runAt: now, uncounted: true, err: text}
	case kind == core.KindInvalid || c.job.Attempt >= orDefault(h.Attempts, defaultAttempts):
		return result{state: Failed, runAt: now, err: text}
	}
	pause := min(longestPause, firstPause<<min(c.job.Attempt-1, 20))
	return result{state: Waiting, runAt: now.Add(pause), err: text}
}

func errorText(err error) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "") + "..."
	}
	return text
}

const held = ` WHERE tenant = $1 AND kind = $2 AND key = $3 AND token = $4 AND state = 'running'`

// finish writes the outcome, if the claim is still ours; what needs a person is
// told in the same transaction.
func (r *Runner) finish(ctx context.Context, c claim, res result) error {
	j, now := c.job, r.Clock.Now()
	attempt := j.Attempt
	if res.uncounted {
		attempt--
	}
	return r.DB.LockTx(ctx, func(tx *store.Tx) error {
		n, err := tx.Affected(ctx, `UPDATE jobs SET state = $5, run_at = $6, attempt = $7, error = $8, changed = $9, owner = '', until = 0`+held,
			j.Tenant, j.Kind, j.Key, c.token, string(res.state), res.runAt.UnixMicro(), attempt, res.err, now.UnixMicro())
		if err != nil {
			return err
		}
		if n == 0 {
			return c.lost()
		}
		if res.state != Failed && res.state != Uncertain {
			return nil
		}
		body, err := json.Marshal(Trouble{j.Tenant, j.Kind, j.Key, res.state, attempt, res.err, now.UTC()})
		if err != nil {
			return err
		}
		return Troubles.Publish(ctx, tx, j.Tenant, body)
	})
}

func (r *Runner) extend(ctx context.Context, c claim) error {
	return r.DB.LockTx(ctx, func(tx *store.Tx) error {
		n, err := tx.Affected(ctx, `UPDATE jobs SET until = $5`+held, c.job.Tenant, c.job.Kind, c.job.Key, c.token, r.Clock.Now().Add(r.Lease).UnixMicro())
		if err == nil && n == 0 {
			return c.lost()
		}
		return err
	})
}

func (c claim) lost() error {
	return core.E(core.KindExpired, "jobs.Run", fmt.Sprintf("the claim on %s job %q is somebody else's by now", c.job.Kind, c.job.Key))
}
