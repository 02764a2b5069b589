package attack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/test/rig"
)

// minute lets a minute pass for the server: what it counts by the minute is
// written down.
func (s *site) minute() {
	s.t.Helper()
	s.clock.jump(61 * time.Second)
	if err := s.server.Listener.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// recorded waits for an audit entry that ok likes.
func (s *site) recorded(what string, action core.Action, ok func(api.AuditEntry) bool) {
	s.t.Helper()
	var all []api.AuditEntry
	rig.Await(s.t, "an audit entry of "+what, func() string { return brief(all) }, func() bool {
		all = s.entries(action)
		return slices.ContainsFunc(all, ok)
	})
}

func brief(all []api.AuditEntry) (text string) {
	for _, e := range all {
		text += fmt.Sprintf("#%d %s %s %s %s %s %s %s\n", e.Index, e.Time, e.Type, e.Actor, e.Action, e.Object, e.Outcome, e.Body)
	}
	return text
}

// kept is what must not change by a request that is refused.
type kept struct {
	batches  int
	sequence uint64
	devices  int
	tokens   int
}

func (s *site) kept(id core.DeviceID) kept {
	s.t.Helper()
	k := kept{batches: len(s.eventsOf(id, fleet.TypeBatch)), devices: len(list[api.Device](s, "/v1/devices", nil))}
	var d api.Device
	if s.api.Get(s.t.Context(), "/v1/devices/"+id.String(), nil, &d) == nil {
		k.sequence = d.Sequence
	}
	k.tokens = len(s.entries("token.used")) + len(s.entries("token.created"))
	return k
}

// TestBadInput is the list of the issue: each gets a clear answer, an entry in
// the log where it matters, and changes nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"batches", badBatches},
		{"bodies", badBodies},
		{"tokens", badTokens},
		{"certificates", badCertificates},
		{"replayed batch", replayedBatch},
		{"names", badNames},
	} {
		t.Run(part.name, func(t *testing.T) {
			sub := *s
			sub.t = t
			sub.minute()
			part.run(t, &sub)
		})
	}
}

