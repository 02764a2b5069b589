package vex

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

const opCycloneDX = "vex.EncodeCycloneDX"

// EncodeCycloneDX writes the document as a CycloneDX 1.6 bill that holds nothing
// but the products and the analyses of their vulnerabilities. It knows no parts
// of a product in a product: such a statement is about the part, wherever it is.
// Where products differ about a part the most careful status stands for all: what
// one of them need not care for is no word about the other.
func EncodeCycloneDX(w io.Writer, d *Document) error {
	if len(d.Statements) == 0 {
		return core.E(core.KindInvalid, opCycloneDX, "the document has no statements")
	}
	e := cycloneEncoder{worst: worstStatuses(d.Statements), said: map[[2]string]bool{}}
	vulnerabilities := make([]cdx.Vulnerability, 0, len(d.Statements))
	for i := range d.Statements {
		v, err := e.statement(&d.Statements[i])
		if err != nil {
			return err
		}
		if len(*v.Affects) > 0 {
			vulnerabilities = append(vulnerabilities, v)
		}
	}
	bom := &cdx.BOM{
		JSONSchema: "http://cyclonedx.org/schema/bom-1.6.schema.json", BOMFormat: cdx.BOMFormat, SpecVersion: cdx.SpecVersion1_6, Version: max(d.Version, 1),
		SerialNumber: serial(d), Components: &e.components, Vulnerabilities: &vulnerabilities,
		Metadata: &cdx.Metadata{Timestamp: stamp(latest(d.Updated, d.Issued)), Supplier: &cdx.OrganizationalEntity{Name: cmp.Or(d.Author, "unknown")}},
	}
	enc := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false)
	return core.Wrap(core.KindUnavailable, opCycloneDX, enc.Encode(bom))
}

// serial is a UUID of the document's id or, without one, of what it says.
func serial(d *Document) string {
	b, _ := json.Marshal(d.Statements) // texts and times
	h := sha256.Sum256(append([]byte(d.ID+"\x00"), b...))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // RFC 9562: a UUID of the maker's own
	x := hex.EncodeToString(h[:16])
	return "urn:uuid:" + strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
}

type cycloneEncoder struct {
	components []cdx.Component
	worst      map[[2]string]int  // by a name of the vulnerability and a package url
	said       map[[2]string]bool // what is written of them
}

// worstStatuses ranks the most careful status that anything is given, under any
// name of the vulnerability: who says CVE and who says GHSA speak of one.
func worstStatuses(list []Statement) map[[2]string]int {
	worst := map[[2]string]int{}
	for i := range list {
		s := &list[i]
		for _, url := range s.parts() {
			for _, name := range append([]string{s.Vulnerability}, s.Aliases...) {
				key := [2]string{name, url}
				worst[key] = max(worst[key], s.Status.rank())
			}
		}
	}
	return worst
}

// parts are the package urls that a statement is about where products have no
// parts.
func (s *Statement) parts() []string {
	var out []string
	for _, p := range s.Products {
		if len(p.Parts) == 0 {
			out = append(out, p.PURL)
		}
		out = append(out, p.Parts...)
	}
	return out
}

// affects are the parts that the statement stands for: none that another one of
// the document is more careful about, and none twice.
func (e *cycloneEncoder) affects(s *Statement, parts []string) []cdx.Affects {
	out := []cdx.Affects{}
	for _, url := range parts {
		overruled := slices.ContainsFunc(append([]string{s.Vulnerability}, s.Aliases...), func(name string) bool {
			return e.worst[[2]string{name, url}] > s.Status.rank()
		})
		if key := [2]string{s.Vulnerability, url}; !overruled && !e.said[key] {
			e.said[key] = true
			out = append(out, cdx.Affects{Ref: e.component(url)})
		}
	}
	return out
}

// component lists a product once; its reference is its package url.
func (e *cycloneEncoder) component(url string) string {
	if slices.ContainsFunc(e.components, func(c cdx.Component) bool { return c.BOMRef == url }) {
		return url
	}
	c := cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: url, PackageURL: url}
	if p, err := purl.Package(url); err == nil {
		c.Name, c.Version = cmp.Or(p.Name, url), p.Version
	}
	e.components = append(e.components, c)
	return url
}

// cycloneWords are the analyses of our statuses.
var cycloneWords = map[Status]cdx.ImpactAnalysisState{
	NotAffected: cdx.IASNotAffected, Fixed: cdx.IASResolved, Affected: cdx.IASExploitable, UnderInvestigation: cdx.IASInTriage,
}

// cycloneWhy are CycloneDX's words for the justifications that it has a word for.
var cycloneWhy = map[string]cdx.ImpactAnalysisJustification{
	"component_not_present": cdx.IAJCodeNotPresent, "vulnerable_code_not_present": cdx.IAJCodeNotPresent,
	"vulnerable_code_not_in_execute_path": cdx.IAJCodeNotReachable, "inline_mitigations_already_exist": cdx.IAJProtectedByMitigatingControl,
	"vulnerable_code_cannot_be_controlled_by_adversary": cdx.IAJProtectedByMitigatingControl,
}

func (e *cycloneEncoder) statement(s *Statement) (cdx.Vulnerability, error) {
	state, ok := cycloneWords[s.Status]
	parts := s.parts()
	switch {
	case !ok:
		return cdx.Vulnerability{}, core.E(core.KindInvalid, opCycloneDX, "nobody knows the status "+quote(string(s.Status)))
	case len(parts) == 0:
		return cdx.Vulnerability{}, core.E(core.KindInvalid, opCycloneDX, s.Vulnerability+" speaks of no product")
	case s.Status == NotAffected && !slices.Contains(Justifications, s.Justification) && s.Impact == "":
		return cdx.Vulnerability{}, core.E(core.KindInvalid, opCycloneDX, s.Vulnerability+" is said not to affect without saying why").WithHint("give a justification or an impact statement")
	}
	affects := e.affects(s, parts)
	a := &cdx.VulnerabilityAnalysis{State: state, Detail: cmp.Or(s.Impact, s.Notes)}
	if s.Status == NotAffected {
		a.Justification = cycloneWhy[s.Justification]
	}
	if !s.At.IsZero() {
		a.LastUpdated = stamp(s.At)
	}
	v := cdx.Vulnerability{ID: s.Vulnerability, Recommendation: s.Action, Analysis: a, Affects: &affects}
	if names := others(s.Vulnerability, s.Aliases); len(names) > 0 {
		list := make([]cdx.VulnerabilityReference, len(names))
		for i, n := range names {
			list[i] = cdx.VulnerabilityReference{ID: n, Source: &cdx.Source{Name: sourceOf(n)}}
		}
		v.References = &list
	}
	return v, nil
}

// sourceOf is who gives such names, as far as the name says it.
func sourceOf(name string) string {
	prefix, _, _ := strings.Cut(name, "-")
	return cmp.Or(map[string]string{"CVE": "NVD", "GHSA": "GitHub", "GO": "Go", "PYSEC": "PyPI", "RUSTSEC": "RustSec"}[prefix], "OSV")
}
