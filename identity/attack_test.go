package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
	"github.com/interlock-security/interlock/platform/store"
)

// await waits until something holds; Run works beside the test.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for !holds() {
		select {
		case <-t.Context().Done():
			t.Fatal("never: " + what)
		case <-time.After(time.Millisecond):
		}
	}
}

// running lets the rig's people work in the background.
func running(t *testing.T, r *identitytest.Rig) {
	t.Helper()
	go func() { _ = r.Run(t.Context()) }()
}

// entries returns the outcomes of the log's entries about an object's kind.
func entries(r *identitytest.Rig, action core.Action) []string {
	r.T.Helper()
	r.Drain()
	var out []string
	r.Must(r.Log.Replay(r.T.Context(), func(rec audit.Record) error {
		if rec.Header.Action == action && rec.Header.Type != audit.TypeIntent {
			out = append(out, rec.Header.Outcome)
		}
		return nil
	}))
	return out
}

// TestAStolenCookie is refused on another client, ends its session, and is an
// alarm; the owner signs in again.
func TestAStolenCookie(t *testing.T) {
	for name, thief := range map[string]identity.Client{
		"another address": {Address: "10.0.0.66", UserAgent: identitytest.Browser.UserAgent},
		"another program": {Address: identitytest.Browser.Address, UserAgent: "curl"},
		"neither":         {},
	} {
		t.Run(name, func(t *testing.T) {
			r := identitytest.New(t)
			running(t, r)
			u := r.Join()
			_, err := r.Lookup(u.Cookie, thief)
			want(t, err, core.KindUnauthenticated)
			_, err = r.Lookup(u.Cookie, u.Client)
			want(t, err, core.KindUnauthenticated)
			await(t, "the alarm", func() bool { return slices.Contains(r.Alarms(), identity.AlarmStolen) })
			if got := entries(r, "session.end"); !slices.Equal(got, []string{"stolen"}) {
				t.Errorf("entries %v", got)
			}
			r.Start()
			_, err = r.Lookup(u.Cookie, u.Client)
			want(t, err, core.KindUnauthenticated)
			r.Must(r.SignIn(u))
		})
	}
}

// TestTheMachineItselfIsOneClient: browsers change between the loopback addresses.
func TestTheMachineItselfIsOneClient(t *testing.T) {
	r := identitytest.New(t)
	u := r.Join()
	for _, address := range []string{"::1", "127.0.0.1", "127.0.0.2"} {
		if _, err := r.Lookup(u.Cookie, identity.Client{Address: address, UserAgent: u.Client.UserAgent}); err != nil {
			t.Errorf("from %s: %v", address, err)
		}
	}
}

func TestCookiesThatAreNone(t *testing.T) {
	r := identitytest.New(t)
	u := r.Join()
	for _, cookie := range []string{"", "x", u.Cookie[:42], u.Cookie + "A", strings.ToUpper(u.Cookie), u.Session.ID, strings.Repeat("A", 43), strings.Repeat("A", 1<<20), "a\x00b"} {
		if _, err := r.Lookup(cookie, u.Client); core.KindOf(err) != core.KindUnauthenticated {
			t.Errorf("cookie %.20q: %v", cookie, err)
		}
	}
	if _, err := r.Lookup(u.Cookie, u.Client); err != nil {
		t.Errorf("the real one: %v", err)
	}
}

