package lifecycle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/vex"
)

// VEXTaken is what a VEX document did.
type VEXTaken struct {
	Document   string `json:"document"`
	Format     string `json:"format"`
	Author     string `json:"author"`
	Statements int    `json:"statements"`
	// Trusted is false for an author whose word does not count here: the document
	// is not kept, and Ignored says what it would have spoken of.
	Trusted bool `json:"trusted"`
	// Known is a document that came before: nothing changed.
	Known       bool           `json:"known,omitempty"`
	NotAffected []core.UUID    `json:"not_affected"`
	Reopened    []core.UUID    `json:"reopened"`
	Ignored     []Unheard      `json:"ignored"`
	Gaps        []scanning.Gap `json:"gaps"`
}

// Unheard is a statement that speaks of a finding and does not count.
type Unheard struct {
	Finding   core.UUID `json:"finding"`
	Statement string    `json:"statement"` // the vulnerability
	Why       string    `json:"why"`
}

// maxUnheard is how many of them are told of.
const maxUnheard = 1000

// vexRow is what is kept of a document.
type vexRow struct {
	Author   string    `json:"author"`
	Document string    `json:"document"`
	Source   string    `json:"source,omitempty"`
	Updated  time.Time `json:"updated"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
}

// TakeVEX takes a document of statements in. One of an author whose word counts
// takes the place of its edition before; what it says not to be affected, with a
// justification, is closed in its author's name, and what it does not say any more
// is open again.
func (s *Store) TakeVEX(ctx context.Context, tx *store.Tx, tenant core.TenantID, d *vex.Document, source string, c Change) (VEXTaken, error) {
	d.From(source)
	t := VEXTaken{
		Document: d.ID, Format: d.Format, Author: d.Author, Statements: len(d.Statements), NotAffected: []core.UUID{}, Reopened: []core.UUID{}, Ignored: []Unheard{},
		Gaps: append([]scanning.Gap{}, d.Gaps...),
	}
	t.Trusted = slices.ContainsFunc(s.trusted, func(a vex.Author) bool {
		return a.Name != "" && a.Name == d.Author && (a.Source == "" || a.Source == source)
	})
	b := s.begin(ctx, tx, tenant)
	names := namesIn(d)
	if t.Trusted {
		before, known, err := b.keepVEX(d, source, c)
		if t.Known = known; known || err != nil {
			return t, err
		}
		names = append(names, before...)
	}
	ids, err := b.called(names)
	if err != nil {
		return t, err
	}
	for _, id := range ids {
		if err := b.hear(id, d, &t, c); err != nil {
			return t, err
		}
	}
	return t, b.end()
}

// namesIn are the vulnerabilities that a document speaks of.
func namesIn(d *vex.Document) (names []string) {
	for i := range d.Statements {
		names = append(append(names, d.Statements[i].Vulnerability), d.Statements[i].Aliases...)
	}
	return names
}

// keepVEX puts a document in the place of its edition before, and returns of what
// that one spoke.
func (b *batch) keepVEX(d *vex.Document, source string, c Change) (before []string, known bool, err error) {
	edition, err := json.Marshal(d)
	if err != nil {
		return nil, false, core.Wrap(core.KindInvalid, "lifecycle.TakeVEX", err)
	}
	sum := sha256.Sum256(edition)
	hash := hex.EncodeToString(sum[:])
	// Its source is the word of whoever handed it in: under another name it is the
	// same document.
	key := keyOf("vex", d.Author, cmp.Or(d.ID, hash))
	updated := cmp.Or(micros(d.Updated), micros(d.Issued))
	if updated > store.Micros(c.At.Add(aheadMost)) { // no honest edition would ever take its place
		return nil, false, core.E(core.KindInvalid, "lifecycle.TakeVEX", "the document is from the future, of "+store.FromMicros(updated).Format(time.RFC3339))
	}
	var have string
	var last int64
	switch err := b.tx.QueryRow(b.ctx, `SELECT edition, updated FROM scanning_vex WHERE tenant = $1 AND document = $2`, b.tenant, key).Scan(&have, &last); {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return nil, false, err
	case err == nil && have == hash:
		return nil, true, nil
	case err == nil && updated < last:
		return nil, false, core.E(core.KindConflict, "lifecycle.TakeVEX", "a newer edition of the document is known, of "+store.FromMicros(last).Format(time.RFC3339)).
			WithHint("hand in the newest edition")
	}
	row := vexRow{Author: d.Author, Document: d.ID, Source: source, Updated: d.Updated, By: c.By.String(), At: c.At}
	body, err := json.Marshal(row)
	if err != nil {
		return nil, false, core.Wrap(core.KindInternal, "lifecycle.TakeVEX", err)
	}
	_, err = b.tx.Exec(b.ctx, `INSERT INTO scanning_vex (tenant, document, edition, updated, body) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (tenant, document) DO UPDATE SET edition = excluded.edition, updated = excluded.updated, body = excluded.body`, b.tenant, key, hash, updated, body)
	if err != nil {
		return nil, false, fmt.Errorf("lifecycle: writing a VEX document: %w", err)
	}
	if before, err = column[string](b.ctx, b.tx, `SELECT DISTINCT name FROM scanning_statements WHERE tenant = $1 AND document = $2`, b.tenant, key); err != nil {
		return nil, false, err
	}
	return before, false, b.keepStatements(key, d, row, c)
}

func (b *batch) keepStatements(key string, d *vex.Document, row vexRow, c Change) error {
	if _, err := b.tx.Exec(b.ctx, `DELETE FROM scanning_statements WHERE tenant = $1 AND document = $2`, b.tenant, key); err != nil {
		return err
	}
	for i := range d.Statements {
		s := &d.Statements[i]
		body, err := json.Marshal(s)
		if err != nil {
			return core.Wrap(core.KindInvalid, "lifecycle.TakeVEX", err)
		}
		for _, n := range append([]string{s.Vulnerability}, s.Aliases...) {
			_, err := b.tx.Exec(b.ctx, `INSERT INTO scanning_statements (tenant, name, document, number, body) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, b.tenant, text(n), key, int64(i), body)
			if err != nil {
				return fmt.Errorf("lifecycle: writing a statement: %w", err)
			}
		}
	}
	entry := audit.Entry{
		Type: audit.TypeFact, Time: c.At, Actor: c.By.String(), Action: "finding.vex", Object: "finding/" + key[:min(len(key), 24)], Revision: 1, Outcome: "taken",
		Class: audit.ClassSecurity, Body: row,
	}
	if c.Intent != (core.Position{}) {
		entry.Intent = &c.Intent
	}
	return b.s.facts(b.ctx, b.tx, entry)
}

