package link_test

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// statement is what audit has signed to begin a successor.
const statement = `{"v":1,"origin":"` + origin + `/g3","predecessors":[{"origin":"` + origin +
	`","size":17,"root":"AAAA","known":20},{"origin":"` + origin + `/g2","size":2,"root":"AAAA","known":2}],"reason":"entries are lost"}`

func TestAStatementNeedsTheRootRole(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	seal := func(namespace, payload string, names ...string) []byte {
		return s.seal(namespace, []byte(payload), names...)
	}
	if err := tr.CheckStatement([]byte(statement), seal(link.NamespaceRoot, statement, "anna/recovery", "cora/recovery")); err != nil {
		t.Errorf("signed by two of the root role: %v", err)
	}
	rows := []struct {
		name     string
		envelope []byte
		want     string
	}{
		{"nobody", seal(link.NamespaceRoot, statement), "has 0"},
		{"one", seal(link.NamespaceRoot, statement, "anna/recovery"), "has 1 [anna]"},
		{"one, and the everyday keys", seal(link.NamespaceRoot, statement, "anna/recovery", "ben", "cora"), "has 1 [anna]"},
		{"the captured server", seal(link.NamespaceRoot, statement, "command", "stop", "log"), "is no person's key"},
		{"as an approval", seal(link.NamespaceApproval, statement, "anna/recovery", "ben/recovery"), "has 0"},
		{"as an order", seal(link.NamespaceOrder, statement, "anna/recovery", "ben/recovery"), "has 0"},
		{"another statement", seal(link.NamespaceRoot, strings.Replace(statement, "17", "16", 1), "anna/recovery", "ben/recovery"), "not this statement"},
		{"one byte more", seal(link.NamespaceRoot, statement+"\n", "anna/recovery", "ben/recovery"), "not this statement"},
		{"no envelope", []byte(statement), "unknown key"},
	}
	for _, row := range rows {
		if err := tr.CheckStatement([]byte(statement), row.envelope); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
}

// The recovery keys sign two kinds of document in one namespace. Neither can
// pass for the other, nor can a document that tries to be both.
func TestAStatementIsNoTrustRoot(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	signed := s.seal(link.NamespaceRoot, []byte(statement), s.quorum()...)
	if _, err := link.DecodeRoot([]byte(statement)); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a statement decodes as a trust root: %v", err)
	}
	if _, err := link.NewTrust(signed, payloadHash(t, signed)); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a signed statement is taken as a first root: %v", err)
	}
	if _, err := tr.Update(signed, s.logged(signed)); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a signed statement is taken as the next root: %v", err)
	}
	root := s.next().signRoot(s.quorum()...)
	env, err := link.ParseEnvelope(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.CheckStatement(env.Payload, root); core.KindOf(err) != core.KindDenied {
		t.Errorf("a signed root is taken as a statement: %v", err)
	}
	both := map[string]json.RawMessage{}
	for _, doc := range []string{statement, string(env.Payload)} {
		if err := json.Unmarshal([]byte(doc), &both); err != nil {
			t.Fatal(err)
		}
	}
	chimera, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.DecodeRoot(chimera); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a root with a statement's fields: %v", err)
	}
}

// renamed is the site's next root naming a log of its own: that of an origin
// with the same key, or with another.
func (s *site) renamed(key, origin string) (*site, *testLog) {
	n := s.next()
	l := newTestLog(s.t, key, origin)
	n.root.LogKey, n.root.LogOrigin = l.vkey, origin
	return n, l
}

// in writes a root into a log and returns the proof for it.
func (l *testLog) in(envelope []byte, cosigners ...note.Signer) []byte {
	l.t.Helper()
	leaf := rootLeaf(payloadHash(l.t, envelope))
	return l.proof(l.append(leaf), leaf, cosigners...)
}

func TestARootThatNamesAnotherLogMayStandInThatOne(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	for name, row := range map[string]struct{ key, origin string }{
		"the successor":           {"log", origin + "/g3"},
		"another key":             {"log of the new server", origin},
		"another key and another": {"log of the new server", "interlock.example/new/acme"},
	} {
		n, l := s.renamed(row.key, row.origin)
		env := n.signRoot(s.quorum()...)
		next, err := tr.Update(env, l.in(env))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := tr.Update(env, s.logged(env)); err != nil {
			t.Errorf("%s, in the old log: %v", name, err)
		}
		// From now on the new log is the one.
		after := *n
		root := *n.root
		root.Version++
		after.root = &root
		env = after.signRoot(s.quorum()...)
		if _, err := next.Update(env, s.logged(env)); err == nil {
			t.Errorf("%s: the version after it is taken by the old log", name)
		}
		if _, err := next.Update(env, l.in(env)); err != nil {
			t.Errorf("%s: the version after it: %v", name, err)
		}
	}
}

