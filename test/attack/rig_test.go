package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/api/client"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

var (
	hall   = core.MustID[core.SiteID]("hall-a")
	press  = core.MustID[core.DeviceID]("press-7")
	people = []ceremony.Person{{ID: person("anna"), Name: "Anna"}, {ID: person("bert"), Name: "Bert"}, {ID: person("cara"), Name: "Cara"}}
	tenant = core.MustID[core.TenantID]("main")
)

func person(id string) core.PersonID { return core.MustID[core.PersonID](id) }

// site is one installation in folders of its own, with the server in this
// process (so that the race detector sees it) and its keys process beside it.
type site struct {
	t      *testing.T
	dir    string
	cfg    app.Config
	people []ceremony.Person
	clock  *movable
	log    *rig.Output
	server *app.Server
	api    *client.Client
	cancel context.CancelFunc
	ended  chan error
}

// movable is the machine's clock, which a test can move on for the server.
type movable struct{ ahead atomic.Int64 }

// Now implements core.Clock.
func (c *movable) Now() time.Time { return time.Now().UTC().Add(time.Duration(c.ahead.Load())) }

// After implements core.Clock.
func (c *movable) After(d time.Duration) <-chan time.Time { return time.After(d) }

func (c *movable) jump(d time.Duration) { c.ahead.Add(int64(d)) }

// newSite starts an installation.
func newSite(t *testing.T, persons []ceremony.Person, change ...func(*app.Config)) *site {
	t.Helper()
	s := &site{t: t, dir: rig.Short(t), cfg: app.Default(os.Getuid()), people: persons, clock: new(movable), log: new(rig.Output)}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("the server's log:\n%s", rig.Tail(s.log.String(), 6000))
		}
	})
	s.cfg.Site, s.cfg.Operators[0].Person = hall, person("anna")
	s.cfg.Listen.Agents, s.cfg.Listen.Management, s.cfg.Listen.Console = rig.Address(t), rig.Address(t), ""
	for _, fn := range change {
		fn(&s.cfg)
	}
	s.start()
	return s
}

func (s *site) data() app.Paths { return app.Paths{Dir: filepath.Join(s.dir, "data")} }
func (s *site) keys() string    { return filepath.Join(s.dir, "people") }

// start brings the server up over what its folders hold.
func (s *site) start() {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	ctx, cancel := context.WithCancel(context.Background())
	server, err := app.Open(ctx, s.cfg, app.Options{
		Paths: s.data(), Ceremony: app.Ceremony{Dir: s.keys(), Persons: s.people}, Clock: s.clock, Log: log,
		Program: rig.Program(s.t, "interlock"), Child: []string{"child", "keys"}, ChildErr: s.log,
	})
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	s.server, s.cancel, s.ended = server, cancel, make(chan error, 1)
	go func() { s.ended <- server.Run(ctx) }()
	select {
	case <-server.Ready():
	case err := <-s.ended:
		s.ended <- err // stop waits for it too
		s.t.Fatalf("the server did not come up: %v", err)
	}
	s.api = client.New(s.data().API())
	s.awaitListener()
}

