package sbom

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
	"github.com/interlock-security/interlock/scanning/sbom/spdxlicense"
)

const (
	maxPackages = 200_000
	maxText     = 4096
	maxNesting  = 64
)

func decodeCycloneDX(b []byte, format cdx.BOMFileFormat) (*Document, error) {
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(b), format).Decode(bom); err != nil {
		return nil, malformed("the document is not CycloneDX: " + err.Error())
	}
	if bom.SpecVersion < cdx.SpecVersion1_2 {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("CycloneDX %s is not read; 1.2 to 1.7 are", bom.SpecVersion)).
			WithHint("have the tool write CycloneDX 1.6")
	}
	r := cycloneReader{doc: &Document{Format: "CycloneDX " + bom.SpecVersion.String() + map[cdx.BOMFileFormat]string{cdx.BOMFileFormatJSON: " JSON", cdx.BOMFileFormatXML: " XML"}[format]}}
	r.read(bom)
	return r.doc, nil
}

type cycloneReader struct {
	doc   *Document
	refs  map[string]int  // bom-ref to index of doc.Packages
	group map[string]bool // bom-refs that are folders and lockfiles
	os    []string        // "debian-12", as purls qualify
	full  bool
	said  bool // the bill says gap by gap what it lacks
}

func (r *cycloneReader) read(bom *cdx.BOM) {
	r.refs, r.group = map[string]int{}, map[string]bool{}
	r.doc.Serial = clip(bom.SerialNumber)
	if m := bom.Metadata; m != nil {
		r.readMetadata(m)
	}
	for _, c := range list(bom.Components) {
		r.component(&c, 0)
	}
	for _, d := range list(bom.Dependencies) {
		r.dependency(d, bom)
	}
	for _, p := range list(bom.Properties) {
		r.ownGap(p)
	}
	for _, c := range list(bom.Compositions) {
		r.composition(c)
	}
	finish(r.doc, r.os)
}

func list[T any](p *[]T) []T {
	if p == nil {
		return nil
	}
	return *p
}

func (r *cycloneReader) readMetadata(m *cdx.Metadata) {
	if t, err := time.Parse(time.RFC3339, m.Timestamp); err == nil {
		r.doc.Created = t.UTC()
	}
	if t := m.Tools; t != nil {
		for _, c := range list(t.Components) {
			r.doc.Tools = append(r.doc.Tools, Tool{clip(c.Name), clip(c.Version)})
		}
		for _, c := range list(t.Tools) {
			r.doc.Tools = append(r.doc.Tools, Tool{clip(c.Name), clip(c.Version)})
		}
	}
	if c := m.Component; c != nil {
		var hashes map[string]string
		for _, h := range list(c.Hashes) {
			addHash(&hashes, string(h.Algorithm), h.Value)
		}
		r.doc.Subject = Subject{Kind: subjectKind(c), Name: clip(qualified(c)), Version: clip(c.Version), PURL: clip(c.PackageURL), Digest: cmp.Or(firstDigest(hashes), imageDigest(c))}
		for _, child := range list(c.Components) {
			r.component(&child, 1)
		}
	}
}

// imageDigest is where Syft and Trivy put an image's digest: the version, or the
// package url's.
func imageDigest(c *cdx.Component) string {
	if strings.HasPrefix(c.Version, "sha256:") {
		return clip(c.Version)
	}
	_, version, _ := strings.Cut(c.PackageURL, "@sha256")
	version = strings.TrimPrefix(strings.TrimPrefix(version, "%3A"), ":")
	if len(version) >= 64 && isHash(version[:64], 32) {
		return "sha256:" + version[:64]
	}
	return ""
}

func subjectKind(c *cdx.Component) scanning.ScopeKind {
	switch c.Type {
	case cdx.ComponentTypeContainer:
		return scanning.ScopeImage
	case cdx.ComponentTypeOS, cdx.ComponentTypePlatform, cdx.ComponentTypeDevice:
		return scanning.ScopeHost
	}
	return scanning.ScopeFolder
}

func qualified(c *cdx.Component) string {
	if c.Group == "" {
		return c.Name
	}
	return c.Group + "/" + c.Name
}

// component adds one and those that are assembled in it.
func (r *cycloneReader) component(c *cdx.Component, depth int) {
	if depth > maxNesting {
		r.doc.gap(c.Name, fmt.Sprintf("components are nested deeper than %d; what is within was not read", maxNesting), scanning.ReasonTooDeep)
		return
	}
	if !r.full {
		r.add(c)
	}
	for _, child := range list(c.Components) {
		r.component(&child, depth+1)
	}
}

func (r *cycloneReader) add(c *cdx.Component) {
	switch c.Type {
	case cdx.ComponentTypeFile, cdx.ComponentTypeData, cdx.ComponentTypeCryptographicAsset:
		return // no packages
	case cdx.ComponentTypeOS:
		r.os = append(r.os, strings.ToLower(c.Name)+"-"+c.Version)
		return
	}
	properties := map[string]string{}
	for _, p := range list(c.Properties) {
		properties[p.Name] = clip(p.Value)
	}
	if c.PackageURL == "" && c.Version == "" && (len(list(c.Components)) > 0 || properties["aquasecurity:trivy:Type"] != "") {
		r.group[c.BOMRef] = true
		return
	}
	if len(r.doc.Packages) == maxPackages {
		r.full = true
		r.doc.gap("components", fmt.Sprintf("there are more than %d; the rest was not read", maxPackages), scanning.ReasonTooMany)
		return
	}
	if c.BOMRef != "" {
		r.refs[c.BOMRef] = len(r.doc.Packages)
	}
	r.doc.Packages = append(r.doc.Packages, r.pack(c, properties))
}

