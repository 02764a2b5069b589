package inventory

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
	"github.com/interlock-security/interlock/scanning/inventory/osrelease"
)

// system names an operating system of which no package database was found: one
// of a kind that is not read (pacman's, chisel's, opkg's), or one that was taken
// out of the image while its packages stayed.
func (w *walk) system() {
	if !w.release || w.database || w.opts.Only != nil {
		return
	}
	in := &extract.Input{FS: w.fsys, Path: "etc/os-release", Limits: w.opts.Limits}
	r, err := osrelease.Of(in, "")
	if err != nil || r.ID == "" {
		return
	}
	name := r.Name
	if name == "" {
		name = r.ID
	}
	w.gap(scanning.ReasonUnsupported, "etc/os-release", "this is "+strings.TrimSpace(name+" "+r.VersionID)+", and no package database that is read was found: what is installed from its packages is not known")
}

// maxOwned bounds the bytes of the paths that are remembered; what is over it is
// told twice.
const maxOwned = 64 << 20

func (w *walk) own(file string) {
	if w.owned[file] || w.ownedBytes+len(file) > maxOwned {
		return
	}
	w.owned[file] = true
	w.ownedBytes += len(file) + perOwned
}

// perOwned is what a path costs beside its bytes.
const perOwned = 48

// unbundle drops what a distribution's package brought and what is wrong with it:
// a module of Python's from rpm has rpm's version and rpm's mends, and its own
// name and version would be held against advisories of PyPI, which know neither.
func (w *walk) unbundle() {
	if len(w.owned) == 0 {
		return
	}
	w.packages = slices.DeleteFunc(w.packages, func(p scanning.Package) bool {
		return (p.Ecosystem == "PyPI" || p.Ecosystem == "Maven") && w.owned[outermost(p.File)]
	})
	w.gaps = slices.DeleteFunc(w.gaps, func(g scanning.Gap) bool {
		return g.Reason == scanning.ReasonUnsupported && w.owned[outermost(g.What)]
	})
}

// layered is a tree that knows which layer brought a file.
type layered interface{ LayerOf(file string) string }

func (w *walk) layers() {
	tree, ok := w.fsys.(layered)
	if !ok {
		return
	}
	digests := map[string]string{}
	for i := range w.packages {
		p := &w.packages[i]
		if p.Layer != "" {
			continue
		}
		file := outermost(p.File)
		if _, known := digests[file]; !known {
			digests[file] = tree.LayerOf(file)
		}
		p.Layer = digests[file]
	}
}

// settle drops an installed copy of what a lockfile above it already tells in
// the same version: one package, not two to be fixed. A copy in another version
// stays, because it is the one that runs.
func settle(packages []scanning.Package, installed map[string]bool) []scanning.Package {
	asked := map[string]map[string]bool{} // purl to folders of lockfiles
	for i := range packages {
		if p := &packages[i]; !installed[outermost(p.File)] && p.PURL != "" {
			if asked[p.PURL] == nil {
				asked[p.PURL] = map[string]bool{}
			}
			asked[p.PURL][path.Dir(p.File)] = true
		}
	}
	kept := packages[:0]
	for _, p := range packages {
		if !installed[outermost(p.File)] || !above(asked[p.PURL], p.File) {
			kept = append(kept, p)
		}
	}
	return kept
}

func above(folders map[string]bool, file string) bool {
	if len(folders) == 0 {
		return false
	}
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if folders[dir] {
			return true
		}
		if dir == "." {
			return false
		}
	}
}

// ordered sorts gaps by place and drops those told twice.
func ordered(gaps []scanning.Gap) []scanning.Gap {
	slices.SortFunc(gaps, func(a, b scanning.Gap) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Why, b.Why), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(gaps)
}

// outermost is the file of the tree in which an archive's member stands.
func outermost(file string) string {
	file, _, _ = strings.Cut(file, "!/")
	return file
}
