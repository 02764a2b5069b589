package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// Limits of what is taken in.
const (
	MaxFindings = 20_000
	MaxGaps     = 10_000
	maxName     = 500
	maxDetail   = 16 << 10
	maxNames    = 200
	// aheadMost is how far a scanner's clock may be ahead of ours: a report from
	// the future would make all that follow it look old.
	aheadMost = 5 * time.Minute
)

// checked returns a report as it is taken in, or says what is wrong with it.
func checked(r *scanning.Report, subject string, at time.Time) (scanning.Report, error) {
	c := *r
	c.Started, c.Finished = c.Started.UTC().Truncate(time.Microsecond), c.Finished.UTC().Truncate(time.Microsecond)
	if err := CheckSubject(subject); err != nil {
		return c, err
	}
	bad := func(format string, args ...any) (scanning.Report, error) {
		return c, core.E(core.KindInvalid, "lifecycle.Import", fmt.Sprintf(format, args...))
	}
	switch {
	case len(c.Findings) > MaxFindings || len(c.Gaps) > MaxGaps:
		return c, core.E(core.KindTooLarge, "lifecycle.Import", fmt.Sprintf("a report has at most %d findings and %d gaps", MaxFindings, MaxGaps)).
			WithHint("scan parts of it, a report each")
	case !name(c.Tool.Name) || !name(c.Scope.Name) || !name(string(c.Scope.Kind)):
		return bad("the report does not say which tool scanned what")
	case c.Started.IsZero() || c.Finished.Before(c.Started):
		return bad("the report does not say when its scan began and ended")
	case c.Finished.After(at.Add(aheadMost)):
		return c, core.E(core.KindInvalid, "lifecycle.Import", "the report is from the future: its scan ended at "+c.Finished.Format(time.RFC3339)).
			WithHint("set the scanning machine's clock")
	}
	c.Findings = slices.Clone(c.Findings)
	for i := range c.Findings {
		if why := wrong(&c.Findings[i]); why != "" {
			return bad("finding %d of the report: %s", i+1, why)
		}
	}
	return c, nil
}

// wrong says what is wrong with a finding, and fills in what can be made.
func wrong(f *scanning.Finding) string {
	if f.Fingerprint == "" {
		f.Fingerprint = scanning.Fingerprint(f)
	}
	switch {
	case !name(f.Rule):
		return "it names no rule"
	case !slices.Contains(scanning.Classes, f.Class):
		return fmt.Sprintf("%.40q is no class; known are %v", f.Class, scanning.Classes)
	case f.Severity.Rank() < 0:
		return fmt.Sprintf("%.40q is no severity; known are %v", f.Severity, core.Severities)
	case !name(f.Fingerprint):
		return "its fingerprint is no short text"
	case len(f.Title) > maxDetail || len(f.Detail) > maxDetail || len(f.Advice) > maxDetail || len(f.Location.File) > maxDetail:
		return fmt.Sprintf("a text of it has more than %d bytes", maxDetail)
	case len(f.Aliases) > maxNames || len(f.Tags) > maxNames || len(f.Links) > maxNames || len(f.Fixed) > maxNames:
		return fmt.Sprintf("a list of it has more than %d entries", maxNames)
	case f.Class == scanning.ClassVulnerability && f.Package == nil:
		return "a vulnerability is one of a package"
	case f.Package != nil && (!name(f.Package.Name) || len(f.Package.Version) > maxName || len(f.Package.Ecosystem) > maxName):
		return "its package has no name, or none that is short"
	case slices.ContainsFunc(f.Aliases, func(a string) bool { return !name(a) }):
		return "an alias of it is no short text"
	}
	return ""
}

// name reports whether a text can be a name: short, one line, UTF-8.
func name(s string) bool {
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// CheckAdvisory holds the form of an advisory's name.
func CheckAdvisory(id string) error {
	if name(id) && !strings.ContainsAny(id, " /\\*?%'\"") {
		return nil
	}
	return core.E(core.KindInvalid, "lifecycle", "that is no name of an advisory").WithHint("a name is such as CVE-2021-44228")
}

// CheckSubject holds a subject's form: kind/name.
func CheckSubject(s string) error {
	kind, rest, of := strings.Cut(s, "/")
	if of && slices.Contains(subjectKinds, kind) && name(rest) {
		return nil
	}
	return core.E(core.KindInvalid, "lifecycle", fmt.Sprintf("%.60q is no subject", s)).
		WithHint("a subject is a kind and a name, such as device/press-7 or repo/shop; kinds are " + strings.Join(subjectKinds, ", "))
}
