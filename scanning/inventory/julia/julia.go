// Package julia reads what Julia code is made of: Manifest.toml.
package julia

import (
	"context"
	"maps"
	"path"
	"slices"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "Julia"

// Extractors are those of Julia.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "julia/manifest", Ecosystem: ecosystem, Names: []string{"Manifest.toml", "JuliaManifest.toml"}, Read: read,
		Reads: "manifest formats 1 and 2; those of the standard library and of this project are left out",
	}}
}

type locked struct {
	UUID    string `toml:"uuid"`
	Version string `toml:"version"`
	Path    string `toml:"path"`
	Repo    string `toml:"repo-url"`
}

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var two struct {
		Format string              `toml:"manifest_format"`
		Julia  string              `toml:"julia_version"`
		Deps   map[string][]locked `toml:"deps"`
	}
	if err := in.TOML(&two); err != nil {
		return err
	}
	if two.Format == "" {
		var err error
		if two.Deps, err = formatOne(in, out); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(two.Deps)) {
		for _, l := range two.Deps[name] {
			l.tell(name, out)
		}
	}
	return nil
}

// formatOne has its packages at the top. Other tools have a Manifest.toml too, in
// which nothing is a list of tables with a uuid.
func formatOne(in *extract.Input, out *extract.Sink) (map[string][]locked, error) {
	var all map[string]any
	if err := in.TOML(&all); err != nil {
		return nil, err
	}
	deps, odd := map[string][]locked{}, []string{}
	ours := path.Base(in.Path) == "JuliaManifest.toml"
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list, ok := entries(all[name])
		if !ok {
			odd = append(odd, name)
			continue
		}
		deps[name] = list
		ours = ours || slices.ContainsFunc(list, func(l locked) bool { return l.UUID != "" })
	}
	if !ours {
		return nil, nil
	}
	for _, name := range odd {
		out.Fail(extract.Malformed(0, "%.80q is no list of packages", name))
	}
	return deps, nil
}

func entries(v any) (all []locked, ok bool) {
	list, ok := v.([]any)
	for _, one := range list {
		table, isTable := one.(map[string]any)
		text := func(key string) string { s, _ := table[key].(string); return s }
		all = append(all, locked{text("uuid"), text("version"), text("path"), text("repo-url")})
		ok = ok && isTable
	}
	return all, ok
}

func (l locked) tell(name string, out *extract.Sink) {
	switch {
	case l.UUID == "":
		out.Fail(extract.Malformed(0, "package %.80q has no uuid", name))
	case l.Path != "", l.Version == "":
		// of this project, or of the standard library
	case l.Repo != "":
		out.Unknown(0, name, "comes from a git repository; its version "+l.Version+" need not be the published one")
	default:
		out.Add(scanning.Package{Ecosystem: ecosystem, Name: name, Version: l.Version, PURL: extract.PURL("julia", name, l.Version, "uuid", l.UUID)})
	}
}