// badBatches sends what a device with a good key and a bad program could send.
func badBatches(t *testing.T, s *site) {
	d := s.enrolled("press-1")
	d.report("heartbeat")
	rig.Await(t, "the first batch folded", s.log.String, func() bool { return s.kept(d.id).sequence == 1 })
	before := s.kept(d.id)
	good, err := link.EncodeBatch(d.batch("heartbeat"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(from, to string) []byte {
		b := bytes.Replace(good, []byte(from), []byte(to), 1)
		if bytes.Equal(b, good) {
			t.Fatalf("%q is not in the batch", from)
		}
		return d.sign(b)
	}
	stolen := s.stranger("press-1") // another key under the same name
	for _, row := range []struct {
		name   string
		body   []byte
		status int
		texts  []string
	}{
		{"not JSON", []byte("hello"), 400, []string{"at byte 0"}},
		{"cut off", d.sign(good)[:200], 400, []string{"at byte 200"}},
		{"no signature", seal(t, good), 403, []string{"0 signatures"}},
		{"another key's signature", stolen.sign(good), 403, []string{"signed by", "want"}},
		{"one byte changed after signing", bytes.Replace(d.sign(good), []byte(`"payload":"eyJ2`), []byte(`"payload":"eyJW`), 1), 403, []string{"signature"}},
		{"a key twice in the batch", change(`"boot":"boot-1"`, `"boot":"boot-1","boot":"boot-2"`), 400, []string{`key "boot" stands twice`, "at byte"}},
		{"a key twice in the envelope", bytes.Replace(d.sign(good), []byte(`{"payload":`), []byte(`{"payload":"","payload":`), 1), 400, []string{`key "payload" stands twice`, "at byte 14"}},
		{"a key in capitals", change(`"boot"`, `"Boot"`), 400, []string{"Boot"}},
		{"an unknown key", change(`"boot":`, `"colour":"red","boot":`), 400, []string{"colour"}},
		{"a missing key", change(`"boot":"boot-1",`, ``), 400, []string{"boot"}},
		{"a gap in the sequence", change(`"seq":2`, `"seq":3`), 400, []string{"events[0]", "gaps"}},
		{"a device that is a path", change(`"device":"press-1"`, `"device":"../../etc/x"`), 400, []string{"$.device", `../../etc/x`}},
		{"another device's name", change(`"device":"press-1"`, `"device":"press-2"`), 403, []string{`"press-1"`, `"press-2"`}},
		{"another tenant's name", change(`"tenant":"main"`, `"tenant":"other"`), 403, []string{`"other"`}},
		{"half a surrogate pair", change(`"boot-1"`, `"\ud800"`), 400, []string{"$.boot"}},
		{"a number too large", change(`"last":2`, `"last":18446744073709551616`), 400, []string{"$.last"}},
		{"too large a body", append(bytes.Repeat([]byte{' '}, fleet.MaxBody), d.sign(good)...), 413, []string{"131072"}},
	} {
		since := s.clock.Now().Truncate(time.Microsecond)
		status, out := d.do(http.MethodPost, "/agent/v1/batches", row.body)
		wants(t, row.name, status, row.status, out, row.texts...)
		s.recorded(row.name, "batch.append", func(e api.AuditEntry) bool {
			return e.Outcome == "refused" && e.Actor == "device/press-1" && !e.Time.Before(since)
		})
		s.minute()
	}
	if after := s.kept(d.id); after.batches != before.batches || after.sequence != before.sequence {
		t.Errorf("refused batches left something behind: %+v, before %+v", after, before)
	}
	if status, out := d.do(http.MethodPost, "/agent/v1/batches", d.sign(good)); status != http.StatusOK {
		t.Errorf("the good batch after all that: %d, %s", status, out)
	}
}

// badBodies sends the operator API what no client of ours would.
func badBodies(t *testing.T, s *site) {
	before, size := s.kept(press), get[api.LogState](s, "/v1/audit/state").Size
	for _, row := range []struct {
		name, path, body string
		status           int
		texts            []string
	}{
		{"a key twice", "/v1/tokens", `{"site":"hall-a","site":"hall-b","device":"x","ttl":"1h","fact":""}`, 400, []string{`key "site" stands twice`, "at byte 17"}},
		{"a key in capitals", "/v1/tokens", `{"SITE":"hall-b","site":"hall-a","device":"x","ttl":"1h","fact":""}`, 400, []string{"SITE"}},
		{"an unknown key", "/v1/tokens", `{"site":"hall-a","device":"x","ttl":"1h","fact":"","admin":true}`, 400, []string{"admin"}},
		{"a missing key", "/v1/tokens", `{"site":"hall-a","device":"x","ttl":"1h"}`, 400, []string{"fact"}},
		{"null", "/v1/tokens", `{"site":null,"device":"x","ttl":"1h","fact":""}`, 400, []string{"$.site", "null"}},
		{"bytes behind", "/v1/tokens", `{"site":"hall-a","device":"x","ttl":"1h","fact":""} {}`, 400, []string{"at byte"}},
		{"a device that is a path", "/v1/tokens", `{"site":"hall-a","device":"../../etc/x","ttl":"1h","fact":""}`, 400, []string{"$.device", "../../etc/x"}},
		{"a life of no unit", "/v1/tokens", `{"site":"hall-a","device":"x","ttl":"60","fact":""}`, 400, []string{"ttl"}},
		{"a life of years", "/v1/tokens", `{"site":"hall-a","device":"x","ttl":"99999h","fact":""}`, 400, []string{"life"}},
		{"a fact that is none", "/v1/tokens", `{"site":"hall-a","device":"x","ttl":"1h","fact":"ABC"}`, 400, []string{"fact", "ABC"}},
		{"too large", "/v1/tokens", `{"site":"` + strings.Repeat("x", 200<<10) + `"}`, 413, []string{"131072"}},
		{"a root that is none", "/v1/root", `{"payload":"e30=","signatures":[]}`, 400, []string{"DecodeRoot"}},
		{"an act with a key twice", "/v1/devices/press-1/quarantine", `{"reason":"a","reason":"b","incident":"","presence":""}`, 400, []string{`key "reason" stands twice`, "at byte 14"}},
		{"an approval that is no signature", "/v1/orders/01932d3f-9b9e-7c2a-8f00-3b1f0c9a7e55/approvals", `{"keyid":"SHA256:x","sig":"!"}`, 400, []string{"$.sig"}},
	} {
		status, out := rawOver(t, unixClient(s.data().API()), http.MethodPost, row.path, []byte(row.body))
		wants(t, row.name, status, row.status, out, row.texts...)
	}
	if after := s.kept(press); after != before {
		t.Errorf("refused bodies left something behind: %+v, before %+v", after, before)
	}
	for _, e := range list[api.AuditEntry](s, "/v1/audit/entries", nil) {
		if e.Index >= size && e.Type == "intent" && e.Outcome == "permitted" && e.Action != "audit.read" && e.Action != "event.read" {
			t.Errorf("a body that could not be read was permitted something: %+v", e)
		}
	}
}

// badTokens: wrong, of another key, run out, used twice.
func badTokens(t *testing.T, s *site) {
	d := s.stranger("kiosk-1")
	tok := s.secret(s.token(d.id, "", 2*time.Minute).String)
	before := s.kept(d.id)
	id, secret, _ := strings.Cut(tok, ".")
	for name, bearer := range map[string]string{
		"empty": "", "no secret": id, "another secret": id + "." + strings.Repeat("A", len(secret)), "another id": strings.Repeat("0", 20) + "." + secret,
		"the secret cut": tok[:len(tok)-1], "the secret and more": tok + "A", "SQL": `x' OR '1'='1.` + secret, "a blank": tok + " ",
	} {
		status, out := d.enrol(bearer)
		wants(t, name, status, http.StatusUnauthorized, out, "enrolment token is not known here")
	}
	if after := s.kept(d.id); after != before {
		t.Errorf("a wrong token left something behind: %+v, before %+v", after, before)
	}
	s.minute()
	s.recorded("wrong tokens", "agent.connect", func(e api.AuditEntry) bool {
		return e.Type == "refusal-summary" && strings.Contains(string(e.Body), "enrolment token")
	})

	thief := s.stranger("kiosk-1")
	named := s.secret(s.token(d.id, d.fact(), time.Hour).String)
	status, out := thief.enrol(named)
	wants(t, "a token of another key", status, http.StatusForbidden, out, "another key")
	rig.Await(t, "the alarm of the wrong key", s.log.String, func() bool { return len(s.eventsOf(d.id, "enrolment_wrong_key")) == 1 })

	s.clock.jump(2 * time.Minute)
	before = s.kept(d.id)
	status, out = d.enrol(tok)
	wants(t, "a token that ran out", status, http.StatusGone, out, "ran out at")
	if after := s.kept(d.id); after != before {
		t.Errorf("a token that ran out left something behind: %+v, before %+v", after, before)
	}

	fresh := s.secret(s.token(d.id, "", time.Hour).String)
	if status, out := d.enrol(fresh); status != http.StatusAccepted {
		t.Fatalf("the first use of a token: %d, %s", status, out)
	}
	status, out = thief.enrol(fresh)
	wants(t, "the second use of a token", status, http.StatusConflict, out, "used before, by another key", "suspended")
	rig.Await(t, "the alarm of the second use", s.log.String, func() bool { return len(s.eventsOf(d.id, "enrolment_token_reused")) == 1 })
	s.recorded("the second use", "token.misused", func(e api.AuditEntry) bool { return e.Object == "token/"+fresh[:20] })
	s.recorded("the suspension", "device.suspended", func(e api.AuditEntry) bool { return e.Object == "device/kiosk-1" })
	status, out = d.enrol(fresh)
	wants(t, "the first device, suspended now", status, http.StatusForbidden, out, "suspended")
}

// badCertificates: of another authority, and none at all.
func badCertificates(t *testing.T, s *site) {
	d := s.enrolled("press-3")
	chain, err := s.foreignAuthority(t).Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: tenant, Device: d.id}}, &d.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	body := d.seal(d.batch("heartbeat"))
	d.present(d.certificate(chain))
	if status, out, err := d.send(http.MethodPost, "/agent/v1/batches", body); err == nil {
		t.Errorf("a certificate of another authority is answered %d: %s", status, out)
	}
	d.present(nil)
	status, out := d.do(http.MethodPost, "/agent/v1/batches", body)
	wants(t, "no certificate", status, http.StatusUnauthorized, out, "no certificate was presented")
	s.minute()
	s.recorded("certificates of strangers", "agent.connect", func(e api.AuditEntry) bool {
		return e.Type == "refusal-summary" && strings.Contains(string(e.Body), "TLS")
	})
	if n := len(s.eventsOf(d.id, fleet.TypeBatch)); n != 0 {
		t.Errorf("%d batches came without a good certificate", n)
	}
	d.present(d.certificate(d.chain))
	if status, out := d.do(http.MethodPost, "/agent/v1/batches", body); status != http.StatusOK {
		t.Errorf("with the right certificate: %d, %s", status, out)
	}
}

