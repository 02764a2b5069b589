// Package npm reads what JavaScript is made of: the lockfiles of npm, pnpm, yarn,
// bun and deno, and node_modules.
package npm

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "npm"

// Extractors are those of npm's registry.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "npm/package-lock", Ecosystem: ecosystem, Names: []string{"package-lock.json", "npm-shrinkwrap.json"}, Read: readLock,
			Wants: outside, Reads: "lockfile versions 1, 2 and 3, with edges, licences and integrity",
		},
		{
			Name: "npm/hidden-lock", Ecosystem: ecosystem, Names: []string{".package-lock.json"}, Read: readLock, Installed: true,
			Shown: []string{"node_modules/.package-lock.json"}, Reads: "what npm last installed",
		},
		{
			Name: "npm/installed", Ecosystem: ecosystem, Names: []string{"package.json"}, Wants: installed, Read: readInstalled, Installed: true,
			Shown: []string{"node_modules/*/package.json"}, Reads: "name, version and licence of installed packages, where npm left no hidden lockfile",
		},
		{
			Name: "npm/manifest", Ecosystem: ecosystem, Names: []string{"package.json"}, Wants: outside, Read: readManifest,
			Reads: "exact versions only where no lockfile stands beside it, nor a workspace's above it: that is a gap",
		},
		{
			Name: "npm/pnpm-lock", Ecosystem: ecosystem, Names: []string{"pnpm-lock.yaml"}, Wants: outside, Read: readPnpm,
			Reads: "lockfile versions 5 to 9, with edges and integrity",
		},
		{
			Name: "npm/yarn-lock", Ecosystem: ecosystem, Names: []string{"yarn.lock"}, Wants: outside, Read: readYarn,
			Reads: "yarn 1 and berry; direct and dev from the package.json beside it",
		},
		{
			Name: "npm/bun-lock", Ecosystem: ecosystem, Names: []string{"bun.lock", "bun.lockb"}, Wants: outside, Read: readBun,
			Reads: "the text form; the binary one (bun.lockb) is a gap",
		},
		{
			Name: "npm/deno-lock", Ecosystem: ecosystem, Names: []string{"deno.lock"}, Wants: outside, Read: readDeno,
			Reads: "versions 2 to 5: packages of npm with edges and integrity, those of JSR; modules by address are a gap",
		},
	}
}

// locks are the files beside or above a package.json that hold its versions.
var locks = []string{"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock"}

func outside(file string, _ fs.DirEntry) bool {
	return !strings.HasPrefix(file, "node_modules/") && !strings.Contains(file, "/node_modules/")
}

// installed is the package.json of a package itself, not one deeper within it.
func installed(file string, _ fs.DirEntry) bool {
	dir := path.Dir(file)
	parent := path.Dir(dir)
	if strings.HasPrefix(path.Base(parent), "@") {
		parent = path.Dir(parent)
	}
	return path.Base(parent) == "node_modules"
}

func pkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, PURL: purl(name, version)}
}

func purl(name, version string) string { return extract.PURL("npm", name, version) }

// exact is a version and not a range.
var exact = regexp.MustCompile(`^v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$`)

// alias reads "npm:actual@1.2.3", which installs actual under another name.
func alias(name, version string) (string, string) {
	spec, ok := strings.CutPrefix(version, "npm:")
	if !ok {
		return name, version
	}
	if actual, v, ok := cutVersion(spec); ok {
		return actual, v
	}
	return name, spec
}

// cutVersion parts "@scope/name@version".
func cutVersion(spec string) (name, version string, ok bool) {
	if spec == "" {
		return "", "", false
	}
	if i := strings.IndexByte(spec[1:], '@'); i >= 0 {
		return spec[:i+1], spec[i+2:], true
	}
	return spec, "", false
}
