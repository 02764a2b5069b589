package sbom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/spdxlicense"
)

func decodeSPDX(b []byte) (*Document, error) {
	var s spdxDocument
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, malformed("the document is not SPDX 2: " + err.Error())
	}
	return fromSPDX(&s, "JSON"), nil
}

type spdxReader struct {
	doc      *Document
	from     *spdxDocument
	index    map[string]int // SPDXID to index of doc.Packages
	subjects map[string]bool
	groups   map[string]bool
	os       []string
}

func fromSPDX(s *spdxDocument, encoding string) *Document {
	r := spdxReader{
		from: s, index: map[string]int{}, subjects: map[string]bool{}, groups: map[string]bool{},
		doc: &Document{Format: "SPDX " + strings.TrimPrefix(clip(s.SPDXVersion), "SPDX-") + " " + encoding, Serial: clip(s.DocumentNamespace)},
	}
	r.readCreation()
	r.findSubjects()
	for i := range s.Packages {
		if i == maxPackages {
			r.doc.gap("packages", fmt.Sprintf("there are more than %d; the rest was not read", maxPackages), scanning.ReasonTooMany)
			break
		}
		r.add(&s.Packages[i])
	}
	for _, rel := range s.Relationships {
		r.relate(rel)
	}
	for _, a := range s.Annotations {
		r.ownGap(a)
	}
	finish(r.doc, r.os)
	return r.doc
}

// toolCreator splits "Tool: trivy-0.50.1".
var toolCreator = regexp.MustCompile(`^Tool:\s*(.+?)(?:-(v?\d[^-]*(?:-.*)?))?$`)

func (r *spdxReader) readCreation() {
	if t, err := time.Parse(time.RFC3339, r.from.CreationInfo.Created); err == nil {
		r.doc.Created = t.UTC()
	}
	for _, c := range r.from.CreationInfo.Creators {
		if m := toolCreator.FindStringSubmatch(clip(c)); m != nil && len(r.doc.Tools) < 100 {
			r.doc.Tools = append(r.doc.Tools, Tool{m[1], m[2]})
		}
	}
}

