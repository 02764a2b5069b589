// Package nuget reads what .NET is made of: NuGet's lockfiles and what the SDK
// writes beside a program.
package nuget

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "NuGet"

// Extractors are those of .NET.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{
		{
			Name: "nuget/lock", Ecosystem: ecosystem, Names: []string{"packages.lock.json"}, Read: readLock,
			Reads: "versions 1 and 2, every framework, with edges",
		},
		{
			Name: "nuget/assets", Ecosystem: ecosystem, Names: []string{"project.assets.json"}, Read: readAssets,
			Reads: "what a restore resolved, every target, with edges",
		},
		{
			Name: "nuget/deps", Ecosystem: ecosystem, Suffixes: []string{".deps.json"}, Read: readDeps, Installed: true,
			Reads: "packages that a published program carries, with edges",
		},
		{
			Name: "nuget/packages-config", Ecosystem: ecosystem, Names: []string{"packages.config"}, Read: readConfig,
			Reads: "the older list of packages",
		},
		{
			Name: "nuget/project", Ecosystem: ecosystem, Suffixes: []string{".csproj", ".fsproj", ".vbproj"}, Read: readProject,
			Reads: "PackageReference with a literal version, or that of Directory.Packages.props above; without a lockfile what these need is unknown: a gap",
		},
	}
}

func pkg(name, version string) scanning.Package {
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, PURL: extract.PURL("nuget", name, version)}
}

type lockfile struct {
	Version      int                          `json:"version"`
	Dependencies map[string]map[string]locked `json:"dependencies"`
}

type locked struct {
	Type         string            `json:"type"`
	Resolved     string            `json:"resolved"`
	Hash         string            `json:"contentHash"`
	Dependencies map[string]string `json:"dependencies"`
}

func readLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock lockfile
	if err := in.JSON(&lock); err != nil {
		return err
	}
	if lock.Version < 1 || lock.Version > 2 {
		return extract.Unsupported("lockfile version %d; versions 1 and 2 are read", lock.Version)
	}
	for _, packages := range lock.Dependencies {
		folded := map[string]string{}
		for name, e := range packages {
			folded[strings.ToLower(name)] = pkg(name, e.Resolved).PURL
		}
		for name, e := range packages {
			if strings.EqualFold(e.Type, "Project") {
				continue
			}
			if e.Resolved == "" {
				out.Unknown(0, name, "the lockfile gives no version of it")
				continue
			}
			p := pkg(name, e.Resolved)
			p.Direct, p.Hashes = strings.EqualFold(e.Type, "Direct"), sha512(e.Hash)
			p.Requires = needs(e.Dependencies, folded)
			out.Add(p)
		}
	}
	return nil
}

func needs(wanted, known map[string]string) (purls []string) {
	for name := range wanted {
		if to := known[strings.ToLower(name)]; to != "" {
			purls = append(purls, to)
		}
	}
	return purls
}

func sha512(b64 string) map[string]string {
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		return nil
	}
	return extract.Hex("sha512", hex.EncodeToString(raw))
}

// target is what both the SDK's files say of "Name/1.2.3".
type target struct {
	Type         string            `json:"type"`
	SHA512       string            `json:"sha512"`
	Dependencies map[string]string `json:"dependencies"`
}

// resolved tells the packages of one target. Libraries say which of them are
// packages and not projects.
func resolved(entries, libraries map[string]target, direct map[string]bool, out *extract.Sink) {
	known := map[string]string{}
	for key := range entries {
		if name, version, ok := strings.Cut(key, "/"); ok {
			known[strings.ToLower(name)] = pkg(name, version).PURL
		}
	}
	for key, e := range entries {
		library := libraries[key]
		name, version, ok := strings.Cut(key, "/")
		if library.Type != "package" && (library.Type != "" || e.Type != "package") {
			continue
		}
		if !ok || version == "" {
			out.Unknown(0, key, "it gives no version")
			continue
		}
		p := pkg(name, version)
		p.Direct = direct[strings.ToLower(name)]
		p.Hashes = sha512(strings.TrimPrefix(library.SHA512, "sha512-"))
		p.Requires = needs(e.Dependencies, known)
		out.Add(p)
	}
}

