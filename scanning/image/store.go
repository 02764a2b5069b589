package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// blob is a part of the archive, readable at any place.
type blob struct {
	io.ReaderAt
	size int64
}

func (b blob) reader() *io.SectionReader { return io.NewSectionReader(b, 0, b.size) }

// store gives the archive's files by name.
type store interface {
	open(name string) (blob, error)
}

// openStore takes a folder, a tarball, or a compressed tarball.
func openStore(file string, img *Image) (store, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(file)
		if err != nil {
			return nil, err
		}
		img.closers = append(img.closers, root)
		return &folder{root: root, img: img}, nil
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("neither a folder nor a file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	img.closers = append(img.closers, f)
	b := blob{f, info.Size()}
	switch form, err := compression(b); {
	case err != nil:
		return nil, err
	case form != plain:
		if b, err = img.expand(b, form, nil, nil); err != nil {
			return nil, err
		}
	}
	return index(b, img)
}

// folder is an OCI layout on disk. os.Root keeps every name and symlink in it.
type folder struct {
	root *os.Root
	img  *Image
}

func (s *folder) open(name string) (blob, error) {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold us up
	if err != nil {
		return blob{}, err
	}
	s.img.closers = append(s.img.closers, f)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		return blob{}, err
	}
	return blob{f, info.Size()}, nil
}

// tarball is an archive by the offsets of its members.
type tarball struct {
	data    blob
	members map[string]member
}

type member struct {
	at, size int64
	link     string
}

const maxMembers = 100_000

func index(data blob, img *Image) (*tarball, error) {
	t := &tarball{data: data, members: map[string]member{}}
	r := data.reader()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not an archive of an image: %w", err)
		}
		if len(t.members) > maxMembers {
			return nil, tooLarge("its archive has more than 100000 members")
		}
		if err := img.budget.ctx.Err(); err != nil {
			return nil, err
		}
		at, _ := r.Seek(0, io.SeekCurrent)
		switch name := path.Clean("/" + h.Name)[1:]; {
		case h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink:
			t.members[name] = member{link: linked(name, h)}
		case h.Typeflag == tar.TypeReg && !isSparse(h) && at+h.Size <= data.size:
			t.members[name] = member{at: at, size: h.Size}
		}
	}
}

// linked is the member that a link means: docker save writes a layer that is
// there twice once.
func linked(name string, h *tar.Header) string {
	target := h.Linkname
	if h.Typeflag == tar.TypeSymlink && !path.IsAbs(target) {
		target = path.Join("/", path.Dir(name), target) //nolint:gosec // a key of a map; nothing is extracted
	}
	return path.Clean("/" + target)[1:]
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if len(key) > 10 && key[:10] == "GNU.sparse" {
			return true
		}
	}
	return false
}

func (t *tarball) open(name string) (blob, error) {
	name = path.Clean("/" + name)[1:]
	for range 10 {
		m, ok := t.members[name]
		if !ok {
			return blob{}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		if m.link == "" {
			return blob{io.NewSectionReader(t.data, m.at, m.size), m.size}, nil
		}
		name = m.link
	}
	return blob{}, fmt.Errorf("%s: links that lead in a circle", name)
}

type form int

const (
	plain form = iota
	gzipped
	zstandard
)

// compression is told by the first bytes: media types are often wrong.
func compression(b blob) (form, error) {
	var head [4]byte
	n, err := b.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return plain, err
	}
	switch {
	case bytes.HasPrefix(head[:n], []byte("\x1f\x8b")):
		return gzipped, nil
	case bytes.Equal(head[:n], []byte("\x28\xb5\x2f\xfd")):
		return zstandard, nil
	case bytes.HasPrefix(head[:n], []byte("BZh")), bytes.HasPrefix(head[:n], []byte("\xfd7zX")):
		return plain, errors.New("compressed by bzip2 or xz, which images are not")
	}
	return plain, nil
}

// expand decompresses into a nameless file, within the budget. Both hashes, where
// given, see all bytes: that of the compressed ones also what follows the end of
// the stream.
func (img *Image) expand(b blob, f form, compressed, expanded io.Writer) (blob, error) {
	out, err := img.temp()
	if err != nil {
		return blob{}, err
	}
	var in io.Reader = b.reader()
	if compressed != nil {
		in = io.TeeReader(in, compressed)
	}
	plainText, err := decompressor(in, f)
	if err != nil {
		return blob{}, fmt.Errorf("compressed data that cannot be read: %w", err)
	}
	defer plainText.Close()
	to := &bounded{to: out, also: expanded, budget: &img.budget, limit: b.size*img.opts.Limits.Ratio + img.opts.Limits.Free}
	if _, err := io.Copy(to, plainText); err != nil {
		return blob{}, fmt.Errorf("compressed data that cannot be read: %w", err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return blob{}, err
	}
	return blob{out, to.size}, nil
}

// zstdWindow is the largest that an encoder uses without being told to.
const zstdWindow = 128 << 20

func decompressor(r io.Reader, f form) (io.ReadCloser, error) {
	if f == gzipped {
		return gzip.NewReader(r)
	}
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

// bounded writes until a layer's ratio or the image's budget is spent.
type bounded struct {
	to, also    io.Writer
	budget      *budget
	size, limit int64
}

// Write writes, or says which bound is reached.
func (w *bounded) Write(p []byte) (int, error) {
	if w.size += int64(len(p)); w.size > w.limit {
		return 0, tooLarge("a layer that expands to far more than a layer does")
	}
	if err := w.budget.spend(int64(len(p))); err != nil {
		return 0, err
	}
	if w.also != nil {
		if _, err := w.also.Write(p); err != nil {
			return 0, err
		}
	}
	return w.to.Write(p)
}
