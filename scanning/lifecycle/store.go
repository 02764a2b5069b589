package lifecycle

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning/vex"
)

// Facts puts what happened into the audit outbox, inside the caller's
// transaction; audit.Put is the real one.
type Facts func(ctx context.Context, tx *store.Tx, e audit.Entry) error

// Topic is where changes are published; journal.Topic is the real one.
type Topic interface {
	Publish(ctx context.Context, tx *store.Tx, tenant core.TenantID, records ...[]byte) error
}

// Store keeps findings, inventories and campaigns: the tables scanning_…. Every
// method works inside the caller's transaction, so that a finding, its timeline,
// its audit fact and its record on the topic commit together or not at all.
type Store struct {
	topic Topic
	facts Facts
	rules Rules
	// trusted are the authors of VEX whose word counts, nobody where nobody says.
	trusted []vex.Author

	numbers numbers
}

// NewStore returns a store that publishes on topic.
func NewStore(topic Topic, facts Facts, rules Rules) *Store {
	return &Store{topic: topic, facts: facts, rules: rules}
}

// Trusting returns the store with authors of VEX whose word closes findings.
func (s *Store) Trusting(authors []vex.Author) *Store {
	s.trusted = authors
	return s
}

// Rules are the times that findings are held against.
func (s *Store) Rules() Rules { return s.rules }

// batch is what one transaction changes. What it publishes leaves at its end, as
// few records as there are changes, in their order.
type batch struct {
	s      *Store
	ctx    context.Context //nolint:containedctx // it lives as long as the call it was made in
	tx     *store.Tx
	tenant core.TenantID
	out    [][]byte

	owners     []OwnerRule
	ownersRead bool

	past *past
	// spoken is set where there are statements at all.
	spoken, spokenRead bool
}

func (s *Store) begin(ctx context.Context, tx *store.Tx, tenant core.TenantID) *batch {
	return &batch{s: s, ctx: ctx, tx: tx, tenant: tenant}
}

func (b *batch) end() error { return b.s.topic.Publish(b.ctx, b.tx, b.tenant, b.out...) }

// put writes a finding whose row stood at revision before (0 for none), with the
// events that brought it here.
func (b *batch) put(f Finding, before uint64, events ...Event) (Finding, error) {
	f.Priority, f.Decision, f.Why = rank(&f)
	if err := b.save(f, before); err != nil {
		return f, err
	}
	for _, e := range events {
		if err := b.tell(f, e); err != nil {
			return f, err
		}
	}
	return f, nil
}

// tell writes an event and publishes it.
func (b *batch) tell(f Finding, e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return core.Wrap(core.KindInternal, "lifecycle.tell", err)
	}
	_, err = b.tx.Exec(b.ctx, `INSERT INTO scanning_events (tenant, finding, revision, at, opens, body) VALUES ($1, $2, $3, $4, $5, $6)`,
		b.tenant, f.ID, int64(e.Revision), store.Micros(e.At), e.opens(), body)
	if err != nil {
		return fmt.Errorf("finding %s: writing event %d: %w", f.ID, e.Revision, err)
	}
	record, err := json.Marshal(Record{f, e})
	if err != nil {
		return core.Wrap(core.KindInternal, "lifecycle.tell", err)
	}
	b.out = append(b.out, record)
	return nil
}

// opens is 1 for an event that opened the finding and -1 for one that closed it.
func (e Event) opens() int {
	switch was, is := e.From.Open() && e.From != StateIntroduced, e.To.Open() && e.To != StateIntroduced; {
	case e.To == "" || was == is:
		return 0
	case is:
		return 1
	}
	return -1
}

// fact tells the audit log of an event that somebody answers for.
func (b *batch) fact(f Finding, e Event, action core.Action) error {
	entry := audit.Entry{
		Type: audit.TypeFact, Time: e.At, Actor: e.By, Action: action, Object: f.Object(), Revision: e.Revision, Outcome: string(f.State),
		Class: audit.ClassSecurity, Body: e,
	}
	if e.Intent != (core.Position{}) {
		entry.Intent = &e.Intent
	}
	if err := b.s.facts(b.ctx, b.tx, entry); err != nil {
		return fmt.Errorf("finding %s: audit of event %d: %w", f.ID, e.Revision, err)
	}
	return nil
}