func readAssets(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var assets struct {
		Version   int                          `json:"version"`
		Targets   map[string]map[string]target `json:"targets"`
		Libraries map[string]target            `json:"libraries"`
		Groups    map[string][]string          `json:"projectFileDependencyGroups"`
	}
	if err := in.JSON(&assets); err != nil {
		return err
	}
	if assets.Targets == nil {
		return extract.Malformed(0, "no targets: not the assets of a restore")
	}
	direct := map[string]bool{}
	for _, wishes := range assets.Groups {
		for _, w := range wishes {
			name, _, _ := strings.Cut(w, " ")
			direct[strings.ToLower(name)] = true
		}
	}
	for _, t := range slices.Sorted(maps.Keys(assets.Targets)) {
		resolved(assets.Targets[t], assets.Libraries, direct, out)
	}
	return nil
}

func readDeps(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var deps struct {
		Targets   map[string]map[string]target `json:"targets"`
		Libraries map[string]target            `json:"libraries"`
	}
	if err := in.JSON(&deps); err != nil {
		return err
	}
	direct := map[string]bool{}
	for _, entries := range deps.Targets {
		for key, e := range entries {
			if deps.Libraries[key].Type != "project" {
				continue
			}
			for name := range e.Dependencies {
				direct[strings.ToLower(name)] = true
			}
		}
	}
	for _, t := range slices.Sorted(maps.Keys(deps.Targets)) {
		resolved(deps.Targets[t], deps.Libraries, direct, out)
	}
	return nil
}

func readConfig(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var list struct {
		Packages []struct {
			ID      string `xml:"id,attr"`
			Version string `xml:"version,attr"`
			Dev     bool   `xml:"developmentDependency,attr"`
		} `xml:"package"`
	}
	if err := in.XML(&list); err != nil {
		return err
	}
	for _, e := range list.Packages {
		if e.Version == "" {
			out.Unknown(0, e.ID, "it gives no version")
			continue
		}
		p := pkg(e.ID, e.Version)
		p.Direct, p.Dev = true, e.Dev
		out.Add(p)
	}
	return nil
}

// literal is a version without property, range or star.
var literal = regexp.MustCompile(`^\[?(\d+(?:\.\d+){1,3}(?:-[0-9A-Za-z.-]+)?)\]?$`)

type reference struct {
	Include        string `xml:"Include,attr"`
	Update         string `xml:"Update,attr"`
	Attribute      string `xml:"Version,attr"`
	Element        string `xml:"Version"`
	Override       string `xml:"VersionOverride,attr"`
	PrivateAssets  string `xml:"PrivateAssets,attr"`
	PrivateElement string `xml:"PrivateAssets"`
}

func (r *reference) version() string {
	for _, v := range []string{r.Override, r.Attribute, r.Element} {
		if v != "" {
			return v
		}
	}
	return ""
}

type project struct {
	Groups []struct {
		References []reference `xml:"PackageReference"`
		Versions   []reference `xml:"PackageVersion"`
	} `xml:"ItemGroup"`
}

func readProject(_ context.Context, in *extract.Input, out *extract.Sink) error {
	if in.Exists("packages.lock.json") || in.Exists("obj/project.assets.json") {
		return nil
	}
	var p project
	if err := in.XML(&p); err != nil {
		return err
	}
	central := versions(in)
	count := 0
	for _, g := range p.Groups {
		for _, r := range g.References {
			if r.Include != "" {
				count++
				r.tell(central, out)
			}
		}
	}
	if count > 0 {
		out.Gap(scanning.ReasonUnsupported, out.At(0), "no lockfile: what its packages need is unknown; make one with: dotnet restore --use-lock-file")
	}
	return nil
}

func (r *reference) tell(central map[string]string, out *extract.Sink) {
	version := r.version()
	if version == "" {
		version = central[strings.ToLower(r.Include)]
	}
	m := literal.FindStringSubmatch(version)
	if m == nil {
		out.Unknown(0, r.Include, "its version "+version+" is not a literal one")
		return
	}
	p := pkg(r.Include, m[1])
	p.Direct, p.Dev = true, strings.EqualFold(r.PrivateAssets+r.PrivateElement, "all")
	out.Add(p)
}

// versions are those that Directory.Packages.props, here or above, sets for all.
func versions(in *extract.Input) map[string]string {
	for dir := in.Dir(); ; dir = path.Dir(dir) {
		data, err := in.Other("/" + path.Join(dir, "Directory.Packages.props"))
		var p project
		if err == nil && extract.XML(in, data, &p) == nil {
			central := map[string]string{}
			for _, g := range p.Groups {
				for _, v := range g.Versions {
					central[strings.ToLower(v.Include)] = v.version()
				}
			}
			return central
		}
		if dir == "." {
			return nil
		}
	}
}
