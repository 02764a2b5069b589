package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// site is one installation in folders of its own.
type site struct {
	rig.Site
	t   *testing.T
	cmd *exec.Cmd
	out *rig.Output
	// agents is where configure lets the server listen for agents.
	agents string
}

// newSite names the folders.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, Site: rig.NewSite(rig.Short(t))}
	t.Cleanup(s.kill)
	return s
}

// start runs a long-lived verb and waits until it prints the line that says it
// is ready.
func (s *site) start(ready string, args ...string) {
	s.t.Helper()
	s.launch(args...)
	rig.Await(s.t, fmt.Sprintf("%q", ready), s.out.String, func() bool { return strings.Contains(s.out.String(), ready) })
}

// launch runs a long-lived verb.
func (s *site) launch(args ...string) {
	s.t.Helper()
	s.out = new(rig.Output)
	s.cmd = rig.Start(s.t, s.out, nil, rig.Program(s.t, "interlock"), s.Args(args...)...)
}

// kill ends the process group at once.
func (s *site) kill() {
	if s.cmd != nil {
		rig.Kill(s.t, s.cmd, s.out)
		s.cmd = nil
	}
}

// interrupt ends it as Ctrl-C would, which a terminal sends to the whole group,
// and returns the exit code.
func (s *site) interrupt() int {
	s.t.Helper()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT)
	_ = s.cmd.Wait()
	code := s.cmd.ProcessState.ExitCode()
	s.cmd = nil
	return code
}

// run runs a verb to its end and returns all that it says and its exit code.
func (s *site) run(args ...string) (string, int) {
	s.t.Helper()
	out, complaint, code := s.Run(s.t, args...)
	return out + complaint, code
}

// must runs a verb that has to end with one of the codes.
func (s *site) must(codes []int, args ...string) string {
	s.t.Helper()
	out, complaint, code := s.Run(s.t, args...)
	if !slices.Contains(codes, code) {
		s.t.Fatalf("interlock %s: exit %d\n%s%s", strings.Join(args, " "), code, out, complaint)
	}
	return out
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

// configure writes the site's interlock.yaml: listeners on free ports, and what
// the test adds.
func (s *site) configure(more string) {
	s.t.Helper()
	text, agents, _ := rig.Listen(s.t, more)
	s.agents = agents
	rig.Write(s.t, filepath.Join(s.Data, "interlock.yaml"), text)
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
	rig.Await(s.t, "a healthy server", func() string { return last + s.out.String() }, func() bool {
		st, err := get[api.Status](s, "/v1/status")
		last = fmt.Sprintf("%+v %v\n", st, err)
		return err == nil && st.Health == core.HealthHealthy
	})
}

// api reads from the operator API, as the verbs do, for what is asked again and
// again: a new process each time would be most of the test.
func (s *site) api() *client.Client { return client.New(filepath.Join(s.Data, "api.sock")) }

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
		s.t.Fatalf("events: %v\n%s", err, s.out.String())
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
		s.t.Fatalf("alerts: %v\n%s", err, s.out.String())
	}
	return slices.DeleteFunc(all, func(a api.Alert) bool { return a.Rule != rule })
}
