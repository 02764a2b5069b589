package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
	"github.com/interlock-security/interlock/response/recovery"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
	"github.com/interlock-security/interlock/siem/explain"
	"github.com/interlock-security/interlock/siem/rules"
)

var (
	tenant = core.MustID[core.TenantID]("main")
	site   = core.MustID[core.SiteID]("hall-a")
	press  = core.MustID[core.DeviceID]("press-7")
	people = []ceremony.Person{{ID: named("anna"), Name: "Anna"}, {ID: named("bert"), Name: "Bert"}, {ID: named("cara"), Name: "Cara"}}
	// callers are who may come to the socket; a name that is not here is a
	// stranger.
	callers = map[string]core.Principal{
		"anna":  person("anna", core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator),
		"vera":  person("vera", core.RoleViewer),
		"nobby": person("nobby"),
		"bea":   {Kind: core.KindPerson, ID: "bea", Tenant: tenant, Roles: []string{core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer}, Sites: []core.SiteID{core.MustID[core.SiteID]("hall-b")}},
		"otto":  person("otto", core.RoleViewer, core.RoleSecurityOfficer),
	}
)

func named(name string) core.PersonID { return core.MustID[core.PersonID](name) }

func person(name string, roles ...string) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: name, Tenant: tenant, Roles: roles, Sites: []core.SiteID{site}}
}

const origin = "interlock.local/test/serve/main"

// rig is the API on a real unix socket, over real stores, a real log, the real
// Guard and a real trust root of three persons. The keys process is in this one.
type rig struct {
	t         *testing.T
	state     *store.DB
	raw       *store.DB
	frames    *journal.Raw
	log       *audit.Log
	ring      core.Sealer
	vkey      string
	guard     *policy.Guard
	registry  *fleet.Registry
	roots     *fleet.Roots
	outbox    *audit.Outbox
	authority *fleet.Authority
	enrol     *fleet.Enrolment
	orders    *fleet.Orders
	incident  *incident.Store
	engine    *playbook.Engine
	alerts    *alert.Store
	findings  *lifecycle.Store
	stops     *stop.Service
	people    *identity.People
	store     *eventStore
	tuning    *tuning.Tuning
	api       *api.API
	mux       *httpd.Mux
	keys      string // the folder with the people's keys
	socket    string
	http      *http.Client
	ending    chan struct{} // closed when the server begins to end
}

var (
	topicOrders    = journal.NewTopic("orders")
	topicIncidents = journal.NewTopic("incidents")
	topicAlerts    = journal.NewTopic("alerts")
	topicFindings  = journal.NewTopic("findings")
)

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "ilapi") // a socket's name is limited to 108 bytes
	r := &rig{t: t, keys: filepath.Join(dir, "people"), socket: filepath.Join(dir, "api.sock"), ending: make(chan struct{})}
	r.must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r.state = storetest.Open(t, storetest.Config(t, "sqlite"), journal.Migrations(), jobs.Migrations(), audit.Migrations(), fleet.Migrations(), identity.Migrations(),
		alert.Migrations(), detect.Migrations(), tuning.Migrations(), incident.Migrations(), playbook.Migrations(), lifecycle.Migrations())
	r.raw = storetest.Open(t, storetest.Config(t, "sqlite"), journal.RawMigrations())
	r.frames, err = journal.OpenRaw(t.Context(), r.raw, journal.RawOptions{})
	r.must(err)
	r.openLog(dir)
	r.guard = policy.NewGuard(policy.Default(), r, core.SystemClock{})
	r.openFleet(t.Context())
	r.incident = incident.NewStore(topicIncidents, audit.Put)
	r.incident.Sites = fleet.SiteOf
	r.openEngine()
	r.openStops()
	r.openPeople(dir)
	r.alerts, r.store = alert.NewStore(topicAlerts), &eventStore{}
	r.findings = lifecycle.NewStore(topicFindings, audit.Put, lifecycle.DefaultRules())
	r.openTuning()
	r.serve()
	return r
}

// library has the shipped rules compiled, for every rig.
var library detect.Library

func (r *rig) openTuning() {
	r.t.Helper()
	files, err := rules.Shipped()
	r.must(err)
	r.tuning = tuning.New(tuning.Parts{
		State: r.state, Journal: r.frames, Log: r.log, Facts: audit.Put, Guard: r.guard, Clock: core.SystemClock{}, Warn: slog.New(slog.DiscardHandler),
		Tenant: tenant, Shipped: files, Files: files, Library: &library,
	})
	r.must(r.tuning.Load(r.t.Context()))
	r.t.Cleanup(r.tuning.Close)
}

func (r *rig) explain(_ context.Context, ev *core.Event, o explain.Options) (explain.Report, error) {
	return explain.Received(r.tuning.InForce().Engine, ev, o), nil
}

