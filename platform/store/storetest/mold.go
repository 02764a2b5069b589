package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/interlock-security/interlock/platform/store"
)

// molds are SQLite files that have migrations applied, by what those are. To
// apply them is most of what a small test costs, and comes out the same each
// time: from the second test of a process on, the file of the second is copied.
// The first one applies them as the server does.
var molds struct {
	sync.Mutex
	of map[[sha256.Size]byte]*mold
}

type mold struct {
	once sync.Once
	file []byte
	err  error
}

// cast writes a database that has the migrations applied where none is yet, and
// reports whether it did.
func cast(t testing.TB, c store.Config, migrations []store.Migrations) bool {
	t.Helper()
	if _, err := os.Stat(c.Path); c.Driver != "sqlite" || err == nil || !c.Key.Equal(Key().Reveal()) || len(migrations) == 0 {
		return false
	}
	name, err := nameOf(migrations)
	if err != nil {
		return false // the database says what is wrong with them
	}
	molds.Lock()
	m, known := molds.of[name]
	if !known {
		if molds.of == nil {
			molds.of = map[[sha256.Size]byte]*mold{}
		}
		molds.of[name] = new(mold)
	}
	molds.Unlock()
	if !known {
		return false
	}
	if m.once.Do(func() { m.file, m.err = form(t, migrations) }); m.err != nil {
		return false
	}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Path, m.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return true
}

// nameOf tells migrations apart by all that they are.
func nameOf(migrations []store.Migrations) (name [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, m := range migrations {
		if m.FS == nil {
			return name, fs.ErrInvalid
		}
		_, _ = fmt.Fprintf(h, "%q\n", m.Owner)
		err := fs.WalkDir(m.FS, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(m.FS, path)
			_, _ = fmt.Fprintf(h, "%q %x\n", path, sha256.Sum256(b))
			return err
		})
		if err != nil {
			return name, err
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// form makes the file that is copied.
func form(t testing.TB, migrations []store.Migrations) ([]byte, error) {
	c := Config(t, "sqlite")
	db, err := store.Open(context.Background(), c)
	if err != nil {
		return nil, err
	}
	err = db.Migrate(context.Background(), migrations...)
	if closed := db.Close(); err == nil {
		err = closed // which folds the log into the file
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(c.Path)
}
