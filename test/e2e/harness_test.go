package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
)

// binary builds the product as users get it, once per test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "interlock-e2e-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "../../cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "interlock"), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// site is one installation in folders of its own.
type site struct {
	t    *testing.T
	dir  string
	data string
	keys string
	cmd  *exec.Cmd
	out  *output
	// agents and management are where configure lets the server listen.
	agents, management string
}

// newSite makes the folders. The path is short: a unix socket's name is limited
// to 108 bytes.
func newSite(t *testing.T) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "il")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, data: filepath.Join(dir, "data"), keys: filepath.Join(dir, "keys")}
	t.Cleanup(func() {
		s.kill()
		_ = os.RemoveAll(dir)
	})
	return s
}

// start runs a long-lived verb and waits until it prints the line that says it
// is ready.
func (s *site) start(ready string, args ...string) {
	s.t.Helper()
	s.launch(args...)
	await(s.t, fmt.Sprintf("%q", ready), s.out.dump, func() bool { return strings.Contains(s.out.dump(), ready) })
}

// launch runs a long-lived verb.
func (s *site) launch(args ...string) {
	s.t.Helper()
	s.out = newOutput()
	s.cmd = launch(s.t, s.out, nil, append([]string{"--data", s.data, "--keys", s.keys}, args...)...)
}

// launch starts the product in a process group of its own.
func launch(t *testing.T, out *output, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// kill ends the process group at once, as a power cut would.
func (s *site) kill() {
	if s.cmd != nil {
		kill(s.t, s.cmd, s.out)
		s.cmd = nil
	}
}

// kill kills a process, and fails the test if it had ended before.
func kill(t *testing.T, cmd *exec.Cmd, out *output) {
	t.Helper()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("%v had ended by itself (%s):\n%s", cmd.Args, cmd.ProcessState, out.dump())
	}
}

// interrupt ends it as Ctrl-C would, which a terminal sends to the whole group,
// and returns the exit code.
func (s *site) interrupt() int {
	s.t.Helper()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT)
	err := s.cmd.Wait()
	s.cmd = nil
	return exitCode(err)
}

// run runs a verb to its end and returns its output and exit code.
func (s *site) run(args ...string) (string, int) {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"--data", s.data, "--keys", s.keys}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), exitCode(err)
}

// must runs a verb that has to end with one of the codes.
func (s *site) must(codes []int, args ...string) string {
	s.t.Helper()
	path, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), path, append([]string{"--data", s.data, "--keys", s.keys}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	code := exitCode(cmd.Run())
	for _, c := range codes {
		if c == code {
			return out.String()
		}
	}
	s.t.Fatalf("interlock %s: exit %d\n%s%s", strings.Join(args, " "), code, out.String(), errOut.String())
	return ""
}

// ask runs a verb with --json and decodes what it prints. Exit 1 (findings) is
// as good as 0.
func ask[T any](s *site, args ...string) T {
	s.t.Helper()
	var v T
	text := s.must([]int{0, 1}, append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		s.t.Fatalf("interlock %s: %v in\n%s", strings.Join(args, " "), err, text)
	}
	return v
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// output collects what a process prints while others read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func newOutput() *output { return new(output) }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) dump() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await polls until ok; after 45 seconds it fails and shows what diagnose has
// to say.
func await(t *testing.T, what string, diagnose func() string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not come:\n%s", what, diagnose())
		}
	}
}

// freePort returns a loopback address that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// configure writes the site's interlock.yaml: listeners on free ports, and what
// the test adds.
func (s *site) configure(more string) {
	s.t.Helper()
	s.agents, s.management = freePort(s.t), freePort(s.t)
	s.write(filepath.Join(s.data, "interlock.yaml"), fmt.Sprintf("listen:\n  agents: %s\n  management: %s\n  console: %s\n%s", s.agents, s.management, freePort(s.t), more))
}

func (s *site) write(path, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// serve runs the server until the test ends or stops it.
func (s *site) serve() {
	s.t.Helper()
	s.start("serving; agents at", "serve")
}

// awaitHealthy waits until every part is well: the listener's certificate comes
// a moment after the server is ready.
func (s *site) awaitHealthy() {
	s.t.Helper()
	var last string
	await(s.t, "a healthy server", func() string { return last + s.out.dump() }, func() bool {
		st, err := get[api.Status](s, "/v1/status")
		last = fmt.Sprintf("%+v %v\n", st, err)
		return err == nil && st.Health == core.HealthHealthy
	})
}

// api reads from the operator API, as the verbs do, for what is asked again and
// again: a new process each time would be most of the test.
func (s *site) api() *client.Client { return client.New(filepath.Join(s.data, "api.sock")) }

func get[T any](s *site, path string) (T, error) {
	var v T
	err := s.api().Get(s.t.Context(), path, nil, &v)
	return v, err
}

// listed reads a list of the operator API, page by page.
func listed[T any](s *site, path string, query url.Values) ([]T, error) {
	items, _, _, err := client.List[T](s.t.Context(), s.api(), path, query, 0)
	return items, err
}

// records are the last records of the journal, in its order.
func (s *site) records(last int) []core.Event {
	s.t.Helper()
	list, err := s.read(last)
	if err != nil {
		s.t.Fatalf("events: %v\n%s", err, s.out.dump())
	}
	return list
}

func (s *site) read(last int) (list []core.Event, err error) {
	err = s.api().Stream(s.t.Context(), fmt.Sprintf("/v1/events?last=%d", last), func(line []byte) error {
		var e core.Event
		err := json.Unmarshal(line, &e)
		list = append(list, e)
		return err
	})
	return list, err
}

// events are records without those that carry batches as devices signed them;
// none while the server does not answer.
func (s *site) events(last int) []core.Event {
	list, err := s.read(last)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list, func(e core.Event) bool { return e.Type == fleet.TypeBatch })
}

// alerts are the alerts of a rule.
func (s *site) alerts(rule string) []api.Alert {
	s.t.Helper()
	all, err := listed[api.Alert](s, "/v1/alerts", url.Values{"all": {"true"}})
	if err != nil {
		s.t.Fatalf("alerts: %v\n%s", err, s.out.dump())
	}
	return slices.DeleteFunc(all, func(a api.Alert) bool { return a.Rule != rule })
}