// called are the findings that go by one of the names.
func (b *batch) called(names []string) (ids []core.UUID, err error) {
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		some, err := column[core.UUID](b.ctx, b.tx, `SELECT finding FROM scanning_names WHERE tenant = $1 AND name = $2 ORDER BY finding`, b.tenant, text(n))
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	slices.SortFunc(ids, func(a, b core.UUID) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(ids), nil
}

// hear holds what is said by now against one finding.
func (b *batch) hear(id core.UUID, d *vex.Document, t *VEXTaken, c Change) error {
	f, err := b.s.Get(b.ctx, b.tx, b.tenant, id)
	if err != nil {
		return err
	}
	for _, m := range vex.Apply([]scanning.Finding{named(&f)}, d.Statements, b.s.vexPolicy(&f, c.At)).Ignored {
		if len(t.Ignored) < maxUnheard {
			t.Ignored = append(t.Ignored, Unheard{Finding: f.ID, Statement: m.Statement.Vulnerability, Why: m.Why})
		}
	}
	before, was := f.Revision, f.Statement
	f, events, err := b.said(f, c.At)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return b.keepUntil(f, before, was)
	}
	if f, err = b.put(f, before, handedIn(events, c)...); err != nil {
		return err
	}
	if f.State == StateNotAffected {
		t.NotAffected = append(t.NotAffected, f.ID)
	} else {
		t.Reopened = append(t.Reopened, f.ID)
	}
	return b.fact(f, events[len(events)-1], "finding.vex")
}

func (s *Store) vexPolicy(f *Finding, now time.Time) vex.Policy {
	return vex.Policy{Trusted: s.trusted, Subjects: urlsOf(f.Subject), Now: now}
}

// named is a finding under all of its names.
func named(f *Finding) scanning.Finding {
	what := f.What
	what.Aliases = f.Names
	return what
}

// said moves a finding by what the statements that count say of it now: closed by
// one that says not affected and why, open again when none does any more. What a
// person judged stays as it is, and a statement that a person took back does not
// count again.
func (b *batch) said(f Finding, at time.Time) (Finding, []Event, error) {
	closed := f.State == StateNotAffected && f.Statement != nil
	may := slices.ContainsFunc(Edges, func(e Edge) bool { return e.From == f.State && e.To == StateNotAffected && e.Who == WhoStatement })
	if !closed && !may || f.What.Class != scanning.ClassVulnerability || f.What.Package == nil {
		return f, nil, nil
	}
	ref, counts, err := b.counting(&f, at)
	if err != nil {
		return f, nil, err
	}
	c := Change{Who: WhoStatement, At: at}
	switch {
	case closed && ref != nil && same(ref, f.Statement):
		f.Statement = ref // the operator may let it count for another time by now
		return f, nil, nil
	case closed:
		c.To, c.Statement, c.Reason = StateTriaged, f.Statement, "the statement that closed it does not count any more: it was withdrawn or changed, speaks of another version, or its author is not trusted now"
	case ref == nil || same(ref, f.Overruled):
		return f, nil, nil
	default:
		c.To, c.Statement, c.Justification = StateNotAffected, ref, counts.Justification
		c.Reason = cmp.Or(counts.Impact, counts.Notes, "not affected: "+counts.Justification)
		if ref.Document != "" {
			c.Refs = []string{"vex/" + ref.Document}
		}
	}
	f, e, err := b.s.rules.Apply(f, c)
	if err != nil {
		return f, nil, err
	}
	events := []Event{e}
	if closed && ref != nil { // closed by another statement at once
		again, more, err := b.said(f, at)
		return again, append(events, more...), err
	}
	return f, events, nil
}

