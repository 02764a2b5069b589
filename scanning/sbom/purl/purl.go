// Package purl translates between package urls, in which SBOMs, VEX documents
// and other scanners name packages, and [scanning.Package] with OSV's ecosystem
// words, in which advisories do. It knows what is lost on the way: the case of Go
// modules, the release of a distribution, the source package behind a binary one.
package purl

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
)

const maxLength = 4096

// plain are the types whose ecosystem has no releases.
var plain = map[string]string{
	"golang": "Go", "npm": "npm", "pypi": "PyPI", "maven": "Maven", "cargo": "crates.io", "nuget": "NuGet",
	"gem": "RubyGems", "composer": "Packagist", "hex": "Hex", "pub": "Pub", "conan": "ConanCenter", "cran": "CRAN",
	"hackage": "Hackage", "swift": "SwiftURL", "githubactions": "GitHub Actions", "bitnami": "Bitnami", "julia": "Julia",
	"opam": "opam", "bioconductor": "Bioconductor", "cocoapods": "CocoaPods", "conda": "conda", "jsr": "JSR",
}

// Package reads a package url. What it doesn't say is left empty; see [Missing].
func Package(s string) (scanning.Package, error) {
	const op = "purl.Package"
	if len(s) > maxLength {
		return scanning.Package{}, core.E(core.KindTooLarge, op, "the package url is longer than 4096 bytes")
	}
	u, err := packageurl.FromString(s)
	if err != nil {
		return scanning.Package{}, core.Wrap(core.KindInvalid, op, err)
	}
	q := u.Qualifiers.Map()
	p := scanning.Package{Ecosystem: plain[u.Type], Name: name(s, u), Version: u.Version, PURL: u.ToString()}
	switch u.Type {
	case "deb", "apk", "rpm":
		p.Ecosystem = distribution(u.Type, u.Namespace, q["distro"])
		p.Version = withEpoch(u.Version, q["epoch"])
		p.Source, p.SourceVersion = upstream(q["upstream"], p.Name, p.Version)
	}
	return p, nil
}

// name is the package's name as its ecosystem and OSV write it.
func name(s string, u packageurl.PackageURL) string {
	switch u.Type {
	case "deb", "apk", "rpm", "cargo", "nuget", "gem", "pypi":
		return u.Name
	case "maven":
		return join(u.Namespace, ":", u.Name)
	case "golang":
		return rawPath(s, join(u.Namespace, "/", u.Name))
	}
	return join(u.Namespace, "/", u.Name)
}

func join(a, sep, b string) string {
	if a == "" {
		return b
	}
	return a + sep + b
}

// rawPath gives a Go module its capitals back: the canonical form of a package
// url drops them, module paths and advisories have them.
func rawPath(s, folded string) string {
	_, raw, _ := strings.Cut(s[4:], "/")
	if i := strings.IndexAny(raw, "?#"); i >= 0 {
		raw = raw[:i]
	}
	if i := strings.LastIndexByte(raw, '@'); i > 0 {
		raw = raw[:i]
	}
	if raw, err := url.PathUnescape(strings.Trim(raw, "/")); err == nil && strings.EqualFold(raw, folded) {
		return raw
	}
	return folded
}

func withEpoch(version, epoch string) string {
	if epoch == "" || epoch == "0" || version == "" || strings.Contains(version, ":") {
		return version
	}
	return epoch + ":" + version
}

// upstream reads Syft's qualifier: "glibc" or "glibc@2.36-9", for rpm the name
// of the source's file.
func upstream(s, name, version string) (source, sourceVersion string) {
	if strings.HasSuffix(s, ".src.rpm") {
		parts := strings.Split(strings.TrimSuffix(s, ".src.rpm"), "-")
		if n := len(parts); n > 2 {
			s = strings.Join(parts[:n-2], "-") + "@" + parts[n-2] + "-" + parts[n-1]
		}
	}
	source, sourceVersion, _ = strings.Cut(s, "@")
	if source == name && (sourceVersion == "" || sourceVersion == version) {
		return "", ""
	}
	return source, sourceVersion
}