// A captured server holds the log key, the server keys and every log it likes
// to make, and no key of a person.
func TestTheLogKeyAloneGainsNothingByASuccession(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	for _, signers := range [][]string{{}, {"command", "stop"}, {"anna/recovery"}, {"anna", "ben", "cora"}, {"mallory", "mallory/recovery"}} {
		n, l := s.renamed("mallory's log", "interlock.example/mallory")
		env := n.signRoot(signers...)
		for where, proof := range map[string][]byte{"its own log": l.in(env), "the old log": s.logged(env)} {
			if _, err := tr.Update(env, proof); core.KindOf(err) != core.KindDenied {
				t.Errorf("signed by %v, in %s: %v", signers, where, err)
			}
		}
	}
	// A root that keeps the log stands in that log and in no other, also none
	// that the log key could begin.
	env := s.next().signRoot(s.quorum()...)
	for _, where := range []string{origin + "/g2", origin + "/g3", "interlock.example/mallory"} {
		if _, err := tr.Update(env, newTestLog(t, "log", where).in(env)); err == nil {
			t.Errorf("a root that keeps the log is taken by its entry in %s", where)
		}
	}
	// One that changes it needs its entry in one of the two, and its own.
	n, l := s.renamed("log", origin+"/g3")
	env = n.signRoot(s.quorum()...)
	for name, proof := range map[string][]byte{
		"none": nil, "a third log": newTestLog(t, "log", origin+"/g4").in(env),
		"another root's entry": l.in(s.next().signRoot(s.quorum()...)),
	} {
		if _, err := tr.Update(env, proof); err == nil {
			t.Errorf("taken with the proof %s", name)
		}
	}
	if _, err := tr.Update(env, l.in(env)); err != nil {
		t.Errorf("the honest one: %v", err)
	}
}

// Thieves of the root keys could name a log and witnesses of their own; what
// makes their root public is the quorum of the version before it.
func TestARootThatNamesAnotherLogNeedsTheWitnessesOfTheOldOne(t *testing.T) {
	s, ws := witnessed(t)
	tr := s.trust()
	n, l := s.renamed("log", origin+"/g3")
	mine := newWitness(t, "mine")
	n.root.Witness = mine.line() + "quorum mine\n"
	env := n.signRoot(s.quorum()...)
	for name, cosigners := range map[string][]note.Signer{"none": nil, "their own": {mine.signer}, "one of the old": {ws[0].signer, mine.signer}} {
		if _, err := tr.Update(env, l.in(env, cosigners...)); core.KindOf(err) != core.KindDenied && core.KindOf(err) != core.KindDamaged {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tr.Update(env, l.in(env, ws[0].signer, ws[1].signer)); err != nil {
		t.Errorf("with the old quorum: %v", err)
	}
}

func TestIsLaterLog(t *testing.T) {
	for _, row := range []struct {
		origin, than string
		want         bool
	}{
		{"x/g2", "x", true},
		{"x/g3", "x/g2", true},
		{"x/g10", "x/g9", true},
		{"x", "x", false},
		{"x", "x/g2", false},
		{"x/g2", "x/g2", false},
		{"x/g2", "x/g3", false},
		{"x/g1", "x", false},
		{"x/g02", "x", false},
		{"x/g+2", "x", false},
		{"x/g100000", "x", false},
		{"x/g2/g2", "x", false},
		{"y/g2", "x", false},
		{"x/h2", "x", false},
		{"xg2", "x", false},
		{"/g2", "", false},
		{"", "", false},
	} {
		if got := link.IsLaterLog(row.origin, row.than); got != row.want {
			t.Errorf("%q after %q: %t", row.origin, row.than, got)
		}
	}
}

// While a log is damaged, receipts and intents stand in the next one of the
// line; a log before the one that the root names counts no more.
func TestCheckpointsOfLaterLogs(t *testing.T) {
	s := quorumSite(t)
	s.root.LogOrigin = origin + "/g3"
	s.root.LogKey = newTestLog(t, "log", s.root.LogOrigin).vkey
	tr := s.trust()
	for _, row := range []struct {
		key, origin string
		good        bool
	}{
		{"log", origin + "/g3", true},
		{"log", origin + "/g4", true},
		{"log", origin + "/g2", false},
		{"log", origin, false},
		{"log", origin + "/g3/g4", false},
		{"log", "interlock.example/test/other/g4", false},
		{"another", origin + "/g3", false},
		{"another", origin + "/g4", false},
	} {
		l := newTestLog(t, row.key, row.origin)
		l.append([]byte("x"))
		cp, err := link.VerifyCheckpoint(tr, l.checkpoint())
		if row.good != (err == nil) || err == nil && (cp.Origin != row.origin || cp.Size != 1) {
			t.Errorf("%s of key %s: %+v, %v", row.origin, row.key, cp, err)
		}
		exact := row.key == "log" && row.origin == s.root.LogOrigin
		if _, err := link.VerifyProof(tr, l.proof(0, nil), []byte("x")); exact != (err == nil) {
			t.Errorf("proof in %s of key %s: %v", row.origin, row.key, err)
		}
	}
}

func TestLaterLogKey(t *testing.T) {
	first := newTestLog(t, "log", origin)
	got, err := link.LaterLogKey(first.vkey, origin+"/g3")
	if want := newTestLog(t, "log", origin+"/g3").vkey; err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	for _, bad := range []string{origin, "x/g3", origin + "/g3\n", ""} {
		if got, err := link.LaterLogKey(first.vkey, bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %s, %v", bad, got, err)
		}
	}
	if _, err := link.LaterLogKey("x", "x/g2"); core.KindOf(err) != core.KindInvalid {
		t.Errorf("no vkey: %v", err)
	}
}
