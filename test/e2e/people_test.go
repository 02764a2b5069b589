package e2e

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
)

// TestPeopleVerbs goes through the verbs about people as a single operator has
// them, over a kill -9: a link for oneself, a viewer, and a second person who is
// asked for and waited for, because nobody is there who could agree.
func TestPeopleVerbs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.configure("")
	s.serve()
	link := ask[api.SignInLink](s, "people", "link")
	if link.Person.String() != "owner" || !strings.HasPrefix(link.URL, "http://localhost:") || !strings.Contains(link.URL, "/link#") {
		t.Errorf("%+v", link)
	}
	if vera := ask[api.SignInLink](s, "people", "invite", "vera", "--name", "Vera \u202e<b>"); vera.Person.String() != "vera" {
		t.Errorf("%+v", vera)
	}
	if out := s.must([]int{0}, "people"); !strings.Contains(out, "owner") || !strings.Contains(out, "Vera <U+202E><b>") || strings.Contains(out, "\u202e") {
		t.Errorf("the list:\n%s", out)
	}
	fails := func(says string, args ...string) {
		t.Helper()
		if out, code := s.run(append([]string{"people"}, args...)...); code != 2 || !strings.Contains(out, says) {
			t.Errorf("people %s: exit %d\n%s", strings.Join(args, " "), code, out)
		}
	}
	if _, code := s.run("people", "approvals"); code != 0 {
		t.Errorf("nothing waits and the exit code is %d", code)
	}
	wait := ask[api.Agreement](s, "people", "invite", "ben", "--role", "security-officer", "--reason", "second person")
	if wait.State != "waiting" || wait.Alone == "" || len(wait.Agreed) != 0 {
		t.Errorf("%+v", wait)
	}
	if out, code := s.run("people", "approvals"); code != 1 || !strings.Contains(out, "nobody there") || !strings.Contains(out, "let ben in as security-officer") {
		t.Errorf("exit %d\n%s", code, out)
	}
	fails("it waits instead", "approve", wait.ID.String())
	fails("it waits until", "carry-out", wait.ID.String())
	fails("takes two persons", "lift-cap", "service/playbook", "--extra", "5", "--reason", "x")
	fails("takes two persons", "no-stop", "vera", "--reason", "x")
	fails("operator of the configuration", "roles", "owner", "--role", "viewer", "--reason", "x")
	fails("there is a person vera", "invite", "vera")
	fails("identifier", "invite", "Anna")
	fails("no session", "sign-out", "4f0c2a9be1d03c57a9e2")
	fails("no passkey", "end-passkey", "5f0c2a9be1d03c57a9e2b1aa")
	fails("no doubt", "restore", "vera")
	s.must([]int{0}, "people", "revoke", "vera")
	fails("was revoked", "relink", "vera", "--reason", "x")

	s.kill()
	s.serve()
	if p := ask[api.Person](s, "people", "show", "vera"); p.State != "revoked" || p.Doubt != "" {
		t.Errorf("after kill -9: %+v", p)
	}
	if again := ask[api.Agreement](s, "people", "approvals", wait.ID.String()); again.State != "waiting" || !again.NotBefore.Equal(wait.NotBefore) {
		t.Errorf("after kill -9: %+v", again)
	}
	if list := ask[[]api.PersonSession](s, "people", "sessions"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if gone := ask[api.Agreement](s, "people", "withdraw", wait.ID.String(), "--reason", "not needed"); gone.State != "withdrawn" {
		t.Errorf("%+v", gone)
	}
	fails("withdrawn", "reject", wait.ID.String())
	if st := ask[api.Status](s, "status"); strings.Contains(strings.Join(st.Warnings, "\n"), "person/") {
		t.Errorf("warnings %v", st.Warnings)
	}
}
