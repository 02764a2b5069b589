package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// report reads the value and emits it when the evidence is enough.
func (s *sighting) report(t detect.Text, emit func(detect.Hit)) {
	b := t.Body
	var w name
	if !w.split(b[s.from:s.to]) {
		return
	}
	e := evidence{sense: w.classify(), name: b[s.from:s.to]}
	if e.sense.noun == nounNone || s.op == opCall && notSetter(&w) || s.elsewhere(b) {
		return
	}
	e.kind = kindOf(t.Path)
	if n := e.sense.noun; n == nounBareKey && !e.sense.qualified && e.sense.vague == 0 && (ciphered(b, s.from) || underSecret(b, s.from)) {
		e.sense.noun, e.sense.qualified = nounKey, true
	}
	s.place(b, &e)
	r := reader{b: b, kind: e.kind}
	if s.children(t, e, emit) || !s.read(&r, &e) || r.n == 0 {
		return
	}
	e.demo = demonstrates(t.Path) || s.comment && e.kind == kindCode
	s.gather(&r, &e)
	if rule := s.rule(&r, &e); rule != "" {
		emit(detect.Hit{Rule: rule, Start: r.from, End: r.to, MatchStart: min(s.from, r.from), MatchEnd: max(r.end, r.to, s.to)})
	}
}

// elsewhere reports whether the name is a part of a path, of a file's name, of
// an ARN, or a command, and not what a value is called.
func (s *sighting) elsewhere(b []byte) bool {
	name := b[s.from:s.to]
	if i := bytes.LastIndexByte(name, '.'); i >= 0 && kinds[string(name[i+1:])] == kindCode && s.op != opCall {
		return true // password.go
	}
	if s.from < 2 {
		return s.from == 1 && b[0] == '`' && s.substituted(b)
	}
	switch before := b[s.from-2]; b[s.from-1] {
	case ':':
		return s.colon && (isAlnum(before) || before == ':') // arn:…:secret:…
	case '/':
		return isAlnum(before) // checksum/secret
	case '(':
		return before == '$' // $(pwd)
	case '`':
		return s.substituted(b)
	}
	return false
}

// substituted knows `pwd`.
func (s *sighting) substituted(b []byte) bool {
	return s.to < len(b) && b[s.to] == '`' && s.to-s.from == 3
}

// gather adds to the evidence what reading the value showed.
func (s *sighting) gather(r *reader, e *evidence) {
	e.quoted = r.quoted
	e.alone = s.alone(r.b, r.end)
	e.equated = r.quoted && (s.op == opAssign && !s.colon || s.op == opCompare)
	if e.sense.noun == nounSecret && !e.sense.qualified && !r.quoted && e.kind == kindConfig {
		e.sense.noun = nounPass // as in sip.conf
	}
	e.split = r.parts > 1
	if r.parts > 1 && r.n == r.parts || r.parts > 3 {
		e.explicit = true // nobody spells out a name
	}
}

// rule judges the value and names what it is reported under, "" for nothing.
func (s *sighting) rule(r *reader, e *evidence) string {
	v := r.text()
	if !r.quoted && callLike(v) || s.tuple(r.end, e.kind, r.b) {
		return ""
	}
	var buf [maxJoined]byte
	if v = unescape(v, &buf); v == nil {
		return ""
	}
	j := e.judge(v)
	if j == refused && e.sense.noun.password() && !e.neighbour {
		if e.neighbour = hasNeighbour(r.b, s.from); e.neighbour {
			j = e.judge(v)
		}
	}
	if j == refused && e.sense.noun.password() && isHash(v) && !e.demo && e.kind != kindDoc {
		return rulePasswordHash
	}
	return ruleOf(e.sense.noun, j)
}

func ruleOf(n noun, j judgement) string {
	switch {
	case j == refused:
		return ""
	case n.password() && j == weak:
		return ruleWeakPassword
	case n.password():
		return rulePassword
	case n == nounPin:
		return rulePin
	case n == nounToken || n == nounSecret || n == nounAuth:
		return ruleToken
	}
	return ruleKey
}

// alone reports whether nothing but a bullet stands before the name, and nothing
// behind the value, on the line.
func (s *sighting) alone(b []byte, end int) bool {
	for _, c := range b[s.line:s.from] {
		if !isBlank(c) && c != '-' && c != '*' && !isQuote(c) {
			return false
		}
	}
	for end < len(b) && (isBlank(b[end]) || b[end] == '`' || b[end] == '*') {
		end++
	}
	return end >= len(b) || b[end] == '\n' || b[end] == '\r'
}

