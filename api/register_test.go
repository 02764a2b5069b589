package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// unwell can't be encoded.
type unwell struct {
	Text string `json:"text"`
}

// MarshalJSON implements json.Marshaler.
func (unwell) MarshalJSON() ([]byte, error) { return nil, errors.New("secret table x") }

// yes is a Guard that lets everybody do everything.
type yes struct{}

// Permit implements core.Guard.
func (yes) Permit(context.Context, core.Principal, core.Action, core.Resource) (core.Decision, error) {
	return core.Decision{Allowed: true}, nil
}

// TestWhatGoesWrongInAnOperation is answered as everywhere else, and nothing of
// it is told that should not be.
func TestWhatGoesWrongInAnOperation(t *testing.T) {
	a := api.New(api.Parts{Guard: yes{}, Authenticate: func(*http.Request) (core.Principal, error) {
		return core.Principal{Kind: core.KindPerson, ID: "anna"}, nil
	}})
	add := func(path string, do func(context.Context, *api.None) (*api.Out[unwell], error)) {
		api.Register(a, policy.StatusRead, huma.Operation{OperationID: path, Method: http.MethodGet, Path: path}, do)
	}
	add("/v1/x/unwell", func(context.Context, *api.None) (*api.Out[unwell], error) { return &api.Out[unwell]{}, nil })
	add("/v1/x/internal", func(context.Context, *api.None) (*api.Out[unwell], error) { return nil, errors.New("secret table x") })
	add("/v1/x/conflict", func(context.Context, *api.None) (*api.Out[unwell], error) {
		return nil, core.E(core.KindConflict, "x", "changed meanwhile").WithHint("read it again")
	})
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/v1/x/unwell": {500, "internal"}, "/v1/x/internal": {500, "internal"}, "/v1/x/conflict": {409, "read it again"},
	} {
		rec := httptest.NewRecorder()
		a.Mux().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		if rec.Code != want.status || rec.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(rec.Body.String(), want.says) {
			t.Errorf("%s: %d %s %s", path, rec.Code, rec.Header(), rec.Body)
		}
		if strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%s tells %s", path, rec.Body)
		}
	}
}

// TestAnOperationWithoutAnActionIsNone: it is a fault of the program, seen at
// start.
func TestAnOperationWithoutAnActionIsNone(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was taken")
		}
	}()
	api.Register(api.New(api.Parts{}), "", huma.Operation{OperationID: "x", Method: http.MethodGet, Path: "/v1/x"},
		func(context.Context, *api.None) (*api.Out[unwell], error) { return nil, nil })
}

// TestForeignContentTypes: a form that some page has a browser send is no
// request.
func TestForeignContentTypes(t *testing.T) {
	a := api.New(api.Parts{Guard: yes{}, Authenticate: func(*http.Request) (core.Principal, error) {
		return core.Principal{Kind: core.KindPerson, ID: "anna"}, nil
	}})
	for kind, refused := range map[string]bool{
		"text/plain": true, "application/x-www-form-urlencoded": true, "multipart/form-data; boundary=x": true, "application/json; charset=utf-8": false, "": false, "\x00": true,
	} {
		req := httptest.NewRequest("POST", "/v1/tokens", strings.NewReader(`{"site":"hall-a","device":"press-8","ttl":"often","fact":""}`))
		req.Header.Set("Content-Type", kind)
		rec := httptest.NewRecorder()
		a.Mux().ServeHTTP(rec, req)
		if got := strings.Contains(rec.Body.String(), "content type"); got != refused || rec.Code != 400 {
			t.Errorf("%q: %d %s", kind, rec.Code, rec.Body)
		}
	}
}
