package sbom

import (
	"cmp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// Difference is what happened between two bills of the same subject.
type Difference struct {
	Added, Removed []scanning.Package
	// Changed are packages that have another version now.
	Changed []Change
}

// Change is a package before and after.
type Change struct{ From, To scanning.Package }

// Introduced reports the packages that are in the new bill and were not in the
// old one in this version: what a vulnerability that is new can stand in.
func (d *Difference) Introduced() []scanning.Package {
	out := slices.Clone(d.Added)
	for _, c := range d.Changed {
		out = append(out, c.To)
	}
	return out
}

// Diff compares by ecosystem, name and version, in the order of names. Where it
// is written (file, layer) takes no part: moving a lockfile introduces nothing.
func Diff(from, to *Document) Difference {
	before, after := versions(from.Packages), versions(to.Packages)
	names := map[string]bool{}
	for k := range before {
		names[k] = true
	}
	for k := range after {
		names[k] = true
	}
	var d Difference
	for _, k := range slices.Sorted(mapKeys(names)) {
		gone, came := missing(before[k], after[k]), missing(after[k], before[k])
		for len(gone) > 0 && len(came) > 0 {
			d.Changed = append(d.Changed, Change{gone[0], came[0]})
			gone, came = gone[1:], came[1:]
		}
		d.Removed, d.Added = append(d.Removed, gone...), append(d.Added, came...)
	}
	return d
}

func mapKeys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// versions groups packages by ecosystem and name. A distribution's upgrade
// changes versions and not names, so the release takes no part.
func versions(packages []scanning.Package) map[string]map[string]scanning.Package {
	m := map[string]map[string]scanning.Package{}
	for _, p := range packages {
		base, _, _ := strings.Cut(p.Ecosystem, ":")
		k := base + "\x00" + p.Name
		if m[k] == nil {
			m[k] = map[string]scanning.Package{}
		}
		if _, seen := m[k][p.Version]; !seen {
			m[k][p.Version] = p
		}
	}
	return m
}

// missing returns what a has and b hasn't.
func missing(a, b map[string]scanning.Package) []scanning.Package {
	var out []scanning.Package
	for v, p := range a {
		if _, ok := b[v]; !ok {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y scanning.Package) int { return cmp.Compare(x.Version, y.Version) })
	return out
}
