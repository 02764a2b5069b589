package hil

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
	"github.com/interlock-security/interlock/test/hil/control"
)

// persons are the throwaway people of this site; two of the three release.
var persons = []string{"anna", "bert", "cara"}

// server is the real server as a process, and its people's keys.
type server struct {
	t       *testing.T
	program string
	dir     string
	agents  string // where the listener for agents is
	cmd     *exec.Cmd
	out     *output
	api     *client.Client
	journal []core.Event // of the device, as far as it was read
	cursor  string       // where that ends
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }
func (s *server) keys() string { return filepath.Join(s.dir, "keys") }

// newServer holds the ceremony for three persons and starts the server.
func newServer(t *testing.T, dir, program, agents string) *server {
	t.Helper()
	s := &server{t: t, program: program, dir: dir, agents: agents, out: new(output)}
	s.api = client.New(filepath.Join(s.data(), "api.sock"))
	text := fmt.Sprintf(`listen:
  agents: %s
  names: [%s, localhost]
  management: %s
  console: %s
operators:
  - {uid: %d, person: %s, roles: [viewer, operator, security-officer, administrator]}
`, agents, control.GuestServer, freePort(t), freePort(t), os.Getuid(), persons[0])
	if err := os.MkdirAll(s.data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.data(), "interlock.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"root", "init"}
	for _, p := range persons {
		args = append(args, "--person", p)
	}
	if _, err := s.run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

// start runs the server until the test ends.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.program, "--data", s.data(), "--keys", s.keys(), "serve")
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		_ = s.cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("the server said:\n%s", s.out.tail(6000))
		}
	})
}

// run runs a verb and returns what it prints.
func (s *server) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, append([]string{"--data", s.data(), "--keys", s.keys()}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("interlock %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errOut.String())
	}
	return out.String(), nil
}

// get reads a resource of the operator API.
func get[T any](ctx context.Context, s *server, path string) (T, error) {
	var v T
	err := s.api.Get(ctx, path, nil, &v)
	return v, err
}

// page reads the first page of a list, which in this test is all of it.
func page[T any](ctx context.Context, s *server, path string) ([]T, error) {
	p, err := get[api.Page[T]](ctx, s, path)
	if err == nil && p.Next != "" {
		err = fmt.Errorf("%s has more than a page", path)
	}
	return p.Items, err
}

// events are the device's events as the journal has them, in its order. What was
// read once is kept: the checks ask again and again.
func (s *server) events(ctx context.Context) ([]core.Event, error) {
	path := "/v1/events?last=10000&cursors=true"
	if s.cursor != "" {
		path = "/v1/events?after=" + url.QueryEscape(s.cursor)
	}
	err := s.api.Stream(ctx, path, func(line []byte) error {
		var r struct {
			Cursor string     `json:"cursor"`
			Event  core.Event `json:"event"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		s.cursor = r.Cursor
		if r.Event.Device == device && r.Event.Type != "device_batch" {
			s.journal = append(s.journal, r.Event)
		}
		return nil
	})
	return slices.Clone(s.journal), err
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

func (o *output) tail(limit int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf.Bytes()
	return string(b[max(0, len(b)-limit):])
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

// patience bounds how long a check waits for what must come. It is no promise
// of speed: the machine is emulated and shares two processors with others.
const patience = 4 * time.Minute

// await asks again and again until fn is content; then it tells what fn said
// last.
func await(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not within %s", patience), err)
		case <-tick.C:
		}
	}
}
