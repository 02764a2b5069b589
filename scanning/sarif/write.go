package sarif

import (
	"cmp"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

// FingerprintKey is the member of partialFingerprints that holds ours.
const FingerprintKey = "interlockFingerprint/v1"

// sourceRoot is the uriBaseId of paths relative to the scope, the name that
// CodeQL gave it and everybody reads.
const sourceRoot = "%SRCROOT%"

// InformationURI is where a reader learns what the tool is.
const InformationURI = "https://github.com/interlock-security/interlock"

// Suppression says that a finding is known and left as it is.
type Suppression struct {
	// InSource is a comment in the code; else it is kept elsewhere: a baseline,
	// an accepted risk, a VEX statement.
	InSource bool
	// UnderReview is asked for and not granted yet: the finding counts.
	UnderReview bool
	// Justification is the reason, with who and until when.
	Justification string
}

// Options say what only the caller knows.
type Options struct {
	// Suppressed returns the suppressions of a finding (baseline, accepted);
	// VEX statements that stand in a finding are added by Write.
	Suppressed func(*scanning.Finding) []Suppression
}

// Write writes one log with a run for each report, in their order. The same
// reports give the same bytes.
func Write(w io.Writer, reports []scanning.Report) error { return WriteWith(w, reports, Options{}) }

// WriteWith is [Write] with options.
func WriteWith(w io.Writer, reports []scanning.Report, o Options) error {
	l := sarifLog{Schema: schemaURI, Version: version, Runs: []run{}}
	for i := range reports {
		r, err := encodeRun(&reports[i], o)
		if err != nil {
			return core.Wrap(core.KindInternal, "sarif.Write", err)
		}
		l.Runs = append(l.Runs, r)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return core.Wrap(core.KindUnavailable, "sarif.Write", enc.Encode(l))
}

func encodeRun(rep *scanning.Report, o Options) (run, error) {
	findings, rest, err := sortOut(rep, o)
	if err != nil {
		return run{}, err
	}
	rules, index := encodeRules(findings)
	r := run{
		Tool:                     tool{Driver: encodeDriver(rep.Tool, rules)},
		Invocations:              []invocation{encodeInvocation(rep)},
		AutomationDetails:        &automationDetails{ID: automationID(rep)},
		VersionControlProvenance: encodeRevision(rep.Scope),
		OriginalURIBaseIDs: map[string]artifactLocation{
			sourceRoot: {Description: &message{Text: "the root of what was scanned: " + string(rep.Scope.Kind) + " " + scopeName(rep.Scope)}},
		},
		Results:    make([]json.RawMessage, 0, len(findings)),
		Properties: encodeRunProperties(rep, rest),
	}
	for i := range findings {
		f := &findings[i]
		res, at := encodeResult(f), index[ruleID(f)]
		res.RuleIndex, res.Suppressions = &at, encodeSuppressions(f, o)
		b, err := marshal(res)
		if err != nil {
			return run{}, err
		}
		r.Results = append(r.Results, b)
	}
	return r, nil
}

// marshal keeps < and & readable, as the whole log does.
func marshal(v any) (json.RawMessage, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return json.RawMessage(b.String()), nil
}

var semver = regexp.MustCompile(`^v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)

func encodeDriver(t scanning.Tool, rules []rule) component {
	c := component{Name: cmp.Or(clean(t.Name), "unnamed"), Version: clean(t.Version), InformationURI: InformationURI, Rules: rules}
	if m := semver.FindStringSubmatch(t.Version); m != nil {
		c.SemanticVersion = m[1]
	}
	c.Properties = properties(map[string]any{"interlock": omitEmpty(map[string]any{
		"rules": t.Rules, "database": stamp(t.Database), "detectors": t.Detectors,
	})})
	return c
}

// encodeInvocation says failed whenever something wasn't scanned: that is what
// the standard has for an incomplete result.
func encodeInvocation(rep *scanning.Report) invocation {
	v := invocation{ExecutionSuccessful: len(rep.Gaps) == 0, StartTimeUTC: stamp(rep.Started), EndTimeUTC: stamp(rep.Finished)}
	if len(rep.Gaps) > 0 {
		v.ExitCodeDescription = "incomplete: " + strconv.Itoa(len(rep.Gaps)) + " parts were not scanned"
	}
	for _, g := range rep.Gaps {
		v.ToolExecutionNotifications = append(v.ToolExecutionNotifications, notification{
			Descriptor: &ruleReference{ID: cmp.Or(string(g.Reason), "gap")},
			Level:      "error",
			Message:    message{Text: text(g.What + ": " + g.Why)},
			Properties: properties(map[string]any{"interlock": omitEmpty(map[string]any{"what": clean(g.What), "why": clean(g.Why)})}),
		})
	}
	return v
}

// automationID is stable between scans of the same scope: GitHub takes it as the
// category whose results a new upload replaces.
func automationID(rep *scanning.Report) string {
	return strings.Join([]string{"interlock", clean(rep.Tool.Name), string(rep.Scope.Kind), scopeName(rep.Scope)}, "/") + "/"
}

func scopeName(s scanning.Scope) string { return withoutCredentials(clean(s.Name)) }

func encodeRevision(s scanning.Scope) []versionControl {
	uri, ok := repositoryURI(s.Name)
	if s.Kind != scanning.ScopeGit || !ok {
		return nil
	}
	return []versionControl{{RepositoryURI: uri, RevisionID: clean(s.Revision)}}
}

func encodeRunProperties(rep *scanning.Report, rest []aside) bag {
	s := rep.Scope
	return properties(map[string]any{"interlock": omitEmpty(map[string]any{
		"outcome": string(rep.Outcome()), "scanned": rep.Scanned, "aside": rest,
		"scope": omitEmpty(map[string]any{
			"kind": string(s.Kind), "name": scopeName(s), "revision": clean(s.Revision), "parts": s.Parts, "excluded": s.Excluded,
		}),
	})})
}

func ruleID(f *scanning.Finding) string { return cmp.Or(clean(f.Rule), "unnamed") }

// encodeRules lists each rule once, in the order of its id. The worst finding
// decides its severity, because GitHub shows a rule's and not a result's.
func encodeRules(findings []scanning.Finding) ([]rule, map[string]int) {
	byID := map[string]*scanning.Finding{}
	for i := range findings {
		f := &findings[i]
		if worst, ok := byID[ruleID(f)]; !ok || severityNumber(f) > severityNumber(worst) {
			byID[ruleID(f)] = f
		}
	}
	ids := make([]string, 0, len(byID))
	for id := range byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	rules, index := make([]rule, len(ids)), make(map[string]int, len(ids))
	for i, id := range ids {
		rules[i], index[id] = encodeRule(id, byID[id]), i
	}
	return rules, index
}

func encodeRule(id string, f *scanning.Finding) rule {
	tags := []string{"security", string(f.Class)}
	for _, t := range append(slices.Clone(f.Tags), f.Aliases...) {
		if t = clean(t); t != "" && !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	r := rule{
		ID: id, ShortDescription: &multiformat{text(cmp.Or(f.Title, f.Rule))}, HelpURI: firstLink(f.Links),
		DefaultConfiguration: &configuration{Level: level(f.Severity)},
		Properties: properties(map[string]any{
			"security-severity": strconv.FormatFloat(severityNumber(f), 'f', 1, 64), "tags": tags, "precision": "high",
		}),
	}
	if f.Detail != "" {
		r.FullDescription = &multiformat{text(f.Detail)}
	}
	if help := helpText(f); help != "" {
		r.Help = &multiformat{text(help)}
	}
	return r
}

func helpText(f *scanning.Finding) string {
	parts := slices.Clone([]string{f.Title, f.Detail, f.Advice})
	if len(f.Links) > 0 {
		parts = append(parts, strings.Join(f.Links, "\n"))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n\n")
}

func encodeResult(f *scanning.Finding) result {
	return result{
		RuleID: ruleID(f), Kind: "fail", Level: level(f.Severity),
		Message:             message{Text: text(sentence(f))},
		Locations:           []location{encodeLocation(f)},
		PartialFingerprints: map[string]string{FingerprintKey: cmp.Or(f.Fingerprint, scanning.Fingerprint(f))},
		Properties: properties(map[string]any{
			"security-severity": strconv.FormatFloat(severityNumber(f), 'f', 1, 64),
			"interlock":         encodeExtra(f),
		}),
	}
}

// sentence is what a list of results shows.
func sentence(f *scanning.Finding) string {
	s := cmp.Or(f.Title, f.Rule)
	if f.Package != nil {
		s += " in " + f.Package.Name + " " + cmp.Or(f.Package.Version, "(unknown version)")
	}
	if f.Redacted != "" {
		s += ": " + f.Redacted
	}
	if len(f.Location.Inner) > 0 {
		s += " (in " + strings.Join(f.Location.Inner, " / ") + ")"
	}
	if f.Advice != "" {
		s += ". " + f.Advice
	}
	return s
}

func encodeLocation(f *scanning.Finding) location {
	var l location
	if uri, base := locationURI(&f.Location); uri != "" {
		l.PhysicalLocation = &physicalLocation{ArtifactLocation: &artifactLocation{URI: uri, URIBaseID: base}, Region: encodeRegion(f.Location)}
	}
	if f.Package != nil {
		l.LogicalLocations = append(l.LogicalLocations, logicalLocation{
			Name: clean(f.Package.Name), FullyQualifiedName: clean(cmp.Or(f.Package.PURL, f.Package.Ecosystem+":"+f.Package.Name+"@"+f.Package.Version)), Kind: "package",
		})
	}
	if len(f.Location.Inner) > 0 {
		l.LogicalLocations = append(l.LogicalLocations, logicalLocation{FullyQualifiedName: clean(strings.Join(f.Location.Inner, "!/")), Kind: "member"})
	}
	return l
}

// encodeRegion leaves out what is unknown; GitHub wants a line for a file and
// takes the first if there is none.
func encodeRegion(l scanning.Location) *region {
	if l.Line < 1 {
		return nil
	}
	r := &region{StartLine: l.Line, StartColumn: max(l.Column, 0)}
	if l.EndLine > l.Line {
		r.EndLine = l.EndLine
	}
	return r
}

func (s Suppression) encode() suppression {
	e := suppression{Kind: "external", Status: "accepted", Justification: clean(s.Justification)}
	if s.InSource {
		e.Kind = "inSource"
	}
	if s.UnderReview {
		e.Status = "underReview"
	}
	return e
}

// holds reports whether any of them is granted.
func holds(list []suppression) bool {
	return slices.ContainsFunc(list, func(s suppression) bool { return s.Status == "accepted" })
}

func encodeSuppressions(f *scanning.Finding, o Options) []suppression {
	var out []suppression
	if o.Suppressed != nil {
		for _, s := range o.Suppressed(f) {
			out = append(out, s.encode())
		}
	}
	if f.Reach == scanning.ReachNotImported {
		out = append(out, suppression{Kind: "external", Status: "accepted", Justification: "the vulnerable part is not imported here"})
	}
	if v := f.VEX; v != nil && (v.Status == "not_affected" || v.Status == "fixed") {
		why := strings.Join(slices.DeleteFunc([]string{"VEX " + v.Status, v.Justification, v.Statement, v.Source}, func(s string) bool { return s == "" }), "; ")
		out = append(out, suppression{Kind: "external", Status: "accepted", Justification: clean(why)})
	}
	return out
}

// extra is what SARIF has no words for; a reader of ours gets the finding back.
type extra struct {
	Class    scanning.Class           `json:"class,omitempty"`
	Severity core.Severity            `json:"severity,omitempty"`
	Title    string                   `json:"title,omitempty"`
	Detail   string                   `json:"detail,omitempty"`
	Redacted string                   `json:"redacted,omitempty"`
	Package  *scanning.Package        `json:"package,omitempty"`
	Aliases  []string                 `json:"aliases,omitempty"`
	Advice   string                   `json:"advice,omitempty"`
	Fixed    []string                 `json:"fixed,omitempty"`
	Reach    scanning.Reach           `json:"reach,omitempty"`
	Risk     scanning.Risk            `json:"risk,omitzero"`
	Tags     []string                 `json:"tags,omitempty"`
	Links    []string                 `json:"links,omitempty"`
	VEX      *scanning.Exploitability `json:"vex,omitempty"`
	Inner    []string                 `json:"inner,omitempty"`
	Layer    string                   `json:"layer,omitempty"`
	Commit   string                   `json:"commit,omitempty"`
	Author   string                   `json:"author,omitempty"`
	Date     time.Time                `json:"date,omitzero"`
}

func encodeExtra(f *scanning.Finding) extra {
	l := f.Location
	return extra{
		Class: f.Class, Severity: f.Severity, Title: f.Title, Detail: f.Detail, Redacted: f.Redacted, Package: f.Package, Aliases: f.Aliases, Advice: f.Advice,
		Fixed: f.Fixed, Reach: f.Reach, Risk: f.Risk, Tags: f.Tags, Links: f.Links, VEX: f.VEX,
		Inner: l.Inner, Layer: l.Layer, Commit: l.Commit, Author: l.Author, Date: l.Date,
	}
}
