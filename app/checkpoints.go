package app

import (
	"context"
	"embed"
	"fmt"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables app_*.
func Migrations() store.Migrations { return store.Migrations{Owner: "app", FS: migrations} }

// knownCheckpoints reads how large each log was when the state database last
// heard of it. A log that holds less, or other, is damaged.
func knownCheckpoints(ctx context.Context, db *store.DB, tenant core.TenantID) ([]audit.Checkpoint, error) {
	var known []audit.Checkpoint
	err := db.View(ctx, func(tx *store.Tx) error {
		known = nil
		rows, err := tx.Query(ctx, `SELECT origin, size, root FROM app_checkpoints WHERE tenant = $1`, tenant)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var c audit.Checkpoint
			var root []byte
			if err := rows.Scan(&c.Origin, &c.Size, &root); err != nil {
				return err
			}
			if copy(c.Root[:], root) != len(c.Root) {
				return core.E(core.KindDamaged, "app.knownCheckpoints", fmt.Sprintf("the root of %s has %d bytes", c.Origin, len(root)))
			}
			known = append(known, c)
		}
		return rows.Err()
	})
	return known, err
}

// remember writes the log's newest checkpoint into the state database.
func remember(ctx context.Context, db *store.DB, tenant core.TenantID, c audit.Checkpoint) error {
	return db.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO app_checkpoints (tenant, origin, size, root) VALUES ($1, $2, $3, $4)
			ON CONFLICT (tenant, origin) DO UPDATE SET size = excluded.size, root = excluded.root WHERE app_checkpoints.size < excluded.size`,
			tenant, c.Origin, int64(c.Size), c.Root[:])
		return err
	})
}
