package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

// The rules that assignments are reported under.
const (
	rulePassword     = "assigned-password"
	ruleWeakPassword = "assigned-weak-password"
	ruleToken        = "assigned-token"
	ruleKey          = "assigned-key"
	rulePin          = "assigned-pin"
	rulePasswordHash = "assigned-password-hash"
)

// assignments finds names that say that their value is secret, and values under
// them that could be: in every language and format that joins the two on a line
// or two.
type assignments struct{}

// Rules implements [detect.Grammar].
func (assignments) Rules() []detect.Rule {
	return []detect.Rule{
		{ID: rulePassword, Title: "password written down in an assignment", Kind: detect.KindPassword, Severity: core.SeverityHigh},
		{ID: ruleWeakPassword, Title: "guessable password written down in an assignment", Kind: detect.KindPassword, Severity: core.SeverityMedium},
		{ID: ruleToken, Title: "token written down in an assignment", Kind: detect.KindToken, Severity: core.SeverityHigh},
		{ID: ruleKey, Title: "key written down in an assignment", Kind: detect.KindKey, Severity: core.SeverityHigh},
		{ID: rulePin, Title: "PIN written down in an assignment", Kind: detect.KindPassword, Severity: core.SeverityMedium},
		{ID: rulePasswordHash, Title: "hash of a password, which can be guessed offline", Kind: detect.KindHash, Severity: core.SeverityMedium},
	}
}

// Keywords implements [detect.Grammar].
func (assignments) Keywords() []string {
	return []string{
		"pass", "pwd", "pswd", "passwrd", "secret", "token", "key", "auth", "cred", "psk", "salt", "pepper", "_pw", "pw=", "pw\"", "pw'", "pw:", "pw ", "kennwort",
		"losenord", "lösenord", "senha", "contrase", "wachtwoord", "haslo", "hasło", "heslo", "mot_de", "mot de", "motde", "mdp", "parola",
		"salasana", "jelsz", "lozinka", "adgangskode", "пароль", "Пароль", "ПАРОЛЬ", "密码", "密碼", "パスワード", "비밀번호", "geheimnis",
		"schluessel", "schlüssel", "bearer", "jwt", "_pat", "-pat", "pincode", "_pin", "-pin", "pin\"", "pin=", "pin:", "clave", "losung", "parole", "sifre", "şifre",
		"секрет", "ключ", "mima", "pw>", "pw,", "pw)",
	}
}

// Wants implements [detect.Grammar].
func (assignments) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (assignments) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (assignments) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	for n > 0 && !isNameByte(b[at+n-1]) {
		n--
	}
	for n > 0 && !isNameByte(b[at]) {
		at, n = at+1, n-1
	}
	if n == 0 || !couldAssign(b, at+n) {
		return
	}
	from, to := nameSpan(b, at, n)
	if n := at - from; n == 0 && from > 4 && b[from-1] == ' ' && (hasSuffixFold(b[:from], "wlan ") || hasSuffixFold(b[:from], "wifi ") || hasSuffixFold(b[:from], "wi-fi ") || hasSuffixFold(b[:from], "wpa ")) {
		for from--; from > 0 && isAlnum(b[from-1]); from-- {
		}
	}
	if from >= 7 && hasSuffixFold(b[:from], "mot de ") {
		from -= 7
	}
	var s sighting
	if s.look(b, from, to) {
		s.report(t, emit)
	}
}

// couldAssign refuses most of what isn't assigned to before any work is done:
// a name is followed by an operator within its next bytes.
func couldAssign(b []byte, i int) bool {
	limit := min(len(b), i+48)
	for i < limit && isNameByte(b[i]) && !wideColon(b, i) {
		i++
	}
	if i >= len(b) {
		return false
	}
	if i == limit {
		return true
	}
	if wideColon(b, i) {
		return true
	}
	switch b[i] {
	case ')', ']', '{', '=', ':', ',', '(', '>', '[', '"', '\'', '`', '\\', '<', '?', '!', '|', '&', '+', '*', '}', '\n', '\r', ' ', '\t', ';', '/', '@', '%', '~', '#':
		return b[i] != ';' && b[i] != '/' && b[i] != '@' && b[i] != '~' && b[i] != '#'
	}
	return false
}

