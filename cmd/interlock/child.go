package main

import (
	"log/slog"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/keys"
	"github.com/interlock-security/interlock/policy"
)

// childCmd holds the processes that serve starts from its own binary.
type childCmd struct {
	Keys   childKeysCmd   `cmd:"" help:"The process that holds the CA and the order key; serve starts it."`
	Events childEventsCmd `cmd:"" help:"The process that holds the event store; serve starts it."`
}

type childKeysCmd struct {
	Dir string `arg:"" help:"Where the keys are kept." type:"path"`
}

// Run serves requests on the descriptor that the parent left open.
func (c *childKeysCmd) Run(e *env) error {
	return keys.Main(e.ctx, keys.ChildFD, c.Dir, keys.Options{
		Policy: policy.Default(), Clock: core.SystemClock{},
		Log: slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}
