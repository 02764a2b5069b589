package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/internal/devicetest"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/link"
)

// server is an agent listener whose every key the test holds: an honest server,
// or one that was taken over.
type server struct {
	t    testing.TB
	site *devicetest.Site
	srv  *httptest.Server

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced at each change
	batches  []link.Batch
	payloads map[string]bool // batches seen, as received
	results  []link.Result
	lines    []map[string]any
	renewed  int
	asked    int                                                 // requests for workload certificates
	workload func(verify.Identity) (id verify.Identity, ok bool) // nil: as asked; not ok: 409

	down      atomic.Bool                         // answers 503
	receipt   func(r *link.Receipt) *link.Receipt // nil: honest
	enrolWait atomic.Int32                        // answers 202 so many times
}

func newServer(t testing.TB, mode link.Mode) *server {
	t.Helper()
	s := &server{t: t, changed: make(chan struct{}), payloads: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /agent/v1/enrol", s.enrol)
	mux.HandleFunc("POST /agent/v1/batches", s.batch)
	mux.HandleFunc("POST /agent/v1/results", s.result)
	mux.HandleFunc("GET /agent/v1/orders", s.orders)
	mux.HandleFunc("GET /agent/v1/renew", func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, map[string]any{"v": 1, "challenge": strings.Repeat("c", 43), "expires": time.Now().Add(time.Minute).UnixMicro()})
	})
	mux.HandleFunc("POST /agent/v1/renew", s.renew)
	mux.HandleFunc("POST /agent/v1/workloads", s.workloads)
	s.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		// As the real listener: only renewal is open to what ran out.
		if certs := r.TLS.PeerCertificates; len(certs) > 0 && time.Now().After(certs[0].NotAfter) && r.URL.Path != "/agent/v1/renew" {
			http.Error(w, "expired", http.StatusGone)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	s.site = devicetest.New(t, mode, s.srv.Listener.Addr().String())
	chain, key := s.site.CA.Server("127.0.0.1")
	pins, err := verify.ParsePins(s.site.CA.Pin())
	s.must(err)
	s.srv.TLS = verify.Server{Pins: func() verify.Pins { return pins }, Clock: core.SystemClock{}}.TLS(func() (*tls.Certificate, error) {
		return &tls.Certificate{Certificate: chain, PrivateKey: key}, nil
	})
	// httptest puts a certificate of its own where there is none.
	s.srv.TLS.Certificates = []tls.Certificate{{Certificate: chain, PrivateKey: key}}
	s.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.srv.StartTLS()
	t.Cleanup(func() {
		s.srv.CloseClientConnections()
		s.srv.Close()
	})
	return s
}

func (s *server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) note(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	close(s.changed)
	s.changed = make(chan struct{})
}

// await blocks until fn holds for what the server has; the deadline only bounds
// a failure.
func (s *server) await(what string, fn func() bool) {
	s.t.Helper()
	deadline := time.After(3 * time.Minute)
	for {
		s.mu.Lock()
		ok, changed := fn(), s.changed
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond): // what the server does not see
		case <-deadline:
			s.mu.Lock()
			defer s.mu.Unlock()
			s.t.Fatalf("never: %s\nevents: %s\nresults: %.1500s", what, typesOf(s.batches), fmt.Sprintf("%+v", s.results))
		}
	}
}

func typesOf(batches []link.Batch) string {
	var names []string
	for _, b := range batches {
		for _, e := range b.Events {
			names = append(names, fmt.Sprintf("%s(%.120s)", e.Type, e.Fields))
		}
	}
	return strings.Join(names, "\n  ")
}

// find returns the first event that fits; call it within await or lock.
func (s *server) find(kind string, words ...string) *link.DeviceEvent {
	for _, b := range s.batches {
		for i, e := range b.Events {
			if e.Type == kind && contains(string(e.Fields), words) {
				return &b.Events[i]
			}
		}
	}
	return nil
}

