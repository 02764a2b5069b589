package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	wire "github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
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
	"github.com/interlock-security/interlock/siem/rules"
)

var (
	plantTenant = core.MustID[core.TenantID]("main")
	plantSite   = core.MustID[core.SiteID]("hall-a")
	plantPress  = core.MustID[core.DeviceID]("press-7")
)

const plantLog = "interlock.local/test/serve/main"

// plant is the console over the real API, real stores on SQLite, a real log, the
// real Guard, a real stop path and a real trust root of three persons. The keys
// process is in this one; who is signed in is said by the cookie.
type plant struct {
	t         testing.TB
	state     *store.DB
	log       *audit.Log
	ring      core.Sealer
	vkey      string
	guard     *policy.Guard
	tuning    *tuning.Tuning
	registry  *fleet.Registry
	roots     *fleet.Roots
	outbox    *audit.Outbox
	authority *fleet.Authority
	enrol     *fleet.Enrolment
	orders    *fleet.Orders
	seals     *seal.Seals
	alerts    *alert.Store
	findings  *lifecycle.Store
	incidents *incident.Store
	engine    *playbook.Engine
	stops     *stop.Service
	api       *api.API
	console   *Console
	mode      string
	dir       string
}

var (
	plantOrders    = journal.NewTopic("orders")
	plantIncidents = journal.NewTopic("incidents")
	plantAlerts    = journal.NewTopic("alerts")
	plantFindings  = journal.NewTopic("findings")
)

// plantPeople are who may sign in: the cookie is the name.
var plantPeople = map[string]Session{
	"anna": plantPerson("anna", false, core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator),
	"vera": plantPerson("vera", false, core.RoleViewer),
	"otto": plantPerson("otto", false, core.RoleViewer, core.RoleOperator),
	"late": plantPerson("late", true, core.RoleViewer),
}

func plantPerson(name string, stopOnly bool, roles ...string) Session {
	id := core.MustID[core.PersonID](name)
	return Session{
		ID: "session-of-" + name, Person: id, Name: strings.ToUpper(name[:1]) + name[1:], Roles: roles, CSRF: "token-of-" + name, StopOnly: stopOnly,
		Principal: core.Principal{Kind: core.KindPerson, ID: name, Tenant: plantTenant, Roles: roles, Sites: []core.SiteID{plantSite}},
	}
}

// cookies stands for identity where a page is tested and not the sign-in.
type cookies struct{ People }

func (cookies) Lookup(cookie string, _ Client) (Session, error) {
	s, known := plantPeople[cookie]
	if !known {
		return s, core.E(core.KindUnauthenticated, "test", "nobody is signed in")
	}
	return s, nil
}

func (cookies) Approvals(context.Context) []identity.Approval { return nil }

func newPlant(t testing.TB) *plant {
	t.Helper()
	p := &plant{t: t, mode: "quorum"}
	dir, err := os.MkdirTemp("", "ilweb")
	p.must(err)
	p.dir = dir
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.state = storetest.Open(t, storetest.Config(t, "sqlite"), journal.Migrations(), jobs.Migrations(), audit.Migrations(), fleet.Migrations(),
		alert.Migrations(), detect.Migrations(), tuning.Migrations(), incident.Migrations(), playbook.Migrations(), lifecycle.Migrations())
	p.openLog(dir)
	p.guard = policy.NewGuard(policy.Default(), p, core.SystemClock{})
	p.openFleet(dir)
	p.openResponse()
	p.openTuning()
	p.openStops()
	p.open()
	return p
}

func (p *plant) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// hostileRule is the title of a rule that a site loaded without reading it.
const hostileRule = "<script>alert(1)</script>'><img src=x onerror=alert(2)>\u202eevil"

// plantRules has the rules compiled, for every plant.
var plantRules detect.Library

func (p *plant) openTuning() {
	p.t.Helper()
	files, err := rules.Shipped()
	p.must(err)
	files = append(files, rules.File{Name: "own/" + hostileRule + ".yml", Text: "title: " + strconv.Quote(hostileRule) + "\nid: 5c1a6f0e-0a52-4d0b-9a1c-8d1f0a6a7001\nname: hostile-rule\nauthor: " +
		strconv.Quote(hostileRule) + "\nlevel: low\nlogsource:\n  product: linux\ndetection:\n  selection:\n    x: y\n  condition: selection\n"})
	raw := storetest.Open(p.t, storetest.Config(p.t, "sqlite"), journal.RawMigrations())
	frames, err := journal.OpenRaw(context.Background(), raw, journal.RawOptions{})
	p.must(err)
	p.tuning = tuning.New(tuning.Parts{
		State: p.state, Journal: frames, Log: p.log, Facts: audit.Put, Guard: p.guard, Clock: core.SystemClock{}, Warn: slog.New(slog.DiscardHandler),
		Tenant: plantTenant, Shipped: files, Files: files, Library: &plantRules,
	})
	p.must(p.tuning.Load(context.Background()))
	p.t.Cleanup(p.tuning.Close)
}

