package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/interlock-security/interlock/core"
)

// Migrations is the schema of one folder. FS holds sqlite/NNNN_name.sql and
// postgres/NNNN_name.sql in goose's format; storetest.SameSchema proves that
// both give the same tables. Forward only: expand in one release, contract in a
// later one.
type Migrations struct {
	// Owner is the folder's table prefix; its versions are kept in
	// goose_<owner>.
	Owner string
	FS    fs.FS
}

var ownerName = regexp.MustCompile(`^[a-z][a-z_]{0,30}$`)

// Migrate brings every owner's tables up to date, in the order given. A
// database that is newer than this program is refused: it would be written by
// rules that the program does not know.
func (db *DB) Migrate(ctx context.Context, owners ...Migrations) error {
	for _, m := range owners {
		if err := db.migrateOne(ctx, m); err != nil {
			return fault("store.Migrate", fmt.Errorf("schema of %s: %w", m.Owner, err))
		}
	}
	return nil
}

func (db *DB) migrateOne(ctx context.Context, m Migrations) error {
	p, err := db.provider(m)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if have > newest {
		return core.E(core.KindConflict, "store.Migrate", fmt.Sprintf("the database has version %d, this program knows %d", have, newest)).
			WithHint("run the newer program, or restore the backup made before the upgrade")
	}
	_, err = p.Up(ctx)
	return err
}

func (db *DB) provider(m Migrations) (*goose.Provider, error) {
	if !ownerName.MatchString(m.Owner) || m.FS == nil {
		return nil, core.E(core.KindInvalid, "store.Migrate", fmt.Sprintf("owner %q with or without files is no schema", m.Owner))
	}
	sub, err := fs.Sub(m.FS, db.dialect.String())
	if err != nil {
		return nil, err
	}
	opts := []goose.ProviderOption{goose.WithTableName("goose_" + m.Owner), goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if db.dialect == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		opts = append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(dialect, db.write, sub, opts...)
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil, core.E(core.KindInvalid, "store.Migrate", fmt.Sprintf("no %s/*.sql files", db.dialect))
	}
	return p, err
}
