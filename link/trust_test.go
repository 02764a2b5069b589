package link_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

func TestFirstRootIsTakenOnItsHashAlone(t *testing.T) {
	s := quorumSite(t)
	env := s.signRoot("anna/recovery", "ben/recovery")
	hash := payloadHash(t, env)
	tr, err := link.NewTrust(env, hash)
	if err != nil {
		t.Fatal(err)
	}
	if tr.Hash() != hash || tr.Root().Version != 1 || !bytes.Equal(tr.Envelope(), env) || tr.Witnessed() {
		t.Errorf("%s, %+v", tr.Hash(), tr.Root())
	}
	copied := tr.Root()
	copied.Roles[1].Threshold, copied.Persons[0].Keys[0], copied.Roles[1].Members[0] = 0, "", core.PersonID{}
	if r := tr.Root(); r.Roles[1].Threshold != 2 || r.Persons[0].Keys[0] == "" || r.Roles[1].Members[0].IsZero() {
		t.Error("a caller changed the trust root")
	}
	for _, bad := range []string{"", strings.Repeat("0", 64), strings.ToUpper(hash), hash[:62]} {
		want := core.KindInvalid
		if bad == strings.Repeat("0", 64) {
			want = core.KindDenied
		}
		if _, err := link.NewTrust(env, bad); core.KindOf(err) != want || core.HintOf(err) == "" {
			t.Errorf("with hash %q: %v", bad, err)
		}
	}
	for _, signers := range [][]string{{}, {"anna/recovery"}, {"anna", "ben", "cora"}, {"command", "stop", "log"}, {"anna/recovery", "ben"}} {
		env := s.signRoot(signers...)
		if _, err := link.NewTrust(env, payloadHash(t, env)); core.KindOf(err) != core.KindDenied {
			t.Errorf("signed by %v: %v", signers, err)
		}
	}
}

// next is the site's following root: version + 1.
func (s *site) next() *site {
	n := *s
	root := *s.root
	root.Version++
	root.Roles = slices.Clone(root.Roles)
	root.Persons = slices.Clone(root.Persons)
	n.root = &root
	return &n
}

