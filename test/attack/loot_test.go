package attack

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/test/rig"
)

// loot is what somebody has who took the disk of the server and of its keys
// process: every key that either of them could open unattended.
type loot struct {
	t     *testing.T
	paths app.Paths
	cfg   app.Config

	command, stop, logKey, ca link.Signer
	authority                 *pki.Authority
	later                     *pki.Authority // the same, in a thousand days
	log                       *audit.Log
	state                     *store.DB
}

// capture copies the server's folders, as they lie on its disk, and opens
// everything in the copy with the product's own packages.
func (s *site) capture() *loot {
	s.t.Helper()
	l := &loot{t: s.t, paths: app.Paths{Dir: filepath.Join(s.dir, "loot")}, cfg: s.cfg}
	if err := os.MkdirAll(l.paths.Dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"host", "keys", "audit", "state.db", "journal.db"} {
		copyAll(s.t, filepath.Join(s.data().Dir, name), filepath.Join(l.paths.Dir, name))
	}
	l.openHost()
	l.openKeys()
	return l
}

// copyAll copies a file or folder with its modes.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// openHost takes what serve holds: database, log and stop key.
func (l *loot) openHost() {
	l.t.Helper()
	ring, err := crypt.OpenHost(l.paths.Host())
	l.must(err)
	l.stop = l.edSigner(l.unsealed(ring, l.paths.Host(), "stop.key", "host/stop"))
	seed := l.unsealed(ring, l.paths.Host(), "log.key", "host/log")
	l.logKey = l.edSigner(seed)
	l.log, err = audit.Open(l.t.Context(), audit.Config{
		Dir: l.paths.Audit(), Origin: "interlock.local/" + l.cfg.Installation.String() + "/serve/" + l.cfg.Tenant.String(),
		Seed: core.NewSecret(seed), Sealer: ring, Clock: core.SystemClock{},
	})
	l.must(err)
	key := core.NewSecret(l.unsealed(ring, l.paths.Host(), "database.key", "host/database"))
	l.state, err = store.Open(l.t.Context(), store.Config{Driver: "sqlite", Path: l.paths.State(), Key: key})
	l.must(err)
	l.t.Cleanup(func() {
		if err := errors.Join(l.log.Close(), l.state.Close()); err != nil {
			l.t.Error(err)
		}
	})
}

// openKeys takes what the keys process holds: command key and authority.
func (l *loot) openKeys() {
	l.t.Helper()
	host, err := crypt.OpenHost(l.paths.Keys())
	l.must(err)
	l.command = l.edSigner(l.unsealed(host, l.paths.Keys(), "order.key", "keys/order"))
	vault, err := crypt.OpenVault(l.paths.Keys())
	l.must(err)
	dir := filepath.Join(l.paths.Keys(), "ca")
	parsed, err := x509.ParsePKCS8PrivateKey(l.unsealed(vault, dir, "root.key", "pki/root"))
	l.must(err)
	l.ca, err = link.NewCryptoSigner(parsed.(crypto.Signer))
	l.must(err)
	l.authority, err = pki.Open(l.t.Context(), pki.Config{Dir: dir, Sealer: vault, Recorder: forgetful{}, Clock: core.SystemClock{}, Name: "Interlock"})
	l.must(err)
	ahead := new(movable)
	ahead.jump(1000 * 24 * time.Hour)
	l.later, err = pki.Open(l.t.Context(), pki.Config{Dir: dir, Sealer: vault, Recorder: forgetful{}, Clock: ahead, Name: "Interlock"})
	l.must(err)
}

// forgetful records no issuance.
type forgetful struct{}

func (forgetful) Issued(context.Context, pki.Issuance) error { return nil }

func (l *loot) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *loot) unsealed(ring *crypt.Keyring, dir, name, context string) []byte {
	l.t.Helper()
	sealed, err := os.ReadFile(filepath.Join(dir, name))
	l.must(err)
	plain, err := ring.Open(sealed, context)
	l.must(err)
	return plain
}

func (l *loot) edSigner(seed []byte) link.Signer {
	l.t.Helper()
	s, err := link.NewCryptoSigner(ed25519.NewKeyFromSeed(seed))
	l.must(err)
	return s
}

// orderFromTable reads an order as the server stored it: its exact bytes and
// the signatures that it had collected.
func (l *loot) orderFromTable(id core.UUID) *link.Envelope {
	l.t.Helper()
	env := new(link.Envelope)
	var signatures []byte
	l.must(l.state.View(l.t.Context(), func(tx *store.Tx) error {
		return tx.QueryRow(l.t.Context(), `SELECT payload, signatures FROM fleet_orders WHERE tenant = $1 AND id = $2`, tenant, id).Scan(&env.Payload, &signatures)
	}))
	l.must(json.Unmarshal(signatures, &env.Signatures))
	return env
}

