package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/journal"
)

// successions says whose signatures begin a new audit log after damage. A
// statement that is handed in counts under the trust root in force, for which
// what is left of the log or the keys process vouches, not the database. One that
// stands in the log's own folder counted once, and does so under any version
// that was in force: persons and keys change, and a log does not become damaged
// by that.
type successions struct {
	past    []*link.Trust
	inForce func() (*link.Trust, error) // nil while the log is being opened
}

func (s *successions) verify(statement, signatures []byte) error {
	if s.inForce != nil {
		trust, err := s.inForce()
		if err != nil {
			return err
		}
		return trust.CheckStatement(statement, signatures)
	}
	err := error(core.E(core.KindDenied, "app.successions", "there is no trust root, so nobody can have signed a succession"))
	for _, trust := range s.past {
		if err = trust.CheckStatement(statement, signatures); err == nil {
			return nil
		}
	}
	return err
}

// logCheckEvery is how often the audit log is read from its first byte.
const logCheckEvery = 24 * time.Hour

// checkLog verifies the whole audit log at the start and every day. Damage puts
// the log into stop-only mode, which watchLog tells; a check that could not be
// made is told as such.
func (s *Server) checkLog(ctx context.Context) error {
	return s.every(ctx, logCheckEvery, func() {
		err := s.Audit.Verify(ctx)
		if err == nil || ctx.Err() != nil || core.KindOf(err) == core.KindDamaged {
			s.logProblem.Store(nil)
			return
		}
		s.log.Error("the audit log could not be verified", slog.Any("err", err))
		problem := err.Error()
		s.logProblem.Store(&problem)
	})
}

// The events by which the server tells of its own log.
const (
	typeLogDamaged   = "audit_log_damaged"
	typeLogSucceeded = "audit_log_succeeded"
)

// watchLog puts an event into the journal whenever the log becomes stop-only,
// however that came, and when a succession has ended it.
func (s *Server) watchLog(ctx context.Context) error {
	told := audit.ModeNormal
	return s.every(ctx, time.Second, func() {
		mode, reason := s.Audit.Mode()
		if mode == told {
			return
		}
		kind, severity := typeLogDamaged, core.SeverityCritical
		if mode == audit.ModeNormal {
			kind, severity = typeLogSucceeded, core.SeverityMedium
		}
		if err := s.tellOwn(ctx, kind, severity, map[string]string{"log": s.Audit.Origin(), "reason": reason}); err != nil {
			if ctx.Err() == nil {
				s.log.Error("an event of the server itself waits", slog.String("type", kind), slog.Any("err", err))
			}
			return
		}
		told = mode
	})
}

// tellOwn appends an event that the server itself is the source of.
func (s *Server) tellOwn(ctx context.Context, kind string, severity core.Severity, fields map[string]string) error {
	body, err := json.Marshal(fields)
	if err != nil {
		return core.Wrap(core.KindInternal, "app.tellOwn", err)
	}
	now := s.clock.Now()
	record, err := json.Marshal(core.Event{
		ID: core.NewUUID(now), Time: now, Received: now, Tenant: s.Config.Tenant, Source: "serve", Provenance: core.ProvenanceLocal,
		Class: core.ClassBase, Type: kind, Severity: severity, Fields: body,
	})
	if err != nil {
		return core.Wrap(core.KindInternal, "app.tellOwn", err)
	}
	_, err = s.base.frames.Append(ctx, journal.Frame{Kind: journal.KindEvents, Tenant: s.Config.Tenant, Source: "serve", Received: now, Records: [][]byte{record}})
	return err
}

// logWarnings tell what has to be done about the audit log, as long as it has.
func (s *Server) logWarnings(root *link.Root) []string {
	if mode, reason := s.Audit.Mode(); mode != audit.ModeNormal {
		return []string{fmt.Sprintf("the audit log is damaged: %s. Stops, containment and reports of devices go on and are recorded in %s; everything else waits until the root role has signed a succession: interlock audit succession statement", reason, s.Audit.Origin())}
	}
	var list []string
	if problem := s.logProblem.Load(); problem != nil {
		list = append(list, "the audit log could not be verified: "+*problem)
	}
	if origin := s.Audit.Origin(); origin != root.LogOrigin {
		list = append(list, fmt.Sprintf("the audit log is %s, trust root %d still names %s: make the next one with: interlock audit succession root", origin, root.Version, root.LogOrigin))
	}
	return list
}

// followRoots takes over each version of the trust root: keys is offered all of
// them and takes them as a device does, the server itself goes by the one in
// effect.
func (s *Server) followRoots(ctx context.Context) error {
	var after time.Time
	return s.every(ctx, time.Second, func() {
		if s.clock.Now().Before(after) {
			return
		}
		err := s.followRoot(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if core.KindOf(err) != core.KindUnavailable { // the answer will be the same for a while
			after = s.clock.Now().Add(time.Minute)
		}
		s.log.Warn("a trust root waits", slog.Any("err", err))
	})
}

func (s *Server) followRoot(ctx context.Context) error {
	trust, err := s.Roots.Vouched(ctx, s.Config.Tenant)
	if err != nil {
		return err
	}
	if trust.Root().Version != s.rootVersion.Load() {
		if err := s.useRoot(trust); err != nil {
			return err
		}
	}
	offered, err := s.Roots.Since(ctx, s.Config.Tenant, s.keysRoot.Load())
	if err != nil || len(offered) == 0 {
		return err
	}
	return s.offerKeys(ctx, offered)
}

// offerKeys hands keys the versions that it does not have.
func (s *Server) offerKeys(ctx context.Context, offered []fleet.RootVersion) error {
	st, err := s.Keys.Status(ctx)
	if err != nil {
		return err
	}
	s.keysRoot.Store(st.RootVersion)
	for _, v := range offered {
		if v.Version <= st.RootVersion {
			continue
		}
		if err := s.Keys.AdoptRoot(ctx, v.Envelope, v.Proof); err != nil {
			return fmt.Errorf("keys and trust root %d: %w", v.Version, err)
		}
		s.keysRoot.Store(v.Version)
	}
	return nil
}