// TestASessionsLife: idle for half an hour it may stop and nothing else, also
// when it is used again; after the shift it is over.
func TestASessionsLife(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		u := r.Join()
		look := func() identity.Session {
			t.Helper()
			s, err := r.Lookup(u.Cookie, u.Client)
			r.Must(err)
			return s
		}
		for range 3 {
			r.Clock.Advance(identity.IdleLimit - time.Second)
			if look().StopOnly {
				t.Fatal("used within the limit and stop-only")
			}
		}
		r.Clock.Advance(identity.IdleLimit)
		s := look()
		if !s.StopOnly || s.Why == "" || len(s.Principal.Roles) != 0 || !slices.Equal(s.Principal.Sites, site) || s.Principal.ID != "owner" {
			t.Errorf("idle: %+v", s)
		}
		if !look().StopOnly {
			t.Error("using it made it whole again")
		}
		if d, err := r.Guard.Permit(t.Context(), s.Principal, "device.stop", core.Resource{Type: "device", ID: "press-7", Tenant: identitytest.Tenant, Site: identitytest.Site}); err != nil || !d.Allowed {
			t.Errorf("it may not stop: %+v, %v", d, err)
		}
		for _, a := range []core.Action{"device.show", "status.read", "person.list", "person.link-own", "device.quarantine", "audit.read"} {
			if d, err := r.Guard.Permit(t.Context(), s.Principal, a, core.Resource{Type: "x", ID: "y", Tenant: identitytest.Tenant}); err != nil || d.Allowed {
				t.Errorf("it may %s", a)
			}
		}
		_, _, err := r.BeginConfirm(t.Context(), s, [32]byte{})
		want(t, err, core.KindDenied)
		_, err = r.FirstLink(t.Context(), s.Principal)
		want(t, err, core.KindUnauthenticated)
		r.Clock.Advance(identity.Shift)
		_, err = r.Lookup(u.Cookie, u.Client)
		want(t, err, core.KindUnauthenticated)
	})
}

// TestAPageThatIsLeftOpenDoesNotKeepASessionAwake: what a script asks for to keep
// a page up to date is no use of the session.
func TestAPageThatIsLeftOpenDoesNotKeepASessionAwake(t *testing.T) {
	r := identitytest.New(t)
	u := r.Join()
	page := u.Client
	page.ByItself = true
	for range 4 {
		if s, err := r.Lookup(u.Cookie, page); err != nil || s.StopOnly {
			t.Fatalf("within the limit: %+v, %v", s, err)
		}
		r.Clock.Advance(identity.IdleLimit/4 - time.Second)
	}
	if s, err := r.Lookup(u.Cookie, u.Client); err != nil || s.StopOnly {
		t.Fatalf("a person within the limit: %+v, %v", s, err)
	}
	for range 5 {
		r.Clock.Advance(identity.IdleLimit / 5)
		_, err := r.Lookup(u.Cookie, page)
		r.Must(err)
	}
	if s, err := r.Lookup(u.Cookie, u.Client); err != nil || !s.StopOnly {
		t.Errorf("kept awake by a page: %+v, %v", s, err)
	}
}

// TestASessionHasTheRolesOfItsSignIn: an operator whom the configuration gives
// other roles, or none, signs in again.
func TestASessionHasTheRolesOfItsSignIn(t *testing.T) {
	r := identitytest.New(t)
	u := r.Join()
	r.Drain()
	r.Parts.Operators[0].Roles = []string{core.RoleViewer}
	r.Start()
	_, err := r.Lookup(u.Cookie, u.Client)
	want(t, err, core.KindUnauthenticated)
	r.Must(r.SignIn(u))
	if !slices.Equal(u.Session.Roles, []string{core.RoleViewer}) {
		t.Errorf("roles %v", u.Session.Roles)
	}
	r.Drain()
	r.Parts.Operators = nil
	r.Start()
	_, err = r.Lookup(u.Cookie, u.Client)
	want(t, err, core.KindUnauthenticated)
}

