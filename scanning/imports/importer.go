package imports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

const (
	maxFindings = 200_000
	maxText     = 16 << 10
	maxList     = 200
)

// importer collects a report.
type importer struct {
	report scanning.Report
	full   bool
}

func (in *importer) gap(what, why string, reason scanning.Reason) {
	in.report.Gaps = append(in.report.Gaps, scanning.Gap{What: clip(cmp.Or(what, in.report.Tool.Name)), Why: clip(why), Reason: reason})
}

// add takes a finding with its texts cut to what a database should hold.
func (in *importer) add(f scanning.Finding) {
	if in.full {
		return
	}
	if len(in.report.Findings) == maxFindings {
		in.full = true
		in.gap("", fmt.Sprintf("there are more than %d findings; the rest was not read", maxFindings), scanning.ReasonTooMany)
		return
	}
	for _, s := range []*string{&f.Rule, &f.Title, &f.Detail, &f.Advice, &f.Redacted, &f.Location.File, &f.Location.Context, &f.Location.Layer, &f.Location.Commit, &f.Location.Author} {
		*s = clip(*s)
	}
	f.Rule, f.Title = cmp.Or(f.Rule, "unnamed"), cmp.Or(f.Title, f.Rule, "a finding without a title")
	f.Aliases, f.Links, f.Fixed, f.Tags = short(f.Aliases), short(f.Links), short(f.Fixed), short(f.Tags)
	in.report.Findings = append(in.report.Findings, f)
}

// each decodes the elements of a list one by one: one that is malformed is a gap
// and spoils no other.
func each[T any](in *importer, what string, list []json.RawMessage, do func(*T)) {
	for i, raw := range list {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			in.gap(fmt.Sprintf("%s %d", what, i), "malformed: "+err.Error(), scanning.ReasonMalformed)
			continue
		}
		do(&v)
	}
}

func clip(s string) string { return untrusted.Clip(s, maxText) }

// short drops empty and repeated texts.
func short(list []string) []string {
	var out []string
	for _, s := range list {
		if s = clip(s); s != "" && !slices.Contains(out, s) && len(out) < maxList {
			out = append(out, s)
		}
	}
	return out
}

// severity reads the words of all the tools. What is unknown is medium, or what
// its score says.
func severity(word string, score float64) core.Severity {
	switch strings.ToLower(word) {
	case "critical":
		return core.SeverityCritical
	case "high", "important":
		return core.SeverityHigh
	case "medium", "moderate", "warning":
		return core.SeverityMedium
	case "low":
		return core.SeverityLow
	case "info", "informational", "negligible", "none":
		return core.SeverityInfo
	}
	switch {
	case score >= 9:
		return core.SeverityCritical
	case score >= 7:
		return core.SeverityHigh
	case score > 0 && score < 4:
		return core.SeverityLow
	}
	return core.SeverityMedium
}

// pack makes a package of what a tool says beside a package url that it may lack.
func pack(url, ecosystem, name, version, file string) *scanning.Package {
	p, err := purl.Package(url)
	if err != nil {
		p = scanning.Package{}
	}
	p.Name = cmp.Or(p.Name, clip(name))
	if strings.EqualFold(p.Name, name) {
		p.Name = clip(name)
	}
	p.Version = clip(cmp.Or(version, p.Version))
	p.Ecosystem = clip(cmp.Or(p.Ecosystem, ecosystem))
	p.File = clip(file)
	if p.PURL == "" {
		p.PURL = purl.Of(&p)
	}
	return &p
}

func advice(p *scanning.Package, fixed []string) string {
	if p == nil || len(fixed) == 0 {
		return ""
	}
	return "Update " + p.Name + " to " + strings.Join(fixed, " or ") + "."
}

func when(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// splitVersions reads "1.2.3, 1.3.0".
func splitVersions(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '|' })
}