func (p *plant) openLog(dir string) {
	p.t.Helper()
	ring, err := crypt.OpenHost(filepath.Join(dir, "host"))
	p.must(err)
	public, private, err := ed25519.GenerateKey(nil)
	p.must(err)
	p.vkey, err = note.NewEd25519VerifierKey(plantLog, public)
	p.must(err)
	p.ring = ring
	p.log, err = audit.Open(p.t.Context(), audit.Config{Dir: filepath.Join(dir, "audit"), Origin: plantLog, Seed: core.NewSecret(private.Seed()), Sealer: ring, Clock: core.SystemClock{}})
	p.must(err)
	p.t.Cleanup(func() { _ = p.log.Close() })
}

// Intent implements policy.Recorder.
func (p *plant) Intent(ctx context.Context, who core.Principal, do core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	outcome := "refused"
	if d.Allowed {
		outcome = "permitted"
	}
	res, err := p.log.Append(ctx, audit.Entry{Type: audit.TypeIntent, Actor: who.String(), Action: do, Object: on.String(), Outcome: outcome, Class: audit.ClassAudit, Body: on})
	return res.Position, err
}

// plantKeys is a keys process that signs and issues whatever was permitted.
type plantKeys struct{ signer wire.Signer }

func (k plantKeys) SignOrder(_ context.Context, _ fleet.Warrant, payload []byte) (wire.Signature, error) {
	return wire.Sign(k.signer, wire.NamespaceOrder, payload)
}

func (plantKeys) IssueManagement(context.Context, fleet.Warrant, core.TenantID, core.DeviceID, []byte) ([]byte, error) {
	return []byte("chain"), nil
}

func (plantKeys) IssueWorkload(context.Context, fleet.Warrant, core.TenantID, core.DeviceID, core.ServiceID, []byte) ([]byte, error) {
	return []byte("chain"), nil
}

func (p *plant) signer() wire.Signer {
	p.t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	p.must(err)
	s, err := wire.NewCryptoSigner(key)
	p.must(err)
	return s
}

func (p *plant) openFleet(dir string) {
	p.t.Helper()
	command := p.signer()
	persons := []ceremony.Person{}
	for _, name := range []string{"anna", "otto", "vera"} {
		persons = append(persons, ceremony.Person{ID: core.MustID[core.PersonID](name), Name: name})
	}
	made, err := ceremony.NewInstallation(ceremony.Options{
		Dir: filepath.Join(dir, "people"), Installation: "test", Tenant: plantTenant, Persons: persons, Now: time.Now(), CommandKey: wire.AuthorizedKey(command.PublicKey()),
		StopKey: wire.AuthorizedKey(p.signer().PublicKey()), LogKey: p.vkey, LogOrigin: plantLog,
		CAPins: []string{hex.EncodeToString(make([]byte, 32))}, Servers: []string{"localhost:7443"},
	})
	p.must(err)
	p.registry = fleet.NewRegistry(p.state, audit.Put, core.SystemClock{})
	p.roots = fleet.NewRoots(p.registry, p.log, p.guard)
	p.outbox = audit.NewOutbox(p.state, p.log)
	p.outbox.Settled = func(ctx context.Context, tx *store.Tx, e audit.Entry, at core.Position) error {
		id, err := core.ParseUUID(strings.TrimPrefix(e.Object, "incident/"))
		if err != nil {
			return nil // an entry of something else
		}
		return p.incidents.Settle(ctx, tx, plantTenant, id, e.Revision, at)
	}
	p.authority = fleet.NewAuthority(p.registry, p.roots, p.log, plantTenant, slog.New(slog.DiscardHandler))
	p.must(p.roots.Install(p.t.Context(), made.Root, made.RootHash))
	p.enrol = fleet.NewEnrolment(p.registry, p.guard, p.log, plantKeys{command}, p.roots)
	p.orders = fleet.NewOrders(p.registry, p.roots, plantKeys{command}, p.guard, plantOrders)
	p.settle()
}

// settle moves what waits into the log and holds the registry against it, as the
// server does all the time.
func (p *plant) settle() {
	p.t.Helper()
	for n := 1; n > 0; {
		var err error
		n, err = p.outbox.Drain(p.t.Context())
		p.must(err)
	}
	p.must(p.authority.Compare(p.t.Context()))
}

