package web

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/live"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/safety/stop"
)

// Parts are what the console stands on. All are required but Ending.
type Parts struct {
	// API is called in the process, with the person in the context.
	API *api.API
	// People signs people in.
	People People
	// Live tells watchers of events; its Encode is [EncodeEvent].
	Live *live.Hub
	// Stops is the stop path, which the stop pages stand on alone.
	Stops *stop.Service
	// Standing is what every page says of the installation, from memory.
	Standing func() Standing
	// Guard is asked for what no operation of the API covers.
	Guard core.Guard
	Clock core.Clock
	Log   *slog.Logger
	// Origin is how browsers call the console: "http://localhost:7400". No
	// request for another host is answered.
	Origin string
	// Ending is done when the server shuts down: streams end then.
	Ending <-chan struct{}
}

// Console serves the pages.
type Console struct {
	Parts
	mux     *httpd.Mux
	host    hosts
	flashes flashes
	// verifying is held while the audit log is recomputed.
	verifying sync.Mutex
	streams   streams
	boards    boards
	// uploads holds a place for each photo that is being taken in.
	uploads chan struct{}
}

// New returns the console with all its routes.
func New(p Parts) (*Console, error) {
	c := &Console{Parts: p, boards: boards{one: make(chan struct{}, 1)}, uploads: make(chan struct{}, maxUploads)}
	var err error
	if c.host, err = parseOrigin(p.Origin); err != nil {
		return nil, err
	}
	c.mux = httpd.NewMux(httpd.Options{Authenticate: c.authenticate, Guard: p.Guard, Log: p.Log})
	for _, routes := range sections {
		routes(c)
	}
	return c, nil
}

// sections register their routes; each stands in the file of its pages.
var sections = []func(*Console){
	staticRoutes, signinRoutes, liveRoutes, boardRoutes, searchRoutes, peopleRoutes, askRoutes,
	deviceRoutes, riskRoutes, sealRoutes, alertRoutes, ruleRoutes, findingRoutes, incidentRoutes, auditRoutes, approvalRoutes, stopRoutes,
}

// Mux returns the routes with their actions.
func (c *Console) Mux() *httpd.Mux { return c.mux }

// handler is a page: it renders, or returns the error that the page of errors
// shows.
type handler func(http.ResponseWriter, *http.Request) error

// access says who may come to a route beside a person with a live session.
type access int

const (
	// signedIn is a live session.
	signedIn access = iota
	// stopping lets a session that has expired within its shift pass too: a
	// stop is never refused because a sign-in ran out.
	stopping
	// public is everybody.
	public
)

// get registers a page. It must have no effect: browsers and mail scanners
// fetch links that nobody clicked.
func (c *Console) get(pattern string, action core.Action, h handler) {
	c.route("GET "+pattern, action, signedIn, h)
}

// post registers an effect. Before the handler runs the request was seen to come
// from our own origin with the session's form token; its form is parsed. The
// handler ends with [Console.done].
func (c *Console) post(pattern string, action core.Action, h handler) {
	c.route("POST "+pattern, action, signedIn, h)
}

// route registers a pattern for whom a allows.
func (c *Console) route(pattern string, action core.Action, a access, h handler) {
	c.routeWith(readForm, pattern, action, a, h)
}

// routeWith is [Console.route] with what parses the form of a POST.
func (c *Console) routeWith(read handler, pattern string, action core.Action, a access, h handler) {
	if strings.HasPrefix(pattern, "POST ") {
		h = c.checked(a, h, read)
	}
	h = c.admitted(a, h)
	c.mux.HandleFunc(pattern, action, func(w http.ResponseWriter, r *http.Request) error {
		r = c.withSession(r)
		if err := h(w, r); err != nil {
			return c.stopAgain(w, r, err)
		}
		return nil
	})
}

// done ends an effect: the browser goes on to a page of ours by GET, where text
// is shown once.
func (c *Console) done(w http.ResponseWriter, r *http.Request, to, tone, text string) error {
	c.flashes.put(sessionOf(r.Context()).ID, flash{Tone: tone, Text: text})
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// form returns a field of a parsed form.
func form(r *http.Request, name string) string { return r.PostForm.Get(name) }

type sessionKey struct{}

// sessionOf returns the session that the request came with, the zero one for
// none.
func sessionOf(ctx context.Context) Session {
	s, _ := ctx.Value(sessionKey{}).(Session)
	return s
}
