package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/agent"
)

type agentWalkCmd struct {
	agentAt
	By      string            `help:"Who does it; by default the user of this machine." placeholder:"NAME"`
	Without map[string]string `help:"A sensor, or sensor/point, that is left out, and why; it stands in the report." placeholder:"SENSOR=WHY"`
	End     bool              `help:"End the one that goes on, and report it."`
}

// Help implements kong's long help.
func (agentWalkCmd) Help() string {
	return `Walks through everything on this machine that can alarm: set each sensor off once, and it is ticked off. It ends when nothing is left,
or when you interrupt it; the device then reports, signed, what was set off, when, and what was not. A person signs it off at the
server. It runs only while the device is disarmed or in maintenance, because otherwise each tick would be an attack.

Exit code 0 when everything was set off, 1 when something was not.

Example:
  interlock agent walk-test --by 'Anna Adler'
  interlock agent walk-test --without tpm='it is not pulled to see'
  interlock agent walk-test --end`
}

// Run walks until nothing is left, or until it is interrupted.
func (c *agentWalkCmd) Run(e *env) error {
	cfg, err := c.configure(e)
	if err != nil {
		return err
	}
	socket := cfg.SocketPath()
	if c.End {
		w, err := agent.EndWalkTest(e.ctx, socket)
		if err != nil {
			return err
		}
		return c.outcome(e, w)
	}
	w, err := agent.BeginWalkTest(e.ctx, socket, c.who(), c.Without)
	if err != nil {
		return err
	}
	tellLeft(e.talk(), w)
	if err := c.follow(e, socket, w); err != nil {
		return err
	}
	w, err = agent.EndWalkTest(context.WithoutCancel(e.ctx), socket)
	if err != nil {
		return err
	}
	return c.outcome(e, w)
}

func (c *agentWalkCmd) who() string {
	if c.By != "" {
		return c.By
	}
	for _, name := range []string{"SUDO_USER", "LOGNAME", "USER"} {
		if who := os.Getenv(name); who != "" {
			return who
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// follow tells each tick until nothing is left or nobody waits any more.
func (c *agentWalkCmd) follow(e *env, socket string, was *agent.WalkTest) error {
	for was.Left() > 0 {
		select {
		case <-e.ctx.Done():
			return nil
		case <-time.After(250 * time.Millisecond):
		}
		now, err := agent.AskWalkTest(e.ctx, socket)
		switch {
		case e.ctx.Err() != nil:
			return nil
		case core.KindOf(err) == core.KindNotFound:
			return core.E(core.KindConflict, "agent walk-test", "the agent ended it: the device was armed, or it took too long")
		case err != nil:
			return err
		case now.Left() != was.Left():
			tellTicks(e.talk(), was, now)
			tellLeft(e.talk(), now)
		}
		was = now
	}
	return nil
}

func tellTicks(w io.Writer, was, now *agent.WalkTest) {
	for i, item := range now.Items {
		if !item.At.IsZero() && i < len(was.Items) && was.Items[i].At.IsZero() {
			_, _ = fmt.Fprintf(w, "seen   %s\n", printable(itemName(item)+": "+item.Type))
		}
	}
}

func tellLeft(w io.Writer, test *agent.WalkTest) {
	_, _ = fmt.Fprintf(w, "%d of %d left\n", test.Left(), len(test.Items))
	for _, item := range test.Items {
		if item.At.IsZero() && item.Without == "" {
			_, _ = fmt.Fprintf(w, "  %s\n", printable(itemName(item)+": "+item.How))
		}
	}
}

func itemName(i agent.WalkItem) string {
	if i.Point == "" {
		return i.Sensor.String()
	}
	return i.Sensor.String() + "/" + i.Point
}

// outcome shows how it ended.
func (c *agentWalkCmd) outcome(e *env, w *agent.WalkTest) error {
	err := e.show(w, func(out io.Writer) {
		_, _ = fmt.Fprintf(out, "%d of %d were set off; reported to the server, where a person signs it off\n", len(w.Items)-w.Left(), len(w.Items))
	})
	if err == nil && w.Left() > 0 {
		return errFindings
	}
	return err
}
