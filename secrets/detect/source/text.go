package source

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
)

// Sizes of what is looked at in one piece. A text that is longer is read in chunks
// that overlap, so that what stands across an edge is seen whole by one of them.
const (
	chunkSize = 4 << 20
	overlap   = 64 << 10
	// sniffed is how much of a file tells what it is, as with git.
	sniffed = 8000
)

// stretch is a part of a text: what was before it, and which of its bytes are its
// own to tell of. The others are there for context.
type stretch struct {
	body     []byte
	from, to int // own bytes
	// lines and columns are those before the first byte.
	lines, columns int
}

// scan asks the detector of a stretch and tells what is its own. It reports whether
// the file may have more.
func (w *worker) scan(at *where, s stretch) bool {
	more := true
	firstLine, firstCol := 1, 1
	lastLine, lastCol := int(^uint(0)>>1), 0
	if s.from > 0 {
		firstLine, firstCol = position(s.body[:s.from])
	}
	if s.to < len(s.body) {
		lastLine, lastCol = position(s.body[:s.to])
	}
	gaps := w.Detector.Scan(detect.Text{Path: at.asked, Body: s.body, Commit: at.Commit}, func(l *detect.Leak) {
		before := l.Line < firstLine || l.Line == firstLine && l.Column < firstCol
		after := l.Line > lastLine || l.Line == lastLine && l.Column >= lastCol
		if l.Line == 0 { // the file itself, by its name: told once
			before = at.named || s.from > 0 || s.lines > 0 || s.columns > 0
		}
		if before || after || !more {
			return
		}
		more = w.place(at, s, l)
	})
	for _, g := range gaps {
		w.pieceGap(at.String(), g.Why)
	}
	return more
}

// inMore is added to a gap that other pieces of the same text have too.
const inMore = "; and in more pieces of it"

// pieceGap tells what the detector did not read of a piece, once for all the pieces of a
// text: they differ in numbers alone.
func (w *worker) pieceGap(what, why string) {
	if n := len(w.task.out) - 1; n >= 0 {
		last := &w.task.out[n].gap
		known := strings.TrimSuffix(last.Why, inMore)
		if last.Reason == TooMany && last.What == Shown(what) && withoutNumbers(known) == withoutNumbers(why) {
			last.Why = known + inMore
			return
		}
	}
	w.gap(what, why, TooMany)
}

func withoutNumbers(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// place completes where a leak is.
func (w *worker) place(at *where, s stretch, l *detect.Leak) bool {
	if l.Line == 1 {
		l.Column += s.columns
	}
	if l.EndLine == 1 {
		l.EndColumn += s.columns
	}
	p := at.Place
	p.Line, p.EndLine, p.Column, p.EndColumn = l.Line, l.EndLine, l.Column, l.EndColumn
	if l.Line > 0 {
		p.Line, p.EndLine, l.MatchLine = l.Line+s.lines, l.EndLine+s.lines, l.MatchLine+s.lines
	}
	p.Inner = append([]string(nil), p.Inner...)
	l.Place = p
	if at.alphabet != "" && l.Line > 0 {
		l.Decoded = append([]string{at.alphabet}, l.Decoded...)
	}
	return w.leak(Found{Leak: l, Note: at.note})
}

// position is the line and column, from 1, at which the byte after b stands.
func position(b []byte) (line, column int) {
	return 1 + bytes.Count(b, []byte{'\n'}), len(b) - bytes.LastIndexByte(b, '\n')
}

// whole scans a text that is in memory as a whole.
func (w *worker) whole(at *where, body []byte) bool {
	return w.scan(at, stretch{body: body, to: len(body)})
}

// reading is a text that is read in chunks.
type reading struct {
	at             *where
	lines, columns int
}

// buffer returns the chunk buffer with room for n bytes.
func (w *worker) buffer(n int) []byte {
	n = min(n, chunkSize)
	if cap(w.chunk) < n {
		w.chunk = make([]byte, n)
	}
	return w.chunk[:n]
}

// chunks scans what r holds. filled bytes of the buffer are read already. An error is
// the reader's.
func (w *worker) chunks(rd *reading, r io.Reader, buf []byte, filled int) error {
	from := 0
	for {
		n, err := io.ReadFull(r, buf[filled:])
		filled += n
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		blank(buf[:filled])
		if err != nil {
			if !w.scan(rd.at, stretch{buf[:filled], from, filled, rd.lines, rd.columns}) {
				return errTooManyLeaks
			}
			rd.advance(buf[:filled])
			if ended {
				return nil
			}
			return err
		}
		to := cut(buf[:filled], filled-overlap)
		if !w.scan(rd.at, stretch{buf[:filled], from, to, rd.lines, rd.columns}) {
			return errTooManyLeaks
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		keep := cut(buf[:filled], to-overlap)
		rd.advance(buf[:keep])
		filled, from = copy(buf, buf[keep:filled]), to-keep
	}
}

// blank makes spaces of the NULs by which the detector, which is asked of each piece
// anew, would take a piece of a text for a binary file and read less of it.
func blank(b []byte) {
	for i, c := range b[:min(len(b), sniffed)] {
		if c == 0 {
			b[i] = ' '
		}
	}
}

var errTooManyLeaks = errors.New("it has more leaks than are told of one file")

// cut is where to cut a text near at: after the last newline before, if there is one
// within reach.
func cut(b []byte, at int) int {
	if i := bytes.LastIndexByte(b[at-overlap/4:at], '\n'); i >= 0 {
		return at - overlap/4 + i + 1
	}
	return at
}

// advance counts what is passed.
func (rd *reading) advance(b []byte) {
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		rd.lines += bytes.Count(b, []byte{'\n'})
		rd.columns = len(b) - i - 1
		return
	}
	rd.columns += len(b)
}
