package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// Migrations is the schema of the outbox, in the state database.
func Migrations() store.Migrations {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the path is a constant
	}
	return store.Migrations{Owner: "audit", FS: sub}
}

const (
	outboxSignal = "audit_outbox"
	outboxBatch  = 256
	// outboxRetry is how long Run waits after the log or the database refused.
	outboxRetry = time.Second
	// leafOverhead bounds what a leaf holds beside the body.
	leafOverhead = 4 << 10
)

// outboxRow is an entry as it waits.
type outboxRow struct {
	Type     Type            `json:"type"`
	Time     int64           `json:"time"` // microseconds
	Actor    string          `json:"actor"`
	Action   core.Action     `json:"action"`
	Object   string          `json:"object"`
	Revision uint64          `json:"revision"`
	Outcome  string          `json:"outcome"`
	Class    Class           `json:"class"`
	Subject  string          `json:"subject"`
	Intent   *core.Position  `json:"intent"`
	Body     json.RawMessage `json:"body"`
	Vital    Vital           `json:"vital"`
	// Salt becomes the leaf's: by it the entry is known again in the log. It
	// is safe to seal twice with it, because all that is sealed stands here.
	Salt []byte `json:"salt"`
}

// Put leaves an entry in the outbox within the caller's transaction (where it
// states no time, that of the system clock is taken): if the transaction
// commits, the entry is in the log once, in the order of the commits, however
// often the process dies; if it does not, the entry never was. What the log
// would refuse is refused here, while the caller can still undo.
func Put(ctx context.Context, tx *store.Tx, e Entry) error {
	row, err := e.row()
	if err != nil {
		return err
	}
	var number int64
	// The row of the head is locked until the commit: numbers come in order.
	err = tx.QueryRow(ctx, `INSERT INTO audit_outbox_heads (tenant, last) VALUES ($1, 1)
		ON CONFLICT (tenant) DO UPDATE SET last = audit_outbox_heads.last + 1 RETURNING last`, e.Tenant).Scan(&number)
	if err != nil {
		return fmt.Errorf("audit.Put: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO audit_outbox (tenant, number, entry) VALUES ($1, $2, $3)`, e.Tenant, number, row); err != nil {
		return fmt.Errorf("audit.Put: %w", err)
	}
	return tx.Notify(ctx, outboxSignal)
}

func (e *Entry) row() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	h := Header{Type: e.Type, Action: e.Action, Outcome: e.Outcome, Class: e.Class, Actor: "service/outbox"}
	if e.Intent != nil {
		h.Intent = formatPosition(*e.Intent)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if e.Actor == "" {
		return nil, badEntry("actor", "")
	}
	body, err := json.Marshal(e.Body)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, "audit.Put", fmt.Errorf("the body of %s is not JSON: %w", e.Action, err))
	}
	e.normalise(core.SystemClock{})
	if e.Time.UnixMicro() < 0 {
		return nil, badEntry("time", e.Time.String())
	}
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	r := outboxRow{e.Type, e.Time.UnixMicro(), e.Actor, e.Action, e.Object, e.Revision, e.Outcome, e.Class, e.Subject, e.Intent, body, e.Vital, salt}
	if n := len(body) + len(e.Actor) + len(e.Object); n > MaxLeaf-leafOverhead {
		return nil, core.E(core.KindTooLarge, "audit.Put", fmt.Sprintf("%s has %d bytes of names and body, at most %d are allowed", e.Action, n, MaxLeaf-leafOverhead))
	}
	return json.Marshal(r)
}

func (r *outboxRow) entry(tenant core.TenantID, number uint64) (Entry, error) {
	if len(r.Salt) != saltLen || number == 0 {
		return Entry{}, core.E(core.KindDamaged, "audit.Outbox", fmt.Sprintf("entry %d is not one that Put left", number))
	}
	return Entry{
		Tenant: tenant, Type: r.Type, Time: time.UnixMicro(r.Time).UTC(), Actor: r.Actor, Action: r.Action, Object: r.Object,
		Revision: r.Revision, Outcome: r.Outcome, Class: r.Class, Subject: r.Subject, Intent: r.Intent, Body: r.Body, Vital: r.Vital,
		outbox: number, salt: r.Salt,
	}, nil
}

