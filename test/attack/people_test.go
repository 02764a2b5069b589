package attack

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/test/rig"
)

// peopleCalls are the rows of people for the test of the doors. Nobody in them
// exists: what is refused is refused before anybody looks.
func peopleCalls() map[string][]call {
	const nobody = "01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55"
	ask := `{"kind":"person.invite","person":"mallory","name":"","roles":["administrator"],"sites":["hall-a"],"actor":"","extra":0,"hours":0,"reason":"test"}`
	return map[string][]call{
		"POST /v1/people":                    {{"", `{"person":"mallory","name":"","sites":["hall-a"]}`}},
		"POST /v1/people/link":               {{"", `{}`}},
		"POST /v1/people/{id}/revoke":        {{"nobody", `{}`}},
		"POST /v1/people/{id}/restore":       {{"nobody", `{}`}},
		"POST /v1/passkeys/{id}/revoke":      {{"nobody", `{}`}},
		"POST /v1/sessions/{id}/end":         {{"nobody", `{}`}},
		"POST /v1/agreements":                {{"", ask}},
		"POST /v1/agreements/{id}/agree":     {{nobody, `{}`}},
		"POST /v1/agreements/{id}/reject":    {{nobody, `{"reason":""}`}},
		"POST /v1/agreements/{id}/withdraw":  {{nobody, `{"reason":""}`}},
		"POST /v1/agreements/{id}/carry-out": {{nobody, `{}`}},
	}
}

// TestARemoteStopIsTakenAwayByTwo is F31 over the real sockets: every trip of one
// person is honoured until two others agree; then that person's next remote trip
// is refused for the time agreed on, and everybody else's is not.
func TestARemoteStopIsTakenAwayByTwo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root, to come as other users, and CI must not skip this")
		}
		t.Skip("needs root, to come as other users")
	}
	const uidBert, uidMallory = 60011, 60012
	s := newSite(t, nil, func(c *app.Config) {
		c.Listen.Console = rig.Address(t)
		c.Operators = append(c.Operators, app.Operator{UID: uidBert, Person: person("bert"), Roles: []string{core.RoleSecurityOfficer}},
			app.Operator{UID: uidMallory, Person: person("mallory"), Roles: []string{core.RoleViewer}})
	})
	for path, mode := range map[string]os.FileMode{s.dir: 0o711, s.data().Dir: 0o711, s.data().API(): 0o666, s.data().Stop(): 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	trip := func(uid int) int {
		t.Helper()
		status, _ := rawOver(t, as(s.data().Stop(), uid), http.MethodPost, "/stop/v1/trip", []byte(`{"v":1,"scope":{"kind":"site","site":"hall-a"}}`))
		return status
	}
	for range 20 {
		if status := trip(uidMallory); status != http.StatusOK {
			t.Fatalf("a trip was refused: %d", status)
		}
	}
	var a api.Agreement
	deed := api.Deed{Kind: "stop.withdraw-right", Person: person("mallory"), Roles: []string{}, Sites: []core.SiteID{}, Hours: 2, Reason: "twenty stops in a minute"}
	if err := s.api.Post(t.Context(), "/v1/agreements", deed, &a); err != nil {
		t.Fatal(err)
	}
	path := "/v1/agreements/" + a.ID.String() + "/agree"
	for _, uid := range []int{os.Getuid(), uidMallory} {
		if status, body := rawOver(t, as(s.data().API(), uid), http.MethodPost, path, []byte(`{}`)); status != http.StatusForbidden {
			t.Errorf("uid %d agreed: %d %s", uid, status, body)
		}
	}
	if trip(uidMallory) != http.StatusOK {
		t.Error("one person took it away")
	}
	if status, body := rawOver(t, as(s.data().API(), uidBert), http.MethodPost, path, []byte(`{}`)); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status := trip(uidMallory); status != http.StatusForbidden {
		t.Errorf("after two agreed: %d", status)
	}
	for _, uid := range []int{os.Getuid(), uidBert} {
		if status := trip(uid); status != http.StatusOK {
			t.Errorf("uid %d can't stop: %d", uid, status)
		}
	}
	s.clock.jump(2*time.Hour + time.Second)
	if status := trip(uidMallory); status != http.StatusOK {
		t.Errorf("after the time agreed on: %d", status)
	}
}

