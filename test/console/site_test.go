package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
)

// patience is how long a test waits for what has to come. It is no promise of
// speed: two cores run all of it at once.
const patience = 60 * time.Second

// binary builds the product as users get it, once per test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "interlock-console-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "../../cmd/interlock")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return filepath.Join(dir, "interlock"), os.Chmod(dir, 0o755) // for the other user too
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// program is the path of the binary.
func program(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// site is one installation in folders of its own.
type site struct {
	t    *testing.T
	dir  string
	data string
	keys string
	// port is the console's, on localhost.
	port string
	cmd  *exec.Cmd
	out  *output
}

// newSite makes the folders and the configuration: every listener on a port that
// nobody else has. The path is short, because a unix socket's name is limited to
// 108 bytes.
//
// more is YAML below listen, with its indentation, and what follows it.
func newSite(t *testing.T, more string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "ic")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, data: filepath.Join(dir, "data"), keys: filepath.Join(dir, "keys"), out: new(output)}
	t.Cleanup(func() {
		s.kill()
		_ = os.RemoveAll(dir)
	})
	ports := freePorts(t, 3)
	s.port = ports[2]
	s.write(filepath.Join(s.data, "interlock.yaml"), fmt.Sprintf("listen:\n  agents: 127.0.0.1:%s\n  management: 127.0.0.1:%s\n  console: 127.0.0.1:%s\n%s",
		ports[0], ports[1], ports[2], more))
	return s
}

// origin is how browsers call the console.
func (s *site) origin() string { return "http://localhost:" + s.port }

// freePorts returns ports of the loopback address that nobody listens on.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports
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

// start runs a long-lived verb and waits until it prints the line that says it
// is ready.
func (s *site) start(ready string, args ...string) {
	s.t.Helper()
	s.cmd = launch(s.t, s.out, nil, append([]string{"--data", s.data, "--keys", s.keys}, args...)...)
	s.printed(ready)
}

// printed waits until the server has printed a text.
func (s *site) printed(text string) {
	s.t.Helper()
	await(s.t, strconv.Quote(text), s.out.dump, func() bool { return strings.Contains(s.out.dump(), text) })
}

// launch starts the product in a process group of its own.
func launch(t *testing.T, out *output, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// kill ends the server. One that had ended by itself fails the test.
func (s *site) kill() {
	if s.cmd != nil {
		kill(s.t, s.cmd, s.out)
		s.cmd = nil
	}
}

func kill(t *testing.T, cmd *exec.Cmd, out *output) {
	t.Helper()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("%v had ended by itself (%s):\n%s", cmd.Args, cmd.ProcessState, out.dump())
	}
}

// must runs a verb that has to succeed and returns what it prints.
func (s *site) must(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(s.t), append([]string{"--data", s.data, "--keys", s.keys}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("interlock %s: %v\n%s%s\nserver:\n%s", strings.Join(args, " "), err, out.String(), errOut.String(), s.out.dump())
	}
	return out.String()
}

// ask runs a verb with --json and decodes what it prints.
func ask[T any](s *site, args ...string) T {
	s.t.Helper()
	var v T
	text := s.must(append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		s.t.Fatalf("interlock %s: %v in\n%s", strings.Join(args, " "), err, text)
	}
	return v
}

// get reads from the operator API by its socket, as the verbs do.
func get[T any](s *site, path string) (T, error) {
	var v T
	err := client.New(filepath.Join(s.data, "api.sock")).Get(s.t.Context(), path, nil, &v)
	return v, err
}

// healthy waits until every part of the server is well.
func (s *site) healthy() {
	s.t.Helper()
	var last string
	await(s.t, "a healthy server", func() string { return last + s.out.dump() }, func() bool {
		st, err := get[api.Status](s, "/v1/status")
		last = fmt.Sprintf("%+v %v\n", st, err)
		return err == nil && st.Health == core.HealthHealthy
	})
}

// family are a process and all that it started.
func family(pid int) []int {
	all := []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, family(child)...)
			}
		}
	}
	return all
}

// memory is what a process holds, in MB: as counted by itself, and with what it
// shares counted once.
func memory(t *testing.T, pid int) (rss, pss float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kB float64
		if n, _ := fmt.Sscanf(line, "Rss: %f kB", &kB); n == 1 {
			rss = kB / 1000
		}
		if n, _ := fmt.Sscanf(line, "Pss: %f kB", &kB); n == 1 {
			pss = kB / 1000
		}
	}
	return rss, pss
}

// commandLine is how a process was started.
func commandLine(t *testing.T, pid int) []string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
}

// output collects what a process prints while others read it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

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

// await polls until ok; when patience ends it fails and shows what diagnose has
// to say.
func await(t *testing.T, what string, diagnose func() string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not come:\n%s", what, diagnose())
		}
	}
}