// findSubjects finds what the document describes. A document that describes many
// (some tools describe every package) has no subject among them.
func (r *spdxReader) findSubjects() {
	ids := slices.Clone(r.from.DocumentDescribes)
	for _, rel := range r.from.Relationships {
		switch {
		case rel.Type == "DESCRIBES" && rel.Element == spdxDocumentID:
			ids = append(ids, rel.Related)
		case rel.Type == "DESCRIBED_BY" && rel.Related == spdxDocumentID:
			ids = append(ids, rel.Element)
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 1 {
		r.subjects[ids[0]] = true
	}
	for _, rel := range r.from.Relationships {
		if rel.Type == "CONTAINS" || rel.Type == "DEPENDS_ON" {
			r.groups[rel.Element] = true
		}
	}
	r.doc.Subject.Name = clip(r.from.Name)
}

func (r *spdxReader) add(p *spdxPackage) {
	url := ""
	for _, ref := range p.ExternalRefs {
		if ref.Type == spdxPurlType && url == "" {
			url = clip(ref.Locator)
		}
	}
	var hashes map[string]string
	for _, c := range p.Checksums {
		addHash(&hashes, c.Algorithm, c.Value)
	}
	purpose := strings.ReplaceAll(p.Purpose, "-", "_")
	switch {
	case r.subjects[p.SPDXID] && (len(r.from.Packages) > 1 || p.SPDXID == spdxSubjectID):
		r.subject(p, url, purpose, hashes)
		return
	case purpose == "OPERATING_SYSTEM":
		r.os = append(r.os, strings.ToLower(p.Name)+"-"+p.VersionInfo)
		return
	case purpose == "FILE", url == "" && asserted(p.VersionInfo) == "" && r.groups[p.SPDXID]:
		r.subjects[p.SPDXID] = r.groups[p.SPDXID] // a folder or a lockfile: what it needs is direct
		return
	}
	q := r.doc.identity(url, clip(p.Name), asserted(clip(p.VersionInfo)))
	q.Hashes, q.Licenses = hashes, spdxLicences(p)
	r.note(p, &q)
	r.index[p.SPDXID] = len(r.doc.Packages)
	r.doc.Packages = append(r.doc.Packages, q)
}

// asserted drops the words that stand for nothing.
func asserted(s string) string {
	if s == noAssertion || s == "NONE" {
		return ""
	}
	return s
}

func (r *spdxReader) subject(p *spdxPackage, url, purpose string, hashes map[string]string) {
	r.doc.Subject = Subject{Kind: scanning.ScopeFolder, Name: clip(p.Name), Version: asserted(clip(p.VersionInfo)), PURL: url, Digest: firstDigest(hashes)}
	switch purpose {
	case "CONTAINER":
		r.doc.Subject.Kind = scanning.ScopeImage
	case "OPERATING_SYSTEM":
		r.doc.Subject.Kind = scanning.ScopeHost
	}
	if r.doc.Subject.Digest == "" && strings.HasPrefix(p.VersionInfo, "sha256:") {
		r.doc.Subject.Digest = clip(p.VersionInfo)
	}
}

func spdxLicences(p *spdxPackage) []string {
	s := asserted(cmp.Or(asserted(p.LicenseDeclared), asserted(p.LicenseConcluded)))
	if s == "" {
		return nil
	}
	return []string{cmp.Or(spdxlicense.Expression(s), clip(s))}
}

// note reads what an encoder of ours, or Syft, says beyond the format.
func (r *spdxReader) note(p *spdxPackage, q *scanning.Package) {
	for _, a := range p.Annotations {
		text, ours := strings.CutPrefix(a.Comment, spdxNotePrefix)
		var n spdxNote
		if !ours || json.Unmarshal([]byte(text), &n) != nil {
			continue
		}
		q.Ecosystem = cmp.Or(clip(n.Ecosystem), q.Ecosystem)
		q.Name = clip(p.Name)
		q.Source, q.SourceVersion = clip(n.Source), clip(n.SourceVersion)
		q.File, q.Layer, q.Direct, q.Dev = clip(n.File), clip(n.Layer), n.Direct, n.Dev
		return
	}
	if _, at, ok := strings.Cut(p.SourceInfo, "the following paths: "); ok {
		first, _, _ := strings.Cut(at, ",")
		q.File = clip(strings.TrimPrefix(strings.TrimSpace(first), "/"))
	}
}

// forward and backward are the relationships that mean "needs": from the element
// to the related one, or the other way.
var (
	forward  = []string{"DEPENDS_ON", "DYNAMIC_LINK", "STATIC_LINK", "HAS_PREREQUISITE"}
	backward = []string{
		"DEPENDENCY_OF", "RUNTIME_DEPENDENCY_OF", "OPTIONAL_DEPENDENCY_OF", "PROVIDED_DEPENDENCY_OF", "PREREQUISITE_FOR",
		"DEV_DEPENDENCY_OF", "BUILD_DEPENDENCY_OF", "TEST_DEPENDENCY_OF", "DEV_TOOL_OF", "BUILD_TOOL_OF", "TEST_TOOL_OF",
	}
)

func (r *spdxReader) relate(rel spdxRelationship) {
	from, to := rel.Element, rel.Related
	switch {
	case slices.Contains(backward, rel.Type):
		from, to = to, from
	case !slices.Contains(forward, rel.Type):
		return
	}
	i, ok := r.index[to]
	if !ok {
		return
	}
	target := &r.doc.Packages[i]
	if strings.HasPrefix(rel.Type, "DEV_") || strings.HasPrefix(rel.Type, "TEST_") || strings.HasPrefix(rel.Type, "BUILD_") {
		target.Dev = true
	}
	if r.subjects[from] || from == spdxDocumentID {
		target.Direct = true
		return
	}
	if j, ok := r.index[from]; ok && target.PURL != "" {
		r.doc.Packages[j].Requires = append(r.doc.Packages[j].Requires, target.PURL)
	}
}

func (r *spdxReader) ownGap(a spdxAnnotation) {
	text, ours := strings.CutPrefix(a.Comment, spdxGapPrefix)
	var g scanning.Gap
	if ours && json.Unmarshal([]byte(text), &g) == nil {
		r.doc.gap(g.What, g.Why, g.Reason)
	}
}
