package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/atomicfile"
	"github.com/interlock-security/interlock/platform/config"
)

// EnvEnrolment carries an enrolment string to an agent: arguments can be read
// by every user of a machine, the environment by its owner alone.
const EnvEnrolment = "INTERLOCK_ENROL"

// AgentProcess is an agent that this program starts as a process of its own: on
// this machine by `up`, on a simulated site by `demo`. The server never runs an
// agent inside itself.
type AgentProcess struct {
	Program string // the binary that has the verb agent
	Config  agent.Config
	Clock   core.Clock
	Log     *slog.Logger
	Stderr  io.Writer
}

// configPath is where the agent's configuration is written.
func (a *AgentProcess) configPath() string { return filepath.Join(a.Config.DataDir, "agent.yaml") }

// Prepare writes the configuration, has the agent make its key, and returns the
// fact that an enrolment token can name. The key never leaves that process.
func (a *AgentProcess) Prepare(ctx context.Context) (fact string, err error) {
	if err := atomicfile.MkdirAll(a.Config.DataDir, 0o700); err != nil {
		return "", err
	}
	var text bytes.Buffer
	if err := config.Print(&text, &a.Config); err != nil {
		return "", err
	}
	if err := atomicfile.WriteFile(a.configPath(), text.Bytes(), 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, a.Program, "agent", "--config", a.configPath(), "--print-key")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return "", core.E(core.KindUnavailable, "app.Prepare", fmt.Sprintf("the agent could not make its key: %v: %s", err, strings.TrimSpace(errOut.String())))
	}
	return strings.TrimSpace(out.String()), nil
}

// Enrolled reports whether the agent's folder holds an identity.
func (a *AgentProcess) Enrolled() bool {
	_, err := os.Stat(filepath.Join(a.Config.DataDir, "identity.json"))
	return err == nil
}

// Run keeps the agent running until ctx ends, starting it again with back-off.
// The enrolment string is given to it until it is enrolled.
func (a *AgentProcess) Run(ctx context.Context, enrolment string) error {
	pause := 200 * time.Millisecond
	for ctx.Err() == nil {
		began := a.Clock.Now()
		err := a.once(ctx, enrolment)
		if ctx.Err() != nil {
			return nil
		}
		a.Log.Warn("the agent ended and is started again", slog.String("dir", a.Config.DataDir), slog.Any("err", err))
		if a.Clock.Now().Sub(began) > 10*time.Second {
			pause = 200 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-a.Clock.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
	return nil
}

func (a *AgentProcess) once(ctx context.Context, enrolment string) error {
	cmd := exec.CommandContext(ctx, a.Program, "agent", "--config", a.configPath())
	cmd.Env = os.Environ()
	if !a.Enrolled() {
		cmd.Env = append(cmd.Env, EnvEnrolment+"="+enrolment)
	}
	cmd.Stdout, cmd.Stderr = a.Stderr, a.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd.Run()
}

// Status asks the agent over its local socket.
func (a *AgentProcess) Status(ctx context.Context) (*agent.Status, error) {
	return agent.Ask(ctx, a.Config.SocketPath())
}

// AwaitStatus asks until the agent answers.
func (a *AgentProcess) AwaitStatus(ctx context.Context) (*agent.Status, error) {
	for {
		s, err := a.Status(ctx)
		if err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-a.Clock.After(100 * time.Millisecond):
		}
	}
}

// EnrolAgent makes the agent's key and a token that names it, so that nobody
// has to wait in a queue and nobody else can use the token.
func (s *Server) EnrolAgent(ctx context.Context, a *AgentProcess, who core.Principal, site core.SiteID, device core.DeviceID) (string, error) {
	fact, err := a.Prepare(ctx)
	if err != nil || a.Enrolled() {
		return "", err
	}
	token, err := s.Enrolment.CreateToken(ctx, who, fleet.TokenRequest{Tenant: s.Config.Tenant, Site: site, Device: device, Fact: fact, TTL: 15 * time.Minute})
	if err != nil {
		return "", err
	}
	return s.enrolmentString(ctx, token, fact)
}

// Owner is the person that a user of this machine is, as the configuration
// says.
func (s *Server) Owner(uid int) (core.Principal, error) {
	for _, o := range s.Config.Operators {
		if o.UID == uint32(uid) {
			return core.Principal{Kind: core.KindPerson, ID: o.Person.String(), Tenant: s.Config.Tenant, Roles: o.Roles, Sites: []core.SiteID{s.Config.Site}}, nil
		}
	}
	return core.Principal{}, core.E(core.KindDenied, "app.Owner", fmt.Sprintf("uid %d is no operator of this installation", uid))
}