// tuple reports whether several names are assigned several values: a, password =
// "x", y.
func (s *sighting) tuple(end int, k kind, b []byte) bool {
	if k != kindCode || s.op != opAssign || s.colon || end >= len(b) || b[end] != ',' {
		return false
	}
	i := s.from
	for i > s.line && isBlank(b[i-1]) {
		i--
	}
	if i == s.line || b[i-1] != ',' {
		return false
	}
	// connect(user="x", password="y", db="z") has names of arguments, not of a tuple.
	for i--; i > s.line && b[i-1] != '{' && b[i-1] != ';'; i-- {
		if b[i-1] == '(' || b[i-1] == '=' {
			return false
		}
	}
	return true
}

// callLike finds the call or the index at the start of an expression.
func callLike(v []byte) bool {
	if i := bytes.IndexByte(v, '='); i > 2 && len(v)-i < 6 && readsLikeWord(v[:i]) && (count(v[i+1:], "0123456789") == len(v)-i-1 || trivial[string(v[i+1:])]) {
		return true // another assignment
	}
	i := bytes.IndexAny(v, "([{<")
	return i > 0 && isDotted(v[:i]) && (!hasDigitAndUpper(v[i:]) || readsLikeWord(v[:i])) || i == 0
}

// notSetter reports whether a function's name says that it takes something else
// than the secret itself.
func notSetter(w *name) bool {
	from := 0
	for i := 1; i < w.n; i++ {
		if w.buf[w.words[i].from-1] == '.' {
			from = i // the method behind its receiver
		}
	}
	switch string(w.word(from)) {
	case "get", "find", "load", "lookup", "read", "fetch", "query", "create", "new", "parse", "test", "is", "print", "log", "throw", "handle", "on", "describe", "it", "send":
		return true
	}
	return false
}

// place learns where the name stands: in a literal, in a comment, behind dashes.
func (s *sighting) place(b []byte, e *evidence) {
	i := s.from
	for i > 0 && s.from-i < maxBehind && b[i-1] != '\n' {
		i--
	}
	s.line = i
	s.flag = s.from >= 2 && b[s.from-1] == '-'
	line := bytes.TrimLeft(b[i:s.from], " \t")
	s.comment = bytes.HasPrefix(line, []byte("//")) || bytes.HasPrefix(line, []byte("#")) && !bytes.HasPrefix(line, []byte("#define")) || bytes.HasPrefix(line, []byte("* ")) ||
		bytes.HasPrefix(line, []byte("--")) || bytes.HasPrefix(line, []byte("/*")) || bytes.HasPrefix(line, []byte(";")) || bytes.HasPrefix(line, []byte("<!--")) || hasPrefixFold(line, "rem ")
	s.enclosed = openQuote(b[i:s.from])
	if s.from > 0 && isQuote(b[s.from-1]) && s.op != opNone && s.closed(b) || s.enclosed != 0 && s.to < len(b) && b[s.to] == s.enclosed {
		s.enclosed = 0
	}
	e.shouted = shouted(b[s.from:s.to])
	// TF_VAR_x, --build-arg X and -e X are environment too.
}

// closed reports whether the quote that opened before the name closed behind it.
func (s *sighting) closed(b []byte) bool {
	return s.to < len(b) && b[s.to] == b[s.from-1]
}

// openQuote returns the quote that is open at the end of line.
func openQuote(line []byte) byte {
	var q byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\':
			i++
		case q == 0 && isQuote(c) && !(c == '\'' && i > 0 && isLetter(line[i-1])):
			q = c
		case c == q && c != 0:
			q = 0
		}
	}
	return q
}

func shouted(v []byte) bool {
	letters := 0
	for _, c := range v {
		if isLower(c) {
			return false
		}
		letters += b2i(isUpper(c))
	}
	return letters > 2
}

// read reads the value the way its operator asks for.
func (s *sighting) read(r *reader, e *evidence) bool {
	switch s.op {
	case opAssign:
		return s.readAssigned(r, e)
	case opCompare:
		e.sense.qualified = true
		// Base64 that ends in PW== compares nothing with the next line.
		i := r.skip(s.next, 0)
		return i < len(r.b) && r.b[i] != '\n' && r.literal(i)
	case opPair:
		return s.readPair(r, e)
	case opCall:
		return r.literal(s.next) && endsArgument(r.b, r.end)
	case opDefault:
		return s.readDefault(r)
	case opElement:
		e.sense.qualified = true
		return readElement(r, s.next)
	case opValue:
		return s.readValue(r, e)
	case opBlank:
		return s.readBlank(r, e)
	}
	return false
}

func endsArgument(b []byte, i int) bool {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i < len(b) && (b[i] == ')' || b[i] == ',' || b[i] == '.' || b[i] == '}')
}