// awaitListener waits until the agent listener has its certificate, which the
// keys process issues.
func (s *site) awaitListener() {
	s.t.Helper()
	rig.Await(s.t, "the listener's certificate", s.log.String, func() bool {
		c, err := tls.Dial("tcp", s.cfg.Listen.Agents, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// stop ends the server, its keys process too.
func (s *site) stop() {
	if s.server == nil {
		return
	}
	s.cancel()
	if err := errors.Join(<-s.ended, s.server.Close()); err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
	s.server = nil
}

// owner is the person at this test's uid.
func (s *site) owner() core.Principal {
	s.t.Helper()
	who, err := s.server.Owner(os.Getuid())
	if err != nil {
		s.t.Fatal(err)
	}
	return who
}

func (s *site) trust() *link.Trust {
	s.t.Helper()
	trust, err := s.server.Roots.Trust(s.t.Context(), s.cfg.Tenant)
	if err != nil {
		s.t.Fatal(err)
	}
	return trust
}

// get reads a resource of the operator API.
func get[T any](s *site, path string) T {
	s.t.Helper()
	var v T
	if err := s.api.Get(s.t.Context(), path, nil, &v); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return v
}

// list reads a list of the operator API, page by page.
func list[T any](s *site, path string, query url.Values) []T {
	s.t.Helper()
	items, _, _, err := client.List[T](s.t.Context(), s.api, path, query, 0)
	if err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
	return items
}

// events reads the newest events of the journal.
func (s *site) events() []core.Event {
	s.t.Helper()
	var list []core.Event
	err := s.api.Stream(s.t.Context(), "/v1/events?last=5000", func(line []byte) error {
		var e core.Event
		err := json.Unmarshal(line, &e)
		list = append(list, e)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// eventsOf returns the events of a device of one type.
func (s *site) eventsOf(id core.DeviceID, kind string) []core.Event {
	s.t.Helper()
	var list []core.Event
	for _, e := range s.events() {
		if e.Device == id && e.Type == kind {
			list = append(list, e)
		}
	}
	return list
}

// signer reads a key of the people: "keys/anna", "recovery/recovery-1".
func (s *site) signer(name string) link.Signer {
	s.t.Helper()
	key, err := ceremony.LoadSigner(filepath.Join(s.keys(), name))
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

// cli runs a verb to its end and returns what it printed and its exit code.
func (s *site) cli(args ...string) (string, int) {
	s.t.Helper()
	return runCLI(s.t, append([]string{"--data", s.data().Dir, "--keys", s.keys()}, args...)...)
}

func runCLI(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return runProgram(t, "interlock", args...)
}

func runProgram(t *testing.T, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	out, complaint, code := rig.Run(exec.CommandContext(ctx, rig.Program(t, name), args...))
	return out + complaint, code
}

// unixClient speaks HTTP over a unix socket.
func unixClient(path string) *http.Client {
	return &http.Client{Timeout: rig.Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

// rawOver sends bytes and returns the answer's.
func rawOver(t *testing.T, c *http.Client, method, path string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://interlock"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

// machine is a device: the real agent program with a simulated case sensor, a
// simulated firewall and a relay that is a file.
type machine struct {
	t    *testing.T
	id   core.DeviceID
	dir  string
	cfg  agent.Config
	proc *exec.Cmd
	done chan error
	log  *rig.Output
}

// newMachine makes a device's folder and configuration.
func newMachine(t *testing.T, dir string, id core.DeviceID, rootHash string) *machine {
	t.Helper()
	m := &machine{t: t, id: id, dir: dir, log: new(rig.Output)}
	m.cfg = rig.Machine(dir)
	m.cfg.DataDir, m.cfg.Device, m.cfg.RootHash = filepath.Join(dir, "data"), id.String(), rootHash
	rig.Write(t, m.cfg.Outputs[0].Path, reflex.RelayAllowed+"\n")
	rig.WriteConfig(t, m.config(), &m.cfg)
	t.Cleanup(func() {
		m.kill()
		if t.Failed() {
			t.Logf("the log of agent %s:\n%s", id, rig.Tail(m.log.String(), 4000))
		}
	})
	return m
}

// known waits until the server knows the latches that the machine has.
func (s *site) known(m *machine) {
	s.t.Helper()
	path := "/v1/devices/" + m.id.String()
	rig.Await(s.t, "the registry's latches", func() string { return s.brief(get[api.Device](s, path)) }, func() bool { return rig.Known(get[api.Device](s, path), m.status()) })
}

func (m *machine) config() string { return filepath.Join(m.dir, "agent.yaml") }

// fact has the agent make its key and returns what a token can name.
func (m *machine) fact() string {
	m.t.Helper()
	out, err := exec.Command(rig.Program(m.t, "interlock-agent"), "--config", m.config(), "--print-key").Output()
	fact, ok := strings.CutPrefix(strings.Split(string(out), "\n")[0], "fact ")
	if err != nil || !ok {
		m.t.Fatalf("interlock-agent --print-key: %v: %s", err, out)
	}
	return fact
}

// start runs the agent; enrolment is "" for one that is enrolled.
func (m *machine) start(enrolment string) {
	m.t.Helper()
	var env []string
	if enrolment != "" {
		env = append(env, app.EnvEnrolment+"="+enrolment)
	}
	m.proc = rig.Start(m.t, m.log, env, rig.Program(m.t, "interlock-agent"), "--config", m.config(), "-v")
	m.done = make(chan error, 1)
	go func(p *exec.Cmd, done chan<- error) { done <- p.Wait() }(m.proc, m.done)
}

// kill ends the agent as a power cut would, terminate as a shutdown does.
func (m *machine) kill()      { m.end(syscall.SIGKILL) }
func (m *machine) terminate() { m.end(syscall.SIGTERM) }

func (m *machine) end(sig syscall.Signal) {
	if m.proc == nil {
		return
	}
	_ = syscall.Kill(-m.proc.Process.Pid, sig)
	<-m.done
	m.proc = nil
}

// status asks the device's local socket.
func (m *machine) status() agent.Status {
	m.t.Helper()
	st, err := m.ask()
	if err != nil {
		m.t.Fatal(err)
	}
	return *st
}

func (m *machine) ask() (*agent.Status, error) { return agent.Ask(m.t.Context(), m.cfg.SocketPath()) }

// awaitStatus waits until the device's own word satisfies ok.
func (m *machine) awaitStatus(what string, ok func(agent.Status) bool) agent.Status {
	m.t.Helper()
	var last *agent.Status
	var err error
	rig.Await(m.t, what, func() string { return fmt.Sprintf("%+v, %v", last, err) }, func() bool {
		last, err = m.ask()
		return err == nil && ok(*last)
	})
	return *last
}

// sense moves a point of the case sensor.
func (m *machine) sense(point string, active bool) {
	m.t.Helper()
	rig.MustPlay(m.t, m.cfg.Sensors[0].Socket(), rig.Case(point, active))
}

// relay reads the output as the machine behind it would.
func (m *machine) relay() string { return rig.Relay(&m.cfg) }

// fenced reads whether the rules of a quarantine are in force.
func (m *machine) fenced() bool {
	_, err := os.Stat(filepath.Join(m.cfg.RunDir, "quarantine.nft"))
	return err == nil
}

// enrol brings a device in by a token that names its key, and waits until the
// server has heard of it.
func (s *site) enrol(id core.DeviceID) *machine {
	s.t.Helper()
	m := newMachine(s.t, filepath.Join(s.dir, id.String()), id, s.trust().Hash())
	m.start(s.token(id, m.fact(), time.Hour).String)
	s.awaitHeard(id)
	return m
}

func (s *site) awaitHeard(id core.DeviceID) {
	s.t.Helper()
	since := time.Now()
	rig.Await(s.t, id.String()+" heard", s.log.String, func() bool {
		var d api.Device
		err := s.api.Get(s.t.Context(), "/v1/devices/"+id.String(), nil, &d)
		return err == nil && d.LastSeen.After(since) && d.Sensors["case"] != ""
	})
}

func (s *site) token(id core.DeviceID, fact string, ttl time.Duration) api.Token {
	s.t.Helper()
	var tok api.Token
	req := api.TokenRequest{Site: s.cfg.Site, Device: id, TTL: ttl.String(), Fact: fact}
	if err := s.api.Post(s.t.Context(), "/v1/tokens", req, &tok); err != nil {
		s.t.Fatal(err)
	}
	return tok
}

// entries searches the audit log for an action.
func (s *site) entries(action core.Action) []api.AuditEntry {
	s.t.Helper()
	return list[api.AuditEntry](s, "/v1/audit/entries", url.Values{"action": {string(action)}})
}

// order waits until the registry shows an order of the device that ok likes.
func (s *site) order(id core.DeviceID, what string, ok func(api.Order) bool) api.Order {
	s.t.Helper()
	var found api.Order
	var d api.Device
	rig.Await(s.t, what, func() string { return s.brief(d) }, func() bool {
		if err := s.api.Get(s.t.Context(), "/v1/devices/"+id.String(), nil, &d); err != nil {
			return false
		}
		for _, o := range d.Orders {
			if ok(o) {
				found = o
				return true
			}
		}
		return false
	})
	return found
}

// brief tells of a device what a failed wait needs.
func (s *site) brief(d api.Device) string {
	text := fmt.Sprintf("%s is %s, contained %v, sensors %v, latches %+v\n", d.ID, d.State, d.Contained, d.Sensors, d.Latches)
	for _, o := range d.Orders {
		text += fmt.Sprintf("order %s %s %s %v %s\n", o.ID, o.Type, o.State, o.Approvals, o.Detail)
	}
	for _, in := range list[api.Incident](s, "/v1/incidents", nil) {
		text += fmt.Sprintf("incident %s %s %v\n", in.ID, in.State, in.Timeline)
	}
	for _, a := range list[api.Alert](s, "/v1/alerts", nil) {
		text += fmt.Sprintf("alert %s %s x%d %s\n", a.ID, a.Rule, a.Count, a.State)
	}
	return text
}

// approve signs an order as a person does, with the real verb.
func (s *site) approve(id core.UUID, who string) {
	s.t.Helper()
	if out, code := s.cli("approve", id.String(), "--as", who, "--yes"); code != 0 {
		s.t.Fatalf("interlock approve as %s: exit %d: %s", who, code, out)
	}
}