// TRUST F01, the captured server: it holds its own keys, the log and the
// database, and tries every way to a root of its own.
func TestCapturedServerCannotMakeATrustRoot(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()

	// The server's own root: mallory takes anna's place, with new keys.
	mine := s.next()
	mine.root.Persons[0].Keys = []string{s.text("mallory"), s.text("mallory/recovery")}
	mine.role(link.RoleRoot).KeyIDs = []string{s.id("mallory/recovery"), s.id("ben/recovery"), s.id("cora/recovery")}

	skip := s.next()
	skip.root.Version = 3

	back := s.next()
	back.root.Version = 0 // below; encoded by hand as version 1 with other content
	back.root.Version = 1
	back.root.Issued++

	other := s.next()
	other.root.Installation = "other"

	rows := []struct {
		name string
		site *site
		sign []string
		kind core.Kind
		want string
	}{
		{"(a) the server", s.next(), []string{"command", "stop"}, core.KindDenied, "is no person's key"},
		{"(b) one root key", s.next(), []string{"anna/recovery"}, core.KindDenied, "has 1 [anna]"},
		{"(b) one root key and the server", s.next(), []string{"anna/recovery", "command"}, core.KindDenied, "has 1 [anna]"},
		{"(c) the new root's keys only", mine, []string{"mallory/recovery", "mallory"}, core.KindDenied, "by the rules of version 1"},
		{"(c) one old, one new", mine, []string{"mallory/recovery", "ben/recovery"}, core.KindDenied, "by the rules of version 1"},
		{"the old root's keys only", mine, []string{"anna/recovery", "cora/recovery"}, core.KindDenied, "by the rules of version 2"},
		{"(d) a version skipped", skip, s.quorum(), core.KindDenied, "one at a time"},
		{"(e) an older version", back, s.quorum(), core.KindReplayed, "not newer"},
		{"(f) two keys of one person", s.next(), []string{"anna/recovery", "anna"}, core.KindDenied, "has 1 [anna]"},
		{"everyday keys of everybody", s.next(), []string{"anna", "ben", "cora"}, core.KindDenied, "has 0"},
		{"another installation", other, s.quorum(), core.KindDenied, "installation"},
	}
	for _, row := range rows {
		env := row.site.signRoot(row.sign...)
		next, err := tr.Update(env, s.logged(env))
		if next != nil || core.KindOf(err) != row.kind || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	if _, err := tr.Update(tr.Envelope(), s.logged(tr.Envelope())); core.KindOf(err) != core.KindReplayed || !strings.Contains(err.Error(), "in force") {
		t.Errorf("the root in force: %v", err)
	}
	env := s.next().signRoot(s.quorum()...)
	if _, err := tr.Update(env, s.logged(env)); err != nil {
		t.Errorf("the honest update: %v", err)
	}
}

// (f) with one person holding two recovery keys.
func TestTwoRootKeysOfOnePersonAreOnePerson(t *testing.T) {
	s := quorumSite(t)
	s.root.Persons[0].Keys = append(s.root.Persons[0].Keys, s.text("anna/spare"))
	s.role(link.RoleRoot).KeyIDs = append(s.role(link.RoleRoot).KeyIDs, s.id("anna/spare"))
	tr := s.trust()
	env := s.next().signRoot("anna/recovery", "anna/spare")
	if _, err := tr.Update(env, s.logged(env)); core.KindOf(err) != core.KindDenied || !strings.Contains(err.Error(), "1 [anna] with 2 key(s)") {
		t.Error(err)
	}
}

// One person, three recovery keys, two needed (F22).
func TestSingleOperatorNeedsKOfNRecoveryKeys(t *testing.T) {
	s := soloSite(t)
	s.root.Persons[0].Keys = append(s.root.Persons[0].Keys, s.text("r2"), s.text("r3"))
	root := s.role(link.RoleRoot)
	root.KeyIDs = append(root.KeyIDs, s.id("r2"), s.id("r3"))
	root.KeysThreshold = 2
	env := s.signRoot("r2", "r3")
	tr, err := link.NewTrust(env, payloadHash(t, env))
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{{"r2"}, {"owner", "r2"}, {"owner"}} {
		env := s.next().signRoot(names...)
		if _, err := tr.Update(env, s.logged(env)); core.KindOf(err) != core.KindDenied {
			t.Errorf("%v: %v", names, err)
		}
	}
	env = s.next().signRoot("owner", "owner/recovery", "r3")
	if _, err := tr.Update(env, s.logged(env)); err != nil {
		t.Error(err)
	}
}

// Recovery keys alone wait; the everyday keys of the policy role lift the delay.
func TestRecoveryWaits(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	env := s.next().signRoot("anna/recovery", "cora/recovery")
	proof := s.logged(env)
	su, err := tr.Succeed(env, proof)
	if err != nil || su.Delay != 72*time.Hour || su.Next.Root().Version != 2 {
		t.Fatalf("%+v, %v", su, err)
	}
	if _, err := tr.Update(env, proof); core.KindOf(err) != core.KindConflict || core.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	env = s.next().signRoot("anna/recovery", "cora/recovery", "ben")
	if su, err := tr.Succeed(env, s.logged(env)); err != nil || su.Delay == 0 {
		t.Errorf("one of two everyday keys lifts the delay: %+v, %v", su, err)
	}
	env = s.next().signRoot(s.quorum()...)
	if su, err := tr.Succeed(env, s.logged(env)); err != nil || su.Delay != 0 {
		t.Errorf("%+v, %v", su, err)
	}
}

func TestUpdateWantsItsEntryInTheLog(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	env := s.next().signRoot(s.quorum()...)
	leaf := rootLeaf(payloadHash(t, env))
	good := s.logged(env)

	foreign := newTestLog(t, "other log", origin)
	elsewhere := newTestLog(t, "log", "interlock.example/test/other")
	wrongLeaf := func(leaf string) []byte { return s.log.proof(s.log.append([]byte(leaf)), []byte(leaf)) }
	rows := []struct {
		name  string
		proof []byte
		want  string
	}{
		{"none", nil, "header"},
		{"without leaf", s.log.proof(0, nil), "audit leaf"},
		{"another root's leaf", wrongLeaf(string(rootLeaf(strings.Repeat("0", 64)))), "want"},
		{"leaf of another type", wrongLeaf(strings.Replace(string(leaf), "authority", "fact", 1)), "want"},
		{"leaf with two types", wrongLeaf(strings.Replace(string(leaf), `"v":1`, `"type":"x"`, 1)), "twice"},
		{"leaf with a Type", wrongLeaf(strings.Replace(string(leaf), `"v":1`, `"Type":"x"`, 1)), "differs in case"},
		{"header and more", wrongLeaf(strings.Replace(string(leaf), "}\n", "}{}\n", 1)), "end of the leaf"},
		{"leaf that is not in the log", s.log.proof(0, append(bytes.Clone(leaf), ' ')), "is not in the log"},
		{"another log key", foreign.proof(foreign.append(leaf), leaf), "checkpoint"},
		{"another origin", elsewhere.proof(elsewhere.append(leaf), leaf), "checkpoint"},
		{"bytes after", append(bytes.Clone(good), '\n'), ""},
		{"index spelt with a zero", bytes.Replace(good, []byte("index "), []byte("index 0"), 1), "canonical"},
		{"carriage returns", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), "canonical"},
		{"huge", make([]byte, 1<<20), "at most"},
	}
	for _, row := range rows {
		if _, err := tr.Update(env, row.proof); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
	}
	if _, err := tr.Update(env, good); err != nil {
		t.Error(err)
	}
}

// witnessed makes a site whose root names two of three witnesses.
func witnessed(t *testing.T) (*site, []witness) {
	s := quorumSite(t)
	ws := []witness{newWitness(t, "w1"), newWitness(t, "w2"), newWitness(t, "w3")}
	for _, w := range ws {
		s.root.Witness += w.line()
	}
	s.root.Witness += "group g 2 w1 w2 w3\nquorum g\n"
	return s, ws
}

