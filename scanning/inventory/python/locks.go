package python

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// entry is a package of any of the lockfiles, as far as they agree.
type entry struct {
	name, version string
	needs         []string // normal names
	direct, dev   bool
	hashes        map[string]string
}

// maxVersions is how many versions of one name a need may lead to.
const maxVersions = 16

// tell adds the entries with their edges. Two versions of one name are told
// apart by nothing that a need says; it then leads to both.
func tell(entries []entry, out *extract.Sink) {
	byName := map[string][]string{}
	for _, e := range entries {
		if n := normal(e.name); len(byName[n]) < maxVersions {
			byName[n] = append(byName[n], purl(e.name, e.version))
		}
	}
	for _, e := range entries {
		if e.version == "" {
			out.Unknown(0, e.name, "the lockfile gives no version of it")
			continue
		}
		p := pkg(e.name, e.version)
		p.Direct, p.Dev, p.Hashes = e.direct, e.dev, e.hashes
		for _, n := range e.needs {
			p.Requires = append(p.Requires, byName[n]...)
		}
		out.Add(p)
	}
}

// develop marks what only the dev roots reach.
func develop(entries []entry, runtime, dev []string) {
	byName := map[string][]int{}
	for i, e := range entries {
		if n := normal(e.name); len(byName[n]) < maxVersions {
			byName[n] = append(byName[n], i)
		}
	}
	reach := func(todo []string) map[int]bool {
		seen := map[int]bool{}
		for len(todo) > 0 {
			name := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for _, i := range byName[name] {
				if !seen[i] {
					seen[i] = true
					todo = append(todo, entries[i].needs...)
				}
			}
		}
		return seen
	}
	asked := map[string]bool{}
	for _, name := range slices.Concat(runtime, dev) {
		asked[name] = true
	}
	used, only := reach(slices.Clone(runtime)), reach(slices.Clone(dev))
	for i := range entries {
		entries[i].direct = asked[normal(entries[i].name)]
		entries[i].dev = only[i] && !used[i]
	}
}

type file struct {
	File string `toml:"file"`
	Name string `toml:"name"`
	Hash string `toml:"hash"`
}

// sdist is the hash of the source distribution: a package has a wheel for each
// platform, but one source.
func sdist(files []file) map[string]string {
	for _, f := range files {
		if len(files) == 1 || strings.HasSuffix(f.File+f.Name, ".tar.gz") {
			return hash(f.Hash)
		}
	}
	return nil
}

func hash(text string) map[string]string {
	algorithm, digest, _ := strings.Cut(text, ":")
	return extract.Hex(algorithm, digest)
}

func readPipfile(_ context.Context, in *extract.Input, out *extract.Sink) error {
	type locked struct {
		Version  string   `json:"version"`
		Hashes   []string `json:"hashes"`
		Path     string   `json:"path"`
		Editable bool     `json:"editable"`
	}
	var lock struct {
		Default map[string]locked `json:"default"`
		Develop map[string]locked `json:"develop"`
	}
	if err := in.JSON(&lock); err != nil {
		return err
	}
	if lock.Default == nil && lock.Develop == nil {
		return extract.Malformed(0, "neither default nor develop: not a lockfile of pipenv")
	}
	var entries []entry
	for i, group := range []map[string]locked{lock.Default, lock.Develop} {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			l := group[name]
			if l.Path != "" {
				continue // of this project
			}
			e := entry{name: name, version: strings.TrimLeft(l.Version, "= "), dev: i == 1}
			if len(l.Hashes) == 1 {
				e.hashes = hash(l.Hashes[0])
			}
			entries = append(entries, e)
		}
	}
	tell(entries, out)
	return nil
}

func readPoetry(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock struct {
		Packages []struct {
			Name         string         `toml:"name"`
			Version      string         `toml:"version"`
			Category     string         `toml:"category"`
			Groups       []string       `toml:"groups"`
			Dependencies map[string]any `toml:"dependencies"`
			Files        []file         `toml:"files"`
			Source       struct {
				Type string `toml:"type"`
			} `toml:"source"`
		} `toml:"package"`
		Metadata map[string]any `toml:"metadata"`
	}
	if err := decode(in, &lock); err != nil {
		return err
	}
	if lock.Metadata == nil && lock.Packages == nil {
		return extract.Malformed(0, "no packages: not a lockfile of poetry")
	}
	asked := asks(in)
	var entries []entry
	for _, p := range lock.Packages {
		if p.Source.Type == "directory" || p.Source.Type == "file" {
			continue // of this project
		}
		e := entry{
			name: p.Name, version: p.Version, hashes: sdist(p.Files), direct: asked[normal(p.Name)],
			dev: p.Category == "dev" || len(p.Groups) > 0 && !slices.Contains(p.Groups, "main"),
		}
		for name := range p.Dependencies {
			e.needs = append(e.needs, normal(name))
		}
		entries = append(entries, e)
	}
	tell(entries, out)
	return nil
}

func decode(in *extract.Input, v any) error {
	data, err := in.Text()
	if err != nil {
		return err
	}
	return extract.TOML(in, data, v)
}

// lockedBy is a package of uv's lockfile.
type lockedBy struct {
	Name     string             `toml:"name"`
	Version  string             `toml:"version"`
	Source   map[string]any     `toml:"source"`
	Needs    []named            `toml:"dependencies"`
	Optional map[string][]named `toml:"optional-dependencies"`
	Dev      map[string][]named `toml:"dev-dependencies"`
	Sdist    file               `toml:"sdist"`
}

type named struct {
	Name string `toml:"name"`
}