func contains(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

func (s *server) event(kind string, words ...string) link.DeviceEvent {
	s.t.Helper()
	var found link.DeviceEvent
	s.await(kind+" "+strings.Join(words, " "), func() bool {
		e := s.find(kind, words...)
		if e != nil {
			found = *e
		}
		return e != nil
	})
	return found
}

func (s *server) resultOf(id core.UUID, outcome link.Outcome) link.Result {
	s.t.Helper()
	var found link.Result
	s.await(fmt.Sprintf("result %s of %s", outcome, id), func() bool {
		for _, r := range s.results {
			if r.Order == id && r.Outcome == outcome {
				found = r
				return true
			}
		}
		return false
	})
	return found
}

func (s *server) answer(w http.ResponseWriter, v any) {
	b, err := link.Encode(v)
	if err != nil {
		s.t.Error(err)
	}
	_, _ = w.Write(append(b, '\n'))
}

func (s *server) body(r *http.Request, v any) []byte {
	raw, err := io.ReadAll(r.Body)
	if err == nil && v != nil {
		err = link.DecodeStrict(raw, v)
	}
	if err != nil {
		s.t.Errorf("%s: %v", r.URL.Path, err)
	}
	return raw
}

func (s *server) publicKey(text string) *ecdsa.PublicKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		s.t.Error("no CSR")
		return nil
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		s.t.Error(err)
		return nil
	}
	pub, _ := csr.PublicKey.(*ecdsa.PublicKey)
	return pub
}

var identity = verify.Identity{Tenant: devicetest.Tenant, Device: devicetest.Device}

