package priority

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// DefaultEPSS is the probability from which on a vulnerability is treated as
// one with a public exploit.
const DefaultEPSS = 0.1

// Facts are what is known beyond the advisory.
type Facts struct {
	// EPSS is the probability of exploitation within 30 days.
	EPSS float64
	// KEV is since when CISA lists it; zero if it doesn't.
	KEV        time.Time
	Ransomware bool
	// Seen is when our own events first showed that it is being exploited.
	Seen time.Time
	// PublicExploit is a proof of concept that anybody can run.
	PublicExploit bool
	// EPSSThreshold replaces [DefaultEPSS].
	EPSSThreshold float64
	Asset         Asset
}

// Asset is where the finding stands. The zero value is an asset of unknown
// importance and is taken as one that supports the mission, with material harm
// if it fails: SSVC's own advice for what is not known.
type Asset struct {
	Prevalence Prevalence
	WellBeing  WellBeing
}

// Mission is the asset's place in the tree.
func (a Asset) Mission() Mission {
	return MissionAndWellBeing(cmp.Or(a.Prevalence, PrevalenceSupport), cmp.Or(a.WellBeing, WellBeingMaterial))
}

// Assess gives a finding its risk: the vector's score, the facts, and the
// decision of CISA's tree. Facts that the finding carries already are kept where
// they are worse.
func Assess(f *scanning.Finding, facts Facts) scanning.Risk {
	r := f.Risk
	r.EPSS = max(r.EPSS, facts.EPSS)
	r.KEV = Earliest(r.KEV, facts.KEV, facts.Seen)
	r.Ransomware = r.Ransomware || facts.Ransomware
	automatable, impact := AutomatableYes, ImpactTotal
	if c, err := ParseCVSS(r.CVSS); err == nil && r.CVSS != "" {
		r.Score, automatable, impact = c.Score, c.automatable(), c.impact()
	}
	r.SSVC = string(Decide(exploitation(r, facts), automatable, impact, facts.Asset.Mission()))
	return r
}

func exploitation(r scanning.Risk, facts Facts) Exploitation {
	switch {
	case !r.KEV.IsZero():
		return ExploitationActive
	case facts.PublicExploit || r.EPSS >= cmp.Or(facts.EPSSThreshold, DefaultEPSS):
		return ExploitationPoC
	}
	return ExploitationNone
}

// Earliest is the first of the times that are known, and zero if none is.
func Earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Order sorts findings by what to fix first. It is total: two findings compare
// equal only when nothing tells them apart.
func Order(findings []scanning.Finding) {
	// A finding is large: their places are sorted, and each is moved once.
	order := make([]*scanning.Finding, len(findings))
	for i := range findings {
		order[i] = &findings[i]
	}
	slices.SortFunc(order, Compare)
	sorted := make([]scanning.Finding, len(findings))
	for i, f := range order {
		sorted[i] = *f
	}
	copy(findings, sorted)
}

// Compare is negative when a is to be fixed before b: first by the tree's
// decision, then what is exploited, what is reachable, how severe and how likely
// it is; of two equals, the one that has a fix and that we asked for ourselves.
func Compare(a, b *scanning.Finding) int {
	return cmp.Or(
		cmp.Compare(rank(b.Risk.SSVC), rank(a.Risk.SSVC)),
		first(!a.Risk.KEV.IsZero(), !b.Risk.KEV.IsZero()),
		first(a.Reach != scanning.ReachNotImported, b.Reach != scanning.ReachNotImported),
		cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
		cmp.Compare(b.Risk.Score, a.Risk.Score),
		cmp.Compare(b.Risk.EPSS, a.Risk.EPSS),
		first(a.Risk.Ransomware, b.Risk.Ransomware),
		first(a.Reach == scanning.ReachImported, b.Reach == scanning.ReachImported),
		first(len(a.Fixed) > 0, len(b.Fixed) > 0),
		first(direct(a), direct(b)),
		comparePackages(a.Package, b.Package),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Location.File, b.Location.File),
		cmp.Compare(a.Location.Line, b.Location.Line),
		cmp.Compare(a.Fingerprint, b.Fingerprint),
	)
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func direct(f *scanning.Finding) bool { return f.Package != nil && f.Package.Direct && !f.Package.Dev }

func comparePackages(a, b *scanning.Package) int {
	if a == nil || b == nil {
		return first(a == nil, b == nil)
	}
	return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}

// Why says in one sentence why a finding stands where [Order] puts it.
func Why(f *scanning.Finding) string {
	var parts []string
	r := f.Risk
	if !r.KEV.IsZero() {
		parts = append(parts, "known to be exploited since "+r.KEV.UTC().Format(time.DateOnly))
	}
	if r.Ransomware {
		parts = append(parts, "used by ransomware")
	}
	parts = append(parts, howBad(f))
	if r.EPSS >= 0.01 {
		parts = append(parts, fmt.Sprintf("%.0f %% likely to be exploited within 30 days", 100*r.EPSS))
	}
	switch f.Reach {
	case scanning.ReachImported:
		parts = append(parts, "reachable")
	case scanning.ReachNotImported:
		parts = append(parts, "the vulnerable package is not imported")
	}
	parts = append(parts, fix(f))
	sentence := strings.Join(parts, ", ")
	if r.SSVC != "" {
		return r.SSVC + ": " + sentence
	}
	return sentence
}

func howBad(f *scanning.Finding) string {
	if f.Risk.Score > 0 {
		return fmt.Sprintf("%s (CVSS %.1f)", f.Severity, f.Risk.Score)
	}
	if f.Severity == "" {
		return string(core.SeverityMedium) + " until somebody rates it"
	}
	return string(f.Severity)
}

func fix(f *scanning.Finding) string {
	switch {
	case f.Advice != "":
		return strings.TrimSuffix(lowerFirst(f.Advice), ".")
	case len(f.Fixed) > 0:
		return "fix is " + f.Fixed[0]
	case f.Class == scanning.ClassVulnerability:
		return "no fix yet"
	}
	return "no fix named"
}

func lowerFirst(s string) string {
	if s == "" || s[0] < 'A' || s[0] > 'Z' {
		return s
	}
	return string(s[0]+'a'-'A') + s[1:]
}
