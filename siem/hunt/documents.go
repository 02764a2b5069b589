package hunt

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// maxSkips bounds how often a file is looked at again for where the next
// document begins after one that does not end.
const maxSkips = 64

var (
	errGaveUp = errors.New("is broken in too many places; the rest was not searched")
	errArray  = errors.New("ends before its array of events does")
)

// cutter finds the records of JSON that does not go by lines: the elements of
// an array, objects one after the other, or the array within a wrapper. It
// counts braces and leaves to the engine whether a record is JSON.
type cutter struct {
	wrapper string // the name that the array of events has, if it has one

	base  int    // depth at which records stand
	depth int    // where we are
	i     int    // what has been looked at, in the buffer
	from  int    // where the open record begins, -1 if none is open
	inStr bool   // within a string at i
	key   int    // wrapped: where the last string of the wrapper begins
	named bool   // wrapped: that string is the wrapper's name
	lost  bool   // looking for where a record could begin
	lead  []byte // how the line of the first record begins
	spans []span
	skips int
}

func newCutter(wrapper string) *cutter {
	return &cutter{wrapper: wrapper, from: -1}
}

// documents cuts a file into blocks of records.
func documents(r io.Reader, wrapper string, put func(*block) bool) error {
	c := newCutter(wrapper)
	buf := takeBuffer()
	for {
		var err error
		buf, err = fill(r, buf)
		c.scan(buf)
		for c.stuck(buf, err) {
			if c.skips++; c.skips > maxSkips {
				put(&block{data: buf, spans: c.spans})
				return errGaveUp
			}
			c.skip(buf)
			c.scan(buf)
		}
		keep := c.keep(len(buf))
		if err == nil && keep == 0 {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
			continue
		}
		if !put(&block{data: buf[:keep], spans: slices.Clone(c.spans)}) {
			return errStopped
		}
		if err != nil {
			return c.atEnd(err)
		}
		buf = append(takeBuffer(), buf[keep:]...)
		c.shift(keep)
	}
}

// keep is how much of the buffer is done with.
func (c *cutter) keep(n int) int {
	switch {
	case c.from >= 0:
		return c.from
	case c.inStr && c.key >= 0 && n < MaxRecord:
		return c.key // it may be the wrapper's name
	}
	return c.i
}

func (c *cutter) atEnd(err error) error {
	if err = unlessEnd(err); err == nil && c.depth > 0 && !c.lost {
		return errArray
	}
	return err
}

func (c *cutter) shift(n int) {
	c.i -= n
	c.key -= n
	if c.from >= 0 {
		c.from -= n
	}
	c.spans = c.spans[:0]
}

// stuck reports that the open record does not end, or is too long to be waited
// for.
func (c *cutter) stuck(b []byte, err error) bool {
	return c.from >= 0 && (err != nil || len(b)-c.from >= MaxRecord)
}

// skip gives the open record up: it is counted, and the next is looked for where
// a line begins as that of the first record did.
func (c *cutter) skip(b []byte) {
	why := "the value does not end"
	if len(b)-c.from >= MaxRecord {
		why = "the value is " + whyLong
	}
	c.spans = append(c.spans, span{c.from, c.from, why})
	c.i, c.from, c.depth, c.inStr, c.lost = c.from+1, -1, c.base, false, true
}

// scan goes on to the end of the buffer.
func (c *cutter) scan(b []byte) {
	for c.i < len(b) {
		switch {
		case c.lost:
			if !c.find(b) {
				return
			}
		case c.inStr:
			c.endString(b)
		default:
			c.step(b)
		}
	}
}

// find looks for the beginning of a line that could begin a record. The last
// bytes wait for those that follow them.
func (c *cutter) find(b []byte) bool {
	n := bytes.Index(b[c.i:], c.lead)
	if n < 0 {
		c.i = max(c.i, len(b)-len(c.lead)+1)
		return false
	}
	c.i += n + len(c.lead) - 1
	c.lost = false
	return true
}

func (c *cutter) endString(b []byte) {
	n := bytes.IndexByte(b[c.i:], '"')
	if n < 0 {
		c.i = len(b)
		return
	}
	at := c.i + n
	c.i = at + 1
	slashes := 0
	for at > slashes && b[at-1-slashes] == '\\' {
		slashes++
	}
	if slashes%2 == 1 {
		return
	}
	c.inStr = false
	if c.wrapper != "" && c.base == 0 && c.depth == 1 && c.key >= 0 {
		c.named = string(b[c.key+1:at]) == c.wrapper
	}
}

func (c *cutter) step(b []byte) {
	switch ch := b[c.i]; ch {
	case '"':
		if c.from < 0 && c.recordLevel() {
			c.stray(b)
			return
		}
		c.inStr, c.key = true, c.i
	case '{', '[':
		c.open(b, ch)
	case '}', ']':
		c.shut()
	case ' ', '\t', '\n', '\r', ':':
	case ',':
		c.named = false
	default:
		if c.from < 0 && c.recordLevel() {
			c.stray(b)
			return
		}
	}
	c.i++
}

// recordLevel reports whether what stands here should be a record.
func (c *cutter) recordLevel() bool {
	return c.depth == c.base && (c.base > 0 || c.wrapper == "")
}

func (c *cutter) open(b []byte, ch byte) {
	switch {
	case c.from >= 0:
	case c.wrapper != "" && c.base == 0 && c.depth == 1 && c.named && ch == '[':
		c.base = 2
	case c.depth == 0 && c.wrapper == "" && ch == '[':
		c.base = 1
	case c.recordLevel():
		c.from = c.i
		if c.lead == nil {
			c.indent(b)
		}
	}
	c.depth++
}

// indent learns from the first record how far records stand from the margin.
func (c *cutter) indent(b []byte) {
	line := b[bytes.LastIndexByte(b[:c.i], '\n')+1 : c.i]
	if len(bytes.TrimLeft(line, " \t")) > 0 {
		line = nil
	}
	c.lead = append(append([]byte{'\n'}, line...), '{')
}

func (c *cutter) shut() {
	if c.depth--; c.depth < 0 {
		c.depth = 0
	}
	switch {
	case c.from >= 0 && c.depth == c.base:
		c.spans = append(c.spans, span{from: c.from, to: c.i + 1})
		c.from = -1
	case c.from < 0 && c.depth < c.base:
		c.base = 0
	}
}

// stray notes something that is not a record where one should be.
func (c *cutter) stray(b []byte) {
	c.spans = append(c.spans, span{c.i, c.i, "not a JSON object"})
	n := bytes.IndexAny(b[c.i+1:], "\n,{[]}")
	if n < 0 {
		c.i = len(b)
		return
	}
	c.i += 1 + n
}

// wrappers are the names under which exports hold their events.
var wrappers = []string{"Records", "records", "Events", "events", "value", "results", "Results", "items", "data", "logs", "hits", "entries"}

// wrapperOf returns the name of the array of objects that the first object holds
// its events in, "" if it has none.
func wrapperOf(head []byte) string {
	for _, name := range wrappers {
		c := newCutter(name)
		c.key = -1
		for c.i < len(head) && c.base == 0 && (c.i == 0 || c.depth > 0) {
			if c.inStr {
				c.endString(head)
			} else {
				c.step(head)
			}
		}
		rest := bytes.TrimLeft(head[c.i:], " \t\r\n")
		if c.base == 2 && len(rest) > 0 && rest[0] == '{' {
			return name
		}
	}
	return ""
}
