package link

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
)

// Limits of every strictly decoded document. A narrower reader (an envelope, a
// payload) checks its own limit first.
const (
	// MaxDocument is the largest document, in bytes.
	MaxDocument = 1 << 20
	maxDepth    = 32
	maxItems    = 1 << 14 // elements of one array
	maxKeys     = 1 << 12 // members of one object
	maxNumber   = 64      // digits and signs of one number
)

// parser walks one JSON document (RFC 8259) and knows where it stands, so that
// every refusal names the JSON path and the byte offset.
type parser struct {
	data  []byte
	pos   int
	depth int
	path  []segment
}

// segment is one step of a JSON path: a key, or an index where key is empty
// and inArray is set. It becomes text only in an error.
type segment struct {
	key     string
	index   int
	inArray bool
}

func (s segment) String() string {
	if s.inArray {
		return "[" + strconv.Itoa(s.index) + "]"
	}
	for i := range len(s.key) {
		c := s.key[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "[" + strconv.QuoteToASCII(clip(s.key)) + "]"
		}
	}
	return "." + clip(s.key)
}

func (p *parser) fail(at int, format string, args ...any) error {
	where := "$"
	for _, s := range p.path {
		where += s.String()
	}
	return core.E(core.KindInvalid, "link.DecodeStrict", fmt.Sprintf("%s at byte %d: %s", where, at, fmt.Sprintf(format, args...)))
}

func (p *parser) push(s segment) { p.path = append(p.path, s) }

func (p *parser) pop() { p.path = p.path[:len(p.path)-1] }

// clip keeps what a stranger sent from filling an error message.
func clip(s string) string {
	if len(s) <= 48 {
		return s
	}
	return strings.ToValidUTF8(s[:48], "") + "..."
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) expect(c byte) error {
	if got := p.peek(); got != c {
		return p.unexpected("'" + string(c) + "'")
	}
	p.pos++
	return nil
}

func (p *parser) unexpected(want string) error {
	if p.pos >= len(p.data) {
		return p.fail(p.pos, "the document ends where %s must stand", want)
	}
	r, _ := utf8.DecodeRune(p.data[p.pos:])
	return p.fail(p.pos, "%q stands where %s must stand", r, want)
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail(p.pos, "nested deeper than %d levels", maxDepth)
	}
	return nil
}

// object calls member for each key; member must consume the value. A key that
// seen has met before is refused.
func (p *parser) object(seen keySet, member func(key string, at int) error) error {
	if err := p.expect('{'); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer func() { p.depth-- }()
	if p.peek() == '}' {
		p.pos++
		return nil
	}
	for n := 1; ; n++ {
		if n > maxKeys {
			return p.fail(p.pos, "more than %d keys in one object", maxKeys)
		}
		if err := p.member(seen, member); err != nil {
			return err
		}
		if p.peek() == '}' {
			p.pos++
			return nil
		}
		if err := p.expect(','); err != nil {
			return err
		}
	}
}

func (p *parser) member(seen keySet, member func(string, int) error) error {
	p.space()
	at := p.pos
	key, err := p.str()
	if err != nil {
		return err
	}
	if seen.again(key) {
		return p.fail(at, "key %q stands twice in one object", clip(key))
	}
	if err := p.expect(':'); err != nil {
		return err
	}
	p.push(segment{key: key})
	err = member(key, at)
	p.pop()
	return err
}

// keySet remembers the keys of one object.
type keySet interface {
	// again reports whether the key was given before.
	again(key string) bool
}

// anyKeys is the keySet of an object of any shape.
type anyKeys map[string]struct{}

func (k anyKeys) again(key string) bool {
	_, dup := k[key]
	k[key] = struct{}{}
	return dup
}