func (p *plant) openResponse() {
	p.t.Helper()
	p.alerts = alert.NewStore(plantAlerts)
	p.incidents = incident.NewStore(plantIncidents, audit.Put)
	p.findings = lifecycle.NewStore(plantFindings, audit.Put, lifecycle.DefaultRules())
	p.incidents.Sites = fleet.SiteOf
	books, err := playbook.Builtin()
	p.must(err)
	p.engine, err = playbook.NewEngine(playbook.Parts{
		State: p.state, Incidents: p.incidents, Actions: action.NewRunner(p.guard, p.registry, p.orders), Verifier: recovery.NewVerifier(p.registry, p.log, core.SystemClock{}),
		Fleet: p.registry, Guard: p.guard, Would: p.guard.Set().Evaluate, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler), Books: books,
	})
	p.must(err)
}

func (p *plant) openStops() {
	sign := func(s stop.Stop, t stop.Target) ([]byte, error) {
		return fmt.Appendf(nil, "%s %s", s.ID, t.Device), nil
	}
	p.stops = stop.NewService(stop.Config{Ring: stop.NewMemoryRing(stop.RingOptions{Slots: stop.MinSlots}), Hub: stop.NewHub(sign), Clock: core.SystemClock{}})
	var persons []stop.Person
	for _, s := range plantPeople {
		persons = append(persons, stop.Person{ID: s.Person, Tenant: plantTenant, Sites: s.Principal.Sites})
	}
	p.stops.SetPersons(persons)
}

// open makes the API and the console.
func (p *plant) open() {
	p.t.Helper()
	runner := action.NewRunner(p.guard, p.registry, p.orders)
	p.seals = seal.New(seal.Parts{DB: p.state, Registry: p.registry, Facts: audit.Put, Guard: p.guard, Sealer: p.ring, Clock: core.SystemClock{}})
	people, err := identity.NewPeople(identity.Parts{Console: "http://localhost:7400", Name: "test", Clock: core.SystemClock{}, Warn: slog.New(slog.DiscardHandler)})
	p.must(err)
	p.api = api.New(api.Parts{
		People: people,
		Authenticate: func(*http.Request) (core.Principal, error) {
			return core.Principal{}, core.E(core.KindUnauthenticated, "test", "no socket")
		},
		Guard: p.guard, State: p.state, Log: p.log, Registry: p.registry, Enrolment: p.enrol, Orders: p.orders, Roots: p.roots, Alerts: p.alerts, Tuning: p.tuning,
		Seals:     p.seals,
		Incidents: p.incidents, Findings: p.findings, Playbooks: p.engine, Stops: p.stops, Clock: core.SystemClock{}, Warn: slog.New(slog.DiscardHandler),
		Status: func(context.Context) (api.Status, error) {
			return api.Status{Health: core.HealthDegraded, Mode: p.mode}, nil
		},
		Act: func(ctx context.Context, who core.Principal, id core.DeviceID, t wire.OrderType, q api.ActRequest) (fleet.Order, error) {
			params, wait, err := q.Params(t, time.Now())
			if err != nil {
				return fleet.Order{}, err
			}
			return runner.Run(ctx, action.Request{Key: core.NewUUID(time.Now()).String(), Kind: action.Kind(t), Device: id, By: who, Reason: q.Reason, Params: params, TTL: wait})
		},
		EnrolmentString: func(_ context.Context, t fleet.Token, fact string) (string, error) { return t.ID + fact, nil },
	})
	p.console, err = New(Parts{
		API: p.api, People: cookies{}, Stops: p.stops, Guard: p.guard, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler), Origin: "http://localhost:7400",
		Standing: func() Standing { return Standing{Installation: "test", Mode: p.mode, Unwitnessed: true} },
	})
	p.must(err)
}

// ask sends a request as a person's browser would.
func (p *plant) ask(who, method, path string, form url.Values, change ...func(*http.Request)) (*http.Response, string) {
	p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(p.t.Context(), method, "http://localhost:7400"+path, body)
	r.Host = "localhost:7400"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://localhost:7400")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if who != "" {
		r.AddCookie(&http.Cookie{Name: Cookie, Value: who})
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	p.console.ServeHTTP(w, r)
	res := w.Result()
	b, err := io.ReadAll(res.Body)
	p.must(err)
	return res, string(b)
}

// as is the context of a person's call.
func (p *plant) as(who string) context.Context {
	return httpd.WithPrincipal(p.t.Context(), plantPeople[who].Principal)
}

// page wants a page.
func (p *plant) page(who, path string) string {
	p.t.Helper()
	res, body := p.ask(who, http.MethodGet, path, nil)
	if res.StatusCode != http.StatusOK {
		p.t.Fatalf("GET %s: %d %s", path, res.StatusCode, visibleText(body))
	}
	return body
}

