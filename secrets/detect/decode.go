package detect

import (
	"fmt"
	"slices"
	"sort"

	"github.com/interlock-security/interlock/secrets/detect/internal/encoding"
)

// segment is a part of a view's body that was decoded: where it stands in the
// view, what it was in the text that was scanned, and how it was encoded,
// outermost first.
type segment struct {
	at, end  int
	from, to int
	names    []string
}

// around is how much of a text is looked at again on both sides of what was
// decoded in it: a name, an assignment, a line.
const around = 512

// maxSegments bounds what one text may have encoded.
const maxSegments = 200_000

// maxView bounds how much is decoded at once.
const maxView = 1 << 20

// peel takes off one layer of encoding after the other, and reads again what is
// near to what was decoded.
func (s *scan) peel() {
	left := maxSegments
	if whole := s.decode(s.base, s.d.decode, &left); !whole {
		s.gap(fmt.Sprintf("it has more than %d encoded parts, or one of over %d bytes; the rest was read as it is", maxSegments, encoding.MaxRun))
	}
}

// decode reads each part of v that has something encoded, and what is encoded in
// that. In a view that was decoded already only what touches that can be new.
func (s *scan) decode(v *view, depth int, left *int) (whole bool) {
	if depth == 0 {
		return true
	}
	var group []encoding.Segment
	whole = true
	flush := func() {
		if len(group) == 0 {
			return
		}
		inner := v.decoded(group)
		group = group[:0]
		s.read(inner, false)
		whole = s.decode(inner, depth-1, left) && whole
	}
	found := encoding.Find(v.Body, *left, func(e encoding.Segment) {
		if v != s.base && len(v.overlap(e.Start, e.End)) == 0 {
			return
		}
		*left = max(0, *left-1)
		if n := len(group); n > 0 && (e.Start-group[n-1].End > 2*around || e.End-group[0].Start > maxView) {
			flush()
		}
		group = append(group, e)
	})
	flush()
	return found && whole
}

// decoded is the neighbourhood of some encoded parts with these decoded.
func (v *view) decoded(parts []encoding.Segment) *view {
	from, _ := lineBounds(v.Body, parts[0].Start, parts[0].Start, around)
	last := parts[len(parts)-1].End
	_, to := lineBounds(v.Body, last, last, around)
	from, to = max(0, min(from, parts[0].Start-around)), min(len(v.Body), max(to, last+around))
	out := &view{Text: v.Text}
	out.Body = make([]byte, 0, to-from)
	out.origin, _ = v.original(from, from)
	at := from
	keep := func(end int) {
		out.inherit(v, at, end)
		out.Body = append(out.Body, v.Body[at:end]...)
	}
	for _, p := range parts {
		keep(p.Start)
		lo, hi := v.original(p.Start, p.End)
		names := []string{}
		for _, outer := range v.overlap(p.Start, p.End) {
			names = union(names, outer.names)
		}
		start := len(out.Body)
		out.Body = append(out.Body, p.Plain...)
		out.segments = append(out.segments, segment{start, len(out.Body), lo, hi, union(names, []string{p.Name})})
		at = p.End
	}
	keep(to)
	return out
}

// inherit keeps what an earlier layer decoded in the part that is copied.
func (out *view) inherit(v *view, at, end int) {
	for _, o := range v.overlap(at, end) {
		shift := len(out.Body) - at
		out.segments = append(out.segments, segment{max(o.at, at) + shift, min(o.end, end) + shift, o.from, o.to, o.names})
	}
}

func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, name := range b {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// overlap lists the decoded segments that a part of the view touches.
func (v *view) overlap(start, end int) []segment {
	i := sort.Search(len(v.segments), func(i int) bool { return v.segments[i].end > start || v.segments[i].at >= start })
	n := i
	for n < len(v.segments) && (v.segments[n].at < end || v.segments[n].at == start) {
		n++
	}
	return v.segments[i:n]
}

// original is where a part of the view stands in the text that was scanned.
func (v *view) original(start, end int) (from, to int) {
	from, _ = v.spot(start)
	if end <= start {
		return from, from
	}
	_, to = v.spot(end - 1)
	return from, to
}

// spot is the place of one byte: itself, or all of the segment that it is of.
func (v *view) spot(at int) (from, to int) {
	i := sort.Search(len(v.segments), func(i int) bool { return v.segments[i].end > at })
	if i < len(v.segments) && v.segments[i].at <= at {
		return v.segments[i].from, v.segments[i].to
	}
	origin := v.origin + at
	if i > 0 {
		origin = v.segments[i-1].to + at - v.segments[i-1].end
	}
	return origin, origin + 1
}

// place says where a hit in a view stands. What no decoded segment is part of
// was seen before.
func (s *scan) place(f *find, v *view, h Hit) bool {
	if v == s.base {
		f.at, f.end, f.matchAt = h.Start, h.End, h.MatchStart
		return true
	}
	for _, seg := range v.overlap(h.MatchStart, h.MatchEnd) {
		f.decoded = union(f.decoded, seg.names)
	}
	if len(f.decoded) == 0 {
		return false
	}
	f.at, f.end = v.original(h.Start, h.End)
	f.matchAt, _ = v.original(h.MatchStart, h.MatchEnd)
	return true
}