// TestAnExpiredSessionStops is F06's row: within its shift an expired session
// stops the machines of its sites, and does nothing else.
func TestAnExpiredSessionStops(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, func(c *app.Config) { c.Listen.Console = rig.Address(t) })
	own := identity.Client{Address: "127.0.0.1", UserAgent: "the owner's browser"}
	cookie := s.signedIn(own, "Anna")
	s.clock.jump(identity.IdleLimit)
	session, err := s.server.People.Lookup(cookie, own)
	if err != nil || !session.StopOnly {
		t.Fatalf("%+v, %v", session, err)
	}
	ctx := httpd.WithPrincipal(t.Context(), session.Principal)
	if _, err := s.server.API.Devices(ctx, &api.DevicesInput{}); core.KindOf(err) != core.KindDenied {
		t.Errorf("it sees the devices: %v", err)
	}
	if _, err := s.server.API.RequestStop(ctx, &api.RequestStopInput{Body: api.StopRequest{Scope: stop.Scope{Kind: stop.ScopeSite, Site: hall}}}); err != nil {
		t.Errorf("it can't stop: %v", err)
	}
	s.clock.jump(identity.Shift)
	if _, err := s.server.People.Lookup(cookie, own); core.KindOf(err) != core.KindUnauthenticated {
		t.Errorf("after the shift: %v", err)
	}
}

// signedIn has the owner make a passkey by a link from the socket.
func (s *site) signedIn(own identity.Client, name string) (cookie string) {
	s.t.Helper()
	var l api.SignInLink
	if err := s.api.Post(s.t.Context(), "/v1/people/link", struct{}{}, &l); err != nil {
		s.t.Fatal(err)
	}
	address, secret, _ := strings.Cut(l.URL, identity.LinkPath+"#")
	a := identitytest.NewAuthenticator(address)
	options, handle, err := s.server.People.BeginRegistration(s.t.Context(), secret, name)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := a.Create(options)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, cookie, err = s.server.People.FinishRegistration(s.t.Context(), handle, answer, own); err != nil {
		s.t.Fatal(err)
	}
	return cookie
}

// TestAStolenCookieIsAnAlert goes all the way: a link by the socket, a passkey, a
// session that outlives the server's restart, and the cookie in other hands, which
// ends it and becomes an alert by the shipped rule.
func TestAStolenCookieIsAnAlert(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, func(c *app.Config) { c.Listen.Console = rig.Address(t) })
	own := identity.Client{Address: "127.0.0.1", UserAgent: "the owner's browser"}
	cookie := s.signedIn(own, `<b>Anna</b>`)
	s.stop()
	s.start()
	if again, err := s.server.People.Lookup(cookie, own); err != nil || again.StopOnly || again.Name != `<b>Anna</b>` || !again.Principal.HasRole(core.RoleAdministrator) {
		t.Fatalf("after the restart: %+v, %v", again, err)
	}
	thief := identity.Client{Address: "127.0.0.1", UserAgent: "another"}
	if _, err := s.server.People.Lookup(cookie, thief); core.KindOf(err) != core.KindUnauthenticated {
		t.Errorf("the thief: %v", err)
	}
	if _, err := s.server.People.Lookup(cookie, own); core.KindOf(err) != core.KindUnauthenticated {
		t.Errorf("the session goes on: %v", err)
	}
	rig.Await(t, "the alert", s.log.String, func() bool {
		for _, found := range list[api.Alert](s, "/v1/alerts", nil) {
			if found.Rule == "interlock-person-in-doubt" {
				return true
			}
		}
		return false
	})
	entries := list[api.AuditEntry](s, "/v1/audit/entries", url.Values{"action": {"session.end"}})
	if len(entries) != 1 || entries[0].Outcome != "stolen" || strings.Contains(entries[0].Object, cookie) {
		t.Errorf("%+v", entries)
	}
	if p := get[api.Person](s, "/v1/people/anna"); p.Doubt != "" || len(p.Passkeys) != 1 || p.Sessions != 0 {
		t.Errorf("%+v", p)
	}
}