// operator says how a name and a value are joined.
type operator uint8

const (
	opNone    operator = iota
	opAssign           // =, :, :=, =>
	opCompare          // ==, .equals(
	opPair             // ("name", "value")
	opCall             // name("value")
	opElement          // <name>value<
	opValue            // name="NAME" value="value"
	opDefault          // getenv("NAME") || "value"
	opBlank            // name value
)

// sighting is a name with what follows it.
type sighting struct {
	from, to int
	op       operator
	parens   bool // a parenthesis closed behind the name
	colon    bool // of assignments: by a colon
	next     int  // where the value begins
	flag     bool // the name stands behind dashes
	enclosed byte // the quote of the literal that name and value stand in
	comment  bool
	line     int // where the line begins
}

// look reads what follows the name at b[from:to].
func (s *sighting) look(b []byte, from, to int) bool {
	s.from, s.to = from, to
	s.op, s.next = s.operator(b, to)
	if s.op == opCall {
		s.compares(b)
	}
	if s.op == opNone {
		s.op, s.next = reversed(b, from)
	}
	return s.op != opNone
}

// compares takes .equals off the name that it compares.
func (s *sighting) compares(b []byte) {
	i := bytes.LastIndexByte(b[s.from:s.to], '.')
	if i <= 0 {
		return
	}
	var buf [32]byte
	switch string(fold(b[s.from+i+1:s.to], buf[:])) {
	case "equals", "equalsignorecase", "contentequals", "compareto", "compare", "isequal", "isequaltostring", "eq":
		s.op, s.to = opCompare, s.from+i
	}
}

// reversed finds "value".equals(name) and "value" == name.
func reversed(b []byte, from int) (operator, int) {
	i := from
	for i > 0 && (isBlank(b[i-1]) || b[i-1] == '$') {
		i--
	}
	switch {
	case i > 8 && hasSuffixFold(b[:i], ".equals("):
		i -= 8
	case i > 3 && b[i-1] == '=' && b[i-2] == '=':
		for i--; i > 0 && (b[i-1] == '=' || isBlank(b[i-1])); i-- {
		}
	default:
		return opNone, 0
	}
	if !isQuote(b[i-1]) {
		return opNone, 0
	}
	q := b[i-1]
	for j := i - 2; j >= 0 && i-j < 128 && b[j] != '\n'; j-- {
		if b[j] == q {
			return opCompare, j
		}
	}
	return opNone, 0
}

func (s *sighting) operator(b []byte, i int) (operator, int) {
	quoted := false
	if i < len(b) && b[i] == '\\' && i+1 < len(b) && isQuote(b[i+1]) {
		i, quoted = i+2, true
	} else if i < len(b) && isQuote(b[i]) {
		i, quoted = i+1, true
	}
	if i+1 < len(b) && b[i] == '*' && isBlank(b[i+1]) && s.from > 0 && b[s.from-1] == '*' {
		i++ // *password* of Lisp
	}
	for i < len(b) && (b[i] == ']' || b[i] == ')' || b[i] == '}' || b[i] == '?' && i+1 < len(b) && (b[i+1] == ':' || b[i+1] == ' ') || b[i] == '*' && i+1 < len(b) && b[i+1] == '*') {
		if b[i] == '*' {
			i++ // **Password**: x
		}
		s.parens = s.parens || b[i] == ')'
		i++
	}
	if s.parens && i < len(b) && b[i] == '.' {
		return otherwise(b, i)
	}
	blank := i
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	if i >= len(b) {
		return opNone, 0
	}
	if op, next := s.symbolic(b, i, quoted); op != opNone {
		return op, next
	}
	return s.spelled(b, i, blank, quoted)
}

