package main

import (
	"github.com/interlock-security/interlock/platform/events/child"
	"github.com/interlock-security/interlock/platform/events/hush"
)

func init() { hush.Restore() }

type childEventsCmd struct{}

// Run serves the event store at a port that it tells to the parent.
func (c *childEventsCmd) Run(e *env) error { return child.Main(e.ctx) }
