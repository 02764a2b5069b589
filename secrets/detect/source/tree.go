package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

// Folder scans a folder of this machine. An error means that it can't be read at all.
func Folder(ctx context.Context, dir string, c Config, sink Sink) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return core.Wrap(core.KindNotFound, "source.Folder", err)
	}
	if (rootFolder{root}).pseudo() {
		_ = root.Close()
		return core.E(core.KindInvalid, "source.Folder", Shown(dir)+" holds no files of its own: the kernel makes it up").WithHint("interlock scan secrets --running for processes")
	}
	return walkTree(ctx, rootFolder{root}, c, sink)
}

// Tree scans a tree that is not on this machine's disk as it is, such as an image's.
func Tree(ctx context.Context, fsys fs.FS, c Config, sink Sink) error {
	return walkTree(ctx, fsFolder{fsys}, c, sink)
}

// File scans one file, named as it should be shown. An archive is opened whatever the
// configuration says: it was asked for by name.
func File(ctx context.Context, path, name string, c Config, sink Sink) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return core.Wrap(core.KindNotFound, "source.File", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return core.Wrap(core.KindNotFound, "source.File", err)
	}
	if !info.Mode().IsRegular() {
		return core.E(core.KindInvalid, "source.File", Shown(name)+" is neither a file nor a folder")
	}
	if madeUp(f) { // to read it may wait for ever, or change what the kernel does
		return core.E(core.KindInvalid, "source.File", Shown(name)+" is no file of its own: the kernel makes it up").WithHint("interlock scan secrets --running for processes")
	}
	c = c.filled()
	c.Archives = true
	return perform(ctx, c, sink, func(_ context.Context, put submit) error {
		return put(func(w *worker) { w.opened(placeOf(name), f, info) })
	})
}

// Reader scans a stream, such as the standard input, named as it should be shown.
func Reader(ctx context.Context, r io.Reader, name string, c Config, sink Sink) error {
	return perform(ctx, c.filled(), sink, func(_ context.Context, put submit) error {
		return put(func(w *worker) { w.content(placeOf(name), input{Reader: r, size: -1}, nil) })
	})
}

func placeOf(path string) *where {
	return &where{Place: detect.Place{Path: path}, asked: path}
}

func walkTree(ctx context.Context, top folder, c Config, sink Sink) error {
	c = c.filled()
	return perform(ctx, c, sink, func(_ context.Context, put submit) error {
		t := &tree{Config: &c, put: put}
		return t.walk(top, "", 0)
	})
}

// tree walks a tree and hands out its files in batches, in order.
type tree struct {
	*Config
	put submit
}

// batch is files of one folder that are read as one task.
type batch struct {
	in     *shared
	prefix string
	names  []string
}

// perTask is how many files make a task: enough that handing it over costs little
// beside reading them.
const perTask = 32

// walk reads a folder and all below it. It closes the folder.
func (t *tree) walk(f folder, path string, depth int) error {
	in := &shared{folder: f}
	in.hold()
	defer in.release()
	l, err := f.list()
	if err != nil {
		if err := t.gap(path, whyNot(err), Unreadable); err != nil {
			return err
		}
	}
	inside := repositoryInside(path, l)
	b := &batch{in: in, prefix: path}
	for _, e := range l.entries {
		name := string(l.name(e))
		full := join(path, name)
		if t.Exclude != nil && t.Exclude(full, e.kind == kindFolder) || inside && !ofRepository(name, e.kind) {
			continue
		}
		if e.kind == kindFile {
			if err := t.add(b, name); err != nil {
				return err
			}
			continue
		}
		if err := t.other(b, name, full, e.kind, depth); err != nil {
			return err
		}
	}
	return t.flush(b)
}

// repositoryInside reports whether a folder is the inside of a repository, whose
// objects are compressed: they are for [History].
func repositoryInside(path string, l *listing) bool {
	return filepath.Base(path) == ".git" && l.has("HEAD", kindFile) && l.has("objects", kindFolder) && l.has("refs", kindFolder)
}

// ofRepository reports whether a file of a repository's inside is read with the tree:
// those that hold addresses, with passwords in them sometimes.
func ofRepository(name string, k kind) bool {
	return k == kindFile && (name == "config" || name == "config.worktree" || name == "FETCH_HEAD" || name == "credentials")
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// other deals with what is no file.
func (t *tree) other(b *batch, name, full string, k kind, depth int) error {
	switch k {
	case kindFolder:
		if err := t.flush(b); err != nil {
			return err
		}
		return t.enter(b.in, name, full, depth+1)
	case kindLink:
		t.Progress.Links.Add(1)
	case kindBlock:
		return t.gap(full, "a block device: what is on it was not read", Unsupported)
	default:
		t.Progress.Special.Add(1)
	}
	return nil
}

func (t *tree) enter(in folder, name, full string, depth int) error {
	if depth > t.Limits.Depth {
		return t.gap(full, fmt.Sprintf("folders are nested more than %d deep", t.Limits.Depth), TooDeep)
	}
	sub, err := in.enter(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.Progress.Vanished.Add(1)
		return nil
	case err != nil:
		return t.gap(full, whyNot(err), Unreadable)
	case sub.pseudo():
		sub.close()
		t.Progress.Special.Add(1)
		return nil
	}
	return t.walk(sub, full, depth)
}

func (t *tree) gap(path, why string, reason Reason) error {
	if path == "" {
		path = "."
	}
	return t.put(func(w *worker) { w.gap(path, why, reason) })
}

func (t *tree) add(b *batch, name string) error {
	if b.names = append(b.names, name); len(b.names) < perTask {
		return nil
	}
	return t.flush(b)
}

func (t *tree) flush(b *batch) error {
	if len(b.names) == 0 {
		return nil
	}
	in, prefix, names := b.in, b.prefix, b.names
	b.names = nil
	in.hold()
	err := t.put(func(w *worker) {
		defer in.release()
		for _, name := range names {
			if w.ctx.Err() != nil {
				return
			}
			w.file(in, name, join(prefix, name))
		}
	})
	if err != nil {
		in.release()
	}
	return err
}

func (w *worker) file(in folder, name, full string) {
	at := placeOf(full)
	f, info, err := in.open(name)
	if err != nil {
		w.unreadable(at, err)
		return
	}
	defer func() { _ = f.Close() }()
	if !info.Mode().IsRegular() {
		w.Progress.Special.Add(1) // it was a file a moment ago
		return
	}
	w.opened(at, f, info)
}

// opened scans an open file.
func (w *worker) opened(at *where, f io.Reader, info fs.FileInfo) {
	in := input{Reader: f, size: info.Size()}
	if file, ok := f.(*os.File); ok {
		if in.random = file; sparse(info) && !archiveFile(file) {
			w.sparse(at, file, info.Size())
			return
		}
	}
	if in.size > 0 {
		in.Reader = io.LimitReader(f, in.size) // a log that grows is read to where it was
	} else {
		in.size = -1
	}
	w.content(at, in, nil)
}
