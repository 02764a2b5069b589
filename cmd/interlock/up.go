package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/link/ceremony"
)

type upCmd struct {
	Config  string `help:"Configuration file; by default interlock.yaml in the data directory, else the defaults." type:"path"`
	Enforce bool   `help:"Let a quarantine change this machine's firewall. Without it the rules are only printed."`
	Verbose bool   `help:"Log what the parts do." short:"v"`
}

// Help implements kong's long help.
func (upCmd) Help() string {
	return `Runs the server, its keys process and an agent on this machine's own sensors and sshd log, all in your own directories.
It never changes the firewall without --enforce.

Example:
  interlock up
  interlock up --data /tmp/try --keys /tmp/try-keys`
}

// Run brings everything up, says what it watches, and shows events until it is
// interrupted.
func (c *upCmd) Run(e *env) error {
	s, err := openServer(e, c.Config, c.Verbose, func(cfg *app.Config) {
		if c.Config == "" {
			discover(cfg)
		}
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx)
		cancel() // without the server there is nothing to watch
	}()
	select {
	case err := <-ended:
		return errors.Join(err, s.Close())
	case <-s.Ready():
	}
	err = c.watch(ctx, e, s)
	cancel()
	return errors.Join(err, <-ended, s.Close())
}

// watch starts the agent, tells the state of things and follows the events.
func (c *upCmd) watch(ctx context.Context, e *env, s *app.Server) error {
	a, err := c.agent(e)
	if err != nil {
		return err
	}
	who, err := s.Owner(os.Getuid())
	if err != nil {
		return err
	}
	enrolment, err := s.EnrolAgent(ctx, a, who, s.Config.Site, thisMachine())
	if err != nil {
		return err
	}
	running := make(chan error, 1)
	go func() { running <- a.Run(ctx, enrolment) }()
	waiting, stop := context.WithTimeout(ctx, 30*time.Second)
	status, err := a.AwaitStatus(waiting)
	stop()
	if err != nil {
		return fmt.Errorf("this machine's agent does not answer: %w", err)
	}
	if err := c.tell(ctx, e, s, status); err != nil {
		return err
	}
	err = e.client().Stream(ctx, "/v1/events?last=50&follow=true", func(line []byte) error {
		var ev core.Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return core.Wrap(core.KindDamaged, "up", err)
		}
		_, err := fmt.Fprintln(e.out, printable(eventLine(ev)))
		return err
	})
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, waitFor(ctx, running))
}

// waitFor waits for the agent once everything is to end.
func waitFor(ctx context.Context, running <-chan error) error {
	<-ctx.Done()
	return <-running
}

func (c *upCmd) agent(e *env) (*app.AgentProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "up", err)
	}
	// The owner's own copy of the trust root stands in for the ceremony sheet:
	// what the server hands out is compared with it.
	trust, err := ceremony.LoadTrust(e.global.Keys)
	if err != nil {
		return nil, err
	}
	cfg := agent.Default()
	cfg.RootHash = trust.Hash()
	paths := app.Paths{Dir: e.global.Data}
	cfg.DataDir, cfg.RunDir = paths.Agent(), paths.AgentRun()
	if c.Enforce {
		cfg.Enforce = agent.EnforceNFT
	}
	return &app.AgentProcess{Program: program, Config: cfg, Clock: core.SystemClock{}, Log: logger(e.err, c.Verbose), Stderr: e.err}, nil
}

// discover finds the logs of this machine that are worth reading, unless the
// configuration says which ones are.
func discover(cfg *app.Config) {
	if len(cfg.Collect.Files) > 0 || cfg.Collect.Journald {
		return
	}
	for _, path := range []string{"/var/log/auth.log", "/var/log/secure"} {
		if _, err := os.Stat(path); err == nil {
			cfg.Collect.Files = append(cfg.Collect.Files, app.File{Path: path, Type: "sshd"})
		}
	}
	if len(cfg.Collect.Files) == 0 {
		_, err := exec.LookPath("journalctl")
		cfg.Collect.Journald = err == nil
	}
}

var notInID = regexp.MustCompile(`[^a-z0-9_-]+`)

// thisMachine is the host's name as a device id.
func thisMachine() core.DeviceID {
	host, err := os.Hostname()
	if err == nil {
		name := strings.Trim(notInID.ReplaceAllString(strings.ToLower(host), "-"), "-_")
		if id, err := core.ParseID[core.DeviceID](name); err == nil {
			return id
		}
	}
	return core.MustID[core.DeviceID]("this-machine")
}

// tell says what is watched, what is missing and what to try.
func (c *upCmd) tell(ctx context.Context, e *env, s *app.Server, a *agent.Status) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	w := e.out
	line := func(format string, args ...any) { _, _ = fmt.Fprintln(w, printable(fmt.Sprintf(format, args...))) }
	line("Interlock is up: installation %s, %s, trust root %d (%s…), audit log of %d entries", status.Installation, status.Mode, status.RootVersion, short(status.RootHash), status.Audit.Size)
	line("\nWatching on this machine (device %s, code %s):", a.Device, a.Code)
	for _, x := range a.Sensors {
		if !x.Skipped {
			line("  sensor    %-10s %s", x.ID, x.State)
		}
	}
	for _, src := range status.Sources {
		if src.State == "running" {
			line("  log       %s", src.Name)
		}
	}
	line("\nMissing here:")
	for _, m := range a.Missing {
		line("  - %s", m)
	}
	for _, src := range status.Sources {
		if src.State != "running" {
			line("  - log %s: %s", src.Name, src.Detail)
		}
	}
	if len(status.Sources) == 0 {
		line("  - no sshd log: name one under collect.files in %s", app.Paths{Dir: e.global.Data}.ConfigFile())
	}
	for _, warning := range status.Warnings {
		line("  - %s", warning)
	}
	c.tellPlan(w, a)
	c.tellConsole(ctx, e, s, line)
	line("\nTry in another terminal:")
	for _, try := range tries(e, a) {
		line("  %s", try)
	}
	line("\nEvents of this machine, as they become durable (Ctrl-C ends it):")
	return nil
}

func (c *upCmd) tellPlan(w io.Writer, a *agent.Status) {
	if c.Enforce {
		_, _ = fmt.Fprintln(w, "\nA quarantine will change this machine's firewall (--enforce).")
		return
	}
	_, _ = fmt.Fprintln(w, "\nA quarantine would apply these rules (nothing is changed without --enforce):")
	for l := range strings.Lines(a.Plan) {
		_, _ = fmt.Fprint(w, "  "+printable(l))
	}
}

// tries are the commands that make sense next, with this server's directories
// where they are not the default ones.
func tries(e *env, a *agent.Status) []string {
	self := "interlock"
	if exe, err := os.Executable(); err == nil {
		self = exe
		if wd, err := os.Getwd(); err == nil {
			if rel, err := filepath.Rel(wd, exe); err == nil && !strings.HasPrefix(rel, "..") {
				self = "./" + rel
			}
		}
	}
	if e.global.Data != defaultData() {
		self += " --data " + e.global.Data
	}
	if e.global.Keys != defaultConfig() {
		self += " --keys " + e.global.Keys
	}
	device := a.Device.String()
	return []string{
		self + " status",
		self + " device show " + device,
		self + " device local",
		self + " device quarantine " + device + " --reason 'trying it out'",
		self + " audit verify",
		self + " doctor",
		self + " scan all .",
		self + " demo",
	}
}
