package sigma

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokKind uint8

const (
	tokLit  tokKind = iota
	tokAny          // *
	tokOne          // ?
	tokDash         // any of the dashes that Windows programs take for an option
)

type tok struct {
	kind tokKind
	text string
}

// dashes are what `windash` lets stand for one another.
var dashes = []rune{'-', '/', '–', '—', '―'}

// parsePattern reads a Sigma string: `*` and `?` are wildcards, a backslash
// before either or before a backslash takes its meaning away, and any other
// backslash is itself.
func parsePattern(s string) []tok {
	var out []tok
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, tok{tokLit, lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && strings.IndexByte(`*?\`, s[i+1]) >= 0:
			i++
			lit.WriteByte(s[i])
		case c == '*':
			flush()
			if len(out) == 0 || out[len(out)-1].kind != tokAny {
				out = append(out, tok{kind: tokAny})
			}
		case c == '?':
			flush()
			out = append(out, tok{kind: tokOne})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return out
}

// openEnds adds the wildcards that contains, startswith and endswith stand for.
func openEnds(toks []tok, before, after bool) []tok {
	star := tok{kind: tokAny}
	if before && (len(toks) == 0 || toks[0].kind != tokAny) {
		toks = append([]tok{star}, toks...)
	}
	if after && (len(toks) == 0 || toks[len(toks)-1].kind != tokAny) {
		toks = append(toks[:len(toks):len(toks)], star)
	}
	return toks
}

// winDash turns each dash or slash that begins a word into a dash of any kind: the
// one of an option, and not one inside a word.
func winDash(toks []tok) []tok {
	var out []tok
	for _, t := range toks {
		if t.kind != tokLit {
			out = append(out, t)
			continue
		}
		from, prev := 0, ' '
		for i, r := range t.text {
			next, _ := utf8.DecodeRuneInString(t.text[i+utf8.RuneLen(r):])
			if isDash(r) && !wordRune(prev) && wordRune(next) {
				if i > from {
					out = append(out, tok{tokLit, t.text[from:i]})
				}
				out = append(out, tok{kind: tokDash})
				from = i + utf8.RuneLen(r)
			}
			prev = r
		}
		if from < len(t.text) {
			out = append(out, tok{tokLit, t.text[from:]})
		}
	}
	return out
}

func wordRune(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// wild is a pattern with wildcards, cut at the stars.
type wild struct {
	segs       [][]tok
	head, tail bool // the first, the last segment is anchored
}

func newWild(toks []tok) wild {
	w := wild{head: true, tail: true}
	var seg []tok
	for i, t := range toks {
		if t.kind != tokAny {
			seg = append(seg, t)
			continue
		}
		if i == 0 {
			w.head = false
		}
		if i == len(toks)-1 {
			w.tail = false
		}
		if len(seg) > 0 {
			w.segs = append(w.segs, seg)
			seg = nil
		}
	}
	if len(seg) > 0 {
		w.segs = append(w.segs, seg)
	}
	return w
}

// appendKey writes what tells the pattern from others.
func (w wild) appendKey(b []byte) []byte {
	b = strconv.AppendBool(strconv.AppendBool(append(b, ' '), w.head), w.tail)
	for _, seg := range w.segs {
		b = append(b, '*')
		for _, t := range seg {
			b = appendCounted(append(b, byte('0'+t.kind)), t.text)
		}
	}
	return b
}

// match walks the segments from the left, each at its first possible place.
func (w wild) match(s []byte) bool {
	segs := w.segs
	if len(segs) == 0 {
		return !w.head || len(s) == 0
	}
	if w.head {
		n, ok := segAt(segs[0], s)
		if !ok {
			return false
		}
		s, segs = s[n:], segs[1:]
		if len(segs) == 0 {
			return !w.tail || len(s) == 0
		}
	}
	for i, seg := range segs {
		last := i == len(segs)-1 && w.tail
		rest, ok := segFind(seg, s, last)
		if !ok {
			return false
		}
		s = rest
	}
	return true
}

// segFind returns what follows the first place where seg matches; with atEnd,
// the first place after which nothing follows.
func segFind(seg []tok, s []byte, atEnd bool) ([]byte, bool) {
	for {
		if seg[0].kind == tokLit {
			i := bytes.Index(s, []byte(seg[0].text))
			if i < 0 {
				return nil, false
			}
			s = s[i:]
		}
		if n, ok := segAt(seg, s); ok && (!atEnd || n == len(s)) {
			return s[n:], true
		}
		if len(s) == 0 {
			return nil, false
		}
		_, size := utf8.DecodeRune(s)
		s = s[size:]
	}
}

// segAt matches seg at the beginning of s and returns its length there.
func segAt(seg []tok, s []byte) (int, bool) {
	n := 0
	for _, t := range seg {
		if t.kind == tokLit {
			if len(s)-n < len(t.text) || string(s[n:n+len(t.text)]) != t.text {
				return 0, false
			}
			n += len(t.text)
			continue
		}
		if n == len(s) {
			return 0, false
		}
		r, size := utf8.DecodeRune(s[n:])
		if t.kind == tokDash && !isDash(r) {
			return 0, false
		}
		n += size
	}
	return n, true
}

func isDash(r rune) bool {
	for _, d := range dashes {
		if r == d {
			return true
		}
	}
	return false
}

// lower is the one folding of case, for patterns and for values. Beyond ASCII a
// letter goes to upper case and back: so all that are one letter in some
// case meet (the long s and the Kelvin sign too, which an attacker's file
// or host name may use and the system behind it takes for s and k).
func lower(s string) string { return string(appendFolded(nil, []byte(s))) }
