package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/spdxlicense"
)

// EncodeSPDX writes the document as SPDX 2.3 JSON.
func EncodeSPDX(w io.Writer, d *Document) error {
	g := newGraph(d)
	subject := spdxSubject(d)
	out := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: spdxDocumentID, Name: valid(cmp.Or(d.Subject.Name, "unnamed")),
		DocumentNamespace: namespace(d.serial()), Comment: completeness(d.Gaps),
		CreationInfo:      spdxCreation{Created: spdxTime(d.Created), Creators: creators(d.Tools)},
		DocumentDescribes: []string{subject.SPDXID},
		Packages:          []spdxPackage{subject},
		Relationships:     []spdxRelationship{{spdxDocumentID, "DESCRIBES", subject.SPDXID}},
		Annotations:       spdxGaps(d),
	}
	for i := range g.packages {
		out.Packages = append(out.Packages, spdxEntry(&g, i, d))
	}
	out.Relationships = append(out.Relationships, spdxEdges(&g, subject.SPDXID)...)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return core.Wrap(core.KindUnavailable, "sbom.EncodeSPDX", enc.Encode(out))
}

// namespace is the serial where it can stand as one: an absolute URI without a
// fragment.
func namespace(serial string) string {
	if u, err := url.Parse(serial); err == nil && u.Scheme != "" && !strings.Contains(serial, "#") && u.String() == serial {
		return serial
	}
	return "urn:interlock:sbom:" + url.PathEscape(serial)
}

func spdxTime(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// creators names the tools; a line of the format is "Tool: name-version".
func creators(tools []Tool) []string {
	var out []string
	for _, t := range tools {
		out = append(out, "Tool: "+oneLine(strings.TrimSuffix(t.Name+"-"+t.Version, "-")))
	}
	if out == nil {
		return []string{spdxAnnotator}
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(valid(s)), " ") }

func completeness(gaps []scanning.Gap) string {
	if len(gaps) == 0 {
		return ""
	}
	return fmt.Sprintf("This document is incomplete: %d parts could not be read; each is named in an annotation.", len(gaps))
}

func spdxGaps(d *Document) []spdxAnnotation {
	var out []spdxAnnotation
	for _, g := range d.Gaps {
		b, _ := json.Marshal(g) // three strings
		out = append(out, spdxAnnotation{spdxTime(d.Created), "OTHER", spdxAnnotator, spdxGapPrefix + string(b)})
	}
	return out
}

func spdxSubject(d *Document) spdxPackage {
	s := d.Subject
	p := spdxPackage{
		SPDXID: spdxSubjectID, Name: valid(cmp.Or(s.Name, "unnamed")), VersionInfo: valid(s.Version), Purpose: "APPLICATION",
		DownloadLocation: noAssertion, Supplier: noAssertion, LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion,
		Checksums: spdxChecksums(digest(s.Digest)), ExternalRefs: purlRef(s.PURL),
	}
	switch s.Kind {
	case scanning.ScopeImage:
		p.Purpose = "CONTAINER"
	case scanning.ScopeHost:
		p.Purpose = "OPERATING_SYSTEM"
	}
	return p
}

func spdxEntry(g *graph, i int, d *Document) spdxPackage {
	p := &g.packages[i]
	e := spdxPackage{
		SPDXID: spdxID(g, i), Name: valid(cmp.Or(p.Name, "unnamed")), VersionInfo: valid(p.Version), Purpose: "LIBRARY",
		DownloadLocation: noAssertion, Supplier: noAssertion, LicenseConcluded: noAssertion, LicenseDeclared: noAssertion, CopyrightText: noAssertion,
		Checksums: spdxChecksums(p.Hashes), ExternalRefs: purlRef(p.PURL),
	}
	if p.File != "" {
		e.SourceInfo = "named in " + valid(p.File)
	}
	if all := spdxlicense.All(p.Licenses); all != "" {
		e.LicenseDeclared = all
	} else if len(p.Licenses) > 0 {
		e.LicenseComments = "declared, but no licence expression: " + valid(strings.Join(p.Licenses, "; "))
	}
	note := spdxNote{p.Ecosystem, p.Source, p.SourceVersion, p.File, p.Layer, p.Direct, p.Dev}
	if b, err := json.Marshal(note); err == nil && note != (spdxNote{}) {
		e.Annotations = []spdxAnnotation{{spdxTime(d.Created), "OTHER", spdxAnnotator, spdxNotePrefix + string(b)}}
	}
	return e
}

// spdxID is made of letters, digits, dots and hyphens, as the format demands; the
// hash keeps names apart that differ in anything else.
func spdxID(g *graph, i int) string {
	h := sha256.Sum256([]byte(g.refs[i]))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, g.packages[i].Name)
	return "SPDXRef-Package-" + name[:min(len(name), 100)] + "-" + hex.EncodeToString(h[:8])
}

func spdxChecksums(hashes map[string]string) []spdxChecksum {
	var out []spdxChecksum
	for _, s := range sums(hashes, true) {
		out = append(out, spdxChecksum{s.algorithm, s.value})
	}
	return out
}

func purlRef(purl string) []spdxExternalRef {
	if purl == "" {
		return nil
	}
	return []spdxExternalRef{{spdxPurlManager, spdxPurlType, purl}}
}

// spdxEdges says the graph: the subject depends on what is direct and contains
// the rest, as far as nothing else leads to it.
func spdxEdges(g *graph, subject string) []spdxRelationship {
	ids := make(map[string]string, len(g.refs))
	for i, ref := range g.refs {
		ids[ref] = spdxID(g, i)
	}
	var out []spdxRelationship
	for i := range g.packages {
		id, p := ids[g.refs[i]], &g.packages[i]
		switch {
		case p.Direct && p.Dev:
			out = append(out, spdxRelationship{id, "DEV_DEPENDENCY_OF", subject})
		case p.Direct:
			out = append(out, spdxRelationship{subject, "DEPENDS_ON", id})
		default:
			out = append(out, spdxRelationship{subject, "CONTAINS", id})
		}
		for _, to := range g.requires(i) {
			out = append(out, spdxRelationship{id, "DEPENDS_ON", ids[to]})
		}
	}
	return out
}
