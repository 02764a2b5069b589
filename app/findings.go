package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning/lifecycle"
)

// topicFindings carries each change of a finding.
var topicFindings = journal.NewTopic("findings")

func openFindings() *lifecycle.Store {
	return lifecycle.NewStore(topicFindings, audit.Put, lifecycle.DefaultRules())
}

// findingsStage makes events of what detection has to know of findings: they go
// the way of the server's other notices.
func (s *Server) findingsStage() journal.Stage {
	return lifecycle.Stage(topicFindings.Bind(s.base.state), func(ctx context.Context, tx *store.Tx, n lifecycle.Notice) error {
		return s.Registry.Raise(ctx, tx, fleet.Notice{Tenant: n.Tenant, Device: n.Device, Kind: n.Kind, Severity: n.Severity, Fields: n.Fields})
	})
}

// sweepMost is how many findings one transaction wakes.
const sweepMost = 200

// sweepFindings does what time asks for of findings: clocks escalate, accepted
// risks come back.
func (s *Server) sweepFindings(ctx context.Context) error {
	return s.every(ctx, 20*time.Second, func() {
		for n := sweepMost; n == sweepMost && ctx.Err() == nil; {
			err := s.base.state.Tx(ctx, func(tx *store.Tx) (err error) {
				n, err = s.flow.Findings.Sweep(ctx, tx, s.Config.Tenant, s.clock.Now(), sweepMost)
				return err
			})
			if err != nil {
				if ctx.Err() == nil {
					s.log.Warn("the clocks of findings wait", slog.Any("err", err))
				}
				return
			}
		}
	})
}
