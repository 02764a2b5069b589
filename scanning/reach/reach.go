// Package reach says whether the vulnerable packages of a Go module are imported
// at all. Most advisories about a large module concern one of its packages; who
// doesn't import that is not affected, and who can't be sure is told so.
//
// It runs no tool and asks no network: [Source] follows the import statements of
// a module's tree through vendor/ or the module cache, under every build tag;
// [Binary] reads which packages have code in a linked program. When anything on
// the way can't be read, the answer for what was not seen is unknown, and
// unknown counts as reachable.
//
// It stands beside the inventories, above scanning/advisory, whose findings
// [Apply] marks.
package reach

import (
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/advisory"
)

// Set is the packages that a program imports, as far as they are known.
type Set struct {
	imported map[string]bool
	// gaps name what could not be read. With none the set is complete.
	gaps []scanning.Gap
	// std says that imports within the standard library were followed.
	std bool
}

// Complete says that every import was followed to its end.
func (s *Set) Complete() bool { return len(s.gaps) == 0 }

// Gaps name what could not be read.
func (s *Set) Gaps() []scanning.Gap { return s.gaps }

// Packages lists what is imported, sorted.
func (s *Set) Packages() []string { return slices.Sorted(maps.Keys(s.imported)) }

// Reach says whether any of the packages is imported. With no packages named,
// any package of the module counts. It says not-imported only when everything
// was read.
func (s *Set) Reach(module string, packages []string) scanning.Reach {
	std := module == "stdlib"
	for path := range s.imported {
		if len(packages) == 0 && (path == module || strings.HasPrefix(path, module+"/") || std && standard(path)) {
			return scanning.ReachImported
		}
	}
	for _, p := range packages {
		if s.imported[p] {
			return scanning.ReachImported
		}
	}
	if !s.Complete() || std && !s.std || module == "toolchain" {
		return scanning.ReachUnknown
	}
	return scanning.ReachNotImported
}

// standard reports whether a path is the standard library's: its first part has
// no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && path != "main"
}

// Advisories is what [Apply] asks; [advisory.DB] is one.
type Advisories interface {
	Get(name string) (*advisory.Advisory, error)
}

// Apply marks the findings about Go modules whose advisory names the vulnerable
// packages. Of several records of one vulnerability those count that name
// packages; where none does, the finding stays as it is.
func Apply(s *Set, db Advisories, findings []scanning.Finding) {
	for i := range findings {
		f := &findings[i]
		if f.Class != scanning.ClassVulnerability || f.Package == nil || f.Package.Ecosystem != "Go" {
			continue
		}
		if packages, ok := vulnerable(db, f); ok {
			f.Reach = s.Reach(f.Package.Name, packages)
		}
	}
}

// vulnerable collects the packages that a finding's advisories name. A record
// that speaks of the module and names none means all of it.
func vulnerable(db Advisories, f *scanning.Finding) (packages []string, ok bool) {
	for _, name := range append([]string{f.Rule}, f.Aliases...) {
		a, err := db.Get(name)
		if err != nil || !a.Withdrawn.IsZero() {
			continue
		}
		for i := range a.Affected {
			e := &a.Affected[i]
			if e.Ecosystem != "Go" || e.Name != f.Package.Name {
				continue
			}
			for _, imp := range e.Imports {
				packages, ok = append(packages, imp.Path), true
			}
		}
	}
	return packages, ok
}