// TestIdleIsKeptOverARestart: a restart neither wakes a session nor puts it to
// sleep.
func TestIdleIsKeptOverARestart(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		u := r.Join()
		r.Drain()
		r.Clock.Advance(20 * time.Minute)
		if _, err := r.Lookup(u.Cookie, u.Client); err != nil {
			t.Fatal(err)
		}
		running(t, r) // from here on, so that what is kept is this use of it
		kept := func() bool {
			n := 0
			r.Must(r.DB.View(t.Context(), func(tx *store.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM identity_seen`).Scan(&n)
			}))
			return n == 1
		}
		await(t, "when it was used is kept", func() bool {
			r.Clock.Advance(time.Second)
			return kept()
		})
		r.Clock.Advance(15 * time.Minute)
		r.Start()
		if s, err := r.Lookup(u.Cookie, u.Client); err != nil || s.StopOnly {
			t.Errorf("%+v, %v", s, err)
		}
		r.Clock.Advance(identity.IdleLimit)
		r.Start()
		if s, err := r.Lookup(u.Cookie, u.Client); err != nil || !s.StopOnly {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// TestLinks: used once, within their time, whole, and only by who has the secret.
func TestLinks(t *testing.T) {
	r := identitytest.New(t)
	l := invite(r, "vera")
	secret := identitytest.Secret(l)
	if !strings.HasPrefix(l.URL, identitytest.Origin+identity.LinkPath+"#") {
		t.Errorf("the secret is not in the fragment: %s", strings.ReplaceAll(l.URL, secret, "SECRET"))
	}
	for _, s := range []string{"", secret[:len(secret)-1], secret[1:], secret + "A", "x." + secret, strings.Split(secret, ".")[0] + ".", strings.Repeat("A", 1<<20)} {
		_, _, err := r.BeginRegistration(t.Context(), s, "")
		want(t, err, core.KindUnauthenticated)
	}
	for range 3 { // looking at it, and beginning, consumes nothing
		_, _, err := r.BeginRegistration(t.Context(), secret, "")
		r.Must(err)
	}
	vera := r.Open(l)
	_, _, err := r.BeginRegistration(t.Context(), secret, "")
	want(t, err, core.KindReplayed)
	_, _, err = r.BeginRegistration(t.Context(), secret, "")
	want(t, err, core.KindReplayed)
	if !slices.Equal(r.Alarms(), []string{identity.AlarmLink}) {
		t.Errorf("alarms %v", r.Alarms())
	}
	if _, err := r.Lookup(vera.Cookie, vera.Client); err != nil {
		t.Errorf("vera is out: %v", err)
	}
	late := invite(r, "walt")
	options, handle, err := r.BeginRegistration(t.Context(), identitytest.Secret(late), "")
	r.Must(err)
	answer, err := identitytest.NewAuthenticator(identitytest.Origin).Create(options)
	r.Must(err)
	r.Clock.Advance(identity.LinkLife)
	_, _, err = r.BeginRegistration(t.Context(), identitytest.Secret(late), "")
	want(t, err, core.KindExpired)
	_, _, err = r.FinishRegistration(t.Context(), handle, answer, identitytest.Browser)
	want(t, err, core.KindExpired)
}

// TestNoLinkToWhatSomebodyElseServes: while another program has the console's
// address, a link would hand its secret to that program's page.
func TestNoLinkToWhatSomebodyElseServes(t *testing.T) {
	r := identitytest.New(t)
	var taken error = core.E(core.KindUnavailable, "test", "the address is taken")
	r.Parts.Reachable = func() error { return taken }
	r.Start()
	socket := identitytest.OverSocket(t.Context(), 1000)
	_, err := r.FirstLink(socket, r.OwnerPrincipal())
	want(t, err, core.KindUnavailable)
	in := identity.InviteRequest{Person: person("vera"), Roles: []string{core.RoleViewer}, Sites: site}
	_, err = r.Invite(t.Context(), r.OwnerPrincipal(), in)
	want(t, err, core.KindUnavailable)
	if list := r.List(t.Context()); len(list) != 1 {
		t.Errorf("somebody was let in without a link: %+v", list)
	}
	taken = nil
	_, err = r.Invite(t.Context(), r.OwnerPrincipal(), in)
	r.Must(err)
	r.Join()
}

// TestALinkIsRacedFor: two who open it at once are one person and one refusal.
func TestALinkIsRacedFor(t *testing.T) {
	r := identitytest.New(t)
	l := invite(r, "vera")
	type begun struct {
		handle string
		answer []byte
	}
	var both []begun
	for range 2 {
		options, handle, err := r.BeginRegistration(t.Context(), identitytest.Secret(l), "")
		r.Must(err)
		answer, err := identitytest.NewAuthenticator(identitytest.Origin).Create(options)
		r.Must(err)
		both = append(both, begun{handle, answer})
	}
	errs := make(chan error, 2)
	for _, b := range both {
		go func() {
			_, _, err := r.FinishRegistration(t.Context(), b.handle, b.answer, identitytest.Browser)
			errs <- err
		}()
	}
	first, second := <-errs, <-errs
	if (first == nil) == (second == nil) {
		t.Errorf("%v and %v", first, second)
	}
	v, err := r.Get(t.Context(), person("vera"))
	if err != nil || len(v.Passkeys) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestNames: any text is somebody's name, shown as it is and never more; no
// text that is none.
func TestNames(t *testing.T) {
	r := identitytest.New(t)
	for i, name := range []string{`<script>alert(1)</script>`, "\u202egnp.exe", "\x1b[31mred\x07", "a\nb", "Ünïcødé ☃", strings.Repeat("x", identity.MaxName)} {
		id := person("p" + string(rune('a'+i)))
		l, err := r.Invite(t.Context(), r.OwnerPrincipal(), identity.InviteRequest{Person: id, Name: "invited", Roles: []string{core.RoleViewer}, Sites: site})
		r.Must(err)
		u := identitytest.NewAuthenticator(identitytest.Origin)
		options, handle, err := r.BeginRegistration(t.Context(), identitytest.Secret(l), name)
		r.Must(err)
		s, _, err := r.FinishRegistration(t.Context(), handle, must(u.Create(options)), identitytest.Browser)
		r.Must(err)
		if s.Name != name {
			t.Errorf("%q became %q", name, s.Name)
		}
	}
	r.Drain()
	r.Start()
	r.Must(r.Compare(t.Context()))
	if len(r.Doubts()) != 0 {
		t.Errorf("names that are not themselves when read again: %v", r.Doubts())
	}
	for _, name := range []string{"\xff\xfe", "a\x00b", strings.Repeat("x", identity.MaxName+1)} {
		if _, err := r.Invite(t.Context(), r.OwnerPrincipal(), identity.InviteRequest{Person: person("zz"), Name: name, Roles: []string{core.RoleViewer}, Sites: site}); err == nil {
			t.Errorf("%.10q is a name", name)
		}
	}
}

// TestIdsDoNotCollide: there is one spelling of each, and a known one is not
// given to somebody else.
func TestIdsDoNotCollide(t *testing.T) {
	for _, id := range []string{"Anna", "ANNA", "änna", "anna ", "ａｎｎａ", "an\u200bna", "anna\u0301", "../anna", ""} {
		if _, err := core.ParseID[core.PersonID](id); err == nil {
			t.Errorf("%q is an id", id)
		}
	}
	r := identitytest.New(t)
	r.Open(invite(r, "vera"))
	for _, id := range []string{"vera", "owner"} {
		_, err := r.Invite(t.Context(), r.OwnerPrincipal(), identity.InviteRequest{Person: person(id), Roles: []string{core.RoleViewer}, Sites: site})
		want(t, err, core.KindConflict)
	}
}

// TestConfirmations: good for one act, once, for two minutes, of one's own
// session.
func TestConfirmations(t *testing.T) {
	r := identitytest.New(t)
	owner, vera := r.Join(), r.Open(invite(r, "vera"))
	digest := identity.LinkDigest(identitytest.Owner)
	ctx := r.Confirm(owner, digest)
	_, err := r.FirstLink(ctx, owner.Session.Principal)
	r.Must(err)
	_, err = r.FirstLink(ctx, owner.Session.Principal)
	want(t, err, core.KindReplayed)
	_, err = r.FirstLink(r.Confirm(owner, [32]byte{9}), owner.Session.Principal)
	want(t, err, core.KindDenied)
	_, err = r.FirstLink(r.Confirm(vera, digest), owner.Session.Principal)
	want(t, err, core.KindDenied)
	old := r.Confirm(owner, digest)
	r.Clock.Advance(2 * time.Minute)
	_, err = r.FirstLink(old, owner.Session.Principal)
	want(t, err, core.KindExpired)

	options, handle, err := r.BeginConfirm(t.Context(), owner.Session, digest)
	r.Must(err)
	answer := must(owner.Authenticator.Get(options))
	_, err = r.FinishConfirm(t.Context(), vera.Session, handle, answer)
	want(t, err, core.KindDenied)
	_, err = r.FinishConfirm(t.Context(), owner.Session, handle, answer)
	r.Must(err)
	_, err = r.FinishConfirm(t.Context(), owner.Session, handle, answer)
	want(t, err, core.KindReplayed)
	_, err = r.FirstLink(t.Context(), owner.Session.Principal)
	want(t, err, core.KindUnauthenticated)
}

// TestWhoMayStop: everybody who is known, and nobody who was revoked.
func TestWhoMayStop(t *testing.T) {
	r := identitytest.New(t)
	names := func() string {
		var list []string
		for _, p := range r.Path.Persons() {
			list = append(list, p.ID.String())
		}
		return strings.Join(list, " ")
	}
	r.Open(invite(r, "vera"))
	if names() != "owner vera" || !slices.Equal(r.Path.Persons()[0].UIDs, []uint32{1000}) {
		t.Errorf("they are %q", names())
	}
	r.Must(r.Revoke(t.Context(), r.OwnerPrincipal(), person("vera")))
	if names() != "owner" {
		t.Errorf("they are %q", names())
	}
}

// TestEndings: signing out, being sent away, one passkey taken.
func TestEndings(t *testing.T) {
	r := identitytest.New(t)
	owner, vera := r.Join(), r.Open(invite(r, "vera"))
	r.Must(r.End(t.Context(), vera.Session))
	r.Must(r.End(t.Context(), vera.Session))
	_, err := r.Lookup(vera.Cookie, vera.Client)
	want(t, err, core.KindUnauthenticated)
	r.Must(r.SignIn(vera))
	want(t, r.EndSession(t.Context(), vera.Session.Principal, owner.Session.ID), core.KindDenied)
	r.Must(r.EndSession(t.Context(), owner.Session.Principal, vera.Session.ID))
	_, err = r.Lookup(vera.Cookie, vera.Client)
	want(t, err, core.KindUnauthenticated)
	r.Must(r.SignIn(vera))
	v, err := r.Get(t.Context(), person("vera"))
	r.Must(err)
	want(t, r.RevokePasskey(t.Context(), vera.Session.Principal, mustGet(r, "owner").Passkeys[0].ID), core.KindDenied)
	r.Must(r.RevokePasskey(t.Context(), vera.Session.Principal, v.Passkeys[0].ID))
	_, err = r.Lookup(vera.Cookie, vera.Client)
	want(t, err, core.KindUnauthenticated)
	if err := r.SignIn(vera); err == nil {
		t.Error("a passkey that was taken signs in")
	}
	for range 20 {
		r.Must(r.SignIn(owner))
	}
	if n := len(r.Sessions(t.Context(), identitytest.Owner)); n != 16 {
		t.Errorf("the owner has %d sessions", n)
	}
	if got := entries(r, "session.end"); !slices.Contains(got, "signed-out") || !slices.Contains(got, "ended") || !slices.Contains(got, "revoked") || !slices.Contains(got, "replaced") {
		t.Errorf("entries %v", got)
	}
}

func mustGet(r *identitytest.Rig, id string) identity.Person {
	r.T.Helper()
	p, err := r.Get(r.T.Context(), person(id))
	r.Must(err)
	return p
}

// TestSignInWhileTheDatabaseIsAway: somebody must be able to sign in to mend it
// (F39). The permit stands in the log; the session does not outlast a restart.
func TestSignInWhileTheDatabaseIsAway(t *testing.T) {
	r := identitytest.New(t)
	u := r.Join()
	r.Drain()
	away := errors.New("the disk is full")
	r.Broken = away
	r.Must(r.SignIn(u))
	if _, err := r.Invite(t.Context(), r.OwnerPrincipal(), identity.InviteRequest{Person: person("vera"), Roles: []string{core.RoleViewer}, Sites: site}); !errors.Is(err, away) {
		t.Errorf("somebody was let in: %v", err)
	}
	s, err := r.Lookup(u.Cookie, u.Client)
	if err != nil || s.StopOnly || !s.Principal.HasRole(core.RoleAdministrator) {
		t.Errorf("session %+v, %v", s, err)
	}
	r.Broken = nil
	r.Drain()
	r.Must(r.Compare(t.Context()))
	other := *u
	r.Must(r.SignIn(&other))
	r.Must(r.End(t.Context(), s))
	r.Drain()
	r.Start()
	r.Must(r.Compare(t.Context()))
	if _, err := r.Lookup(other.Cookie, other.Client); err != nil || len(r.Doubts()) != 0 {
		t.Errorf("afterwards: %v, doubts %v", err, r.Doubts())
	}
	permits := 0
	r.Must(r.Log.Replay(t.Context(), func(rec audit.Record) error {
		if rec.Header.Type == audit.TypeIntent && rec.Header.Action == "session.create" {
			permits++
		}
		return nil
	}))
	if permits != 3 {
		t.Errorf("%d permits in the log", permits)
	}
}
