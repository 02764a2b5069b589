package events_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/platform/events"
)

func TestAKilledStoreComesBack(t *testing.T) {
	s := newStore(t)
	s.put(t, row(ours, 1, 0, time.Now(), "before"))
	if h, _ := s.Health(); h != core.HealthHealthy {
		t.Errorf("health is %s", h)
	}
	before := s.Client().Generation()
	_, _, password := s.Client().Where()
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "another process", func() bool { return s.Starts() >= 2 && s.up() })
	if s.Client().Generation() == before {
		t.Error("nobody can tell that it is another one")
	}
	if _, _, now := s.Client().Where(); now == password || now == "" {
		t.Error("the new process has the old one's password")
	}
	s.put(t, row(ours, 2, 0, time.Now(), "after"))
	if hits := s.search(t, ours, "after"); len(hits) != 1 {
		t.Errorf("%+v", hits)
	}
}

func TestAHangingStoreIsKilled(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "events"), func(s *events.Supervisor) { s.SetProbe(500 * time.Millisecond) })
	if err := syscall.Kill(s.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await(t, "another process", func() bool { return s.Starts() >= 2 && s.up() })
}

func TestAnEndThatIsAskedForLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	s := openStore(t, dir)
	if !s.Client().Fresh() {
		t.Error("a new folder is not fresh")
	}
	for i := range 100 {
		if err := s.Client().Insert(t.Context(), []events.Row{row(ours, 1, i, time.Now(), "x")}); err != nil {
			t.Fatal(err)
		}
	}
	s.stop() // at once: nothing has been flushed
	if _, err := s.Client().Search(t.Context(), events.Query{Tenant: ours}); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("a store that was stopped: %v", err)
	}
	s = openStore(t, dir)
	if s.Client().Fresh() {
		t.Error("a folder with events is fresh")
	}
	found, err := s.Client().Stored(t.Context(), ours, 0, 1, 1, time.Now().Add(-time.Hour), time.Now())
	if err != nil || len(found) != 100 {
		t.Errorf("%d of 100 rows are there: %v", len(found), err)
	}
}

func TestTheStoreServesNobodyElse(t *testing.T) {
	s := newStore(t)
	base, user, password := s.Client().Where()
	ask := func(path, user, password string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{"/", "/health", "/metrics", "/flags", "/select/logsql/query?query=*", "/insert/jsonline", "/internal/force_flush"} {
		for name, code := range map[string]int{"nobody": ask(path, "", ""), "a wrong password": ask(path, user, password+"x"), "no password": ask(path, user, ""), "another": ask(path, "admin", password)} {
			if code != http.StatusUnauthorized {
				t.Errorf("%s by %s: %d", path, name, code)
			}
		}
	}
	for _, path := range []string{
		"/", "/metrics", "/flags", "/debug/pprof/", "/debug/pprof/heap", "/select/vmui/", "/select/tenant_ids", "/select/logsql/tail?query=*", "/select/logsql/streams?query=*", "/delete/run_task?filter=*",
		"/internal/force_merge", "/internal/partition/list", "/internal/partition/detach", "/internal/select/query", "/internal/insert", "/insert/loki/api/v1/push", "//select/logsql/query", "/select/logsql/query/",
	} {
		if code := ask(path, user, password); code != http.StatusNotFound {
			t.Errorf("%s is served to its own parent: %d", path, code)
		}
	}
	if code := ask("/health", user, password); code != http.StatusOK || !strings.HasPrefix(base, "http://127.0.0.1:") {
		t.Errorf("%s: %d", base, code)
	}
}

// TestTheStoreTellsNothing looks at what other users of the machine can see of
// the process, and at its files.
func TestTheStoreTellsNothing(t *testing.T) {
	s := newStore(t)
	_, _, password := s.Client().Where()
	s.put(t, row(ours, 1, 0, time.Now(), "needle-in-the-log"))
	_, _ = s.Client().Search(t.Context(), events.Query{Tenant: ours, LogsQL: `( needle-in-the-log`})
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID()))
	if err != nil || !strings.HasSuffix(string(cmdline), "child\x00events\x00") {
		t.Errorf("%q %v", cmdline, err)
	}
	if environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.PID())); err == nil && len(environ) > 0 {
		t.Errorf("the child inherited an environment: %q", environ)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.PID()))
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
		t.Errorf("it may leave a core: %s %v", limits, err)
	}
	if said := s.said.String(); strings.Contains(said, "needle") || strings.Contains(said, password) {
		t.Errorf("it prints what it holds: %s", said)
	}
	err = filepath.WalkDir(s.Start.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAStoreThatCannotStart(t *testing.T) {
	for name, change := range map[string]func(*events.Supervisor){
		"no such program": func(s *events.Supervisor) { s.Program = "/nonexistent" },
		"another verb":    func(s *events.Supervisor) { s.Program = "/bin/false" },
		"too little":      func(s *events.Supervisor) { s.Start.Memory = 1 },
		"no folder":       func(s *events.Supervisor) { s.Start.Dir = "/proc/nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktest.New(time.Unix(1_700_000_000, 0))
			s := &events.Supervisor{Args: []string{"child", "events"}, Start: startOf(t.TempDir()), Clock: clock, Log: slog.New(slog.DiscardHandler)}
			change(s)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			for range 3 { // it tries again, later and later
				await(t, "a try", func() bool { return clock.Waiters() > 0 })
				if h, why := s.Health(); h != core.HealthUnhealthy || why == "" {
					t.Errorf("%s %q", h, why)
				}
				if err := s.Client().Health(t.Context()); core.KindOf(err) != core.KindUnavailable {
					t.Errorf("%v", err)
				}
				clock.Advance(time.Minute)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	cluster := func(change func(*events.Settings)) events.Settings {
		s := events.DefaultSettings()
		s.Insert, s.Select, s.User, s.PasswordFile = "https://in.example:9428", "https://out.example", "u", "/etc/interlock/events.password"
		if change != nil {
			change(&s)
		}
		return s
	}
	small := events.DefaultSettings()
	small.MemoryMB = 1
	short := events.DefaultSettings()
	short.RetentionDays = 0
	userAlone := events.DefaultSettings()
	userAlone.User = "u"
	for name, tc := range map[string]struct {
		s    events.Settings
		want string // in the error; "" for none
	}{
		"default":        {events.DefaultSettings(), ""},
		"small":          {small, "memory_mb"},
		"no retention":   {short, "retention_days"},
		"user, no store": {userAlone, "cluster"},
		"cluster":        {cluster(nil), ""},
		"loopback":       {cluster(func(s *events.Settings) { s.Insert = "http://127.0.0.1:9428" }), ""},
		"in the clear":   {cluster(func(s *events.Settings) { s.Select = "http://logs.example" }), "https"},
		"half":           {cluster(func(s *events.Settings) { s.Insert = "" }), "events.insert"},
		"with password":  {cluster(func(s *events.Settings) { s.Insert = "https://u:p@logs.example" }), "events.insert"},
		"other scheme":   {cluster(func(s *events.Settings) { s.Insert = "file:///etc" }), "events.insert"},
		"no file":        {cluster(func(s *events.Settings) { s.PasswordFile = "" }), "password_file"},
		"relative file":  {cluster(func(s *events.Settings) { s.PasswordFile = "secret" }), "password_file"},
		"no user":        {cluster(func(s *events.Settings) { s.User = "" }), "password_file"},
	} {
		err := tc.s.Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
