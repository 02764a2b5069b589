package vex

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/interlock-security/interlock/scanning"
)

// decodeCycloneDX reads the analyses of a bill's vulnerabilities. Statements are
// about the components by package url, and about the bill's own subject.
func decodeCycloneDX(b []byte) (*Document, error) {
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(b), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		return nil, malformed("the document is not CycloneDX: " + err.Error())
	}
	d := &Document{Format: "CycloneDX", ID: clip(bom.SerialNumber), Version: bom.Version, Author: clip(cycloneAuthor(bom))}
	if bom.Metadata != nil {
		d.Issued = when(bom.Metadata.Timestamp)
	}
	if bom.Vulnerabilities == nil {
		return nil, malformed("the bill has no vulnerabilities, so it says nothing about any")
	}
	urls := componentURLs(bom)
	for i := range *bom.Vulnerabilities {
		v := &(*bom.Vulnerabilities)[i]
		if v.Analysis == nil || v.Analysis.State == "" || i >= maxStatements {
			continue
		}
		d.Statements = append(d.Statements, d.cyclone(v, urls))
	}
	return d, nil
}

// cycloneAuthor is who answers for the bill: its supplier or manufacturer, else
// its first author.
func cycloneAuthor(bom *cdx.BOM) string {
	m := bom.Metadata
	if m == nil {
		return ""
	}
	for _, o := range []*cdx.OrganizationalEntity{m.Supplier, m.Manufacturer, m.Manufacture} {
		if o != nil && o.Name != "" {
			return o.Name
		}
	}
	if m.Authors != nil && len(*m.Authors) > 0 {
		return (*m.Authors)[0].Name
	}
	return ""
}

func componentURLs(bom *cdx.BOM) map[string]string {
	urls := map[string]string{}
	var open []*[]cdx.Component
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		urls[bom.Metadata.Component.BOMRef] = bom.Metadata.Component.PackageURL
		open = append(open, bom.Metadata.Component.Components)
	}
	for open = append(open, bom.Components); len(open) > 0; {
		next := open[len(open)-1]
		open = open[:len(open)-1]
		if next == nil {
			continue
		}
		for i := range *next {
			c := &(*next)[i]
			urls[c.BOMRef] = c.PackageURL
			open = append(open, c.Components)
		}
	}
	return urls
}

var cycloneStates = map[cdx.ImpactAnalysisState]Status{
	cdx.IASResolved: Fixed, cdx.IASResolvedWithPedigree: Fixed, cdx.IASExploitable: Affected, cdx.IASInTriage: UnderInvestigation,
	cdx.IASFalsePositive: NotAffected, cdx.IASNotAffected: NotAffected,
}

// cycloneReasons are the justifications that mean the same as one of ours; the
// others say something else, and stand as the impact in words.
var cycloneReasons = map[cdx.ImpactAnalysisJustification]string{
	cdx.IAJCodeNotPresent: "vulnerable_code_not_present", cdx.IAJCodeNotReachable: "vulnerable_code_not_in_execute_path",
	cdx.IAJProtectedByMitigatingControl: "inline_mitigations_already_exist", cdx.IAJProtectedByCompiler: "inline_mitigations_already_exist",
	cdx.IAJProtectedAtRuntime: "inline_mitigations_already_exist", cdx.IAJProtectedAtPerimeter: "inline_mitigations_already_exist",
}

func (d *Document) cyclone(v *cdx.Vulnerability, urls map[string]string) Statement {
	a := v.Analysis
	s := Statement{
		Vulnerability: clip(v.ID), Status: cycloneStates[a.State], Justification: cycloneReasons[a.Justification], Impact: clip(a.Detail), Author: d.Author, Document: d.ID,
		At: latest(when(a.LastUpdated), when(a.FirstIssued), when(v.Updated), d.Issued), Action: clip(v.Recommendation),
	}
	if s.Justification == "" {
		s.Impact = cmp.Or(s.Impact, string(a.Justification))
	}
	if v.References != nil {
		for _, r := range *v.References {
			s.Aliases = append(s.Aliases, clip(r.ID))
		}
	}
	if v.Affects == nil {
		return s
	}
	for _, target := range *v.Affects {
		u := resolve(target.Ref, urls)
		if !strings.HasPrefix(u, "pkg:") {
			d.gap(s.Vulnerability, fmt.Sprintf("its component %q has no package url, so the analysis matches nothing", clip(target.Ref)), scanning.ReasonUnsupported)
			continue
		}
		s.Products = append(s.Products, Product{PURL: clip(u), Name: clip(target.Ref)})
	}
	return s
}

// resolve follows a reference to a component, in this bill or (as a BOM-Link,
// whose fragment mostly is the package url) in another.
func resolve(ref string, urls map[string]string) string {
	if u := urls[ref]; u != "" {
		return u
	}
	if _, fragment, ok := strings.Cut(ref, "#"); ok && strings.HasPrefix(ref, "urn:cdx:") {
		if s, err := url.PathUnescape(fragment); err == nil {
			return s
		}
	}
	return ref
}