func (s *sighting) readAssigned(r *reader, e *evidence) bool {
	next := r.skip(s.next, 0)
	if next+1 < len(r.b) && r.b[next] == '\\' && isQuote(r.b[next+1]) {
		return r.literal(next)
	}
	if next < len(r.b) && !isQuote(r.b[next]) && (s.enclosed != 0 || s.comment) {
		return s.readBare(r, e, next)
	}
	if next < len(r.b) && isQuote(r.b[next]) && r.b[next] == s.enclosed {
		return false // "password=" + x
	}
	if next < len(r.b) && r.b[next] == '{' && r.kind != kindCode && quoteAt(r.b, r.skip(next+1, 1)) && s.readNamed(r, next+1) {
		return true // "password": {"value": "…"}
	}
	if next < len(r.b) && (s.heredoc(r, next) || s.echoed(r, next)) {
		return true
	}
	if r.literal(s.next) && (r.end >= len(r.b) || !isAlnum(r.b[r.end])) {
		s.appended(r)
		return true
	}
	if s.colon {
		if op, at := typed(r.b, next); op == opAssign && r.literal(at) {
			s.colon = false
			return true
		}
	}
	if fallback(r, next) {
		return true
	}
	return s.readBare(r, e, next)
}

// readPair reads the second of two arguments. Lists of names look the same, so
// that it must stand at the start of an argument list.
func (s *sighting) readPair(r *reader, e *evidence) bool {
	b := r.b
	if s.argument(b) && r.literal(s.next) && r.n > 0 && b[r.from] != '-' {
		return true
	}
	i := s.from - 1
	if i > 0 && isQuote(b[i]) {
		i--
	}
	for i > 0 && (isBlank(b[i]) || b[i] == 'b' || b[i] == 'N') {
		i--
	}
	if i > 0 && b[i] == ',' && e.sense.vague == 0 && bytes.Contains(b[s.line:i], []byte(".of(")) && r.literal(s.next) {
		return endsArgument(b, r.end) // Map.of("user", "x", "password", "y")
	}
	if i < 0 || b[i] != '(' && b[i] != '[' && b[i] != '{' {
		return s.readNamed(r, s.next)
	}
	if e.sense.vague > 0 || !r.literal(s.next) || r.end >= len(b) {
		return s.readNamed(r, s.next)
	}
	return b[i] == '(' || r.skip(r.end, 0) < len(b) && b[r.skip(r.end, 0)] == closing(b[i])
}

// argument reports whether the name is a flag among the words of a command, each
// a literal: its value is the next, "--password", "…".
func (s *sighting) argument(b []byte) bool {
	i := s.from
	if i < 4 || b[i-1] != '-' || b[i-2] != '-' || !isQuote(b[i-3]) {
		return false
	}
	for i -= 3; i > 0 && isSpace(b[i-1]); i-- {
	}
	return i > 1 && b[i-1] == ',' && isQuote(b[i-2])
}

// readNamed reads value: x, "value": x and value="x" behind a name that stood as
// a value itself.
func (s *sighting) readNamed(r *reader, i int) bool {
	b := r.b
	limit := min(len(b), i+160)
	for i = r.skip(i, 2); i < limit; {
		if b[i] == '-' || b[i] == ',' || isQuote(b[i]) || isBlank(b[i]) {
			i++
			continue
		}
		j := i
		for j < limit && (isLetter(b[j]) || b[j] == '_') {
			j++
		}
		if j+1 < limit && b[j] == ':' && isLetter(b[j+1]) && s.enclosedTag(b) {
			i = j + 1 // android:value
			continue
		}
		if j == i || j >= len(b) {
			return false
		}
		if k, ok := assignedAt(b, j); ok {
			if valueWord(b[i:j]) {
				return r.literal(k) || s.bareLine(r, k, 0)
			}
			if i = otherAttribute(r, k); i < 0 {
				return false
			}
			continue
		}
		return false
	}
	return false
}

// enclosedTag reports whether the line's name stands within an element's start.
func (s *sighting) enclosedTag(b []byte) bool {
	return bytes.IndexByte(b[s.line:s.from], '<') >= 0
}

// otherAttribute passes type="string" and the like between a name and its value.
func otherAttribute(r *reader, k int) int {
	if r.literal(k) {
		return r.skip(r.end, 1)
	}
	for k < len(r.b) && (isAlnum(r.b[k]) || isBlank(r.b[k])) {
		k++
	}
	return r.skip(k, 1)
}

// assignedAt passes a closing quote, blanks and an operator.
func assignedAt(b []byte, i int) (int, bool) {
	if i < len(b) && isQuote(b[i]) {
		i++
	}
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	if i < len(b) && (b[i] == ':' || b[i] == '=') {
		return i + 1, true
	}
	return 0, false
}