// foreignAuthority is another installation's.
func (s *site) foreignAuthority(t *testing.T) *pki.Authority {
	t.Helper()
	dir := filepath.Join(s.dir, "foreign")
	ring, err := crypt.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := pki.Open(t.Context(), pki.Config{Dir: filepath.Join(dir, "ca"), Sealer: ring, Recorder: forgetful{}, Clock: core.SystemClock{}, Name: "Interlock"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// replayedBatch: the same bytes again are answered again and kept once.
func replayedBatch(t *testing.T, s *site) {
	d := s.enrolled("press-4")
	first, body := d.report("heartbeat")
	for range 3 {
		status, out := d.do(http.MethodPost, "/agent/v1/batches", body)
		again, err := link.DecodeReceipt(bytes.TrimSpace(out))
		if status != http.StatusOK || err != nil || again.Batch != first.Batch || again.Fork {
			t.Fatalf("the same batch again: %d, %v, %s", status, err, out)
		}
	}
	d.report("heartbeat")
	rig.Await(t, "both batches folded", s.log.String, func() bool { return s.kept(d.id).sequence == 2 })
	if n := len(s.eventsOf(d.id, fleet.TypeBatch)); n != 2 {
		t.Errorf("the journal holds %d batches, want 2", n)
	}
	if forks := s.eventsOf(d.id, fleet.AlarmFork); len(forks) != 0 {
		t.Errorf("a retry was taken for a fork: %+v", forks)
	}
	other := s.enrolled("press-5")
	status, out := other.do(http.MethodPost, "/agent/v1/batches", body)
	wants(t, "another device's batch", status, http.StatusForbidden, out, "signed by")
}

// badNames: identifiers that are paths, at the doors that take a name.
func badNames(t *testing.T, s *site) {
	d := s.stranger("press-6")
	tok := s.secret(s.token(core.DeviceID{}, "", time.Hour).String)
	for _, name := range []string{"../../etc/x", "..", "/etc/x", "a/b", "A", "a b", "a\x00b", strings.Repeat("a", 64), "é", "-a", "a;b"} {
		body, err := json.Marshal(map[string]any{"v": 1, "token": tok, "device": name, "public_key": d.csr(), "serial": ""})
		if err != nil {
			t.Fatal(err)
		}
		status, out := d.do(http.MethodPost, "/agent/v1/enrol", body)
		wants(t, fmt.Sprintf("enrolling as %q", name), status, http.StatusBadRequest, out, "device", "identifier")
		s.minute()
	}
	if status, out := d.enrol(tok); status != http.StatusAccepted {
		t.Errorf("the token after bad names: %d, %s", status, out)
	}
	if out, code := s.cli("device", "show", "../../etc/x"); code != 2 || !strings.Contains(out, "../../etc/x") {
		t.Errorf("interlock device show ../../etc/x: exit %d: %s", code, out)
	}
	if _, err := os.Stat("/etc/x"); err == nil {
		t.Error("/etc/x exists")
	}
}

// TestUnknownConfigKey: both programs name the place and end with 2.
func TestUnknownConfigKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "bad.yaml")
	for text, where := range map[string]string{
		"listen:\n  agents: 127.0.0.1:1\n  colour: red\n": "[3:3]",
		"tenant: main\ntenant: other\n":                   "[2:1]",
		"tenant: ../../etc/x\n":                           `"../../etc/x"`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"serve", "--config", path}, {"config", "check", path}} {
			out, code := runCLI(t, append([]string{"--data", filepath.Join(dir, "data"), "--keys", filepath.Join(dir, "keys")}, args...)...)
			if code != 2 || !strings.Contains(out, where) || !strings.Contains(out, path) {
				t.Errorf("interlock %s with %q: exit %d, want 2 and %s: %s", args[0], text, code, where, out)
			}
		}
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "data")); err == nil && len(entries) > 0 {
		t.Errorf("a configuration that was refused made %v", entries)
	}
	if err := os.WriteFile(path, []byte("heartbeat: 30s\ncolour: red\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := runProgram(t, "interlock-agent", "--config", path)
	if code != 2 || !strings.Contains(out, "[2:1]") {
		t.Errorf("interlock-agent: exit %d: %s", code, out)
	}
}

// TestApprovalOfOtherBytes: a signature over the order and one byte of
// whitespace more is no approval, and leaves the order as it was.
func TestApprovalOfOtherBytes(t *testing.T) {
	t.Parallel()
	s := newSite(t, people)
	m := s.enrol(press)
	m.sense("lid", true)
	s.order(press, "the playbook's quarantine", func(o api.Order) bool { return o.Type == string(link.OrderQuarantine) && o.State == "done" })
	s.known(m)
	var o api.Order
	if err := s.api.Post(t.Context(), "/v1/devices/press-7/release", api.ActRequest{Reason: "inspected"}, &o); err != nil {
		t.Fatal(err)
	}
	env, err := link.ParseEnvelope(get[api.Order](s, "/v1/orders/"+o.ID.String()).Envelope)
	if err != nil {
		t.Fatal(err)
	}
	bert := s.signer("keys/bert")
	for name, sig := range map[string]link.Signature{
		"one blank more":             signAs(t, bert, link.NamespaceApproval, append(slices.Clone(env.Payload), ' ')),
		"one newline before":         signAs(t, bert, link.NamespaceApproval, append([]byte("\n"), env.Payload...)),
		"a login":                    login(t, bert, env.Payload),
		"signed as an order":         signAs(t, bert, link.NamespaceOrder, env.Payload),
		"a stranger":                 signAs(t, newKey(t), link.NamespaceApproval, env.Payload),
		"the requester, who is anna": signAs(t, s.signer("keys/anna"), link.NamespaceApproval, env.Payload),
	} {
		err := s.api.Post(t.Context(), "/v1/orders/"+o.ID.String()+"/approvals", api.Approval{KeyID: sig.KeyID, Sig: sig.Sig}, nil)
		if core.KindOf(err) != core.KindDenied || !strings.Contains(err.Error(), o.ID.String()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	now := get[api.Order](s, "/v1/orders/"+o.ID.String())
	if now.State != "awaiting" || len(now.Approvals) != 0 || !m.status().Contained {
		t.Errorf("after approvals that are none the order is %s by %v", now.State, now.Approvals)
	}
	good := signAs(t, bert, link.NamespaceApproval, env.Payload)
	if err := s.api.Post(t.Context(), "/v1/orders/"+o.ID.String()+"/approvals", api.Approval{KeyID: good.KeyID, Sig: good.Sig}, &now); err != nil || len(now.Approvals) != 1 {
		t.Errorf("a good approval: %v, %v", now.Approvals, err)
	}
}

// TestRestoredImage: the disk of a real device is put back as it was yesterday.
// Both histories are kept, the alarm and the alert say so, nothing is lost.
func TestRestoredImage(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	m := s.enrol(press)
	told := func(st agent.Status) bool { return st.Spool.Waiting+st.Spool.Sealed == 0 }
	m.awaitStatus("everything told", told)
	m.kill()
	image := filepath.Join(s.dir, "image")
	copyAll(t, m.cfg.DataDir, image)

	// Today: somebody opens the case, and the device tells.
	m.start("")
	m.awaitStatus("today's start", func(agent.Status) bool { return true })
	m.sense("lid", true)
	rig.Await(t, "today's break-in on record", m.log.String, func() bool { return len(s.eventsOf(press, "case_intrusion")) > 0 })
	m.awaitStatus("today told", told)
	epoch := m.status().Epoch
	m.kill()

	// The thief puts yesterday's image back; the run folder went with the power.
	for _, dir := range []string{m.cfg.DataDir, m.cfg.RunDir} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	copyAll(t, image, m.cfg.DataDir)
	m.start("")
	m.awaitStatus("a new epoch", func(st agent.Status) bool { return st.Epoch != epoch })

	rig.Await(t, "the fork on record", s.log.String, func() bool { return len(s.eventsOf(press, fleet.AlarmFork)) > 0 })
	if !s.holdsTwice(epoch) || len(s.eventsOf(press, "case_intrusion")) == 0 {
		t.Error("of the two histories one is gone")
	}
	rig.Await(t, "the device's own word of the fork", m.log.String, func() bool { return len(s.eventsOf(press, "epoch_changed")) > 0 })
	// The device's word of the fork can be on record before the server's own fold has come to the batch.
	rig.Await(t, "a device that is behind itself, contained by the server", s.log.String, func() bool { return get[api.Device](s, "/v1/devices/press-7").Contained })
	rig.Await(t, "the alert", func() string { return fmt.Sprintf("%+v", list[api.Alert](s, "/v1/alerts", nil)) }, func() bool {
		return slices.ContainsFunc(list[api.Alert](s, "/v1/alerts", nil), func(a api.Alert) bool {
			return a.Rule == "interlock-identity-in-doubt" && a.Device == press.String()
		})
	})
}

// holdsTwice reports whether the journal holds two different batches under the
// same numbers of an epoch.
func (s *site) holdsTwice(epoch string) bool {
	s.t.Helper()
	seen := map[uint64]string{}
	for _, e := range s.eventsOf(press, fleet.TypeBatch) {
		var b struct{ Epoch, Payload string }
		if err := json.Unmarshal(e.Fields, &b); err != nil {
			s.t.Fatal(err)
		}
		if b.Epoch != epoch {
			continue
		}
		hash := hashOf([]byte(b.Payload))
		if old, known := seen[e.Sequence]; known && old != hash {
			return true
		}
		seen[e.Sequence] = hash
	}
	return false
}
