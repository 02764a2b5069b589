package grammar

import "bytes"

const (
	maxBehind = 512  // bytes of the line before a name that are looked at
	maxLook   = 4096 // bytes after a keyword that are looked at
	maxJoined = 512
	maxParts  = 64
)

// reader reads a value as it is written in a language: a literal, several of
// them joined, a literal in a call that only converts it, or bare text. It lives
// on the stack of who reads.
type reader struct {
	b    []byte
	kind kind
	// from and to are the span of the content, end the first byte behind the value.
	from, to, end int
	quoted        bool
	quote         byte
	// joined holds the content of a value that was written in parts.
	joined [maxJoined]byte
	n      int
	parts  int
}

// text is the content: of one part as it stands, of several joined.
func (r *reader) text() []byte {
	if r.parts > 1 {
		return r.joined[:r.n]
	}
	return r.b[r.from:r.to]
}

// literal reads an expression made of literals only.
func (r *reader) literal(i int) bool {
	r.parts, r.n = 0, 0
	return r.expression(i, 0)
}

func (r *reader) expression(i, depth int) bool {
	i = r.skip(i, 2)
	if !r.term(i, depth) {
		return false
	}
	for r.parts < maxParts {
		next, ok := r.joins(r.end)
		if !ok {
			return true
		}
		if !r.term(next, depth) {
			return false // joined with something that isn't written here
		}
	}
	return true
}

// skip passes blanks and at most lines ends of lines.
func (r *reader) skip(i, lines int) int {
	for i < len(r.b) && isSpace(r.b[i]) {
		if r.b[i] == '\n' {
			if lines == 0 {
				return i
			}
			lines--
		}
		i++
	}
	return i
}

// joins looks behind a literal for the operator by which languages join them,
// and returns where the next part begins.
func (r *reader) joins(i int) (int, bool) {
	if j, ok := r.chained(i); ok {
		return j, true
	}
	i = r.skip(i, 0)
	if i < len(r.b) && r.b[i] == '\\' || r.kind == kindCode {
		i = r.skip(i+b2i(i < len(r.b) && r.b[i] == '\\'), 1)
	}
	if i >= len(r.b) {
		return 0, false
	}
	switch c := r.b[i]; {
	case c == '+' || c == '&' || c == '~':
		if i+1 < len(r.b) && (r.b[i+1] == c || r.b[i+1] == '=') {
			return 0, false
		}
		i++
	case c == '.' && r.kind != kindConfig:
		i++
		if i < len(r.b) && r.b[i] == '.' {
			i++
		}
		if j := r.skip(i, 1); j >= len(r.b) || !isQuote(r.b[j]) && !hasPrefixFold(r.b[j:], "chr(") {
			return 0, false
		}
	case c == '|' && i+1 < len(r.b) && r.b[i+1] == '|' && r.kind == kindData:
		i += 2
	case isQuote(c) && (r.kind == kindCode || r.kind == kindShell || r.kind == kindUnknown) && c == r.quote:
		return i, true
	default:
		return 0, false
	}
	// VB and Go break lines behind the operator.
	i = r.skip(i, 0)
	if i < len(r.b) && r.b[i] == '_' {
		i++
	}
	return r.skip(i, 2), true
}

// term reads one literal, a call that converts one, or one in parentheses.
func (r *reader) term(i, depth int) bool {
	b := r.b
	if i >= len(b) || depth > 4 {
		return false
	}
	if isQuote(b[i]) || b[i] == '\\' && i+1 < len(b) && isQuote(b[i+1]) {
		return r.quotedAt(i) && r.separated()
	}
	if k := bytes.Index(b[i:min(len(b), i+40)], []byte("]::")); b[i] == '[' && k > 0 {
		return r.wrapped(i+k+3, depth) // [Convert]::FromBase64String("…")
	}
	if hasPrefixFold(b[i:min(len(b), i+5)], "-join") {
		return r.joinCall(r.skip(i+5, 0))
	}
	if b[i] == '@' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\'') || b[i] == '$' && i+1 < len(b) && b[i+1] == '\'' {
		return r.quotedAt(i + 1)
	}
	if b[i] == '(' || b[i] == '&' || b[i] == '*' {
		return r.inParens(r.skip(i+1, 1), depth)
	}
	if j := bytes.IndexByte(b[i:min(len(b), i+6)], ']'); b[i] == '[' && j > 0 && i+j+1 < len(b) && isLetter(b[i+j+1]) {
		return r.wrapped(i+j+1, depth) // []byte("…"), [16]byte{…}
	}
	if b[i] == '{' || b[i] == '[' {
		return r.list(i, depth)
	}
	if isLetter(b[i]) || b[i] == '_' {
		return r.wrapped(i, depth)
	}
	return false
}