func (r *rig) openLog(dir string) {
	r.t.Helper()
	ring, err := crypt.OpenHost(filepath.Join(dir, "host"))
	r.must(err)
	public, private, err := ed25519.GenerateKey(nil)
	r.must(err)
	r.vkey, err = note.NewEd25519VerifierKey(origin, public)
	r.must(err)
	r.ring = ring
	r.log, err = audit.Open(r.t.Context(), audit.Config{Dir: filepath.Join(dir, "audit"), Origin: origin, Seed: core.NewSecret(private.Seed()), Sealer: ring, Clock: core.SystemClock{}})
	r.must(err)
	r.t.Cleanup(func() { _ = r.log.Close() })
}

// Intent implements policy.Recorder.
func (r *rig) Intent(ctx context.Context, who core.Principal, do core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	outcome := "refused"
	if d.Allowed {
		outcome = "permitted"
	}
	res, err := r.log.Append(ctx, audit.Entry{Type: audit.TypeIntent, Actor: who.String(), Action: do, Object: on.String(), Outcome: outcome, Class: audit.ClassAudit, Body: map[string]any{"resource": on}})
	return res.Position, err
}

// stamp is a keys process that signs and issues whatever was permitted.
type stamp struct{ signer link.Signer }

func (s stamp) SignOrder(_ context.Context, _ fleet.Warrant, payload []byte) (link.Signature, error) {
	return link.Sign(s.signer, link.NamespaceOrder, payload)
}

func (stamp) IssueManagement(context.Context, fleet.Warrant, core.TenantID, core.DeviceID, []byte) ([]byte, error) {
	return []byte("chain"), nil
}

func (stamp) IssueWorkload(context.Context, fleet.Warrant, core.TenantID, core.DeviceID, core.ServiceID, []byte) ([]byte, error) {
	return []byte("chain"), nil
}

func newSigner(t *testing.T) link.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := link.NewCryptoSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) openFleet(ctx context.Context) {
	r.t.Helper()
	command := newSigner(r.t)
	made, err := ceremony.NewInstallation(ceremony.Options{
		Dir: r.keys, Installation: "test", Tenant: tenant, Persons: people, Now: time.Now(), CommandKey: link.AuthorizedKey(command.PublicKey()),
		StopKey: link.AuthorizedKey(newSigner(r.t).PublicKey()), LogKey: r.vkey, LogOrigin: origin,
		CAPins: []string{hex.EncodeToString(make([]byte, 32))}, Servers: []string{"localhost:7443"},
	})
	r.must(err)
	r.registry = fleet.NewRegistry(r.state, audit.Put, core.SystemClock{})
	r.roots = fleet.NewRoots(r.registry, r.log, r.guard)
	r.outbox = audit.NewOutbox(r.state, r.log)
	r.authority = fleet.NewAuthority(r.registry, r.roots, r.log, tenant, slog.New(slog.DiscardHandler))
	r.must(r.roots.Install(ctx, made.Root, made.RootHash))
	r.enrol = fleet.NewEnrolment(r.registry, r.guard, r.log, stamp{command}, r.roots)
	r.orders = fleet.NewOrders(r.registry, r.roots, stamp{command}, r.guard, topicOrders)
	r.compare()
}

// compare moves what waits into the log and holds the registry against it, as
// the server does all the time.
func (r *rig) compare() {
	r.t.Helper()
	for n := 1; n > 0; {
		var err error
		n, err = r.outbox.Drain(r.t.Context())
		r.must(err)
	}
	r.must(r.authority.Compare(r.t.Context()))
}

func (r *rig) openEngine() {
	r.t.Helper()
	books, err := playbook.Builtin()
	r.must(err)
	r.engine, err = playbook.NewEngine(playbook.Parts{
		State: r.state, Incidents: r.incident, Actions: action.NewRunner(r.guard, r.registry, r.orders), Verifier: recovery.NewVerifier(r.registry, r.log, core.SystemClock{}),
		Fleet: r.registry, Guard: r.guard, Would: r.guard.Set().Evaluate, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler), Books: books,
	})
	r.must(err)
}

// openStops brings a stop path up that signs nothing: nobody streams here.
func (r *rig) openStops() {
	r.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	ring := stop.NewMemoryRing(stop.RingOptions{Clock: core.SystemClock{}, Log: quiet})
	r.t.Cleanup(func() { _ = ring.Close() })
	r.stops = stop.NewService(stop.Config{
		Ring: ring, Hub: stop.NewHub(func(stop.Stop, stop.Target) ([]byte, error) { return []byte("{}"), nil }), Clock: core.SystemClock{}, Log: quiet,
	})
	persons := []stop.Person{}
	for _, name := range []string{"anna", "vera", "nobby"} {
		persons = append(persons, stop.Person{ID: named(name), Tenant: tenant, Sites: []core.SiteID{site}})
	}
	r.stops.SetPersons(persons)
}