func (r *cycloneReader) pack(c *cdx.Component, properties map[string]string) scanning.Package {
	p := r.doc.identity(clip(c.PackageURL), clip(qualified(c)), clip(c.Version))
	if e := properties[propEcosystem]; e != "" {
		p.Ecosystem, p.Name = e, clip(qualified(c)) // an encoder of ours wrote it, which keeps names
	}
	p.Source = cmp.Or(properties[propSource], properties["aquasecurity:trivy:SrcName"], p.Source)
	p.SourceVersion = cmp.Or(properties[propSourceVersion], trivySource(properties), p.SourceVersion)
	if p.Source == p.Name && (p.SourceVersion == "" || p.SourceVersion == p.Version) {
		p.Source, p.SourceVersion = "", ""
	}
	p.Layer = cmp.Or(properties[propLayer], properties["aquasecurity:trivy:LayerDigest"], properties["syft:location:0:layerID"])
	p.File = cmp.Or(occurrence(c), properties["aquasecurity:trivy:FilePath"], properties["syft:location:0:path"])
	p.Direct = properties[propDirect] == "true"
	p.Dev = properties[propDev] == "true" || properties["cdx:npm:package:development"] == "true"
	for _, h := range list(c.Hashes) {
		addHash(&p.Hashes, string(h.Algorithm), h.Value)
	}
	p.Licenses = readLicences(c.Licenses)
	return p
}

func trivySource(properties map[string]string) string {
	v := properties["aquasecurity:trivy:SrcVersion"]
	if v == "" {
		return ""
	}
	if release := properties["aquasecurity:trivy:SrcRelease"]; release != "" {
		v += "-" + release
	}
	if epoch := properties["aquasecurity:trivy:SrcEpoch"]; epoch != "" && epoch != "0" {
		v = epoch + ":" + v
	}
	return v
}

func occurrence(c *cdx.Component) string {
	if c.Evidence == nil {
		return ""
	}
	for _, o := range list(c.Evidence.Occurrences) {
		return clip(o.Location)
	}
	return ""
}

func readLicences(l *cdx.Licenses) []string {
	if l == nil {
		return nil
	}
	var out []string
	for _, c := range *l {
		s := c.Expression
		if c.License != nil {
			s = cmp.Or(c.License.ID, c.License.Name)
		}
		if s = clip(s); s != "" && len(out) < 100 {
			out = append(out, cmp.Or(spdxlicense.Expression(s), s))
		}
	}
	return out
}

// dependency adds edges. What the subject, or a lockfile in it, depends on is
// direct.
func (r *cycloneReader) dependency(d cdx.Dependency, bom *cdx.BOM) {
	from, known := r.refs[d.Ref]
	root := r.group[d.Ref] || bom.Metadata != nil && bom.Metadata.Component != nil && bom.Metadata.Component.BOMRef == d.Ref
	for _, to := range list(d.Dependencies) {
		i, ok := r.refs[to]
		switch {
		case !ok:
			continue
		case root:
			r.doc.Packages[i].Direct = true
		case known && r.doc.Packages[i].PURL != "":
			p := &r.doc.Packages[from]
			p.Requires = append(p.Requires, r.doc.Packages[i].PURL)
		}
	}
}

// composition takes the document at its word when it says what it lacks. What it
// doesn't specify is not a gap: most tools never say.
func (r *cycloneReader) composition(c cdx.Composition) {
	if r.said || !strings.HasPrefix(string(c.Aggregate), "incomplete") {
		return
	}
	what := r.doc.Subject.Name
	if a := append(list(c.Assemblies), list(c.Dependencies)...); len(a) > 0 {
		what = string(a[0])
	}
	r.doc.gap(cmp.Or(what, "the document"), "the document itself calls it "+clip(string(c.Aggregate)), scanning.ReasonUnreadable)
}

func (r *cycloneReader) ownGap(p cdx.Property) {
	var g scanning.Gap
	if p.Name == propGap && json.Unmarshal([]byte(p.Value), &g) == nil {
		r.doc.gap(g.What, g.Why, g.Reason)
		r.said = true
	}
}

func (d *Document) gap(what, why string, reason scanning.Reason) {
	if len(d.Gaps) > maxGaps {
		return
	}
	if len(d.Gaps) == maxGaps {
		what, why, reason = "the document", fmt.Sprintf("there are more than %d gaps; the rest is not listed", maxGaps), scanning.ReasonTooMany
	}
	d.Gaps = append(d.Gaps, scanning.Gap{What: clip(what), Why: clip(why), Reason: reason})
}

// identity makes a package of what every format has: package url, name, version.
func (d *Document) identity(url, name, version string) scanning.Package {
	p, err := purl.Package(url)
	if err != nil {
		p = scanning.Package{Name: name, Version: version}
		if url != "" {
			d.gap(cmp.Or(name, url), "its package url is malformed: "+err.Error(), scanning.ReasonMalformed)
		}
	}
	if p.Ecosystem == "" {
		p.Name = cmp.Or(name, p.Name)
	}
	p.Version = cmp.Or(p.Version, version)
	if base, _, _ := strings.Cut(p.Ecosystem, ":"); base == "Go" && strings.EqualFold(p.Name, name) {
		p.Name = name // package urls fold the case of Go modules, names mostly don't
	}
	return p
}

func clip(s string) string { return untrusted.Clip(s, maxText) }
