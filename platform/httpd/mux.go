package httpd

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/interlock-security/interlock/core"
)

// Authenticator says who sent a request. An error of kind unauthenticated
// becomes 401; it must never guess.
type Authenticator func(*http.Request) (core.Principal, error)

// Route is a row of the route table.
type Route struct {
	Pattern string      `json:"pattern"` // as http.ServeMux takes it: "GET /v1/devices/{id}"
	Action  core.Action `json:"action"`
}

// Mux routes requests. Every route names its action when it is registered, so a
// handler without one can't be written.
type Mux struct {
	mux          *http.ServeMux
	authenticate Authenticator
	guard        core.Guard
	atDoor       func(core.Action) bool
	could        func(core.Principal, core.Action) bool
	recorded     func(core.Action) bool
	noted        func(context.Context, core.Principal, core.Action, core.Resource, error) error
	log          *slog.Logger

	mu     sync.Mutex
	routes []Route
}

// Options are what a Mux asks before it lets a request through.
type Options struct {
	// Authenticate names the caller; it is required.
	Authenticate Authenticator
	// Guard is asked at the door for the actions that AtDoor selects. The
	// others are asked where the effect is, with the exact parameters; the
	// handler must do so.
	Guard  core.Guard
	AtDoor func(core.Action) bool
	// Could says whether the caller could do the action to anything at all.
	// Who could not is refused at the door, before a byte of the request is
	// read, and learns nothing of what there is; nil lets everybody on to the
	// handler.
	Could func(who core.Principal, action core.Action) bool
	// Recorded selects the actions of which every call leaves an entry. Where a
	// call ends before the handler asked the Guard (there is no such object, or
	// it is in another state) the door leaves one; nil selects none.
	Recorded func(core.Action) bool
	// Note leaves that entry. Nil asks the Guard, whose answer is dropped.
	Note func(ctx context.Context, who core.Principal, action core.Action, on core.Resource, outcome error) error
	// Log takes the cause of internal errors, which no answer tells; nil
	// discards it.
	Log *slog.Logger
}

// NewMux returns an empty mux.
func NewMux(o Options) *Mux {
	m := &Mux{mux: http.NewServeMux(), authenticate: o.Authenticate, guard: o.Guard, atDoor: o.AtDoor, could: o.Could, recorded: o.Recorded, noted: o.Note}
	if m.log = o.Log; m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.atDoor == nil {
		m.atDoor = func(core.Action) bool { return false }
	}
	if m.could == nil {
		m.could = func(core.Principal, core.Action) bool { return true }
	}
	if m.recorded == nil {
		m.recorded = func(core.Action) bool { return false }
	}
	return m
}

// Handle registers a route. The pattern must name a method, so that no GET can
// reach what a POST does. It panics on a pattern that net/http refuses and on
// an empty action: both are faults of the program, seen at start.
func (m *Mux) Handle(pattern string, action core.Action, h http.Handler) {
	method, _, ok := strings.Cut(pattern, " ")
	if !ok || action == "" || !slices.Contains([]string{"GET", "POST", "PUT", "DELETE"}, method) {
		panic("httpd: route " + pattern + " needs a method and an action")
	}
	m.mu.Lock()
	m.routes = append(m.routes, Route{pattern, action})
	m.mu.Unlock()
	m.mux.Handle(pattern, m.door(action, h))
}

// HandleFunc is [Mux.Handle] for functions that return their error, which
// becomes a problem document. Where the answer had begun the connection is
// broken off instead: half an answer must not look whole.
func (m *Mux) HandleFunc(pattern string, action core.Action, h func(http.ResponseWriter, *http.Request) error) {
	m.Handle(pattern, action, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, asked := core.Watched(r.Context())
		r = r.WithContext(ctx)
		out := &begun{ResponseWriter: w}
		err := h(out, r)
		if err == nil {
			return
		}
		if !asked() && m.recorded(action) && !malformed(err) {
			err = m.note(r, action, err)
		}
		m.fail(out, r, err)
	}))
}