func TestUpdateWantsTheWitnessQuorumOfTheOldRoot(t *testing.T) {
	s, ws := witnessed(t)
	tr := s.trust()
	env := s.next().signRoot(s.quorum()...)
	sybils := make([]note.Signer, 20)
	for i := range sybils {
		sybils[i] = newWitness(t, "sybil"+string(rune('a'+i))).signer
	}
	for name, cosigners := range map[string][]note.Signer{
		"none": nil, "one": {ws[0].signer}, "strangers": sybils,
	} {
		if _, err := tr.Update(env, s.logged(env, cosigners...)); core.KindOf(err) != core.KindDenied || !strings.Contains(err.Error(), "quorum") {
			t.Errorf("%s: %v", name, err)
		}
	}
	next, err := tr.Update(env, s.logged(env, ws[0].signer, ws[2].signer, sybils[0]))
	if err != nil {
		t.Fatal(err)
	}
	if !next.Witnessed() {
		t.Error("the witnesses are gone")
	}
	none := s.next()
	none.root.Witness = ""
	env = none.signRoot(s.quorum()...)
	if _, err := tr.Update(env, s.logged(env, ws[0].signer, ws[1].signer)); core.KindOf(err) != core.KindDenied || !strings.Contains(err.Error(), "never none again") {
		t.Errorf("witnesses removed: %v", err)
	}
}

func TestProofSaysWhenWitnessesSawIt(t *testing.T) {
	s, ws := witnessed(t)
	tr := s.trust()
	leaf := []byte("x")
	before := time.Now().Add(-2 * time.Second)
	p, err := link.VerifyProof(tr, s.log.proof(s.log.append(leaf), nil, ws[0].signer, ws[1].signer), leaf)
	if err != nil {
		t.Fatal(err)
	}
	if p.Index != 0 || p.Size != 1 || len(p.Witnessed) != 2 || p.Witnessed[0].Before(before) {
		t.Errorf("%+v", p)
	}
	// Witnesses vouch for a log's growth; they do not speak for it.
	text, _, _ := strings.Cut(s.log.checkpoint(), "\n\n")
	alone, err := note.Sign(&note.Note{Text: text + "\n"}, ws[0].signer, ws[1].signer, ws[2].signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.VerifyCheckpoint(tr, string(alone)); core.KindOf(err) != core.KindDenied || !strings.Contains(err.Error(), "not signed by the log key") {
		t.Errorf("signed by the witnesses alone: %v", err)
	}
	cp, err := link.VerifyCheckpoint(tr, s.log.checkpoint())
	if err != nil || cp.Size != 1 || cp.Witnessed != nil {
		t.Errorf("a checkpoint before its witnesses: %+v, %v", cp, err)
	}
}

func TestCheckpointForms(t *testing.T) {
	s := quorumSite(t)
	tr := s.trust()
	s.log.append([]byte("x"))
	good := s.log.checkpoint()
	resign := func(text string) string {
		out, err := note.Sign(&note.Note{Text: text}, s.log.signer)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	text, _, _ := strings.Cut(good, "\n\n")
	text += "\n"
	for name, bad := range map[string]string{
		"empty": "", "unsigned": text, "huge": good + strings.Repeat("x", 1<<20),
		"another origin": resign(strings.Replace(text, origin, "x", 1)),
		"size spelt 01":  resign(strings.Replace(text, "\n1\n", "\n01\n", 1)),
		"short hash":     resign(origin + "\n1\nAAAA\n"),
		"two lines":      resign(origin + "\n1\n"),
		"huge size":      resign(strings.Replace(text, "\n1\n", "\n18446744073709551615\n", 1)),
	} {
		if _, err := link.VerifyCheckpoint(tr, bad); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := link.VerifyCheckpoint(tr, good); err != nil {
		t.Error(err)
	}
	if _, err := link.VerifyCheckpoint(tr, strings.Repeat("x", 1<<20)); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
	if _, err := link.NewProof(0, [][]byte{{1}}, good, nil); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a path of one byte: %v", err)
	}
}

func FuzzNewTrust(f *testing.F) {
	s := newSite(f, link.ModeQuorum, "anna", "ben", "cora")
	payload, err := link.EncodeRoot(s.root)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := link.DecodeRoot(payload)
		if err != nil {
			return
		}
		if _, err := link.EncodeRoot(r); err != nil {
			t.Fatalf("decoded and not encodable: %v", err)
		}
	})
}

func FuzzVerifyProof(f *testing.F) {
	s := newSite(f, link.ModeQuorum, "anna", "ben", "cora")
	tr := s.trust()
	s.log.append([]byte("a"))
	s.log.append([]byte("leaf"))
	good := s.log.proof(1, nil)
	f.Add(good, []byte("leaf"))
	f.Fuzz(func(t *testing.T, proof, leaf []byte) {
		if _, err := link.VerifyProof(tr, proof, leaf); err == nil && string(leaf) != "leaf" && string(leaf) != "a" {
			t.Errorf("proved %q", leaf)
		}
	})
}
