package main

import (
	"io"
	"os"

	"github.com/interlock-security/interlock/app/demo"
	"github.com/interlock-security/interlock/core"
)

type demoCmd struct {
	Once    bool `help:"End after the story instead of asking whether to tell it again."`
	Verbose bool `help:"Log what the parts do." short:"v"`
}

// Help implements kong's long help.
func (demoCmd) Help() string {
	return `Everything runs in a temporary folder and nothing of it stays. Sensors and firewall are simulated; server, keys process, agents,
signatures and proofs are real. Exit code 0 only if every line was checked.

Example:
  interlock demo --once`
}

// Run tells the story.
func (c *demoCmd) Run(e *env) error {
	for {
		if err := c.tell(e); err != nil {
			return err
		}
		if c.Once || !confirmed(e, "\nTell it again? [yes/no] ") {
			return nil
		}
	}
}

func (c *demoCmd) tell(e *env) error {
	dir, err := os.MkdirTemp("", "ildemo")
	if err != nil {
		return core.Wrap(core.KindUnavailable, "demo", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, err := os.Executable()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "demo", err)
	}
	return demo.Run(e.ctx, demo.Options{Dir: dir, Program: program, Out: e.out, Log: logger(c.logTo(e), c.Verbose)})
}

// logTo keeps the story free of warnings unless they were asked for: what the
// devices sense is meant to be alarming.
func (c *demoCmd) logTo(e *env) io.Writer {
	if c.Verbose {
		return e.err
	}
	return io.Discard
}
