package provenance

import (
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// The rules under which results become findings.
const (
	RuleFailed      = "provenance-failed"
	RuleNotVerified = "provenance-not-verified"
)

// Findings says a result as findings: none for what is verified.
func (r *Result) Findings() []scanning.Finding {
	if r.State == Verified {
		return []scanning.Finding{}
	}
	f := scanning.Finding{
		Rule: RuleNotVerified, Class: scanning.ClassProvenance, Title: "Nothing proves where " + r.Artifact + " comes from", Detail: r.Why, Severity: core.SeverityMedium,
		Advice: "Get it with a signature or provenance of its maker, and configure whom you trust for it.",
	}
	if r.State == Failed {
		f.Rule, f.Severity, f.Title = RuleFailed, core.SeverityCritical, r.Artifact+" is not what its signature or provenance says"
		f.Advice = "Do not use it. Get it again from its maker, and find out how it came here."
	}
	f.Location = scanning.Location{File: r.Artifact, Context: f.Rule}
	f.Fingerprint = scanning.Fingerprint(&f)
	return []scanning.Finding{f}
}

// Report is the result as a scan's.
func (r *Result) Report(at time.Time) scanning.Report {
	out := scanning.Report{
		Tool:    scanning.Tool{Name: "interlock provenance", Detectors: []string{RuleFailed, RuleNotVerified}},
		Scope:   scanning.Scope{Kind: scanning.ScopeFolder, Name: r.Artifact},
		Started: at, Finished: at, Findings: r.Findings(), Scanned: map[string]int64{"evidence": int64(len(r.Checks))},
	}
	if d := r.Digests["sha256"]; d != "" {
		out.Scope.Revision = "sha256:" + d
	}
	return out
}
