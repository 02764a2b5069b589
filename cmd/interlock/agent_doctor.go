package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/platform/config"
)

// agentAt says which agent of this machine is asked.
type agentAt struct {
	Config string `help:"The agent's configuration file." type:"path" placeholder:"FILE"`
	RunDir string `help:"The directory of its local socket; by default the one of the file, else that of the agent which 'up' runs here, else /run/interlock-agent." name:"run" type:"path" placeholder:"DIR"`
}

// configure reads the file, if one is named, and finds the socket.
func (a *agentAt) configure(e *env) (agent.Config, error) {
	cfg := agent.Default()
	if a.Config != "" {
		if err := config.Load(a.Config, &cfg); err != nil {
			return cfg, err
		}
	}
	switch up := (app.Paths{Dir: e.global.Data}).AgentRun(); {
	case a.RunDir != "":
		cfg.RunDir = a.RunDir
	case a.Config != "":
	default:
		if _, err := os.Stat(filepath.Join(up, filepath.Base(cfg.SocketPath()))); err == nil {
			cfg.RunDir = up
		}
	}
	return cfg, nil
}

type agentDoctorCmd struct {
	agentAt
}

// Help implements kong's long help.
func (agentDoctorCmd) Help() string {
	return `Tests what this device senses with: whether each sensor reads, what its self-test says, when it was last proven good, and what
protects the device beside its sensors. A running agent tests itself and reports to the server, signed. Without one the sensors of the
configuration are tried directly. What could not be tested is "skipped", never "pass".

Exit code 0 when everything passed, 1 when something failed, 2 when nothing failed and something could not be tested or needs a person.

Example:
  interlock agent doctor
  interlock agent doctor --config /etc/interlock/agent.yaml --json`
}

// Run tests and shows what was found.
func (c *agentDoctorCmd) Run(e *env) error {
	cfg, err := c.configure(e)
	if err != nil {
		return err
	}
	r, err := agent.Doctor(e.ctx, cfg.SocketPath())
	if core.KindOf(err) == core.KindUnavailable {
		r, err = agent.Examine(e.ctx, cfg)
	}
	if err != nil {
		return err
	}
	if err := e.show(r, func(w io.Writer) { err = r.Write(w, colourOn(w)) }); err != nil {
		return err
	}
	return errors.Join(err, testCode(r))
}

// testCode is the exit code of a report.
func testCode(r *agent.Report) error {
	n := r.Counts()
	switch r.Code() {
	case exitClean:
		return nil
	case exitFindings:
		return errFindings
	}
	return core.E(core.KindUnavailable, "", fmt.Sprintf("nothing failed; %d could not be tested and %d need a person", n[sensor.Untried], n[sensor.Warning])).
		WithHint("a walk test shows of each sensor that it works: interlock agent walk-test --help")
}

// colourOn says whether a person looks at w on a terminal.
func colourOn(w io.Writer) agent.Colour {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
