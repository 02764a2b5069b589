package inventory

import (
	"io/fs"

	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// versioned is a tree that keeps a file as each of its layers left it, oldest
// first.
type versioned interface {
	Versions(file string) (layers []string, trees []fs.FS)
}

// maxVersions bounds how often one database is read.
const maxVersions = 200

// origins says of each package in a database which layer brought it: the first of
// those in which it has been named, in this version, ever since.
func (w *walk) origins(x *extract.Extractor, in *extract.Input, packages []scanning.Package) {
	tree, ok := w.fsys.(versioned)
	if !ok {
		return
	}
	layers, trees := tree.Versions(in.Path)
	if len(layers) == 0 || len(layers) > maxVersions {
		return
	}
	open := map[string][]*scanning.Package{}
	for i := range packages {
		p := &packages[i]
		p.Layer = layers[len(layers)-1]
		open[p.PURL] = append(open[p.PURL], p)
	}
	for i := len(layers) - 2; i >= 0 && len(open) > 0; i-- {
		then := *in
		then.Owned = nil // of the newest alone
		then.FS = asOf{w.fsys, in.Path, trees[i]}
		before, _ := Read(w.ctx, x, &then)
		still := map[string][]*scanning.Package{}
		for _, b := range before {
			for _, p := range open[b.PURL] {
				p.Layer = layers[i]
				still[b.PURL] = append(still[b.PURL], p)
			}
		}
		open = still
	}
}

// asOf is a tree with one file as an older layer left it.
type asOf struct {
	fs.FS
	file string
	then fs.FS
}

// Open opens the older file under its name.
func (a asOf) Open(name string) (fs.File, error) {
	if name == a.file {
		return a.then.Open(name)
	}
	return a.FS.Open(name)
}

// Lstat is the tree's own.
func (a asOf) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(a.FS, name) }

// ReadLink is the tree's own.
func (a asOf) ReadLink(name string) (string, error) { return fs.ReadLink(a.FS, name) }
