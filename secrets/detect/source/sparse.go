package source

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Where the next data of a sparse file begins and ends; see lseek(2).
const (
	seekData = 3
	seekHole = 4
)

// mostExtents bounds how often a file of holes is looked at.
const mostExtents = 100_000

// sparse reports whether most of a file is holes.
func sparse(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Size() >= 1<<20 && s.Blocks*512 < info.Size()/2
}

// archiveFile reports whether a file begins as an archive, whose end is not where its
// data ends.
func archiveFile(f *os.File) bool {
	var head [512]byte
	n, _ := f.ReadAt(head[:], 0)
	return archiveOf(head[:n]) != notArchive
}

// sparse scans the data of a file with holes, each piece as a text of its own: what
// is in a hole is NUL, and nobody reads gigabytes of that.
func (w *worker) sparse(at *where, f *os.File, total int64) {
	w.Progress.Files.Add(1)
	w.kept = 0
	rd, read, end := &reading{at: at}, int64(0), int64(0)
	for range mostExtents {
		begin, err := f.Seek(end, seekData)
		if err != nil || begin >= total {
			return // no more data
		}
		if end, err = f.Seek(begin, seekHole); err != nil {
			w.unreadable(at, err)
			return
		}
		if read += end - begin; read > w.Limits.File {
			w.ended(at, errTooLong)
			return
		}
		if err := w.extent(rd, io.NewSectionReader(f, begin, end-begin)); err != nil {
			w.ended(at, err)
			return
		}
		if w.ctx.Err() != nil {
			return
		}
	}
	w.gap(at.String(), fmt.Sprintf("its data is in more than %d pieces", mostExtents), TooMany)
}

// extent scans one piece of data, but for the NULs with which it begins: data begins
// with a block of the disk and not where it was written.
func (w *worker) extent(rd *reading, r *io.SectionReader) error {
	if err := skipNULs(r); err != nil {
		return err
	}
	buf := w.buffer(chunkSize)
	n, _ := io.ReadFull(r, buf[:sniffed])
	w.Progress.Bytes.Add(int64(n))
	if text := bytes.TrimRight(buf[:n], "\x00"); bytes.IndexByte(text, 0) >= 0 {
		w.Progress.Binary.Add(1)
		return nil
	}
	return w.chunks(rd, r, buf, n)
}

func skipNULs(r *io.SectionReader) error {
	var b [4096]byte
	for {
		n, err := r.Read(b[:])
		if rest := bytes.TrimLeft(b[:n], "\x00"); len(rest) > 0 {
			_, err := r.Seek(int64(-len(rest)), io.SeekCurrent)
			return err
		}
		if err == io.EOF || n == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