// never is a due day that does not come.
const never = math.MaxInt64

func (b *batch) save(f Finding, before uint64) error {
	body, err := json.Marshal(f)
	if err != nil {
		return core.Wrap(core.KindInternal, "lifecycle.save", err)
	}
	args := []any{
		b.tenant, f.ID, string(f.State), flag(f.State.Open()), f.What.Severity.Rank(), f.Owner, f.Priority, due(f), micros(f.wakes()), micros(f.Verified),
		flag(f.exploited()), original(f), words(&f), int64(f.Revision), body,
	}
	if before == 0 {
		pkg := ""
		if f.What.Package != nil {
			pkg = f.What.Package.Name
		}
		_, err := b.tx.Exec(b.ctx, `INSERT INTO scanning_findings (tenant, id, state, is_open, severity, owner, priority, due, wakes, verified, exploited, original, words,
			revision, body, subject, class, package, discovered) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`,
			append(args, f.Subject, string(f.What.Class), text(pkg), store.Micros(f.Discovered))...)
		if err != nil {
			return fmt.Errorf("finding %s: opening it: %w", f.ID, err)
		}
		return nil
	}
	n, err := b.tx.Affected(b.ctx, `UPDATE scanning_findings SET state = $3, is_open = $4, severity = $5, owner = $6, priority = $7, due = $8, wakes = $9, verified = $10,
		exploited = $11, original = $12, words = $13, revision = $14, body = $15 WHERE tenant = $1 AND id = $2 AND revision = $16`, append(args, int64(before))...)
	if err != nil {
		return fmt.Errorf("finding %s: saving it: %w", f.ID, err)
	}
	if n != 1 {
		return core.E(core.KindConflict, "lifecycle.save", fmt.Sprintf("finding %s changed meanwhile (revision %d)", f.ID, before)).WithHint("read it again")
	}
	return nil
}

func due(f Finding) int64 {
	if f.Clock.Due.IsZero() {
		return never
	}
	return store.Micros(f.Clock.Due)
}

func original(f Finding) string {
	if f.Of.IsZero() {
		return ""
	}
	return f.Of.String()
}

// micros stores a time that may be none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return store.Micros(t)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// text is what a column of text can hold: PostgreSQL refuses a zero byte.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "\ufffd") }

// words are what a text is looked for in.
func words(f *Finding) string {
	parts := append([]string{f.What.Title, f.What.Location.File, f.Subject, f.Owner}, f.Names...)
	if f.What.Package != nil {
		parts = append(parts, f.What.Package.Name)
	}
	return text(strings.ToLower(strings.Join(parts, "\n")))
}

// exploited reports whether the advisory is known to be exploited.
func (f *Finding) exploited() bool {
	return !f.Facts.KEV.IsZero() || !f.Facts.Exploited.IsZero() || !f.What.Risk.KEV.IsZero()
}

// Get reads one finding; an unknown one is an error of kind not-found.
func (s *Store) Get(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) (Finding, error) {
	var f Finding
	var body []byte
	err := tx.QueryRow(ctx, `SELECT body FROM scanning_findings WHERE tenant = $1 AND id = $2`, tenant, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return f, core.E(core.KindNotFound, "lifecycle.Get", "there is no finding "+id.String()).WithHint("list them with: interlock findings")
	}
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	if err != nil {
		return f, fmt.Errorf("finding %s: reading it: %w", id, err)
	}
	return f, nil
}

// Timeline reads the events of a finding in order.
func (s *Store) Timeline(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) ([]Event, error) {
	return bodies[Event](ctx, tx, `SELECT body FROM scanning_events WHERE tenant = $1 AND finding = $2 ORDER BY revision`, tenant, id)
}

