// Command interlock-agent is the agent for devices, alone: it has nothing of the
// server in it. The verb `interlock agent` runs the same code.
package main

import (
	"context"
	"encoding/json"
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

// cli are the flags. Those that the configuration file has too win over it.
type cli struct {
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
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "interlock-agent:", err)
		if hint := core.HintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		stop()
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c cli
	parser, err := kong.New(
		&c, kong.Name("interlock-agent"), kong.Writers(stdout, stderr),
		kong.Description("Watches this machine, acts on what it notices, and reports to its server, now or later."),
	)
	if err != nil {
		return core.Wrap(core.KindInternal, "main", err)
	}
	if _, err := parser.Parse(args); err != nil {
		return core.Wrap(core.KindInvalid, "", err)
	}
	_ = os.Unsetenv("INTERLOCK_ENROL") // no child of ours needs the secret
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

func (c *cli) level() slog.Level {
	if c.Verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func (c *cli) configure() (agent.Config, error) {
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
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(st)
}
