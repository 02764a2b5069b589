// Package python reads what Python code is made of: requirements, the lockfiles
// of pipenv, poetry, uv and pdm, the standard one, and installed distributions.
package python

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "PyPI"

// Extractors are those of Python.
func Extractors() []*extract.Extractor {
	locked := &resolved{}
	return []*extract.Extractor{
		{
			Name: "pypi/requirements", Ecosystem: ecosystem, Suffixes: []string{".txt"}, Wants: isRequirements, Read: readRequirements,
			Shown: []string{"*requirements*.txt", "requirements/*.txt"},
			Reads: "pinned ones with hashes; -r and -c within the scope; each without == is a gap",
		},
		{
			Name: "pypi/pipfile-lock", Ecosystem: ecosystem, Names: []string{"Pipfile.lock"}, Read: readPipfile,
			Reads: "default and develop",
		},
		{
			Name: "pypi/poetry-lock", Ecosystem: ecosystem, Names: []string{"poetry.lock"}, Read: readPoetry,
			Reads: "every version of the format, with edges; direct from the pyproject.toml beside it",
		},
		{
			Name: "pypi/uv-lock", Ecosystem: ecosystem, Names: []string{"uv.lock"}, Read: readUV,
			Reads: "with edges, direct and dev",
		},
		{
			Name: "pypi/pdm-lock", Ecosystem: ecosystem, Names: []string{"pdm.lock"}, Read: readPDM,
			Reads: "with edges and groups",
		},
		{
			Name: "pypi/pylock", Ecosystem: ecosystem, Suffixes: []string{".toml"}, Wants: isPylock, Read: readPylock,
			Shown: []string{"pylock.toml", "pylock.*.toml"}, Reads: "the standard lockfile (PEP 751)",
		},
		{
			Name: "pypi/installed", Ecosystem: ecosystem, Names: []string{"METADATA", "PKG-INFO"}, Suffixes: []string{".egg-info"},
			Wants: isInstalled, Read: readInstalled, Installed: true,
			Shown: []string{"*.dist-info/METADATA", "*.egg-info"},
			Reads: "name, version and licence; what a distribution's packages put into its own folders is told by dpkg, apk or rpm alone",
		},
		{
			Name: "pypi/manifest", Ecosystem: ecosystem, Names: []string{"pyproject.toml", "Pipfile"}, Wants: isProject, Read: locked.readManifest,
			Reads: "pinned ones; what no lockfile beside or above it names is a gap. Dynamic ones are read from the files that setuptools is told, else a gap",
		},
		{
			Name: "pypi/setup", Ecosystem: ecosystem, Names: []string{"setup.py", "setup.cfg"}, Wants: isProject, Read: locked.readSetup,
			Reads: "pinned ones of install_requires and its kin; others that no lockfile beside or above it names are a gap. Lists that code puts together are not read: a gap where no lockfile stands beside it",
		},
	}
}

func isRequirements(file string, _ fs.DirEntry) bool {
	if !strings.HasSuffix(file, ".txt") {
		return false // named by another one, it is read as a part of that
	}
	return strings.Contains(path.Base(file), "requirements") || path.Base(path.Dir(file)) == "requirements"
}

func isPylock(file string, _ fs.DirEntry) bool {
	base := path.Base(file)
	return base == "pylock.toml" || strings.HasPrefix(base, "pylock.")
}

// isProject leaves out what came with an installed package.
func isProject(file string, _ fs.DirEntry) bool {
	for _, within := range []string{"site-packages/", "dist-packages/", "node_modules/"} {
		if strings.Contains("/"+file, "/"+within) {
			return false
		}
	}
	return true
}

func isInstalled(file string, _ fs.DirEntry) bool {
	dir := path.Base(path.Dir(file))
	if path.Base(file) == "METADATA" {
		return strings.HasSuffix(dir, ".dist-info")
	}
	isSite := strings.Contains(file, "site-packages/") || strings.Contains(file, "dist-packages/")
	return isSite && (dir == "EGG-INFO" || strings.HasSuffix(dir, ".egg-info") || strings.HasSuffix(file, ".egg-info"))
}

var separators = regexp.MustCompile(`[-_.]+`)

// normal is a name as PEP 503 compares them.
func normal(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

func purl(name, version string) string { return extract.PURL("pypi", normal(name), version) }

func pkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: normal(name), Version: version, PURL: purl(name, version)}
}

// wishName is the name at the beginning of a requirement: "Foo[bar]>=1; marker".
var wishName = regexp.MustCompile(`^\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)`)

func nameOf(wish string) string {
	m := wishName.FindStringSubmatch(wish)
	if m == nil {
		return ""
	}
	return normal(m[1])
}