// separated reads "".join([…]) where the literal was only what stands between.
func (r *reader) separated() bool {
	if r.parts != 1 || r.to-r.from > 1 || !hasPrefixFold(r.b[r.end:min(len(r.b), r.end+6)], ".join(") {
		return true
	}
	r.parts, r.n = 0, 0
	return r.joinCall(r.end + 5)
}

func (r *reader) inParens(i, depth int) bool {
	if !r.expression(i, depth+1) {
		return false
	}
	for j := r.skip(r.end, 1); j < len(r.b) && r.b[j] == ')'; j = r.skip(r.end, 0) {
		r.end = j + 1
	}
	return true
}

// wrapped reads prefix"…", new X("…"), []byte("…"), String::from("…") and the like.
func (r *reader) wrapped(i, depth int) bool {
	b, start := r.b, i
	for i < len(b) && i-start < 64 && (isAlnum(b[i]) || b[i] == '_' || b[i] == '.' || b[i] == ':' || b[i] == '\\') {
		i++
	}
	if i >= len(b) {
		return false
	}
	word := b[start:i]
	if isQuote(b[i]) && len(word) <= 3 && stringPrefixes[string(word)] {
		return r.quotedAt(i)
	}
	if b[i] == '#' && string(word) == "r" {
		return r.rustRaw(i)
	}
	if b[i] == ' ' && (string(word) == "new" || string(word) == "await" || string(word) == "qw" || string(word) == "static") {
		return r.term(i+1, depth+1)
	}
	if b[i] == '{' && (string(word) == "q" || string(word) == "qq") || b[i] == '(' && (string(word) == "q" || string(word) == "qq") {
		return r.until(i+1, closing(b[i]))
	}
	if b[i] == '[' || b[i] == '<' {
		if j := bytes.IndexAny(b[i:min(len(b), i+24)], "]>"); j > 0 {
			i = r.skip(i+j+1, 0)
		}
	}
	if i+1 < len(b) && b[i] == '!' && b[i+1] == '(' && joining(word) {
		return r.joinCall(i + 1)
	}
	if b[i-1] == '!' || i < len(b) && b[i] == '!' {
		return i+1 < len(b) && b[i] == '!' && b[i+1] == '[' && r.list(i+1, depth+1)
	}
	if i < len(b) && b[i] == '(' && characters(word) {
		return r.charCodes(i)
	}
	if i < len(b) && b[i] == '{' && r.byteLike(word) {
		return r.list(i, depth+1)
	}
	if i < len(b) && b[i] == '(' && joining(word) {
		return r.joinCall(i)
	}
	if i >= len(b) || b[i] != '(' || !converts(word) {
		return false
	}
	return r.inParens(r.skip(i+1, 1), depth)
}

var stringPrefixes = set(`b r u f L rb br N e E u8 B R U S s Q cr c LR`)

// converters are calls whose result is the literal they are given, in another
// type.
var converters = set(`byte bytes bytearray string str from tostring of buffer getbytes text literal bstr ptr securestring secretstring secretstr
	password secret token decode b64decode base64decode decodestring fromstring frombase64string wrap tochararray char chararray nonempty key
	secretkeyspec sensitive some just value cstring pointer valueof literalstring unquote symmetricsecuritykey frombase64 fromhex unhex hex
	unhexlify getstring base64_decode base64 stringbuilder stringbuffer decode64 strict_decode64 urlsafe_decode64 decode_base64 urlsafe_b64decode b64_decode hex2bin pack atob utf8 plaintextpassword staticstring passwordcredential encodetobytes uint8array textencoder credential box rc arc into new nsstring
	getbytesutf8 hexdecode stringwithutf8string fixed secretbox protect unsafe_text mustdecode mustdecodestring default`)

