package extract

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/interlock-security/interlock/scanning"
)

// Input is one file, and the scope in which it stands.
type Input struct {
	// FS is the scope. Files beside this one are read by [Input.Other], which does
	// not leave it.
	FS     fs.FS
	Path   string
	Limits Limits
	// Entry is the file's as the walk met it.
	Entry fs.DirEntry
	// Owned, if set, is told of files that a distribution's package installed.
	Owned   func(file string)
	offered int // bytes of paths that Own was asked of
}

// Dir is the folder of the file.
func (in *Input) Dir() string { return path.Dir(in.Path) }

// Text reads the file whole, unless it is larger than any text should be.
func (in *Input) Text() ([]byte, error) { return in.read(in.Path) }

// TextUpTo is [Input.Text] of a kind of file that is never as large as most may
// be, and whose reader takes many times its size.
func (in *Input) TextUpTo(limit int64) ([]byte, error) {
	small := *in
	small.Limits.Text = min(limit, in.Limits.Text)
	return small.Text()
}

// Other reads another file of the scope, given relative to this one's folder or,
// with a leading slash, to the scope. Symlinks are followed within the scope.
func (in *Input) Other(name string) ([]byte, error) {
	file, err := in.Resolve(name)
	if err != nil {
		return nil, err
	}
	return in.read(file)
}

// Resolve gives the path in the scope of a file named as for [Input.Other].
func (in *Input) Resolve(name string) (string, error) {
	rooted, isRooted := strings.CutPrefix(name, "/")
	if !isRooted {
		rooted = in.Dir() + "/" + name
	}
	return Resolve(in.FS, rooted)
}

func (in *Input) read(file string) ([]byte, error) {
	f, err := in.FS.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Fault{Reason: scanning.ReasonUnreadable, Msg: "not a regular file"}
	}
	if info.Size() > in.Limits.Text {
		return nil, TooLarge(info.Size(), in.Limits.Text)
	}
	return readAll(f, info.Size(), in.Limits.Text)
}

// readAll does not believe the size that it was told.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(size, limit)) + bytes.MinRead)
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, TooLarge(n, limit)
	}
	return b.Bytes(), nil
}

// TooLarge is a file over its limit.
func TooLarge(size, limit int64) *Fault {
	return &Fault{Reason: scanning.ReasonTooLarge, Msg: fmt.Sprintf("%d bytes, and at most %d are read", size, limit)}
}

// count bounds how many objects a decoder will make of a text.
func (in *Input) count(data []byte, mark string) error {
	if n := bytes.Count(data, []byte(mark)); n > in.Limits.Objects {
		return &Fault{Reason: scanning.ReasonTooMany, Msg: fmt.Sprintf("%d entries, and at most %d are read", n, in.Limits.Objects)}
	}
	return nil
}

// ReaderAt opens the file for reading at any place.
func (in *Input) ReaderAt() (r io.ReaderAt, size int64, done func(), err error) {
	f, err := in.FS.Open(in.Path)
	if err != nil {
		return nil, 0, nil, err
	}
	done = func() { _ = f.Close() }
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &Fault{Reason: scanning.ReasonUnreadable, Msg: "not a regular file"}
	}
	if err == nil && info.Size() > in.Limits.Binary {
		err = TooLarge(info.Size(), in.Limits.Binary)
	}
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	if at, ok := f.(io.ReaderAt); ok {
		return at, info.Size(), done, nil
	}
	data, err := readAll(f, info.Size(), in.Limits.Text)
	done()
	return bytes.NewReader(data), int64(len(data)), func() {}, err
}

// maxLinks is how many symlinks a path may go through.
const maxLinks = 40

// Resolve follows the symlinks of a path without ever leaving the scope: an
// absolute target is taken from the scope's root, as in a container, and ".."
// stops there. A tree whose file system does not tell symlinks has none.
func Resolve(fsys fs.FS, name string) (string, error) {
	todo := strings.Split(path.Clean("/" + name)[1:], "/")
	at, links := ".", 0
	if outside(name) {
		return "", escapes(name)
	}
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		target, err := readLink(fsys, next)
		if err != nil {
			return "", err
		}
		if target == "" {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &Fault{Reason: scanning.ReasonTooDeep, Msg: "symlinks that lead in a circle"}
		}
		if path.IsAbs(target) {
			at = "."
		} else if outside(at + "/" + target) {
			return "", escapes(target)
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}

// outside reports whether a relative path climbs over its root.
func outside(name string) bool {
	clean := path.Clean(name)
	return clean == ".." || strings.HasPrefix(clean, "../")
}

func escapes(target string) error {
	return &Fault{Reason: scanning.ReasonUnreadable, Msg: fmt.Sprintf("it leads out of the scope, to %.200q; scan that folder too", target)}
}

// readLink returns a symlink's target, "" for anything else.
func readLink(fsys fs.FS, name string) (string, error) {
	links, ok := fsys.(fs.ReadLinkFS)
	if !ok {
		return "", nil
	}
	info, err := links.Lstat(name)
	if err != nil {
		return "", err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return "", nil
	}
	return links.ReadLink(name)
}

// Exists reports whether a file stands beside this one.
func (in *Input) Exists(name string) bool {
	file, err := in.Resolve(name)
	if err != nil {
		return false
	}
	_, err = fs.Stat(in.FS, file)
	return err == nil
}

// OfDebian reports whether the file is in one of the folders into which only
// Debian's packages install, in a tree that has their database: what stands there
// is told, and mended, as a package of Debian's.
func (in *Input) OfDebian(folders ...string) bool {
	for _, f := range folders {
		i := strings.Index("/"+in.Path, "/"+f)
		if i >= 0 && in.Exists("/"+in.Path[:i]+"var/lib/dpkg/status") {
			return true
		}
	}
	return false
}

// Above reports whether one of the names stands in the file's folder or in one
// above it, up to the scope's root.
func (in *Input) Above(names ...string) bool {
	for dir := in.Dir(); ; dir = path.Dir(dir) {
		for _, name := range names {
			if in.Exists("/" + path.Join(dir, name)) {
				return true
			}
		}
		if dir == "." {
			return false
		}
	}
}
