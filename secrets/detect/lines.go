package detect

import "bytes"

// reach is how far a line is looked at around a find: a minified file is one
// line of megabytes, and looking at all of it for each find would never end.
const reach = 2048

// lineAround is the lines on which start to end stand, without the last line's
// end, cut to reach on both sides.
func lineAround(body []byte, start, end int) []byte {
	from, to := lineBounds(body, start, end, reach)
	return body[from:to]
}

func lineBounds(body []byte, start, end, most int) (from, to int) {
	from = max(0, start-most)
	if i := bytes.LastIndexByte(body[from:start], '\n'); i >= 0 {
		from += i + 1
	}
	to = min(len(body), end+most)
	if i := bytes.IndexByte(body[end:to], '\n'); i >= 0 {
		to = end + i
	}
	return from, to
}

// lineIndex turns offsets into lines and columns. It is asked in rising order
// and reads the text once; a step back starts over.
type lineIndex struct {
	at    int // counted up to here
	line  int // lines that began before at, less one
	start int // where the line of at begins
}

func (x *lineIndex) place(body []byte, offset int) (line, column int) {
	if offset < x.start {
		*x = lineIndex{}
	}
	if offset > x.at {
		seen := body[x.at:offset]
		if n := bytes.Count(seen, newline); n > 0 {
			x.line += n
			x.start = x.at + bytes.LastIndexByte(seen, '\n') + 1
		}
		x.at = offset
	}
	return x.line + 1, offset - x.start + 1
}

var newline = []byte{'\n'}
