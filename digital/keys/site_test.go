package keys_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	flog "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

var (
	start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	acme  = core.MustID[core.TenantID]("acme")
	hall  = core.MustID[core.SiteID]("hall-1")
	press = core.MustID[core.DeviceID]("press-7")
)

const origin = "interlock.example/keys-test"

// auditLog is a transparency log in memory, made on x/mod alone.
type auditLog struct {
	t      testing.TB
	signer note.Signer
	vkey   string
	hashes []tlog.Hash
	size   int64
}

func newLog(t testing.TB, seed string) *auditLog { return logAt(t, seed, origin) }

func logAt(t testing.TB, seed, origin string) *auditLog {
	t.Helper()
	key := edKey("log " + seed)
	vkey, err := note.NewEd25519VerifierKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, strings.Split(vkey, "+")[1], base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)))
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return &auditLog{t: t, signer: s, vkey: vkey}
}

func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("keys test " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (l *auditLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

// append puts a leaf into the log and returns its proof.
func (l *auditLog) append(leaf []byte) []byte {
	l.t.Helper()
	h, err := tlog.StoredHashes(l.size, leaf, l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.hashes = append(l.hashes, h...)
	l.size++
	return l.proof(l.size-1, leaf)
}

func (l *auditLog) proof(index int64, extra []byte) []byte {
	l.t.Helper()
	path, err := tlog.ProveRecord(l.size, index, l)
	if err != nil {
		l.t.Fatal(err)
	}
	hashes := make([][]byte, len(path))
	for i := range path {
		hashes[i] = path[i][:]
	}
	root, err := tlog.TreeHash(l.size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	cp := flog.Checkpoint{Origin: l.signer.Name(), Size: uint64(l.size), Hash: root[:]}
	signed, err := note.Sign(&note.Note{Text: string(cp.Marshal())}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	p, err := link.NewProof(uint64(index), hashes, string(signed), extra)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// site is an installation of three persons around one keys process.
type site struct {
	t      testing.TB
	dir    string
	clock  *clocktest.Clock
	log    *auditLog
	opts   keys.Options
	client *keys.Client
	tap    *tap
	ended  chan struct{}
	err    error // valid once ended is closed
	root   link.Root
}

// allowServer is the default policy with the one permit that a server's own
// certificate needs beside it.
type allowServer struct{ *policy.Set }

func (a allowServer) Evaluate(who core.Principal, action core.Action, on core.Resource) core.Decision {
	if who.String() == "service/serve" && action == "keys.issue-server" {
		return core.Decision{Allowed: true}
	}
	return a.Set.Evaluate(who, action, on)
}

// shipped loads the policies that the product ships.
func shipped() keys.Evaluator {
	set, err := policy.Load(os.DirFS("../../policy/default"))
	if err != nil {
		panic(err) // a broken tree, not a finding of these tests
	}
	return allowServer{set}
}

// newSite starts keys and holds the ceremony.
func newSite(t testing.TB) *site {
	t.Helper()
	s := bareSite(t)
	s.start()
	s.ceremony()
	return s
}

func bareSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), clock: clocktest.New(start), log: newLog(t, "a")}
	s.opts = keys.Options{Policy: shipped(), Clock: s.clock}
	return s
}

// start serves s.dir in this process, over a pipe that is tapped.
func (s *site) start() {
	s.t.Helper()
	ours, theirs := socketpair(s.t)
	s.tap = &tap{Conn: ours}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.err = keys.Serve(context.Background(), theirs, s.dir, s.opts)
		_ = theirs.Close()
	}()
	client := keys.NewClient(s.tap)
	s.client, s.ended = client, ended
	s.t.Cleanup(func() {
		client.Close()
		<-ended
	})
}

func socketpair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]net.Conn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "test")
		if conns[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	return conns[0], conns[1]
}

func (s *site) stop() {
	s.t.Helper()
	s.client.Close()
	<-s.ended
	if s.err != nil {
		s.t.Errorf("keys ended with %v", s.err)
	}
}

func (s *site) restart() { s.t.Helper(); s.stop(); s.start() }

