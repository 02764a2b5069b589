package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/rig"
	"github.com/interlock-security/interlock/test/sshdtest"
)

const (
	stuffing   = "sshd-credential-stuffing"
	bruteforce = "sshd-bruteforce-one-account"
)

// watchLog starts a server that reads sshd's log, and waits until it does: the
// collector begins at the end of a file that it does not know.
func watchLog(t *testing.T, srv *sshdtest.Server, more string) *site {
	t.Helper()
	s := newSite(t)
	s.configure(fmt.Sprintf("collect:\n  files:\n    - path: %s\n      type: sshd\n%s", srv.Log, more))
	s.serve()
	rig.Await(t, "a line of sshd's log", s.out.String, func() bool {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(srv.Port))); err == nil {
			_ = c.Close() // sshd notes a connection that says nothing
		}
		return slices.ContainsFunc(s.events(100), func(e core.Event) bool { return e.Source == "file"+srv.Log })
	})
	return s
}

// message is what a line of sshd's log says.
func message(e core.Event) string {
	var f struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(e.Fields, &f) // an event of another kind has none
	return f.Message
}

// port is the client's port in a line of sshd's log: one connection of the
// attack is one login.
func port(line string) string {
	_, rest, _ := strings.Cut(line, " port ")
	port, _, _ := strings.Cut(rest, " ")
	return port
}

// failed are the logins that failed, by user name: the client's port of each.
func failed(events []core.Event) map[string][]string {
	by := map[string][]string{}
	for _, e := range events {
		line := message(e)
		_, rest, ours := strings.Cut(line, "Failed password for ")
		if user, _, ok := strings.Cut(strings.TrimPrefix(rest, "invalid user "), " from "); ours && ok {
			by[user] = append(by[user], port(line))
		}
	}
	return by
}

