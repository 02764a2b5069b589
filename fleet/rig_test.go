package fleet_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

var (
	tenant = core.MustID[core.TenantID]("acme")
	site   = core.MustID[core.SiteID]("hall-1")
	start  = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	admin  = core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: tenant, Roles: []string{core.RoleAdministrator, core.RoleOperator}, Sites: []core.SiteID{site}}
	auto   = core.Principal{Kind: core.KindService, ID: "playbook", Tenant: tenant}
)

// rig is a fleet with a real store, authority, guard and trust root. Journal and
// log are in memory and the keys process is in this one.
type rig struct {
	t     *testing.T
	db    *store.DB
	clock *clocktest.Clock
	log   *memoryLog
	ca    *pki.Authority
	guard core.Guard
	keys  *fakeKeys
	raw   *memoryJournal
	hub   *stop.Hub
	hubOK confirmer

	reg    *fleet.Registry
	roots  *fleet.Roots
	enrol  *fleet.Enrolment
	orders *fleet.Orders
	intake *fleet.Intake
	fold   *fleet.Fold
	door   *fleet.Listener
	warn   *slog.Logger

	people map[string]link.Signer
	root   []byte

	mu    sync.Mutex
	facts []audit.Entry
	topic []fleet.Record

	authority *fleet.Authority
	history   *history
}

func each(t *testing.T, body func(t *testing.T, r *rig)) {
	t.Helper()
	storetest.Each(t, []store.Migrations{fleet.Migrations()}, func(t *testing.T, db *store.DB) { body(t, newRig(t, db)) })
}

func newRig(t *testing.T, db *store.DB) *rig {
	t.Helper()
	r := &rig{t: t, db: db, clock: clocktest.New(start), raw: newMemoryJournal(), hubOK: confirmer{}, warn: slog.New(slog.DiscardHandler)}
	dir := t.TempDir()
	ring, err := crypt.OpenHost(filepath.Join(dir, "host"))
	r.must(err)
	r.log = newMemoryLog(t)
	r.ca, err = pki.Open(t.Context(), pki.Config{Dir: filepath.Join(dir, "ca"), Sealer: ring, Recorder: issued{}, Clock: r.clock, Name: "test"})
	r.must(err)
	r.history = &history{place: map[core.Position]int{}}
	r.guard = policy.NewGuard(policy.Default(), recorder{r}, r.clock)
	r.keys = &fakeKeys{signer: newSigner(t), ca: r.ca}
	r.hub = stop.NewHub(r.signStop)
	r.makeRoot()

	r.reg = fleet.NewRegistry(db, r.fact, r.clock)
	r.roots = fleet.NewRoots(r.reg, r.log, r.guard)
	r.authority = fleet.NewAuthority(r.reg, r.roots, r.history, tenant, r.warn)
	r.log.heard = r.history.add
	r.must(r.roots.Install(t.Context(), r.root, r.rootHash()))
	r.enrol = fleet.NewEnrolment(r.reg, r.guard, r.log, r.keys, r.roots)
	r.orders = fleet.NewOrders(r.reg, r.roots, r.keys, r.guard, r)
	r.intake = fleet.NewIntake(r.raw, r.log, r.clock, 1, r.warn)
	r.fold = fleet.NewFold(r.reg, fleet.DefaultFold, 1)
	r.door, err = fleet.NewListener(r.parts())
	r.must(err)
	r.must(r.authority.Compare(t.Context()))
	return r
}

func (r *rig) parts() fleet.Parts {
	return fleet.Parts{
		Registry: r.reg, Enrolment: r.enrol, Intake: r.intake, Orders: r.orders, Roots: r.roots,
		Peers: verify.Server{Pins: r.ca.Pins, Clock: r.clock}, Stops: r.hub, Confirmer: r.hubOK,
		Guard: r.guard, Log: r.log, Clock: r.clock, Quota: fleet.DefaultQuota, Warn: r.warn,
	}
}

