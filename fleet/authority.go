package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Who may do what is what the audit log says; the tables are its cache (TRUST
// F12). Whoever writes the database writes rows, not rights:
//
//   - A device is active only where its row and the log both say so, and its
//     site and key are those of the log.
//   - A token and a trust root that the log does not know let nobody in.
//   - A device, token or root whose row says other than the log is in doubt: an
//     alarm, and stop-only. Its orders away from safety, its renewal and its
//     workloads are refused until a person has looked and approved it anew.
//   - The log itself is not believed where it grants without a permit: entries
//     come to it through a table, permits do not.

// AlarmAuthority is the event of an object whose row and log disagree.
const AlarmAuthority = "authority_mismatch"

// History is the audit log as far as it is read again; audit.Log is the real one.
type History interface {
	Replay(ctx context.Context, fn func(audit.Record) error) error
	Entry(ctx context.Context, at core.Position) (audit.Record, error)
	Checkpoint() audit.Checkpoint
}

const (
	// compareEvery is how often all rows are compared. One that is used is
	// compared then and there.
	compareEvery = time.Minute
	// outboxGrace is how long a row may be ahead of the log: its entry waits
	// in the outbox.
	outboxGrace = 30 * time.Second
	// wakePause is the least time between two comparisons.
	wakePause = time.Second
)

// Authority holds the registry of one tenant against its audit log.
type Authority struct {
	// Anchor returns the hash of the trust root that the keys process has
	// adopted: the word of somebody who reads neither database nor log. It
	// counts where the log cannot say, because the entries are on their way or
	// were lost with a damage; otherwise nothing that takes trust would ever be
	// done again. nil: nobody can be asked.
	Anchor func(ctx context.Context) (hash string, err error)

	reg    *Registry
	store  *Roots
	log    History
	tenant core.TenantID
	warn   *slog.Logger
	wake   chan struct{}

	reading sync.Mutex // one reader of the log at a time

	mu    sync.Mutex
	ready bool // the log has been read to its end once
	said  *testimony
	ours  map[string]claim // written by this process, on the way into the log
	doubt map[string]string
	told  map[string]bool // doubts that an alarm was raised for
	ahead map[string]time.Time
	roots []rootInForce // whose chain was verified, oldest first
	own   string        // hash of trust root 1 where this process installed it
	took  uint64        // highest version that this process took
}

// NewAuthority puts an authority in charge of a registry. Until it has read the
// log, and wherever there is none, nobody is vouched for.
func NewAuthority(reg *Registry, roots *Roots, log History, tenant core.TenantID, warn *slog.Logger) *Authority {
	a := &Authority{
		reg: reg, store: roots, log: log, tenant: tenant, warn: warn, wake: make(chan struct{}, 1), said: newTestimony(),
		ours: map[string]claim{}, doubt: map[string]string{}, told: map[string]bool{}, ahead: map[string]time.Time{},
	}
	reg.authority = a
	return a
}

// Run compares until ctx ends: now, every minute, and at once where a doubt
// came up.
func (a *Authority) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := a.Compare(ctx); err != nil && ctx.Err() == nil {
			a.warn.Warn("the registry could not be held against the audit log", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-a.reg.clock.After(a.pause()):
		case <-a.wake:
			select {
			case <-ctx.Done():
			case <-a.reg.clock.After(wakePause):
			}
		}
	}
	return nil
}

// pause is how long Run waits for the next comparison: not longer than a row may
// be ahead of the log.
func (a *Authority) pause() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ahead) > 0 {
		return outboxGrace
	}
	return compareEvery
}

// Doubts returns the objects in stop-only, and why.
func (a *Authority) Doubts() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[string]string, len(a.doubt))
	for object, why := range a.doubt {
		out[object] = why
	}
	return out
}

// catchUp reads what the log has got since it was read last.
func (a *Authority) catchUp(ctx context.Context) error {
	a.reading.Lock()
	defer a.reading.Unlock()
	head := a.log.Checkpoint()
	a.mu.Lock()
	origin, next, ready := a.said.origin, a.said.next, a.ready
	a.mu.Unlock()
	if !ready || origin != head.Origin || next > head.Size {
		return a.readAll(ctx)
	}
	for ; next < head.Size; next++ {
		rec, err := a.log.Entry(ctx, core.Position{Origin: head.Origin, Index: next})
		if err != nil {
			return fmt.Errorf("fleet: reading entry %d of the log: %w", next, err)
		}
		a.mu.Lock()
		a.hear(rec)
		a.said.next = next + 1
		a.mu.Unlock()
	}
	return nil
}

