package identity_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

// each runs a test on both engines.
func each(t *testing.T, body func(t *testing.T, r *identitytest.Rig)) {
	t.Helper()
	storetest.Each(t, identitytest.Migrations(), func(t *testing.T, db *store.DB) { body(t, identitytest.Over(t, db)) })
}

// sql changes the database as its administrator can.
func sql(r *identitytest.Rig, statement string, args ...any) {
	r.T.Helper()
	r.Must(r.DB.Tx(r.T.Context(), func(tx *store.Tx) error {
		n, err := tx.Affected(r.T.Context(), statement, args...)
		if err == nil && n != 1 {
			return fmt.Errorf("%d rows changed", n)
		}
		return err
	}))
}

// row reads a row's claim.
func row(r *identitytest.Rig, object string) map[string]any {
	r.T.Helper()
	var b []byte
	r.Must(r.DB.View(r.T.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(r.T.Context(), `SELECT claim FROM identity_records WHERE object = $1`, object).Scan(&b)
	}))
	claim := map[string]any{}
	r.Must(json.Unmarshal(b, &claim))
	return claim
}

func object(r *identitytest.Rig, kind string) string {
	r.T.Helper()
	var name string
	r.Must(r.DB.View(r.T.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(r.T.Context(), `SELECT object FROM identity_records WHERE object LIKE $1 ORDER BY object`, kind+"%").Scan(&name)
	}))
	return name
}

func set(field string, value any) func(map[string]any) {
	return func(c map[string]any) { c[field] = value }
}

// TestTheDatabaseIsNotTheAuthority is F12: every column of every authority table
// changed by hand, one at a time, and within the claims every field, on both
// engines. Before it is noticed, after it is, and after a restart it gives no
// right; it is noticed; and it costs the person all but the stop.
func TestTheDatabaseIsNotTheAuthority(t *testing.T) {
	claims := func(kind string, change func(map[string]any)) func(r *identitytest.Rig) {
		return func(r *identitytest.Rig) {
			name := object(r, kind)
			c := row(r, name)
			change(c)
			b, err := json.Marshal(c)
			r.Must(err)
			sql(r, `UPDATE identity_records SET claim = $1 WHERE tenant = 'main' AND object = $2`, b, name)
		}
	}
	other := strings.Repeat("ab", 32)
	changes := map[string]func(r *identitytest.Rig){
		"tenant": func(r *identitytest.Rig) {
			sql(r, `UPDATE identity_records SET tenant = 'other' WHERE tenant = 'main' AND object = 'person/vera'`)
		},
		"object": func(r *identitytest.Rig) {
			sql(r, `UPDATE identity_records SET object = 'person/vera2' WHERE tenant = 'main' AND object = 'person/vera'`)
		},
		"revision up": func(r *identitytest.Rig) {
			sql(r, `UPDATE identity_records SET revision = 99 WHERE tenant = 'main' AND object = 'person/vera'`)
		},
		"revision down": func(r *identitytest.Rig) {
			sql(r, `UPDATE identity_records SET revision = 0 WHERE tenant = 'main' AND object = 'person/vera'`)
		},
		"row gone": func(r *identitytest.Rig) {
			sql(r, `DELETE FROM identity_records WHERE tenant = 'main' AND object = 'person/vera'`)
		},
		"claim that is none": func(r *identitytest.Rig) {
			sql(r, `UPDATE identity_records SET claim = $1 WHERE tenant = 'main' AND object = 'person/vera'`, []byte("{"))
		},
		"person roles":       claims("person/vera", set("roles", []string{"administrator"})),
		"person sites":       claims("person/vera", set("sites", []string{"main", "hall-2"})),
		"person state":       claims("person/vera", set("state", "revoked")),
		"person name":        claims("person/vera", set("name", "somebody else")),
		"person handle":      claims("person/vera", set("handle", "AAAA")),
		"person configured":  claims("person/vera", set("configured", true)),
		"passkey person":     claims("passkey", set("person", "owner")),
		"passkey key":        claims("passkey", set("key", "AAAA")),
		"passkey credential": claims("passkey", set("credential", "AAAA")),
		"passkey synced":     claims("passkey", set("synced", true)),
		"passkey model":      claims("passkey", set("model", "AAAA")),
		"passkey state":      claims("passkey", set("state", "revoked")),
		"link state":         claims("link", set("state", "fresh")),
		"link hash":          claims("link", set("hash", other)),
		"link person":        claims("link", set("person", "owner")),
		"link expires":       claims("link", set("expires", time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())),
		"session person":     claims("session", set("person", "owner")),
		"session hash":       claims("session", set("hash", other)),
		"session bound":      claims("session", set("bound", other)),
		"session expires":    claims("session", set("expires", time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())),
		"session passkey":    claims("session", set("passkey", "other")),
		"session counter":    claims("session", set("counter", 77)),
	}
	each(t, func(t *testing.T, r *identitytest.Rig) {
		vera := r.Open(invite(r, "vera"))
		for name, change := range changes {
			t.Run(name, func(t *testing.T) {
				outer := r.T
				r.T = t
				defer func() { r.T = outer }()
				r.Drain()
				r.ForgetAlarms()
				change(r)
				noticed(t, r, vera)
			})
		}
	})
}

