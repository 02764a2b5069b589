package httpd_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

type guard func(core.Principal, core.Action, core.Resource) (core.Decision, error)

func (g guard) Permit(_ context.Context, p core.Principal, a core.Action, r core.Resource) (core.Decision, error) {
	return g(p, a, r)
}

func anna(*http.Request) (core.Principal, error) {
	return core.Principal{Kind: core.KindPerson, ID: "anna"}, nil
}

func TestTheDoorAsksTheGuardBeforeTheHandler(t *testing.T) {
	for name, row := range map[string]struct {
		decision core.Decision
		err      error
		status   int
	}{
		"permitted":        {core.Decision{Allowed: true}, nil, 200},
		"refused":          {core.Decision{Reason: "viewers only look"}, nil, 403},
		"cannot be logged": {core.Decision{Allowed: true}, core.E(core.KindUnavailable, "audit", "disk full"), 503},
		"broken":           {core.Decision{Allowed: true}, errors.New("boom"), 500},
	} {
		t.Run(name, func(t *testing.T) {
			ran := false
			mux := httpd.NewMux(httpd.Options{
				Authenticate: anna,
				AtDoor:       func(core.Action) bool { return true },
				Guard: guard(func(p core.Principal, a core.Action, r core.Resource) (core.Decision, error) {
					if p.ID != "anna" || a != "device.show" || r.String() != "device/press-7" {
						t.Errorf("asked for %s %s %s", p, a, r)
					}
					return row.decision, row.err
				}),
			})
			mux.HandleFunc("GET /v1/devices/{id}", "device.show", func(w http.ResponseWriter, r *http.Request) error {
				ran = true
				return httpd.WriteJSON(w, httpd.PrincipalOf(r.Context()).ID)
			})
			rec := httptest.NewRecorder()
			mux.ServeHTTP(rec, httptest.NewRequest("GET", "/v1/devices/press-7", nil))
			if rec.Code != row.status || ran != (row.status == 200) {
				t.Errorf("status %d, ran %v; want %d", rec.Code, ran, row.status)
			}
		})
	}
}

// TestEveryCallLeavesAnEntry: who could not do it anywhere is refused before the
// body is read; a call that ends before the handler asked is asked for at the
// door; one that could not be read was none.
func TestEveryCallLeavesAnEntry(t *testing.T) {
	for name, row := range map[string]struct {
		could   bool
		asks    bool  // the handler asks the Guard
		outcome error // of the handler
		audit   error // of the log
		status  int
		asked   []string
	}{
		"could do it nowhere":    {false, false, nil, nil, 403, []string{"device/press-7"}},
		"done":                   {true, true, nil, nil, 200, []string{"handler"}},
		"refused where it is":    {true, true, core.E(core.KindDenied, "x", "no"), nil, 403, []string{"handler"}},
		"there is no such thing": {true, false, core.E(core.KindNotFound, "x", "none"), nil, 404, []string{"device/press-7"}},
		"no record of that":      {true, false, core.E(core.KindNotFound, "x", "none"), core.E(core.KindUnavailable, "audit", "full"), 503, []string{"device/press-7"}},
		"not to be read":         {true, false, core.E(core.KindInvalid, "x", "what"), nil, 400, nil},
		"too large":              {true, false, core.E(core.KindTooLarge, "x", "much"), nil, 413, nil},
	} {
		var asked []string
		mux := httpd.NewMux(httpd.Options{
			Authenticate: anna,
			Could:        func(core.Principal, core.Action) bool { return row.could },
			Recorded:     func(core.Action) bool { return true },
			Guard: guard(func(_ core.Principal, _ core.Action, r core.Resource) (core.Decision, error) {
				asked = append(asked, r.String())
				return core.Decision{Reason: "no"}, row.audit
			}),
		})
		mux.HandleFunc("POST /v1/devices/{id}/arm", "device.arm", func(w http.ResponseWriter, r *http.Request) error {
			if row.asks {
				asked = append(asked, "handler")
				core.NoteRecorded(r.Context())
			}
			if row.outcome != nil {
				return row.outcome
			}
			return httpd.WriteJSON(w, "done")
		})
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest("POST", "/v1/devices/press-7/arm", nil))
		if rec.Code != row.status || !slices.Equal(asked, row.asked) {
			t.Errorf("%s: status %d after %v, want %d after %v", name, rec.Code, asked, row.status, row.asked)
		}
	}
}

func TestStrangersGetNoHandler(t *testing.T) {
	mux := httpd.NewMux(httpd.Options{Authenticate: func(*http.Request) (core.Principal, error) {
		return core.Principal{}, core.E(core.KindUnauthenticated, "test", "no certificate")
	}})
	mux.Handle("POST /x", "x.do", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("POST", "/x", nil))
	if rec.Code != 401 {
		t.Errorf("status %d", rec.Code)
	}
}