// submit posts a form with its token and returns where it leads.
func (p *plant) submit(who, path string, fields ...string) string {
	p.t.Helper()
	form := url.Values{"csrf": {plantPeople[who].CSRF}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	res, body := p.ask(who, http.MethodPost, path, form)
	if res.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("POST %s: %d %s", path, res.StatusCode, visibleText(body))
	}
	return res.Header.Get("Location")
}

// visibleText is the main part of a page without its markup, for messages.
func visibleText(body string) string {
	if _, main, found := strings.Cut(body, "<main"); found {
		body = main
	}
	var b strings.Builder
	depth := 0
	for _, r := range body {
		switch {
		case r == '<':
			depth++
		case r == '>' && depth > 0:
			depth--
			b.WriteByte(' ')
		case depth == 0:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// device brings a device in by a token: at once, or into the queue.
func (p *plant) device(id core.DeviceID, queue bool) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.must(err)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	p.must(err)
	fact := fmt.Sprintf("%x", sha256.Sum256(spki))
	if queue {
		fact = ""
	}
	tok, err := p.enrol.CreateToken(p.t.Context(), plantPeople["anna"].Principal, fleet.TokenRequest{Tenant: plantTenant, Site: plantSite, Device: id, Fact: fact, TTL: time.Hour})
	p.must(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	p.must(err)
	_, _, err = p.enrol.Enrol(p.t.Context(), fleet.EnrolRequest{
		V: 1, Token: string(tok.Bearer().Reveal()), Device: id.String(), PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
	})
	p.must(err)
	p.settle()
	targets, err := p.registry.Targets(p.t.Context())
	p.must(err)
	p.stops.SetTargets(targets)
}

// reports is what the fold makes of a device's first batch: a case that is open,
// another sensor that is fine.
func (p *plant) reports(id core.DeviceID) {
	p.t.Helper()
	now := time.Now().UnixMicro()
	p.sql(`UPDATE fleet_devices SET epoch = '0123456789abcdef0123456789abcdef', sequence = 4, last_seen = $1, link = 'online' WHERE id = $2`, now, id)
	p.sql(`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ('main', $1, 'carrier', 'ok', $2, 0), ('main', $1, 'case', 'alarm', $2, 0)`, id, now)
	p.sql(`INSERT INTO fleet_latches (tenant, device, latch, sensor, type, since, is_open, simulated) VALUES ('main', $1, 'a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2', 'case', 'case_intrusion', $2, 1, 0)`, id, now)
}

func (p *plant) sql(statement string, args ...any) {
	p.t.Helper()
	p.must(p.state.Tx(p.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(p.t.Context(), statement, args...)
		return err
	}))
}

// raise raises an alert about a device.
func (p *plant) raise(id core.DeviceID, title string) alert.Alert {
	p.t.Helper()
	var a alert.Alert
	p.must(p.state.Tx(p.t.Context(), func(tx *store.Tx) (err error) {
		a, err = p.alerts.Raise(p.t.Context(), tx, alert.Raise{
			Tenant: plantTenant, Rule: alert.Rule{Name: "interlock-device-tampered", ID: "7c3b", Title: title, Author: "Interlock"}, Severity: core.SeverityHigh, Key: title,
			Group: map[string]string{"sensor": "case"}, Device: id, Provenance: core.ProvenanceDevice,
			Events: []alert.Event{{ID: core.NewUUID(time.Now()), At: time.Now(), Source: "device/" + id.String()}}, Now: time.Now(),
		})
		return err
	}))
	return a
}

// tampered opens an incident about a device and takes its playbook as far as it
// goes without anybody.
func (p *plant) tampered(id core.DeviceID, a alert.Alert) incident.Incident {
	p.t.Helper()
	ctx := p.t.Context()
	var in incident.Incident
	p.must(p.state.Tx(ctx, func(tx *store.Tx) (err error) {
		in, err = p.incidents.Take(ctx, tx, incident.Alert{
			ID: a.ID, Tenant: plantTenant, Rule: a.Name, Title: a.Title, Severity: a.Severity, Source: a.Source, Device: id,
			Provenance: a.Provenance, Count: 1, First: a.First, Last: a.Last,
		}, time.Now())
		return err
	}))
	frames, err := plantIncidents.Bind(p.state).Read(ctx, 0, 1, 100)
	p.must(err)
	stage := p.engine.Stage(plantIncidents.Bind(p.state))
	for _, f := range frames {
		p.must(p.state.Tx(ctx, func(tx *store.Tx) error { return stage.Handle(ctx, tx, f) }))
	}
	p.settle()
	return in
}
