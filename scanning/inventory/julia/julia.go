// Package julia reads what Julia code is made of: Manifest.toml.
package julia

import (
	"context"
	"maps"
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
		two.Deps = nil
		if in.TOML(&two.Deps) != nil {
			return nil // another tool's: tables where Julia has lists of them
		}
	}
	for _, name := range slices.Sorted(maps.Keys(two.Deps)) {
		for _, l := range two.Deps[name] {
			l.tell(name, out)
		}
	}
	return nil
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
