package samples

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// How far around a leak is read.
const (
	nameReach = 160
	upReach   = 8 << 10
)

// named reports whether what stands before a key in code calls it a test's.
func named(s *detect.Suspect, p *place) bool {
	if !p.code {
		return false
	}
	before := s.Body[max(0, s.At-nameReach):s.At]
	if i := bytes.LastIndexByte(before, '\n'); i >= 0 {
		if j := bytes.LastIndexByte(before[:i], '\n'); j >= 0 && s.Kind == detect.KindPrivateKey {
			i = j // a key begins in a line of its own
		}
		before = before[i:]
	}
	small := bytes.ToLower(before)
	for _, w := range [...]string{"test", "example", "fake", "dummy", "mock", "sample", "bogus"} {
		for at := 0; ; at++ {
			i := bytes.Index(small[at:], []byte(w))
			if i < 0 {
				break
			}
			at += i
			if at == 0 || len(small) != len(before) || small[at-1] < 'a' || small[at-1] > 'z' || before[at] != small[at] && before[at-1] == small[at-1] {
				return true // and not latest, attestation
			}
		}
	}
	return false
}

// published reports a page of documentation: one that begins with what a website asks
// of its pages.
func published(s *detect.Suspect, p *place) bool {
	return p.page || p.example && p.prose || p.docs && p.prose && bytes.HasPrefix(s.Body, []byte("---\n"))
}

// testAccount reports whether a password belongs to an account named for tests, and at
// no host that others reach: testuser:$apr1$…, test:…@localhost.
func testAccount(s *detect.Suspect) bool {
	before, ok := bytes.CutSuffix(s.Body[max(0, s.At-32):s.At], []byte(":"))
	if !ok {
		return false
	}
	i := bytes.LastIndexFunc(before, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' })
	switch string(before[i+1:]) {
	case "test", "testuser", "test_user", "test-user", "tester":
		return !remote(s.Body[min(len(s.Body), s.At+len(s.Secret)):])
	}
	return false
}

// remote reports a host behind a password that has a domain.
func remote(behind []byte) bool {
	host, ok := bytes.CutPrefix(behind[:min(len(behind), nameReach)], []byte("@"))
	if !ok {
		return false
	}
	if i := bytes.IndexByte(host, '('); i >= 0 && i < 6 {
		host = host[i+1:] // tcp(…)
	}
	if i := bytes.IndexFunc(host, func(c rune) bool {
		return (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-'
	}); i >= 0 {
		host = host[:i]
	}
	return bytes.IndexByte(host, '.') > 0 && !bytes.HasPrefix(host, []byte("127."))
}

// shown reports whether the text itself presents what was found as an example.
func shown(s *detect.Suspect, p *place) bool {
	from := bytes.LastIndexByte(s.Body[:min(s.At, len(s.Body))], '\n') + 1
	line := s.Body[from:s.At]
	if p.code && comment(line) {
		return p.goDoc || introduces(line) || introduces(lineBefore(s.Body, from))
	}
	if mark := bytes.TrimLeft(line, " \t"); len(mark) > 0 && (mark[0] == '#' || mark[0] == ';') && introduces(line) {
		return true
	}
	return underExample(s.Body, from)
}

func comment(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	for _, mark := range [...]string{"//", "#", "* ", "/*", "--"} {
		if bytes.HasPrefix(line, []byte(mark)) {
			return true
		}
	}
	return false
}

func lineBefore(body []byte, from int) []byte {
	if from == 0 {
		return nil
	}
	i := max(from-1-nameReach, bytes.LastIndexByte(body[:from-1], '\n')+1)
	if line := body[i : from-1]; comment(line) {
		return line
	}
	return nil
}

// introduces reports words by which a comment begins an example.
func introduces(line []byte) bool {
	line = bytes.ToLower(line)
	for _, w := range [...]string{"e.g.", "for example", "an example", "example:", "examples:", "ex:", "such as", "for instance", "looks like"} {
		if bytes.Contains(line, []byte(w)) {
			return true
		}
	}
	return false
}

// underExample reports whether the line that begins at from stands below a key
// "example" or "examples" in an indented text, as descriptions of interfaces have them.
func underExample(body []byte, from int) bool {
	depth := indent(body[from:])
	if exampleKey(body[from:]) {
		return true
	}
	for least := max(0, from-upReach); from > least && depth > 0; {
		from = bytes.LastIndexByte(body[:from-1], '\n') + 1
		line := body[from:]
		if n := indent(line); n < depth && !blank(line) {
			depth = n
			if exampleKey(line[n:]) {
				return true
			}
		}
	}
	return false
}

func blank(line []byte) bool {
	line = bytes.TrimLeft(line, " \t\r")
	return len(line) == 0 || line[0] == '\n'
}

func indent(line []byte) int {
	for i, c := range line {
		if c != ' ' && c != '\t' {
			return i
		}
	}
	return len(line)
}

// exampleKey reports example:, "examples": and their like.
func exampleKey(line []byte) bool {
	line = bytes.TrimLeft(line, " \t-\"'")
	line = bytes.TrimPrefix(line, []byte("x-"))
	rest, ok := bytes.CutPrefix(line, []byte("example"))
	if !ok {
		return false
	}
	rest = bytes.TrimLeft(bytes.TrimPrefix(rest, []byte("s")), "\"' ")
	return len(rest) > 0 && rest[0] == ':'
}
