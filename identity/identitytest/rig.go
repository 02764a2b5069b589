package identitytest

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/platform/store/storetest"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/stop"
)

// Origin is where the console of a rig stands.
const Origin = "http://localhost:7400"

// The words of a rig.
var (
	Tenant  = core.MustID[core.TenantID]("main")
	Site    = core.MustID[core.SiteID]("main")
	Owner   = core.MustID[core.PersonID]("owner")
	Browser = identity.Client{Address: "127.0.0.1", UserAgent: "test browser"}
)

// Rig is people over a real database, audit log and Guard, with a clock of the
// test's. Its one operator is "owner", uid 1000, with every role.
type Rig struct {
	*identity.People
	T      testing.TB
	DB     *store.DB
	Clock  *clocktest.Clock
	Log    *audit.Log
	Outbox *audit.Outbox
	Guard  *policy.Guard
	Parts  identity.Parts
	// Single is what the trust root says.
	Single bool

	// Broken is what the database answers to every change; nil for a whole one.
	Broken error
	// Path is the stop path.
	Path *Path

	mu     sync.Mutex
	alarms []identity.Alarm
}

// Path is a stop path that remembers what it was told.
type Path struct {
	mu        sync.Mutex
	persons   []stop.Person
	withdrawn []core.PersonID
}

type socketKey struct{}

// OverSocket is a context of a request of the machine's user.
func OverSocket(ctx context.Context, uid uint32) context.Context {
	return context.WithValue(ctx, socketKey{}, uid)
}

// Migrations are what a rig's database has.
func Migrations() []store.Migrations {
	return []store.Migrations{audit.Migrations(), identity.Migrations()}
}

// New returns a rig over a database of its own.
func New(t testing.TB) *Rig {
	t.Helper()
	return Over(t, storetest.Open(t, storetest.Config(t, "sqlite"), Migrations()...))
}

// Over returns a rig over a database that has the migrations.
func Over(t testing.TB, db *store.DB) *Rig {
	t.Helper()
	dir := t.TempDir()
	ring, err := crypt.OpenHost(filepath.Join(dir, "host"))
	if err != nil {
		t.Fatal(err)
	}
	r := &Rig{T: t, DB: db, Clock: clocktest.New(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)), Single: true, Path: new(Path)}
	r.Log, err = audit.Open(t.Context(), audit.Config{
		Dir: filepath.Join(dir, "audit"), Origin: "interlock.local/test/serve/main", Seed: core.NewSecret(bytes.Repeat([]byte{7}, 32)), Sealer: ring, Clock: r.Clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Log.Close() })
	r.Outbox = audit.NewOutbox(db, r.Log)
	r.Guard = policy.NewGuard(policy.Default(), recorder{r.Log}, r.Clock)
	r.Parts = identity.Parts{
		State: db, Log: r.Log, Facts: r.facts, Guard: r.Guard, Sealer: ring, Clock: r.Clock, Warn: slog.New(slog.DiscardHandler), Tenant: Tenant,
		Operators: []identity.Operator{{UID: 1000, Person: Owner, Roles: identity.Roles, Sites: []core.SiteID{Site}}},
		Console:   Origin, Name: "Interlock test", SingleOperator: func() bool { return r.Single }, Stops: r.Path, Caps: r.Guard.Caps(),
		Socket: func(ctx context.Context) (uint32, bool) {
			uid, ok := ctx.Value(socketKey{}).(uint32)
			return uid, ok
		},
		Alarm: r.alarm,
	}
	r.Start()
	return r
}

// Start puts new people over what there is, as a restart of the server does.
func (r *Rig) Start() {
	r.T.Helper()
	p, err := identity.NewPeople(r.Parts)
	if err != nil {
		r.T.Fatal(err)
	}
	r.People = p
	r.Must(p.Load(r.T.Context()))
}

// Must ends the test on an error.
func (r *Rig) Must(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatalf("%v (%s)", err, core.HintOf(err))
	}
}

// Drain carries what waits in the outbox into the log.
func (r *Rig) Drain() {
	r.T.Helper()
	for {
		n, err := r.Outbox.Drain(r.T.Context())
		r.Must(err)
		if n == 0 {
			return
		}
	}
}

func (r *Rig) alarm(_ context.Context, _ *store.Tx, a identity.Alarm) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alarms = append(r.alarms, a)
	return nil
}

