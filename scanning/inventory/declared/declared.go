// Package declared names the manifests that ask for packages without a version
// that anybody resolved: no lockfile stands beside or above them, or none of
// their tool is read. What such a project uses is not known, and not silence.
package declared

import (
	"context"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// manifest is a kind of file that asks for packages.
type manifest struct {
	tool, ecosystem string
	names, suffixes []string
	// asks is in every one that asks for something.
	asks *regexp.Regexp
	// locks are the files that say more; with none, nothing does.
	locks []string
	// wish finds the name of each package that is asked for, which a lockfile then
	// has to name: an empty one, or another project's, says nothing of it.
	wish *regexp.Regexp
	hint string
}

var manifests = []manifest{
	{tool: "pub", ecosystem: "Pub", names: []string{"pubspec.yaml"}, asks: regexp.MustCompile(`(?m)^dependencies:\s*(?:#.*)?\r?\n\s+\S`), locks: []string{"pubspec.lock"}, hint: "make one with: dart pub get"},
	{tool: "mix", ecosystem: "Hex", names: []string{"mix.exs"}, asks: regexp.MustCompile(`\{:\w+,\s*(?:"|github:|git:)`), locks: []string{"mix.lock"}, wish: regexp.MustCompile(`\{:(\w+),\s*(?:"[~><=!\d ]|github:|git:)`), hint: "make one with: mix deps.get"},
	{tool: "rebar", ecosystem: "Hex", names: []string{"rebar.config"}, asks: regexp.MustCompile(`\{deps,\s*\[\s*[^\s\]]`), locks: []string{"rebar.lock"}, hint: "make one with: rebar3 lock"},
	{tool: "swift", ecosystem: "SwiftURL", names: []string{"Package.swift"}, asks: regexp.MustCompile(`\.package\(\s*(?:name:[^,]*,\s*)?(?:url|id):`), locks: []string{"Package.resolved"}, wish: regexp.MustCompile(`\.package\(\s*(?:name:[^,()]*,\s*)?(?:url|id):\s*"(?:[^"\s]*[/:])?([^"/:\s]+)/?"`), hint: "make one with: swift package resolve"},
	{tool: "cocoapods", ecosystem: "CocoaPods", names: []string{"Podfile"}, asks: regexp.MustCompile(`(?m)^\s*pod\s+['"]`), locks: []string{"Podfile.lock"}, wish: regexp.MustCompile(`(?m)^\s*pod\s+['"]([^'"/\s]+)`), hint: "make one with: pod install"},
	{tool: "conan", ecosystem: "ConanCenter", names: []string{"conanfile.txt", "conanfile.py"}, asks: regexp.MustCompile(`(?m)^\[requires\]\s*\r?\n\s*\w|\brequires\s*[=(]`), locks: []string{"conan.lock"}, hint: "make one with: conan lock create ."},
	{tool: "deno", ecosystem: "npm", names: []string{"deno.json", "deno.jsonc"}, asks: regexp.MustCompile(`"(?:npm|jsr):[^"]`), locks: []string{"deno.lock"}, hint: "make one with: deno install"},
	{tool: "cabal", ecosystem: "Hackage", suffixes: []string{".cabal"}, asks: regexp.MustCompile(`(?mi)^\s*build-depends:`), locks: []string{"cabal.project.freeze", "stack.yaml.lock"}, hint: "make one with: cabal freeze"},
	{tool: "julia", ecosystem: "Julia", names: []string{"Project.toml", "JuliaProject.toml"}, asks: regexp.MustCompile(`(?m)^\[deps\]\s*\r?\n\s*\w+\s*=\s*"[0-9a-f]{8}-`), locks: []string{"Manifest.toml", "JuliaManifest.toml"}, hint: `make one with: julia --project -e "using Pkg; Pkg.resolve()"`},
	{tool: "go-sum", ecosystem: "Go", names: []string{"go.sum"}, asks: regexp.MustCompile(`(?m)^\S+ v\S+ h1:`), locks: []string{"go.mod", "go.work"}, hint: "go.sum lists what was ever looked at and not what is used; scan the folder with its go.mod"},
	{tool: "dep", ecosystem: "Go", names: []string{"Gopkg.lock", "glide.lock"}, asks: regexp.MustCompile(`(?m)^\s*(?:\[\[projects\]\]|imports:\s*\r?\n\s*-)`), locks: []string{"go.mod"}, hint: "lockfiles of dep and glide are not read; make a go.mod with: go mod init && go mod tidy"},
	{tool: "sbt", ecosystem: "Maven", names: []string{"build.sbt"}, asks: regexp.MustCompile(`libraryDependencies`), hint: "files of sbt are not read; have it write a CycloneDX bill and scan that"},
	{tool: "ivy", ecosystem: "Maven", names: []string{"ivy.xml"}, asks: regexp.MustCompile(`<dependency\s`), hint: "files of Ivy are not read; scan the jars that it fetched"},
	{tool: "leiningen", ecosystem: "Maven", names: []string{"project.clj", "deps.edn"}, asks: regexp.MustCompile(`:dependencies\s*\[\s*\[|:mvn/version`), hint: "files of Clojure are not read; scan the jars that they name, or a pom.xml written with: lein pom"},
	{tool: "bazel", ecosystem: "Bazel", names: []string{"MODULE.bazel", "maven_install.json"}, asks: regexp.MustCompile(`bazel_dep\(|"__INPUT_ARTIFACTS_HASH"|"dependency_tree"`), hint: "files of Bazel are not read; scan what was built"},
	{tool: "vcpkg", ecosystem: "vcpkg", names: []string{"vcpkg.json"}, asks: regexp.MustCompile(`"dependencies"\s*:\s*\[\s*[^\s\]]`), hint: "nobody publishes advisories of vcpkg that could be matched"},
	{tool: "paket", ecosystem: "NuGet", names: []string{"paket.lock"}, asks: regexp.MustCompile(`(?m)^\s+remote:`), hint: "lockfiles of Paket are not read; write a packages.lock.json, or scan the *.deps.json of what was built"},
	{tool: "carthage", ecosystem: "SwiftURL", names: []string{"Cartfile.resolved"}, asks: regexp.MustCompile(`(?m)^(?:github|git|binary)\s`), hint: "lockfiles of Carthage are not read; use the Swift Package Manager's"},
	{tool: "opam", ecosystem: "opam", suffixes: []string{".opam"}, asks: regexp.MustCompile(`(?m)^depends:\s*\[`), hint: "files of opam are not read"},
}

// Extractors has one for each kind of manifest.
func Extractors() []*extract.Extractor {
	var all []*extract.Extractor
	locked := &words{}
	for i := range manifests {
		m := &manifests[i]
		reads := "nothing but that its packages are not known: a gap"
		if len(m.locks) > 0 {
			reads = "nothing but that " + strings.Join(m.locks, " or ") + " is missing beside or above it: a gap"
		}
		if m.wish != nil {
			reads = "nothing but what " + m.locks[0] + " beside or above it does not name: a gap"
		}
		all = append(all, &extract.Extractor{
			Name: "declared/" + m.tool, Ecosystem: m.ecosystem, Names: m.names, Suffixes: m.suffixes,
			Wants: ofProject, Read: m.read(locked), Reads: reads,
		})
	}
	return all
}

// ofProject leaves out what came with others' packages.
func ofProject(file string, _ fs.DirEntry) bool {
	for part := range strings.SplitSeq(path.Dir(file), "/") {
		switch part {
		case "node_modules", "site-packages", "dist-packages", "Pods", "Carthage", ".build", "_build", ".pub-cache":
			return false
		}
	}
	return true
}

// brought are folders into which a tool puts others' packages where its own
// manifest stands beside them. Elsewhere the name says nothing.
var brought = map[string][]string{
	"deps":   {"mix.exs", "rebar.config"},
	"vendor": {"go.mod", "composer.json", "Gemfile", "Cargo.toml", "package.json"},
}

func isBrought(in *extract.Input) bool {
	for dir := in.Dir(); dir != "."; dir = path.Dir(dir) {
		for _, manifest := range brought[path.Base(dir)] {
			if in.Exists("/" + path.Join(path.Dir(dir), manifest)) {
				return true
			}
		}
	}
	return false
}

func (m *manifest) read(locked *words) func(context.Context, *extract.Input, *extract.Sink) error {
	return func(_ context.Context, in *extract.Input, out *extract.Sink) error {
		data, err := in.Text()
		if err != nil {
			return err
		}
		at := m.asks.FindIndex(data)
		if at == nil || isBrought(in) {
			return nil
		}
		if why := m.unknown(locked, in, string(data)); why != "" {
			out.Gap(scanning.ReasonUnsupported, out.At(extract.Line(data, int64(at[0]))), why)
		}
		return nil
	}
}

// unknown says what is not known of a manifest's packages, "" where all is.
func (m *manifest) unknown(locked *words, in *extract.Input, text string) string {
	names, ok := locked.missing(in, m, text)
	const shown = 20
	more := ""
	if len(names) > shown {
		names, more = names[:shown], " and others"
	}
	switch {
	case len(names) > 0:
		return "not in the lockfile: " + strings.Join(names, ", ") + more + "; " + m.hint
	case ok:
		return ""
	case len(m.locks) == 0 || m.ecosystem == "Go":
		return "its packages are not known: " + m.hint
	}
	return "no lockfile: versions unknown; " + m.hint
}
