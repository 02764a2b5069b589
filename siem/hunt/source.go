package hunt

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// peek is how much of a file decides what it holds.
	peek = 64 << 10
	// A gzip member of a log rarely reaches a hundredth; a bomb is close to a
	// thousandth, which is all that the format can do.
	maxRatio   = 400
	ratioGrace = 64 << 20
)

var errRatio = errors.New("decompresses to more than 400 times its size: taken for a bomb; unpack it to search it")

// source is an open file, decompressed and in UTF-8.
type source struct {
	*bufio.Reader
	closers []func()
}

// readers are reused: a folder may hold a million small files.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, peek) }}

func (s *source) push(r io.Reader) {
	br := readers.Get().(*bufio.Reader) //nolint:forcetypeassert // the pool holds nothing else
	br.Reset(r)
	s.Reader = br
	s.closers = append(s.closers, func() { br.Reset(nil); readers.Put(br) })
}

func (s *source) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

// newSource takes gzip and UTF-16 off.
func newSource(f io.ReadCloser, read *atomic.Int64) (*source, error) {
	s := &source{closers: []func(){func() { _ = f.Close() }}}
	raw := &counted{r: f, total: read}
	s.push(raw)
	if head, _ := s.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(s.Reader)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("gzip: %w", err)
		}
		s.push(&inflated{r: zr, raw: raw})
	}
	switch order := utf16Order(s.Reader); order {
	case nil:
		if head, _ := s.Peek(3); bytes.Equal(head, []byte{0xef, 0xbb, 0xbf}) {
			_, _ = s.Discard(3)
		}
	default:
		s.push(&utf8From16{r: s.Reader, order: order})
	}
	return s, nil
}

// utf16Order tells UTF-16 by its mark, or by a first character that is followed
// by a zero as nothing in UTF-8 is.
func utf16Order(r *bufio.Reader) binary.ByteOrder {
	head, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		_, _ = r.Discard(2)
		return binary.LittleEndian
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		_, _ = r.Discard(2)
		return binary.BigEndian
	case len(head) == 4 && printing(head[0]) && head[1] == 0 && printing(head[2]) && head[3] == 0:
		return binary.LittleEndian
	}
	return nil
}

func printing(c byte) bool { return c >= 0x20 && c < 0x7f || c == '\n' || c == '\r' || c == '\t' }

// counted tells how far a file has been read.
type counted struct {
	r     io.Reader
	n     int64
	total *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.total.Add(int64(n))
	return n, err
}

// inflated stops at a bomb.
type inflated struct {
	r   io.Reader
	raw *counted
	n   int64
}

func (i *inflated) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.n += int64(n)
	if i.n > ratioGrace && i.n/maxRatio > i.raw.n {
		return n, errRatio
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("gzip: %w", err)
	}
	return n, err
}

// utf8From16 makes UTF-8 of UTF-16. Halves of pairs become U+FFFD.
type utf8From16 struct {
	r     *bufio.Reader
	order binary.ByteOrder
	out   []byte // not handed out yet
	err   error
	buf   []byte
}

func (u *utf8From16) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

func (u *utf8From16) fill() {
	u.buf = u.buf[:0]
	for len(u.buf) < peek {
		unit, ok := u.unit()
		if !ok {
			break
		}
		if utf16.IsSurrogate(unit) {
			unit = u.pair(unit)
		}
		u.buf = utf8.AppendRune(u.buf, unit)
	}
	u.out = u.buf
}

func (u *utf8From16) pair(first rune) rune {
	next, _ := u.r.Peek(2)
	if len(next) < 2 {
		return utf8.RuneError
	}
	r := utf16.DecodeRune(first, rune(u.order.Uint16(next)))
	if r != utf8.RuneError {
		_, _ = u.r.Discard(2)
	}
	return r
}

func (u *utf8From16) unit() (rune, bool) {
	b, err := u.r.Peek(2)
	if len(b) < 2 {
		if len(b) == 1 && errors.Is(err, io.EOF) {
			err = errors.New("UTF-16 text ends in the middle of a character")
		}
		u.err = err
		return 0, false
	}
	unit := rune(u.order.Uint16(b))
	_, _ = u.r.Discard(2)
	return unit, true
}
