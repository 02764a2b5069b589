// Package cran reads what R code is made of: renv.lock.
package cran

import (
	"context"
	"maps"
	"slices"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// Extractors are those of R.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "cran/renv-lock", Ecosystem: "CRAN", Names: []string{"renv.lock"}, Read: read,
		Reads: "packages of CRAN and of Bioconductor; those from git are a gap, those of this project are left out",
	}}
}

type locked struct {
	Package    string `json:"Package"`
	Version    string `json:"Version"`
	Source     string `json:"Source"`
	Repository string `json:"Repository"`
}

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock struct {
		R        map[string]any    `json:"R"`
		Packages map[string]locked `json:"Packages"`
	}
	if err := in.JSON(&lock); err != nil {
		return err
	}
	if lock.R == nil && lock.Packages == nil {
		return extract.Malformed(0, "neither R nor Packages: not a lockfile of renv")
	}
	for _, key := range slices.Sorted(maps.Keys(lock.Packages)) {
		lock.Packages[key].tell(key, out)
	}
	return nil
}

func (l locked) tell(key string, out *extract.Sink) {
	name := l.Package
	if name == "" {
		name = key
	}
	ecosystem, typ := "CRAN", "cran"
	switch {
	case l.Version == "":
		out.Unknown(0, name, "the lockfile gives no version of it")
		return
	case l.Source == "Local" || l.Source == "unknown":
		return // of this project
	case l.Source == "Bioconductor" || l.Repository == "Bioconductor":
		ecosystem, typ = "Bioconductor", "bioconductor"
	case l.Source != "Repository" && l.Source != "":
		out.Unknown(0, name, "comes from "+l.Source+"; its version "+l.Version+" need not be the published one")
		return
	}
	out.Add(scanning.Package{Ecosystem: ecosystem, Name: name, Version: l.Version, PURL: extract.PURL(typ, name, l.Version)})
}
