package grammar

import "bytes"

// readBare reads a value without quotes, as far as the kind of text allows any.
func (s *sighting) readBare(r *reader, e *evidence, i int) bool {
	b := r.b
	if i >= len(b) {
		return false
	}
	switch {
	case s.from >= 2 && b[s.from-1] == '{' && b[s.from-2] == '$':
		return r.until(i, '}') // ${name:value}
	case s.enclosed == 0 && s.from > 0 && (b[s.from-1] == '&' || b[s.from-1] == '?' || b[s.from-1] == ';'):
		return s.readEnclosed(r, e, i) // a part of a query or of a connection string
	case s.enclosed != 0:
		return s.readEnclosed(r, e, i)
	case s.comment && e.kind == kindCode && e.sense.noun == nounPass:
		return false
	case s.comment && (e.kind == kindCode || e.kind == kindUnknown):
		return s.readWord(r, i)
	case e.kind == kindXML && s.colon && b[i] == '<':
		return marked(r, i)
	case !e.kind.bare():
		return false
	case b[i] == '\n' || b[i] == '\r':
		return s.nextLine(r, e, i)
	case b[i] == '|' || b[i] == '>':
		return s.block(r, e, i)
	case e.kind == kindShell:
		return s.shellWord(r, i)
	case e.kind == kindDoc || e.kind == kindData || e.kind == kindUnknown && !s.colon && !e.shouted:
		return s.readWord(r, i)
	}
	return s.bareLine(r, i, flow(b, s.line, s.from))
}

// marked reads Password: <code>…</code>.
func marked(r *reader, i int) bool {
	j := bytes.IndexByte(r.b[i:min(len(r.b), i+24)], '>')
	if j < 2 {
		return false
	}
	switch string(r.b[i+1 : i+j]) {
	case "code", "b", "strong", "tt", "em", "i", "kbd", "pre", "samp":
		return readElement(r, i+j+1)
	}
	return false
}

// readEnclosed reads a part of a literal: Server=x;Password=secret; or a query.
func (s *sighting) readEnclosed(r *reader, e *evidence, i int) bool {
	b, j := r.b, i
	if i > s.next && !s.colon && s.to+1 == s.next {
		return false // "name= other="
	}
	and, semi := s.separators(b, i)
	for j < len(b) && j-i < maxSecret && b[j] != s.enclosed && (b[j] != ';' || !semi) && (b[j] != '&' || !and) && !isSpace(b[j]) && b[j] != '<' && (b[j] != ',' || s.colon) && b[j] != '"' {
		if b[j] == '\\' {
			break
		}
		j++
	}
	if j == i || j >= len(b) && s.enclosed != 0 {
		return false
	}
	if j == len(b) {
		r.part(i, j, j)
		return true
	}
	// A text for people: "password: must be long".
	if b[j] == ' ' && s.colon && j+1 < len(b) && isLetter(b[j+1]) {
		return false
	}
	// "password=" + x, "password=%s"
	if b[j] == '\\' && j+1 < len(b) && b[j+1] == s.enclosed {
		return false
	}
	if j+1 < len(b) && b[j] == s.enclosed && s.colon && e.kind == kindCode {
		e.sense.vague++ // "token:" prefixes of messages
	}
	r.part(i, j, j)
	r.quoted = false
	e.neighbour = e.neighbour || b[j] == ';'
	return true
}

// separators says what ends a part of a literal: an ampersand in queries, a
// semicolon in connection strings.
func (s *sighting) separators(b []byte, i int) (and, semi bool) {
	before := byte(0)
	if s.from > 0 {
		before = b[s.from-1]
	}
	switch {
	case before == '&' || before == '?':
		return true, false
	case before == ';' || isBlank(before) && s.from > 1 && b[s.from-2] == ';':
		return false, true
	case before == s.enclosed && before != 0:
		// The first of several, or the only one.
		for j := i; j < len(b) && j-i < 256 && b[j] != s.enclosed && b[j] != '\n'; j++ {
			if b[j] == ';' || b[j] == '&' {
				return b[j] == '&' && pairBehind(b, j), b[j] == ';' && pairBehind(b, j)
			}
		}
		return false, false
	}
	return true, true
}

// pairBehind reports whether name= follows the separator.
func pairBehind(b []byte, j int) bool {
	k := j + 1
	for k < len(b) && (isNameByte(b[k]) || b[k] == ' ') {
		k++
	}
	return k < len(b) && (b[k] == '=' && k > j+1 || k == j+1)
}