// facts is the outbox, and a disk that can be full.
func (r *Rig) facts(ctx context.Context, tx *store.Tx, e audit.Entry) error {
	if r.Broken != nil {
		return r.Broken
	}
	return audit.Put(ctx, tx, e)
}

// Alarms returns the kinds of alarm that were raised.
func (r *Rig) Alarms() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kinds []string
	for _, a := range r.alarms {
		kinds = append(kinds, a.Kind)
	}
	return kinds
}

// ForgetAlarms begins to collect alarms anew.
func (r *Rig) ForgetAlarms() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alarms = nil
}

// SetPersons implements identity.Stops.
func (p *Path) SetPersons(persons []stop.Person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.persons = persons
}

// Persons returns who may stop.
func (p *Path) Persons() []stop.Person {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.persons
}

// Withdraw implements identity.Stops.
func (p *Path) Withdraw(_ core.TenantID, person core.PersonID, _ time.Time, _ string, by, by2 core.PersonID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if by == by2 || by == person || by2 == person {
		return core.E(core.KindDenied, "test", "a remote stop is withdrawn by two others")
	}
	p.withdrawn = append(p.withdrawn, person)
	return nil
}

// Withdrawn are the persons whose remote stop was taken away.
func (p *Path) Withdrawn() []core.PersonID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.withdrawn
}

// User is somebody with an authenticator and a session.
type User struct {
	Authenticator *Authenticator
	Client        identity.Client
	Session       identity.Session
	Cookie        string
}

// Secret is what stands in a link's fragment.
func Secret(l identity.Link) string {
	_, secret, _ := strings.Cut(l.URL, "#")
	return secret
}

// OwnerPrincipal is the operator as the socket names it.
func (r *Rig) OwnerPrincipal() core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: Owner.String(), Tenant: Tenant, Roles: identity.Roles, Sites: []core.SiteID{Site}}
}

// Join has the owner sign in for the first time.
func (r *Rig) Join() *User {
	r.T.Helper()
	l, err := r.FirstLink(OverSocket(r.T.Context(), 1000), r.OwnerPrincipal())
	r.Must(err)
	return r.Open(l)
}

// Open has somebody open a link and make a passkey.
func (r *Rig) Open(l identity.Link) *User {
	r.T.Helper()
	u := &User{Authenticator: NewAuthenticator(Origin), Client: Browser}
	options, handle, err := r.BeginRegistration(r.T.Context(), Secret(l), "")
	r.Must(err)
	answer, err := u.Authenticator.Create(options)
	r.Must(err)
	u.Session, u.Cookie, err = r.FinishRegistration(r.T.Context(), handle, answer, u.Client)
	r.Must(err)
	return u
}

// SignIn has somebody sign in again.
func (r *Rig) SignIn(u *User) error {
	r.T.Helper()
	options, handle, err := r.BeginSignIn(r.T.Context())
	r.Must(err)
	answer, err := u.Authenticator.Get(options)
	r.Must(err)
	u.Session, u.Cookie, err = r.FinishSignIn(r.T.Context(), handle, answer, u.Client)
	return err
}

// Confirm has somebody confirm a digest by passkey.
func (r *Rig) Confirm(u *User, digest [32]byte) context.Context {
	r.T.Helper()
	options, handle, err := r.BeginConfirm(r.T.Context(), u.Session, digest)
	r.Must(err)
	answer, err := u.Authenticator.Get(options)
	r.Must(err)
	c, err := r.FinishConfirm(r.T.Context(), u.Session, handle, answer)
	r.Must(err)
	return identity.WithConfirmation(r.T.Context(), c)
}

// recorder writes the Guard's decisions into the log as the server does.
type recorder struct{ log *audit.Log }

// Intent implements policy.Recorder.
func (r recorder) Intent(ctx context.Context, who core.Principal, action core.Action, on core.Resource, d core.Decision) (core.Position, error) {
	outcome := "permitted"
	if !d.Allowed {
		outcome = "refused"
	}
	res, err := r.log.Append(ctx, audit.Entry{
		Type: audit.TypeIntent, Actor: who.String(), Action: action, Object: on.String(), Outcome: outcome, Class: audit.ClassAudit,
		Body: struct {
			Principal core.Principal `json:"principal"`
			Resource  core.Resource  `json:"resource"`
			Reason    string         `json:"reason"`
			Policies  []string       `json:"policies"`
		}{who, on, d.Reason, d.Policies},
	})
	return res.Position, err
}