// fail answers with an error; what the answer doesn't tell goes to the log.
func (m *Mux) fail(w http.ResponseWriter, r *http.Request, err error) {
	out, ok := w.(*begun)
	switch broken := ok && out.wrote; {
	case errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || r.Context().Err() != nil:
		// The client has gone; that is no fault of ours.
		panic(http.ErrAbortHandler)
	case broken:
		m.log.Warn("an answer was broken off", slog.String("route", r.Pattern), slog.Any("err", err))
		panic(http.ErrAbortHandler)
	case core.KindOf(err) == core.KindInternal:
		m.log.Error("a request failed", slog.String("route", r.Pattern), slog.Any("err", err))
	}
	WriteError(w, r, err)
}

// begun knows whether an answer has begun.
type begun struct {
	http.ResponseWriter
	wrote bool
}

// WriteHeader implements [http.ResponseWriter].
func (b *begun) WriteHeader(status int) {
	b.wrote = true
	b.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (b *begun) Write(p []byte) (int, error) {
	b.wrote = true
	return b.ResponseWriter.Write(p)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// malformed reports an error of a request that could not be read, and so asked
// for nothing.
func malformed(err error) bool {
	kind := core.KindOf(err)
	return kind == core.KindInvalid || kind == core.KindTooLarge
}

// note puts a call on record that came to nothing before the Guard was asked,
// and returns what is to be answered: what the call came to, unless there is no
// record of it.
func (m *Mux) note(r *http.Request, action core.Action, outcome error) error {
	who := PrincipalOf(r.Context())
	if m.noted != nil {
		if err := m.noted(r.Context(), who, action, objectOf(r, who, action), outcome); err != nil {
			return err
		}
		return outcome
	}
	if err := m.permit(r, who, action); err != nil && core.KindOf(err) != core.KindDenied {
		return err
	}
	return outcome
}

// Routes returns the table, sorted by pattern.
func (m *Mux) Routes() []Route {
	m.mu.Lock()
	defer m.mu.Unlock()
	table := slices.Clone(m.routes)
	slices.SortFunc(table, func(a, b Route) int { return strings.Compare(a.Pattern, b.Pattern) })
	return table
}

// ServeHTTP implements [http.Handler].
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	m.mux.ServeHTTP(w, r)
}

func (m *Mux) door(action core.Action, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := m.authenticate(r)
		caller := caller{who: who}
		if err == nil && (m.atDoor(action) || !m.could(who, action)) {
			err = m.permit(r, who, action)
			caller.permitted = action
		}
		if err != nil {
			m.fail(w, r, err)
			return
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, caller)))
	})
}

func (m *Mux) permit(r *http.Request, who core.Principal, action core.Action) error {
	on := objectOf(r, who, action)
	d, err := m.guard.Permit(r.Context(), who, action, on)
	if err != nil {
		return err
	}
	return Refusal(d, who, action, on)
}

// objectOf is what a request is about, as far as its path says.
func objectOf(r *http.Request, who core.Principal, action core.Action) core.Resource {
	noun, _, _ := strings.Cut(string(action), ".")
	on := core.Resource{Type: noun, ID: r.PathValue("id"), Tenant: who.Tenant}
	if _, err := core.ParseID[core.DeviceID](on.ID); err != nil { // it goes into the log's clear text
		on.ID = "*"
	}
	return on
}

// Refusal turns a decision that denies into an error of kind denied, and one
// that permits into nil.
func Refusal(d core.Decision, who core.Principal, action core.Action, on core.Resource) error {
	if d.Allowed {
		return nil
	}
	return core.E(core.KindDenied, "guard", who.String()+" may not "+string(action)+" on "+on.String()+": "+d.Reason)
}

type principalKey struct{}

// caller is who sent a request, and what the door asked the Guard for.
type caller struct {
	who       core.Principal
	permitted core.Action
}

// PrincipalOf returns who sent the request that ctx belongs to. It is the zero
// Principal, which no policy permits anything, outside a request.
func PrincipalOf(ctx context.Context) core.Principal {
	c, _ := ctx.Value(principalKey{}).(caller)
	return c.who
}

// WithPrincipal returns a context in which who acts, for calls within the
// process. Nothing counts as permitted in it: whatever is done with it asks the
// Guard itself. Whoever calls this has authenticated who.
func WithPrincipal(ctx context.Context, who core.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, caller{who: who})
}

// PermittedAtDoor reports whether the door that this request came through has
// asked the Guard for the action, so that a plain read is not asked for twice.
func PermittedAtDoor(ctx context.Context, action core.Action) bool {
	c, _ := ctx.Value(principalKey{}).(caller)
	return action != "" && c.permitted == action
}
