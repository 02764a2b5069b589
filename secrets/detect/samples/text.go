package samples

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/secrets/detect"
)

// How far around a leak is read.
const (
	nameReach = 160
	upReach   = 8 << 10
	headReach = 4 << 10
)

// named reports whether the name to which code assigns a key calls it a test's. What
// else stands in the line says nothing: it may be the condition under which another
// value is taken.
func named(s *detect.Suspect, p *place) bool {
	if !p.code {
		return false
	}
	before := assigned(s.Body[max(0, s.At-nameReach):s.At])
	name := lastName(before)
	if types[strings.ToLower(string(name))] {
		name = lastName(before[:len(before)-len(name)])
	}
	return slices.ContainsFunc(parts(name), func(part string) bool { return invented[part] })
}

var (
	invented = set(`test tests testing example fake dummy mock sample bogus`)
	types    = set(`string str byte bytes char text`)
)

// between is what stands between = and a value, around names of types and functions.
const between = "[](\"'`+."

// assigned cuts off what stands between a name and its value: = ` and []byte(".
func assigned(before []byte) []byte {
	i := bytes.LastIndexAny(before, "=:")
	if i < 0 {
		return nil
	}
	for word := range bytes.FieldsSeq(before[i+1:]) {
		bare := !bytes.ContainsAny(word, between) // x = "a" if test else "b"
		if bare || bytes.ContainsFunc(word, func(c rune) bool { return c > '~' || !nameByte(byte(c)) && !strings.ContainsRune(between, c) }) {
			return nil
		}
	}
	if before[i] == ':' && bytes.Contains(before[bytes.LastIndexByte(before[:i], '\n')+1:i], []byte("? ")) {
		return nil // x = dev ? test : "b"
	}
	return bytes.TrimRight(before[:i], ":=?[] \t\"'*")
}

func nameByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '$'
}

func lastName(b []byte) []byte {
	b = bytes.TrimRight(b, "[]* \t:")
	i := len(b)
	for i > 0 && nameByte(b[i-1]) {
		i--
	}
	return b[i:]
}

// parts takes a name apart: testKey, TEST_KEY, test-key. It keeps latest and
// attestation whole.
func parts(name []byte) (out []string) {
	from := 0
	for i := 1; i <= len(name); i++ {
		if i < len(name) && (upper(name[i-1]) || !upper(name[i])) && name[i] != '_' && name[i] != '-' {
			continue
		}
		out = append(out, strings.ToLower(strings.Trim(string(name[from:i]), "_-$0123456789")))
		from = i
	}
	return out
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

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
		for rest := line; ; {
			i := bytes.Index(rest, []byte(w))
			if i < 0 {
				break
			}
			if i == 0 || !nameByte(rest[i-1]) {
				return true // and not yandex:, index:
			}
			rest = rest[i+1:]
		}
	}
	return false
}

// interfaces is what descriptions of interfaces begin with; a program's settings for
// one have no version there. calls is what a file of
// nothing but examples begins with, one call of an interface after another.
var (
	interfaces = regexp.MustCompile(`(?m)^(?:openapi|swagger): *["']?[23]\.|^[ \t{]*"(?:openapi|swagger)": *"[23]\.|"\$schema": *"https?://json-schema\.org/`)
	calls      = regexp.MustCompile(`^\s*\{\s*"version": *"1\.0",\s*"examples": *\{\s*"\w+": *\[`)
)

// described reports an example in the description of an interface. In other documents
// "example" is a service's name as well, or a tenant's.
func described(s *detect.Suspect) bool {
	head := s.Body[:min(len(s.Body), headReach)]
	at := bytes.LastIndexByte(s.Body[:min(s.At, len(s.Body))], '\n') + 1
	return calls.Match(head) || interfaces.Match(head) && underExample(s.Body, at)
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
