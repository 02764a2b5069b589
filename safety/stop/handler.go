package stop

import (
	"mime"
	"net/http"
	"slices"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Actions of the stop path's routes, as the route table shows them. Nobody asks
// a Guard about them: identity and scope are all that a stop needs.
const (
	actionTrip core.Action = "device.stop"
	actionRead core.Action = "stop.read"
)

// maxBody bounds a request's body.
const maxBody = 4 << 10

// TripRequest is the body of POST /stop/v1/trip.
type TripRequest struct {
	V      int    `json:"v"` // 1
	Scope  Scope  `json:"scope"`
	Reason string `json:"reason,omitempty"`
}

// ReasonRequest is the body of POST /stop/v1/reason.
type ReasonRequest struct {
	V      int       `json:"v"` // 1
	Trip   core.UUID `json:"trip"`
	Reason string    `json:"reason"`
}

// TripAnswer is the answer to a trip.
type TripAnswer struct {
	V int `json:"v"`
	Result
	// Summary is "NOT CONFIRMED: 37" or how many confirmed, for people.
	Summary []string `json:"summary"`
}

// StatusAnswer is the answer to GET /stop/v1/status.
type StatusAnswer struct {
	V int `json:"v"`
	Status
	Summary []string `json:"summary"`
}

// Mux returns the routes of the stop path: a trip, its reason, the status. Only
// a POST trips; a link, a prefetch or a mail scanner that GETs does nothing. The
// peer's uid at the unix socket is the person, so no session can be expired.
func (s *Service) Mux() *httpd.Mux {
	m := httpd.NewMux(httpd.Options{Authenticate: s.authenticate})
	m.HandleFunc("POST /stop/v1/trip", actionTrip, s.serveTrip)
	m.HandleFunc("POST /stop/v1/reason", actionTrip, s.serveReason)
	m.HandleFunc("GET /stop/v1/status", actionRead, s.serveStatus)
	return m
}

func (s *Service) authenticate(r *http.Request) (core.Principal, error) {
	uid, err := httpd.PeerUID(r.Context())
	if err != nil {
		return core.Principal{}, err
	}
	who, known := s.PersonOf(uid)
	if !known {
		return core.Principal{}, core.E(core.KindUnauthenticated, "stop.Handler", "the user of this connection is nobody who is known here").
			WithHint("use a button on the machine")
	}
	return who, nil
}

// body reads a request's JSON, strictly.
func body(w http.ResponseWriter, r *http.Request, v any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return core.E(core.KindInvalid, "stop.Handler", "the content type is not application/json")
	}
	b, err := httpd.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	finish(r.Context())
	return link.DecodeStrict(b, v)
}

func version(v int) error {
	if v != 1 {
		return core.E(core.KindInvalid, "stop.Handler", "v is not 1")
	}
	return nil
}

func (s *Service) serveTrip(w http.ResponseWriter, r *http.Request) error {
	var req TripRequest
	if err := body(w, r, &req); err != nil {
		return err
	}
	if err := version(req.V); err != nil {
		return err
	}
	result, err := s.Trip(httpd.PrincipalOf(r.Context()), req.Scope, req.Reason)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, TripAnswer{V: 1, Result: result, Summary: summary(result.Stops)})
}

func (s *Service) serveReason(w http.ResponseWriter, r *http.Request) error {
	var req ReasonRequest
	if err := body(w, r, &req); err != nil {
		return err
	}
	if err := version(req.V); err != nil {
		return err
	}
	if err := s.Explain(httpd.PrincipalOf(r.Context()), req.Trip, req.Reason); err != nil {
		return err
	}
	return httpd.WriteJSON(w, struct {
		V int `json:"v"`
	}{1})
}

// serveStatus shows the stops on the person's sites.
func (s *Service) serveStatus(w http.ResponseWriter, r *http.Request) error {
	who := httpd.PrincipalOf(r.Context())
	status := s.Status(who.Tenant)
	status.Stops = slices.DeleteFunc(status.Stops, func(st State) bool {
		return !st.Scope.Site.IsZero() && !slices.Contains(who.Sites, st.Scope.Site)
	})
	return httpd.WriteJSON(w, StatusAnswer{V: 1, Status: status, Summary: summary(status.Stops)})
}

func summary(stops []State) []string {
	out := make([]string, len(stops))
	for i, s := range stops {
		out[i] = s.String()
	}
	return out
}
