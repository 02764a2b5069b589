package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/scanning"
)

// Notice is something about a finding that detection has to know.
type Notice struct {
	Tenant   core.TenantID
	Device   core.DeviceID // the subject, zero where it is none
	Kind     string
	Severity core.Severity
	Fields   map[string]any
}

// The kinds of notice.
const (
	TypeOverdue   = "finding_overdue"   // a clock has come to a step
	TypeExploited = "finding_exploited" // it is open, and its advisory is known to be exploited
	TypeLeaked    = "secret_leaked"     // a secret was found, or found to be valid
	TypeRegressed = "finding_regressed" // it came back after it had been verified
	TypeEnded     = "risk_acceptance_ended"
)

// Stage reads the topic "findings" and tells what detection has to know, once for
// each record.
func Stage(findings journal.Reader, notice func(context.Context, *store.Tx, Notice) error) journal.Stage {
	return journal.Stage{
		Name: "findings",
		From: findings,
		Handle: func(ctx context.Context, tx *store.Tx, f journal.Frame) error {
			for i, body := range f.Records {
				var r Record
				if err := json.Unmarshal(body, &r); err != nil {
					return core.E(core.KindDamaged, "lifecycle.Stage", fmt.Sprintf("findings, offset %d, record %d: %v", f.Offset, i, err))
				}
				kind, severity := r.tells()
				if kind == "" {
					continue
				}
				if err := notice(ctx, tx, r.notice(kind, severity)); err != nil {
					return fmt.Errorf("findings, offset %d, record %d: %w", f.Offset, i, err)
				}
			}
			return nil
		},
	}
}

// tells is what a change means to detection, "" for nothing.
func (r Record) tells() (kind string, severity core.Severity) {
	f, e := &r.Finding, r.Event
	secret := f.What.Class == scanning.ClassSecret
	switch {
	case e.Kind == EventEscalated:
		return TypeOverdue, overdueSeverity(f)
	case e.Kind == EventReopened:
		return TypeRegressed, f.What.Severity
	case e.Kind == EventEnded:
		return TypeEnded, core.SeverityLow
	case e.Kind == EventDiscovered && secret:
		return TypeLeaked, secretSeverity(f)
	case (e.Kind == EventChanged || e.Kind == EventShortened) && secret && f.Clock.Why == whyValid:
		return TypeLeaked, secretSeverity(f)
	case (e.Kind == EventDiscovered || e.Kind == EventFact) && f.State.Open() && f.exploited() && f.What.Reach != scanning.ReachNotImported:
		return TypeExploited, core.SeverityHigh
	}
	return "", ""
}

// overdueSeverity grows with the step: what is merely due soon is no alarm.
func overdueSeverity(f *Finding) core.Severity {
	switch f.Clock.Step {
	case StepSoon:
		return core.SeverityInfo
	case StepTwice:
		return core.SeverityHigh
	}
	return core.SeverityMedium
}

func secretSeverity(f *Finding) core.Severity {
	if slices.Contains(f.What.Tags, TagValid) {
		return core.SeverityHigh
	}
	return core.SeverityMedium
}

func (r Record) notice(kind string, severity core.Severity) Notice {
	f := &r.Finding
	n := Notice{Tenant: f.Tenant, Kind: kind, Severity: severity, Fields: map[string]any{
		"finding": f.ID.String(), "subject": f.Subject, "rule": f.What.Rule, "title": f.What.Title, "class": string(f.What.Class),
		"finding_severity": string(f.What.Severity), "state": string(f.State), "file": f.What.Location.File, "owner": f.Owner, "priority": f.Priority, "why": f.Why,
	}}
	if p := f.What.Package; p != nil {
		n.Fields["package"], n.Fields["package_version"] = p.Name, p.Version
	}
	if kind == TypeLeaked {
		n.Fields["valid"] = slices.Contains(f.What.Tags, TagValid)
	}
	if kind == TypeOverdue {
		n.Fields["step"], n.Fields["due"] = string(f.Clock.Step), f.Clock.Due.UTC().Format(time.RFC3339)
	}
	if text, is := strings.CutPrefix(f.Subject, "device/"); is {
		if id, err := core.ParseID[core.DeviceID](text); err == nil {
			n.Device = id
		}
	}
	return n
}
