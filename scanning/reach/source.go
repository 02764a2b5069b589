package reach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/internal/untrusted"
)

// The limits of one question.
const (
	maxFiles = 500_000
	maxFile  = 8 << 20
	maxGaps  = 20
)

// SourceOptions say where the sources of others are.
type SourceOptions struct {
	// ModCache is the module cache (GOMODCACHE), nil if there is none.
	ModCache fs.FS
	// GOROOT is the standard library's src folder, nil if there is none. Without
	// it, what the standard library imports of itself is not known.
	GOROOT fs.FS
}

// Source follows the imports of the module whose go.mod stands at the root of a
// tree: of all its packages and their tests, under every build tag, and of the
// packages that those import, as far as their sources are there.
func Source(ctx context.Context, tree fs.FS, opt SourceOptions) (*Set, error) {
	data, err := readSmall(tree, "go.mod")
	if err != nil {
		return nil, core.Wrap(core.KindNotFound, "reach.Source", err)
	}
	mod, strict := modfile.Parse("go.mod", data, nil)
	if strict != nil {
		// A newer Go's file: the requirements are readable, replacements are not.
		mod, err = modfile.ParseLax("go.mod", data, nil)
	}
	if err != nil || mod.Module == nil {
		return nil, core.E(core.KindInvalid, "reach.Source", fmt.Sprintf("go.mod can't be read: %v", cmp.Or(err, strict)))
	}
	w := &walker{
		ctx: ctx, tree: tree, opt: opt, own: mod.Module.Mod.Path, mod: mod, seen: map[string]bool{}, walked: map[string]bool{},
		set: &Set{imported: map[string]bool{}, std: opt.GOROOT != nil},
	}
	if _, err := fs.Stat(tree, "vendor/modules.txt"); err == nil {
		w.vendored = true
	}
	if strict != nil {
		w.gap("go.mod", strict.Error(), scanning.ReasonMalformed)
	}
	if err := w.run(); err != nil {
		return nil, core.Wrap(core.KindUnavailable, "reach.Source", err)
	}
	return w.set, nil
}

type walker struct {
	ctx      context.Context
	tree     fs.FS
	opt      SourceOptions
	own      string
	mod      *modfile.File
	vendored bool
	files    int
	seen     map[string]bool
	walked   map[string]bool // the module's own folders
	todo     []string
	set      *Set
}

// run reads the module itself and then what it imports, one package after the
// other.
func (w *walker) run() error {
	err := fs.WalkDir(w.tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case err != nil:
			w.gap(name, err.Error(), scanning.ReasonUnreadable)
			return nil
		case !d.IsDir():
			return nil
		case w.foreign(name, d.Name()):
			return fs.SkipDir
		}
		w.seen[path.Join(w.own, name)], w.walked[path.Join(w.own, name)] = true, true
		w.folder(w.tree, name, true)
		return nil
	})
	for err == nil && len(w.todo) > 0 {
		next := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		err = w.ctx.Err()
		w.follow(next)
	}
	return err
}

// foreign folders are not of the module: hidden ones, test data, vendored
// sources, and modules of their own.
func (w *walker) foreign(name, base string) bool {
	if name == "." {
		return false
	}
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || name == "vendor" {
		return true
	}
	_, err := fs.Stat(w.tree, path.Join(name, "go.mod"))
	return err == nil
}

// gap names what could not be read; many are counted by their first ones.
func (w *walker) gap(what, why string, reason scanning.Reason) {
	if len(w.set.gaps) < maxGaps {
		w.set.gaps = append(w.set.gaps, scanning.Gap{What: what, Why: "imports could not be followed: " + why, Reason: reason})
	}
}

// folder reads the import statements of all Go files in a folder.
func (w *walker) folder(fsys fs.FS, dir string, tests bool) (found bool) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		w.gap(dir, err.Error(), scanning.ReasonUnreadable)
		return false
	}
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".go") || !tests && strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		found = true
		name := path.Join(dir, e.Name())
		if !e.Type().IsRegular() {
			w.gap(name, "it is no regular file", scanning.ReasonUnreadable)
			continue
		}
		if w.files++; w.files > maxFiles {
			w.gap(name, fmt.Sprintf("there are more than %d files", maxFiles), scanning.ReasonTooMany)
			return found
		}
		w.file(fsys, name)
	}
	return found
}