// array calls item for each element; item must consume it.
func (p *parser) array(item func(i int) error) error {
	if err := p.expect('['); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer func() { p.depth-- }()
	if p.peek() == ']' {
		p.pos++
		return nil
	}
	for i := 0; ; i++ {
		if i == maxItems {
			return p.fail(p.pos, "more than %d elements in one array", maxItems)
		}
		p.push(segment{index: i, inArray: true})
		err := item(i)
		p.pop()
		if err != nil {
			return err
		}
		if p.peek() == ']' {
			p.pos++
			return nil
		}
		if err := p.expect(','); err != nil {
			return err
		}
	}
}

// skip checks and passes over any value.
func (p *parser) skip() error {
	switch c := p.peek(); {
	case c == '{':
		return p.object(anyKeys{}, func(string, int) error { return p.skip() })
	case c == '[':
		return p.array(func(int) error { return p.skip() })
	case c == '"':
		_, err := p.str()
		return err
	case c == '-' || '0' <= c && c <= '9':
		_, err := p.number()
		return err
	}
	for _, word := range []string{"true", "false", "null"} {
		if p.word(word) {
			return nil
		}
	}
	return p.unexpected("a value")
}

func (p *parser) word(w string) bool {
	p.space()
	if !bytes.HasPrefix(p.data[p.pos:], []byte(w)) {
		return false
	}
	p.pos += len(w)
	return true
}

// number returns the literal.
func (p *parser) number() (string, error) {
	p.space()
	start := p.pos
	for p.pos < len(p.data) && strings.IndexByte("+-.0123456789eE", p.data[p.pos]) >= 0 {
		p.pos++
	}
	lit := string(p.data[start:p.pos])
	if lit == "" {
		return "", p.unexpected("a number")
	}
	if len(lit) > maxNumber {
		return "", p.fail(start, "a number of more than %d characters", maxNumber)
	}
	if !isNumber(lit) {
		return "", p.fail(start, "%q is not a JSON number", lit)
	}
	return lit, nil
}

// isNumber is RFC 8259 section 6.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, s := digits(s)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		frac, after := digits(rest)
		if s = after; frac == "" {
			return false
		}
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	exp, rest := digits(s)
	return exp != "" && rest == ""
}

func digits(s string) (head, tail string) {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// str reads a string; the whole document was found to be valid UTF-8 before.
func (p *parser) str() (string, error) {
	if err := p.expect('"'); err != nil {
		return "", err
	}
	start := p.pos
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return string(p.data[start : p.pos-1]), nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", p.fail(p.pos, "control character %#02x in a string", c)
		}
		p.pos++
	}
	return "", p.unexpected("the end of a string")
}

// escaped finishes a string in which an escape was met at p.pos.
func (p *parser) escaped(start int) (string, error) {
	out := append([]byte(nil), p.data[start:p.pos]...)
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		switch {
		case c == '"':
			p.pos++
			return string(out), nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
			continue
		case c < 0x20:
			return "", p.fail(p.pos, "control character %#02x in a string", c)
		}
		out = append(out, c)
		p.pos++
	}
	return "", p.unexpected("the end of a string")
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) escape() (rune, error) {
	at := p.pos
	if at+1 >= len(p.data) {
		return 0, p.fail(at, "the document ends inside an escape")
	}
	p.pos += 2
	if r, ok := escapes[p.data[at+1]]; ok {
		return r, nil
	}
	if p.data[at+1] != 'u' {
		return 0, p.fail(at, "unknown escape")
	}
	r, ok := p.hex4()
	if !ok {
		return 0, p.fail(at, `\u needs four hexadecimal digits`)
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if bytes.HasPrefix(p.data[p.pos:], []byte(`\u`)) {
		p.pos += 2
		if low, ok := p.hex4(); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, nil
			}
		}
	}
	return 0, p.fail(at, "half of a surrogate pair stands alone")
}

func (p *parser) hex4() (rune, bool) {
	if p.pos+4 > len(p.data) {
		return 0, false
	}
	var r rune
	for _, c := range p.data[p.pos : p.pos+4] {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if d < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	p.pos += 4
	return r, true
}