// noticed holds that a change by hand gave vera nothing, was seen, and cost her
// all but the stop until somebody looked.
func noticed(t *testing.T, r *identitytest.Rig, vera *identitytest.User) {
	t.Helper()
	if s, err := r.Lookup(vera.Cookie, vera.Client); err != nil || s.Person.String() != "vera" || !slices.Equal(s.Roles, []string{core.RoleViewer}) {
		t.Errorf("before it was noticed: %+v, %v", s, err)
	}
	r.Must(r.Compare(t.Context()))
	person := core.MustID[core.PersonID]("vera")
	if r.Doubts()[person] == "" || !slices.Contains(r.Alarms(), identity.AlarmAuthority) {
		t.Fatalf("doubts %v, alarms %v", r.Doubts(), r.Alarms())
	}
	stopOnly := func(when string) {
		t.Helper()
		s, err := r.Lookup(vera.Cookie, vera.Client)
		if err != nil || !s.StopOnly || len(s.Principal.Roles) != 0 || len(s.Principal.Sites) != 1 {
			t.Errorf("%s: session %+v, %v", when, s, err)
		}
	}
	stopOnly("noticed")
	r.Start()
	stopOnly("after a restart")
	r.Must(r.Compare(t.Context()))
	for id := range r.Doubts() { // a row can name somebody else too
		r.Must(r.Restore(t.Context(), r.OwnerPrincipal(), id))
	}
	r.Drain()
	r.Must(r.Compare(t.Context()))
	if s, err := r.Lookup(vera.Cookie, vera.Client); err != nil || s.StopOnly || !slices.Equal(s.Roles, []string{core.RoleViewer}) || len(r.Doubts()) != 0 {
		t.Errorf("looked at and restored: %+v, %v, doubts %v", s, err, r.Doubts())
	}
}

// invite lets somebody in who may look.
func invite(r *identitytest.Rig, id string) identity.Link {
	r.T.Helper()
	l, err := r.Invite(r.T.Context(), r.OwnerPrincipal(), identity.InviteRequest{
		Person: core.MustID[core.PersonID](id), Name: id, Roles: []string{core.RoleViewer}, Sites: []core.SiteID{identitytest.Site},
	})
	r.Must(err)
	return l
}

// TestAnEntryWithoutAPermitIsNotBelieved: entries come to the log through a
// table; permits do not.
func TestAnEntryWithoutAPermitIsNotBelieved(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		vera := r.Open(invite(r, "vera"))
		r.Drain()
		c := row(r, "person/vera")
		c["roles"] = []string{core.RoleAdministrator}
		b, err := json.Marshal(c)
		r.Must(err)
		r.Must(r.DB.Tx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec(t.Context(), `UPDATE identity_records SET claim = $1, revision = 2 WHERE tenant = 'main' AND object = 'person/vera'`, b); err != nil {
				return err
			}
			return audit.Put(t.Context(), tx, audit.Entry{
				Type: audit.TypeAuthority, Time: r.Clock.Now(), Actor: "person/owner", Action: "person.roles", Object: "person/vera", Revision: 2,
				Outcome: "regraded", Class: audit.ClassSecurity, Subject: "person/vera", Body: json.RawMessage(b),
			})
		}))
		r.Drain()
		r.Start() // as if the server came up on a doctored database
		r.Must(r.Compare(t.Context()))
		if s, err := r.Lookup(vera.Cookie, vera.Client); err != nil || !s.StopOnly || s.Principal.HasRole(core.RoleAdministrator) {
			t.Errorf("session %+v, %v", s, err)
		}
		id := core.MustID[core.PersonID]("vera")
		if !strings.Contains(r.Doubts()[id], "permit") {
			t.Errorf("doubts %v", r.Doubts())
		}
		r.Must(r.Restore(t.Context(), r.OwnerPrincipal(), id))
		r.Drain()
		r.Start()
		r.Must(r.Compare(t.Context()))
		if s, err := r.Lookup(vera.Cookie, vera.Client); err != nil || s.StopOnly || len(r.Doubts()) != 0 {
			t.Errorf("after a person looked: %+v, %v, %v", s, err, r.Doubts())
		}
	})
}

// TestAForgedPersonIsNobody: a row and a link that the log does not know open
// nothing.
func TestAForgedPersonIsNobody(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		r.Join()
		r.Drain()
		sql(r, `INSERT INTO identity_records (tenant, object, revision, claim) VALUES ('main', 'person/eve', 1, $1)`,
			[]byte(`{"state":"active","person":"eve","name":"eve","roles":["administrator"],"sites":["main"],"handle":"AAAA"}`))
		r.Start()
		for _, p := range r.List(t.Context()) {
			if p.ID.String() == "eve" {
				t.Errorf("she is listed: %+v", p)
			}
		}
		if r.Doubts()[core.MustID[core.PersonID]("eve")] == "" {
			t.Error("nobody noticed")
		}
	})
}

// TestAnEntryThatNeverCameIsMissed: whoever deletes from the outbox takes a
// change back, and is noticed.
func TestAnEntryThatNeverCameIsMissed(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		r.Open(invite(r, "vera"))
		r.Drain()
		r.Must(r.Revoke(t.Context(), r.OwnerPrincipal(), core.MustID[core.PersonID]("vera")))
		r.Must(r.DB.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM audit_outbox`)
			return err
		}))
		r.Must(r.Compare(t.Context()))
		r.Clock.Advance(time.Minute)
		r.Must(r.Compare(t.Context()))
		if why := r.Doubts()[core.MustID[core.PersonID]("vera")]; !strings.Contains(why, "never came") {
			t.Errorf("doubts %v", r.Doubts())
		}
	})
}

// TestWhenASessionWasUsedIsSealed: a row that somebody wrote keeps no session
// awake over a restart.
func TestWhenASessionWasUsedIsSealed(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		u := r.Join()
		r.Drain()
		sql(r, `INSERT INTO identity_seen (tenant, session, seen) VALUES ('main', $1, $2)`, u.Session.ID, []byte("99999999999999999"))
		r.Clock.Advance(identity.IdleLimit)
		r.Start()
		if s, err := r.Lookup(u.Cookie, u.Client); err != nil || !s.StopOnly {
			t.Errorf("session %+v, %v", s, err)
		}
	})
}
