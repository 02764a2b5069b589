package image

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// maxHops is how many symlinks a path may go through, as in Linux.
const maxHops = 40

// lookup finds a path in a tree. Symlinks on the way are followed within it; the
// last one only if follow is set. The path that it led to comes with it.
func lookup(root *node, name string, follow bool) (*node, string) {
	hops := 0
	at, done, rest := root, []string(nil), name
	stack := []*node{root}
	for rest != "" && rest != "." {
		var part string
		part, rest = cutPath(rest)
		switch part {
		case "", ".":
			continue
		case "..":
			if len(stack) > 1 {
				stack, done = stack[:len(stack)-1], done[:len(done)-1]
			}
			at = stack[len(stack)-1]
			continue
		}
		next := at.kids[part]
		if next == nil {
			return nil, ""
		}
		if next.mode&fs.ModeSymlink != 0 && (follow || rest != "") {
			if hops++; hops > maxHops || len(next.link) > maxName {
				return nil, ""
			}
			if path.IsAbs(next.link) {
				at, stack, done = root, stack[:1], done[:0]
			}
			rest = strings.TrimPrefix(next.link+"/"+rest, "/")
			rest = strings.TrimRight(rest, "/")
			continue
		}
		at = next
		stack, done = append(stack, next), append(done, part)
	}
	return at, strings.Join(done, "/")
}

// FS is a tree of an image or of one of its layers. Symlinks are followed within
// it and never out of it.
type FS struct {
	root   *node
	layers []*Layer
	base   int // the number of the first of layers
}

var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.ReadFileFS = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)
)

func (t *FS) find(op, name string, follow bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, _ := lookup(t.root, name, follow)
	if n == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open opens a file or a folder. A file can be read at any place and seeked.
func (t *FS) Open(name string) (fs.File, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.kids != nil {
		return &dir{node: n}, nil
	}
	return &file{node: n, SectionReader: t.bytes(n)}, nil
}

func (t *FS) bytes(n *node) *io.SectionReader {
	if i := n.data - t.base; i >= 0 && i < len(t.layers) && n.mode.IsRegular() {
		return io.NewSectionReader(t.layers[i].data, n.at, n.size)
	}
	return io.NewSectionReader(bytes.NewReader(nil), 0, 0)
}

// Stat follows symlinks.
func (t *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return info{n}, nil
}

// Lstat does not follow the last symlink.
func (t *FS) Lstat(name string) (fs.FileInfo, error) {
	n, err := t.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return info{n}, nil
}

// ReadLink gives a symlink's target as it is written.
func (t *FS) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name, false)
	if err == nil && n.mode&fs.ModeSymlink == 0 {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return "", err
	}
	return n.link, nil
}

// ReadFile gives a file whole. The budget of the image bounds it.
func (t *FS) ReadFile(name string) ([]byte, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(t.bytes(n))
}

// ReadDir lists a folder in the order of names.
func (t *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if n.kids == nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return n.list(), nil
}

// LayerOf is the digest of the layer that brought a file; "" where there is none.
func (t *FS) LayerOf(name string) string {
	n, _ := lookup(t.root, name, true)
	if n == nil || n.layer < t.base || n.layer-t.base >= len(t.layers) {
		return ""
	}
	return t.layers[n.layer-t.base].Digest
}

// Versions are a file as the layers left it, oldest first: the digest of each
// layer that has it, and the layer's own tree. Who reads a package database so
// learns which layer brought which package.
func (t *FS) Versions(name string) (digests []string, trees []fs.FS) {
	for _, l := range t.layers {
		if n, _ := lookup(l.root, name, false); n != nil && n.mode.IsRegular() {
			digests, trees = append(digests, l.Digest), append(trees, l.FS())
		}
	}
	return digests, trees
}

func (n *node) list() []fs.DirEntry {
	all := make([]fs.DirEntry, 0, len(n.kids))
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		all = append(all, fs.FileInfoToDirEntry(info{n.kids[name]}))
	}
	return all
}

// info is what a node says of itself.
type info struct{ n *node }

// Name is the base name.
func (i info) Name() string {
	if i.n.name == "" {
		return "."
	}
	return i.n.name
}

// Size is a file's length.
func (i info) Size() int64 { return i.n.size }

// Mode is type and permissions as the layer gives them.
func (i info) Mode() fs.FileMode { return i.n.mode }

// ModTime is as the layer gives it.
func (i info) ModTime() time.Time { return i.n.mtime }

// IsDir reports whether it is a folder.
func (i info) IsDir() bool { return i.n.kids != nil }

// Sys is nil.
func (i info) Sys() any { return nil }

type file struct {
	*io.SectionReader
	node *node
}

// Stat says what it is.
func (f *file) Stat() (fs.FileInfo, error) { return info{f.node}, nil }

// Close does nothing; the image keeps the bytes.
func (f *file) Close() error { return nil }

type dir struct {
	node *node
	rest []fs.DirEntry
	read bool
}

// Stat says what it is.
func (d *dir) Stat() (fs.FileInfo, error) { return info{d.node}, nil }

// Close does nothing.
func (d *dir) Close() error { return nil }

// Read fails: a folder has no bytes.
func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.name, Err: fs.ErrInvalid}
}

// ReadDir lists the next n, or all.
func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.rest, d.read = d.node.list(), true
	}
	if n <= 0 {
		all := d.rest
		d.rest = nil
		return all, nil
	}
	if len(d.rest) == 0 {
		return nil, io.EOF
	}
	some := d.rest[:min(n, len(d.rest))]
	d.rest = d.rest[len(some):]
	return some, nil
}