// readWord reads one word, as in prose, tables and logs.
func (s *sighting) readWord(r *reader, i int) bool {
	b := r.b
	for k := 0; i < len(b) && (b[i] == '*' && k < 2 || b[i] == '`' || isBlank(b[i])); i++ {
		k += b2i(b[i] == '*') // markdown
	}
	j := i
	for limit := min(len(b), i+maxSecret); j < limit && !endsWord[b[j]]; {
		j++
	}
	end := j
	for j > i && (b[j-1] == '.' || b[j-1] == ',' || b[j-1] == ';' || b[j-1] == ')' || b[j-1] == '*' || b[j-1] == '}' || b[j-1] == '\\') {
		j--
	}
	if j == i || moreWords(b, end) {
		return false
	}
	r.part(i, j, end)
	r.quoted = false
	return true
}

// endsWord is what no word of prose goes on behind.
var endsWord = [256]bool{' ': true, '\t': true, '\n': true, '\r': true, '\f': true, '\v': true, '`': true, '<': true, '"': true, '|': true}

// moreWords reports whether the line goes on in prose.
func moreWords(b []byte, i int) bool {
	words := 0
	for words < 3 {
		for i < len(b) && isBlank(b[i]) {
			i++
		}
		j := i
		for j < len(b) && isLetter(b[j]) {
			j++
		}
		if j-i < 2 {
			return false
		}
		words, i = words+1, j
	}
	return true
}

// shellWord reads a word of a shell: quoted and bare parts that touch are one.
func (s *sighting) shellWord(r *reader, i int) bool {
	b, j := r.b, i
	for j < len(b) && j-i < maxSecret && !isSpace(b[j]) && b[j] != ';' && b[j] != '|' && b[j] != '&' && b[j] != ')' && b[j] != '`' && b[j] != '<' && b[j] != '>' {
		if b[j] == '\\' && j+1 < len(b) && b[j+1] == '\n' {
			r.part(i, j, j+2)
			return s.continued(r, j+2)
		}
		if isQuote(b[j]) {
			return s.afterQuote(r, i, j)
		}
		if b[j] == '\\' {
			j++
		}
		j++
	}
	if j <= i || j > len(b) {
		return false
	}
	r.part(i, j, j)
	r.quoted = false
	return true
}

func (s *sighting) afterQuote(r *reader, i, j int) bool {
	if bytes.IndexByte(r.b[i:j], '(') >= 0 {
		return false // a call
	}
	if j > i {
		r.part(i, j, j)
	}
	return r.quotedAt(j)
}

// continued reads the line behind a backslash at the end of the one before.
func (s *sighting) continued(r *reader, i int) bool {
	b := r.b
	i = r.skip(i, 0)
	j := i
	for j < len(b) && !isSpace(b[j]) && b[j] != ';' && !isQuote(b[j]) && b[j] != '\\' && j-i < maxSecret {
		j++
	}
	if j > i {
		r.part(i, j, j)
		r.quoted = false
	}
	return j > i
}

// flow returns what ends a value in a flow mapping of YAML, which was opened
// before the name on its line.
func flow(b []byte, line, from int) byte {
	if i := bytes.LastIndexByte(b[line:from], '{'); i >= 0 && bytes.IndexByte(b[line+i:from], '}') < 0 {
		return '}'
	}
	return 0
}

// bareLine reads up to the end of the line, without a comment.
func (s *sighting) bareLine(r *reader, i int, closer byte) bool {
	b := r.b
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	if r.kind == kindYAML && i < len(b) && (b[i] == '&' || b[i] == '*') {
		if i = anchored(b, i); i < 0 {
			return false
		}
	}
	several := bytes.IndexByte(b[s.line:s.from], '=') >= 0
	j := i
	for j < len(b) && b[j] != '\n' && b[j] != '\r' && j-i <= maxSecret {
		if several && isBlank(b[j]) {
			break // name=bob password=x
		}
		if closer != 0 && (b[j] == closer || b[j] == ',') {
			break
		}
		if isBlank(b[j]) && j+1 < len(b) && (b[j+1] == '#' || b[j+1] == ';' || b[j+1] == '/' && j+2 < len(b) && b[j+2] == '/') {
			break
		}
		j++
	}
	for j > i && (isBlank(b[j-1]) || b[j-1] == ';' || b[j-1] == ',') {
		j--
	}
	if j == i || isQuote(b[i]) {
		return false
	}
	if b[j-1] == '\\' && j < len(b) {
		r.part(i, j-1, j)
		return s.continued(r, r.skip(j, 1))
	}
	r.part(i, j, j)
	r.quoted = false
	return true
}