// Sightings reads what each detector last said of a finding.
func (s *Store) Sightings(ctx context.Context, tx *store.Tx, tenant core.TenantID, id core.UUID) ([]Sighting, error) {
	return bodies[Sighting](ctx, tx, `SELECT body FROM scanning_sightings WHERE tenant = $1 AND finding = $2 ORDER BY tool, kind, scope`, tenant, id)
}

// bodies reads rows of one column of JSON.
func bodies[T any](ctx context.Context, tx *store.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("lifecycle: reading: %w", err)
	}
	defer func() { _ = rows.Close() }()
	list := []T{}
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("lifecycle: reading: %w", err)
		}
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			return nil, core.Wrap(core.KindDamaged, "lifecycle.read", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// root is the finding that a duplicate stands for, itself if it is none.
func (b *batch) root(f Finding) (Finding, error) {
	for f.State == StateDuplicate {
		next, err := b.s.Get(b.ctx, b.tx, b.tenant, f.Of)
		if err != nil {
			return f, err
		}
		f = next
	}
	return f, nil
}

// group are the sightings of a finding and of all its duplicates.
func (b *batch) group(id core.UUID) ([]Sighting, error) {
	all, err := b.s.Sightings(b.ctx, b.tx, b.tenant, id)
	if err != nil {
		return nil, err
	}
	ids, err := column[core.UUID](b.ctx, b.tx, `SELECT id FROM scanning_findings WHERE tenant = $1 AND original = $2 AND original <> '' AND state = $3 ORDER BY id`,
		b.tenant, id.String(), string(StateDuplicate))
	if err != nil {
		return nil, err
	}
	for _, d := range ids {
		more, err := b.group(d)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// column reads rows of one column.
func column[T any](ctx context.Context, tx *store.Tx, query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("lifecycle: reading: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, fmt.Errorf("lifecycle: reading: %w", err)
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// sight writes what a detector says of a finding now.
func (b *batch) sight(id core.UUID, s Sighting) error {
	body, err := json.Marshal(s)
	if err != nil {
		return core.Wrap(core.KindInternal, "lifecycle.sight", err)
	}
	_, err = b.tx.Exec(b.ctx, `INSERT INTO scanning_sightings (tenant, finding, tool, kind, scope, present, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (tenant, finding, tool, kind, scope) DO UPDATE SET present = excluded.present, body = excluded.body`,
		b.tenant, id, s.Tool, string(s.Kind), s.Scope, flag(s.Present), body)
	if err != nil {
		return fmt.Errorf("finding %s: writing a sighting: %w", id, err)
	}
	return nil
}

// index writes by what a finding is found again.
func (b *batch) index(f Finding, keys []string) error {
	for _, k := range keys {
		_, err := b.tx.Exec(b.ctx, `INSERT INTO scanning_keys (tenant, subject, key, finding) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, b.tenant, f.Subject, text(k), f.ID)
		if err != nil {
			return fmt.Errorf("finding %s: writing its keys: %w", f.ID, err)
		}
	}
	for _, n := range f.Names {
		_, err := b.tx.Exec(b.ctx, `INSERT INTO scanning_names (tenant, name, finding) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, b.tenant, text(n), f.ID)
		if err != nil {
			return fmt.Errorf("finding %s: writing its names: %w", f.ID, err)
		}
	}
	return nil
}

// find returns the findings that have one of the keys, the one of the first key
// first.
func (b *batch) find(subject string, keys []string) (ids []core.UUID, err error) {
	for _, k := range keys {
		var id core.UUID
		err := b.tx.QueryRow(b.ctx, `SELECT finding FROM scanning_keys WHERE tenant = $1 AND subject = $2 AND key = $3`, b.tenant, subject, text(k)).Scan(&id)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("lifecycle: finding a finding: %w", err)
		case !slices.Contains(ids, id):
			ids = append(ids, id)
		}
	}
	return ids, nil
}
