package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/scanning/vex"
)

// topicFindings carries each change of a finding.
var topicFindings = journal.NewTopic("findings")

// openFindings has findings closed by nobody's statements but those of the authors
// that the configuration names.
func openFindings(c Findings) *lifecycle.Store {
	var trusted []vex.Author
	for _, a := range c.VEX {
		trusted = append(trusted, vex.Author{Name: a.Author, Source: a.Source, MaxAge: time.Duration(a.MaxDays) * 24 * time.Hour})
	}
	return lifecycle.NewStore(topicFindings, audit.Put, lifecycle.DefaultRules()).Trusting(trusted)
}

// reconsiderFindings opens what was closed by the word of somebody whom the
// configuration does not name any more.
func (s *Server) reconsiderFindings(ctx context.Context) error {
	var last core.UUID
	for ctx.Err() == nil {
		err := s.base.state.Tx(ctx, func(tx *store.Tx) (err error) {
			last, err = s.flow.Findings.Reconsider(ctx, tx, s.Config.Tenant, last, s.clock.Now(), sweepMost)
			return err
		})
		if err != nil || last.IsZero() {
			return err
		}
	}
	return ctx.Err()
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
	reconsidered := false
	return s.every(ctx, 20*time.Second, func() {
		if !reconsidered {
			err := s.reconsiderFindings(ctx)
			if reconsidered = err == nil; err != nil && ctx.Err() == nil {
				s.log.Warn("what VEX statements closed is not held against the configuration yet", slog.Any("err", err))
			}
		}
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