// tail reads events as a user does.
func tail(s *site) []core.Event {
	s.t.Helper()
	var list []core.Event
	dec := json.NewDecoder(strings.NewReader(s.must([]int{0}, "--json", "events", "tail", "--no-follow", "--lines", "1000")))
	for dec.More() {
		var e core.Event
		if err := dec.Decode(&e); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// oneAlert waits for the one alert of a rule with so many events.
func oneAlert(s *site, rule string, count uint64) api.Alert {
	s.t.Helper()
	var all []api.Alert
	rig.Await(s.t, fmt.Sprintf("one alert of %s with %d events", rule, count), func() string { return fmt.Sprintf("%+v\n%s", all, s.out.String()) }, func() bool {
		all = s.alerts(rule)
		return len(all) > 0 && all[0].Count >= count
	})
	if len(all) != 1 || all[0].Count != count {
		s.t.Fatalf("alerts of %s: %+v, want one with %d events", rule, all, count)
	}
	return all[0]
}

// TestSSHDAttack is the attack of the issue with the real client: nine accounts
// are nothing, the tenth is one alert, and guessing one account's password is
// the other rule.
func TestSSHDAttack(t *testing.T) {
	t.Parallel()
	srv := sshdtest.Start(t)
	s := watchLog(t, srv, "")
	for i := range 9 {
		srv.FailLogin(t, fmt.Sprintf("user%d", i))
	}
	rig.Await(t, "nine failed logins in the journal", s.out.String, func() bool { return len(failed(s.events(1000))) == 9 })
	if got := failed(tail(s)); len(got) != 9 {
		t.Errorf("events tail shows failed logins of %v", got)
	}
	// The other rule's alert is the proof that the nine were judged: records
	// are judged in their order.
	for range 9 {
		srv.FailLogin(t, "user0")
	}
	oneAlert(s, bruteforce, 10)
	if a := s.alerts(stuffing); len(a) != 0 {
		t.Fatalf("nine accounts raised %+v", a)
	}
	srv.FailLogin(t, "user9")
	oneAlert(s, stuffing, 19)
	srv.FailLogin(t, "user9") // a login that counted twice would show now
	a := oneAlert(s, stuffing, 20)
	eachOnce(t, a, tail(s))
	if a.Provenance != core.ProvenanceLocal || a.Author == "" || a.Group["src_endpoint.ip"] != "127.0.0.1" || a.Source != "file"+srv.Log {
		t.Errorf("alert: %+v", a)
	}
	if out, code := s.run("alerts"); code != 1 || !strings.Contains(out, stuffing) {
		t.Errorf("alerts: exit %d\n%s", code, out)
	}
}

// eachOnce holds an alert against the journal: its events are one login each.
// sshd tells of a login in several lines, whichever came first counts.
func eachOnce(t *testing.T, a api.Alert, journal []core.Event) {
	t.Helper()
	open := map[string]bool{}
	for _, ports := range failed(journal) {
		for _, p := range ports {
			open[p] = true
		}
	}
	if len(open) != int(a.Count) || len(a.Events) != int(a.Count) {
		t.Errorf("%d failed logins in the journal, an alert that counts %d and names %d", len(open), a.Count, len(a.Events))
	}
	for _, id := range a.Events {
		i := slices.IndexFunc(journal, func(e core.Event) bool { return e.ID == id })
		if i < 0 || !open[port(message(journal[i]))] {
			t.Errorf("event %s of the alert is no failed login, or one that was counted before", id)
			continue
		}
		delete(open, port(message(journal[i])))
	}
}

// TestSSHDOneAccount: ten guesses at one account are one alert of one rule.
func TestSSHDOneAccount(t *testing.T) {
	t.Parallel()
	srv := sshdtest.Start(t)
	s := watchLog(t, srv, "")
	for range 10 {
		srv.FailLogin(t, "root")
	}
	if a := oneAlert(s, bruteforce, 10); a.Group["user.name"] != "root" {
		t.Errorf("alert: %+v", a)
	}
	if all := ask[[]api.Alert](s, "alerts", "--all"); len(all) != 1 {
		t.Errorf("alerts: %+v", all)
	}
}

// shippedRule is the text of a rule as it stands in the repository.
func shippedRule(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../siem/rules/linux", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheSitesOwnNumberDecides copies the shipped rule, changes 10 to 12 and
// sees another verdict; the shipped rule gives way, and the product says so.
func TestTheSitesOwnNumberDecides(t *testing.T) {
	t.Parallel()
	srv := sshdtest.Start(t)
	own := t.TempDir()
	text := shippedRule(t, "sshd_credential_stuffing.yml")
	changed := strings.Replace(text, "gte: 10", "gte: 12", 1)
	if changed == text {
		t.Fatal("the shipped rule has no gte: 10")
	}
	if err := os.WriteFile(filepath.Join(own, "mine.yml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	s := watchLog(t, srv, "rules: "+own+"\n")
	if out := s.must([]int{0}, "rules", "check", own); !strings.Contains(out, "replaces the shipped rule "+stuffing) {
		t.Errorf("rules check: %s", out)
	}
	if st := ask[api.Status](s, "status"); !slices.ContainsFunc(st.Warnings, func(w string) bool { return strings.Contains(w, stuffing+" is replaced") }) {
		t.Errorf("status does not say that a shipped rule is replaced: %q", st.Warnings)
	}
	for i := range 11 {
		srv.FailLogin(t, fmt.Sprintf("user%d", i))
	}
	for range 9 { // the barrier of TestSSHDAttack
		srv.FailLogin(t, "user0")
	}
	oneAlert(s, bruteforce, 10)
	if a := s.alerts(stuffing); len(a) != 0 {
		t.Fatalf("eleven accounts against 12 raised %+v", a)
	}
	srv.FailLogin(t, "user11")
	oneAlert(s, stuffing, 21)
}

// TestWrongRule: what is not Sigma is refused with its place, by the check and by
// the server, which does not start without it.
func TestWrongRule(t *testing.T) {
	t.Parallel()
	own := t.TempDir()
	path := filepath.Join(own, "bad.yml")
	text := strings.Replace(shippedRule(t, "sshd_failed_login.yml"), "status: Failure", "status|startwith: Fail", 1)
	line := 1 + strings.Count(text[:strings.Index(text, "status|startwith")], "\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	at := fmt.Sprintf(":%d:12", line)
	if out, code := s.run("rules", "check", own); code != 1 || !strings.Contains(out, path+at) || !strings.Contains(out, "startswith") {
		t.Errorf("rules check: exit %d, want %s%s\n%s", code, path, at, out)
	}
	s.configure("rules: " + own + "\n")
	if out, code := s.run("serve"); code != 2 || !strings.Contains(out, "bad.yml"+at) {
		t.Errorf("serve: exit %d, want bad.yml%s\n%s", code, at, out)
	}
	if out, code := s.run("status"); code != 2 || !strings.Contains(out, "next: ") {
		t.Errorf("status without a server: exit %d\n%s", code, out)
	}
}

// TestForgedSSHDAttack sends the lines of the attack by syslog, from nobody in
// particular: the alert says that nothing vouches for it, and nothing acts.
func TestForgedSSHDAttack(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			address := rig.Address(t)
			s.configure(fmt.Sprintf("collect:\n  syslog:\n    %s: %s\n", transport, address))
			s.serve()
			for i := range 10 {
				forge(t, transport, address, fmt.Sprintf("Failed password for invalid user u%d from 203.0.113.9 port 4%d ssh2", i, i))
			}
			a := oneAlert(s, stuffing, 10)
			if a.Provenance != core.ProvenanceUnauthenticated || !strings.HasPrefix(a.Source, "syslog/127.0.0.1") {
				t.Errorf("alert: %+v", a)
			}
			rig.Await(t, "the incident", s.out.String, func() bool {
				in, err := listed[api.Incident](s, "/v1/incidents", nil)
				return err == nil && len(in) == 1
			})
			in := ask[[]api.Incident](s, "incidents", "list")[0]
			if in.State != "new" {
				t.Errorf("a forged attack moved its incident to %s", in.State)
			}
			if acts := ask[[]api.AuditEntry](s, "audit", "search", "--actor", "service/playbook"); len(acts) != 0 {
				t.Errorf("a playbook acted: %+v", acts)
			}
		})
	}
}

// forge sends a line with the system's own logger.
func forge(t *testing.T, transport, address, line string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("logger", "-n", host, "-P", port, "--"+transport, "-t", "sshd", "-p", "auth.info", line).CombinedOutput(); err != nil {
		t.Fatalf("logger: %v\n%s", err, out)
	}
}
