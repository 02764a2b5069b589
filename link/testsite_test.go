package link_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

const origin = "interlock.example/test/acme"

var issued = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// testLog is a transparency log in memory, built on x/mod alone, so that what
// link verifies was not made by link.
type testLog struct {
	t      testing.TB
	signer note.Signer
	vkey   string
	hashes []tlog.Hash
	size   int64
}

func newTestLog(t testing.TB, name, origin string) *testLog {
	t.Helper()
	skey, vkey := noteKeys(t, name, origin)
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &testLog{t: t, signer: s, vkey: vkey}
}

// noteKeys makes the same note keys for the same name.
func noteKeys(t testing.TB, name, noteName string) (skey, vkey string) {
	t.Helper()
	key := edKey(name)
	vkey, err := note.NewEd25519VerifierKey(noteName, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Split(vkey, "+")[1]
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", noteName, id, base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))), vkey
}

func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *testLog) append(leaf []byte) uint64 {
	l.t.Helper()
	h, err := tlog.StoredHashes(l.size, leaf, l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes = append(l.hashes, h...)
	l.size++
	return uint64(l.size - 1)
}

func (l *testLog) checkpoint(cosigners ...note.Signer) string {
	l.t.Helper()
	root, err := tlog.TreeHash(l.size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	cp := flog.Checkpoint{Origin: l.signer.Name(), Size: uint64(l.size), Hash: root[:]}
	out, err := note.Sign(&note.Note{Text: string(cp.Marshal())}, append([]note.Signer{l.signer}, cosigners...)...)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(out)
}

func (l *testLog) path(index uint64) [][]byte {
	l.t.Helper()
	p, err := tlog.ProveRecord(l.size, int64(index), l)
	if err != nil {
		l.t.Fatal(err)
	}
	out := [][]byte{}
	for _, h := range p {
		out = append(out, h[:])
	}
	return out
}

func (l *testLog) proof(index uint64, leaf []byte, cosigners ...note.Signer) []byte {
	l.t.Helper()
	p, err := link.NewProof(index, l.path(index), l.checkpoint(cosigners...), leaf)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// auditLeaf has the shape of an audit leaf: a header line, then ciphertext,
// which may hold any byte.
func auditLeaf(kind, object string) []byte {
	return []byte(`{"v":1,"type":"` + kind + `","time":1795262400000000,"actor":"service/fleet","object":"` + object + `","revision":2,"mac":"00"}` + "\n\xff\x00\n{\"type\":\"x\"}\x80")
}

// rootLeaf is the leaf of a trust root.
func rootLeaf(hash string) []byte { return auditLeaf("authority", link.RootObject(hash)) }

// witness is an outside witness: its policy name, cosigner and vkey.
type witness struct {
	name   string
	signer note.Signer
	vkey   string
}

func newWitness(t testing.TB, name string) witness {
	t.Helper()
	skey, vkey := noteKeys(t, name, name+".example")
	s, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	v, err := fnote.VKeyToCosignatureV1(vkey)
	if err != nil {
		t.Fatal(err)
	}
	return witness{name, s, v}
}

func (w witness) line() string { return "witness " + w.name + " " + w.vkey + "\n" }

// site is an installation with three persons, or one, whose keys are all in
// the test's hands.
type site struct {
	t    testing.TB
	log  *testLog
	root *link.Root
	// keys by person, and "<person>/recovery"
	keys map[string]link.Signer
}

// key returns a person's everyday key, or with "/recovery" the offline one.
func (s *site) key(name string) link.Signer {
	s.t.Helper()
	if _, ok := s.keys[name]; !ok {
		s.keys[name] = edSigner(s.t, name)
	}
	return s.keys[name]
}

func (s *site) text(name string) string { return link.AuthorizedKey(s.key(name).PublicKey()) }

func (s *site) id(name string) string { return link.KeyID(s.key(name).PublicKey()) }

func newSite(t testing.TB, mode link.Mode, persons ...string) *site {
	t.Helper()
	s := &site{t: t, log: newTestLog(t, "log", origin), keys: map[string]link.Signer{}}
	threshold := 2
	if mode == link.ModeSingleOperator {
		threshold = 1
	}
	s.root = &link.Root{
		V: 1, Installation: "test", Tenant: core.MustID[core.TenantID]("acme"), Version: 1, Mode: mode,
		Issued: issued.UnixMicro(), ReviewBy: issued.AddDate(1, 0, 0).UnixMicro(),
		CommandKey: s.text("command"), StopKey: s.text("stop"), LogKey: s.log.vkey, LogOrigin: origin,
		CAPins: []string{strings.Repeat("ab", 32)}, Servers: []string{"interlock.example:8443"}, MinAgent: "1.2.0",
		ReleaseDelay: 600, RecoveryDelay: 72 * 3600,
	}
	var members []core.PersonID
	var recovery []string
	for _, p := range persons {
		id := core.MustID[core.PersonID](p)
		members = append(members, id)
		recovery = append(recovery, s.id(p+"/recovery"))
		s.root.Persons = append(s.root.Persons, link.Person{ID: id, Name: strings.ToUpper(p), Keys: []string{s.text(p), s.text(p + "/recovery")}})
	}
	for _, name := range link.PersonRoles {
		r := link.Role{Name: name, Threshold: threshold, Members: members}
		if name == link.RoleRoot {
			r.KeyIDs = recovery
		}
		s.root.Roles = append(s.root.Roles, r)
	}
	return s
}

func quorumSite(t testing.TB) *site {
	t.Helper()
	return newSite(t, link.ModeQuorum, "anna", "ben", "cora")
}

func soloSite(t testing.TB) *site {
	t.Helper()
	return newSite(t, link.ModeSingleOperator, "owner")
}

// role finds a role of the root to change it.
func (s *site) role(name link.RoleName) *link.Role {
	for i := range s.root.Roles {
		if s.root.Roles[i].Name == name {
			return &s.root.Roles[i]
		}
	}
	s.t.Fatalf("no role %s", name)
	return nil
}

func (s *site) signRoot(names ...string) []byte {
	s.t.Helper()
	payload, err := link.EncodeRoot(s.root)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.seal(link.NamespaceRoot, payload, names...)
}

func (s *site) seal(namespace string, payload []byte, names ...string) []byte {
	s.t.Helper()
	e := s.envelope(namespace, payload, names...)
	b, err := e.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *site) envelope(namespace string, payload []byte, names ...string) *link.Envelope {
	s.t.Helper()
	var signers []link.Signer
	for _, n := range names {
		signers = append(signers, s.key(n))
	}
	e, err := link.SealEnvelope(namespace, payload, signers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// quorum returns who must sign a root for it to be taken at once.
func (s *site) quorum() []string {
	if s.root.Mode == link.ModeSingleOperator {
		return []string{"owner/recovery", "owner"}
	}
	return []string{"anna/recovery", "ben/recovery", "anna", "ben"}
}

// trust takes the site's root on the word of its hash.
func (s *site) trust() *link.Trust {
	s.t.Helper()
	env := s.signRoot(s.quorum()...)
	t, err := link.NewTrust(env, payloadHash(s.t, env))
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

func payloadHash(t testing.TB, envelope []byte) string {
	t.Helper()
	e, err := link.ParseEnvelope(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", link.BatchHash(e.Payload))
}

// logged writes a root into the log and returns the proof for it.
func (s *site) logged(envelope []byte, cosigners ...note.Signer) []byte {
	s.t.Helper()
	leaf := rootLeaf(payloadHash(s.t, envelope))
	return s.log.proof(s.log.append(leaf), leaf, cosigners...)
}
