package httpd_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

// overUnix is a client of a socket.
func overUnix(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

// TestServeOutlivesItsHandlers: what handlers stand on is closed when Serve has
// returned, so none may run any more.
func TestServeOutlivesItsHandlers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := httpd.ListenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	began, finish := make(chan struct{}), make(chan struct{})
	var running atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		running.Add(1)
		defer running.Add(-1)
		close(began)
		<-finish
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, httpd.NewServer(handler, slog.New(slog.DiscardHandler)), l) }()
	answered := make(chan error, 1)
	go func() {
		res, err := overUnix(path).Get("http://unix/")
		if err == nil {
			err = res.Body.Close()
		}
		answered <- err
	}()
	<-began
	cancel()
	select {
	case err := <-ended:
		t.Fatalf("Serve returned (%v) while a handler ran", err)
	case <-afterListenerIsGone(path):
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := running.Load(); n != 0 {
		t.Errorf("%d handlers run after Serve", n)
	}
	if err := <-answered; err != nil {
		t.Errorf("the request that was being served: %v", err)
	}
}

// afterListenerIsGone is closed when nobody accepts at the socket any more.
func afterListenerIsGone(path string) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			c, err := net.Dial("unix", path)
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return gone
}

// TestASocketForAGroup: its members reach it, nobody else does.
func TestASocketForAGroup(t *testing.T) {
	gid := os.Getgid()
	names := []string{strconv.Itoa(gid)}
	if g, err := user.LookupGroupId(names[0]); err == nil {
		names = append(names, g.Name)
	}
	for _, name := range names {
		path := filepath.Join(t.TempDir(), "s.sock")
		l, err := httpd.ListenUnixGroup(path, name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || info.Mode().Perm() != 0o660 || int(st.Gid) != gid {
			t.Errorf("group %s: mode %v, %+v", name, info.Mode(), info.Sys())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	dir := t.TempDir()
	for group, want := range map[string]os.FileMode{"": 0o700, strconv.Itoa(gid): 0o710} {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := httpd.LetThrough(dir, group); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != want {
			t.Errorf("group %q: the folder has mode %v, %v", group, info.Mode(), err)
		}
	}
	path := filepath.Join(t.TempDir(), "s.sock")
	if _, err := httpd.ListenUnixGroup(path, "no such group\x1b[31m"); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a group that is none: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a refused socket is there: %v", err)
	}
}

// TestPrincipalsWithinTheProcess: whoever acts within the process is who the
// caller says, and nothing counts as permitted.
func TestPrincipalsWithinTheProcess(t *testing.T) {
	if who := httpd.PrincipalOf(t.Context()); who.ID != "" || httpd.PermittedAtDoor(t.Context(), "") {
		t.Errorf("outside a request: %v", who)
	}
	mux := httpd.NewMux(httpd.Options{
		Authenticate: anna, AtDoor: func(a core.Action) bool { return a == "x.read" },
		Guard: guard(func(core.Principal, core.Action, core.Resource) (core.Decision, error) {
			return core.Decision{Allowed: true}, nil
		}),
	})
	for _, row := range []struct {
		pattern string
		action  core.Action
		asked   bool
	}{{"GET /read", "x.read", true}, {"POST /do", "x.do", false}} {
		mux.HandleFunc(row.pattern, row.action, func(w http.ResponseWriter, r *http.Request) error {
			if got := httpd.PermittedAtDoor(r.Context(), row.action); got != row.asked {
				t.Errorf("%s: permitted at the door %v", row.pattern, got)
			}
			if httpd.PermittedAtDoor(r.Context(), "x.other") {
				t.Errorf("%s: another action counts as permitted", row.pattern)
			}
			ctx := httpd.WithPrincipal(r.Context(), core.Principal{Kind: core.KindPerson, ID: "bert"})
			if httpd.PrincipalOf(ctx).ID != "bert" || httpd.PermittedAtDoor(ctx, row.action) {
				t.Errorf("%s: what one was permitted another has", row.pattern)
			}
			return httpd.WriteJSON(w, "ok")
		})
		method, path, _ := strings.Cut(row.pattern, " ")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
		if rec.Code != http.StatusOK {
			t.Errorf("%s: %d", row.pattern, rec.Code)
		}
	}
}

// TestWhatCameToNothingIsNoted: by its own hook where there is one, so that the
// Guard's counters stay as they are.
func TestWhatCameToNothingIsNoted(t *testing.T) {
	for name, row := range map[string]struct {
		outcome, noted error
		status, notes  int
	}{
		"nothing there":   {core.E(core.KindNotFound, "x", "none"), nil, 404, 1},
		"no record of it": {core.E(core.KindNotFound, "x", "none"), core.E(core.KindUnavailable, "audit", "full"), 503, 1},
		"not to be read":  {core.E(core.KindInvalid, "x", "what"), nil, 400, 0},
	} {
		notes := 0
		mux := httpd.NewMux(httpd.Options{
			Authenticate: anna, Recorded: func(core.Action) bool { return true },
			Guard: guard(func(core.Principal, core.Action, core.Resource) (core.Decision, error) {
				t.Errorf("%s: the Guard was asked", name)
				return core.Decision{}, nil
			}),
			Note: func(_ context.Context, who core.Principal, a core.Action, on core.Resource, outcome error) error {
				notes++
				if who.ID != "anna" || a != "device.arm" || on.String() != "device/press-7" || !errors.Is(outcome, row.outcome) {
					t.Errorf("%s: noted %s %s %s %v", name, who, a, on, outcome)
				}
				return row.noted
			},
		})
		mux.HandleFunc("POST /v1/devices/{id}/arm", "device.arm", func(http.ResponseWriter, *http.Request) error { return row.outcome })
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest("POST", "/v1/devices/press-7/arm", nil))
		if rec.Code != row.status || notes != row.notes {
			t.Errorf("%s: status %d with %d notes", name, rec.Code, notes)
		}
	}
}