func joining(word []byte) bool {
	i := bytes.LastIndexAny(word, ".:\\")
	var buf [16]byte
	return joiners[string(fold(word[i+1:], buf[:]))]
}

func converts(word []byte) bool {
	if len(word) == 0 {
		return true
	}
	i := bytes.LastIndexAny(word, ".:\\")
	var buf [32]byte
	return converters[string(fold(word[i+1:], buf[:]))]
}

// rustRaw reads r#"…"#.
func (r *reader) rustRaw(i int) bool {
	for i < len(r.b) && r.b[i] == '#' {
		i++
	}
	return i < len(r.b) && r.b[i] == '"' && r.until(i+1, '"')
}

func closing(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '{':
		return '}'
	case '[':
		return ']'
	case '<':
		return '>'
	}
	return c
}

// until reads a literal up to the byte c on the same line.
func (r *reader) until(i int, c byte) bool {
	j := i
	for j < len(r.b) && j-i < maxSecret && r.b[j] != c && r.b[j] != '\n' {
		j++
	}
	if j >= len(r.b) || r.b[j] != c {
		return false
	}
	r.part(i, j, j+1)
	return true
}

// quotedAt reads the string literal at i, which is a quote or an escaped one.
func (r *reader) quotedAt(i int) bool {
	b := r.b
	if b[i] == '\\' {
		return r.escapedString(i)
	}
	q := b[i]
	if i+2 < len(b) && b[i+1] == q && b[i+2] == q {
		return r.tripled(i, q)
	}
	limit := min(len(b), i+1+maxSecret)
	for j := i + 1; j < limit; j++ {
		switch b[j] {
		case q:
			if q == '`' && bytes.IndexByte(b[i+1:j], ' ') >= 0 {
				return false // a command
			}
			if j+1 < len(b) && b[j+1] == q && q == '\'' && j > i+1 && r.kind == kindData {
				j++ // SQL doubles quotes
				continue
			}
			r.quote = q
			r.part(i+1, j, j+1)
			return true
		case '\\':
			if r.escapes(q) {
				j++
			}
		case '\n':
			if q != '`' && !(j > 0 && b[j-1] == '\\') {
				return false
			}
		}
	}
	return false
}

// escapes reports whether a backslash in such a literal escapes its quote.
func (r *reader) escapes(q byte) bool {
	return r.kind != kindXML && !(q == '`') && !(q == '\'' && (r.kind == kindShell || r.kind == kindYAML || r.kind == kindConfig))
}

// escapedString reads \"…\" in a string of another language.
func (r *reader) escapedString(i int) bool {
	b, q := r.b, r.b[i+1]
	for j := i + 2; j+1 < len(b) && j-i < maxSecret && b[j] != '\n'; j++ {
		if b[j] == '\\' && b[j+1] == q {
			r.part(i+2, j, j+2)
			return true
		}
	}
	return false
}

func (r *reader) tripled(i int, q byte) bool {
	end := bytes.Index(r.b[i+3:min(len(r.b), i+3+maxSecret)], []byte{q, q, q})
	if end < 0 {
		return r.emptyAt(i)
	}
	from, to := i+3, i+3+end
	for from < to && isSpace(r.b[from]) {
		from++
	}
	for to > from && isSpace(r.b[to-1]) {
		to--
	}
	r.part(from, to, i+6+end)
	return true
}

func (r *reader) emptyAt(i int) bool {
	r.part(i+1, i+1, i+2)
	return true
}

// part adds what was read to the value.
func (r *reader) part(from, to, end int) {
	if r.parts == 0 {
		r.from = from
	}
	r.to, r.end, r.quoted = to, end, true
	r.parts++
	r.n += copy(r.joined[r.n:], r.b[from:to])
}