// symbolic reads an operator made of punctuation.
func (s *sighting) symbolic(b []byte, i int, quoted bool) (operator, int) {
	var c1, c2 byte
	if i+1 < len(b) {
		c1 = b[i+1]
	}
	if i+2 < len(b) {
		c2 = b[i+2]
	}
	switch c := b[i]; {
	case wideColon(b, i):
		s.colon = true
		return opAssign, i + 3
	case c == '&' && hasPrefixFold(b[i:], "&gt;") && s.from >= 4 && hasSuffixFold(b[:s.from], "&lt;"):
		return opElement, i + 4
	case c == '=' && c1 == '=', c == '!' && c1 == '=':
		return opCompare, i + 2 + b2i(c2 == '=')
	case c == ':' && c1 == ':' && c2 == ' ' && (s.from == 0 || b[s.from-1] == '\n'):
		return opAssign, i + 2 // LDIF
	case c == ':' && c1 == ':' && quoteAt(b, blanks(b, i+2)):
		return opAssign, i + 2 // a hidden field of Jsonnet
	case c == '=' && c1 == '~', c == ':' && c1 == ':', c == '<' && c1 == '=', c == '&' && c1 == '&':
		return opNone, 0
	case c == '=' && c1 == '>', c == '?' && c1 == '=', c == '<' && c1 == '-' && !quoted:
		return opAssign, i + 2
	case c == '+' && c1 == '=':
		return opDefault, i + 2
	case c == '|' && c1 == '|', c == '?' && c1 == '?', c == '?' && c1 == ':', c == '/' && c1 == '/' && c2 != '/' && quoted:
		return opDefault, i + 2 + b2i(c2 == '=')
	case c == '=':
		return opAssign, i + 1
	case c == ':':
		return s.afterColon(c1, i)
	case c == ',' && !quoted && s.compared(b):
		return opCompare, i + 1
	case c == ',' && !quoted && s.from > 0 && b[s.from-1] == '{' && i+2 < len(b) && (isQuote(c1) || isQuote(c2)):
		return opPair, i + 1 // {password, "…"}
	case c == ',' && !quoted && hasSuffixFold(b[:s.from], "define(") && quoteAt(b, blanks(b, i+1)):
		return opPair, i + 1 // -define(PASSWORD, "…")
	case c == ',' && quoted && !s.parens:
		return opPair, i + 1
	case c == '(' && !quoted:
		return opCall, i + 1
	case c == '{' && !quoted && quoteAt(b, i+1):
		return opCall, i + 1
	case c == '>' && (quoted || s.tag(b)):
		return opElement, i + 1
	case c == '[' && !quoted:
		return s.array(b, i)
	case c == '<' && c1 == '/':
		return opValue, i
	case c == '\n' || c == '\r':
		return opValue, i
	}
	return opNone, 0
}

func blanks(b []byte, i int) int {
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	return i
}

// afterColon reads the operator that begins with the colon at i.
func (s *sighting) afterColon(next byte, i int) (operator, int) {
	s.colon = next != '='
	switch next {
	case '?':
		return opNone, 0 // ${NAME:?why}
	case '-':
		return opDefault, i + 2 // ${NAME:-value}
	}
	return opAssign, i + 1 + b2i(next == '=')
}

// comparers are functions that compare their two arguments.
var comparers = set(`strcmp strncmp strcasecmp stricmp strcmp_p memcmp compare equals hash_equals compare_digest timingsafeequal constanttimecompare
	streq str_eq assertequals assertequal eq secure_compare safe_compare secureequals bytesequal equal fixedtimeequals`)

// compared reports whether the name is the first argument of a comparison.
func (s *sighting) compared(b []byte) bool {
	i := s.from
	for i > 0 && (b[i-1] == '$' || b[i-1] == '&' || b[i-1] == '*' || isBlank(b[i-1])) {
		i--
	}
	if i == 0 || b[i-1] != '(' {
		return false
	}
	j := i - 1
	for j > 0 && i-j < 24 && (isAlnum(b[j-1]) || b[j-1] == '_') {
		j--
	}
	var buf [24]byte
	return comparers[string(fold(b[j:i-1], buf[:]))]
}

// tag reports whether the name is that of an element's start.
func (s *sighting) tag(b []byte) bool {
	i := s.from - 1
	if i >= 0 && b[i] == ':' {
		for i--; i >= 0 && isNameByte(b[i]); i-- {
		}
	}
	return i >= 0 && b[i] == '<'
}

