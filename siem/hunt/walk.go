package hunt

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// item is something to read, or why it can't be.
type item struct {
	name  string
	open  func() (io.ReadCloser, error)
	stamp time.Time // what stands in for the year that stamps lack
	fault string
	link  bool
}

// maxFolders bounds how deep folders are followed.
const maxFolders = 128

// walk hands every file that the paths mean to put, in an order that is the
// same each time: the paths as they were given, folders by name.
func (h *hunt) walk(ctx context.Context, put func(item) bool) {
	for _, path := range h.Paths {
		if path == "-" {
			if !put(item{name: "-", open: h.stdin, stamp: h.Now}) {
				return
			}
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			put(item{name: path, fault: plain(err)})
		case info.IsDir():
			if !h.folder(ctx, path, 0, put) {
				return
			}
		default:
			put(h.named(path, info))
		}
	}
}

func (h *hunt) stdin() (io.ReadCloser, error) {
	if h.Stdin == nil {
		return io.NopCloser(eof{}), nil
	}
	return io.NopCloser(h.Stdin), nil
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// named is a file that the user named himself: a pipe is taken (a shell makes
// one of <(command)), a device is not.
func (h *hunt) named(path string, info fs.FileInfo) item {
	it := item{name: path, stamp: info.ModTime(), open: func() (io.ReadCloser, error) { return openFile(path, 0) }}
	switch {
	case info.Mode().IsRegular():
	case info.Mode()&fs.ModeNamedPipe != 0:
		it.stamp = h.Now
	default:
		it.fault = "is neither a file nor a folder; give a stream as -"
	}
	return it
}

// folder goes through one folder by name. Only names are kept of what is in it,
// so that a million files are a matter of some megabytes.
func (h *hunt) folder(ctx context.Context, dir string, depth int, put func(item) bool) bool {
	if depth > maxFolders {
		return put(item{name: dir, fault: "folders nest too deeply"})
	}
	names, err := list(dir)
	if err != nil {
		return put(item{name: dir, fault: plain(err)})
	}
	for _, name := range names {
		if ctx.Err() != nil || !h.entry(ctx, filepath.Join(dir, name), depth, put) {
			return false
		}
	}
	return true
}

func (h *hunt) entry(ctx context.Context, path string, depth int, put func(item) bool) bool {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return put(item{name: path, fault: plain(err)})
	case info.IsDir():
		return h.folder(ctx, path, depth+1, put)
	case info.Mode()&fs.ModeSymlink != 0:
		return put(item{name: path, link: true})
	case !info.Mode().IsRegular():
		return put(item{name: path, fault: "is not a regular file"})
	}
	return put(item{name: path, stamp: info.ModTime(), open: func() (io.ReadCloser, error) { return openFile(path, noFollow) }})
}

func list(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// openFile opens without waiting for whoever should write into a pipe.
func openFile(path string, flags int) (io.ReadCloser, error) {
	return os.OpenFile(path, os.O_RDONLY|nonBlock|flags, 0)
}

// plain is an error without the path, which stands beside it already.
func plain(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// Size adds up the bytes of the files that paths mean, for a progress bar. It
// ends early with what it has when ctx does.
func Size(ctx context.Context, paths []string) (total int64) {
	h := hunt{Config: Config{Paths: paths}}
	h.walk(ctx, func(it item) bool {
		if it.name != "-" && it.fault == "" && !it.link {
			if info, err := os.Stat(it.name); err == nil && info.Mode().IsRegular() {
				total += info.Size()
			}
		}
		return ctx.Err() == nil
	})
	return total
}