func signer(t testing.TB, name string) link.Signer {
	t.Helper()
	out, err := link.NewCryptoSigner(edKey(name))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *site) info() keys.PublicInfo {
	s.t.Helper()
	info, err := s.client.PublicInfo(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

// ceremony makes trust root 1 for what keys reports and has it adopted.
func (s *site) ceremony() {
	s.t.Helper()
	info := s.info()
	s.root = link.Root{
		V: 1, Installation: "test", Tenant: acme, Version: 1, Mode: link.ModeQuorum,
		Issued: start.UnixMicro(), ReviewBy: start.AddDate(1, 0, 0).UnixMicro(),
		CommandKey: info.CommandKey, StopKey: link.AuthorizedKey(signer(s.t, "stop").PublicKey()),
		LogKey: s.log.vkey, LogOrigin: origin, CAPins: info.CAPins,
		Servers: []string{"core.example:8443"}, ReleaseDelay: 600, RecoveryDelay: 72 * 3600,
	}
	var recovery []string
	var members []core.PersonID
	for _, p := range persons {
		day, off := signer(s.t, p), signer(s.t, p+" recovery")
		recovery = append(recovery, link.KeyID(off.PublicKey()))
		members = append(members, core.MustID[core.PersonID](p))
		s.root.Persons = append(s.root.Persons, link.Person{ID: core.MustID[core.PersonID](p), Name: p, Keys: []string{link.AuthorizedKey(day.PublicKey()), link.AuthorizedKey(off.PublicKey())}})
	}
	for _, name := range link.PersonRoles {
		r := link.Role{Name: name, Threshold: 2, Members: members}
		if name == link.RoleRoot {
			r.KeyIDs = recovery
		}
		s.root.Roles = append(s.root.Roles, r)
	}
	if err := s.client.AdoptRoot(s.t.Context(), s.signRoot(), nil); err != nil {
		s.t.Fatal(err)
	}
}

var persons = []string{"anna", "ben", "cora"}

// signRoot signs s.root with recovery and everyday keys of two persons.
func (s *site) signRoot() []byte {
	s.t.Helper()
	payload, err := link.EncodeRoot(&s.root)
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := link.SealEnvelope(link.NamespaceRoot, payload, signer(s.t, "anna"), signer(s.t, "ben"), signer(s.t, "anna recovery"), signer(s.t, "ben recovery"))
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := e.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

var (
	sites    = []core.SiteID{hall}
	playbook = core.Principal{Kind: core.KindService, ID: "playbook", Tenant: acme, Sites: sites}
	serve    = core.Principal{Kind: core.KindService, ID: "serve", Tenant: acme, Sites: sites}
)

// header is an intent's clear line, as audit writes it, with ciphertext behind.
func header(actor string, action core.Action, object string) map[string]any {
	return map[string]any{
		"v": 1, "type": "intent", "time": start.UnixMicro(), "actor": actor, "action": action, "object": object, "revision": 0,
		"outcome": "permitted", "class": "security", "key": "00", "intent": "", "outbox": 0, "salt": "00", "mac": "00",
	}
}

func (s *site) leaf(h map[string]any) []byte {
	s.t.Helper()
	line, err := json.Marshal(h)
	if err != nil {
		s.t.Fatal(err)
	}
	return append(line, "\n\x00\xff ciphertext"...)
}

// warrant records an intent and returns what is handed to keys.
func (s *site) warrant(who core.Principal, action core.Action, object string) keys.Warrant {
	s.t.Helper()
	kind, id, _ := strings.Cut(object, "/")
	actor := who.String()
	if who.Kind != core.KindService && who.Kind != core.KindDevice {
		actor = string(who.Kind) + "/~" + strings.Repeat("1f", 16)
	}
	leaf := s.leaf(header(actor, action, object))
	return keys.Warrant{
		Principal: who, Action: action, Leaf: leaf, Proof: s.log.append(leaf),
		Resource: core.Resource{Type: kind, ID: id, Tenant: acme, Site: hall},
	}
}

// order returns a good order of the type as a draft.
func (s *site) order(typ link.OrderType, device string, who core.Principal) *link.Order {
	s.t.Helper()
	now := s.clock.Now()
	o := &link.Order{
		V: 1, Type: typ, ID: core.NewUUID(now), Tenant: acme, Site: hall, Device: core.MustID[core.DeviceID](device), Requester: who.String(),
		Reason: "case opened", RootVersion: 1, Epoch: strings.Repeat("0a", 16), Counter: 1, Params: json.RawMessage("{}"),
		Issued: now.UnixMicro(), Expires: now.Add(time.Hour).UnixMicro(), Latches: []string{},
	}
	switch typ {
	case link.OrderRelease:
		o.Counter, o.Latches = 0, []string{strings.Repeat("0b", 16)}
	case link.OrderStop:
		o.Counter, o.Epoch = 0, ""
	case link.OrderDisarm:
		o.Params = json.RawMessage(fmt.Sprintf(`{"arming":"disarmed","until":%d}`, now.Add(time.Hour).UnixMicro()))
	case link.OrderBypass:
		o.Params = json.RawMessage(fmt.Sprintf(`{"sensor":"case","until":%d}`, now.Add(time.Hour).UnixMicro()))
	case link.OrderBaseline:
		o.Params = json.RawMessage(`{"sensor":"case","sha256":"` + strings.Repeat("0c", 32) + `"}`)
	case link.OrderPolicy:
		o.Params = json.RawMessage(`{"version":2,"sha256":"` + strings.Repeat("0c", 32) + `"}`)
	case link.OrderUpdate:
		o.Params = json.RawMessage(`{"version":"1.2.3","sha256":"` + strings.Repeat("0c", 32) + `","size":1}`)
	case link.OrderServerAddress:
		o.Params = json.RawMessage(`{"servers":["evil.example:8443"]}`)
	}
	return o
}

func (s *site) payload(o *link.Order) []byte {
	s.t.Helper()
	b, err := link.EncodeOrder(o)
	if err != nil {
		s.t.Fatalf("order %s: %v", o.Type, err)
	}
	return b
}

// sign asks for a quarantine as it should be asked for.
func (s *site) sign(device string) (keys.SignOrder, link.Signature, error) {
	s.t.Helper()
	r := keys.SignOrder{Warrant: s.warrant(playbook, "device.quarantine", "device/"+device), Payload: s.payload(s.order(link.OrderQuarantine, device, playbook))}
	sig, err := s.client.SignOrder(s.t.Context(), r)
	return r, sig, err
}

func newCSR(t testing.TB) []byte {
	t.Helper()
	return csrOf(t, newKey(t))
}

func csrOf(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// tap keeps every byte that crosses the socket.
type tap struct {
	net.Conn
	mu  sync.Mutex
	all bytes.Buffer
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.keep(p[:n])
	return n, err
}

func (c *tap) Write(p []byte) (int, error) {
	c.keep(p)
	return c.Conn.Write(p)
}

func (c *tap) keep(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.Write(p)
}

func (c *tap) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.all.Bytes())
}

func wantKind(t testing.TB, what string, err error, want core.Kind) {
	t.Helper()
	if err == nil || core.KindOf(err) != want {
		t.Errorf("%s: got %v (kind %s), want kind %s", what, err, core.KindOf(err), want)
	}
}