// array reads char name[32] = "value".
func (s *sighting) array(b []byte, i int) (operator, int) {
	j := bytes.IndexByte(b[i:min(len(b), i+40)], ']')
	if j < 0 {
		return opNone, 0
	}
	for i += j + 1; i < len(b) && (isBlank(b[i]) || b[i] == '[' || b[i] == ']'); {
		i++
	}
	if i+1 < len(b) && b[i] == '=' && b[i+1] != '=' {
		return opAssign, i + 1
	}
	return opNone, 0
}

// spelled reads operators that are words, types between name and operator, and
// names that are followed by their value without any.
func (s *sighting) spelled(b []byte, i, blank int, quoted bool) (operator, int) {
	if i == blank && !isQuote(b[i]) {
		return opNone, 0
	}
	if b[i] == '{' {
		return braced(b, i, quoted)
	}
	if !quoted && s.tag(b) {
		return attributes(b, i)
	}
	j := i
	for j < len(b) && j-i < 24 && isLetter(b[j]) {
		j++
	}
	var buf [24]byte
	switch word := fold(b[i:j], buf[:]); string(word) {
	case "pic", "picture": // COBOL
		if k := indexFold(b[j:min(len(b), j+60)], " value "); k > 0 && !quoted {
			return opAssign, j + k + 7
		}
	case "or", "else":
		return opDefault, j
	case "is", "ist", "est", "es", "equals", "eq":
		if j < len(b) && (isBlank(b[j]) || b[j] == ':') && !quoted {
			return opBlank, j
		}
	case "android":
		return opValue, i
	case "value", "val", "default", "content", "defaultvalue", "type", "description", "required", "encrypted", "name":
		return opValue, i
	case "as":
		return typed(b, j)
	}
	if quoted {
		return opNone, 0
	}
	if op, next := typed(b, i); op != opNone {
		return op, next
	}
	return opBlank, i
}

// attributes passes those of an element's start.
func attributes(b []byte, i int) (operator, int) {
	for j := i; j < len(b) && j-i < 120 && b[j] != '<' && b[j] != '\n'; j++ {
		if b[j] == '>' && b[j-1] != '/' {
			return opElement, j + 1
		}
	}
	return opNone, 0
}

// braced reads Password { get; set; } = "…", and the block behind the name of a
// variable.
func braced(b []byte, i int, quoted bool) (operator, int) {
	if quoted {
		return opValue, i + 1
	}
	j := bytes.IndexByte(b[i:min(len(b), i+64)], '}')
	if j < 0 {
		return opNone, 0
	}
	for i += j + 1; i < len(b) && isBlank(b[i]); i++ {
	}
	if i+1 < len(b) && b[i] == '=' && b[i+1] != '=' {
		return opAssign, i + 1
	}
	return opNone, 0
}

// otherwise reads .unwrap_or("…") and its like behind a lookup.
func otherwise(b []byte, i int) (operator, int) {
	j := bytes.IndexByte(b[i:min(len(b), i+24)], '(')
	if j > 0 && defaulting(b, i+j) {
		return opDefault, i + j + 1
	}
	return opNone, 0
}

// typed reads a type and an equals sign: String = "…".
func typed(b []byte, i int) (operator, int) {
	limit, open := min(len(b), i+48), 0
	for j := i; j < limit; j++ {
		open += b2i(b[j] == '[') - b2i(b[j] == ']')
		switch c := b[j]; {
		case c == ';' && open > 0: // [u8; 16]
		case c == '=' && j+1 < len(b) && b[j+1] != '=' && b[j+1] != '>' && j > i && !isWordByte(b[j-1]):
			return opAssign, j + 1
		case isWordByte(c) || isBlank(c) || c == '_' || c == '*' || c == '&' || c == '[' || c == ']' || c == '<' || c == '>' || c == '\'' || c == '.' || c == ':' || c == '?' || c == '|':
		default:
			return opNone, 0
		}
	}
	return opNone, 0
}
