package hil

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/hil/control"
	"github.com/interlock-security/interlock/test/rig"
)

// persons are the throwaway people of this site; two of the three release.
var persons = []string{"anna", "bert", "cara"}

// server is the real server as a process, and its people's keys.
type server struct {
	rig.Site
	t       *testing.T
	agents  string // where the listener for agents is
	cmd     *exec.Cmd
	out     *rig.Output
	api     *client.Client
	journal []core.Event // of the device, as far as it was read
	cursor  string       // where that ends
}

// newServer holds the ceremony for three persons and starts the server.
func newServer(t *testing.T, dir, agents string) *server {
	t.Helper()
	s := &server{t: t, Site: rig.NewSite(dir), agents: agents, out: new(rig.Output)}
	s.api = client.New(filepath.Join(s.Data, "api.sock"))
	text := fmt.Sprintf(`listen:
  agents: %s
  names: [%s, localhost]
  management: %s
  console: %s
operators:
  - {uid: %d, person: %s, roles: [viewer, operator, security-officer, administrator]}
`, agents, control.GuestServer, rig.Address(t), rig.Address(t), os.Getuid(), persons[0])
	rig.Write(t, filepath.Join(s.Data, "interlock.yaml"), text)
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
	s.cmd = exec.Command(rig.Program(s.t, "interlock"), s.Args("serve")...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		_ = s.cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("the server said:\n%s", rig.Tail(s.out.String(), 6000))
		}
	})
}

// run runs a verb and returns what it prints.
func (s *server) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, rig.Patience)
	defer cancel()
	out, complaint, code := rig.Run(exec.CommandContext(ctx, rig.Program(s.t, "interlock"), s.Args(args...)...))
	if code != 0 {
		return "", fmt.Errorf("interlock %s: exit %d\n%s%s", strings.Join(args, " "), code, out, complaint)
	}
	return out, nil
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

// events are the device's own events as the journal has them, in its order. What was
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
		// Numbered are those that the device tells; the server has a word of its
		// own about one that is silent for long, as it is on a busy host.
		if r.Event.Device == device && r.Event.Sequence > 0 && r.Event.Type != "device_batch" {
			s.journal = append(s.journal, r.Event)
		}
		return nil
	})
	return slices.Clone(s.journal), err
}

// await asks again and again until fn is content; then it tells what fn said
// last.
func await(ctx context.Context, fn func() error) error {
	ctx, cancel := context.WithTimeout(ctx, rig.Patience)
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
			return errors.Join(fmt.Errorf("not within %s", rig.Patience), err)
		case <-tick.C:
		}
	}
}
