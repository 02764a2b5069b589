package advisory

import (
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// family is how an ecosystem orders versions and writes names.
type family uint8

const (
	orderless family = iota // only enumerated versions can be matched
	semverOrder
	golang
	pypi
	maven
	nuget
	gems
	packagist
	pub
	cran
	hackage
	debian
	apk
	rpm
	git // commits
)

// families are OSV's ecosystems without their release.
var families = map[string]family{
	"Go": golang, "npm": semverOrder, "crates.io": semverOrder, "Hex": semverOrder, "SwiftURL": semverOrder,
	"GitHub Actions": semverOrder, "Bitnami": semverOrder, "Bioconductor": semverOrder, "ConanCenter": semverOrder,
	"GHC": semverOrder, "Julia": semverOrder, "Kubernetes": semverOrder, "VSCode": semverOrder, "Linux": semverOrder,
	"Docker Hardened Images": semverOrder, "PyPI": pypi, "Maven": maven, "NuGet": nuget, "RubyGems": gems,
	"Packagist": packagist, "Pub": pub, "CRAN": cran, "Hackage": hackage, "Debian": debian, "Ubuntu": debian,
	"Echo": debian, "Alpine": apk, "Alpaquita": apk, "BellSoft Hardened Containers": apk, "Chainguard": apk,
	"Wolfi": apk, "MinimOS": apk, "AlmaLinux": rpm, "Mageia": rpm, "openEuler": rpm, "openSUSE": rpm, "SUSE": rpm,
	"Red Hat": rpm, "Rocky Linux": rpm, "Photon OS": rpm, "Azure Linux": rpm, "CentOS": rpm, "Fedora": rpm,
	"Amazon Linux": rpm, gitEcosystem: git,
}

// gitEcosystem is what software is called that has a repository and no registry.
const gitEcosystem = "GIT"

// semantics are the names by which the comparing library knows a family.
var semantics = [...]string{
	semverOrder: "npm", golang: "Go", pypi: "PyPI", maven: "Maven", nuget: "NuGet", gems: "RubyGems",
	packagist: "Packagist", pub: "Pub", cran: "CRAN", hackage: "Hackage", debian: "Debian", apk: "Alpine",
	rpm: "Red Hat", git: "",
}

// split cuts an ecosystem into its name and its release: "Debian:12" is Debian
// and 12.
func split(ecosystem string) (base, release string) {
	base, release, _ = strings.Cut(ecosystem, ":")
	return base, release
}

// Ecosystem is the name without its release.
func Ecosystem(full string) string {
	base, _ := split(full)
	return base
}

// NormalName folds a name as its ecosystem does, so that two spellings of one
// package meet: PEP 503 for PyPI, no case for NuGet, Packagist and crates.io
// (whose dashes and underscores are one), and npm and Go as they are.
func NormalName(ecosystem, name string) string {
	base, _ := split(ecosystem)
	switch base {
	case "PyPI":
		return pep503(name)
	case "NuGet", "Packagist", "GitHub Actions", "VSCode", "Pub":
		return strings.ToLower(name)
	case "crates.io":
		return strings.ReplaceAll(strings.ToLower(name), "_", "-")
	case "Maven":
		if !strings.Contains(name, ":") {
			return strings.Replace(name, "/", ":", 1)
		}
	case "Go":
		if name == "go" {
			return "stdlib"
		}
	case "SwiftURL", gitEcosystem:
		return normalRepo(name)
	}
	return name
}

func pep503(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	dash := false
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '-' || c == '_' || c == '.':
			dash = true
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if dash {
			b.WriteByte('-')
			dash = false
		}
		b.WriteByte(c)
	}
	if dash {
		b.WriteByte('-')
	}
	return b.String()
}

func normalRepo(url string) string {
	url = strings.ToLower(url)
	for _, scheme := range []string{"https://", "http://", "git://", "ssh://git@", "git+https://"} {
		url = strings.TrimPrefix(url, scheme)
	}
	return strings.TrimSuffix(strings.TrimSuffix(url, "/"), ".git")
}

// Key is the name under which advisories of a package are kept: the ecosystem
// without its release, and the folded name.
func Key(ecosystem, name string) string {
	base, _ := split(ecosystem)
	return base + "\x00" + NormalName(ecosystem, name)
}

