package app

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/siem/explain"
)

// explain asks the rules in force about an event, as detection asked them.
func (s *Server) explain(_ context.Context, ev *core.Event, o explain.Options) (explain.Report, error) {
	return explain.Received(s.flow.inForce().Engine, ev, o), nil
}
