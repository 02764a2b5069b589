package lifecycle_test

import (
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// TestOfSeveralScopesTheOldestCounts: what is newer may be in the one that nobody
// looked at since.
func TestOfSeveralScopesTheOldestCounts(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		at := start.Add(day)
		pkg := []scanning.Package{{Ecosystem: "npm", Name: "left", Version: "1.0.0"}}
		var all, one, none, other []lifecycle.Age
		err := w.db.Tx(t.Context(), func(tx *store.Tx) (err error) {
			for _, l := range []lifecycle.Look{
				{Subject: "device/b", Scope: "git:app", Packages: pkg, At: at},
				{Subject: "device/b", Scope: "host:/", Packages: pkg, At: at.Add(day)},
				{Subject: "device/a", Packages: pkg, At: at.Add(2 * day)},
			} {
				if _, err = w.store.TakeInventory(t.Context(), tx, tenant, l); err != nil {
					return err
				}
			}
			for list, of := range map[*[]lifecycle.Age]string{&all: "", &one: "device/a", &none: "device/c"} {
				if *list, err = w.store.Ages(t.Context(), tx, tenant, of); err != nil {
					return err
				}
			}
			other, err = w.store.Ages(t.Context(), tx, core.MustID[core.TenantID]("other"), "")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []lifecycle.Age{{Subject: "device/a", Seen: at.Add(2 * day), Scopes: 1}, {Subject: "device/b", Seen: at, Scopes: 2}}
		if len(all) != 2 || all[0] != want[0] || all[1] != want[1] || len(one) != 1 || one[0] != want[0] || len(none)+len(other) != 0 {
			t.Errorf("%+v %+v %+v %+v", all, one, none, other)
		}
	})
}
