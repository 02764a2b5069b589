package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

// Age is of when what is known of a subject's packages is.
type Age struct {
	Subject string `json:"subject"`
	// Seen is when its inventory was last taken; of several scopes the one that
	// was looked at longest ago counts, as what is newer may be there.
	Seen   time.Time `json:"seen"`
	Scopes int       `json:"scopes"`
}

// Ages lists the subjects that have an inventory, by name; of one subject alone
// where it is named.
func (s *Store) Ages(ctx context.Context, tx *store.Tx, tenant core.TenantID, subject string) ([]Age, error) {
	rows, err := tx.Query(ctx, `SELECT subject, MIN(seen), COUNT(*) FROM scanning_inventories WHERE tenant = $1 AND ended = 0 AND ($2 = '' OR subject = $2) GROUP BY subject ORDER BY subject`, tenant, subject)
	if err != nil {
		return nil, fmt.Errorf("lifecycle: ages of inventories: %w", err)
	}
	defer func() { _ = rows.Close() }()
	list := []Age{}
	for rows.Next() {
		var a Age
		var seen int64
		if err := rows.Scan(&a.Subject, &seen, &a.Scopes); err != nil {
			return nil, fmt.Errorf("lifecycle: ages of inventories: %w", err)
		}
		a.Seen = store.FromMicros(seen)
		list = append(list, a)
	}
	return list, rows.Err()
}