// readAll reads the log from its first entry: at the start, and where another
// log follows a damaged one.
func (a *Authority) readAll(ctx context.Context) error {
	said := newTestimony()
	found := map[string]string{}
	err := a.log.Replay(ctx, func(rec audit.Record) error {
		said.add(rec).into(found)
		said.origin, said.next = rec.Position.Origin, rec.Position.Index+1
		return nil
	})
	if err != nil {
		return fmt.Errorf("fleet: reading the log: %w", err)
	}
	if head := a.log.Checkpoint(); said.origin != head.Origin { // a log without entries yet
		said.origin, said.next = head.Origin, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said, a.ready = said, true
	for object, why := range found {
		a.doubts(object, why)
	}
	return nil
}

// hear takes one entry.
func (a *Authority) hear(rec audit.Record) {
	v := a.said.add(rec)
	if v.object == "" {
		return
	}
	if own, known := a.ours[v.object]; known && own.Revision <= a.said.objects[v.object].Revision {
		delete(a.ours, v.object)
	}
	switch {
	case v.wrong != "":
		a.doubts(v.object, v.wrong)
	case v.mended:
		delete(a.doubt, v.object)
		delete(a.told, v.object)
	}
}

// doubts puts an object into stop-only.
func (a *Authority) doubts(object, why string) {
	if a.doubt[object] == "" {
		a.doubt[object] = why
	}
	if a.told[object] {
		return
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// expect remembers what this process writes, once it is durable: the entry
// reaches the log a moment later.
func (r *Registry) expect(tx *store.Tx, object string, c claim) {
	a := r.authority
	if a == nil {
		return
	}
	tx.OnCommit(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.ours[object] = c
	})
}

// expectRoot is expect for a trust root.
func (r *Registry) expectRoot(tx *store.Tx, version uint64, hash string) {
	a := r.authority
	if a == nil {
		return
	}
	tx.OnCommit(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.took = max(a.took, version)
		if version == 1 {
			a.own = hash
		}
	})
}

// known is the newest that is known of an object, from the log or on its way
// there.
func (a *Authority) known(object string) (claim, bool) {
	c, found := a.said.objects[object]
	if own, mine := a.ours[object]; mine && (!found || own.Revision > c.Revision) {
		return own, true
	}
	return c, found
}

// verdict on a row.
type verdict uint8

const (
	same verdict = iota
	other
	newer // than the log
	older
)

// compare holds a row against what is known of its object.
func (a *Authority) compare(object string, row claim) (verdict, string) {
	c, found := a.known(object)
	switch {
	case !found:
		return newer, "the log does not know it"
	case row.Revision > c.Revision:
		return newer, fmt.Sprintf("the row has revision %d, the log %d", row.Revision, c.Revision)
	case row.Revision < c.Revision:
		return older, fmt.Sprintf("the row has revision %d, the log %d: it was put back", row.Revision, c.Revision)
	}
	if diff := row.differs(c); diff != "" {
		return other, diff
	}
	return same, ""
}

// vouch says whether a row may be relied on for something that takes trust: nil,
// or why not. It reads on in the log where the row is ahead of it or in doubt.
func (a *Authority) vouch(ctx context.Context, object string, row claim) error {
	if a == nil {
		return core.E(core.KindUnavailable, "fleet.Authority", "nobody holds the registry against the audit log here")
	}
	v, why, err := a.judge(object, row)
	if behind := err == nil && v == newer; behind || core.KindOf(err) == core.KindConflict { // a person may have mended it
		if err := a.catchUp(ctx); err != nil {
			return core.Wrap(core.KindUnavailable, "fleet.Authority", err)
		}
		v, why, err = a.judge(object, row)
	}
	if err != nil {
		return err
	}
	switch v {
	case same:
		return nil
	case newer:
		return core.E(core.KindUnavailable, "fleet.Authority", fmt.Sprintf("%s: %s; its entry may be on the way", object, why)).WithHint("try again in a moment")
	}
	return inDoubt(object, why)
}

func (a *Authority) judge(object string, row claim) (verdict, string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ready {
		return newer, "", core.E(core.KindUnavailable, "fleet.Authority", "the audit log has not been read yet").WithHint("try again in a moment")
	}
	if why := a.doubt[object]; why != "" {
		return other, "", inDoubt(object, why)
	}
	v, why := a.compare(object, row)
	if v == other {
		a.doubts(object, why)
	}
	return v, why, nil
}

func inDoubt(object, why string) error {
	e := core.E(core.KindConflict, "fleet.Authority", fmt.Sprintf("%s is in stop-only: %s", object, why))
	if name, ok := strings.CutPrefix(object, "device/"); ok {
		return e.WithHint("somebody wrote the database. Look at the machine, then: interlock device approve " + name)
	}
	return e.WithHint("somebody wrote the database; make a new one")
}
