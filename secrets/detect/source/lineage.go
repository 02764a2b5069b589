package source

import (
	"bytes"
	"hash/maphash"
	"slices"

	"github.com/interlock-security/interlock/secrets/detect"
)

// lineage is the versions of one file, oldest first. Only lines that no version
// before had are looked at, with some around them, so that a long file with a
// thousand small changes costs what its changes cost.
type lineage struct {
	seed maphash.Seed
	// seen holds the lines of all versions so far, by hash.
	seen map[uint64]struct{}
	last []byte
	told map[uint64]bool
	// leaks are what was found in this file, each with the line that it stands in.
	leaks []lineLeak
}

type lineLeak struct {
	Found
	line []byte
	blob [32]byte
}

// span is a half-open range of lines, from 1.
type span struct{ from, to int }

func newLineage() *lineage {
	return &lineage{seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, told: map[uint64]bool{}}
}

// fresh returns which lines of the next version were in none before.
func (g *lineage) fresh(body []byte) []span {
	head, tail := common(g.last, body)
	line := 1 + bytes.Count(body[:head], []byte{'\n'})
	var out []span
	for rest := body[head : len(body)-tail]; len(rest) > 0; line++ {
		one := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			one, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		h := maphash.Bytes(g.seed, one)
		if _, old := g.seen[h]; old {
			continue
		}
		g.seen[h] = struct{}{}
		if n := len(out); n > 0 && out[n-1].to == line {
			out[n-1].to++
			continue
		}
		out = append(out, span{line, line + 1})
	}
	g.last = append(g.last[:0], body...)
	return out
}

// common is how many bytes two texts share at their beginnings and at their ends, in
// whole lines of the second.
func common(a, b []byte) (head, tail int) {
	n := min(len(a), len(b))
	head = sharedHead(a[:n], b[:n])
	if head == len(b) && head == len(a) {
		return head, 0
	}
	head = bytes.LastIndexByte(b[:head], '\n') + 1
	most := n - head
	tail = sharedTail(a[len(a)-most:], b[len(b)-most:])
	if i := bytes.IndexByte(b[len(b)-tail:], '\n'); i >= 0 {
		return head, tail - i - 1
	}
	return head, 0
}

// block is how many bytes are compared at once, which the machine does far faster
// than one by one.
const block = 256

func sharedHead(a, b []byte) int {
	i := 0
	for i+block <= len(a) && bytes.Equal(a[i:i+block], b[i:i+block]) {
		i += block
	}
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i
}

func sharedTail(a, b []byte) int {
	i := len(a)
	for i >= block && bytes.Equal(a[i-block:i], b[i-block:i]) {
		i -= block
	}
	for i > 0 && a[i-1] == b[i-1] {
		i--
	}
	return len(a) - i
}

// Context of what is new in a version.
const (
	// wholeText is how short a text is looked at as a whole.
	wholeText = 16 << 10
	// contextLines are looked at around new lines, since what a value is may stand
	// above it.
	contextLines = 12
	contextBytes = 4 << 10
)

// regions joins what is new, with its context, to stretches of the text.
func regions(body []byte, fresh []span) []stretch {
	if len(body) <= wholeText || len(fresh) == 0 {
		if len(fresh) == 0 {
			return nil
		}
		return []stretch{{body: body, to: len(body)}}
	}
	var out []stretch
	at, line := 0, 1
	for i := 0; i < len(fresh); {
		j := i
		for j+1 < len(fresh) && fresh[j+1].from-fresh[j].to <= 2*contextLines {
			j++
		}
		begin := skipLines(body, at, fresh[i].from-line)
		end := skipLines(body, begin, fresh[j].to-fresh[i].from)
		from, to := before(body, begin), after(body, end)
		out = append(out, stretch{body: body[from:to], to: to - from, lines: fresh[i].from - 1 - bytes.Count(body[from:begin], []byte{'\n'})})
		at, line, i = end, fresh[j].to, j+1
	}
	return out
}

// skipLines is the offset n lines after at.
func skipLines(b []byte, at, n int) int {
	for ; n > 0; n-- {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return len(b)
		}
		at += i + 1
	}
	return at
}

// before is where the context above at begins.
func before(b []byte, at int) int {
	least := max(0, at-contextBytes)
	for range contextLines {
		if at == 0 {
			return 0
		}
		i := bytes.LastIndexByte(b[least:at-1], '\n')
		if i < 0 {
			if least == 0 {
				return 0
			}
			return at
		}
		at = least + i + 1
	}
	return at
}

// after is where the context below at ends.
func after(b []byte, at int) int {
	most := min(len(b), at+contextBytes)
	for range contextLines {
		i := bytes.IndexByte(b[at:most], '\n')
		if i < 0 {
			if most == len(b) {
				return most
			}
			return at
		}
		at += i + 1
	}
	return at
}

// touches reports whether a leak stands on a line that is new.
func touches(fresh []span, l *detect.Leak) bool {
	first, last := l.Line, max(l.EndLine, l.Line)
	if l.MatchLine > 0 {
		first = min(first, l.MatchLine)
	}
	i, _ := slices.BinarySearchFunc(fresh, first, func(s span, line int) int {
		if s.to <= line {
			return -1
		}
		return 1
	})
	return i < len(fresh) && fresh[i].from <= last
}

// first reports whether a leak was not told of this file before.
func (g *lineage) first(l *detect.Leak) bool {
	var h maphash.Hash
	h.SetSeed(g.seed)
	_, _ = h.WriteString(l.Fingerprint)
	_, _ = h.Write(l.Secret.Reveal())
	key := h.Sum64()
	if g.told[key] {
		return false
	}
	g.told[key] = true
	return true
}

// look scans what is new in the next version.
func (w *worker) look(g *lineage, at *where, blob [32]byte, body []byte, fresh []span) {
	if len(fresh) == 0 {
		return
	}
	for _, s := range regions(body, fresh) {
		gaps := w.Detector.Scan(detect.Text{Path: at.asked, Body: s.body, Commit: at.Commit}, func(l *detect.Leak) {
			w.sight(g, at, blob, s, l, fresh)
		})
		for _, d := range gaps {
			w.gap(at.String(), d.Why, TooMany)
		}
	}
}

// longestLine is how much of a line is remembered to know it again.
const longestLine = 1024

func (w *worker) sight(g *lineage, at *where, blob [32]byte, s stretch, l *detect.Leak, fresh []span) {
	line := lineOf(s.body, l.Line)
	byName := l.Line == 0
	if !byName {
		l.Line, l.EndLine, l.MatchLine = l.Line+s.lines, l.EndLine+s.lines, l.MatchLine+s.lines
		if !touches(fresh, l) {
			return
		}
	}
	if !g.first(l) {
		return
	}
	p := at.Place
	p.Line, p.Column, p.EndLine, p.EndColumn = l.Line, l.Column, l.EndLine, l.EndColumn
	l.Place = p
	if len(g.leaks) == w.Limits.Leaks {
		w.gap(at.String(), "its versions have more leaks than are told of one file", TooMany)
	}
	if len(g.leaks) <= w.Limits.Leaks {
		g.leaks = append(g.leaks, lineLeak{Found{Leak: l, Note: at.note}, bytes.Clone(line), blob})
	}
}

// lineOf is the n-th line, without its indentation.
func lineOf(b []byte, n int) []byte {
	if n < 1 {
		return nil
	}
	b = b[skipLines(b, 0, n-1):]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	b = bytes.TrimSpace(b)
	return b[:min(len(b), longestLine)]
}