// anchored passes YAML's name for a value. A name alone says that the value is
// written elsewhere.
func anchored(b []byte, i int) int {
	for j := i + 1; b[i] == '&' && j < len(b) && b[j] != '\n'; j++ {
		if isBlank(b[j]) {
			for j < len(b) && isBlank(b[j]) {
				j++
			}
			return j
		}
	}
	return -1
}

// nextLine reads a value that stands alone on the line below its name.
func (s *sighting) nextLine(r *reader, e *evidence, i int) bool {
	if e.kind != kindYAML && e.kind != kindUnknown {
		return false
	}
	from := r.skip(i, 1)
	if from >= len(r.b) || r.b[from] == '\n' || !s.deeper(r.b, from) || r.b[from] == '-' {
		return false
	}
	j := from
	for j < len(r.b) && r.b[j] != '\n' && r.b[j] != '\r' && j-from < maxSecret {
		if r.b[j] == ':' {
			return s.readNamed(r, from) // Type: String, Default: …
		}
		j++
	}
	r.part(from, j, j)
	r.quoted = false
	return true
}

// deeper reports whether the line of i is indented further than the name's.
func (s *sighting) deeper(b []byte, i int) bool {
	indent := 0
	for k := s.line; k < len(b) && (isBlank(b[k]) || b[k] == '-'); k++ {
		indent++
	}
	from := i
	for from > 0 && b[from-1] != '\n' {
		from--
	}
	return i-from > indent
}

// block reads a block scalar: the lines below that are indented further.
func (s *sighting) block(r *reader, e *evidence, i int) bool {
	b := r.b
	if e.kind != kindYAML && e.kind != kindUnknown {
		return false
	}
	for i < len(b) && b[i] != '\n' {
		if b[i] != '|' && b[i] != '>' && b[i] != '-' && b[i] != '+' && !isDigit(b[i]) && !isSpace(b[i]) {
			return false
		}
		i++
	}
	for r.parts < 8 && i < len(b) {
		i = r.skip(i, 1)
		if i >= len(b) || b[i] == '\n' || !s.deeper(b, i) {
			break
		}
		j := i
		for j < len(b) && b[j] != '\n' && b[j] != '\r' && j-i < maxSecret {
			j++
		}
		r.part(i, j, j)
		i = j
	}
	return r.parts > 0
}

// readBlank reads values that follow their name with nothing between.
func (s *sighting) readBlank(r *reader, e *evidence) bool {
	b := r.b
	i := r.skip(s.next, 0)
	if i >= len(b) || b[i] == '\n' {
		return false
	}
	if b[i] == ':' {
		i = r.skip(i+1, 0)
	}
	if s.from > 1 && b[s.from-1] == '{' && b[s.from-2] == '$' && s.to < len(b) && b[s.to] == '}' && e.kind == kindConfig && s.next >= s.to+3 {
		return s.readWord(r, i) // ${PASSWORD}    … of Robot Framework
	}
	if s.next > s.to && !isBlank(b[s.to]) && b[s.to] != '*' || s.flag && e.sense.noun == nounPass && s.from > 1 && b[s.from-2] != '-' {
		return false
	}
	if b[i] == '`' {
		return false // a word of prose
	}
	if isQuote(b[i]) && b[i] != s.enclosed {
		return s.blankQuoted(b, e) && r.literal(i)
	}
	if s.flag && e.kind != kindCode && b[i] != '-' || s.flag && s.enclosed != 0 {
		e.explicit = e.sense.noun.password()
		return s.shellWord(r, i) && r.from < r.to && !isQuote(b[r.to-1]) && !ofFlags[string(b[r.from:r.to])]
	}
	if e.sense.vague == 0 && s.directive(b, e) {
		if e.kind == kindShell {
			return s.shellWord(r, i)
		}
		return s.readWord(r, i) && !(r.end < len(b) && b[r.end] == ' ' && lettersOnly(b[r.from:r.to]))
	}
	return false
}

// ofFlags are words behind a flag where a text speaks of the flag itself.
var ofFlags = set(`flag flags option options argument arguments parameter parameters switch switches command and or is was are were to for in on with
	when if as from now can may must should will has have that which instead`)