// logged puts a trust root into the stolen log and returns a proof that holds
// under the stolen log key.
func (l *loot) logged(payload []byte) []byte {
	l.t.Helper()
	res, err := l.log.Append(l.t.Context(), audit.Entry{
		Type: audit.TypeAuthority, Time: time.Now(), Actor: "person/anna", Action: "root.update", Object: link.RootObject(hashOf(payload)), Revision: 9,
		Outcome: "offered", Class: audit.ClassSecurity,
	})
	l.must(err)
	proof, err := l.log.Proof(l.t.Context(), res.Position)
	l.must(err)
	return proof
}

// serverCertificate has the stolen authority make the listener's certificate.
func (l *loot) serverCertificate() tls.Certificate {
	l.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	l.must(err)
	chain, err := l.authority.Issue(l.t.Context(), verify.ProfileServer, pki.Names{Hosts: l.cfg.Listen.Names}, &key.PublicKey)
	l.must(err)
	c := tls.Certificate{PrivateKey: key}
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		c.Certificate = append(c.Certificate, block.Bytes)
	}
	return c
}

// impostor is the captured server: it speaks TLS with a good certificate at the
// address that the devices know, and says what it likes.
type impostor struct {
	t     *testing.T
	loot  *loot
	http  *http.Server
	lines chan line
	// batch answers a batch; nil keeps every batch waiting.
	batch func(w http.ResponseWriter, env *link.Envelope)

	mu      sync.Mutex
	results map[core.UUID][]link.Result
	batches []*link.Envelope
	streams int // how many there have been
}

// line is one of a stream's. by is told which stream took it.
type line struct {
	text []byte
	by   chan<- int
}

// impersonate listens in the server's place.
func (l *loot) impersonate() *impostor {
	l.t.Helper()
	p := &impostor{t: l.t, loot: l, lines: make(chan line), results: map[core.UUID][]link.Result{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /agent/v1/orders", p.serveStream)
	mux.HandleFunc("POST /agent/v1/results", p.takeResult)
	mux.HandleFunc("POST /agent/v1/batches", p.takeBatch)
	mux.HandleFunc("/agent/v1/renew", p.renew)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	p.http = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: nil}
	tcp, err := net.Listen("tcp", l.cfg.Listen.Agents)
	l.must(err)
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{l.serverCertificate()}, ClientAuth: tls.RequestClientCert}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = p.http.Serve(tls.NewListener(tcp, cfg))
	}()
	l.t.Cleanup(func() { p.close(); <-served })
	return p
}

func (p *impostor) close() { _ = p.http.Close() }

// serveStream sends whatever the test says, as lines of the device's stream.
func (p *impostor) serveStream(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.streams++
	own := p.streams
	p.mu.Unlock()
	rc := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	_ = rc.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case l := <-p.lines:
			l.by <- own
			_, _ = w.Write(append(l.text, '\n'))
			_ = rc.Flush()
		}
	}
}

// takeResult keeps a device's answer, after checking that the device signed it.
func (p *impostor) takeResult(w http.ResponseWriter, r *http.Request) {
	res, err := p.readResult(r)
	if err != nil {
		p.t.Errorf("a result that is none: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.results[res.Order] = append(p.results[res.Order], *res)
	p.mu.Unlock()
	_, _ = io.WriteString(w, `{"v":1,"order":"`+res.Order.String()+`","state":"done"}`)
}

func (p *impostor) readResult(r *http.Request) (*link.Result, error) {
	env, err := readEnvelope(r)
	if err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(r.TLS.PeerCertificates[0].PublicKey)
	if err != nil {
		return nil, err
	}
	if err := env.VerifiedBy(link.NamespaceBatch, key); err != nil {
		return nil, err
	}
	return link.DecodeResult(env.Payload)
}

func readEnvelope(r *http.Request) (*link.Envelope, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return link.ParseEnvelope([]byte(strings.TrimSpace(string(body))))
}

func (p *impostor) takeBatch(w http.ResponseWriter, r *http.Request) {
	env, err := readEnvelope(r)
	if err != nil {
		p.t.Errorf("a batch that is none: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.batches = append(p.batches, env)
	answer := p.batch
	p.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	answer(w, env)
}

// answerBatches says how batches are answered from now on.
func (p *impostor) answerBatches(how func(http.ResponseWriter, *link.Envelope)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch = how
}

// renew answers a renewal with a certificate that the stolen authority makes
// for a time to come.
func (p *impostor) renew(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = fmt.Fprintf(w, `{"v":1,"challenge":%q,"expires":%d}`, strings.Repeat("A", 43), time.Now().Add(time.Minute).UnixMicro())
		return
	}
	var req fleet.RenewRequest
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = link.DecodeStrict(body, &req)
	}
	block, _ := pem.Decode([]byte(req.CSR))
	if err != nil || block == nil {
		p.t.Errorf("a renewal that is none: %v", err)
		return
	}
	pub, err := pki.PublicKeyOf(block.Bytes)
	if err != nil {
		p.t.Error(err)
		return
	}
	chain, err := p.loot.later.Issue(r.Context(), verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: tenant, Device: press}}, pub)
	if err != nil {
		p.t.Error(err)
		return
	}
	_, _ = fmt.Fprintf(w, `{"v":1,"certificate":%q}`, chain)
}

