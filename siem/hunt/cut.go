package hunt

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// blockSize is what a worker gets at a time.
const blockSize = 1 << 20

// span is one record within a block; why is set where it can't be one.
type span struct {
	from, to int
	why      string
}

// block is a stretch of one file: whole records, and later what was found in
// them. Numbers in it count from its own beginning.
type block struct {
	file *file
	data []byte
	// spans are the records where they don't go by lines or chunks.
	spans []span
	// at is where a block of chunks begins in its file.
	at int64

	events, lines, unrouted int

	hits   []hit
	faults []Fault
	done   chan struct{}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, blockSize); return &b }}

func takeBuffer() []byte {
	return (*buffers.Get().(*[]byte))[:0] //nolint:forcetypeassert // the pool holds nothing else
}

func giveBuffer(b []byte) {
	if cap(b) >= blockSize && cap(b) <= 4*blockSize {
		b = b[:0]
		buffers.Put(&b)
	}
}

var errStopped = errors.New("stopped")

// fill reads until the buffer is full. A reader that gives nothing, again and
// again, is at its end.
func fill(r io.Reader, b []byte) ([]byte, error) {
	for idle := 0; len(b) < cap(b); {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err != nil {
			return b, err
		}
		if n > 0 {
			idle = 0
		} else if idle++; idle > 100 {
			return b, io.ErrNoProgress
		}
	}
	return b, nil
}

// lines cuts a file after its last whole line of each megabyte. put is false
// when nobody wants more.
func lines(r io.Reader, put func(*block) bool) error {
	buf := takeBuffer()
	for {
		var err error
		buf, err = fill(r, buf)
		cut := bytes.LastIndexByte(buf, '\n') + 1
		switch {
		case err != nil:
			if len(buf) > 0 && !put(&block{data: buf}) {
				return errStopped
			}
			return unlessEnd(err)
		case cut > 0:
			next := append(takeBuffer(), buf[cut:]...)
			if !put(&block{data: buf[:cut]}) {
				return errStopped
			}
			buf = next
		case len(buf) < MaxRecord:
			buf = append(make([]byte, 0, min(2*cap(buf), MaxRecord)), buf...)
		default:
			giveBuffer(buf)
			if buf, err = tooLong(r, put); err != nil {
				return unlessEnd(err)
			}
		}
	}
}

func unlessEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

const whyLong = "longer than 16 MiB"

// tooLong drops the rest of a line, which counts as a record, and returns what
// follows it.
func tooLong(r io.Reader, put func(*block) bool) ([]byte, error) {
	buf := takeBuffer()
	for {
		var err error
		buf, err = fill(r, buf[:0])
		cut := bytes.IndexByte(buf, '\n')
		if cut < 0 && err == nil {
			continue
		}
		if !put(&block{data: []byte{'\n'}, spans: []span{{why: "the line is " + whyLong}}}) {
			return buf, errStopped
		}
		if cut < 0 {
			return buf, err
		}
		return append(takeBuffer(), buf[cut+1:]...), nil
	}
}

// chunks cuts an event log.
func chunks(r io.Reader, size int, from int64, put func(*block) bool) error {
	for at := from; ; {
		buf, err := fill(r, takeBuffer()[:0:blockSize/size*size])
		if len(buf) > 0 && !put(&block{data: buf, at: at}) {
			return errStopped
		}
		if err != nil {
			return unlessEnd(err)
		}
		at += int64(len(buf))
	}
}