// eventStore is an event store that remembers what it was asked.
type eventStore struct {
	asked events.Query
	step  time.Duration
	hits  []events.Hit
	err   error
}

// Search implements api.EventStore.
func (s *eventStore) Search(_ context.Context, q events.Query) ([]events.Hit, error) {
	s.asked = q
	return s.hits, s.err
}

// Histogram implements api.EventStore.
func (s *eventStore) Histogram(_ context.Context, q events.Query, step time.Duration) ([]events.Bucket, error) {
	s.asked, s.step = q, step
	return []events.Bucket{{Start: q.From, Count: 3}}, s.err
}

// serve opens the socket. Who calls is said in a header: that the kernel's word
// is taken in the product is tested where it is wired.
func (r *rig) serve() {
	r.t.Helper()
	runner := action.NewRunner(r.guard, r.registry, r.orders)
	r.api = api.New(api.Parts{
		Authenticate: func(q *http.Request) (core.Principal, error) {
			if _, err := httpd.PeerUID(q.Context()); err != nil {
				return core.Principal{}, err
			}
			who, known := callers[q.Header.Get("Caller")]
			if !known {
				return who, core.E(core.KindUnauthenticated, "test", "nobody knows this caller")
			}
			return who, nil
		},
		Guard: r.guard, State: r.state, Frames: r.frames, Log: r.log, Registry: r.registry, Enrolment: r.enrol, Orders: r.orders, Roots: r.roots,
		Seals:  seal.New(seal.Parts{DB: r.state, Registry: r.registry, Facts: audit.Put, Guard: r.guard, Sealer: r.ring, Clock: core.SystemClock{}}),
		Alerts: r.alerts, Tuning: r.tuning, Explain: r.explain, Incidents: r.incident, Playbooks: r.engine, Findings: r.findings, Stops: r.stops, People: r.people, Events: r.store, Clock: core.SystemClock{}, Warn: slog.New(slog.DiscardHandler), Ending: r.ending,
		Status: func(context.Context) (api.Status, error) { return api.Status{Health: core.HealthDegraded}, nil },
		Act: func(ctx context.Context, who core.Principal, id core.DeviceID, t link.OrderType, q api.ActRequest) (fleet.Order, error) {
			params, wait, err := q.Params(t, time.Now())
			if err != nil {
				return fleet.Order{}, err
			}
			return runner.Run(ctx, action.Request{Key: core.NewUUID(time.Now()).String(), Kind: action.Kind(t), Device: id, By: who, Reason: q.Reason, Params: params, TTL: wait})
		},
		EnrolmentString: func(_ context.Context, t fleet.Token, fact string) (string, error) {
			return "string of " + t.ID + " for " + fact, nil
		},
	})
	r.mux = r.api.Mux()
	l, err := httpd.ListenUnix(r.socket)
	r.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, httpd.NewServer(r.mux, slog.New(slog.DiscardHandler)), l) }()
	r.http = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", r.socket)
	}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// ask sends one request as caller and returns the status and the whole answer.
func (r *rig) ask(caller, method, path, body string) (int, []byte) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://interlock"+path, bytes.NewReader([]byte(body)))
	r.must(err)
	req.Header.Set("Caller", caller)
	res, err := r.http.Do(req)
	r.must(err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	r.must(err)
	return res.StatusCode, b
}

// get asks as anna for what must be there.
func get[T any](r *rig, path string) T { return send[T](r, http.MethodGet, path, "") }

// pageOf asks as anna for the first page of a list.
func pageOf[T any](r *rig, path string) []T { return get[api.Page[T]](r, path).Items }

func send[T any](r *rig, method, path, body string) (v T) {
	r.t.Helper()
	code, b := r.ask("anna", method, path, body)
	if code != http.StatusOK {
		r.t.Fatalf("%s %s: %d %s", method, path, code, b)
	}
	r.must(json.Unmarshal(b, &v))
	return v
}

// refused wants a problem document of the kind that says the words.
func (r *rig) refused(caller, method, path, body string, kind core.Kind, words ...string) {
	r.t.Helper()
	code, b := r.ask(caller, method, path, body)
	var p httpd.Problem
	if code < 400 || json.Unmarshal(b, &p) != nil || p.Title != kind.String() || p.Status != code {
		r.t.Errorf("%s %s %.80q: %d %.300s; want a problem of kind %s", method, path, body, code, b, kind)
		return
	}
	for _, w := range words {
		if !bytes.Contains(b, []byte(w)) {
			r.t.Errorf("%s %s: %s does not say %q", method, path, b, w)
		}
	}
}