const origin = "interlock.test/1/serve/acme"

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// want fails the test unless err is of the kind and says all the words.
func (r *rig) want(err error, kind core.Kind, words ...string) {
	r.t.Helper()
	if err == nil || core.KindOf(err) != kind {
		r.t.Fatalf("got %v (%v), want an error of kind %v", err, core.KindOf(err), kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			r.t.Errorf("error %q does not name %q", err, w)
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
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

// makeRoot makes a quorum of three persons, two of whom release.
func (r *rig) makeRoot() {
	r.people = map[string]link.Signer{"stop": newSigner(r.t)}
	doc := &link.Root{
		V: 1, Installation: "test", Tenant: tenant, Version: 1, Mode: link.ModeQuorum, Issued: start.UnixMicro(), ReviewBy: start.AddDate(1, 0, 0).UnixMicro(),
		CommandKey: link.AuthorizedKey(r.keys.signer.PublicKey()), StopKey: link.AuthorizedKey(r.people["stop"].PublicKey()),
		LogKey: r.log.vkey, LogOrigin: origin, CAPins: []string{r.ca.Pins()[0].String()}, Servers: []string{"localhost:7443"}, ReleaseDelay: 600, RecoveryDelay: 72 * 3600,
	}
	var ids []core.PersonID
	var offline []string
	for _, name := range []string{"anna", "ben", "cleo"} {
		everyday, paper := newSigner(r.t), newSigner(r.t)
		r.people[name], r.people[name+"-paper"] = everyday, paper
		id := core.MustID[core.PersonID](name)
		ids, offline = append(ids, id), append(offline, link.KeyID(paper.PublicKey()))
		doc.Persons = append(doc.Persons, link.Person{ID: id, Name: name, Keys: []string{link.AuthorizedKey(everyday.PublicKey()), link.AuthorizedKey(paper.PublicKey())}})
	}
	for _, role := range link.PersonRoles {
		entry := link.Role{Name: role, Threshold: 2, Members: ids}
		if role == link.RoleRoot {
			entry.KeyIDs = offline
		}
		doc.Roles = append(doc.Roles, entry)
	}
	r.root = r.signRoot(doc, "anna-paper", "ben-paper", "anna", "ben")
}

func (r *rig) signRoot(doc *link.Root, names ...string) []byte {
	r.t.Helper()
	payload, err := link.EncodeRoot(doc)
	r.must(err)
	var signers []link.Signer
	for _, n := range names {
		signers = append(signers, r.people[n])
	}
	env, err := link.SealEnvelope(link.NamespaceRoot, payload, signers...)
	r.must(err)
	b, err := env.Encode()
	r.must(err)
	return b
}

func (r *rig) rootHash() string {
	env, err := link.ParseEnvelope(r.root)
	r.must(err)
	sum := sha256.Sum256(env.Payload)
	return hex.EncodeToString(sum[:])
}

func (r *rig) trust() *link.Trust {
	t, err := link.NewTrust(r.root, r.rootHash())
	r.must(err)
	return t
}

func (r *rig) signStop(s stop.Stop, t stop.Target) ([]byte, error) {
	payload, err := link.EncodeOrder(&link.Order{
		V: 1, Type: link.OrderStop, ID: s.ID, Tenant: t.Tenant, Site: t.Site, Device: t.Device, Requester: s.By, Reason: s.Reason,
		Issued: s.At.UnixMicro(), Expires: s.At.Add(time.Hour).UnixMicro(),
	})
	if err != nil {
		return nil, err
	}
	env, err := link.SealEnvelope(link.NamespaceOrder, payload, r.people["stop"])
	if err != nil {
		return nil, err
	}
	return env.Encode()
}

// fact is the audit outbox.
func (r *rig) fact(_ context.Context, tx *store.Tx, e audit.Entry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts = append(r.facts, e)
	tx.OnCommit(func() { r.history.add(e, core.Position{}) })
	return nil
}

func (r *rig) hasFact(action core.Action, object string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.facts, func(e audit.Entry) bool { return e.Action == action && (object == "" || e.Object == object) })
}

// Publish implements fleet.Topic.
func (r *rig) Publish(_ context.Context, tx *store.Tx, _ core.TenantID, records ...[]byte) error {
	for _, b := range records {
		var rec fleet.Record
		if err := json.Unmarshal(b, &rec); err != nil {
			return err
		}
		tx.OnCommit(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.topic = append(r.topic, rec)
		})
	}
	return nil
}

type recorder struct{ r *rig }

func (rec recorder) Intent(ctx context.Context, who core.Principal, action core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	outcome := "refused"
	if d.Allowed {
		outcome = "permitted"
	}
	res, err := rec.r.log.Append(ctx, audit.Entry{Type: audit.TypeIntent, Time: rec.r.clock.Now(), Actor: who.String(), Action: action, Object: on.String(), Outcome: outcome, Class: audit.ClassSecurity, Body: map[string]any{"resource": on}})
	return res.Position, err
}

type issued struct{}

func (issued) Issued(context.Context, pki.Issuance) error { return nil }

type confirmer map[core.UUID]bool

func (c confirmer) Confirm(_ core.TenantID, _ core.DeviceID, id core.UUID) bool { return c[id] }

// fakeKeys is the keys process without its process: it signs and issues, and
// takes each intent once.
type fakeKeys struct {
	signer link.Signer
	ca     *pki.Authority
	during func() // while a workload certificate is made

	mu   sync.Mutex
	used map[core.Position]bool
	err  error
}

func (k *fakeKeys) take(w fleet.Warrant) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	if w.Intent == (core.Position{}) || k.used[w.Intent] {
		return core.E(core.KindDenied, "keys", "no intent, or one that was used")
	}
	if k.used == nil {
		k.used = map[core.Position]bool{}
	}
	k.used[w.Intent] = true
	return nil
}

