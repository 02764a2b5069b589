package app

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/jobs"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/action"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/playbook"
	"github.com/interlock-security/interlock/response/recovery"
	"github.com/interlock-security/interlock/scanning/lifecycle"
	"github.com/interlock-security/interlock/siem/alert"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
)

// The topics of the state database, in the order in which records pass through
// them.
var (
	topicMatches   = journal.NewTopic("matches")
	topicAlerts    = journal.NewTopic("alerts")
	topicIncidents = journal.NewTopic("incidents")
	topicOrders    = journal.NewTopic("orders")
)

// flow is what the stages are made of.
type flow struct {
	detect    detect.Config
	Tuning    *tuning.Tuning
	fold      *fleet.Fold
	alerts    *alert.Store
	Incidents *incident.Store
	Actions   *action.Runner
	Playbooks *playbook.Engine
	Findings  *lifecycle.Store
}

func (s *Server) openFlow() (*flow, error) {
	books, err := playbook.Builtin()
	if err != nil {
		return nil, err
	}
	f := &flow{
		fold:   fleet.NewFold(s.Registry, fleet.DefaultFold, 1),
		alerts: alert.NewStore(topicAlerts), Incidents: incident.NewStore(topicIncidents, audit.Put),
		Actions: action.NewRunner(s.Guard, s.Registry, s.Orders), Findings: openFindings(s.Config.Findings),
	}
	s.openAdvisories(s.options.Paths)
	if err := s.openDetection(f); err != nil {
		return nil, err
	}
	f.Incidents.Sites, f.Incidents.Ended = fleet.SiteOf, f.closeAlerts
	s.base.outbox.Settled = s.settled
	f.Playbooks, err = playbook.NewEngine(playbook.Parts{
		State: s.base.state, Incidents: f.Incidents, Actions: f.Actions, Verifier: recovery.NewVerifier(s.Registry, s.Audit, s.clock),
		Fleet: s.Registry, Guard: s.Guard, Clock: s.clock, Log: s.log, Books: books,
		Would: func(who core.Principal, do core.Action, on core.Resource) core.Decision {
			return s.Guard.Set().Evaluate(who, do, on)
		},
	})
	return f, err
}

// closeAlerts ends the alerts of an incident, as what the incident turned out to
// be.
func (f *flow) closeAlerts(ctx context.Context, tx *store.Tx, tenant core.TenantID, by incident.Change, alerts ...core.UUID) error {
	how := alert.Closing{Verdict: alert.VerdictResolved, By: by.By.String(), At: by.At, Reason: by.Reason}
	if by.To == incident.StateFalsePositive {
		how.Verdict = alert.VerdictFalsePositive
	}
	return f.alerts.End(ctx, tx, tenant, how, alerts...)
}

// settled tells an incident where the log holds its step.
func (s *Server) settled(ctx context.Context, tx *store.Tx, e audit.Entry, at core.Position) error {
	text, ours := strings.CutPrefix(e.Object, "incident/")
	if !ours {
		return nil
	}
	id, err := core.ParseUUID(text)
	if err != nil {
		// The entry is in the log already. An error here would hold up every
		// entry behind it for ever.
		s.log.Error("an entry is of no incident", slog.String("object", e.Object), slog.Any("err", err))
		return nil
	}
	return s.flow.Incidents.Settle(ctx, tx, s.Config.Tenant, id, e.Revision, at)
}

// stages is the flow as a table: who reads what. Each commits its cursor, its
// effects and the records it sends on in one transaction of the state database.
//
//	stage            reads       writes
//	fleet            raw         what devices say of themselves; alarms
//	baseline         raw         notices: a source is silent, or floods
//	leaks            raw         findings: a secret in a log
//	detect           raw         matches, watermarks
//	correlate        matches     alerts                (one owner, by lease)
//	incident         alerts      incidents
//	playbook         incidents   runs, jobs
//	playbook-orders  orders      runs, jobs
//	stop-resets      orders      stops that persons ended
//	findings         findings    notices: a secret leaked, a fix is overdue
func (s *Server) stages() []journal.Stage {
	raw, f, state := s.base.frames, s.flow, s.base.state
	return []journal.Stage{
		f.fold.Stage(raw, 0),
		s.baselineStage(raw, 0),
		s.leaksStage(raw, 0),
		detect.Stage(f.detect, raw, 0, topicMatches),
		detect.Correlate(f.detect, topicMatches.Bind(state), f.alerts),
		incident.Stage(topicAlerts.Bind(state), f.Incidents),
		f.Playbooks.Stage(topicIncidents.Bind(state)),
		f.Playbooks.OrderStage(topicOrders.Bind(state)),
		{Name: "stop-resets", From: topicOrders.Bind(state), Handle: s.resets},
		s.findingsStage(),
	}
}

