package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/platform/config"
)

// device is a machine with an agent of its own, as a process.
type device struct {
	t   *testing.T
	cfg agent.Config
	out *output
	cmd *exec.Cmd
	env []string
}

// enrol makes a device, gives it a token that names its key, and starts it. It
// has one simulated sensor, "case", and one output, a relay in a file.
func (s *site) enrol(name string, change func(*agent.Config)) *device {
	s.t.Helper()
	dir := filepath.Join(s.dir, name)
	d := &device{t: s.t, cfg: agent.Default()}
	d.cfg.DataDir, d.cfg.RunDir, d.cfg.Demo, d.cfg.Enforce = dir, filepath.Join(dir, "run"), true, agent.EnforceSimulated
	d.cfg.Heartbeat = 2 * time.Second
	d.cfg.Sensors = []agent.SensorConfig{agent.Simulated("case", filepath.Join(dir, "case.sock"))}
	d.cfg.Outputs = []agent.OutputConfig{{ID: "relay", Driver: "file", Path: filepath.Join(dir, "relay")}}
	if change != nil {
		change(&d.cfg)
	}
	var text bytes.Buffer
	if err := config.Print(&text, &d.cfg); err != nil {
		s.t.Fatal(err)
	}
	s.write(d.config(), text.String())
	key := strings.TrimSpace(s.must([]int{0}, "agent", "--config", d.config(), "--print-key"))
	token := ask[api.Token](s, "token", "create", "--device", name, "--key", key)
	d.env = []string{app.EnvEnrolment + "=" + token.String}
	d.start()
	s.t.Cleanup(d.kill)
	await(s.t, name+" online", func() string { return d.out.dump() + s.out.dump() }, func() bool {
		got, err := get[api.Device](s, "/v1/devices/"+name)
		return err == nil && got.State == core.DeviceOnline && got.Sensors["case"] != ""
	})
	return d
}

func (d *device) config() string { return filepath.Join(d.cfg.DataDir, "agent.yaml") }

func (d *device) start() {
	d.t.Helper()
	d.out = newOutput()
	d.cmd = launch(d.t, d.out, d.env, "agent", "--config", d.config())
	d.env = nil // the token is used up
}

func (d *device) kill() {
	if d.cmd != nil {
		kill(d.t, d.cmd, d.out)
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

// sense plays a step on a simulated sensor.
func (d *device) sense(socket, step string) error {
	c, err := net.DialTimeout("unix", socket, 2*time.Second)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c, step+"\n")
	_ = c.Close()
	return err
}

// relay is the state of the device's output, read where the device drives it.
func (d *device) relay() string {
	b, err := os.ReadFile(d.cfg.Outputs[0].Path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}
