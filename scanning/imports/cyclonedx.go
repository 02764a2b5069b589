package imports

import (
	"bytes"
	"cmp"
	"net/url"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom"
)

// readCycloneDX reads a bill that has vulnerabilities: what Trivy, Grype and
// Dependency-Track export. Analyses in it are kept as what the document says;
// whether they count is decided by who is trusted (package vex).
func readCycloneDX(in *importer, b []byte) error {
	doc, err := sbom.DecodeBytes(b)
	if err != nil {
		return err
	}
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(b), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		return err
	}
	in.report = doc.Report()
	byRef := components(bom)
	if bom.Vulnerabilities != nil {
		for i := range *bom.Vulnerabilities {
			in.cycloneDX(&(*bom.Vulnerabilities)[i], byRef)
		}
	}
	return nil
}

// components finds each component by its reference, nested ones too.
func components(bom *cdx.BOM) map[string]*cdx.Component {
	byRef := map[string]*cdx.Component{}
	var open []*[]cdx.Component
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		byRef[bom.Metadata.Component.BOMRef] = bom.Metadata.Component
		open = append(open, bom.Metadata.Component.Components)
	}
	for open = append(open, bom.Components); len(open) > 0; {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		for i := range deref(next) {
			c := &(*next)[i]
			byRef[c.BOMRef] = c
			open = append(open, c.Components)
		}
	}
	return byRef
}

func deref[T any](p *[]T) []T {
	if p == nil {
		return nil
	}
	return *p
}

func (in *importer) cycloneDX(v *cdx.Vulnerability, byRef map[string]*cdx.Component) {
	affects := deref(v.Affects)
	if len(affects) == 0 {
		in.gap(v.ID, "the document doesn't say which component the vulnerability affects", scanning.ReasonMalformed)
	}
	for _, a := range affects {
		p := affected(a.Ref, byRef)
		f := scanning.Finding{
			Rule: v.ID, Class: scanning.ClassVulnerability, Title: cmp.Or(firstSentence(v.Description), v.ID+" in "+p.Name), Detail: cmp.Or(v.Detail, v.Description),
			Advice: v.Recommendation, Package: p, Location: scanning.Location{File: p.File}, Risk: scanning.Risk{Published: when(v.Published), Modified: when(v.Updated)},
		}
		word := ""
		for _, r := range deref(v.Ratings) {
			word = cmp.Or(word, string(r.Severity))
			if r.Score != nil && f.Risk.Score == 0 && strings.HasPrefix(string(r.Method), "CVSSv") {
				f.Risk.Score, f.Risk.CVSS = bounded(*r.Score), clip(r.Vector)
			}
		}
		for _, r := range deref(v.References) {
			f.Aliases = append(f.Aliases, r.ID)
		}
		for _, l := range deref(v.Advisories) {
			f.Links = append(f.Links, l.URL)
		}
		f.Severity = severity(word, f.Risk.Score)
		f.Tags = analysisTags(v.Analysis)
		in.add(f)
	}
}

// affected resolves a reference: to a component, or as a package url that it is
// or ends with (a BOM-Link's fragment).
func affected(ref string, byRef map[string]*cdx.Component) *scanning.Package {
	if _, fragment, ok := strings.Cut(ref, "#"); ok && strings.HasPrefix(ref, "urn:cdx:") {
		if s, err := url.PathUnescape(fragment); err == nil {
			ref = s
		}
	}
	c, ok := byRef[ref]
	if !ok {
		p := pack(ref, "", ref, "", "")
		return p
	}
	name := c.Name
	if c.Group != "" {
		name = c.Group + "/" + c.Name
	}
	file := ""
	for _, p := range deref(c.Properties) {
		if slices.Contains([]string{"aquasecurity:trivy:FilePath", "syft:location:0:path"}, p.Name) {
			file = strings.TrimPrefix(p.Value, "/")
		}
	}
	return pack(c.PackageURL, "", name, c.Version, file)
}

func analysisTags(a *cdx.VulnerabilityAnalysis) []string {
	if a == nil || a.State == "" {
		return nil
	}
	return []string{"analysis:" + string(a.State)}
}

func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 200 {
		return ""
	}
	return s
}
