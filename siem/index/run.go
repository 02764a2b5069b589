package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
)

// patientRounds is how often a stretch is sent before what the store does not
// keep of it is given up: by then neither a kill nor a lost node explains it.
const patientRounds = 3

var (
	// errLease ends the stage: somebody else has it.
	errLease = errors.New("the index has another owner")
	// errAgain ends a session; the next one begins at the cursor.
	errAgain = errors.New("the event store does not hold all that it was sent")
)

// run is the stage at work.
type run struct {
	*Index
	lease *journal.Lease
	// high is the first offset that cannot have been sent to the store by
	// anybody: below it the store is asked before anything is sent.
	high uint64
	// saved is where the cursor is, next what is read next.
	saved, next uint64
	sent        []stretch
	looked      time.Time // when the books were last compared
	// rounds counts how often the same stretch was found wanting, in one
	// generation of the store and without an error in between.
	rounds     int
	generation uint64
	// rebuilt is the generation for which the cursor went back to the beginning.
	rebuilt uint64
}

// stretch is a piece of the journal that was sent: offsets from and to are both
// in it.
type stretch struct {
	from, to uint64
	at       time.Time
	received time.Time // the last frame's
	shares   []share
}

// share is what of a stretch is one tenant's.
type share struct {
	tenant           core.TenantID
	rows             uint64
	earliest, latest time.Time
}

// session goes from the cursor on until something fails.
func (r *run) session(ctx context.Context) error {
	began := r.Config.Store.Generation()
	if err := r.begin(ctx); err != nil {
		return err
	}
	for {
		if r.Config.Store.Generation() != began {
			return errAgain // another process may not hold what the last one took
		}
		if err := r.step(ctx); err != nil {
			return err
		}
	}
}

