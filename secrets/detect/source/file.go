package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// input is an open file or an entry of an archive.
type input struct {
	io.Reader
	// random, if set, reads the same bytes at random.
	random io.ReaderAt
	size   int64 // -1 where nobody knows
	broken error // what ended the reading already
}

func (in input) Read(p []byte) (int, error) {
	if in.broken != nil {
		return 0, in.broken
	}
	return in.Reader.Read(p)
}

// content scans an input as what its bytes say that it is. depth is how many
// archives it is in.
func (w *worker) content(at *where, in input, pack *unpacking) {
	w.kept = 0
	w.Progress.Files.Add(1)
	buf := w.buffer(chunkSize)
	if in.size >= 0 {
		buf = w.buffer(int(min(in.size+1, chunkSize)))
	}
	n, err := io.ReadFull(in, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if n == 0 {
			w.unreadable(at, err)
			return
		}
		in.broken = err // what was read is looked at, and then it is told
	}
	w.Progress.Bytes.Add(int64(n))
	if int64(n) == in.size && len(at.Inner) == 0 && w.Versions.has(at.Path, buf[:n]) {
		w.Progress.Same.Add(1)
		return
	}
	kind := archiveOf(buf[:n])
	if kind == notArchive && w.Archives && endsAsZip(in) {
		kind = archiveZip
	}
	if kind != notArchive {
		w.archive(at, kind, in, buf[:n], pack)
		return
	}
	switch what, as := natureOf(buf[:n]); what {
	case naturalText:
		w.text(at, in, buf, n)
	case naturalBinary:
		w.binary(at, in, buf[:n])
	default:
		w.wideText(at, in, buf[:n], as)
	}
}

func (w *worker) text(at *where, in input, buf []byte, n int) {
	w.ended(at, w.chunks(&reading{at: at}, w.bounded(in, int64(n)), buf, n))
}

// binary counts a binary file, or looks at what is printable in it.
func (w *worker) binary(at *where, in input, head []byte) {
	w.Progress.Binary.Add(1)
	w.whole(at, nil) // its name may be enough
	at.named = true
	if !w.Binary {
		w.ended(at, in.broken)
		return
	}
	r := &runs{r: io.MultiReader(bytes.NewReader(bytes.Clone(head)), w.bounded(in, int64(len(head))))}
	w.ended(at, w.chunks(&reading{at: at}, r, w.buffer(chunkSize), 0))
}

func (w *worker) wideText(at *where, in input, head []byte, as alphabet) {
	at.alphabet = as.name
	r := &wideReader{r: io.MultiReader(bytes.NewReader(bytes.Clone(head)), w.bounded(in, int64(len(head)))), alphabet: as}
	w.ended(at, w.chunks(&reading{at: at}, r, w.buffer(chunkSize), 0))
}

// ended tells how reading ended where it did not end well.
func (w *worker) ended(at *where, err error) {
	switch {
	case err == nil:
	case errors.Is(err, errTooManyLeaks) && w.kept <= w.Limits.Leaks: // of all files together, which is told
	case errors.Is(err, errTooManyLeaks):
		w.gap(at.String(), fmt.Sprintf("it has more than %d leaks, which are not told: is it a word list?", w.Limits.Leaks), TooMany)
	case errors.Is(err, errTooLong):
		w.gap(at.String(), fmt.Sprintf("it is longer than %s, what follows was not read: raise --max-size", size(w.Limits.File)), TooLarge)
	default:
		w.unreadable(at, err)
	}
}

// unreadable tells that a file or what is left of it can't be read. One that is gone
// was removed while the tree was read.
func (w *worker) unreadable(at *where, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		w.Progress.Vanished.Add(1)
		return
	}
	reason := Unreadable
	switch {
	case errors.Is(err, errMemory):
		reason = TooLarge
	case errors.Is(err, errUnknownFormat):
		reason = Unsupported
	case len(at.Inner) > 0:
		reason = Malformed // what holds it could be read
	}
	w.gap(at.String(), whyNot(err), reason)
}

// whyNot is the cause without the path, which the gap names already.
func whyNot(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}

// String is the place for people.
func (at *where) String() string {
	s := at.Path
	for _, inner := range at.Inner {
		s += "!" + inner
	}
	if at.Commit != "" {
		s += fmt.Sprintf(" (commit %.12s)", at.Commit)
	}
	return s
}

func size(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

var errTooLong = errors.New("longer than what is read of one file")

// bounded counts what is read and ends at the limit of a file.
func (w *worker) bounded(in input, read int64) io.Reader {
	return &boundedReader{w: w, r: in, left: w.Limits.File - read}
}

type boundedReader struct {
	w    *worker
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if err := b.w.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left <= 0 {
		var one [1]byte
		if n, err := b.r.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.w.Progress.Bytes.Add(int64(n))
	return n, err
}

// leastRun is how long a printable run of a binary file must be to be looked at.
const leastRun = 8

// runs gives the printable runs of binary data, each on a line of its own.
type runs struct {
	r    io.Reader
	raw  [4096]byte
	run  []byte
	out  []byte
	err  error
	long bool
}

func (s *runs) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		var n int
		n, s.err = s.r.Read(s.raw[:])
		s.out = s.out[:0]
		for _, c := range s.raw[:n] {
			s.take(c)
		}
		if s.err != nil {
			s.end()
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *runs) take(c byte) {
	switch {
	case c < ' ' && c != '\t' && c != '\n' && c != '\r' || c >= 0x7f:
		s.end()
	case s.long:
		s.out = append(s.out, c)
	default:
		if s.run = append(s.run, c); len(s.run) >= leastRun {
			s.out, s.run, s.long = append(s.out, s.run...), s.run[:0], true
		}
	}
}

func (s *runs) end() {
	if s.long {
		s.out = append(s.out, '\n')
	}
	s.run, s.long = s.run[:0], false
}