// keepUntil saves a closed finding whose statement counts as before, but for
// another time: nothing happened to it, and it wakes on another day.
func (b *batch) keepUntil(f Finding, before uint64, was *StatementRef) error {
	if was == nil || f.Statement == nil || was.Until.Equal(f.Statement.Until) {
		return nil
	}
	_, err := b.put(f, before)
	return err
}

// same reports whether two names are of one statement, however long it counts and
// whatever the place it is said to come from.
func same(a, b *StatementRef) bool {
	return b != nil && a.Author == b.Author && a.Document == b.Document && a.At.Equal(b.At)
}

// counting is the statement that says that a finding is not affected, nil where none
// that counts does.
func (b *batch) counting(f *Finding, at time.Time) (*StatementRef, *vex.Statement, error) {
	list, err := b.statements(f.Names)
	if err != nil || len(list) == 0 {
		return nil, nil, err
	}
	out := vex.Apply([]scanning.Finding{named(f)}, list, b.s.vexPolicy(f, at))
	if len(out.Applied) == 0 {
		return nil, nil, nil
	}
	s := &out.Applied[0].Statement
	if s.Status != vex.NotAffected || !slices.Contains(Justifications, s.Justification) {
		return nil, nil, nil
	}
	ref := &StatementRef{Author: s.Author, Document: s.Document, Source: s.Source, At: s.At}
	// The first entry that fits decides, as it does when statements are applied.
	i := slices.IndexFunc(b.s.trusted, func(a vex.Author) bool { return a.Name == s.Author && (a.Source == "" || a.Source == s.Source) })
	if i >= 0 && b.s.trusted[i].MaxAge > 0 {
		ref.Until = s.At.Add(b.s.trusted[i].MaxAge + time.Second).UTC().Truncate(time.Microsecond)
	}
	return ref, s, nil
}

// statements are those about any of the names.
func (b *batch) statements(names []string) (list []vex.Statement, err error) {
	if !b.spokenRead {
		var n int
		if err := b.tx.QueryRow(b.ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM scanning_statements WHERE tenant = $1 LIMIT 1) s`, b.tenant).Scan(&n); err != nil {
			return nil, err
		}
		b.spoken, b.spokenRead = n > 0, true
	}
	if !b.spoken {
		return nil, nil
	}
	for _, n := range names {
		some, err := bodies[vex.Statement](b.ctx, b.tx, `SELECT body FROM scanning_statements WHERE tenant = $1 AND name = $2 ORDER BY document, number`, b.tenant, text(n))
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

// Reconsider holds findings that were closed by statements against what counts
// now, beginning after one: the operator may trust others by now. It returns the
// last that it looked at, zero at the end.
func (s *Store) Reconsider(ctx context.Context, tx *store.Tx, tenant core.TenantID, after core.UUID, at time.Time, most int) (last core.UUID, err error) {
	b := s.begin(ctx, tx, tenant)
	list, err := bodies[Finding](ctx, tx, `SELECT body FROM scanning_findings WHERE tenant = $1 AND state = 'not-affected' AND id > $2 ORDER BY id LIMIT $3`, tenant, after, most)
	if err != nil {
		return last, err
	}
	for _, f := range list {
		before, was := f.Revision, f.Statement
		f, events, err := b.said(f, at.UTC().Truncate(time.Microsecond))
		if err != nil {
			return last, err
		}
		if len(events) == 0 {
			if err := b.keepUntil(f, before, was); err != nil {
				return last, err
			}
			continue
		}
		if _, err := b.put(f, before, events...); err != nil {
			return last, err
		}
		if err := b.fact(f, events[len(events)-1], "finding.vex"); err != nil {
			return last, err
		}
	}
	if len(list) == most {
		last = list[most-1].ID
	}
	return last, b.end()
}

// urlsOf are the package urls by which statements about a product and its parts
// may name a subject.
func urlsOf(subject string) (urls []string) {
	kind, rest, _ := strings.Cut(subject, "/")
	switch kind {
	case "repo":
		urls = append(urls, "pkg:golang/"+rest)
		if path, is := strings.CutPrefix(rest, "github.com/"); is {
			urls = append(urls, "pkg:github/"+path)
		}
	case "image":
		name, digest, _ := strings.Cut(rest[strings.LastIndexByte(rest, '/')+1:], "@")
		name, _, _ = strings.Cut(name, ":")
		if digest != "" {
			digest = "@" + strings.ReplaceAll(digest, ":", "%3A")
		}
		urls = append(urls, "pkg:oci/"+name+digest)
	}
	return urls
}