func (r *run) begin(ctx context.Context) (err error) {
	if err := r.Register(ctx); err != nil {
		return err
	}
	err = r.Config.State.View(ctx, func(tx *store.Tx) error {
		r.saved, err = r.cursor.Load(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	if err := r.rebuild(ctx); err != nil {
		return err
	}
	r.next, r.sent, r.looked = r.saved, nil, r.Config.Clock.Now()
	held, err := r.heldBefore(ctx, r.saved)
	if err != nil {
		return err
	}
	r.note(func(s *State) { s.Cursor, s.Next, s.Held = r.saved, r.next, held })
	if r.high == 0 {
		// What ran before this process may have sent all that there is.
		if r.high, err = r.Config.Frames.Next(ctx, r.Config.Partition); err != nil {
			return err
		}
	}
	// What the store took but does not show yet would be sent twice.
	return r.Config.Store.Flush(ctx)
}

// rebuild goes back to the beginning where the store's folder was taken away:
// all that the journal keeps is sent to the new one.
func (r *run) rebuild(ctx context.Context) error {
	g := r.Config.Store.Generation()
	if !r.Config.Store.Fresh() || r.rebuilt == g {
		return nil
	}
	if r.saved > 1 {
		r.Config.Log.Warn("the event store is empty; it is filled again from the journal", slog.Uint64("cursor", r.saved))
		if err := r.save(ctx, 1); err != nil {
			return err
		}
	}
	r.rebuilt = g
	return nil
}

// step sends what is there, or waits for something, and moves the cursor.
func (r *run) step(ctx context.Context) error {
	frames, err := r.read(ctx)
	if err != nil {
		return err
	}
	for len(frames) > 0 {
		rows, n := r.batch(frames)
		if err := r.send(ctx, rows, frames[0].Offset, frames[n-1]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return r.settle(ctx)
}

// read returns frames from next on, none where there are none for now. It
// passes over what the journal can't give.
func (r *run) read(ctx context.Context) ([]journal.Frame, error) {
	c := &r.Config
	frames, err := c.Frames.Read(ctx, c.Partition, r.next, readFrames)
	switch core.KindOf(err) {
	case core.KindDamaged: // offsets have no gaps, so it is this one
		c.Log.Error("a frame of the journal can't be indexed", slog.Uint64("offset", r.next), slog.Any("err", err))
		r.note(func(s *State) { s.Damaged++ })
		r.sent = append(r.sent, stretch{from: r.next, to: r.next, at: c.Clock.Now()})
		r.next++
		return nil, nil
	case core.KindExpired: // trimmed before the cursor was made
		if r.next, err = c.Frames.Next(ctx, c.Partition); err == nil {
			frames, err = c.Frames.Read(ctx, c.Partition, 0, readFrames)
		}
	}
	if err != nil || len(frames) > 0 {
		return frames, err
	}
	waiting, cancel := context.WithTimeout(ctx, c.Flush)
	defer cancel()
	if err := c.Frames.Wait(waiting, c.Partition, r.next-1); err != nil && waiting.Err() == nil {
		return nil, err
	}
	return nil, ctx.Err()
}

// batch makes rows of as many frames as one request should carry.
func (r *run) batch(frames []journal.Frame) (rows []events.Row, n int) {
	bytes := 0
	for n < len(frames) && len(rows) < sendRows && bytes < sendBytes {
		rows = rowsOf(r.normaliser, rows, frames[n])
		for _, record := range frames[n].Records {
			bytes += len(record)
		}
		n++
	}
	return rows, n
}

// send hands rows to the store, but for those that it has.
func (r *run) send(ctx context.Context, rows []events.Row, from uint64, last journal.Frame) error {
	to := last.Offset
	s := stretch{from: from, to: to, received: last.Received, shares: sharesOf(rows)}
	if from < r.high {
		var err error
		if rows, err = r.missing(ctx, rows, s); err != nil {
			return err
		}
	}
	r.high = max(r.high, to+1)
	if err := r.Config.Store.Insert(ctx, rows); err != nil {
		return err
	}
	s.at = r.Config.Clock.Now()
	r.sent, r.next = append(r.sent, s), to+1
	r.works()
	r.note(func(st *State) { st.Sent, st.Next = st.Sent+uint64(len(rows)), r.next })
	return nil
}

// sharesOf adds up rows by tenant.
func sharesOf(rows []events.Row) (shares []share) {
	for i := range rows {
		row := &rows[i]
		n := len(shares)
		if n == 0 || shares[n-1].tenant != row.Tenant {
			shares = merge(shares, share{tenant: row.Tenant, rows: 1, earliest: row.Time, latest: row.Time})
			continue
		}
		shares[n-1].widen(share{rows: 1, earliest: row.Time, latest: row.Time})
	}
	return shares
}

func (s *share) widen(by share) {
	s.rows += by.rows
	if by.earliest.Before(s.earliest) {
		s.earliest = by.earliest
	}
	if by.latest.After(s.latest) {
		s.latest = by.latest
	}
}

// merge adds a share to those of the same tenant, which comes last afterwards.
func merge(shares []share, by share) []share {
	for i := range shares {
		if shares[i].tenant == by.tenant {
			shares[i].widen(by)
			last := len(shares) - 1
			shares[i], shares[last] = shares[last], shares[i]
			return shares
		}
	}
	return append(shares, by)
}

// missing returns those rows that the store does not have.
func (r *run) missing(ctx context.Context, rows []events.Row, s stretch) ([]events.Row, error) {
	found := map[core.TenantID]map[events.Place]int{}
	for _, sh := range s.shares {
		places, err := r.Config.Store.Stored(ctx, sh.tenant, r.Config.Partition, s.from, s.to, sh.earliest, sh.latest)
		if err != nil {
			return nil, err
		}
		found[sh.tenant] = places
	}
	out := rows[:0]
	for _, row := range rows {
		if found[row.Tenant][events.Place{Offset: row.Offset, Index: row.Index}] == 0 {
			out = append(out, row)
		}
	}
	return out, nil
}

// settle moves the cursor past what was sent long enough ago, if the store still
// has all of it.
func (r *run) settle(ctx context.Context) error {
	now := r.Config.Clock.Now()
	if now.Sub(r.looked) < r.Config.Flush {
		return nil
	}
	due := 0
	for due < len(r.sent) && now.Sub(r.sent[due].at) >= r.wait {
		due++
	}
	if due == 0 {
		return nil
	}
	whole := stretch{from: r.sent[0].from, to: r.sent[due-1].to}
	for _, s := range r.sent[:due] {
		for _, sh := range s.shares {
			whole.shares = merge(whole.shares, sh)
		}
	}
	if err := r.compare(ctx, whole); err != nil {
		return err
	}
	if err := r.save(ctx, whole.to+1); err != nil {
		return err
	}
	if held := r.sent[due-1].received; !held.IsZero() {
		r.note(func(s *State) { s.Held = held })
	}
	r.sent, r.looked = append(r.sent[:0:0], r.sent[due:]...), now
	return nil
}

// compare holds what was sent against what the store has.
func (r *run) compare(ctx context.Context, s stretch) error {
	var sent, held uint64
	for _, sh := range s.shares {
		n, err := r.Config.Store.Count(ctx, sh.tenant, r.Config.Partition, s.from, s.to, sh.earliest, sh.latest)
		if err != nil {
			return err
		}
		sent, held = sent+sh.rows, held+min(n, sh.rows)
	}
	if held == sent {
		r.rounds = 0
		return nil
	}
	if g := r.Config.Store.Generation(); g != r.generation || r.rounds == 0 {
		r.rounds, r.generation = 0, g
	}
	if r.rounds++; r.rounds < patientRounds {
		r.Config.Log.Info("events are sent to the event store again", slog.Uint64("missing", sent-held), slog.Uint64("from", s.from), slog.Uint64("to", s.to))
		return errAgain
	}
	r.rounds = 0
	r.note(func(st *State) { st.Missing += sent - held })
	r.Config.Log.Warn("the event store does not keep some events; are they older than events.retention?", slog.Uint64("missing", sent-held),
		slog.Uint64("from", s.from), slog.Uint64("to", s.to))
	return nil
}

// save moves the cursor.
func (r *run) save(ctx context.Context, next uint64) error {
	err := r.Config.State.Tx(ctx, func(tx *store.Tx) error {
		if r.lease != nil {
			if err := r.lease.Check(ctx, tx); core.KindOf(err) == core.KindExpired {
				return errors.Join(err, errLease)
			} else if err != nil {
				return err
			}
		}
		return r.cursor.Save(ctx, tx, r.saved, next)
	})
	if core.KindOf(err) == core.KindConflict {
		return fmt.Errorf("two servers index one journal: %w", err)
	}
	if err == nil {
		r.saved = next
		r.note(func(s *State) { s.Cursor = next })
	}
	return err
}
