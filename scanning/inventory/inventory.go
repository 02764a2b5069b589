package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/scanning"
	"github.com/interlock-security/interlock/scanning/inventory/extract"
)

// Options say what of a tree is read. The zero value reads all of it with every
// extractor.
type Options struct {
	// Only names extractors ("npm/package-lock") or their folders ("npm"); nil is
	// all.
	Only []string
	// Skip are folders and files left out on purpose: slash paths from the root,
	// base names, or path.Match patterns of either.
	Skip []string
	// Host leaves out what a running system makes up: /proc, /sys, /dev, /run.
	Host bool
	// OneFileSystem stays on the root's file system; what is mounted below it is
	// left out on purpose.
	OneFileSystem bool
	// Limits bound one file; zero ones are extract.Defaults.
	Limits extract.Limits
	// MaxFiles is how many files and folders are looked at, MaxPackages how many
	// packages are kept; 0 is ten and two million.
	MaxFiles, MaxPackages int
	// Progress, if set, is called now and then.
	Progress func(files int64, at string)
}

const (
	defaultMaxFiles    = 10_000_000
	defaultMaxPackages = 2_000_000
	progressEvery      = 1024
	// maxGaps is how many are listed; the others are counted.
	maxGaps = 100_000
	// maxDepth is far deeper than any tree in use. Each folder is opened from the
	// root, so that what is deep costs its square.
	maxDepth = 400
)

// madeUp are the folders in which a running system shows itself.
var madeUp = []string{"proc", "sys", "dev", "run"}

// FS tells every package that stands in a tree, and every part of the tree that
// was not read. The order is that of paths and names. Where the tree knows its
// layers (LayerOf), packages say which brought them. An error means that
// nothing can be said: the root cannot be read, or ctx was cancelled.
func FS(ctx context.Context, fsys fs.FS, opts Options) ([]scanning.Package, []scanning.Gap, error) {
	w, err := newWalk(ctx, fsys, opts)
	if err != nil {
		return nil, nil, err
	}
	switch err := fs.WalkDir(fsys, ".", w.visit); {
	case errors.Is(err, context.DeadlineExceeded):
		w.gap(scanning.ReasonTimeout, w.at, "time ran out here; nothing after it was read")
	case errors.Is(err, errTooMany):
		w.gap(scanning.ReasonTooMany, w.at, err.Error()+"; nothing after it was read")
	case err != nil:
		return nil, nil, fmt.Errorf("inventory: %w", err)
	}
	w.system()
	w.unbundle()
	w.layers()
	w.gaps = ordered(w.gaps)
	if w.more > 0 {
		w.gaps = append(w.gaps, scanning.Gap{What: ".", Reason: scanning.ReasonTooMany, Why: fmt.Sprintf("%d more gaps than are listed", w.more)})
	}
	packages := settle(w.packages, w.installed)
	slices.SortFunc(packages, extract.Compare)
	return packages, w.gaps, nil
}

type walk struct {
	ctx        context.Context //nolint:containedctx // of one call
	fsys       fs.FS
	opts       Options
	extractors []*extract.Extractor
	byName     map[string][]*extract.Extractor
	bySuffix   map[string][]*extract.Extractor
	byWish     []*extract.Extractor
	packages   []scanning.Package
	installed  map[string]bool // files whose packages are there, not asked for
	gaps       []scanning.Gap
	files      int
	at         string
	once       once // reused: a walk meets millions
	device     uint64
	rooted     bool
	owned      map[string]bool // files of distributions' packages
	ownedBytes int
	release    bool // the tree says which operating system it is
	database   bool // a package database was read, or tried
	more       int  // gaps not listed
}

var errTooMany = errors.New("more than may be looked at")

func newWalk(ctx context.Context, fsys fs.FS, opts Options) (*walk, error) {
	opts.Limits = opts.Limits.Or(extract.Defaults)
	if opts.MaxFiles == 0 {
		opts.MaxFiles = defaultMaxFiles
	}
	if opts.MaxPackages == 0 {
		opts.MaxPackages = defaultMaxPackages
	}
	w := &walk{
		ctx: ctx, fsys: fsys, opts: opts,
		byName: map[string][]*extract.Extractor{}, bySuffix: map[string][]*extract.Extractor{},
		installed: map[string]bool{}, owned: map[string]bool{},
	}
	return w, w.choose()
}

// choose sorts the extractors by how they know their files.
func (w *walk) choose() error {
	used := map[string]bool{}
	for _, x := range Extractors() {
		folder, _, _ := strings.Cut(x.Name, "/")
		if w.opts.Only != nil && !slices.Contains(w.opts.Only, x.Name) && !slices.Contains(w.opts.Only, folder) {
			continue
		}
		used[x.Name], used[folder] = true, true
		w.extractors = append(w.extractors, x)
		for _, n := range x.Names {
			w.byName[n] = append(w.byName[n], x)
		}
		for _, s := range x.Suffixes {
			w.bySuffix[path.Ext(s)] = append(w.bySuffix[path.Ext(s)], x)
		}
		if len(x.Names)+len(x.Suffixes) == 0 {
			w.byWish = append(w.byWish, x)
		}
	}
	for _, name := range w.opts.Only {
		if !used[name] {
			return core.E(core.KindInvalid, "inventory.FS", fmt.Sprintf("there is no extractor %q", name)).
				WithHint("docs/reference/inventories.md lists them")
		}
	}
	return nil
}

func (w *walk) gap(reason scanning.Reason, what, why string) {
	if len(w.gaps) >= maxGaps {
		w.more++
		return
	}
	w.gaps = append(w.gaps, scanning.Gap{What: extract.Printable(what), Why: extract.Printable(why), Reason: reason})
}