// subject is one name and version under which a package is looked up.
type subject struct{ key, version string }

// subjects are the names by which a package's advisories may know it.
// Distributions write of source packages; those with rpm and the rolling ones
// with apk write of the binary ones as well.
func subjects(p *scanning.Package) []subject {
	own := subject{Key(p.Ecosystem, p.Name), p.Version}
	if p.Ecosystem == "GitHub Actions" {
		own.version = newest(p)
	}
	if p.Source == "" {
		return []subject{own}
	}
	source := subject{Key(p.Ecosystem, p.Source), p.SourceVersion}
	if source.version == "" {
		source.version = p.Version
	}
	base, _ := split(p.Ecosystem)
	if kernel := signedKernel(p.Source); kernel != "" && families[base] == debian {
		return []subject{source, {Key(p.Ecosystem, kernel), p.Version}}
	}
	switch {
	case source.key == own.key:
		return []subject{source}
	case families[base] == debian, base == "Alpine", base == "Alpaquita":
		return []subject{source}
	}
	return []subject{own, source}
}

// signedKernel is the source package of a kernel that was signed: linux for
// linux-signed-amd64, linux-hwe-6.5 for linux-signed-hwe-6.5. Advisories speak of
// that one, with the version that the binary package has.
func signedKernel(source string) string {
	rest, ok := strings.CutPrefix(source, "linux-signed")
	if !ok {
		return ""
	}
	for _, arch := range []string{"-amd64", "-arm64", "-i386"} {
		rest = strings.TrimSuffix(rest, arch)
	}
	return "linux" + rest
}

// Keys are the keys of a package, for an index of stored SBOMs.
func Keys(p *scanning.Package) []string {
	var keys []string
	for _, s := range subjects(p) {
		keys = append(keys, s.key)
	}
	return keys
}

// SameRelease says whether an advisory of one ecosystem speaks of a package of
// another: their names are equal, and their releases are or one of them has
// none. What differs in spelling only is the same: v3.20.3 and v3.20, 22.04 and
// 22.04:LTS, bookworm and 12.
func SameRelease(advisory, pkg string) bool {
	a, ar := split(advisory)
	p, pr := split(pkg)
	return a == p && sameRelease(a, ar, pr)
}

func sameRelease(base, advisory, pkg string) bool {
	if advisory == pkg || advisory == "" || pkg == "" {
		return true
	}
	switch base {
	case "Debian":
		return codename(debianNames, advisory, 1) == codename(debianNames, pkg, 1)
	case "Ubuntu":
		return sameUbuntu(advisory, pkg)
	case "Alpine", "Alpaquita":
		return codename(nil, advisory, 2) == codename(nil, pkg, 2)
	case "Rocky Linux", "AlmaLinux", "CentOS", "Fedora", "Mageia":
		return codename(nil, advisory, 1) == codename(nil, pkg, 1)
	case "Red Hat":
		return sameRedHat(advisory, pkg)
	case "SUSE":
		return sameSUSE(advisory, pkg)
	case "Maven", "Packagist", "VSCode":
		return strings.TrimSuffix(advisory, "/") == strings.TrimSuffix(pkg, "/")
	}
	return strings.EqualFold(advisory, pkg)
}

var debianNames = map[string]string{
	"buzz": "1.1", "wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11",
	"bookworm": "12", "trixie": "13", "forky": "14", "duke": "15", "unstable": "sid",
}

// codename reduces a release to its first numbers: v3.20.3 to 3.20.
func codename(names map[string]string, release string, numbers int) string {
	release = strings.ToLower(release)
	if n, ok := names[release]; ok {
		release = n
	}
	release = strings.TrimPrefix(release, "v")
	if release == "" || release[0] < '0' || release[0] > '9' {
		return release
	}
	parts := strings.Split(release, ".")
	return strings.Join(parts[:min(numbers, len(parts))], ".")
}

// sameUbuntu leaves out what does not change which packages are meant. Notices
// of Ubuntu Pro speak of the same packages, only that the fix needs a
// subscription; the FIPS and realtime ones are packages of their own.
func sameUbuntu(advisory, pkg string) bool {
	trim := func(s string) string {
		s = strings.TrimSuffix(s, ":LTS")
		return strings.TrimPrefix(s, "Pro:")
	}
	return trim(advisory) == trim(pkg)
}
