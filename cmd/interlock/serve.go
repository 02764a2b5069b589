package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link/ceremony"
)

type serveCmd struct {
	Config  string `help:"Configuration file; by default interlock.yaml in the data directory, else the defaults." type:"path"`
	Verbose bool   `help:"Log what the parts do." short:"v"`
}

// Help implements kong's long help.
func (serveCmd) Help() string {
	return `Runs the server and its keys process. A first run makes the trust root and writes person and recovery keys to --keys.

Example:
  interlock serve --data /var/lib/interlock --config /etc/interlock/interlock.yaml`
}

// Run serves until it is told to end.
func (c *serveCmd) Run(e *env) error {
	s, err := openServer(e, c.Config, c.Verbose, nil)
	if err != nil {
		return err
	}
	go func() {
		<-s.Ready()
		_, _ = fmt.Fprintf(e.out, "serving; agents at %s, management at %s, operators at %s\n", s.Config.Listen.Agents, s.Config.Listen.Management, app.Paths{Dir: e.global.Data}.API())
		if url := s.Config.Listen.ConsoleURL(); url != "" {
			_, _ = fmt.Fprintf(e.out, "console at %s\n", url)
		}
	}()
	err = s.Run(e.ctx)
	if closing := s.Close(); err == nil {
		err = closing
	}
	return err
}

// openServer brings a server up with this program as its children's. change may
// adjust the configuration.
func openServer(e *env, file string, verbose bool, change func(*app.Config)) (*app.Server, error) {
	cfg, err := loadConfig(e, file)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(&cfg)
	}
	if err := firstAddress(e, cfg); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "serve", err)
	}
	return app.Open(e.ctx, cfg, app.Options{
		Paths: app.Paths{Dir: e.global.Data}, Ceremony: app.Ceremony{Dir: e.global.Keys}, Log: logger(e.err, verbose),
		Program: program, Child: []string{"child", "keys"}, ChildErr: e.err,
	})
}

// firstAddress tries the agents' address before a first run: the ceremony
// writes it into the trust root, where only people's signatures change it again.
func firstAddress(e *env, cfg app.Config) error {
	if _, err := ceremony.LoadRoot(e.global.Keys); core.KindOf(err) != core.KindNotFound {
		return nil
	}
	l, err := net.Listen("tcp", cfg.Listen.Agents)
	if err != nil {
		return core.E(core.KindUnavailable, "serve", "a first run writes where agents come to into the trust root, and that is not free: "+err.Error()).
			WithHint("write another address under listen.agents in " + app.Paths{Dir: e.global.Data}.ConfigFile() + " (interlock config print shows the form)")
	}
	return l.Close()
}

// logger writes warnings, and with verbose everything.
func logger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
