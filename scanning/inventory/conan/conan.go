// Package conan reads what C and C++ code gets from Conan: conan.lock.
package conan

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

const ecosystem = "ConanCenter"

// Extractors are those of Conan.
func Extractors() []*extract.Extractor {
	return []*extract.Extractor{{
		Name: "conan/lock", Ecosystem: ecosystem, Names: []string{"conan.lock"}, Read: read,
		Reads: "the lockfiles of Conan 1 and 2; what only builds need is for development",
	}}
}

type lockfile struct {
	Version string `json:"version"`
	// Conan 2.
	Requires []string `json:"requires"`
	Build    []string `json:"build_requires"`
	Python   []string `json:"python_requires"`
	// Conan 1.
	Graph struct {
		Nodes map[string]struct {
			Ref     string   `json:"ref"`
			Context string   `json:"context"`
			Needs   []string `json:"requires"`
		} `json:"nodes"`
	} `json:"graph_lock"`
}

func read(_ context.Context, in *extract.Input, out *extract.Sink) error {
	var lock lockfile
	if err := in.JSON(&lock); err != nil {
		return err
	}
	if lock.Version == "" {
		return extract.Malformed(0, "no version: not a lockfile of Conan")
	}
	for i, list := range [][]string{lock.Requires, lock.Build, lock.Python} {
		for _, ref := range list {
			tell(ref, i > 0, nil, out)
		}
	}
	nodes := lock.Graph.Nodes
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[id]
		if n.Ref == "" {
			continue // the project itself
		}
		var needs []string
		for _, to := range n.Needs {
			if p, ok := parse(nodes[to].Ref); ok {
				needs = append(needs, p.PURL)
			}
		}
		tell(n.Ref, n.Context == "build", needs, out)
	}
	return nil
}

func tell(ref string, dev bool, needs []string, out *extract.Sink) {
	p, ok := parse(ref)
	if !ok {
		out.Fail(extract.Malformed(0, "no package with its version: %.80q", ref))
		return
	}
	p.Dev, p.Requires = dev, needs
	out.Add(p)
}

// parse reads name/version@user/channel#revision%time.
func parse(ref string) (scanning.Package, bool) {
	ref, _, _ = strings.Cut(ref, "#")
	ref, _, _ = strings.Cut(ref, "@")
	name, version, ok := strings.Cut(ref, "/")
	if !ok || name == "" || version == "" {
		return scanning.Package{}, false
	}
	return scanning.Package{Ecosystem: ecosystem, Name: name, Version: version, PURL: extract.PURL("conan", name, version)}, true
}