// device brings a device in by a token: at once where fact is named by the
// token, into the queue otherwise.
func (r *rig) device(id core.DeviceID, queue bool) api.Device {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.must(err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	r.must(err)
	fact := fmt.Sprintf("%x", sha256.Sum256(spki))
	if queue {
		fact = ""
	}
	tok, err := r.enrol.CreateToken(r.t.Context(), callers["anna"], fleet.TokenRequest{Tenant: tenant, Site: site, Device: id, Fact: fact, TTL: time.Hour})
	r.must(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	r.must(err)
	_, _, err = r.enrol.Enrol(r.t.Context(), fleet.EnrolRequest{
		V: 1, Token: string(tok.Bearer().Reveal()), Device: id.String(), PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
	})
	r.must(err)
	r.compare()
	return get[api.Device](r, "/v1/devices/"+id.String())
}

// reports is what the fold would have made of a device's first batch.
func (r *rig) reports(id core.DeviceID) {
	r.t.Helper()
	r.sql(`UPDATE fleet_devices SET epoch = '0123456789abcdef0123456789abcdef', sequence = 4, last_seen = $1, link = 'online' WHERE id = $2`, time.Now().UnixMicro(), id)
	r.sql(`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ('main', $1, 'case', 'alarm', 1, 0)`, id)
	r.sql(`INSERT INTO fleet_latches (tenant, device, latch, sensor, type, since, is_open, simulated) VALUES ('main', $1, 'a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2', 'case', 'case_intrusion', 1, 1, 0)`, id)
}

func (r *rig) sql(statement string, args ...any) {
	r.t.Helper()
	r.must(r.state.Tx(r.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(r.t.Context(), statement, args...)
		return err
	}))
}

// tampered opens an incident about a device and has its run proposed.
func (r *rig) tampered(id core.DeviceID) (incident.Incident, playbook.Run) {
	r.t.Helper()
	ctx := r.t.Context()
	var in incident.Incident
	r.must(r.state.Tx(ctx, func(tx *store.Tx) (err error) {
		in, err = r.incident.Take(ctx, tx, incident.Alert{
			ID: core.NewUUID(time.Now()), Tenant: tenant, Rule: "interlock-device-tampered", Title: "Device tampered", Severity: core.SeverityHigh,
			Source: "file/auth.log", Device: id, Provenance: core.ProvenanceUnauthenticated, Count: 1, First: time.Now(), Last: time.Now(),
		}, time.Now())
		return err
	}))
	frames, err := topicIncidents.Bind(r.state).Read(ctx, 0, 1, 100)
	r.must(err)
	stage := r.engine.Stage(topicIncidents.Bind(r.state))
	for _, f := range frames {
		r.must(r.state.Tx(ctx, func(tx *store.Tx) error { return stage.Handle(ctx, tx, f) }))
	}
	runs, err := r.engine.List(ctx, tenant, in.ID)
	r.must(err)
	if len(runs) != 1 || runs[0].State != playbook.RunProposed {
		r.t.Fatalf("%d runs", len(runs))
	}
	return in, runs[0]
}

func (r *rig) raise() alert.Alert {
	r.t.Helper()
	var a alert.Alert
	r.must(r.state.Tx(r.t.Context(), func(tx *store.Tx) (err error) {
		a, err = alert.NewStore(topicAlerts).Raise(r.t.Context(), tx, alert.Raise{
			Tenant: tenant, Rule: alert.Rule{Name: "interlock-device-tampered", ID: "7c3b", Title: "Device tampered", Author: "Interlock"}, Severity: core.SeverityHigh,
			Device: press, Provenance: core.ProvenanceDevice, Events: []alert.Event{{ID: core.NewUUID(time.Now()), At: time.Now(), Source: "device/press-7"}}, Now: time.Now(),
		})
		return err
	}))
	return a
}

// event appends one frame of n events of a tenant, named by text.
func (r *rig) event(of core.TenantID, n int, text string) {
	r.t.Helper()
	f := journal.Frame{Kind: journal.KindEvents, Tenant: of, Source: "file/auth.log"}
	for i := range n {
		e := core.Event{
			ID: core.NewUUID(time.Now()), Time: time.Now(), Received: time.Now(), Tenant: of, Source: "file/auth.log", Provenance: core.ProvenanceLocal,
			Type: fmt.Sprintf("%s-%d", text, i), Severity: core.SeverityInfo, Fields: json.RawMessage("{}"),
		}
		b, err := json.Marshal(e)
		r.must(err)
		f.Records = append(f.Records, b)
	}
	_, err := r.frames.Append(r.t.Context(), f)
	r.must(err)
}
