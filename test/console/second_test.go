package console

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/test/rig"
)

// nobody is a user of this machine who is a person of the configuration, and
// nogroup the group that reaches the server's sockets.
const (
	nobody  = 65534
	nogroup = "nogroup"
)

// reachable lets the group through to the sockets. A test that acts as two users
// needs to be able to.
func (s *site) reachable() {
	s.t.Helper()
	if os.Getuid() != 0 {
		s.t.Fatal("this test acts as two users of the machine; next: run it as root, as CI does")
	}
	for _, dir := range []string{s.Dir, s.Data} {
		if err := os.Chown(dir, 0, nobody); err != nil {
			s.t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o710); err != nil {
			s.t.Fatal(err)
		}
	}
}

// mustAs runs a verb as another user of this machine.
func (s *site) mustAs(uid uint32, args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), rig.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, rig.Program(s.t, "interlock"), append([]string{"--data", s.Data, "--keys", "/nonexistent"}, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=/nonexistent", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: nobody}}
	out, complaint, code := rig.Run(cmd)
	if code != 0 {
		s.t.Fatalf("interlock %s as %d: exit %d\n%s%s\nserver:\n%s", strings.Join(args, " "), uid, code, out, complaint, s.out.String())
	}
	return out
}

// agreement asks for what takes two persons, by the verb.
func (s *site) agreement(args ...string) api.Agreement {
	s.t.Helper()
	a := ask[api.Agreement](s, args...)
	if a.State != "open" {
		s.t.Fatalf("%v: %+v", args, a)
	}
	return a
}

// officer: cara gets a role when bert, at a terminal of his own, agrees. Her
// session ends with it.
func (s *story) officer(t *testing.T) {
	a := s.agreement("people", "roles", "cara", "--role", "security-officer", "--reason", "the second person")
	s.mustAs(nobody, "people", "approve", a.ID.String())
	s.cara.open("/approvals")
	s.cara.at("/sign-in")
	s.cara.click(`form[data-passkey="sign-in"] button[type="submit"]`)
	s.cara.at("/approvals")
}

// agree: what the server alone enforces is agreed to in the console, with a
// passkey, by somebody who did not ask for it.
func (s *story) agree(t *testing.T) {
	a := s.agreement("people", "lift-cap", "service/playbook", "--extra", "5", "--hours", "2", "--reason", "a drill in hall <b>A</b>")
	mine := `form[data-finish="/approvals/requests/` + a.ID.String() + `/approve/finish"] button`
	s.anna.open("/approvals")
	s.anna.shows("service/playbook contain 5 more for 2 h")
	if read[bool](s.anna, "!!document.querySelector("+quote(mine)+")") {
		t.Error("who asked may agree")
	}
	p := s.cara
	p.open("/approvals")
	p.shows("service/playbook contain 5 more for 2 h")
	p.shows("a drill in hall <b>A</b>")
	p.take("approvals-request")
	p.click(mine)
	p.until("what came of it", `/The request to .* is (used|approved)/.test(document.body.innerText)`)
	var now api.Agreement
	if err := json.Unmarshal([]byte(s.must("--json", "people", "approvals", a.ID.String())), &now); err != nil {
		t.Fatal(err)
	}
	if len(now.Agreed) != 1 || now.Agreed[0].By.String() != "cara" || !strings.Contains(now.Agreed[0].Evidence, "passkey") || now.State != "used" {
		t.Errorf("the agreement: %+v", now)
	}
}