// Missing says in a sentence why advisories cannot be matched against the
// package, "" if they can.
func Missing(p *scanning.Package) string {
	base, release, _ := strings.Cut(p.Ecosystem, ":")
	switch {
	case p.Name == "":
		return "it has no name"
	case p.Ecosystem == "":
		return "it has no package url of an ecosystem that advisories speak of, so none can be matched"
	case p.Version == "":
		return "it has no version, so no advisory can be matched"
	case needsRelease[base] && release == "":
		return "it doesn't say of which release of " + base + " it is; the same version is fixed in one and not in the next"
	}
	return ""
}

// Of writes the package url of a package that has none; "" where its ecosystem
// has no type.
func Of(p *scanning.Package) string {
	if p.PURL != "" {
		return p.PURL
	}
	typ, namespace, distro := distroType(p.Ecosystem)
	if typ == "" {
		typ = plainType(p.Ecosystem)
	}
	if typ == "" || p.Name == "" {
		return ""
	}
	name := p.Name
	sep := "/"
	if typ == "maven" {
		sep = ":"
	}
	if i := strings.LastIndex(name, sep); i >= 0 && namespace == "" {
		namespace, name = name[:i], name[i+1:]
	}
	u := packageurl.NewPackageURL(typ, namespace, name, p.Version, qualifiers(p, distro), "")
	if err := u.Normalize(); err != nil {
		return ""
	}
	return u.ToString()
}

func qualifiers(p *scanning.Package, distro string) packageurl.Qualifiers {
	var q packageurl.Qualifiers
	if distro != "" {
		q = append(q, packageurl.Qualifier{Key: "distro", Value: distro})
	}
	if p.Source != "" {
		q = append(q, packageurl.Qualifier{Key: "upstream", Value: strings.TrimSuffix(p.Source+"@"+p.SourceVersion, "@")})
	}
	return q
}

func plainType(ecosystem string) string {
	for typ, e := range plain {
		if e == ecosystem {
			return typ
		}
	}
	return ""
}

// Matches reports whether a package url that speaks of products (a VEX
// statement's) covers the package: same type and name, the same version if it
// names one, the same release and architecture if it names them. A product
// without a version covers all versions; one of architecture src is the source
// package, and covers all that is built of it.
func Matches(product string, p *scanning.Package) bool {
	want, err := Package(product)
	if err != nil || want.Name == "" {
		return false
	}
	w, _ := packageurl.FromString(product)
	h, err := packageurl.FromString(Of(p))
	if err != nil {
		return false
	}
	q := w.Qualifiers.Map()
	name, versions := h.Name, []string{p.Version, h.Version}
	if q["arch"] == "src" || q["arch"] == "source" {
		name, versions = cmp.Or(p.Source, h.Name), []string{cmp.Or(p.SourceVersion, p.Version)}
		delete(q, "arch")
	}
	switch {
	case w.Type != h.Type || !strings.EqualFold(w.Namespace, h.Namespace) || w.Name != name:
		return false
	case w.Version != "" && !slices.Contains(versions, want.Version) && !slices.Contains(versions, w.Version):
		return false
	case q["distro"] != "" && want.Ecosystem != p.Ecosystem:
		return false
	}
	return sameQualifiers(q, h.Qualifiers.Map())
}

// sameQualifiers holds those that decide which build it is; a checksum or a
// download address says nothing of it. The release is compared as ecosystem,
// because debian-12 and debian-12.5 are the same to advisories.
func sameQualifiers(want, have map[string]string) bool {
	for _, k := range []string{"arch", "classifier", "repository_url"} {
		if want[k] != "" && have[k] != want[k] {
			return false
		}
	}
	return true
}