// runFlow starts the stages and what carries their work on: ticks, the audit
// outbox, jobs, alarms, expiring orders.
func (s *Server) runFlow(ctx context.Context) error {
	s.startDetection(ctx)
	for _, stage := range s.stages() {
		stage.Clock, stage.OnFailure = s.clock, s.stageFailed
		run := func(ctx context.Context) error { return journal.Run(ctx, s.base.state, stage) }
		if stage.Name == "correlate" {
			run = func(ctx context.Context) error { return s.runOwned(ctx, stage) }
		}
		s.background(ctx, "stage "+stage.Name, run)
	}
	s.background(ctx, "ticks", func(ctx context.Context) error {
		s.base.frames.RunTicks(ctx, func(err error) { s.log.Warn("a tick failed", slog.Any("err", err)) })
		return nil
	})
	s.background(ctx, "outbox", s.base.outbox.Run)
	s.background(ctx, "alarms", func(ctx context.Context) error { return s.Registry.RunAlarms(ctx, s.base.frames, 1, s.log) })
	worker := &jobs.Runner{DB: s.base.state, Clock: s.clock, Handlers: s.flow.Playbooks.Handlers(), OnError: s.jobFailed}
	s.background(ctx, "jobs", worker.Run)
	s.background(ctx, "orders", s.sweepOrders)
	s.background(ctx, "seals", s.sweepSeals)
	s.background(ctx, "findings", s.sweepFindings)
	s.background(ctx, "advisories", s.keepAdvisories)
	s.background(ctx, "checkpoints", s.keepCheckpoints)
	s.background(ctx, "targets", s.keepTargets)
	s.background(ctx, "stop records", s.drainStops)
	return nil
}

func (s *Server) stageFailed(f journal.Failure) {
	s.log.Warn("a stage failed on a frame", slog.String("stage", f.Stage), slog.Uint64("offset", f.Offset), slog.Int("attempt", f.Attempt), slog.Bool("parked", f.Parked), slog.Any("err", f.Err))
}

// jobFailed tells of an attempt that is made again. What waits for a device or
// for persons does so for hours, so it is no warning.
func (s *Server) jobFailed(j jobs.Job, err error) {
	s.log.Info("a job waits", slog.String("kind", j.Kind), slog.String("key", j.Key), slog.Int("attempt", j.Attempt), slog.Any("err", err))
}

// sweepOrders expires orders and goes on with those whose signing was cut short.
func (s *Server) sweepOrders(ctx context.Context) error {
	return s.every(ctx, 2*time.Second, func() {
		if err := s.Orders.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("orders wait", slog.Any("err", err))
		}
		if err := s.Listener.Flush(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("summaries of refusals wait", slog.Any("err", err))
		}
	})
}

// sweepSeals tells of seals that nobody looked at in time.
func (s *Server) sweepSeals(ctx context.Context) error {
	return s.every(ctx, 20*time.Second, func() {
		if _, err := s.Seals.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("overdue seals wait", slog.Any("err", err))
		}
	})
}

// keepCheckpoints writes the log's size and root into the state database, so
// that a log that comes back shorter is noticed.
func (s *Server) keepCheckpoints(ctx context.Context) error {
	var last audit.Checkpoint
	return s.every(ctx, time.Second, func() {
		c := s.Audit.Checkpoint()
		if c.Size == last.Size && c.Origin == last.Origin {
			return
		}
		if err := remember(ctx, s.base.state, s.Config.Tenant, c); err == nil {
			last = c
		}
	})
}

// every calls fn now and then until ctx ends.
func (s *Server) every(ctx context.Context, pause time.Duration, fn func()) error {
	for {
		fn()
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(pause):
		}
	}
}
