package sbom

import (
	"cmp"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/spdxlicense"
)

// The names of our properties.
const (
	propEcosystem     = "interlock:ecosystem"
	propSource        = "interlock:source"
	propSourceVersion = "interlock:sourceVersion"
	propLayer         = "interlock:layer"
	propDirect        = "interlock:direct"
	propDev           = "interlock:dev"
	propGap           = "interlock:gap"
)

const cycloneDXSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"

// EncodeCycloneDX writes the document as CycloneDX 1.6 JSON. The reference of a
// component is its package url.
func EncodeCycloneDX(w io.Writer, d *Document) error {
	g := newGraph(d)
	bom := &cdx.BOM{
		JSONSchema: cycloneDXSchema, BOMFormat: cdx.BOMFormat, SpecVersion: cdx.SpecVersion1_6, Version: 1,
		SerialNumber: uuidURN(d.serial()),
		Metadata:     cycloneMetadata(d),
		Components:   cycloneComponents(&g),
		Dependencies: cycloneDependencies(&g, d),
		Compositions: cycloneCompositions(d),
		Properties:   cycloneGaps(d.Gaps),
	}
	bom.Vulnerabilities = cycloneVulnerabilities(&g, d)
	enc := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	return core.Wrap(core.KindUnavailable, "sbom.EncodeCycloneDX", enc.Encode(bom))
}

var uuid = regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// uuidURN is the serial if CycloneDX can hold it: only a UUID.
func uuidURN(serial string) string {
	if !uuid.MatchString(serial) {
		return (&Document{Created: time.Unix(0, 0), Subject: Subject{Name: serial}}).serial()
	}
	return serial
}

func cycloneMetadata(d *Document) *cdx.Metadata {
	m := &cdx.Metadata{Component: cycloneSubject(d)}
	if !d.Created.IsZero() {
		m.Timestamp = d.Created.UTC().Format(time.RFC3339)
	}
	var tools []cdx.Component
	for _, t := range d.Tools {
		tools = append(tools, cdx.Component{Type: cdx.ComponentTypeApplication, Name: valid(cmp.Or(t.Name, "unnamed")), Version: valid(t.Version)})
	}
	if len(tools) > 0 {
		m.Tools = &cdx.ToolsChoice{Components: &tools}
	}
	return m
}

func cycloneSubject(d *Document) *cdx.Component {
	s := d.Subject
	c := &cdx.Component{
		BOMRef: subjectReference(d), Type: cdx.ComponentTypeApplication, Name: valid(cmp.Or(s.Name, "unnamed")), Version: valid(s.Version), PackageURL: s.PURL,
		Hashes: cycloneHashes(digest(s.Digest)),
	}
	switch s.Kind {
	case scanning.ScopeImage:
		c.Type = cdx.ComponentTypeContainer
	case scanning.ScopeHost:
		c.Type = cdx.ComponentTypePlatform
	}
	return c
}

func subjectReference(d *Document) string { return cmp.Or(d.Subject.PURL, subjectRef) }

func cycloneComponents(g *graph) *[]cdx.Component {
	out := make([]cdx.Component, 0, len(g.packages))
	for i := range g.packages {
		p := &g.packages[i]
		c := cdx.Component{
			BOMRef: g.refs[i], Type: cdx.ComponentTypeLibrary, Name: valid(cmp.Or(p.Name, "unnamed")), Version: valid(p.Version), PackageURL: p.PURL,
			Hashes: cycloneHashes(p.Hashes), Licenses: cycloneLicences(p.Licenses), Properties: cycloneProperties(p),
		}
		if p.Dev {
			c.Scope = cdx.ScopeOptional
		}
		if p.File != "" {
			c.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: valid(p.File)}}}
		}
		out = append(out, c)
	}
	return &out
}

func cycloneHashes(hashes map[string]string) *[]cdx.Hash {
	var out []cdx.Hash
	for _, s := range sums(hashes, false) {
		out = append(out, cdx.Hash{Algorithm: cdx.HashAlgorithm(s.algorithm), Value: s.value})
	}
	if out == nil {
		return nil
	}
	return &out
}

// cycloneLicences writes identifiers one by one, expressions as one joined
// expression (the format takes no list of them), and as names whatever is neither.
func cycloneLicences(licences []string) *cdx.Licenses {
	if len(licences) == 0 {
		return nil
	}
	var out cdx.Licenses
	identifiers := true
	for _, l := range licences {
		identifiers = identifiers && spdxlicense.ID(l) != ""
	}
	if all := spdxlicense.All(licences); all != "" && !identifiers {
		return &cdx.Licenses{{Expression: all}}
	}
	for _, l := range licences {
		c := cdx.LicenseChoice{License: &cdx.License{ID: spdxlicense.ID(l)}}
		if c.License.ID == "" {
			c.License.Name = valid(cmp.Or(l, "unnamed"))
		}
		out = append(out, c)
	}
	return &out
}