// Outbox carries entries from the state database into the log, in order and
// each once: the number under which an entry waits stands in the log.
type Outbox struct {
	// Tenant whose entries these are; zero where there is one log.
	Tenant core.TenantID
	// Settled, if set, is told where an entry stands, in the transaction that
	// takes it out of the outbox.
	Settled func(ctx context.Context, tx *store.Tx, e Entry, at core.Position) error

	db  *store.DB
	log *Log
}

// NewOutbox returns the outbox of a log.
func NewOutbox(db *store.DB, log *Log) *Outbox { return &Outbox{db: db, log: log} }

// Run carries entries until ctx ends. While the log or the database refuses,
// entries wait.
func (o *Outbox) Run(ctx context.Context) error {
	told := "" // one line for each reason: a damaged log can wait for days
	for {
		wake := o.db.Signal(outboxSignal) // before looking, so that nothing falls in between
		n, err := o.Drain(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var again <-chan time.Time
		if err != nil {
			if why := err.Error(); why != told {
				o.log.c.Log.Warn("audit outbox: entries wait", slog.Any("err", err), slog.String("hint", core.HintOf(err)))
				told = why
			}
			again = o.log.c.Clock.After(outboxRetry)
			wake = nil
		} else if told = ""; n > 0 {
			continue
		}
		select {
		case <-wake:
		case <-again:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waiting is one row of the outbox.
type waiting struct {
	number uint64
	entry  Entry
	at     core.Position
	inLog  bool
}

// Drain carries one batch and returns how many entries it took out.
func (o *Outbox) Drain(ctx context.Context) (int, error) {
	if err := o.catchUp(ctx); err != nil {
		return 0, err
	}
	rows, err := o.read(ctx)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	last := o.log.Outbox()
	fresh := rows
	for len(fresh) > 0 && fresh[0].number <= last {
		fresh = fresh[1:]
	}
	if old := rows[:len(rows)-len(fresh)]; len(old) > 0 {
		return o.settleOld(ctx, old)
	}
	failed := o.log.appendRows(ctx, fresh)
	n, err := o.settle(ctx, fresh)
	if failed != nil {
		err = failed
	}
	return n, err
}

// catchUp moves the numbering past the log's. A state database restored from a
// backup would otherwise give numbers again.
func (o *Outbox) catchUp(ctx context.Context) error {
	last := o.log.Outbox()
	var head int64
	err := o.db.View(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `SELECT COALESCE(MAX(last), 0) FROM audit_outbox_heads WHERE tenant = $1`, o.Tenant).Scan(&head)
	})
	if err != nil || uint64(head) >= last {
		return err
	}
	return o.db.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO audit_outbox_heads (tenant, last) VALUES ($1, $2)
			ON CONFLICT (tenant) DO UPDATE SET last = excluded.last WHERE audit_outbox_heads.last < excluded.last`, o.Tenant, int64(last))
		return err
	})
}

func (o *Outbox) read(ctx context.Context) ([]*waiting, error) {
	var list []*waiting
	err := o.db.View(ctx, func(tx *store.Tx) error {
		list = nil
		rows, err := tx.Query(ctx, `SELECT number, entry FROM audit_outbox WHERE tenant = $1 ORDER BY number LIMIT $2`, o.Tenant, outboxBatch)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var number int64
			var b []byte
			if err := rows.Scan(&number, &b); err != nil {
				return err
			}
			var r outboxRow
			if err := json.Unmarshal(b, &r); err != nil {
				return core.Wrap(core.KindDamaged, "audit.Outbox", fmt.Errorf("entry %d: %w", number, err))
			}
			e, err := r.entry(o.Tenant, uint64(number))
			if err != nil {
				return err
			}
			list = append(list, &waiting{number: uint64(number), entry: e})
		}
		return rows.Err()
	})
	return list, err
}

// settle takes out of the outbox what is in the log.
func (o *Outbox) settle(ctx context.Context, rows []*waiting) (int, error) {
	n := 0
	for n < len(rows) && rows[n].inLog {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	err := o.db.Tx(ctx, func(tx *store.Tx) error {
		for _, w := range rows[:n] {
			if err := o.settleOne(ctx, tx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("audit.Outbox: %w", err)
	}
	return n, nil
}

func (o *Outbox) settleOne(ctx context.Context, tx *store.Tx, w *waiting) error {
	if o.Settled != nil {
		if err := o.Settled(ctx, tx, w.entry, w.at); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `DELETE FROM audit_outbox WHERE tenant = $1 AND number = $2`, o.Tenant, int64(w.number))
	return err
}

// settleOld deals with rows whose number the log already has: the process died
// after the append. They are looked up; one that is not there bears a number
// that was given twice, and gets a new one.
func (o *Outbox) settleOld(ctx context.Context, rows []*waiting) (int, error) {
	if err := o.log.find(ctx, rows); err != nil {
		return 0, err
	}
	err := o.db.Tx(ctx, func(tx *store.Tx) error {
		for _, w := range rows {
			if w.inLog {
				if err := o.settleOne(ctx, tx, w); err != nil {
					return err
				}
				continue
			}
			if err := o.renumber(ctx, tx, w); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("audit.Outbox: %w", err)
	}
	return len(rows), nil
}

func (o *Outbox) renumber(ctx context.Context, tx *store.Tx, w *waiting) error {
	var number int64
	err := tx.QueryRow(ctx, `UPDATE audit_outbox_heads SET last = last + 1 WHERE tenant = $1 RETURNING last`, o.Tenant).Scan(&number)
	if err != nil {
		return err
	}
	row, err := w.entry.row() // with a fresh salt: the old one may have sealed under the old number
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE audit_outbox SET number = $1, entry = $2 WHERE tenant = $3 AND number = $4`, number, row, o.Tenant, int64(w.number))
	return err
}

// appendRows appends in order and stops at the first refusal, so that no entry
// overtakes another.
func (l *Log) appendRows(ctx context.Context, rows []*waiting) error {
	r := &request{}
	for _, w := range rows {
		p := &pending{}
		if err := l.prepare(w.entry, p); err != nil {
			if len(r.items) == 0 {
				return fmt.Errorf("audit.Outbox: entry %d: %w", w.number, err)
			}
			break
		}
		r.items = append(r.items, p)
	}
	if err := l.group.Do(ctx, r); err != nil {
		return err
	}
	for i, p := range r.items {
		if p.err != nil {
			return fmt.Errorf("audit.Outbox: entry %d: %w", rows[i].number, p.err)
		}
		rows[i].at, rows[i].inLog = p.result.Position, true
	}
	return nil
}

// recent is how many of the newest entries find reads before it reads all:
// what is looked for was nearly always written just before the process died.
const recent = 1 << 16

// find looks up which rows the log holds, newest entries first.
func (l *Log) find(ctx context.Context, rows []*waiting) error {
	byNumber := map[uint64]*waiting{}
	for _, w := range rows {
		byNumber[w.number] = w
	}
	l.mu.RLock()
	chain := l.chain
	l.mu.RUnlock()
	for i := len(chain) - 1; i >= 0 && len(byNumber) > 0; i-- {
		if err := chain[i].ready(); err != nil {
			return err
		}
		size := chain[i].tree.size()
		middle := size - min(size, recent)
		if err := chain[i].find(ctx, middle, size, byNumber); err != nil {
			return err
		}
		if len(byNumber) == 0 {
			break
		}
		if err := chain[i].find(ctx, 0, middle, byNumber); err != nil {
			return err
		}
	}
	return nil
}

func (g *generation) find(ctx context.Context, from, to uint64, byNumber map[uint64]*waiting) error {
	return g.scan(ctx, from, to, func(index uint64, leaf []byte) error {
		h, _, err := ParseLeaf(leaf)
		if w := byNumber[h.Outbox]; err == nil && w != nil && bytes.Equal(h.Salt[:], w.entry.salt) {
			w.at, w.inLog = core.Position{Origin: g.origin, Index: index}, true
			delete(byNumber, h.Outbox)
		}
		return err
	})
}
