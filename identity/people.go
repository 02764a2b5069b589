package identity

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/safety/stop"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// Migrations returns the schema of the tables identity_*.
func Migrations() store.Migrations {
	return store.Migrations{Owner: "identity", FS: migrations}
}

// History is the audit log as far as it is read again; audit.Log is the real one.
type History interface {
	Replay(ctx context.Context, fn func(audit.Record) error) error
	Entry(ctx context.Context, at core.Position) (audit.Record, error)
	Checkpoint() audit.Checkpoint
	Mode() (audit.Mode, string)
}

// Stops is the stop path as far as people matter to it.
type Stops interface {
	SetPersons(persons []stop.Person)
	Withdraw(tenant core.TenantID, person core.PersonID, until time.Time, reason string, by, by2 core.PersonID) error
}

// Caps is where a lifted cap takes effect.
type Caps interface {
	Lift(tenant core.TenantID, who core.Principal, extra int, until time.Time, by ...core.PersonID) error
}

// Alarm is something about people that somebody must see.
type Alarm struct {
	Kind     string
	Severity core.Severity
	Fields   map[string]any
}

// The kinds of alarm.
const (
	AlarmAuthority = "authority_mismatch" // a row says other than the log
	AlarmLink      = "link_reused"
	AlarmStolen    = "session_stolen"
	AlarmCloned    = "passkey_cloned"
)

// Parts are what people stand on. All are required but those that say otherwise.
type Parts struct {
	State  *store.DB
	Log    History
	Facts  func(ctx context.Context, tx *store.Tx, e audit.Entry) error // audit.Put
	Guard  core.Guard
	Sealer core.Sealer
	Clock  core.Clock
	Warn   *slog.Logger
	Tenant core.TenantID
	// Operators are the users of this machine whom the configuration names.
	Operators []Operator
	// Console is the address of the console as browsers call it:
	// "http://localhost:7400". Its host name is what passkeys are bound to.
	Console string
	// Reachable says whether this server is what answers at Console; nil for
	// always. A link is made for nobody else: whoever has the address instead
	// would be handed its secret by the browser.
	Reachable func() error
	// Name is what authenticators show beside a passkey.
	Name string
	// Socket returns the user of this machine at the other end of the unix
	// socket that a request came by, false for every other request.
	Socket func(ctx context.Context) (uid uint32, ok bool)
	// SingleOperator says whether the trust root is one for a single operator
	// (TRUST F22).
	SingleOperator func() bool
	Stops          Stops
	Caps           Caps
	// Alarm raises an alarm in a transaction; nil raises none.
	Alarm func(ctx context.Context, tx *store.Tx, a Alarm) error
}

// People is everything that is believed of people. Safe for concurrent use.
type People struct {
	parts   Parts
	web     *webauthn.WebAuthn
	seal    ceremonies
	wake    chan struct{} // something changed
	ended   chan struct{} // something waits in endings
	editing sync.Mutex    // one change at a time
	reading sync.Mutex    // one reader of the log at a time

	mu       sync.RWMutex
	ready    bool // the log has been read to its end once
	said     *testimony
	objects  map[string]record
	sessions map[[32]byte]*live // by the hash of their cookie
	counters map[string]uint32  // of passkeys
	doubt    map[core.PersonID]string
	told     map[core.PersonID]bool
	ahead    map[string]time.Time // objects whose entries are on the way, since when
	endings  []ending
	refusals map[core.PersonID]time.Time // when one was last recorded by name
	spent    map[string]time.Time        // handles and confirmations that were used
}

// live is a session that may be used.
type live struct {
	id     string
	person core.PersonID
	bound  string
	began  time.Time
	ends   time.Time
	fresh  atomic.Int64 // microseconds
	seen   atomic.Int64 // microseconds
	told   atomic.Int64 // seen, as it was last written
	ended  atomic.Bool
	kept   bool // has a row
	// roles and sites are those of the sign-in; a session has no others.
	roles []string
	sites []core.SiteID
}

