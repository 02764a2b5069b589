package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/atomicfile"
)

// Limits of an archive. A file of the log has at most 256 entries of 64 KiB.
const (
	maxArchived     = 17 << 20
	maxArchiveFiles = 8 << 20
	maxArchivePath  = 200
)

// unpack writes an archive's files into dir, which must be absent or empty, and
// returns how many there were. dir appears whole or not at all. Only folders and
// regular files of short, clean, relative names are taken: the server that made
// the archive may not be ours any more.
func unpack(r io.Reader, dir string) (files int, err error) {
	const op = "audit export"
	if err := absentOrEmpty(dir); err != nil {
		return 0, err
	}
	parent := filepath.Dir(filepath.Clean(dir))
	scratch, err := os.MkdirTemp(parent, ".interlock-export-")
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, op, err)
	}
	end := &trailer{r: r}
	files, err = unpackInto(end, scratch)
	if err == nil {
		err = end.check()
	}
	if err != nil {
		return 0, errors.Join(err, os.RemoveAll(scratch))
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // only an empty folder goes
		return 0, errors.Join(core.Wrap(core.KindConflict, op, err), os.RemoveAll(scratch))
	}
	if err := os.Rename(scratch, dir); err != nil {
		return 0, errors.Join(core.Wrap(core.KindUnavailable, op, err), os.RemoveAll(scratch))
	}
	return files, core.Wrap(core.KindUnavailable, op, atomicfile.SyncDir(parent))
}

func absentOrEmpty(dir string) error {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return core.Wrap(core.KindUnavailable, "audit export", err)
	case len(names) > 0:
		return core.E(core.KindConflict, "audit export", fmt.Sprintf("%s holds %d entries already", dir, len(names))).WithHint("name a new folder")
	}
	return nil
}

// unpackInto writes below root, which the kernel keeps it in.
func unpackInto(stream *trailer, dir string) (files int, err error) {
	archive := tar.NewReader(stream)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "audit export", err)
	}
	defer func() { err = errors.Join(err, syncAll(dir), root.Close()) }()
	for files = 0; ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, cutShort(err)
		}
		if err := acceptable(head); err != nil {
			return files, err
		}
		if head.Typeflag == tar.TypeDir {
			continue
		}
		if files++; files > maxArchiveFiles {
			return files, core.E(core.KindTooLarge, "audit export", fmt.Sprintf("the archive holds more than %d files", maxArchiveFiles))
		}
		if err := writeArchived(root, head, archive); err != nil {
			return files, core.Wrap(core.KindUnavailable, "audit export", err)
		}
		stream.zeros = 0 // those of the file itself end nothing
	}
}

func acceptable(h *tar.Header) error {
	name := h.Name
	if h.Typeflag == tar.TypeDir && len(name) > 1 {
		name = path.Clean(name)
	}
	switch {
	case h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir:
		return core.E(core.KindDenied, "audit export", fmt.Sprintf("the archive's %.200q is neither file nor folder", h.Name))
	case !filepath.IsLocal(name) || path.Clean(name) != name || len(name) > maxArchivePath:
		return core.E(core.KindDenied, "audit export", fmt.Sprintf("the archive's name %.200q leads elsewhere", h.Name))
	case h.Size > maxArchived:
		return core.E(core.KindTooLarge, "audit export", fmt.Sprintf("the archive's %.200q has %d bytes, at most %d are allowed", h.Name, h.Size, maxArchived))
	}
	return nil
}

func writeArchived(root *os.Root, h *tar.Header, r io.Reader) error {
	if err := root.MkdirAll(path.Dir(h.Name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r) // the reader ends at the header's size
	return errors.Join(err, f.Close())
}

// trailer remembers how a stream ends: archive/tar takes one that was cut between
// two files for a whole one.
type trailer struct {
	r     io.Reader
	size  int64
	zeros int64 // how many the stream ends with
}

func (t *trailer) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	for _, c := range b[:n] {
		if t.zeros++; c != 0 {
			t.zeros = 0
		}
	}
	t.size += int64(n)
	return n, err
}

// check wants the two blocks of zeros that end an archive, and nothing behind.
func (t *trailer) check() error {
	const block = 512
	n, err := io.Copy(io.Discard, t.r)
	if err == nil && (n > 0 || t.zeros < 2*block || t.size%block != 0) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return cutShort(err)
	}
	return nil
}

// cutShort gives an error of the transfer its kind; the server's own errors have
// one.
func cutShort(err error) error {
	if core.KindOf(err) != core.KindInternal {
		return err
	}
	return core.Wrap(core.KindUnavailable, "audit export: what came is not the whole archive", err)
}

// syncAll brings the whole file system of dir to disk: one wait instead of one
// for each of many small files.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
