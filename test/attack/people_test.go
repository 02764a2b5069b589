package attack

import (
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
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

// TestAStolenCookieIsAnAlert goes all the way: a link by the socket, a passkey, a
// session that outlives the server's restart, and the cookie in other hands, which
// ends it and becomes an alert by the shipped rule.
func TestAStolenCookieIsAnAlert(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, func(c *app.Config) { c.Listen.Console = freeAddress(t) })
	var l api.SignInLink
	if err := s.api.Post(t.Context(), "/v1/people/link", struct{}{}, &l); err != nil {
		t.Fatal(err)
	}
	address, secret, _ := strings.Cut(l.URL, identity.LinkPath+"#")
	a, own := identitytest.NewAuthenticator(address), identity.Client{Address: "127.0.0.1", UserAgent: "the owner's browser"}
	options, handle, err := s.server.People.BeginRegistration(t.Context(), secret, `<b>Anna</b>`)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	_, cookie, err := s.server.People.FinishRegistration(t.Context(), handle, answer, own)
	if err != nil {
		t.Fatal(err)
	}
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
	await(t, "the alert", s.log.String, func() bool {
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
