package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Lease is the right to be the one who does something: to correlate a tenant's
// matches, to tick. It runs out by the clock, but what protects the data is its
// token: each new owner gets a higher one, and a commit that bears an older one
// fails, however late it comes.
type Lease struct {
	Name  string
	Owner string
	Token uint64
}

// Acquire takes a lease that is free, has run out, or is the owner's already:
// a process that starts again fences the one it was before. KindConflict names
// the owner and until when.
func Acquire(ctx context.Context, state *store.DB, clock core.Clock, name, owner string, ttl time.Duration) (*Lease, error) {
	l := &Lease{Name: name, Owner: owner}
	err := state.Tx(ctx, func(tx *store.Tx) error {
		now := clock.Now()
		var holder string
		var token, until int64
		err := tx.QueryRow(ctx, `SELECT owner, token, until FROM journal_leases WHERE name = $1`+tx.ForUpdate(), name).Scan(&holder, &token, &until)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if holder != "" && holder != owner && until > now.UnixMicro() {
			return core.E(core.KindConflict, "journal.Acquire", fmt.Sprintf("lease %s is held by %s until %s", name, holder, store.FromMicros(until).Format(time.RFC3339)))
		}
		l.Token = uint64(token) + 1
		_, err = tx.Exec(ctx, `INSERT INTO journal_leases (name, owner, token, until) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET owner = $2, token = $3, until = $4`, name, owner, token+1, now.Add(ttl).UnixMicro())
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Renew makes the lease last longer. KindExpired means that somebody else has
// it now.
func (l *Lease) Renew(ctx context.Context, state *store.DB, clock core.Clock, ttl time.Duration) error {
	return l.setUntil(ctx, state, clock.Now().Add(ttl).UnixMicro())
}

// Release gives the lease back early.
func (l *Lease) Release(ctx context.Context, state *store.DB) error {
	return l.setUntil(ctx, state, 0)
}

func (l *Lease) setUntil(ctx context.Context, state *store.DB, until int64) error {
	return state.Tx(ctx, func(tx *store.Tx) error {
		n, err := tx.Affected(ctx, `UPDATE journal_leases SET until = $3 WHERE name = $1 AND token = $2`, l.Name, int64(l.Token), until)
		if err == nil && n != 1 {
			return l.lost()
		}
		return err
	})
}

// Check fails the transaction unless the lease is still the newest. It holds
// the lease until the transaction ends: a new owner comes before or after,
// never in between.
func (l *Lease) Check(ctx context.Context, tx *store.Tx) error {
	var token int64
	err := tx.QueryRow(ctx, `SELECT token FROM journal_leases WHERE name = $1`+tx.ForUpdate(), l.Name).Scan(&token)
	if errors.Is(err, sql.ErrNoRows) || err == nil && uint64(token) != l.Token {
		return l.lost()
	}
	return err
}

// errLost marks the end of a lease.
var errLost = errors.New("it is somebody else's by now")

func (l *Lease) lost() error {
	e := core.E(core.KindExpired, "journal.Lease", fmt.Sprintf("lease %s with token %d", l.Name, l.Token))
	e.Err = errLost
	return e
}
