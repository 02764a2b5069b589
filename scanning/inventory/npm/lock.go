package npm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

type lockfile struct {
	Version      int                `json:"lockfileVersion"`
	Packages     map[string]*locked `json:"packages"`
	Dependencies map[string]*older  `json:"dependencies"`
}

// locked is an entry of versions 2 and 3, by its place in node_modules.
type locked struct {
	Name      string            `json:"name"`
	Version   string            `json:"version"`
	Resolved  string            `json:"resolved"`
	Integrity string            `json:"integrity"`
	Link      bool              `json:"link"`
	Dev       bool              `json:"dev"`
	License   licence           `json:"license"`
	Requires  map[string]string `json:"dependencies"`
	Optional  map[string]string `json:"optionalDependencies"`
	Peer      map[string]string `json:"peerDependencies"`
	DevOnly   map[string]string `json:"devDependencies"`
}

// older is an entry of version 1, nested as it is installed.
type older struct {
	Version      string            `json:"version"`
	Integrity    string            `json:"integrity"`
	Dev          bool              `json:"dev"`
	Requires     map[string]string `json:"requires"`
	Dependencies map[string]*older `json:"dependencies"`
}

func readLock(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock lockfile
	if err := in.JSON(&lock); err != nil {
		return err
	}
	switch {
	case lock.Version > 3:
		return extract.Unsupported("lockfile version %d; versions 1 to 3 are read", lock.Version)
	case lock.Packages != nil:
		newLock(lock.Packages, out)
	case lock.Dependencies != nil:
		o := &olderLock{out: out, direct: manifestNames(in)}
		o.level(lock.Dependencies, nil)
	case lock.Version == 0:
		return extract.Malformed(0, "no lockfileVersion, packages or dependencies: not a lockfile of npm")
	}
	return nil
}

const modules = "node_modules/"

// maxPlace is longer than any path in node_modules. A place is walked up name by
// name for each dependency.
const maxPlace = 4096

func newLock(entries map[string]*locked, out *extract.Sink) {
	direct := map[string]bool{}
	for at, e := range entries {
		if len(at) > maxPlace {
			out.Fail(extract.Malformed(0, "a package at %.80q…, %d bytes deep", at, len(at)))
			delete(entries, at)
			continue
		}
		if e == nil || isInstalled(at) {
			continue
		}
		for _, wanted := range []map[string]string{e.Requires, e.Optional, e.Peer, e.DevOnly} {
			for name := range wanted {
				direct[find(entries, at, name)] = true
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(entries)) {
		e := entries[at]
		if e == nil || e.Link || !isInstalled(at) {
			continue
		}
		one(entries, at, e, direct[at], out)
	}
}

func isInstalled(at string) bool {
	return strings.HasPrefix(at, modules) || strings.Contains(at, "/"+modules)
}

func one(entries map[string]*locked, at string, e *locked, direct bool, out *extract.Sink) {
	name := nameAt(at, e)
	if e.Version == "" {
		out.Unknown(0, name, "the lockfile gives no version: "+e.Resolved)
		return
	}
	p := pkg(name, e.Version)
	p.Direct, p.Dev = direct, e.Dev
	p.Licenses, p.Hashes = e.License, extract.SRI(e.Integrity)
	for _, wanted := range []map[string]string{e.Requires, e.Optional, e.Peer} {
		for dep := range wanted {
			if there := find(entries, at, dep); there != "" && entries[there].Version != "" {
				p.Requires = append(p.Requires, purl(nameAt(there, entries[there]), entries[there].Version))
			}
		}
	}
	out.Add(p)
}

func nameAt(at string, e *locked) string {
	if e.Name != "" {
		return e.Name
	}
	return at[strings.LastIndex(at, modules)+len(modules):]
}

// find looks for a package as node does: in the node_modules of the place, then
// in those above. A link is followed to where it leads.
func find(entries map[string]*locked, at, name string) string {
	for {
		place := modules + name
		if at != "" {
			place = at + "/" + place
		}
		if e := entries[place]; e != nil && !e.Link {
			return place
		}
		if at == "" {
			return ""
		}
		switch i := strings.LastIndex(at, "/"+modules); {
		case i >= 0:
			at = at[:i]
		default:
			at = ""
		}
	}
}

// olderLock reads version 1, whose nesting is bounded by the decoder's.
type olderLock struct {
	out    *extract.Sink
	direct map[string]bool
}

func (o *olderLock) level(entries map[string]*older, above []map[string]*older) {
	scope := append(slices.Clone(above), entries)
	if len(scope) > 100 {
		o.out.Gap(scanning.ReasonTooDeep, o.out.At(0), "packages nested more than 100 deep")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e := entries[name]
		if e == nil {
			continue
		}
		o.entry(name, e, scope)
		if len(e.Dependencies) > 0 {
			o.level(e.Dependencies, scope)
		}
	}
}

func (o *olderLock) entry(name string, e *older, scope []map[string]*older) {
	actual, version := alias(name, e.Version)
	if strings.HasPrefix(version, "file:") {
		return // a folder of this project
	}
	if !exact.MatchString(version) {
		o.out.Unknown(0, actual, fmt.Sprintf("comes from %q, which is no version", version))
		return
	}
	p := pkg(actual, version)
	p.Dev, p.Hashes = e.Dev, extract.SRI(e.Integrity)
	p.Direct = len(scope) == 1 && o.direct[name]
	if e.Dependencies != nil {
		scope = append(slices.Clone(scope), e.Dependencies)
	}
	for dep := range e.Requires {
		for i := len(scope) - 1; i >= 0; i-- {
			if found := scope[i][dep]; found != nil {
				n, v := alias(dep, found.Version)
				p.Requires = append(p.Requires, purl(n, v))
				break
			}
		}
	}
	o.out.Add(p)
}
