package imports

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/sbom/purl"
)

type trivyReport struct {
	SchemaVersion int    `json:"SchemaVersion"`
	CreatedAt     string `json:"CreatedAt"`
	Trivy         struct{ Version string }
	ArtifactName  string `json:"ArtifactName"`
	ArtifactType  string `json:"ArtifactType"`
	Metadata      struct {
		OS *struct {
			Family, Name string
			EOSL         bool
		}
		ImageID     string
		RepoDigests []string
		RepoURL     string
		Commit      string
	}
	Results []json.RawMessage
}

type trivyResult struct {
	Target, Class, Type string
	Packages            []json.RawMessage
	Vulnerabilities     []json.RawMessage
	Misconfigurations   []json.RawMessage
	Secrets             []json.RawMessage
	Licenses            []json.RawMessage
	// Modified is what a statement or an ignore file took out of the lists.
	Modified []trivyModified `json:"ExperimentalModifiedFindings"`
}

// trivyModified is a finding of one of the kinds that somebody answered.
type trivyModified struct {
	Type, Status, Statement, Source string
	Finding                         json.RawMessage
}

type trivyLicense struct {
	Severity, Category, PkgName, FilePath, Name, Link string
}

type trivyPackage struct {
	ID, Name, Version, Release, FilePath string
	Identifier                           struct{ PURL string }
	SrcName, SrcVersion, SrcRelease      string
	Licenses, DependsOn                  []string
	Relationship                         string
	Dev                                  bool
	Layer                                struct{ Digest, DiffID string }
}

type trivyVulnerability struct {
	VulnerabilityID  string
	VendorIDs        []string
	PkgName, PkgPath string
	PkgIdentifier    struct{ PURL string }
	InstalledVersion string
	FixedVersion     string
	Status           string
	Severity         string
	Title            string
	Description      string
	PrimaryURL       string
	References       []string
	CVSS             map[string]trivyCVSS
	PublishedDate    string
	LastModifiedDate string
	Layer            struct{ Digest, DiffID string }
}

type trivyCVSS struct {
	V3Vector, V40Vector string
	V3Score, V40Score   float64
}

type trivyCode struct {
	Lines []struct {
		Content string
		IsCause bool
	}
}

type trivyMisconfiguration struct {
	ID, AVDID, Title, Description, Message, Resolution, Severity, Status, PrimaryURL string
	References                                                                       []string
	CauseMetadata                                                                    struct {
		Resource           string
		StartLine, EndLine int
		Code               trivyCode
	}
}

type trivySecret struct {
	RuleID, Category, Severity, Title, Match string
	StartLine, EndLine                       int
	Layer                                    struct{ Digest, DiffID string }
}

func readTrivy(in *importer, b []byte) error {
	var t trivyReport
	if err := json.Unmarshal(b, &t); err != nil {
		return err
	}
	r := &in.report
	r.Tool = scanning.Tool{Name: "trivy", Version: clip(t.Trivy.Version)}
	r.Started, r.Finished = when(t.CreatedAt), when(t.CreatedAt)
	r.Scope = trivyScope(&t)
	if t.SchemaVersion != 2 {
		in.gap("", "the report's schema is not version 2, so parts of it may be read wrongly", scanning.ReasonUnsupported)
	}
	if os := t.Metadata.OS; os != nil && os.EOSL {
		in.gap(os.Family+" "+os.Name, "the release is past its end of life and gets no advisories any more, so that nothing was found says nothing", scanning.ReasonStale)
	}
	each(in, "result", t.Results, func(r *trivyResult) { in.trivyResult(r, trivyEcosystem(&t, r)) })
	return nil
}

// trivyTypes are OSV's words for what Trivy calls kinds of lockfiles, for
// versions that write no package urls.
var trivyTypes = map[string]string{
	"gomod": "Go", "gobinary": "Go", "npm": "npm", "yarn": "npm", "pnpm": "npm", "node-pkg": "npm", "bun": "npm",
	"pip": "PyPI", "pipenv": "PyPI", "poetry": "PyPI", "uv": "PyPI", "python-pkg": "PyPI", "cargo": "crates.io", "rustbinary": "crates.io",
	"composer": "Packagist", "bundler": "RubyGems", "gemspec": "RubyGems", "jar": "Maven", "pom": "Maven", "gradle": "Maven",
	"nuget": "NuGet", "dotnet-core": "NuGet",
}