func lettersOnly(v []byte) bool {
	for _, c := range v {
		if !isLetter(c) {
			return false
		}
	}
	return true
}

// blankQuoted reports whether a literal right behind the name is its value: in
// definitions, flags, statements of SQL and configuration.
func (s *sighting) blankQuoted(b []byte, e *evidence) bool {
	before := bytes.TrimSpace(b[s.line:s.from])
	if s.from > 0 && b[s.from-1] == ':' && (len(before) == 1 || s.from > 1 && !isAlnum(b[s.from-2]) && b[s.from-2] != ':') {
		return true // a keyword of Lisp
	}
	if s.flag || s.next != s.to+1 && s.next > s.to+2 || bytes.HasPrefix(before, []byte("(def")) {
		return true
	}
	if n := len(before); n > 0 && (before[n-1] == '{' || before[n-1] == ';') && e.sense.vague == 0 {
		return true // credentials { username 'x'; password 'y' }
	}
	if hasSuffixFold(before, "#define") || hasSuffixFold(before, "set") || hasSuffixFold(before, "with") || len(before) == 0 && (e.kind != kindCode || e.sense.noun == nounPassword) {
		return true
	}
	return e.kind == kindData || e.kind == kindConfig || e.kind == kindShell || e.shouted
}

// directive reports whether the line is a name and its value only, as the
// directives of configurations are.
func (s *sighting) directive(b []byte, e *evidence) bool {
	before := bytes.TrimSpace(b[s.line:s.from])
	if e.kind == kindShell && (hasSuffixFold(before, "set -gx") || hasSuffixFold(before, "set -ux") || hasSuffixFold(before, "set -x")) {
		return true
	}
	if e.kind == kindShell && hasSuffixFold(e.name, "_authtoken") || e.kind == kindShell && (hasSuffixFold(before, "env") || hasSuffixFold(before, "arg") || hasSuffixFold(before, "setenv") || hasSuffixFold(before, "set")) {
		return true
	}
	if e.kind == kindDoc && (hasSuffixFold(before, "setenv") || hasSuffixFold(before, "_header")) {
		return true
	}
	if s.comment || e.kind != kindConfig && e.kind != kindUnknown || e.sense.noun == nounPass && !e.shouted {
		return false
	}
	return len(before) == 0 || hasSuffixFold(before, "header") || hasSuffixFold(before, "set") || hasSuffixFold(before, "option") || hasSuffixFold(before, "setenv")
}

// fallback reads the literal that stands in when a lookup finds nothing:
// getenv("X") or "value", env.X || "value", get("x", "value").
func fallback(r *reader, i int) bool {
	b := r.b
	limit := min(len(b), i+160)
	if i >= limit || !isLetter(b[i]) && b[i] != '$' && b[i] != '_' && b[i] != '@' {
		return false
	}
	depth, braces := 0, 0
	for ; i+3 < limit && b[i] != '\n'; i++ {
		depth += b2i(b[i] == '(') - b2i(b[i] == ')')
		braces += b2i(b[i] == '{') - b2i(b[i] == '}')
		switch {
		case depth > 0 && b[i] != '(':
		case braces < 0, braces == 0 && (b[i] == ';' || b[i] == ','):
			return false // where another value or statement begins, its literals do
		case b[i] == '|' && b[i+1] == '|', b[i] == '?' && b[i+1] == '?', b[i] == '?' && b[i+1] == ':', b[i] == '/' && b[i+1] == '/' && b[i-1] == ' ' && quoteAt(b, r.skip(i+2, 0)):
			return r.literal(i + 2)
		case b[i] == ' ' && b[i+1] == 'o' && b[i+2] == 'r' && b[i+3] == ' ':
			return r.literal(i + 4)
		case b[i] == '(' && defaulting(b, i):
			return r.literal(i + 1)
		}
	}
	return false
}

func defaulting(b []byte, i int) bool {
	before := b[max(0, i-16):i]
	return hasSuffixFold(before, "unwrap_or") || hasSuffixFold(before, "orelse") || hasSuffixFold(before, ".send_keys") || hasSuffixFold(before, ".sendkeys") || hasSuffixFold(before, ".type") || hasSuffixFold(before, ".fill") || hasSuffixFold(before, ".setvalue") || hasSuffixFold(before, "getorelse") || hasSuffixFold(before, "default")
}

func quoteAt(b []byte, i int) bool { return i < len(b) && isQuote(b[i]) }