// receipt proves in the stolen log that a batch was taken. Nobody took it.
func (l *loot) receipt(env *link.Envelope) *link.Receipt {
	b, err := link.DecodeBatch(env.Payload)
	if err != nil {
		l.t.Errorf("a batch that is none: %v", err)
		return nil
	}
	group := [][32]byte{link.BatchHash(env.Payload)}
	res, err := l.log.Append(context.Background(), audit.Entry{
		Type: audit.TypeBatch, Time: time.Now(), Actor: "service/fleet", Action: "batch.append", Object: link.BatchGroupObject(link.GroupRoot(group)),
		Outcome: "received", Class: audit.ClassSystem,
	})
	if err != nil {
		l.t.Error(err)
		return nil
	}
	path, err := l.log.InclusionPath(res.Position.Index, res.Size)
	if err != nil {
		l.t.Error(err)
		return nil
	}
	return &link.Receipt{
		V: 1, Device: b.Device, Epoch: b.Epoch, First: b.First, Last: b.Last, Batch: hashOf(env.Payload), GroupSize: 1, GroupPath: [][]byte{},
		Leaf: res.Leaf, Index: res.Position.Index, LeafPath: path, Checkpoint: string(res.Checkpoint),
	}
}

// say sends one line of a stream, which may have to be opened first, and returns
// which one took it.
func (p *impostor) say(text string) (stream int) {
	p.t.Helper()
	by := make(chan int, 1)
	select {
	case p.lines <- line{[]byte(text), by}:
		return <-by
	case <-time.After(rig.Patience):
		p.t.Fatal("the device does not listen to the captured server")
		return 0
	}
}

// sayOrder sends bytes that may or may not be an envelope.
func (p *impostor) sayOrder(cursor uint64, envelope []byte) (stream int) {
	p.t.Helper()
	return p.say(fmt.Sprintf(`{"cursor":%d,"kind":"order","envelope":%s}`, cursor, envelope))
}

// sayRoot sends a trust root with a proof.
func (p *impostor) sayRoot(envelope, proof []byte) {
	p.t.Helper()
	p.say(fmt.Sprintf(`{"cursor":0,"kind":"root","envelope":%s,"proof":%q}`, envelope, base64.StdEncoding.EncodeToString(proof)))
}

// send sends an envelope as an order and returns the device's signed answer.
func (p *impostor) send(id core.UUID, envelope []byte) link.Result {
	p.t.Helper()
	return p.sendAt(0, id, envelope)
}

// sendAt is send with a cursor. A line that the device had not read when it ended
// its stream, for one before it, is lost and said again on the next.
func (p *impostor) sendAt(cursor uint64, id core.UUID, envelope []byte) link.Result {
	p.t.Helper()
	before := len(p.answers(id))
	for {
		if res, ok := p.answer(id, before, p.sayOrder(cursor, envelope)); ok {
			return res
		}
	}
}

func (p *impostor) answers(id core.UUID) []link.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.results[id]
}

// lost is how long after a new stream was opened nothing is an answer to what was
// said on the one before.
const lost = 3 * time.Second

// answer waits for the device's answer number n to an order. It is not ok if the
// stream that took the order has ended without one.
func (p *impostor) answer(id core.UUID, n, stream int) (res link.Result, ok bool) {
	p.t.Helper()
	var ended time.Time
	rig.Await(p.t, "an answer to order "+id.String(), func() string { return fmt.Sprint(stream) }, func() bool {
		if got := p.answers(id); len(got) > n {
			res, ok = got[n], true
			return true
		}
		p.mu.Lock()
		newest := p.streams
		p.mu.Unlock()
		if newest == stream {
			return false
		}
		if ended.IsZero() {
			ended = time.Now()
		}
		return time.Since(ended) > lost
	})
	return res, ok
}