func (k *fakeKeys) down(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

func (k *fakeKeys) SignOrder(_ context.Context, w fleet.Warrant, payload []byte) (link.Signature, error) {
	if err := k.take(w); err != nil {
		return link.Signature{}, err
	}
	return link.Sign(k.signer, link.NamespaceOrder, payload)
}

func (k *fakeKeys) IssueManagement(ctx context.Context, w fleet.Warrant, t core.TenantID, d core.DeviceID, csr []byte) ([]byte, error) {
	if err := k.take(w); err != nil {
		return nil, err
	}
	pub, err := pki.PublicKeyOf(csr)
	if err != nil {
		return nil, err
	}
	return k.ca.Issue(ctx, verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: t, Device: d}}, pub)
}

func (k *fakeKeys) IssueWorkload(ctx context.Context, w fleet.Warrant, t core.TenantID, d core.DeviceID, name core.ServiceID, csr []byte) ([]byte, error) {
	if err := k.take(w); err != nil {
		return nil, err
	}
	if k.during != nil {
		k.during()
	}
	pub, err := pki.PublicKeyOf(csr)
	if err != nil {
		return nil, err
	}
	return k.ca.Issue(ctx, verify.ProfileWorkload, pki.Names{Identity: verify.Identity{Tenant: t, Device: d, Workload: name}}, pub)
}

// memoryJournal has the journal's contract for keys: the same hash is a
// duplicate, another one a fork and kept.
type memoryJournal struct {
	mu     sync.Mutex
	frames []journal.Frame
	err    error
}

func newMemoryJournal() *memoryJournal { return &memoryJournal{} }

func (m *memoryJournal) Append(_ context.Context, frames ...journal.Frame) ([]journal.Appended, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	out := make([]journal.Appended, len(frames))
	for i, f := range frames {
		var a journal.Appended
		for _, old := range m.frames {
			same := old.Key.Tenant == f.Key.Tenant && old.Key.Device == f.Key.Device && old.Key.Epoch == f.Key.Epoch && old.Key.First <= f.Key.Last && f.Key.First <= old.Key.Last
			switch {
			case same && old.Key.Hash == f.Key.Hash:
				a = journal.Appended{Offset: old.Offset, Duplicate: true}
			case same:
				a.Fork = true
			}
		}
		if !a.Duplicate {
			f.Offset = uint64(len(m.frames) + 1)
			a.Offset = f.Offset
			m.frames = append(m.frames, f)
		}
		out[i] = a
	}
	return out, nil
}