func valueWord(v []byte) bool {
	var buf [16]byte
	switch string(fold(v, buf[:])) {
	case "value", "val", "default", "defaultvalue", "content", "parametervalue", "stringvalue", "default_value", "data", "text", "string":
		return true
	}
	return false
}

func (s *sighting) readDefault(r *reader) bool {
	if r.literal(s.next) {
		return true
	}
	// ${NAME:-value}
	return s.from >= 2 && r.b[s.from-1] == '{' && r.b[s.from-2] == '$' && r.until(s.next, '}')
}

// readElement reads <password>x</password>, CDATA included.
func readElement(r *reader, i int) bool {
	b := r.b
	i = r.skip(i, 2)
	if bytes.HasPrefix(b[i:], []byte("<![CDATA[")) {
		j := bytes.Index(b[i:min(len(b), i+maxSecret)], []byte("]]>"))
		if j < 0 {
			return false
		}
		r.part(i+9, i+j, i+j+3)
		return true
	}
	// <secret><value>x</value></secret>
	if i < len(b) && b[i] == '<' {
		j := bytes.IndexByte(b[i:min(len(b), i+32)], '>')
		if j < 2 || !valueWord(bytes.TrimSpace(b[i+1:i+j])) {
			return false
		}
		i = r.skip(i+j+1, 1)
	}
	j := bytes.IndexByte(b[i:min(len(b), i+maxSecret)], '<')
	if k := bytes.Index(b[i:min(len(b), i+256)], []byte("&lt;/")); k > 0 && (j < 0 || k < j) {
		r.part(i, i+k, i+k)
		return true
	}
	if j <= 0 || i+j+1 >= len(b) || b[i+j+1] != '/' {
		return false
	}
	to := i + j
	for to > i && isSpace(b[to-1]) {
		to--
	}
	r.part(i, to, i+j)
	return true
}

// readValue reads what follows a name that is itself a value or a text: the next
// attribute, the next line or the next element.
func (s *sighting) readValue(r *reader, e *evidence) bool {
	b, i := r.b, s.next
	if b[i] == '<' {
		return s.readNextElement(r, e, i)
	}
	if !s.isValue(b) {
		return false
	}
	return s.readNamed(r, i)
}

// isValue reports whether the name stands behind name:, key= or the like.
func (s *sighting) isValue(b []byte) bool {
	before := bytes.TrimRight(b[s.line:s.from], " \t\"'`")
	before = bytes.TrimRight(bytes.TrimRight(before, ":="), " \t\"'")
	if hasSuffixFold(before, "variable") && s.next < len(b) && b[s.next-1] == '{' {
		return true
	}
	for _, k := range [...]string{"name", "key", "id", "parameterkey", "parametername", "variable"} {
		if hasSuffixFold(before, k) {
			return true
		}
	}
	return false
}

// readNextElement reads <key>Password</key><string>x</string>.
func (s *sighting) readNextElement(r *reader, e *evidence, i int) bool {
	b := r.b
	if s.from == 0 || b[s.from-1] != '>' {
		return false
	}
	open := bytes.LastIndexByte(b[max(0, s.from-40):s.from], '<')
	if open < 0 || !hasSuffixFold(b[:s.from], `name">`) && !hasPrefixFold(b[max(0, s.from-40)+open+1:], "key>") && !hasPrefixFold(b[max(0, s.from-40)+open+1:], "name>") &&
		!hasPrefixFold(b[max(0, s.from-40)+open+1:], "param-name>") && !hasPrefixFold(b[max(0, s.from-40)+open+1:], "td>") && !hasPrefixFold(b[max(0, s.from-40)+open+1:], "dt>") {
		return false
	}
	j := bytes.IndexByte(b[i:min(len(b), i+40)], '>')
	if j < 0 {
		return false
	}
	i = r.skip(i+j+1, 2)
	j = bytes.IndexByte(b[i:min(len(b), i+40)], '>')
	if i >= len(b) || b[i] != '<' || j < 0 {
		return false
	}
	e.sense.qualified = true
	return readElement(r, i+j+1)
}

// hasNeighbour looks for what stands near real credentials: who logs in, where.
func hasNeighbour(b []byte, at int) bool {
	near := b[max(0, at-240):min(len(b), at+240)]
	for i, c := range near {
		for _, w := range neighbours[lower(c)] {
			if hasPrefixFold(near[i:], w) {
				return true
			}
		}
	}
	return false
}

// neighbours are its words by their first letter: the text is read once.
var neighbours = func() (by [256][]string) {
	for _, w := range [...]string{"user", "login", "host", "server", "database", "smtp", "ssid", "uid", "mail", "account", "dsn", "jdbc", "benutzer"} {
		by[w[0]] = append(by[w[0]], w)
	}
	return by
}()
