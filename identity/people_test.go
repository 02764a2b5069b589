package identity_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
	"github.com/interlock-security/interlock/platform/store/storetest"
)

func TestSchemaIsTheSameOnBothEngines(t *testing.T) {
	storetest.SameSchema(t, identity.Migrations())
}

func want(t *testing.T, err error, kind core.Kind) {
	t.Helper()
	if core.KindOf(err) != kind || err == nil {
		t.Errorf("error %v, wanted kind %s", err, kind)
	}
}

func TestFromALinkToASession(t *testing.T) {
	r := identitytest.New(t)
	u := r.Join()
	if u.Session.Person != identitytest.Owner || u.Session.StopOnly || !u.Session.Principal.HasRole(core.RoleAdministrator) {
		t.Fatalf("session %+v", u.Session)
	}
	s, err := r.Lookup(u.Cookie, u.Client)
	r.Must(err)
	if s.ID != u.Session.ID || s.CSRF != u.Session.CSRF || s.CSRF == "" || s.CSRF == u.Cookie {
		t.Errorf("looked up %+v, began %+v", s, u.Session)
	}
	r.Must(r.SignIn(u))
	r.Drain()
	r.Must(r.Compare(t.Context()))
	if d := r.Doubts(); len(d) != 0 {
		t.Fatalf("doubts %v", d)
	}
	r.Clock.Advance(time.Minute)
	r.Start()
	if s, err := r.Lookup(u.Cookie, u.Client); err != nil || s.StopOnly || !s.Principal.HasRole(core.RoleAdministrator) {
		t.Errorf("after a restart: %+v, %v", s, err)
	}
	if d := r.Doubts(); len(d) != 0 {
		t.Fatalf("doubts after a restart %v", d)
	}
	r.Must(r.SignIn(u))
}
