package e2e

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/test/rig"
)

// device is a machine with an agent of its own, as a process.
type device struct {
	t   *testing.T
	cfg agent.Config
	out *rig.Output
	cmd *exec.Cmd
	env []string
}

// enrol makes a device, gives it a token that names its key, and starts it. It
// has one simulated sensor, "case", and one output, a relay in a file.
func (s *site) enrol(name string, change func(*agent.Config)) *device {
	s.t.Helper()
	dir := filepath.Join(s.Dir, name)
	d := &device{t: s.t, cfg: rig.Machine(dir)}
	if change != nil {
		change(&d.cfg)
	}
	rig.WriteConfig(s.t, d.config(), &d.cfg)
	key := strings.TrimSpace(s.must([]int{0}, "agent", "--config", d.config(), "--print-key"))
	token := ask[api.Token](s, "token", "create", "--device", name, "--key", key)
	d.env = []string{app.EnvEnrolment + "=" + token.String}
	d.start()
	s.t.Cleanup(d.kill)
	rig.Await(s.t, name+" online", func() string { return d.out.String() + s.out.String() }, func() bool {
		got, err := get[api.Device](s, "/v1/devices/"+name)
		return err == nil && got.State == core.DeviceOnline && got.Sensors["case"] != ""
	})
	return d
}

func (d *device) config() string { return filepath.Join(d.cfg.DataDir, "agent.yaml") }

func (d *device) start() {
	d.t.Helper()
	d.out = new(rig.Output)
	d.cmd = rig.Start(d.t, d.out, d.env, rig.Program(d.t, "interlock"), "agent", "--config", d.config())
	d.env = nil // the token is used up
}

func (d *device) kill() {
	if d.cmd != nil {
		rig.Kill(d.t, d.cmd, d.out)
		d.cmd = nil
	}
}

// status asks the agent itself; ok is false while it does not answer.
func (d *device) status() (status agent.Status, ok bool) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*time.Second)
	defer cancel()
	s, err := agent.Ask(ctx, d.cfg.SocketPath())
	if err != nil {
		return status, false
	}
	return *s, true
}

// local posts to the agent's own socket, as somebody at the machine would.
func (d *device) local(path string) error {
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.cfg.SocketPath())
	}}}
	res, err := c.Post("http://agent"+path, "", nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}