// NewPeople returns people of whom nothing is believed yet; [People.Load] reads
// what there is.
func NewPeople(parts Parts) (*People, error) {
	const op = "identity.NewPeople"
	u, err := url.Parse(parts.Console)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || strings.TrimSuffix(u.Path, "/") != "" {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("%q is not the address of a console", parts.Console)).
			WithHint("it looks like http://localhost:7400")
	}
	parts.Console = u.Scheme + "://" + u.Host
	required := protocol.ResidentKeyRequired()
	web, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: parts.Name, RPOrigins: []string{parts.Console},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: required, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, op, err)
	}
	p := &People{
		parts: parts, web: web, wake: make(chan struct{}, 1), ended: make(chan struct{}, 1), said: newTestimony(),
		objects: map[string]record{}, sessions: map[[32]byte]*live{}, counters: map[string]uint32{}, doubt: map[core.PersonID]string{},
		told: map[core.PersonID]bool{}, ahead: map[string]time.Time{}, spent: map[string]time.Time{}, refusals: map[core.PersonID]time.Time{},
	}
	_, _ = rand.Read(p.seal.key[:]) // never fails since Go 1.24
	return p, nil
}

// person returns what is believed of a person: roles and sites of a configured
// one are the configuration's. The caller holds the lock.
func (p *People) person(id core.PersonID) (record, bool) {
	r, known := p.objects[kindPerson+"/"+id.String()]
	configured := false
	var roles []string
	var sites []core.SiteID
	for _, o := range p.parts.Operators {
		if o.Person == id {
			configured = true
			roles, sites = append(roles, o.Roles...), append(sites, o.Sites...)
		}
	}
	switch {
	case configured:
		r.Person, r.Configured, r.Roles, r.Sites = id, true, unique(roles), uniqueSites(sites)
		if !known {
			r.State, r.Name = stateActive, id.String()
		}
	case r.Configured: // the configuration does not know the person any more
		r.Roles, r.Sites = nil, nil
	}
	return r, known || configured
}

// persons lists everybody. The caller holds the lock.
func (p *People) persons() []core.PersonID {
	set := map[core.PersonID]bool{}
	for _, o := range p.parts.Operators {
		set[o.Person] = true
	}
	for object, r := range p.objects {
		if kindOf(object) == kindPerson {
			set[r.Person] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), func(a, b core.PersonID) int { return strings.Compare(a.String(), b.String()) })
}

// principal is a person as the Guard is asked about it.
func (p *People) principal(r record) core.Principal {
	return core.Principal{Kind: core.KindPerson, ID: r.Person.String(), Tenant: p.parts.Tenant, Roles: slices.Clone(r.Roles), Sites: slices.Clone(r.Sites)}
}

// passkeys lists a person's passkeys by object. The caller holds the lock.
func (p *People) passkeys(id core.PersonID) []string {
	var list []string
	for object, r := range p.objects {
		if kindOf(object) == kindPasskey && r.Person == id {
			list = append(list, object)
		}
	}
	slices.Sort(list)
	return list
}

// joined reports whether a person has a passkey that works, or a socket. The
// caller holds the lock.
func (p *People) joined(id core.PersonID) bool {
	if slices.ContainsFunc(p.parts.Operators, func(o Operator) bool { return o.Person == id }) {
		return true
	}
	return slices.ContainsFunc(p.passkeys(id), func(object string) bool { return p.objects[object].State == stateActive })
}

// canApprove reports whether somebody with these roles may be a second person.
func canApprove(roles []string) bool {
	return slices.Contains(roles, core.RoleSecurityOfficer) || slices.Contains(roles, core.RoleAdministrator)
}

func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

func uniqueSites(list []core.SiteID) []core.SiteID {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b core.SiteID) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(list)
}

// stoppers tells the stop path who may stop where: everybody who is known, in
// doubt or not (TRUST F06).
func (p *People) stoppers() {
	p.mu.RLock()
	list := []stop.Person{}
	for _, id := range p.persons() {
		r, _ := p.person(id)
		if r.State != stateActive {
			continue
		}
		one := stop.Person{ID: id, Tenant: p.parts.Tenant, Sites: r.Sites}
		for _, o := range p.parts.Operators {
			if o.Person == id {
				one.UIDs = append(one.UIDs, o.UID)
			}
		}
		list = append(list, one)
	}
	p.mu.RUnlock()
	if p.parts.Stops != nil {
		p.parts.Stops.SetPersons(list)
	}
}
