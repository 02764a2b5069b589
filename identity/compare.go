package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

const (
	// compareEvery is how often all rows are held against the log.
	compareEvery = time.Minute
	// outboxGrace is how long a change may be ahead of the log: its entry
	// waits in the outbox.
	outboxGrace = 30 * time.Second
)

// row is what the table says of an object.
type row struct {
	claim
	revision uint64
	bytes    string
}

// Load reads the log, believes what it says, and holds the rows against it.
// Where the log can't be read the rows tell who there is, in stop-only; Load may
// be called again.
func (p *People) Load(ctx context.Context) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	if err := p.shadow(ctx); err != nil {
		return err
	}
	p.stoppers()
	if err := p.catchUp(ctx); err != nil {
		return err
	}
	if err := p.loadSeen(ctx); err != nil {
		return err
	}
	p.stoppers()
	return p.compare(ctx)
}

// shadow takes the rows for what is believed until the log was read: nobody has
// more than a stop by them.
func (p *People) shadow(ctx context.Context) error {
	rows, err := p.rows(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready {
		return nil
	}
	for object, r := range rows {
		p.believe(object, record{claim: r.claim, revision: r.revision})
	}
	clear(p.said.approving)
	return nil
}

// rows reads the table. A claim that can't be read belongs to nobody.
func (p *People) rows(ctx context.Context) (map[string]row, error) {
	var list map[string]row
	err := p.parts.State.View(ctx, func(tx *store.Tx) error {
		list = map[string]row{}
		rows, err := tx.Query(ctx, `SELECT object, revision, claim FROM identity_records WHERE tenant = $1`, p.parts.Tenant)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var object string
			var revision int64
			var b []byte
			if err := rows.Scan(&object, &revision, &b); err != nil {
				return err
			}
			r := row{revision: uint64(revision), bytes: string(b)}
			if json.Unmarshal(b, &r.claim) != nil {
				r.claim = claim{}
			}
			list[object] = r
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("identity: reading the table: %w", err)
	}
	return list, nil
}

// catchUp reads what the log has got since it was read last.
func (p *People) catchUp(ctx context.Context) error {
	p.reading.Lock()
	defer p.reading.Unlock()
	head := p.parts.Log.Checkpoint()
	p.mu.RLock()
	origin, next, ready := p.said.origin, p.said.next, p.ready
	p.mu.RUnlock()
	if !ready || origin != head.Origin || next > head.Size {
		return p.readAll(ctx, head.Origin)
	}
	for ; next < head.Size; next++ {
		rec, err := p.parts.Log.Entry(ctx, core.Position{Origin: head.Origin, Index: next})
		if err != nil {
			return fmt.Errorf("identity: reading entry %d of the log: %w", next, err)
		}
		p.mu.Lock()
		p.said.add(rec)
		p.mu.Unlock()
	}
	return nil
}

// readAll reads the log from its first entry: at the start, and where another
// log follows a damaged one.
func (p *People) readAll(ctx context.Context, origin string) error {
	said := newTestimony()
	err := p.parts.Log.Replay(ctx, func(rec audit.Record) error {
		said.add(rec)
		return nil
	})
	if err != nil {
		return fmt.Errorf("identity: reading the log: %w", err)
	}
	if said.origin != origin { // a log without entries yet
		said.origin, said.next = origin, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready {
		maps.Copy(said.approving, p.said.approving)
		maps.Copy(said.joined, p.said.joined)
		p.said = said
		return nil
	}
	// The first time, what the log says takes the place of what rows said.
	p.objects, p.sessions = map[string]record{}, map[[32]byte]*live{}
	p.said = said
	for object, r := range said.objects {
		p.believe(object, r)
	}
	p.ready = true
	return nil
}

// keeps reports whether an object has a row. The caller holds the lock.
func (p *People) keeps(object string) bool {
	if kindOf(object) != kindSession {
		return true
	}
	for _, s := range p.sessions {
		if s.id == nameOf(object) {
			return s.kept
		}
	}
	return true
}

// Compare holds every row against the log and what this process believes, and
// raises an alarm for each person that it finds in doubt.
func (p *People) Compare(ctx context.Context) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	if err := p.catchUp(ctx); err != nil {
		return err
	}
	return p.compare(ctx)
}

func (p *People) compare(ctx context.Context) error {
	rows, err := p.rows(ctx)
	if err != nil {
		return err
	}
	mode, _ := p.parts.Log.Mode()
	p.mu.Lock()
	for _, f := range p.said.wrong {
		p.doubts(f.person, f.why)
	}
	for object, r := range p.objects {
		p.compareRow(object, r, rows)
		p.compareLog(object, r, mode == audit.ModeNormal)
	}
	for object, r := range rows {
		if _, believed := p.objects[object]; !believed {
			p.doubts(r.Person, object+" stands in the table, and the log does not know it")
		}
	}
	p.mu.Unlock()
	return p.tell(ctx)
}

// compareRow holds a row against what is believed. The caller holds the lock.
func (p *People) compareRow(object string, r record, rows map[string]row) {
	have, found := rows[object]
	switch {
	case !p.keeps(object):
	case !found:
		p.doubts(r.Person, "the row of "+object+" is gone")
	case have.revision != r.revision:
		p.doubts(r.Person, fmt.Sprintf("the row of %s has revision %d, the log %d", object, have.revision, r.revision))
	case have.bytes != string(r.claim.bytes()):
		p.doubts(r.Person, "the row of "+object+" says other than the log")
	}
}

// compareLog holds what is believed against the log. The caller holds the lock.
func (p *People) compareLog(object string, r record, normal bool) {
	said, found := p.said.objects[object]
	switch {
	case found && said.revision == r.revision && string(said.claim.bytes()) == string(r.claim.bytes()):
		r.at = said.at
		p.objects[object] = r
		delete(p.ahead, object)
	case found && said.revision >= r.revision:
		p.doubts(r.Person, fmt.Sprintf("the log says revision %d of %s, which this server did not write", said.revision, object))
	case !normal || !p.keeps(object): // entries wait until the log is whole
	case p.ahead[object].IsZero():
		p.ahead[object] = p.parts.Clock.Now()
	case p.parts.Clock.Now().Sub(p.ahead[object]) >= outboxGrace:
		p.doubts(r.Person, "the entry of "+object+" never came to the log")
	}
}

// doubts puts a person into stop-only. The caller holds the lock.
func (p *People) doubts(person core.PersonID, why string) {
	if p.doubt[person] == "" {
		p.doubt[person] = why
	}
}

// tell raises an alarm for each new doubt.
func (p *People) tell(ctx context.Context) error {
	p.mu.RLock()
	fresh := map[core.PersonID]string{}
	for person, why := range p.doubt {
		if !p.told[person] {
			fresh[person] = why
		}
	}
	p.mu.RUnlock()
	for person, why := range fresh {
		p.parts.Warn.Error("what the database says of a person is not what the audit log says; stop-only", slog.String("person", person.String()), slog.String("why", why))
		err := p.parts.State.Tx(ctx, func(tx *store.Tx) error {
			return p.raise(ctx, tx, []Alarm{{AlarmAuthority, core.SeverityCritical, map[string]any{"object": kindPerson + "/" + person.String(), "why": why}}})
		})
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.told[person] = true
		p.mu.Unlock()
	}
	return nil
}

// settle is how long after a change the log is read for its entry.
const settle = 2 * time.Second

// Run records the ends of sessions, keeps when they were used, and compares,
// until ctx ends.
func (p *People) Run(ctx context.Context) error {
	next := p.parts.Clock.After(compareEvery)
	if !p.isReady() { // a long log was not read to its end before the start
		p.turn(ctx)
	}
	var soon <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return p.last(ctx)
		case <-p.ended:
			if err := p.recordEndings(ctx); err != nil && ctx.Err() == nil {
				p.parts.Warn.Warn("the end of a session waits to be recorded", slog.Any("err", err))
			}
		case <-p.wake:
			if soon == nil {
				soon = p.parts.Clock.After(settle)
			}
		case <-soon:
			soon = nil
			p.look(ctx, p.Compare)
		case <-next:
			next = p.parts.Clock.After(compareEvery)
			p.turn(ctx)
		}
	}
}

