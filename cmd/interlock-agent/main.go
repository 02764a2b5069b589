// Command interlock-agent is the agent for devices, alone: it has nothing of the
// server in it. The verb `interlock agent` runs the same code.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
	"github.com/interlock-security/interlock/platform/config"
)

// cli is the command line.
type cli struct {
	Run    runCmd    `cmd:"" default:"withargs" help:"Run the agent. This is what interlock-agent alone does."`
	Doctor doctorCmd `cmd:"" help:"Test what this device senses with, and say what could not be tested."`
}

// runCmd are the flags. Those that the configuration file has too win over it.
type runCmd struct {
	Config    string   `help:"Configuration file (YAML); without one, the defaults of a machine with its own sensors." type:"path"`
	DataDir   string   `help:"Where keys, state and spool are kept." type:"path" placeholder:"DIR"`
	RunDir    string   `help:"Where the local socket is." type:"path" placeholder:"DIR"`
	Device    string   `help:"The name that this machine asks for when it enrols."`
	Enrol     string   `help:"The enrolment string. INTERLOCK_ENROL in the environment keeps it from other users of this machine." env:"INTERLOCK_ENROL" placeholder:"STRING"`
	RootHash  string   `help:"The trust root's SHA-256 from the ceremony sheet. Without it an enrolment is marked as first use, for ever."`
	Enforce   bool     `help:"Let a quarantine change this machine's firewall."`
	Sensors   []string `help:"The sensors to run, by driver (carrier, disk, hwmon, usb), in place of the configured ones. gpio needs lines, so it needs a file." placeholder:"DRIVER"`
	PrintKey  bool     `help:"Make the device's key if there is none, print its fact and short code, and end."`
	Status    bool     `help:"Print the status of the agent that runs here, and end."`
	PrintConf bool     `help:"Print the configuration as it would be used, and end." name:"print-config"`
	Verbose   bool     `help:"Log what the parts do." short:"v"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	var found failures
	switch {
	case errors.As(err, &found):
		stop()
		os.Exit(found.code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "interlock-agent:", err)
		if hint := core.HintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		stop()
		os.Exit(2)
	}
	stop()
}

// failures ends a doctor who found something.
type failures struct{ code int }

func (f failures) Error() string { return "" }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	parser, err := kong.New(
		&c, kong.Name("interlock-agent"), kong.Writers(stdout, stderr),
		kong.Description("Watches this machine, acts on what it notices, and reports to its server, now or later."),
	)
	if err != nil {
		return core.Wrap(core.KindInternal, "main", err)
	}
	verb, err := parser.Parse(args)
	if err != nil {
		return core.Wrap(core.KindInvalid, "", err)
	}
	_ = os.Unsetenv("INTERLOCK_ENROL") // no child of ours needs the secret
	if verb.Command() == "doctor" {
		return c.Doctor.examine(ctx, stdout)
	}
	return c.Run.start(ctx, stdout, stderr)
}

// start runs the agent, or does the one thing that was asked for.
func (c *runCmd) start(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := c.configure()
	if err != nil {
		return err
	}
	cfg.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.level()}))
	switch {
	case c.PrintConf:
		return config.Print(stdout, &cfg)
	case c.PrintKey:
		return printKey(stdout, cfg.DataDir)
	case c.Status:
		return printStatus(ctx, stdout, cfg.SocketPath())
	}
	return agent.Main(ctx, cfg)
}

// doctorCmd tests the device: its running agent, or the configuration's sensors
// where none runs. Exit code 0 when everything passed, 1 when something failed, 2
// when something could not be tested or needs a person.
type doctorCmd struct {
	Config string `help:"Configuration file (YAML)." type:"path"`
	RunDir string `help:"Where the local socket is." type:"path" placeholder:"DIR"`
	JSON   bool   `help:"Machine-readable output." name:"json"`
}

func (c *doctorCmd) examine(ctx context.Context, stdout io.Writer) error {
	cfg := agent.Default()
	if c.Config != "" {
		if err := config.Load(c.Config, &cfg); err != nil {
			return err
		}
	}
	if c.RunDir != "" {
		cfg.RunDir = c.RunDir
	}
	r, err := agent.Doctor(ctx, cfg.SocketPath())
	if core.KindOf(err) == core.KindUnavailable {
		r, err = agent.Examine(ctx, cfg)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(stdout, r)
	} else {
		err = r.Write(stdout, false)
	}
	if code := r.Code(); err == nil && code != 0 {
		return failures{code}
	}
	return err
}

func (c *runCmd) level() slog.Level {
	if c.Verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (c *runCmd) configure() (agent.Config, error) {
	cfg := agent.Default()
	if c.Config != "" {
		if err := config.Load(c.Config, &cfg); err != nil {
			return cfg, err
		}
	}
	for _, set := range []struct{ flag, into *string }{{&c.DataDir, &cfg.DataDir}, {&c.RunDir, &cfg.RunDir}, {&c.Device, &cfg.Device}, {&c.RootHash, &cfg.RootHash}} {
		if *set.flag != "" {
			*set.into = *set.flag
		}
	}
	if c.Enforce {
		cfg.Enforce = agent.EnforceNFT
	}
	if c.Enrol != "" {
		cfg.Enrolment = core.NewSecret([]byte(strings.TrimSpace(c.Enrol)))
	}
	cfg.RunOnly(c.Sensors)
	return cfg, cfg.Validate()
}

func printKey(w io.Writer, dataDir string) error {
	fact, code, err := agent.Prepare(dataDir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "fact %s\ncode %s\n", fact, code)
	return err
}

func printStatus(ctx context.Context, w io.Writer, socket string) error {
	st, err := agent.Ask(ctx, socket)
	if err != nil {
		return err
	}
	return printJSON(w, st)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
