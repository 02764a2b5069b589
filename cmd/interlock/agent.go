package main

import (
	"fmt"
	"io"
	"os"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/platform/config"
)

// agentCmd is the agent and what is asked of it.
type agentCmd struct {
	Run      agentRunCmd     `cmd:"" default:"withargs" help:"Run it. This is what 'interlock agent' alone does."`
	Doctor   agentDoctorCmd  `cmd:"" help:"Test what this device senses with, and say what could not be tested."`
	Sensors  agentSensorsCmd `cmd:"" help:"What its sensors say now."`
	WalkTest agentWalkCmd    `cmd:"" name:"walk-test" help:"Set off each sensor once, and have that reported."`
	Replay   agentReplayCmd  `cmd:"" help:"Show recordings of motion to the judges that the agent runs."`
}

type agentRunCmd struct {
	Config   string   `help:"The agent's configuration file; without it the defaults of a machine with its own sensors." type:"path"`
	StateDir string   `help:"The agent's own directory: keys, state, spool." name:"state" type:"path" placeholder:"DIR"`
	RunDir   string   `help:"The directory of its local socket." name:"run" type:"path" placeholder:"DIR"`
	Device   string   `help:"The name that this machine asks for when it enrols."`
	Enrol    string   `help:"The enrolment string; INTERLOCK_ENROL in the environment keeps it from other users of this machine." env:"INTERLOCK_ENROL"`
	RootHash string   `help:"The trust root's sha256 from the ceremony sheet. Without it an enrolment is marked as first use, for ever."`
	Enforce  bool     `help:"Let a quarantine change this machine's firewall."`
	Sensors  []string `help:"The sensors to run, by driver (carrier, disk, hwmon, usb), in place of the configured ones. gpio needs lines, so it needs a file." placeholder:"DRIVER"`
	PrintKey bool     `help:"Make the device's key if there is none, print the SHA-256 of its public key and end."`
	Verbose  bool     `help:"Log what the parts do." short:"v"`
}

// Help implements kong's long help.
func (agentRunCmd) Help() string {
	return `Watches this machine's sensors, acts on what they notice, keeps the record until the server has proved that it has it. It works
without the server and reports later. It is the same as the program interlock-agent, which has nothing else in it.

Example:
  interlock agent --print-key
  INTERLOCK_ENROL="$(cat enrol.txt)" interlock agent --config /etc/interlock/agent.yaml --root-hash SHA256`
}

// Run runs the agent until it is told to end.
func (c *agentRunCmd) Run(e *env) error {
	_ = os.Unsetenv(app.EnvEnrolment) // no child of ours needs the secret
	cfg, err := c.configure()
	if err != nil {
		return err
	}
	if c.PrintKey {
		return c.printKey(e, cfg.DataDir)
	}
	if c.Enrol != "" {
		cfg.Enrolment = core.NewSecret([]byte(c.Enrol))
	}
	cfg.Log = logger(e.err, c.Verbose)
	return agent.Main(e.ctx, cfg)
}

func (c *agentRunCmd) configure() (agent.Config, error) {
	cfg := agent.Default()
	if c.Config != "" {
		if err := config.Load(c.Config, &cfg); err != nil {
			return cfg, err
		}
	}
	for _, set := range []struct{ flag, into *string }{{&c.StateDir, &cfg.DataDir}, {&c.RunDir, &cfg.RunDir}, {&c.Device, &cfg.Device}, {&c.RootHash, &cfg.RootHash}} {
		if *set.flag != "" {
			*set.into = *set.flag
		}
	}
	if c.Enforce {
		cfg.Enforce = agent.EnforceNFT
	}
	cfg.RunOnly(c.Sensors)
	return cfg, cfg.Validate()
}

func (c *agentRunCmd) printKey(e *env, dir string) error {
	fact, code, err := agent.Prepare(dir)
	if err != nil {
		return err
	}
	return e.show(map[string]string{"key": fact, "code": code}, func(w io.Writer) { _, _ = fmt.Fprintln(w, fact) })
}
