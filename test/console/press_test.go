package console

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/platform/config"
)

// machine is a device: the real agent as a process, with a simulated case
// sensor, probes that say something without setting anything off, a simulated
// firewall and one output.
type machine struct {
	s    *site
	name string
	cfg  agent.Config
	out  *output
	cmd  *exec.Cmd
}

// probes is how many sensors take turns at what a test has them say: one alone
// is held to its budget of events.
const probes = 3

// enrol brings a machine in, by a token that names its key.
func (s *site) enrol(name string) *machine {
	s.t.Helper()
	dir := filepath.Join(s.dir, name)
	m := &machine{s: s, name: name, cfg: agent.Default(), out: new(output)}
	m.cfg.DataDir, m.cfg.RunDir, m.cfg.Demo, m.cfg.Enforce = dir, filepath.Join(dir, "run"), true, agent.EnforceSimulated
	m.cfg.Heartbeat = 2 * time.Second
	m.cfg.Sensors = []agent.SensorConfig{agent.Simulated("case", filepath.Join(dir, "case.sock"))}
	for i := range probes {
		m.cfg.Sensors = append(m.cfg.Sensors, agent.Simulated(fmt.Sprintf("probe-%d", i), filepath.Join(dir, fmt.Sprintf("probe-%d.sock", i))))
	}
	m.cfg.Outputs = []agent.OutputConfig{{ID: "relay", Driver: "file", Path: filepath.Join(dir, "relay")}}
	var text bytes.Buffer
	if err := config.Print(&text, &m.cfg); err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(dir, "agent.yaml")
	s.write(path, text.String())
	s.write(m.cfg.Outputs[0].Path, reflex.RelayAllowed+"\n") // the machine runs
	key := strings.TrimSpace(s.must("agent", "--config", path, "--print-key"))
	token := ask[api.Token](s, "token", "create", "--device", name, "--key", key)
	m.cmd = launch(s.t, m.out, []string{app.EnvEnrolment + "=" + token.String}, "agent", "--config", path)
	s.t.Cleanup(func() { kill(s.t, m.cmd, m.out) })
	await(s.t, name+" online", m.dump, func() bool {
		d := m.device()
		return d.State == core.DeviceOnline && d.Sensors["case"] == string(core.SensorOK)
	})
	return m
}

func (m *machine) dump() string {
	return fmt.Sprintf("device: %+v\nagent:\n%s\nserver:\n%s", m.device(), m.out.dump(), m.s.out.dump())
}

// device is what the server knows of the machine.
func (m *machine) device() api.Device {
	d, err := get[api.Device](m.s, "/v1/devices/"+m.name)
	if err != nil {
		return api.Device{}
	}
	return d
}

// status asks the agent itself.
func (m *machine) status() (agent.Status, bool) {
	st, err := agent.Ask(m.s.t.Context(), m.cfg.SocketPath())
	if err != nil {
		return agent.Status{}, false
	}
	return *st, true
}

// play has a sensor play one step.
func (m *machine) play(sensor int, step string) {
	m.s.t.Helper()
	c, err := net.DialTimeout("unix", m.cfg.Sensors[sensor].Socket(), 2*time.Second)
	if err != nil {
		m.s.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, step+"\n"); err != nil {
		m.s.t.Fatal(err)
	}
}

// lid opens or closes the case.
func (m *machine) lid(open bool) {
	m.s.t.Helper()
	m.play(0, fmt.Sprintf(`{"do":"level","point":"lid","active":%v,"type":"case_intrusion","clear":"case_closed","severity":"critical"}`, open))
}

// say has the n-th probe report something that is nobody's alarm, at a point
// with that name.
func (m *machine) say(n int, point string) {
	m.s.t.Helper()
	m.play(1+n%probes, fmt.Sprintf(`{"do":"pulse","point":%q,"type":"probe","severity":"info"}`, point))
}

// release waits for the order that lets the machine go, which the playbook asks
// for.
func (m *machine) release() (found api.Order) {
	m.s.t.Helper()
	await(m.s.t, "a release that awaits approvals", m.dump, func() bool {
		for _, o := range m.device().Orders {
			if o.Type == "release" && o.State == "awaiting" {
				found = o
				return true
			}
		}
		return false
	})
	return found
}