func cycloneProperties(p *scanning.Package) *[]cdx.Property {
	var out []cdx.Property
	for _, kv := range [][2]string{
		{propEcosystem, p.Ecosystem},
		{propSource, p.Source},
		{propSourceVersion, p.SourceVersion},
		{propLayer, p.Layer},
		{propDirect, yes(p.Direct)},
		{propDev, yes(p.Dev)},
	} {
		if kv[1] != "" {
			out = append(out, cdx.Property{Name: kv[0], Value: valid(kv[1])})
		}
	}
	if out == nil {
		return nil
	}
	return &out
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func cycloneDependencies(g *graph, d *Document) *[]cdx.Dependency {
	var out []cdx.Dependency
	add := func(ref string, on []string) {
		dep := cdx.Dependency{Ref: ref}
		if len(on) > 0 {
			dep.Dependencies = &on
		}
		out = append(out, dep)
	}
	add(subjectReference(d), g.direct())
	for i := range g.packages {
		add(g.refs[i], g.requires(i))
	}
	return &out
}

func cycloneCompositions(d *Document) *[]cdx.Composition {
	c := cdx.Composition{Aggregate: cdx.CompositionAggregateComplete, Assemblies: &[]cdx.BOMReference{cdx.BOMReference(subjectReference(d))}}
	if len(d.Gaps) > 0 {
		c.Aggregate = cdx.CompositionAggregateIncomplete
	}
	return &[]cdx.Composition{c}
}

// cycloneGaps puts each gap as JSON into a property; the format has no words for
// why a composition is incomplete.
func cycloneGaps(gaps []scanning.Gap) *[]cdx.Property {
	if len(gaps) == 0 {
		return nil
	}
	out := make([]cdx.Property, 0, len(gaps))
	for _, g := range gaps {
		b, _ := json.Marshal(g) // three strings
		out = append(out, cdx.Property{Name: propGap, Value: string(b)})
	}
	return &out
}

func cycloneVulnerabilities(g *graph, d *Document) *[]cdx.Vulnerability {
	var out []cdx.Vulnerability
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Class != scanning.ClassVulnerability || f.Package == nil {
			continue
		}
		v := cdx.Vulnerability{
			BOMRef: "finding:" + cmp.Or(f.Fingerprint, scanning.Fingerprint(f)) + ":" + strconv.Itoa(i), ID: valid(f.Rule),
			Description: valid(f.Title), Detail: valid(f.Detail), Recommendation: valid(f.Advice),
			Ratings: cycloneRatings(f), Analysis: cycloneAnalysis(f.VEX),
		}
		if ref, ok := g.byPURL[cmp.Or(f.Package.PURL, "?")]; ok {
			v.Affects = &[]cdx.Affects{{Ref: ref}}
		}
		out = append(out, v)
	}
	if out == nil {
		return nil
	}
	return &out
}

func cycloneRatings(f *scanning.Finding) *[]cdx.VulnerabilityRating {
	r := cdx.VulnerabilityRating{Severity: cdx.Severity(f.Severity)}
	if !slices.Contains(core.Severities, f.Severity) {
		r.Severity = cdx.SeverityUnknown
	}
	if f.Risk.Score > 0 {
		score := f.Risk.Score
		r.Score, r.Vector = &score, f.Risk.CVSS
		r.Method = scoringMethod(f.Risk.CVSS)
	}
	return &[]cdx.VulnerabilityRating{r}
}

func scoringMethod(vector string) cdx.ScoringMethod {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0"):
		return cdx.ScoringMethodCVSSv4
	case strings.HasPrefix(vector, "CVSS:3.1"):
		return cdx.ScoringMethodCVSSv31
	case strings.HasPrefix(vector, "CVSS:3"):
		return cdx.ScoringMethodCVSSv3
	}
	return cdx.ScoringMethodOther
}

// cycloneAnalysis translates a VEX statement. CycloneDX has other words for why;
// those that have no counterpart go into the detail.
func cycloneAnalysis(v *scanning.Exploitability) *cdx.VulnerabilityAnalysis {
	if v == nil {
		return nil
	}
	states := map[string]cdx.ImpactAnalysisState{
		"not_affected": cdx.IASNotAffected, "affected": cdx.IASExploitable, "fixed": cdx.IASResolved, "under_investigation": cdx.IASInTriage,
	}
	justifications := map[string]cdx.ImpactAnalysisJustification{
		"component_not_present": cdx.IAJRequiresDependency, "vulnerable_code_not_present": cdx.IAJCodeNotPresent,
		"vulnerable_code_not_in_execute_path": cdx.IAJCodeNotReachable, "inline_mitigations_already_exist": cdx.IAJProtectedByMitigatingControl,
	}
	a := &cdx.VulnerabilityAnalysis{State: states[v.Status], Detail: valid(strings.TrimSpace(v.Justification + " " + v.Statement))}
	if v.Status == "not_affected" {
		a.Justification = justifications[v.Justification]
	}
	if !v.At.IsZero() {
		a.LastUpdated = v.At.UTC().Format(time.RFC3339)
	}
	return a
}

// valid makes any text one that JSON holds.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
