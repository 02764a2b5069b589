package normalise

import (
	"strings"
	"time"
)

// Header is what stands before the message in a line of a log file.
type Header struct {
	Time               time.Time
	Host, Program, PID string
	Message            string
}

// ParseLine reads a line that a syslog daemon wrote to a file: with the
// traditional stamp ("Nov  1 02:03:04", in loc, of the year that brings it
// closest before received) or an RFC 3339 one. It reports false for other
// lines, which stay what they are.
func ParseLine(line string, received time.Time, loc *time.Location) (Header, bool) {
	var h Header
	rest, ok := h.stamp(line, received, loc)
	if !ok {
		return Header{}, false
	}
	h.Host, rest, ok = strings.Cut(rest, " ")
	if !ok || h.Host == "" {
		return Header{}, false
	}
	tag, message, ok := strings.Cut(rest, ": ")
	if !ok {
		if tag, ok = strings.CutSuffix(rest, ":"); !ok {
			return Header{}, false
		}
	}
	if tag == "" || strings.ContainsAny(tag, " \t") {
		return Header{}, false
	}
	h.Message = message
	h.Program = tag
	if i := strings.IndexByte(tag, '['); i > 0 && strings.HasSuffix(tag, "]") {
		h.Program, h.PID = tag[:i], tag[i+1:len(tag)-1]
	}
	return h, true
}

func (h *Header) stamp(line string, received time.Time, loc *time.Location) (string, bool) {
	if len(line) > len(time.Stamp) && line[len(time.Stamp)] == ' ' {
		if t, err := time.ParseInLocation(time.Stamp, line[:len(time.Stamp)], loc); err == nil {
			h.Time = NearestYear(t, received, loc)
			return line[len(time.Stamp)+1:], true
		}
	}
	first, rest, ok := strings.Cut(line, " ")
	if !ok {
		return "", false
	}
	t, err := time.Parse(time.RFC3339Nano, first)
	if err != nil {
		return "", false
	}
	h.Time = t.UTC()
	return rest, true
}

// NearestYear gives a stamp without a year the latest one that does not put it
// more than a day after received.
func NearestYear(t, received time.Time, loc *time.Location) time.Time {
	year := received.In(loc).Year() + 1
	for ; year > 0; year-- {
		at := time.Date(year, t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, loc)
		// A date that the year lacks (29 February) moves on and is not it.
		if at.Month() == t.Month() && !at.After(received.Add(24*time.Hour)) {
			return at.UTC()
		}
	}
	return received
}
