package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// site is one installation in folders of its own.
type site struct {
	rig.Site
	t *testing.T
	// port is the console's, on localhost.
	port string
	cmd  *exec.Cmd
	out  *rig.Output
}

// newSite makes the configuration: every listener on a port that nobody else has.
//
// more is YAML below listen, with its indentation, and what follows it.
func newSite(t *testing.T, more string) *site {
	t.Helper()
	s := &site{t: t, Site: rig.NewSite(rig.Short(t)), out: new(rig.Output)}
	t.Cleanup(s.kill)
	text, _, console := rig.Listen(t, more)
	_, s.port, _ = strings.Cut(console, ":")
	rig.Write(t, filepath.Join(s.Data, "interlock.yaml"), text)
	return s
}

// origin is how browsers call the console.
func (s *site) origin() string { return "http://localhost:" + s.port }

// start runs a long-lived verb and waits until it prints the line that says it
// is ready.
func (s *site) start(ready string, args ...string) {
	s.t.Helper()
	s.cmd = rig.Start(s.t, s.out, nil, rig.Program(s.t, "interlock"), s.Args(args...)...)
	s.printed(ready)
}

// printed waits until the server has printed a text.
func (s *site) printed(text string) {
	s.t.Helper()
	rig.Await(s.t, strconv.Quote(text), s.out.String, func() bool { return strings.Contains(s.out.String(), text) })
}

// kill ends the server. One that had ended by itself fails the test.
func (s *site) kill() {
	if s.cmd != nil {
		rig.Kill(s.t, s.cmd, s.out)
		s.cmd = nil
	}
}

// must runs a verb that has to succeed and returns what it prints.
func (s *site) must(args ...string) string {
	s.t.Helper()
	return s.Must(s.t, args...)
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
	err := client.New(filepath.Join(s.Data, "api.sock")).Get(s.t.Context(), path, nil, &v)
	return v, err
}

// healthy waits until every part of the server is well.
func (s *site) healthy() {
	s.t.Helper()
	var last string
	rig.Await(s.t, "a healthy server", func() string { return last + s.out.String() }, func() bool {
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

// memory is what a process holds, in MB, and what of it is its own and of no file.
func memory(t *testing.T, pid int) (rss, anonymous float64) {
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
		if n, _ := fmt.Sscanf(line, "Anonymous: %f kB", &kB); n == 1 {
			anonymous = kB / 1000
		}
	}
	return rss, anonymous
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
