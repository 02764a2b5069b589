package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
)

// Behind is an inventory that was not held against the advisories as they are now.
type Behind struct {
	Subject  string
	Scope    string
	Document int64
	// Looked is when the scope was last looked at as a whole: what the advisories
	// say of its packages is true of then, not of now.
	Looked time.Time
}

// Look is the scope under which the advisories' answer about a stored inventory is
// reported: that of another scope proves nothing about this one.
func (h *Behind) Look() scanning.Scope { return LookScope(h.Subject, h.Scope) }

// LookScope is the scope of a report about a stored inventory.
func LookScope(subject, scope string) scanning.Scope {
	s := scanning.Scope{Kind: scanning.ScopeSBOM, Name: subject}
	if scope != "" {
		s.Name = subject + "#" + scope
	}
	if len(s.Name) > maxName { // both parts may be as long as a name alone
		s.Name = keyOf("inventory", subject, scope)
	}
	return s
}

// BehindOf lists inventories that subjects have now and that were last held
// against something other than revision, those of one document together.
func (s *Store) BehindOf(ctx context.Context, tx *store.Tx, tenant core.TenantID, revision string, after *Behind, most int) (list []Behind, err error) {
	var from Behind
	if after != nil {
		from = *after
	} else if some, err := s.some(ctx, tx, `scanning_inventories WHERE tenant = $1 AND ended = 0 AND matched`, tenant, revision); err != nil || !some {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT subject, scope, document, whole FROM scanning_inventories WHERE tenant = $1 AND ended = 0 AND (matched < $2 OR matched > $2)
		AND (document, subject, scope) > ($3, $4, $5) ORDER BY document, subject, scope LIMIT $6`, tenant, revision, from.Document, from.Subject, from.Scope, most)
	if err != nil {
		return nil, fmt.Errorf("lifecycle: reading inventories: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var h Behind
		var looked int64
		if err := rows.Scan(&h.Subject, &h.Scope, &h.Document, &looked); err != nil {
			return nil, fmt.Errorf("lifecycle: reading inventories: %w", err)
		}
		h.Looked = store.FromMicros(looked)
		list = append(list, h)
	}
	return list, rows.Err()
}

// some reports whether there is anything behind a revision. It is asked every few
// seconds, mostly for nothing, so it costs no more than two looks into an index.
func (s *Store) some(ctx context.Context, tx *store.Tx, what string, tenant core.TenantID, revision string) (some bool, err error) {
	var n int
	err = tx.QueryRow(ctx, `SELECT CASE WHEN EXISTS (SELECT 1 FROM `+what+` < $2) OR EXISTS (SELECT 1 FROM `+what+` > $2) THEN 1 ELSE 0 END`, tenant, revision).Scan(&n)
	return n > 0, err
}

// Rematch takes in what the advisories, as revision has them, say of a stored
// inventory, and notes that in the same transaction. An inventory that has another
// document by now, or was looked at again, is left: it is behind by itself.
func (s *Store) Rematch(ctx context.Context, tx *store.Tx, tenant core.TenantID, h Behind, revision string, r *scanning.Report, by string, at time.Time) error {
	n, err := tx.Affected(ctx, `UPDATE scanning_inventories SET matched = $6 WHERE tenant = $1 AND subject = $2 AND scope = $3 AND ended = 0 AND document = $4 AND whole = $5`,
		tenant, h.Subject, h.Scope, h.Document, store.Micros(h.Looked), revision)
	if err != nil || n == 0 {
		return err
	}
	look := *r
	look.Gaps = WithoutAge(r.Gaps)
	look.Scope, look.Started = h.Look(), earlier(h.Looked, r.Finished) // a clock that was set back since makes no report of the future
	_, err = s.ImportFor(ctx, tx, tenant, h.Subject, &look, by, at)
	return err
}

// WithoutAge leaves out that advisories are old. It hides what became known since,
// which whoever hands an inventory in is told; what they found themselves they still
// know, and when it is gone they see that.
func WithoutAge(gaps []scanning.Gap) (rest []scanning.Gap) {
	for _, g := range gaps {
		if g.Reason != scanning.ReasonStale {
			rest = append(rest, g)
		}
	}
	return rest
}

// SkipAhead notes of the inventories that were held against one revision, and in
// which nothing is that another revision has otherwise, that they have been held
// against that one, too.
func (s *Store) SkipAhead(ctx context.Context, tx *store.Tx, tenant core.TenantID, from, to string, changed []Target) error {
	b := s.begin(ctx, tx, tenant)
	hit, _, err := b.documentsWith(changed)
	if err != nil {
		return err
	}
	documents, err := column[int64](ctx, tx, `SELECT DISTINCT document FROM scanning_inventories WHERE tenant = $1 AND ended = 0 AND matched = $2 ORDER BY document`, tenant, from)
	if err != nil {
		return err
	}
	for _, d := range documents {
		if hit[d] != nil {
			continue
		}
		if _, err := tx.Exec(ctx, `UPDATE scanning_inventories SET matched = $3 WHERE tenant = $1 AND document = $4 AND matched = $2 AND ended = 0`, tenant, from, to, d); err != nil {
			return err
		}
	}
	return nil
}

// Packages reads the components of a document.
func (s *Store) Packages(ctx context.Context, tx *store.Tx, tenant core.TenantID, document int64) ([]scanning.Package, error) {
	var body []byte
	if err := tx.QueryRow(ctx, `SELECT components FROM scanning_documents WHERE tenant = $1 AND number = $2`, tenant, document).Scan(&body); err != nil {
		return nil, fmt.Errorf("lifecycle: reading inventory %d: %w", document, err)
	}
	numbers, err := unpacked(body)
	if err != nil {
		return nil, err
	}
	list := make([]scanning.Package, 0, len(numbers))
	b := s.begin(ctx, tx, tenant)
	for _, n := range numbers {
		p, err := b.packageOf(n)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// packageOf reads a component.
func (b *batch) packageOf(number int64) (p scanning.Package, err error) {
	var body []byte
	err = b.tx.QueryRow(b.ctx, `SELECT body FROM scanning_components WHERE tenant = $1 AND number = $2`, b.tenant, number).Scan(&body)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		return p, fmt.Errorf("lifecycle: reading component %d: %w", number, err)
	}
	return p, nil
}

// NamesBehind lists names of findings that were last looked up in other lists than
// revision names, beginning after one.
func (s *Store) NamesBehind(ctx context.Context, tx *store.Tx, tenant core.TenantID, revision, after string, most int) ([]string, error) {
	if after == "" {
		if some, err := s.some(ctx, tx, `scanning_names WHERE tenant = $1 AND listed`, tenant, revision); err != nil || !some {
			return nil, err
		}
	}
	return column[string](ctx, tx, `SELECT DISTINCT name FROM scanning_names WHERE tenant = $1 AND (listed < $2 OR listed > $2) AND name > $3 ORDER BY name LIMIT $4`,
		tenant, revision, after, most)
}

// Listed notes what lists say of a name, and that they were asked.
func (s *Store) Listed(ctx context.Context, tx *store.Tx, tenant core.TenantID, name, revision string, facts []Fact) error {
	for _, f := range facts {
		if _, err := s.AddFact(ctx, tx, tenant, f, core.Position{}); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `UPDATE scanning_names SET listed = $3 WHERE tenant = $1 AND name = $2`, tenant, name, revision)
	return err
}