func names(list []named) (all []string) {
	for _, n := range list {
		all = append(all, normal(n.Name))
	}
	return all
}

func readUV(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock struct {
		Version  int        `toml:"version"`
		Packages []lockedBy `toml:"package"`
	}
	if err := decode(in, &lock); err != nil {
		return err
	}
	if lock.Version != 1 {
		return extract.Unsupported("lockfile version %d; version 1 is read", lock.Version)
	}
	var entries []entry
	var runtime, dev []string
	for _, p := range lock.Packages {
		needs := names(p.Needs)
		for _, extra := range p.Optional {
			needs = append(needs, names(extra)...)
		}
		if own(p.Source) {
			runtime = append(runtime, needs...)
			for _, group := range p.Dev {
				dev = append(dev, names(group)...)
			}
			continue
		}
		entries = append(entries, entry{name: p.Name, version: p.Version, needs: needs, hashes: hash(p.Sdist.Hash)})
	}
	develop(entries, runtime, dev)
	tell(entries, out)
	return nil
}

// own is a package of the project itself.
func own(source map[string]any) bool {
	for _, kind := range []string{"virtual", "editable", "directory"} {
		if _, ok := source[kind]; ok {
			return true
		}
	}
	return false
}

func readPDM(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock struct {
		Metadata map[string]any `toml:"metadata"`
		Packages []struct {
			Name     string   `toml:"name"`
			Version  string   `toml:"version"`
			Groups   []string `toml:"groups"`
			Needs    []string `toml:"dependencies"`
			Files    []file   `toml:"files"`
			Path     string   `toml:"path"`
			Editable bool     `toml:"editable"`
		} `toml:"package"`
	}
	if err := decode(in, &lock); err != nil {
		return err
	}
	if lock.Metadata == nil {
		return extract.Malformed(0, "no metadata: not a lockfile of pdm")
	}
	asked := asks(in)
	var entries []entry
	for _, p := range lock.Packages {
		if p.Path != "" {
			continue // of this project
		}
		e := entry{
			name: p.Name, version: p.Version, hashes: sdist(p.Files), direct: asked[normal(p.Name)],
			dev: len(p.Groups) > 0 && !slices.Contains(p.Groups, "default"),
		}
		for _, n := range p.Needs {
			e.needs = append(e.needs, nameOf(n))
		}
		entries = append(entries, e)
	}
	tell(entries, out)
	return nil
}

func readPylock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock struct {
		Version  string `toml:"lock-version"`
		Packages []struct {
			Name      string  `toml:"name"`
			Version   string  `toml:"version"`
			Needs     []named `toml:"dependencies"`
			Directory any     `toml:"directory"`
			Sdist     struct {
				Hashes map[string]string `toml:"hashes"`
			} `toml:"sdist"`
		} `toml:"packages"`
	}
	if err := decode(in, &lock); err != nil {
		return err
	}
	if !strings.HasPrefix(lock.Version, "1.") {
		return extract.Unsupported("lock-version %q; version 1 is read", lock.Version)
	}
	asked := asks(in)
	var entries []entry
	for _, p := range lock.Packages {
		if p.Directory != nil {
			continue // of this project
		}
		entries = append(entries, entry{
			name: p.Name, version: p.Version, needs: names(p.Needs), direct: asked[normal(p.Name)],
			hashes: extract.Hex("sha256", p.Sdist.Hashes["sha256"]),
		})
	}
	tell(entries, out)
	return nil
}

// pyproject is what a project asks for, in the standard's words and in poetry's.
type pyproject struct {
	Project struct {
		Name     string              `toml:"name"`
		Needs    []string            `toml:"dependencies"`
		Optional map[string][]string `toml:"optional-dependencies"`
		Dynamic  []string            `toml:"dynamic"`
	} `toml:"project"`
	Groups map[string][]any `toml:"dependency-groups"`
	Tool   struct {
		Poetry struct {
			Needs  map[string]any `toml:"dependencies"`
			Dev    map[string]any `toml:"dev-dependencies"`
			Groups map[string]struct {
				Needs map[string]any `toml:"dependencies"`
			} `toml:"group"`
		} `toml:"poetry"`
		Setuptools struct {
			Dynamic map[string]any `toml:"dynamic"`
		} `toml:"setuptools"`
	} `toml:"tool"`
	// Pipfile's.
	Packages map[string]any `toml:"packages"`
	Dev      map[string]any `toml:"dev-packages"`
}

func (p *pyproject) names() map[string]bool {
	all := map[string]bool{}
	groups := slices.Collect(maps.Values(p.Project.Optional))
	for _, list := range append(groups, p.Project.Needs) {
		for _, n := range list {
			all[nameOf(n)] = true
		}
	}
	for _, list := range p.Groups {
		for _, n := range list {
			if text, ok := n.(string); ok {
				all[nameOf(text)] = true
			}
		}
	}
	tables := []map[string]any{p.Tool.Poetry.Needs, p.Tool.Poetry.Dev, p.Packages, p.Dev}
	for _, g := range p.Tool.Poetry.Groups {
		tables = append(tables, g.Needs)
	}
	for _, t := range tables {
		for n := range t {
			all[normal(n)] = true
		}
	}
	delete(all, "python")
	return all
}

// asks is what the pyproject.toml beside a lockfile asks for.
func asks(in *extract.Input) map[string]bool {
	var p pyproject
	data, err := in.Other("pyproject.toml")
	if err != nil || extract.TOML(in, data, &p) != nil {
		return nil // its own extractor says so
	}
	return p.names()
}