// events returns the events of a type, oldest first.
func (m *memoryJournal) events(t *testing.T, kind string) []core.Event {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []core.Event
	for _, f := range m.frames {
		for _, b := range f.Records {
			var e core.Event
			if err := json.Unmarshal(b, &e); err != nil {
				t.Fatal(err)
			}
			if e.Type == kind {
				list = append(list, e)
			}
		}
	}
	return list
}

// eventsOf returns the events of a type about one device.
func (m *memoryJournal) eventsOf(t *testing.T, kind string, id core.DeviceID) []core.Event {
	t.Helper()
	return slices.DeleteFunc(m.events(t, kind), func(e core.Event) bool { return e.Device != id })
}

// from returns the frames of one device.
func (m *memoryJournal) from(id core.DeviceID) []journal.Frame {
	return slices.DeleteFunc(m.since(0), func(f journal.Frame) bool { return f.Key.Device != id })
}

func (m *memoryJournal) since(n int) []journal.Frame {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.frames[n:])
}

// catchUp runs the fold over frames that it has not seen and carries alarms.
func (r *rig) catchUp(seen int) int {
	r.t.Helper()
	for _, f := range r.raw.since(seen) {
		r.handle(f)
		seen++
	}
	_, err := r.reg.SendAlarms(r.t.Context(), r.raw, 1)
	r.must(err)
	return seen
}

func (r *rig) handle(f journal.Frame) {
	r.t.Helper()
	handle := r.fold.Stage(nil, 0).Handle
	r.must(r.db.Tx(r.t.Context(), func(tx *store.Tx) error { return handle(r.t.Context(), tx, f) }))
}

func (r *rig) tick() { r.handle(journal.Frame{Kind: journal.KindTick, Received: r.clock.Now()}) }

func (r *rig) device(id string) fleet.Device {
	r.t.Helper()
	d, err := r.reg.Get(r.t.Context(), tenant, core.MustID[core.DeviceID](id))
	r.must(err)
	return d
}

// serve starts the real listener with real TLS on a loopback port.
func (r *rig) serve() string {
	r.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r.must(err)
	chain, err := r.ca.Issue(r.t.Context(), verify.ProfileServer, pki.Names{Hosts: []string{"127.0.0.1"}}, key.Public())
	r.must(err)
	cert := certificate(r.t, chain, key)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	cfg := verify.Server{Pins: r.ca.Pins, Clock: r.clock}.TLS(func() (*tls.Certificate, error) { return &cert, nil })
	go func() { done <- r.door.Serve(ctx, tcp, cfg) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	return "https://" + tcp.Addr().String()
}

func (r *rig) approve(o fleet.Order, name string) (fleet.Order, error) {
	r.t.Helper()
	sig, err := link.Sign(r.people[name], link.NamespaceApproval, o.Payload)
	r.must(err)
	return r.orders.Approve(r.t.Context(), admin, tenant, o.ID, sig)
}

// order asks the Guard and makes the order, as response/action does.
func (r *rig) order(who core.Principal, action core.Action, req fleet.OrderRequest) (fleet.Order, error) {
	r.t.Helper()
	d := r.device(req.Device.String())
	decision, err := r.guard.Permit(r.t.Context(), who, action, fleet.ResourceOf(d))
	r.must(err)
	r.must(httpd.Refusal(decision, who, action, fleet.ResourceOf(d)))
	req.Tenant, req.Requester, req.Decision = tenant, who, decision
	if req.Reason == "" {
		req.Reason = "test"
	}
	if req.Key == "" {
		req.Key = core.NewUUID(r.clock.Now()).String()
	}
	return r.orders.Create(r.t.Context(), req)
}

var errDown = core.E(core.KindUnavailable, "test", "down")

var (
	_ fleet.Log   = (*memoryLog)(nil)
	_ fleet.Topic = (*rig)(nil)
	_ fleet.Keys  = (*fakeKeys)(nil)
)

// forgetful appends and then loses the answer.
type forgetful struct{ *memoryJournal }

func (f *forgetful) Append(ctx context.Context, frames ...journal.Frame) ([]journal.Appended, error) {
	if _, err := f.memoryJournal.Append(ctx, frames...); err != nil {
		return nil, err
	}
	return nil, errDown
}