func trivyEcosystem(t *trivyReport, r *trivyResult) string {
	if r.Class != "os-pkgs" || t.Metadata.OS == nil {
		return trivyTypes[r.Type]
	}
	types := map[string]string{"debian": "deb", "ubuntu": "deb", "alpine": "apk", "wolfi": "apk", "chainguard": "apk"}
	p, err := purl.Package("pkg:" + cmp.Or(types[t.Metadata.OS.Family], "rpm") + "/x@1?distro=" + url.QueryEscape(t.Metadata.OS.Family+"-"+t.Metadata.OS.Name))
	if err != nil {
		return ""
	}
	return p.Ecosystem
}

func trivyScope(t *trivyReport) scanning.Scope {
	s := scanning.Scope{Kind: scanning.ScopeFolder, Name: clip(t.ArtifactName), Revision: clip(t.Metadata.Commit)}
	switch t.ArtifactType {
	case "container_image":
		s.Kind, s.Revision = scanning.ScopeImage, clip(t.Metadata.ImageID)
		for _, d := range t.Metadata.RepoDigests {
			_, digest, _ := strings.Cut(d, "@")
			s.Revision = clip(cmp.Or(digest, s.Revision))
			break
		}
	case "repository":
		s.Kind, s.Name = scanning.ScopeGit, clip(cmp.Or(t.Metadata.RepoURL, t.ArtifactName))
	case "cyclonedx", "spdx":
		s.Kind = scanning.ScopeSBOM
	case "vm":
		s.Kind = scanning.ScopeHost
	}
	return s
}

func (in *importer) trivyResult(r *trivyResult, ecosystem string) {
	file := ""
	if r.Class != "os-pkgs" {
		file = trivyFile(r)
	}
	each(in, r.Target+" package", r.Packages, func(p *trivyPackage) { in.trivyPackage(p, ecosystem, file) })
	each(in, r.Target+" vulnerability", r.Vulnerabilities, func(v *trivyVulnerability) { in.trivyVulnerability(v, ecosystem, file) })
	each(in, r.Target+" misconfiguration", r.Misconfigurations, func(m *trivyMisconfiguration) { in.trivyMisconfiguration(m, r) })
	each(in, r.Target+" secret", r.Secrets, func(s *trivySecret) { in.trivySecret(s, r.Target) })
	each(in, r.Target+" license", r.Licenses, func(l *trivyLicense) { in.trivyLicense(l, r.Target) })
	for i := range r.Modified {
		in.trivyModified(&r.Modified[i], r, ecosystem, file)
	}
}

// trivyModified adds what somebody answered with who says so: a file can't say
// whom we trust, and what is left out would look fixed.
func (in *importer) trivyModified(m *trivyModified, r *trivyResult, ecosystem, file string) {
	before, one := len(in.report.Findings), []json.RawMessage{m.Finding}
	switch m.Type {
	case "vulnerability":
		each(in, r.Target+" answered vulnerability", one, func(v *trivyVulnerability) { in.trivyVulnerability(v, ecosystem, file) })
	case "misconfiguration":
		each(in, r.Target+" answered misconfiguration", one, func(v *trivyMisconfiguration) { in.trivyMisconfiguration(v, r) })
	case "secret":
		each(in, r.Target+" answered secret", one, func(v *trivySecret) { in.trivySecret(v, r.Target) })
	case "license":
		each(in, r.Target+" answered license", one, func(v *trivyLicense) { in.trivyLicense(v, r.Target) })
	default:
		in.gap(r.Target, "an answered finding of the unknown type "+m.Type, scanning.ReasonUnsupported)
	}
	for i := before; i < len(in.report.Findings); i++ {
		f := &in.report.Findings[i]
		f.Tags = append(f.Tags, "suppressed:"+clip(m.Status))
		f.Detail = clip(strings.TrimSpace(f.Detail + "\n\nSuppressed (" + m.Status + " by " + m.Source + "): " + m.Statement))
	}
}

// allowedLicenses are the categories that ask for nothing.
var allowedLicenses = []string{"notice", "permissive", "unencumbered"}

func (in *importer) trivyLicense(l *trivyLicense, target string) {
	if slices.Contains(allowedLicenses, l.Category) {
		return
	}
	of := cmp.Or(l.PkgName, l.FilePath, target)
	in.add(scanning.Finding{
		Rule: "license-" + l.Name, Class: scanning.ClassCode, Title: l.Name + " licence of " + of + ": " + cmp.Or(l.Category, "unknown"), Severity: severity(l.Severity, 0),
		Tags: []string{"license", l.Category}, Links: []string{l.Link}, Location: scanning.Location{File: cmp.Or(l.FilePath, target), Context: of},
	})
}

// trivyFile is the result's file; for installed packages of a language the
// target is a word ("Python", "Node.js") and each package has its own path.
func trivyFile(r *trivyResult) string {
	switch r.Type {
	case "python-pkg", "node-pkg", "gemspec", "jar", "conda-pkg":
		return ""
	}
	return r.Target
}

