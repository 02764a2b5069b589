package vex

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

type osvEntry struct {
	ID        string   `json:"id"`
	Aliases   []string `json:"aliases"`
	Summary   string   `json:"summary"`
	Details   string   `json:"details"`
	Published string   `json:"published"`
	Modified  string   `json:"modified"`
	Withdrawn string   `json:"withdrawn"`
	Severity  []struct {
		Score string `json:"score"`
	} `json:"severity"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
			PURL      string `json:"purl"`
		} `json:"package"`
		Versions []string `json:"versions"`
	} `json:"affected"`
	References []struct {
		URL string `json:"url"`
	} `json:"references"`
	Credits []struct {
		Name string `json:"name"`
	} `json:"credits"`
}

// decodeOSV takes an OSV entry as a disclosure. Its ranges are for the matcher
// (package advisory); here each listed version is a product, and a package
// without a list is affected in some versions, which its name alone says.
func decodeOSV(b []byte) (*Advisory, error) {
	var o osvEntry
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, malformed("the document is not OSV: " + err.Error())
	}
	prefix, _, _ := strings.Cut(o.ID, "-")
	a := &Advisory{
		Format: "OSV", ID: clip(o.ID), Title: clip(cmp.Or(o.Summary, o.ID)), Summary: clip(o.Details), Aliases: clips(o.Aliases), State: "final", TLP: TLPWhite,
		Publisher: Publisher{Name: clip(prefix), Category: "other"}, Published: when(o.Published), Updated: when(o.Modified), Withdrawn: o.Withdrawn != "",
	}
	v := Vulnerability{ID: a.ID, Aliases: a.Aliases, Title: a.Title, Description: a.Summary}
	for _, s := range o.Severity {
		if strings.HasPrefix(s.Score, "CVSS:") {
			v.CVSS = clip(s.Score)
		}
	}
	for _, c := range o.Credits {
		v.Credits = append(v.Credits, clip(c.Name))
	}
	for _, r := range o.References {
		a.Links = append(a.Links, clip(r.URL))
	}
	for i := range o.Affected {
		if s, ok := a.osvAffected(&o, i); ok {
			v.Findings = append(v.Findings, s)
		}
	}
	a.Vulnerabilities = []Vulnerability{v}
	return a, nil
}

func (a *Advisory) osvAffected(o *osvEntry, i int) (Statement, bool) {
	e := &o.Affected[i]
	p := scanning.Package{Ecosystem: clip(e.Package.Ecosystem), Name: clip(e.Package.Name), PURL: clip(e.Package.PURL)}
	base := purl.Of(&p)
	if base == "" {
		a.Gaps = append(a.Gaps, scanning.Gap{What: clip(o.ID + " " + p.Name), Why: "its ecosystem " + p.Ecosystem + " has no package urls here", Reason: scanning.ReasonUnsupported})
		return Statement{}, false
	}
	s := Statement{Status: Affected}
	for _, version := range clips(e.Versions) {
		q := p
		q.PURL, q.Version = "", version
		if u := purl.Of(&q); u != "" {
			s.Products = append(s.Products, Product{PURL: u, Name: p.Name})
		}
	}
	if len(s.Products) == 0 {
		s.Products = []Product{{PURL: base, Name: p.Name}}
	}
	return s, true
}