func TestARouteNeedsMethodAndAction(t *testing.T) {
	for _, row := range []struct{ pattern, action string }{{"/x", "x.do"}, {"GET /x", ""}, {"BREW /x", "x.do"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Handle(%q, %q) was taken", row.pattern, row.action)
				}
			}()
			httpd.NewMux(httpd.Options{Authenticate: anna}).Handle(row.pattern, core.Action(row.action), http.NotFoundHandler())
		}()
	}
}

func TestInternalErrorsKeepTheirTextInside(t *testing.T) {
	rec := httptest.NewRecorder()
	httpd.WriteError(rec, httptest.NewRequest("GET", "/", nil), errors.New("open /var/lib/secret: no such file"))
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestErrorsSurviveTheTrip(t *testing.T) {
	rec := httptest.NewRecorder()
	httpd.WriteError(rec, httptest.NewRequest("GET", "/", nil), core.E(core.KindExpired, "fleet.Redeem", "token t1 ended yesterday").WithHint("make a new one"))
	err := httpd.ErrorOf("client", rec.Result())
	if core.KindOf(err) != core.KindExpired || core.HintOf(err) != "make a new one" || !strings.Contains(err.Error(), "t1 ended") {
		t.Errorf("came back as %v (%v, %q)", err, core.KindOf(err), core.HintOf(err))
	}
}

func TestBodiesOverTheLimitAreRefusedUnparsed(t *testing.T) {
	for _, row := range []struct {
		size int
		ok   bool
	}{{10, true}, {11, false}} {
		_, err := httpd.ReadBody(httptest.NewRecorder(), httptest.NewRequest("POST", "/x", strings.NewReader(strings.Repeat("a", row.size))), 10)
		if (err == nil) != row.ok || err != nil && core.KindOf(err) != core.KindTooLarge {
			t.Errorf("%d bytes: %v", row.size, err)
		}
	}
}

func TestUnixSocketKnowsItsPeerAndIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := httpd.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uid, err := httpd.PeerUID(r.Context())
		_ = json.NewEncoder(w).Encode(map[string]any{"uid": uid, "err": err})
	})
	go func() { done <- httpd.Serve(ctx, httpd.NewServer(handler, slog.New(slog.DiscardHandler)), l) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	res, err := client.Get("http://unix/")
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ UID int }
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || got.UID != os.Getuid() {
		t.Errorf("uid %d, %v; want %d", got.UID, err, os.Getuid())
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if _, err := httpd.ListenUnix(path); core.KindOf(err) != core.KindConflict {
		t.Errorf("a second listener: %v", err)
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestManagementExposureLevels(t *testing.T) {
	for level, want := range map[string][3]int{"minimal": {503, 404, 404}, "standard": {503, 200, 404}, "full": {503, 200, 200}} {
		h := httpd.Management{
			Exposure: level,
			Health: func() map[string]core.Health {
				return map[string]core.Health{"keys": core.HealthUnhealthy, "audit": core.HealthHealthy}
			},
			Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "# EOF\n") }),
		}.Handler()
		for i, path := range []string{"/health", "/metrics", "/debug/pprof/"} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
			if rec.Code != want[i] {
				t.Errorf("%s %s: %d, want %d", level, path, rec.Code, want[i])
			}
		}
	}
	if httpd.LoopbackOnly("0.0.0.0:9000") || httpd.LoopbackOnly(":9000") || !httpd.LoopbackOnly("127.0.0.1:9000") || !httpd.LoopbackOnly("[::1]:9") {
		t.Error("LoopbackOnly")
	}
}

// An answer that broke off must not look whole: the connection ends instead.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	mux := httpd.NewMux(httpd.Options{Authenticate: anna})
	mux.HandleFunc("GET /x", "x.read", func(w http.ResponseWriter, _ *http.Request) error {
		if _, err := w.Write([]byte("half")); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		return core.E(core.KindUnavailable, "test", "the disk is gone")
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	res, err := http.Get(srv.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("the answer reads whole: %q", b)
	}
}

// What the answer to an internal error keeps to itself has to stand in the log.
func TestTheLogHasTheCause(t *testing.T) {
	var text strings.Builder
	mux := httpd.NewMux(httpd.Options{Authenticate: anna, Log: slog.New(slog.NewTextHandler(&text, nil))})
	mux.HandleFunc("GET /x", "x.read", func(http.ResponseWriter, *http.Request) error { return errors.New("table x is gone") })
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("GET", "/x", nil))
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "table") || !strings.Contains(text.String(), "table x is gone") {
		t.Errorf("answer %s, log %q", rec.Body, text.String())
	}
}
