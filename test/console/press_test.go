package console

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/test/rig"
)

// machine is a device: the real agent as a process, with a simulated case
// sensor, probes that say something without setting anything off, a simulated
// firewall and one output.
type machine struct {
	s    *site
	name string
	cfg  agent.Config
	out  *rig.Output
	cmd  *exec.Cmd
}

// probes is how many sensors take turns at what a test has them say: one alone
// is held to its budget of events.
const probes = 3

// enrol brings a machine in, by a token that names its key.
func (s *site) enrol(name string) *machine {
	s.t.Helper()
	dir := filepath.Join(s.Dir, name)
	m := &machine{s: s, name: name, cfg: rig.Machine(dir), out: new(rig.Output)}
	for i := range probes {
		m.cfg.Sensors = append(m.cfg.Sensors, agent.Simulated(fmt.Sprintf("probe-%d", i), filepath.Join(dir, fmt.Sprintf("probe-%d.sock", i))))
	}
	path := filepath.Join(dir, "agent.yaml")
	rig.WriteConfig(s.t, path, &m.cfg)
	rig.Write(s.t, m.cfg.Outputs[0].Path, reflex.RelayAllowed+"\n") // the machine runs
	key := strings.TrimSpace(s.must("agent", "--config", path, "--print-key"))
	token := ask[api.Token](s, "token", "create", "--device", name, "--key", key)
	m.cmd = rig.Start(s.t, m.out, []string{app.EnvEnrolment + "=" + token.String}, rig.Program(s.t, "interlock"), "agent", "--config", path)
	s.t.Cleanup(func() { rig.Kill(s.t, m.cmd, m.out) })
	rig.Await(s.t, name+" online", m.dump, func() bool {
		d := m.device()
		return d.State == core.DeviceOnline && d.Sensors["case"] == string(core.SensorOK)
	})
	return m
}

func (m *machine) dump() string {
	return fmt.Sprintf("device: %+v\nagent:\n%s\nserver:\n%s", m.device(), m.out.String(), m.s.out.String())
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
	rig.MustPlay(m.s.t, m.cfg.Sensors[sensor].Socket(), step)
}

// lid opens or closes the case.
func (m *machine) lid(open bool) {
	m.s.t.Helper()
	m.play(0, rig.Case("lid", open))
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
	rig.Await(m.s.t, "a release that awaits approvals", m.dump, func() bool {
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
