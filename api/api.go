package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
)

// maxBody is the largest request body, in bytes.
const maxBody = 128 << 10

// Parts are what the API stands on. All are required.
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
	Incidents    *incident.Store
	Playbooks    *playbook.Engine
	// Status tells how the installation is.
	Status func(context.Context) (Status, error)
	// Act carries an order out in a person's name; it asks the Guard.
	Act func(ctx context.Context, who core.Principal, device core.DeviceID, t link.OrderType, r ActRequest) (fleet.Order, error)
	// EnrolmentString makes the one line that a device needs.
	EnrolmentString func(ctx context.Context, t fleet.Token, fact string) (string, error)
	Clock           core.Clock
	Warn            *slog.Logger
	// Ending is done when the server shuts down: streams end then, so that
	// nobody who listens holds the end up. Nil means never.
	Ending <-chan struct{}
}

// API serves the operator API.
type API struct{ Parts }

// New returns the API's routes. Plain reads are asked of the Guard at the door;
// every other handler asks where the effect is.
func New(p Parts) *httpd.Mux {
	a := &API{p}
	mux := httpd.NewMux(httpd.Options{Authenticate: p.Authenticate, Guard: p.Guard, AtDoor: policy.AtDoor, Could: could(p.Guard), Recorded: policy.Recorded, Log: p.Warn})
	mux.HandleFunc("GET /v1/status", policy.StatusRead, a.status)
	mux.HandleFunc("GET /v1/events", policy.EventRead, a.events)
	mux.HandleFunc("GET /v1/alerts", policy.AlertRead, a.alerts)
	mux.HandleFunc("GET /v1/alerts/{id}", policy.AlertRead, a.alert)
	mux.HandleFunc("GET /v1/incidents", policy.IncidentRead, a.incidents)
	mux.HandleFunc("GET /v1/incidents/{id}", policy.IncidentRead, a.incident)
	mux.HandleFunc("GET /v1/incidents/{id}/dry-run", policy.PlaybookRead, a.dryRun)
	mux.HandleFunc("POST /v1/incidents/{id}/move", policy.IncidentTransition, a.moveIncident)
	mux.HandleFunc("GET /v1/runs", policy.PlaybookRead, a.runs)
	mux.HandleFunc("GET /v1/runs/{id}", policy.PlaybookRead, a.run)
	mux.HandleFunc("POST /v1/runs/{id}/start", policy.PlaybookRun, a.startRun)
	mux.HandleFunc("GET /v1/devices", policy.DeviceList, a.devices)
	mux.HandleFunc("GET /v1/devices/{id}", policy.DeviceShow, a.device)
	mux.HandleFunc("POST /v1/devices/{id}/approve", policy.DeviceApprove, a.approveDevice)
	for action, t := range acts {
		mux.HandleFunc("POST /v1/devices/{id}/"+string(t), action, a.act(t))
	}
	mux.HandleFunc("GET /v1/orders/{id}", policy.OrderShow, a.order)
	mux.HandleFunc("POST /v1/orders/{id}/approvals", policy.OrderApprove, a.approveOrder)
	mux.HandleFunc("POST /v1/tokens", policy.TokenCreate, a.createToken)
	mux.HandleFunc("GET /v1/audit/entries", policy.AuditRead, a.entries)
	mux.HandleFunc("GET /v1/audit/state", policy.AuditVerify, a.logState)
	mux.HandleFunc("GET /v1/audit/proofs/{id}", policy.AuditProof, a.proof)
	mux.HandleFunc("GET /v1/audit/export", policy.AuditExport, a.export)
	mux.HandleFunc("POST /v1/audit/verify", policy.AuditVerify, a.verify)
	mux.HandleFunc("GET /v1/audit/succession", policy.AuditVerify, a.statement)
	mux.HandleFunc("POST /v1/audit/succession", policy.AuditSucceed, a.succeed)
	mux.HandleFunc("GET /v1/root", policy.RootRead, a.root)
	mux.HandleFunc("POST /v1/root", policy.RootUpdate, a.publishRoot)
	return mux
}

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

// permit asks the Guard about something whose reading or doing is recorded.
func (a *API) permit(r *http.Request, action core.Action, on core.Resource) (core.Principal, error) {
	_, who, err := a.decide(r, action, on)
	return who, err
}

// decide is permit for an effect that carries the decision's intent.
func (a *API) decide(r *http.Request, action core.Action, on core.Resource) (core.Decision, core.Principal, error) {
	who := httpd.PrincipalOf(r.Context())
	on.Tenant = who.Tenant
	d, err := a.Guard.Permit(r.Context(), who, action, on)
	if err != nil {
		return d, who, err
	}
	return d, who, httpd.Refusal(d, who, action, on)
}

// maxReason is the longest reason that a person may give, in bytes.
const maxReason = 500

func tooLong(name, text string, most int) error {
	if len(text) > most {
		return core.E(core.KindTooLarge, "api", fmt.Sprintf("%s has %d bytes, at most %d are allowed", name, len(text), most))
	}
	return nil
}

// read decodes a request body strictly.
func read[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	body, err := httpd.ReadBody(w, r, maxBody)
	if err != nil {
		return v, err
	}
	return v, link.DecodeStrict(body, &v)
}

// flagOf reads a boolean of the query; what is no boolean is an error.
func flagOf(q url.Values, name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	v, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		return false, core.E(core.KindInvalid, "api", "query: "+name+" is true or false, not "+strconv.Quote(q.Get(name)))
	}
	return v, nil
}

// numberOf reads a number of the query within limits.
func numberOf(q url.Values, name string, def, most int) (int, error) {
	if !q.Has(name) {
		return def, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 || n > most {
		return 0, core.E(core.KindInvalid, "api", "query: "+name+" is a number from 0 to "+strconv.Itoa(most))
	}
	return n, nil
}

func (a *API) status(w http.ResponseWriter, r *http.Request) error {
	s, err := a.Status(r.Context())
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, s)
}