// file reads one file's imports. What is broken in it stands behind them or
// makes a gap.
func (w *walker) file(fsys fs.FS, name string) {
	data, err := readSmall(fsys, name)
	if err != nil {
		w.gap(name, err.Error(), scanning.ReasonUnreadable)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil {
		w.gap(name, err.Error(), scanning.ReasonMalformed)
		return
	}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil || p == "C" || p == "unsafe" || p == "" {
			continue
		}
		w.add(p)
	}
}

func (w *walker) add(p string) {
	w.set.imported[p] = true
	if !w.seen[p] {
		w.seen[p] = true
		w.todo = append(w.todo, p)
	}
}

// follow reads a package of somebody else.
func (w *walker) follow(p string) {
	switch {
	case w.walked[p]: // it was imported before the walk came to it
		return
	case standard(p):
		// A file for a newer Go may import what this one has not. The standard
		// library imports no module, so only what it imports of itself is unknown.
		if w.opt.GOROOT != nil && !w.tryStd(p) {
			w.set.std = false
		}
		return
	case p == w.own || strings.HasPrefix(p, w.own+"/"):
		if rest := strings.TrimPrefix(strings.TrimPrefix(p, w.own), "/"); w.nested(rest) {
			break
		}
		w.gap(p, "it is imported and not there", scanning.ReasonUnreadable)
		return
	}
	if w.vendored {
		if dir := path.Join("vendor", p); fs.ValidPath(dir) && w.isDir(w.tree, dir) {
			w.folder(w.tree, dir, false)
			return
		}
	}
	if !w.fromModules(p) {
		w.gap(p, "its source is neither in vendor nor in the module cache", scanning.ReasonUnreadable)
	}
}

// nested reports whether a path of the module's own name belongs to another
// module: one in a folder below it.
func (w *walker) nested(rest string) bool {
	for _, r := range w.mod.Require {
		if strings.HasPrefix(path.Join(w.own, rest)+"/", r.Mod.Path+"/") {
			return true
		}
	}
	return false
}

func (w *walker) tryStd(p string) bool {
	for _, dir := range []string{p, "vendor/" + p} {
		if fs.ValidPath(dir) && w.isDir(w.opt.GOROOT, dir) {
			return w.folder(w.opt.GOROOT, dir, false)
		}
	}
	return false
}

func (w *walker) isDir(fsys fs.FS, dir string) bool {
	info, err := fs.Stat(fsys, dir)
	return err == nil && info.IsDir()
}

// fromModules looks for a package in the required modules, the longest name
// first, where go.mod's replacements say.
func (w *walker) fromModules(p string) bool {
	best := module.Version{}
	for _, r := range w.mod.Require {
		if (p == r.Mod.Path || strings.HasPrefix(p, r.Mod.Path+"/")) && len(r.Mod.Path) > len(best.Path) && w.has(r.Mod, p) {
			best = r.Mod
		}
	}
	if best.Path == "" {
		return false
	}
	fsys, dir, ok := w.place(best)
	return ok && w.folder(fsys, path.Join(dir, strings.TrimPrefix(p, best.Path)), false)
}

func (w *walker) has(m module.Version, p string) bool {
	fsys, dir, ok := w.place(m)
	if !ok {
		return false
	}
	at := path.Join(dir, strings.TrimPrefix(p, m.Path))
	return fs.ValidPath(at) && w.isDir(fsys, at)
}

// place is where a module's source stands.
func (w *walker) place(m module.Version) (fs.FS, string, bool) {
	for _, r := range w.mod.Replace {
		if r.Old.Path != m.Path || r.Old.Version != "" && r.Old.Version != m.Version {
			continue
		}
		if r.New.Version == "" {
			dir := path.Clean(r.New.Path)
			return w.tree, dir, fs.ValidPath(dir)
		}
		m = r.New
		break
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil || w.opt.ModCache == nil {
		return nil, "", false
	}
	version, err := module.EscapeVersion(m.Version)
	return w.opt.ModCache, escaped + "@" + version, err == nil
}

// readSmall reads a regular file within the limit.
func readSmall(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := untrusted.Bytes(f, maxFile, name)
	return data, errors.Join(err, f.Close())
}
