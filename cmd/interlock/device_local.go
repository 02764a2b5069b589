package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/interlock-security/interlock/app"
	"github.com/interlock-security/interlock/device/agent"
)

type deviceLocalCmd struct {
	Dir string `help:"The directory of the agent's local socket; by default that of the agent which 'up' runs here." name:"run" type:"path" placeholder:"DIR"`
}

// Help implements kong's long help.
func (deviceLocalCmd) Help() string {
	return `Asks the agent of the machine in front of you over its local socket; no server is needed. A release at a single-operator site takes
the code that is shown here, which nobody can read from afar.

Example:
  interlock device local
  interlock device local --run /run/interlock-agent --json`
}

// Run shows what the agent says of itself.
func (c *deviceLocalCmd) Run(e *env) error {
	cfg := agent.Config{RunDir: c.Dir}
	if cfg.RunDir == "" {
		cfg.RunDir = app.Paths{Dir: e.global.Data}.AgentRun()
	}
	s, err := agent.Ask(e.ctx, cfg.SocketPath())
	if err != nil {
		return err
	}
	return e.show(s, func(w io.Writer) { tellLocal(w, s) })
}

func tellLocal(w io.Writer, s *agent.Status) {
	line := func(label, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "%-10s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	line("device", "%s at %s, %s, %s, agent %s", s.Device, s.Site, s.Mode, s.Arming, s.Version)
	line("code", "%s; for a release now: %s", s.Code, s.Presence)
	line("contained", "%v, enforcement %s", s.Contained, s.Enforce)
	line("stopped", "%v", s.Stopped)
	line("armed by", "%s, risk %.0f", s.ArmedBy, s.Risk.Score)
	for _, x := range s.Sensors {
		line("sensor", "%s %s%s", x.ID, x.State, because(x.Why))
	}
	for _, b := range s.Bypassed {
		line("bypassed", "%s %s until %s%s", b.Sensor, b.Point, time.UnixMicro(b.Until).Format(time.RFC3339), because(b.Reason))
	}
	for _, i := range s.Interfaces {
		line("interface", "%s %s %s %s", i.Kind, i.Name, i.State, i.What)
	}
	for _, l := range s.Latches {
		line("latch", "%s %s %s", l.ID, l.Sensor, l.Type)
	}
	for _, o := range s.Waiting {
		line("waiting", "order %s takes effect in %d s", o.Order, o.Left)
	}
	line("servers", "%s", strings.Join(s.Servers, ", "))
	for _, m := range s.Missing {
		line("missing", "%s", m)
	}
}
