package api

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/fleet/seal"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
	"github.com/interlock-security/interlock/safety/stop"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect/tuning"
	"github.com/interlock-security/interlock/siem/explain"
)

// maxBody is the largest request body, in bytes.
const maxBody = 128 << 10

// Parts are what the API stands on. All are required but those that say
// otherwise.
type Parts struct {
	// Authenticate names the caller, from the peer of the unix socket.
	Authenticate httpd.Authenticator
	Guard        core.Guard
	State        *store.DB
	Frames       *journal.Raw
	Log          *audit.Log
	Registry     *fleet.Registry
	Enrolment    *fleet.Enrolment
	Orders       *fleet.Orders
	Roots        *fleet.Roots
	Seals        *seal.Seals
	Alerts       *alert.Store
	// Tuning knows the rules and what was made of them; nil where no events
	// are judged.
	Tuning    *tuning.Tuning
	Incidents *incident.Store
	Playbooks *playbook.Engine
	// Findings keeps what scanners found; nil where nothing is kept of it.
	Findings *lifecycle.Store
	// Advisories is the database of advisories; nil where the server has none.
	Advisories AdvisorySource
	Stops      *stop.Service
	People     *identity.People
	// Status tells how the installation is.
	Status func(context.Context) (Status, error)
	// Act carries an order out in a person's name; it asks the Guard.
	Act func(ctx context.Context, who core.Principal, device core.DeviceID, t link.OrderType, r ActRequest) (fleet.Order, error)
	// EnrolmentString makes the one line that a device needs.
	EnrolmentString func(ctx context.Context, t fleet.Token, fact string) (string, error)
	// Explain says what the rules in force make of an event; nil where there are
	// none.
	Explain func(ctx context.Context, ev *core.Event, o explain.Options) (explain.Report, error)
	// Events is the event store; nil where there is none, and searching says so.
	Events EventStore
	Clock  core.Clock
	Warn   *slog.Logger
	// Ending is done when the server shuts down: streams end then, so that
	// nobody who listens holds the end up. Nil means never.
	Ending <-chan struct{}
}

// API is the operations of the operator API. Each asks the Guard itself about
// the principal in its context, so it can be called within the process as well
// as over HTTP.
type API struct {
	Parts
	mux      *httpd.Mux
	huma     huma.API
	covering sync.Mutex // held while a report on coverage is made
}

// New returns the API over its parts.
func New(p Parts) *API {
	a := &API{Parts: p}
	a.mux = httpd.NewMux(httpd.Options{Authenticate: p.Authenticate, Guard: p.Guard, AtDoor: policy.AtDoor, Could: could(p.Guard), Recorded: policy.Recorded, Note: note(p.Guard), Log: p.Warn})
	a.huma = newHuma(a.mux)
	a.routes()
	return a
}

// Mux returns the routes of the API.
func (a *API) Mux() *httpd.Mux { return a.mux }

// could is the Guard's answer to whether somebody could do an action to anything
// at all, nil where it has none.
func could(g core.Guard) func(core.Principal, core.Action) bool {
	if c, ok := g.(interface {
		Could(who core.Principal, action core.Action) bool
	}); ok {
		return c.Could
	}
	return nil
}

// note leaves a record of what came to nothing, nil where the Guard has no way
// to.
func note(g core.Guard) func(context.Context, core.Principal, core.Action, core.Resource, error) error {
	if n, ok := g.(interface {
		Note(ctx context.Context, who core.Principal, action core.Action, on core.Resource, outcome error) error
	}); ok {
		return n.Note
	}
	return nil
}

// see asks the Guard about a plain read, unless the door did.
func (a *API) see(ctx context.Context, action core.Action, id string) (core.Principal, error) {
	if httpd.PermittedAtDoor(ctx, action) {
		return httpd.PrincipalOf(ctx), nil
	}
	noun, _, _ := strings.Cut(string(action), ".")
	_, who, err := a.decide(ctx, action, core.Resource{Type: noun, ID: id})
	return who, err
}

// decide asks the Guard about something whose reading or doing is recorded. The
// decision carries its intent.
func (a *API) decide(ctx context.Context, action core.Action, on core.Resource) (core.Decision, core.Principal, error) {
	who := httpd.PrincipalOf(ctx)
	on.Tenant = who.Tenant
	d, err := a.Guard.Permit(ctx, who, action, on)
	if err != nil {
		return d, who, err
	}
	return d, who, httpd.Refusal(d, who, action, on)
}

// view reads from the state database.
func (a *API) view(ctx context.Context, fn func(tx *store.Tx) error) error {
	return a.State.View(ctx, fn)
}

// maxReason is the longest reason that a person may give, in bytes.
const maxReason = 500

// None is the input of an operation that takes none.
type None struct{}

// IDInput names one object.
type IDInput struct {
	ID string `path:"id" doc:"The object's name or id"`
}

// Status tells how the installation is.
func (a *API) Status(ctx context.Context, _ *None) (*Out[Status], error) {
	if _, err := a.see(ctx, policy.StatusRead, "*"); err != nil {
		return nil, err
	}
	s, err := a.Parts.Status(ctx)
	if err != nil {
		return nil, err
	}
	return out(s), nil
}
