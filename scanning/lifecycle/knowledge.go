package lifecycle

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
)

// Documents are the inventories that subjects have now, each with whose it is.
func (s *Store) Documents(ctx context.Context, tx *store.Tx, tenant core.TenantID) (map[int64][]string, error) {
	list, err := s.begin(ctx, tx, tenant).held(" AND ended = 0")
	if err != nil {
		return nil, fmt.Errorf("lifecycle: reading inventories: %w", err)
	}
	docs := map[int64][]string{}
	for _, h := range list {
		docs[h.document] = append(docs[h.document], h.subject)
	}
	return docs, nil
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
	for _, n := range numbers {
		var p scanning.Package
		var body []byte
		err := tx.QueryRow(ctx, `SELECT body FROM scanning_components WHERE tenant = $1 AND number = $2`, tenant, n).Scan(&body)
		if err == nil {
			err = json.Unmarshal(body, &p)
		}
		if err != nil {
			return nil, fmt.Errorf("lifecycle: reading component %d: %w", n, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// OpenNames are the names of the advisories and rules of open findings.
func (s *Store) OpenNames(ctx context.Context, tx *store.Tx, tenant core.TenantID) ([]string, error) {
	return column[string](ctx, tx, `SELECT DISTINCT n.name FROM scanning_names n JOIN scanning_findings f ON f.tenant = n.tenant AND f.id = n.finding
		WHERE n.tenant = $1 AND f.is_open = 1 ORDER BY n.name`, tenant)
}

// Mark reads how far a work has come, "" for not at all.
func (s *Store) Mark(ctx context.Context, tx *store.Tx, tenant core.TenantID, work string) (value string, err error) {
	err = tx.QueryRow(ctx, `SELECT value FROM scanning_marks WHERE tenant = $1 AND name = $2`, tenant, work).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// SetMark writes how far a work has come.
func (s *Store) SetMark(ctx context.Context, tx *store.Tx, tenant core.TenantID, work, value string) error {
	_, err := tx.Exec(ctx, `INSERT INTO scanning_marks (tenant, name, value) VALUES ($1, $2, $3) ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value`, tenant, work, value)
	return err
}

// Keeping adds to the packages of an inventory with gaps what the subject had
// and the inventory does not speak of: what could not be read is not gone.
func (s *Store) Keeping(ctx context.Context, tx *store.Tx, tenant core.TenantID, subject string, packages []scanning.Package) ([]scanning.Package, error) {
	held, err := s.begin(ctx, tx, tenant).held(" AND ended = 0 AND subject = $2", subject)
	if err != nil || len(held) == 0 {
		return packages, err
	}
	before, err := s.Packages(ctx, tx, tenant, held[0].document)
	if err != nil {
		return nil, err
	}
	named := map[[3]string]bool{}
	for _, p := range packages {
		named[[3]string{p.Ecosystem, p.Name, p.File}] = true
	}
	for _, p := range before {
		if !named[[3]string{p.Ecosystem, p.Name, p.File}] {
			packages = append(packages, p)
		}
	}
	return packages, nil
}
