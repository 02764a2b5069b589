package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/detect"
	"github.com/interlock-security/interlock/siem/detect/tuning"
	"github.com/interlock-security/interlock/siem/normalise"
	"github.com/interlock-security/interlock/siem/rules"
	"github.com/interlock-security/interlock/siem/sigma"
)

// ruleFiles are the shipped rules, and all that are in force: the shipped ones
// with the site's own, which can take the place of shipped ones.
func ruleFiles(dir, link string) (shipped, files []rules.File, replaced []string, err error) {
	shipped, err = rules.Shipped()
	if err != nil || dir == "" {
		return shipped, shipped, nil, err
	}
	own, err := rules.Load(os.DirFS(dir), ".")
	for i := range own {
		own[i].Link = link
	}
	if err == nil {
		files, replaced, err = detect.Overlay(shipped, own)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("rules in %s: %w", dir, err)
	}
	return shipped, files, replaced, nil
}

// maxPlaceholders bounds the file of values, in bytes.
const maxPlaceholders = 1 << 20

// placeholders reads the values of a site's placeholders.
func placeholders(path string) (map[string][]string, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no file, no values
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("rules_placeholders: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPlaceholders+1))
	if err == nil && len(text) > maxPlaceholders {
		err = fmt.Errorf("%s has more than %d bytes", path, maxPlaceholders)
	}
	if err != nil {
		return nil, fmt.Errorf("rules_placeholders: %w", err)
	}
	values, err := sigma.ParsePlaceholders(path, text)
	if err != nil {
		return nil, fmt.Errorf("rules_placeholders: %w", err)
	}
	return values, nil
}

// openDetection compiles the rules and opens what the site made of them.
func (s *Server) openDetection(f *flow) error {
	shipped, files, replaced, err := ruleFiles(s.Config.Rules, s.Config.RulesLink)
	if err != nil {
		return err
	}
	for _, name := range replaced {
		s.warn(fmt.Sprintf("the shipped rule %s is replaced by the one in %s", name, s.Config.Rules))
	}
	values, err := placeholders(s.Config.RulesPlaceholders)
	if err != nil {
		return err
	}
	library := new(detect.Library)
	set, err := library.Compile(files, detect.Tuning{Placeholders: values})
	if err != nil {
		return err
	}
	f.detect = detect.Config{
		Initial: set, Partitions: 1, Normaliser: normalise.New(), Stats: new(detect.Stats), Library: library, Lost: s.windowsLost, Unjudged: s.notJudged,
		Log: s.log,
	}
	f.Tuning = tuning.New(tuning.Parts{
		State: s.base.state, Journal: s.base.frames, Log: s.Audit, Facts: audit.Put, Guard: s.Guard, Clock: s.clock, Warn: s.log, Tenant: s.Config.Tenant,
		Shipped: shipped, Files: files, Library: library, Notice: s.rulesNotice, Placeholders: values,
	})
	return nil
}

// startDetection brings the rules into force, as far as the audit log vouches for
// what was made of them, and keeps them so.
func (s *Server) startDetection(ctx context.Context) {
	first, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	if err := s.flow.Tuning.Load(first); err != nil {
		s.log.Warn("the rules in force stay until the audit log has been read", slog.Any("err", err))
	}
	s.background(ctx, "rules", func(ctx context.Context) error {
		defer s.flow.Tuning.Close()
		return s.flow.Tuning.Run(ctx)
	})
}

// rulesNotice makes an event of something about the rules.
func (s *Server) rulesNotice(ctx context.Context, tx *store.Tx, n tuning.Notice) error {
	return s.Registry.Raise(ctx, tx, fleet.Notice{Tenant: s.Config.Tenant, Kind: n.Kind, Severity: n.Severity, Fields: n.Fields})
}

// AlarmWindowsLost is the event of a correlation that could not remember all that
// it should have.
const AlarmWindowsLost = "correlation_lost"

func (s *Server) windowsLost(ctx context.Context, tx *store.Tx, l detect.Loss) error {
	return s.Registry.Raise(ctx, tx, fleet.Notice{
		Tenant: s.Config.Tenant, Kind: AlarmWindowsLost, Severity: core.SeverityMedium,
		Fields: map[string]any{"rule": l.Rule.ID, "name": l.Rule.Name, "title": l.Rule.Title, "groups": l.Groups, "events": l.Events, "cut": l.Cut},
	})
}

// AlarmNotJudged is the event of a source whose events no rule saw whole.
const AlarmNotJudged = "event_not_judged"

func (s *Server) notJudged(ctx context.Context, tx *store.Tx, u detect.Unjudged) error {
	return s.Registry.Raise(ctx, tx, fleet.Notice{
		Tenant: u.Tenant, Device: u.Device, Kind: AlarmNotJudged, Severity: core.SeverityMedium,
		Fields: map[string]any{"log_source": u.Source, "count": u.Count, "why": u.Reason, "event": u.Event.String()},
	})
}

// inForce are the rules that events are judged by, as far as they have been
// announced.
func (f *flow) inForce() *detect.Ruleset {
	if set := f.Tuning.InForce(); set != nil {
		return set
	}
	return f.detect.Initial
}

// detection tells how detection does.
func (s *Server) detection() *api.DetectionState {
	f, set := s.flow, s.flow.inForce()
	out := &api.DetectionState{
		Rules: set.Voices(), Hash: set.Hash, Events: f.detect.Stats.Events.Load(), Matches: f.detect.Stats.Matches.Load(),
		Damaged: f.detect.Stats.Damaged.Load(), Opaque: f.detect.Stats.Opaque.Load(),
	}
	for _, c := range f.Tuning.Changes() {
		switch {
		case c.State != tuning.StateActive:
		case c.Kind == tuning.KindDisable:
			out.Disabled++
		default:
			out.Exclusions++
		}
	}
	if c := f.detect.Stats.Correlations.Load(); c != nil {
		out.Groups, out.Bytes, out.Late = c.Groups, c.Bytes, c.Late
		for _, one := range c.Correlations {
			out.EvictedGroups += one.EvictedGroups
			out.EvictedEvents += one.EvictedEvents
			out.CutEvents += one.CutEvents
		}
	}
	return out
}

// detectionWarnings are what somebody should see of the rules.
func (s *Server) detectionWarnings() (list []string) {
	if names := s.flow.Tuning.Strangers(); len(names) > 0 {
		list = append(list, fmt.Sprintf("the tuning of rules speaks of %d that no rule has any more: %s", len(names), strings.Join(names[:min(3, len(names))], ", ")))
	}
	doubts := s.flow.Tuning.Doubts()
	for _, object := range slices.Sorted(maps.Keys(doubts)) {
		list = append(list, object+": what was made of this rule is not believed: "+doubts[object])
	}
	return list
}