func (w *walk) visit(file string, d fs.DirEntry, err error) error {
	w.at = file
	if err != nil {
		return w.unreadable(file, d, err)
	}
	if err := w.budget(file); err != nil {
		return err
	}
	if w.skips(file) || d.IsDir() && (w.elsewhere(file) || w.mounted(d)) {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if d.IsDir() && strings.Count(file, "/") >= maxDepth {
		w.gap(scanning.ReasonTooDeep, file, fmt.Sprintf("more than %d folders inside each other; nothing below it was read", maxDepth))
		return fs.SkipDir
	}
	w.release = w.release || file == "etc/os-release" || file == "usr/lib/os-release"
	switch {
	case d.Type().IsRegular():
		w.file(file, d)
	case d.Type()&fs.ModeSymlink != 0:
		w.link(file, d)
	}
	return nil
}

// unreadable goes on past anything but the root itself.
func (w *walk) unreadable(file string, d fs.DirEntry, err error) error {
	if file == "." || errors.Is(err, context.Canceled) {
		return err
	}
	w.gap(scanning.ReasonUnreadable, file, extract.AsFault(err).Msg)
	if d != nil && d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (w *walk) budget(file string) error {
	if w.files++; w.files > w.opts.MaxFiles {
		return fmt.Errorf("%d files: %w", w.files, errTooMany)
	}
	if len(w.packages) > w.opts.MaxPackages {
		return fmt.Errorf("%d packages: %w", len(w.packages), errTooMany)
	}
	if w.files%progressEvery != 0 {
		return nil
	}
	if w.opts.Progress != nil {
		w.opts.Progress(int64(w.files), file)
	}
	return w.ctx.Err()
}

func (w *walk) skips(file string) bool {
	if w.opts.Host && slices.Contains(madeUp, file) {
		return true
	}
	for _, pattern := range w.opts.Skip {
		for _, name := range []string{file, path.Base(file)} {
			if ok, err := path.Match(strings.TrimSuffix(pattern, "/"), name); ok && err == nil {
				return true
			}
		}
	}
	return false
}

// mounted reports whether a folder is on another file system than the root.
func (w *walk) mounted(d fs.DirEntry) bool {
	if !w.opts.OneFileSystem {
		return false
	}
	info, err := d.Info()
	if err != nil {
		return false // reading it says what is wrong
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if !w.rooted {
		w.device, w.rooted = stat.Dev, true
	}
	return stat.Dev != w.device
}

// elsewhere are the folders that hold no part of what the tree is: the stores of
// version control, and Go's module cache, whose sources are part of a program
// only where one says so.
func (w *walk) elsewhere(dir string) bool {
	switch path.Base(dir) {
	case ".git", ".hg", ".svn":
		return true
	case "mod":
		if path.Base(path.Dir(dir)) != "pkg" {
			return false
		}
		_, err := fs.Stat(w.fsys, path.Join(dir, "cache/download"))
		return err == nil
	}
	return false
}

func (w *walk) file(file string, d fs.DirEntry) {
	base := path.Base(file)
	w.ask(w.byName[base], file, d)
	if ext := path.Ext(base); ext != "" {
		w.ask(w.bySuffix[ext], file, d)
	}
	w.once = once{DirEntry: d}
	w.ask(w.byWish, file, &w.once)
}

// once asks the file system at most once for what a file is.
type once struct {
	fs.DirEntry
	info fs.FileInfo
	err  error
}

// Info remembers what it was told.
func (o *once) Info() (fs.FileInfo, error) {
	if o.info == nil && o.err == nil {
		o.info, o.err = o.DirEntry.Info()
	}
	return o.info, o.err
}

func (w *walk) ask(extractors []*extract.Extractor, file string, d fs.DirEntry) {
	for _, x := range extractors {
		if x.Matches(file, d) {
			w.extract(x, file, d)
		}
	}
}

func (w *walk) extract(x *extract.Extractor, file string, d fs.DirEntry) {
	in := &extract.Input{FS: w.fsys, Path: file, Limits: w.opts.Limits, Entry: d}
	if x.Database {
		in.Owned = w.own
	}
	packages, gaps := Read(w.ctx, x, in)
	if x.Database {
		w.database = true
		w.origins(x, in, packages)
	}
	w.packages = append(w.packages, packages...)
	for _, g := range gaps {
		w.gap(g.Reason, g.What, g.Why)
	}
	if x.Installed && len(packages) > 0 {
		w.installed[file] = true
	}
}

// Read asks one extractor of one file. Whatever goes wrong, a panic of a library
// on a crafted file included, is a gap.
func Read(ctx context.Context, x *extract.Extractor, in *extract.Input) (packages []scanning.Package, gaps []scanning.Gap) {
	sink := extract.NewSink(in.Path, in.Limits.Packages)
	defer func() {
		if r := recover(); r != nil {
			sink.Fail(extract.Malformed(0, "reading it as %s failed: %v", x.Name, r))
		}
		packages, gaps = sink.Told()
	}()
	if err := x.Read(ctx, in, sink); err != nil {
		sink.Fail(err)
	}
	return packages, gaps
}

// link asks for a symlink with a wanted name whether the walk will meet its
// target by itself. If not, it is read where it leads, if that is in the tree.
func (w *walk) link(file string, d fs.DirEntry) {
	base := path.Base(file)
	target, err := "", error(nil)
	for _, x := range w.byName[base] {
		if x.Wants != nil && !x.Wants(file, d) {
			continue
		}
		if target, err = extract.Resolve(w.fsys, file); err != nil {
			w.gap(extract.AsFault(err).Reason, file, "a symlink: "+extract.AsFault(err).Msg)
			return
		}
		if path.Base(target) != base {
			w.extract(x, target, d)
		}
	}
}