func (p *People) isReady() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.ready
}

// lastWords is how long the end of the server waits for the ends of sessions.
const lastWords = 2 * time.Second

// last records what ended a moment before the server does, so that it has ended
// after the next start too.
func (p *People) last(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := p.recordEndings(ctx); err != nil {
		p.parts.Warn.Warn("the end of a session was not recorded", slog.Any("err", err))
	}
	return nil
}

// turn is what Run does each minute.
func (p *People) turn(ctx context.Context) {
	p.sweep()
	compare := p.Compare
	if !p.isReady() {
		compare = p.Load
	}
	p.look(ctx, p.recordEndings, p.saveSeen, compare)
}

// look takes steps that are taken again later where they fail.
func (p *People) look(ctx context.Context, steps ...func(context.Context) error) {
	for _, step := range steps {
		if err := step(ctx); err != nil && ctx.Err() == nil {
			p.parts.Warn.Warn("people could not be held against the audit log", slog.Any("err", err))
		}
	}
}

func seenContext(tenant core.TenantID, session string) string {
	return "identity/" + tenant.String() + "/seen/" + session
}

// saveSeen writes when sessions were last used, sealed: a row that somebody else
// wrote keeps no session awake.
func (p *People) saveSeen(ctx context.Context) error {
	sealed := map[string][]byte{}
	written := map[*live]int64{}
	p.mu.RLock()
	for _, s := range p.sessions {
		seen := s.seen.Load()
		if seen == s.told.Load() || !s.kept || s.ended.Load() {
			continue
		}
		b, err := p.parts.Sealer.Seal([]byte(strconv.FormatInt(seen, 10)), seenContext(p.parts.Tenant, s.id))
		if err != nil {
			p.mu.RUnlock()
			return err
		}
		sealed[s.id], written[s] = b, seen
	}
	p.mu.RUnlock()
	if len(sealed) == 0 {
		return nil
	}
	err := p.parts.State.Tx(ctx, func(tx *store.Tx) error {
		for id, b := range sealed {
			_, err := tx.Exec(ctx, `INSERT INTO identity_seen (tenant, session, seen) VALUES ($1, $2, $3)
				ON CONFLICT (tenant, session) DO UPDATE SET seen = excluded.seen`, p.parts.Tenant, id, b)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("identity: keeping when sessions were used: %w", err)
	}
	for s, seen := range written {
		s.told.Store(seen)
	}
	return nil
}

// loadSeen reads when sessions were last used. What does not open is passed
// over: the session then counts from its sign-in.
func (p *People) loadSeen(ctx context.Context) error {
	found := map[string][]byte{}
	err := p.parts.State.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `SELECT session, seen FROM identity_seen WHERE tenant = $1`, p.parts.Tenant)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id string
			var b []byte
			if err := rows.Scan(&id, &b); err != nil {
				return err
			}
			found[id] = b
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("identity: reading when sessions were used: %w", err)
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, s := range p.sessions {
		plain, err := p.parts.Sealer.Open(found[s.id], seenContext(p.parts.Tenant, s.id))
		if err != nil {
			continue
		}
		if seen, err := strconv.ParseInt(string(plain), 10, 64); err == nil && seen > s.seen.Load() {
			s.seen.Store(min(seen, p.parts.Clock.Now().UnixMicro()))
		}
	}
	return nil
}