func (in *importer) trivyPackage(p *trivyPackage, ecosystem, file string) {
	q := pack(p.Identifier.PURL, ecosystem, p.Name, "", cmp.Or(p.FilePath, file))
	q.Version = cmp.Or(q.Version, clip(p.Version))
	q.Source, q.SourceVersion = clip(p.SrcName), clip(p.SrcVersion)
	if p.SrcRelease != "" && q.SourceVersion != "" {
		q.SourceVersion += "-" + clip(p.SrcRelease)
	}
	if q.Source == q.Name && (q.SourceVersion == "" || q.SourceVersion == q.Version) {
		q.Source, q.SourceVersion = "", ""
	}
	q.Licenses, q.Dev, q.Direct = short(p.Licenses), p.Dev, p.Relationship == "direct"
	q.Layer = clip(cmp.Or(p.Layer.Digest, p.Layer.DiffID))
	in.report.Packages = append(in.report.Packages, *q)
}

func (in *importer) trivyVulnerability(v *trivyVulnerability, ecosystem, file string) {
	p := pack(v.PkgIdentifier.PURL, ecosystem, v.PkgName, v.InstalledVersion, cmp.Or(v.PkgPath, file))
	f := scanning.Finding{
		Rule: v.VulnerabilityID, Class: scanning.ClassVulnerability, Title: cmp.Or(v.Title, v.VulnerabilityID+" in "+v.PkgName), Detail: v.Description,
		Location: scanning.Location{File: p.File, Layer: cmp.Or(v.Layer.Digest, v.Layer.DiffID)}, Package: p, Aliases: v.VendorIDs,
		Fixed: splitVersions(v.FixedVersion), Links: append([]string{v.PrimaryURL}, v.References...), Risk: trivyRisk(v),
	}
	f.Advice = advice(p, f.Fixed)
	if v.Status != "" && v.Status != "affected" && v.Status != "fixed" {
		f.Tags = []string{"status:" + v.Status} // will_not_fix, end_of_life ...: the distribution's word
	}
	f.Severity = severity(v.Severity, f.Risk.Score)
	in.add(f)
}

// trivyRisk takes NVD's score, else the first of the others in their order.
func trivyRisk(v *trivyVulnerability) scanning.Risk {
	r := scanning.Risk{Published: when(v.PublishedDate), Modified: when(v.LastModifiedDate)}
	sources := append([]string{"nvd"}, slices.Sorted(maps.Keys(v.CVSS))...)
	for _, s := range sources {
		c := v.CVSS[s]
		if r.CVSS = cmp.Or(c.V40Vector, c.V3Vector); r.CVSS != "" {
			r.CVSS, r.Score = clip(r.CVSS), cmp.Or(c.V40Score, c.V3Score)
			return r
		}
	}
	return r
}

func (in *importer) trivyMisconfiguration(m *trivyMisconfiguration, r *trivyResult) {
	if m.Status == "PASS" || m.Status == "EXCEPTION" {
		return
	}
	var context []string
	for _, l := range m.CauseMetadata.Code.Lines {
		if l.IsCause && len(context) < 20 {
			context = append(context, l.Content)
		}
	}
	in.add(scanning.Finding{
		Rule: cmp.Or(m.ID, m.AVDID), Class: scanning.ClassCode, Title: m.Title, Detail: strings.TrimSpace(m.Message + "\n\n" + m.Description), Advice: m.Resolution,
		Severity: severity(m.Severity, 0), Aliases: []string{m.AVDID}, Tags: []string{"misconfiguration", r.Type}, Links: append([]string{m.PrimaryURL}, m.References...),
		Location: scanning.Location{
			File: r.Target, Line: max(m.CauseMetadata.StartLine, 0), EndLine: max(m.CauseMetadata.EndLine, 0),
			Context: cmp.Or(strings.Join(context, "\n"), m.CauseMetadata.Resource, m.Message),
		},
	})
}

func (in *importer) trivySecret(s *trivySecret, target string) {
	in.add(scanning.Finding{
		Rule: s.RuleID, Class: scanning.ClassSecret, Title: s.Title, Severity: secretSeverity(s.Severity), Redacted: s.Match, Tags: []string{s.Category},
		Location: scanning.Location{File: target, Line: max(s.StartLine, 0), EndLine: max(s.EndLine, 0), Layer: cmp.Or(s.Layer.Digest, s.Layer.DiffID), Context: s.Match},
		Advice:   "Revoke it, then remove it.",
	})
}

func secretSeverity(word string) core.Severity {
	if word == "" || strings.EqualFold(word, "unknown") {
		return core.SeverityHigh
	}
	return severity(word, 0)
}