func (s *server) enrol(w http.ResponseWriter, r *http.Request) {
	var req struct {
		V         int    `json:"v"`
		Token     string `json:"token"`
		Device    string `json:"device"`
		PublicKey string `json:"public_key"`
		Serial    string `json:"serial"`
	}
	s.body(r, &req)
	if s.enrolWait.Add(-1) >= 0 {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"v":1,"device":"press-7","code":"x"}`))
		return
	}
	s.answer(w, map[string]any{
		"v": 1, "tenant": devicetest.Tenant, "site": devicetest.Place, "device": devicetest.Device,
		"certificate": s.site.CA.Management(identity, s.publicKey(req.PublicKey)), "root": json.RawMessage(s.site.RootEnvelope()), "log_checkpoint": "",
	})
}

func (s *server) renew(w http.ResponseWriter, r *http.Request) {
	var req struct {
		V         int           `json:"v"`
		CSR       string        `json:"csr"`
		Challenge link.Envelope `json:"challenge"`
	}
	s.body(r, &req)
	if !strings.Contains(string(req.Challenge.Payload), `"purpose":"interlock-renew@v1"`) {
		s.t.Errorf("proof %s", req.Challenge.Payload)
	}
	chain := s.site.CA.Management(identity, s.publicKey(req.CSR))
	s.note(func() { s.renewed++ })
	s.answer(w, map[string]any{"v": 1, "certificate": chain})
}

func (s *server) workloads(w http.ResponseWriter, r *http.Request) {
	var req struct {
		V    int            `json:"v"`
		Name core.ServiceID `json:"name"`
		CSR  string         `json:"csr"`
	}
	s.body(r, &req)
	var decide func(verify.Identity) (verify.Identity, bool)
	s.note(func() { s.asked++; decide = s.workload })
	id := verify.Identity{Tenant: devicetest.Tenant, Device: devicetest.Device, Workload: req.Name}
	if decide != nil {
		var ok bool
		if id, ok = decide(id); !ok {
			http.Error(w, "in quarantine", http.StatusConflict)
			return
		}
	}
	s.answer(w, map[string]any{"v": 1, "certificate": s.site.CA.Management(id, s.publicKey(req.CSR))})
}

// decide sets what becomes of requests for workload certificates.
func (s *server) decide(fn func(verify.Identity) (verify.Identity, bool)) {
	s.note(func() { s.workload = fn })
}

// signed opens an envelope that the connection's own key signed.
func (s *server) signed(w http.ResponseWriter, r *http.Request) []byte {
	raw := s.body(r, nil)
	env, err := link.ParseEnvelope(raw)
	if err == nil {
		var key ssh.PublicKey
		if key, err = ssh.NewPublicKey(r.TLS.PeerCertificates[0].PublicKey); err == nil {
			err = env.VerifiedBy(link.NamespaceBatch, key)
		}
	}
	if err != nil {
		s.t.Errorf("%s: %v", r.URL.Path, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil
	}
	return env.Payload
}

func (s *server) batch(w http.ResponseWriter, r *http.Request) {
	payload := s.signed(w, r)
	if payload == nil {
		return
	}
	b, err := link.DecodeBatch(payload)
	if err != nil {
		s.t.Error(err)
		return
	}
	receipt := s.site.Receipt(payload)
	s.note(func() {
		if !s.payloads[string(payload)] {
			s.payloads[string(payload)] = true
			s.batches = append(s.batches, *b)
		}
		if s.receipt != nil {
			receipt = s.receipt(receipt)
		}
	})
	s.answer(w, receipt)
}

func (s *server) result(w http.ResponseWriter, r *http.Request) {
	payload := s.signed(w, r)
	res, err := link.DecodeResult(payload)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.note(func() { s.results = append(s.results, *res) })
	s.answer(w, map[string]any{"v": 1, "order": res.Order, "state": "done"})
}

func (s *server) orders(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.Atoi(r.URL.Query().Get("after"))
	if err != nil {
		s.t.Error(err)
		return
	}
	flush := http.NewResponseController(w)
	say := func(v map[string]any) bool {
		b, err := json.Marshal(v)
		if err != nil {
			s.t.Error(err)
		}
		_, err = w.Write(append(b, '\n'))
		return err == nil && flush.Flush() == nil
	}
	if !say(map[string]any{"cursor": after, "kind": "ping"}) {
		return
	}
	for {
		s.mu.Lock()
		lines, changed := s.lines, s.changed
		s.mu.Unlock()
		for after < len(lines) {
			if !say(lines[after]) {
				return
			}
			after++
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// send puts an envelope on the stream.
func (s *server) send(kind string, envelope []byte, proof []byte) {
	s.note(func() {
		l := map[string]any{"cursor": len(s.lines) + 1, "kind": kind, "envelope": json.RawMessage(envelope)}
		if proof != nil {
			l["proof"] = proof
		}
		s.lines = append(s.lines, l)
	})
}

// state returns what the device last said of itself, for making orders.
func (s *server) state() (epoch string) {
	s.t.Helper()
	s.await("a batch", func() bool { return len(s.batches) > 0 })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.batches[len(s.batches)-1].Epoch
}

var counter atomic.Uint64

// order makes an order for the device as it is, and signs it.
func (s *server) order(kind link.OrderType, params any, change func(*link.Order), namespace string, keys ...string) (*link.Order, []byte) {
	s.t.Helper()
	raw, err := link.Encode(params)
	s.must(err)
	now := time.Now()
	o := &link.Order{
		V: 1, Type: kind, ID: core.NewUUID(now), Tenant: devicetest.Tenant, Site: devicetest.Place, Device: devicetest.Device,
		Requester: "service/playbook", Reason: "test", RootVersion: s.site.Root.Version, Epoch: s.state(), Counter: counter.Add(1),
		Params: raw, Issued: now.Add(-time.Minute).UnixMicro(), Expires: now.Add(time.Hour).UnixMicro(),
	}
	switch kind {
	case link.OrderRelease:
		o.Counter = 0
	case link.OrderReset:
		o.Issued = now.UnixMicro() // of a stop that came before
	}
	if change != nil {
		change(o)
	}
	payload, err := link.EncodeOrder(o)
	s.must(err)
	env, err := s.site.Seal(namespace, payload, keys...).Encode()
	s.must(err)
	return o, env
}

func (s *server) approved(kind link.OrderType, params any, change func(*link.Order), persons ...string) (*link.Order, []byte) {
	s.t.Helper()
	return s.order(kind, params, change, link.NamespaceApproval, persons...)
}

func latches(ids ...string) func(*link.Order) { return func(o *link.Order) { o.Latches = ids } }

// machine is a device that can be started, killed and looked at.
type machine struct {
	t       testing.TB
	s       *server
	cfg     agent.Config
	fw      *firewall
	offset  atomic.Int64 // added to the boot-time clock
	simPath string
	relay   string
	cancel  context.CancelFunc
	ended   chan error
}

// firewall is a firewall that remembers.
type firewall struct {
	mu      sync.Mutex
	on      bool
	applied []reflex.Allow
	err     error
}

func (f *firewall) Enforces() bool { return true }

func (f *firewall) Apply(a reflex.Allow) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = append(f.applied, a)
	f.on = f.err == nil
	return f.err
}

func (f *firewall) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = false
	return nil
}

func (f *firewall) Status(reflex.Allow) (reflex.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return reflex.Status{Present: f.on, Intact: f.on}, nil
}

func (f *firewall) isOn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

func newMachine(t testing.TB, s *server, change ...func(*agent.Config)) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, s: s, fw: &firewall{}, simPath: filepath.Join(dir, "sim.sock"), relay: filepath.Join(dir, "relay")}
	cfg := agent.Default()
	cfg.DataDir, cfg.RunDir, cfg.Demo, cfg.Firewall = filepath.Join(dir, "data"), filepath.Join(dir, "run"), true, m.fw
	cfg.Sensors = []agent.SensorConfig{agent.Simulated("case", m.simPath)}
	cfg.Outputs = []agent.OutputConfig{{ID: "motor", Driver: "file", Path: m.relay}}
	cfg.SpoolLimit, cfg.Debounce, cfg.RootHash = 1<<20, time.Millisecond, s.site.RootHash()
	cfg.Elapsed = func() time.Duration { return keystore.Elapsed() + time.Duration(m.offset.Load()) }
	cfg.Enrolment = core.NewSecret([]byte(enrolment(t, s)))
	for _, f := range change {
		f(&cfg)
	}
	m.cfg = cfg
	return m
}

func enrolment(t testing.TB, s *server) string {
	t.Helper()
	secret := make([]byte, 24)
	_, _ = rand.Read(secret)
	text, err := link.Enrolment{
		URL: s.srv.URL, CA: s.site.CA.Pin(), Root: s.site.RootHash(), ID: "tok-1", Secret: core.NewSecret(fmt.Appendf(nil, "%x", secret)),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (m *machine) start() *machine {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.ended = cancel, make(chan error, 1)
	go func() { m.ended <- agent.Main(ctx, m.cfg) }()
	m.t.Cleanup(m.stop)
	return m
}

func (m *machine) stop() {
	if m.cancel == nil {
		return
	}
	m.cancel()
	m.cancel = nil
	select {
	case err := <-m.ended:
		if err != nil {
			m.t.Errorf("agent: %v", err)
		}
	case <-time.After(3 * time.Minute):
		m.t.Error("the agent goes on")
	}
}

// sense plays one step on the simulated sensor.
func (m *machine) sense(step string) {
	m.t.Helper()
	m.senseAt(m.simPath, step)
}

func (m *machine) senseAt(socket, step string) {
	m.t.Helper()
	var c net.Conn
	var err error
	for deadline := time.Now().Add(3 * time.Minute); ; {
		if c, err = net.Dial("unix", socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			m.t.Fatal(err)
		}
	}
	defer c.Close()
	if _, err := c.Write([]byte(step + "\n")); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 200)
	if n, err := c.Read(b); err != nil || string(b[:n]) != "ok\n" {
		m.t.Fatalf("the sensor says %q, %v", b[:n], err)
	}
}

// opened opens the case and returns the latch.
func (m *machine) opened() string {
	m.t.Helper()
	m.sense(`{"do":"pulse","point":"lid","type":"case_opened","alarm":true,"severity":"critical"}`)
	return m.s.event("case_opened").Latch
}

func (m *machine) status() *agent.Status {
	m.t.Helper()
	var st *agent.Status
	m.s.await("the agent answers", func() (ok bool) {
		var err error
		st, err = agent.Ask(m.t.Context(), m.cfg.SocketPath())
		return err == nil
	})
	return st
}
