package source

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// Beyond the end of an archive there may be another one, or anything else that was put
// there: two files that were joined, the file systems of a kernel, a note. All of it is
// read.

// behindSize is how much is looked at to tell what stands behind an end; it has to hold
// the header of a tar.
const behindSize = 64 << 10

// behindName is what is told of what stands behind the end of an archive.
const behindName = "(behind its end)"

// behind passes the padding at the end of an archive. It reports whether another one
// of the kind follows; anything else is scanned as a file without a name.
func (a *archive) behind(r *bufio.Reader, kind archiveKind) (another bool, err error) {
	if err := a.count(); err != nil { // an archive of nothing but ends has an end
		return false, err
	}
	if err := a.skipPadding(r); err != nil {
		return false, atEnd(err)
	}
	head, err := r.Peek(512)
	if len(head) == 0 {
		return false, atEnd(err)
	}
	if archiveOf(head) == kind {
		return true, nil
	}
	return false, a.entry(behindName, r, -1)
}

func (a *archive) skipPadding(r *bufio.Reader) error {
	for {
		b, err := r.Peek(1)
		if err != nil {
			return err
		}
		if b[0] != 0 {
			return nil
		}
		b, _ = r.Peek(r.Buffered())
		if _, err := r.Discard(len(b) - len(bytes.TrimLeft(b, "\x00"))); err != nil {
			return err
		}
		if err := a.w.ctx.Err(); err != nil {
			return err
		}
	}
}

// gzip unpacks what may be several members, which make one file together.
func (a *archive) gzip(in io.Reader) error {
	r := bufio.NewReaderSize(in, behindSize)
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	m := &members{a: a, r: r, z: z}
	z.Multistream(false)
	if err := a.toEnd(streamName(a.at), m); err != nil || !m.ended || r.Buffered() == 0 {
		return err
	}
	return a.entry(behindName, r, -1)
}

// toEnd scans what a stream holds and reads what is left of it, as of a binary file that
// nobody looks at: whether something stands behind its end, and whether it has one, is
// known only there.
func (a *archive) toEnd(name string, r io.Reader) error {
	s := &endReader{r: r}
	if err := a.entry(name, s, -1); err != nil || s.ended {
		return err // an error of the stream's was told
	}
	_, err := io.Copy(io.Discard, &chargedReader{r: s, a: a})
	return err
}

// endReader keeps in mind that there is no more.
type endReader struct {
	r     io.Reader
	ended bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.ended = e.ended || err != nil
	return n, err
}

// members reads the members of a gzip file and stops at what is none.
type members struct {
	a     *archive
	r     *bufio.Reader
	z     *gzip.Reader
	ended bool
}

func (m *members) Read(p []byte) (int, error) {
	for !m.ended {
		n, err := m.z.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		if err := m.next(); err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// next begins the next member, if there is one behind the padding.
func (m *members) next() error {
	if err := m.a.skipPadding(m.r); err != nil {
		m.ended = true
		return atEnd(err)
	}
	if head, _ := m.r.Peek(3); string(head) != "\x1f\x8b\x08" {
		m.ended = true
		return nil
	}
	if err := m.z.Reset(m.r); err != nil {
		return err
	}
	m.z.Multistream(false)
	return m.a.count()
}

// dense leaves the holes out of a file that a tar keeps without them, and makes lines
// of what is between. It books the holes itself: nothing comes out of them that who
// reads could book, and nothing that would end the reading.
type dense struct {
	a    *archive
	r    io.Reader
	raw  [512]byte
	out  []byte
	hole bool
	err  error
}

func (d *dense) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		if err := d.a.w.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := io.ReadFull(d.r, d.raw[:])
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if *d.a.pack.holes += int64(n); *d.a.pack.holes > d.a.w.Limits.Unpacked {
			err = errUnpacked
		}
		d.err = err
		d.take(d.raw[:n])
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

func (d *dense) take(b []byte) {
	d.out = d.out[:0]
	text := bytes.TrimLeft(b, "\x00")
	if d.hole = d.hole || len(text) < len(b); len(text) == 0 {
		return
	}
	if d.hole {
		d.out = append(d.out, '\n')
	}
	end := len(text)
	text = bytes.TrimRight(text, "\x00")
	d.out, d.hole = append(d.out, text...), len(text) < end
}
