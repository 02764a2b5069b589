package grammar

import "bytes"

// reference reports whether v names a place where the secret is kept, or a
// variable, or is a template: nothing was written down.
func reference(v []byte) bool {
	if len(v) < 2 {
		return false
	}
	if v[0] == '$' && isIdentifier(v[1:]) && (len(v) < 6 || !hasDigitAndUpper(v) || isLetter(v[len(v)-1]) && camel(v[1:])) {
		return true
	}
	if v[0] == '$' && isDigit(v[1]) && (len(v) == 2 || v[2] == '$') {
		return true // $1
	}
	if j := bytes.IndexAny(v[1:], "[-("); v[0] == '$' && j > 0 && isIdentifier(v[1:1+j]) && (v[1+j] != '-' || bytes.HasPrefix(v[1+j:], []byte("->"))) {
		return true // $_POST['password'], $this->password
	}
	if j := bytes.IndexByte(v, '{'); bytes.HasPrefix(v, []byte("$__")) && j > 0 && isIdentifier(v[1:j]) {
		return true // $__file{/run/secrets/x}, as Grafana writes; in a text its end may be cut off
	}
	if v[0] == '$' && v[1] == '$' && isIdentifier(v[2:]) {
		return true // as make and compose write $
	}
	if v[0] == '$' && v[len(v)-1] == '$' && isIdentifier(v[1:len(v)-1]) && shouted(v) {
		return true // $PASSWORD$
	}
	if v[0] == '$' && v[1] == '.' && isDotted(v[2:]) {
		return true // $.config.password, as Jsonnet and JSONPath have it
	}
	if v[0] == '%' && v[len(v)-1] == '%' || v[0] == '<' && (v[len(v)-1] == '>' || bytes.IndexByte(v, '>') < 0) || v[0] == '[' && v[len(v)-1] == ']' || v[0] == '{' && v[len(v)-1] == '}' ||
		v[0] == '_' && v[1] == '_' && v[len(v)-1] == '_' || v[0] == '@' && v[len(v)-1] == '@' || v[0] == '#' && v[len(v)-1] == '#' && len(v) > 4 && !hasDigitAndUpper(v) {
		return true
	}
	for _, s := range [...]string{"${", "{{", "}}", "$(", "%(", "<%", "#{", "@{", "%{", "[[", "$[", "\\(", "<<", "{%", "*{"} {
		if bytes.Contains(v, []byte(s)) {
			return !(s == "[[" || s == "<<" || s == "\\(") || v[0] == s[0]
		}
	}
	return formatted(v) || vaulted(v)
}

// camel reports words in mixed case, as variables have them: base32String.
func camel(v []byte) bool {
	s := measure(v)
	return s.wordlike() && s.words > 1 && s.digit <= 2 && s.switches <= 2
}

func hasDigitAndUpper(v []byte) bool {
	d, u, l := false, false, false
	for _, c := range v {
		d, u, l = d || isDigit(c), u || isUpper(c), l || isLower(c)
	}
	return d && u && l
}

// formatted finds the verbs of printf and the holes of format strings.
func formatted(v []byte) bool {
	for i := 0; i+1 < len(v); i++ {
		switch v[i] {
		case '%':
			if padded(v[i+1:]) && (i == 0 || !isAlnum(v[i-1])) {
				return true // %016x
			}
			if c := v[i+1]; (c == 's' || c == 'v' || c == 'd' || c == '@' || c == 'q' || c == 'w') && (i+2 == len(v) || !isAlnum(v[i+2])) && (i == 0 || !isAlnum(v[i-1]) || i+2 == len(v)) {
				return len(v) < 8 || i == 0 || i+2 < len(v) && !isAlnum(v[i-1])
			}
		case '{':
			if j := bytes.IndexByte(v[i:], '}'); j > 0 && j < 40 && (isIdentifier(v[i+1:i+j]) || j == 1 || j == 2 && isDigit(v[i+1])) && (j != 2 || isDigit(v[i+1])) {
				return i == 0 || j >= 3 || i+j+1 == len(v)
			}
		}
	}
	return false
}

// padded reports the width and the letter of a printf's verb that pads with zeros.
func padded(v []byte) bool {
	i := 0
	for i < len(v) && isDigit(v[i]) {
		i++
	}
	return i > 1 && i < 4 && v[0] == '0' && i < len(v) && isLetter(v[i])
}

// vaulted knows the notations by which configurations refer to stores.
func vaulted(v []byte) bool {
	for _, p := range [...]string{
		"vault:", "arn:", "op://", "@microsoft.keyvault", "{cipher}", "enc[", "enc(", "!vault", "secret:", "secrets:", "ref+", "secretref",
		"keyring:", "ssm:", "ssm://", "file:", "env:", "env.", "kms:", "sops", "gcpkms", "awskms", "{{resolve:", "projects/", "/run/secrets",
		"/var/run", "/etc/", "aws-secretsmanager", "azure-keyvault", "azurekeyvault", "gcp-secret", "gsm:", "sm://", "sm:", "bws:", "pass:show",
		"keychain:", "credential:", "secretsmanager", "doppler", "infisical", "conjur", "-----begin", "data:", "!ref", "!sub", "!getatt", "!env", "!secret",
		"fn::", "fileb:", "file(", "lookup(", "var.", "local.", "module.", "process.env", "os.getenv", "os.environ", "getenv", "secrets.", "vars.", "github.",
		"steps.", "inputs.", "params.", "values.", ".values", "akv:", "azkv:", "cyberark", "keeper:", "lastpass:", "bitwarden", "dashlane", "@@", "resource:", "${", "prompt:", "ask:",
		"$ansible_vault", "age1", "ageenc", "pgp:", "hashivault", "s3://", "secretmanager", "valuefrom", "keepass:", "awssm",
	} {
		if hasPrefixFold(v, p) {
			return true
		}
	}
	return false
}

// notSecret reports what has the shape of something else: a place, an address, a
// date, a version, a size.
func notSecret(v []byte, s *shape) bool {
	return isPlace(v, s) || isHostPort(v) || isEmail(v) || isDated(v, s) || isSyntax(v, s)
}

func isPlace(v []byte, s *shape) bool {
	if bytes.Contains(v, []byte("://")) {
		return true
	}
	if v[0] == '/' || bytes.HasPrefix(v, []byte("./")) || bytes.HasPrefix(v, []byte("../")) || bytes.HasPrefix(v, []byte("~/")) {
		if s.wordlike() || bytes.Count(v, []byte("/")) > 1 && !s.random(20) {
			return true
		}
	}
	if len(v) > 3 && v[1] == ':' && (v[2] == '\\' || v[2] == '/') && isLetter(v[0]) {
		return true
	}
	v = bytes.TrimSuffix(v, []byte("/")) // www.corp.com/
	i := bytes.LastIndexByte(v, '.')
	if i > 0 && s.space == 0 && (fileExts[string(v[i+1:])] || s.digit == 0 && kinds[string(v[i+1:])] == kindCode) {
		return true
	}
	// a/b/c of words is a path or a media type.
	return bytes.IndexByte(v, '/') > 0 && s.wordlike() && s.digit*4 < s.n && s.symbol-s.plain <= bytes.Count(v, []byte("/"))
}

// fingerprint knows that of an SSH key, as older programs write it.
func fingerprint(v []byte) bool {
	for i, c := range v {
		if i%3 == 2 && c != ':' || i%3 < 2 && !isHexDigit(c) {
			return false
		}
	}
	return len(v) == 47 || len(v) == 59
}

// hexList knows numbers of PGP keys: words of sixteen hex digits with commas between
// them.
func hexList(v []byte) bool {
	for i, c := range v {
		if i%17 == 16 && c != ',' || i%17 < 16 && !isHexDigit(c) {
			return false
		}
	}
	return len(v) > 16 && len(v)%17 == 16
}

// isHostPort knows localhost:8080.
func isHostPort(v []byte) bool {
	i := bytes.LastIndexByte(v, ':')
	if i < 1 || len(v)-i < 3 || len(v)-i > 6 || !isLetter(v[0]) {
		return false
	}
	for j, c := range v {
		if j > i && !isDigit(c) || j < i && !isLower(c) && !isDigit(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

var fileExts = set(`pem key crt cer der pfx p12 jks pub txt json yml yaml toml ini conf cfg xml html htm css js ts go py rb php java cs sh bat ps1 md
	gpg asc env sql log csv png jpg jpeg gif svg ico pdf doc docx zip gz tar keytab keystore truststore secret passwd password token properties tmpl tpl
	com org net local io dev internal`)

func isEmail(v []byte) bool {
	at := bytes.IndexByte(v, '@')
	if at <= 0 || bytes.IndexByte(v[at+1:], '@') >= 0 {
		return false
	}
	dot := bytes.LastIndexByte(v, '.')
	if dot < at+2 || len(v)-dot < 3 || len(v)-dot > 7 {
		return false
	}
	for i, c := range v {
		if i != at && !isAlnum(c) && c != '.' && c != '-' && c != '_' && c != '+' || i > dot && !isLower(c) {
			return false
		}
	}
	return true
}

// isDated finds dates, times, versions, addresses, sizes and numbers with a sign or a point.
func isDated(v []byte, s *shape) bool {
	if s.digit == 0 || s.letters() > 3 {
		return false
	}
	if bytes.HasSuffix(v, []byte("/udp")) || bytes.HasSuffix(v, []byte("/tcp")) {
		return true
	}
	if s.letters() == 0 {
		return s.symbol > 0 && s.symbol == count(v, "-./:+,TZ")+count(v, " ") && s.digit < 16 || s.digit == s.n && s.n < 4
	}
	// 30s, 10MB, v1.2.3, 12px, 1e10
	if s.letters() <= 2 && s.symbol == s.plain && s.n <= 6 && isDigit(v[0]) && !isDigit(v[len(v)-1]) {
		return true
	}
	return lower(v[0]) == 'v' && s.letters() == 1 && s.symbol > 0 && s.symbol == count(v, ".")
}

func count(v []byte, of string) int {
	n := 0
	for _, c := range v {
		for i := range len(of) {
			if c == of[i] {
				n++
			}
		}
	}
	return n
}

// types are those of schemas, behind which a mark says whether there must be one.
var types = set(`String Int Float Boolean ID string number boolean int`)

// isSyntax finds code, patterns and markup where a value was expected.
func isSyntax(v []byte, s *shape) bool {
	if last := v[len(v)-1]; (last == '!' || last == '?') && types[string(v[:len(v)-1])] {
		return true
	}
	// required|min:8, string|nullable
	if i := bytes.IndexAny(v, "|:"); i > 0 && s.wordlike() && s.symbol > s.plain && trivial[string(v[:i])] || v[len(v)-1] == ':' && s.wordlike() && s.digit == 0 {
		return true
	}
	if v[0] == '^' && (v[len(v)-1] == '$' || bytes.IndexByte(v, '[') >= 0) || bytes.Contains(v, []byte("[a-z")) || bytes.Contains(v, []byte("[^")) || bytes.Contains(v, []byte("A-Z")) || bytes.Contains(v, []byte("[0-9")) || bytes.Contains(v, []byte("\\x1b")) || bytes.Contains(v, []byte("\x1b[")) || bytes.Contains(v, []byte("\\033[")) || bytes.Contains(v, []byte("\\e[")) ||
		bytes.Contains(v, []byte(".*")) || bytes.Contains(v, []byte("\\d")) || bytes.Contains(v, []byte("\\w")) || bytes.Contains(v, []byte("(?")) || bytes.Contains(v, []byte("\\s")) {
		return true
	}
	if bytes.Contains(v, []byte(":\"")) || bytes.Contains(v, []byte("</")) || bytes.Contains(v, []byte("/>")) || bytes.Contains(v, []byte("=>")) || bytes.Contains(v, []byte("->")) || bytes.Contains(v, []byte("::")) || bytes.Contains(v, []byte("&&")) || bytes.Contains(v, []byte("||")) {
		return true
	}
	if bytes.HasSuffix(v, []byte("'s")) || v[0] == '(' && bytes.IndexByte(v, ',') > 0 {
		return true // prose, a tuple
	}
	if i := bytes.IndexByte(v, ':'); i > 0 && s.digit == 0 && s.symbol == 1 && s.upper == 0 && readsLikeWord(v[:i]) && readsLikeWord(v[i+1:]) {
		return true // ftp:host
	}
	if len(v) > 2 && v[0] == '!' && (v[1] == '0' || v[1] == '1') && !isAlnum(v[2]) {
		return true // as minified JavaScript writes true
	}
	// f(x), a.b.c, a[b]
	if i := bytes.IndexByte(v, '('); i > 0 && (v[len(v)-1] == ')' || i == len(v)-1) && isDotted(bytes.TrimRight(v[:i], "!?")) {
		return true
	}
	if d := bytes.TrimRight(v, ",;"); isDotted(d) && bytes.IndexByte(d, '.') > 0 && s.wordlike() && s.digit < 2 {
		return true
	}
	// #id, .class, @media, --flag
	return (v[0] == '#' || v[0] == '.' || v[0] == '@' || v[0] == '-' || v[0] == ':') && s.wordlike() && s.digit == 0 && s.symbol == s.plain+b2i(v[0] == '#' || v[0] == '@' || v[0] == ':')
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isDotted reports whether v is a chain of identifiers.
func isDotted(v []byte) bool {
	for i, c := range v {
		if !isAlnum(c) && c != '_' && (c != '.' || i == 0) {
			return false
		}
	}
	return len(v) > 0 && !isDigit(v[0])
}

// isIdentifier reports whether v could be a variable's name.
func isIdentifier(v []byte) bool {
	for i, c := range v {
		if !isAlnum(c) && c != '_' || i == 0 && isDigit(c) {
			return false
		}
	}
	return len(v) > 0
}

// ownWord reports whether a word of v belongs to no vocabulary of names and of texts for
// people: somebody chose it.
func ownWord(v []byte) bool {
	var w name
	if !w.split(v) {
		return false
	}
	for i := range w.n {
		word := string(w.word(i))
		_, noun := nouns[word]
		if len(word) > 3 && isLetter(word[0]) && !noun && !placeholders[word] && !nameWords[word] && !trivial[word] && !stopWords[word] && !neutral[word] && !keyQualifiers[word] {
			return true
		}
	}
	return false
}

// isPlaceholder reports whether v says that the real value goes here.
func isPlaceholder(v []byte, s *shape) bool {
	if s.distinct <= 2 && s.n > 3 && (s.digit < s.n || s.distinct == 1) || bytes.Contains(v, []byte("...")) || bytes.Contains(v, []byte("***")) || bytes.Contains(v, []byte("••")) || bytes.Contains(v, []byte("…")) {
		return true
	}
	own := s.digit > 1 && s.classes() > 2 && s.symbol-s.plain < 3 && bytes.IndexByte(v, '.') < 0 && ownWord(v)
	if indexFold(v, "xxxx") >= 0 || indexFold(v, "changeme") >= 0 || indexFold(v, "change_me") >= 0 || indexFold(v, "change-me") >= 0 ||
		indexFold(v, "change_this") >= 0 || indexFold(v, "example") >= 0 && !own || indexFold(v, "placeholder") >= 0 || indexFold(v, "replace_") >= 0 ||
		indexFold(v, "replace-") >= 0 || indexFold(v, "redacted") >= 0 || s.n > 12 && (indexFold(v, "abcdefgh") >= 0 || indexFold(v, "0123456789") >= 0 || indexFold(v, "1234567890") >= 0) || indexFold(v, "replaceme") >= 0 || indexFold(v, "=value") >= 0 || len(v) < 160 && bytes.HasPrefix(v, []byte("LS0tLS1CRUdJTi")) || indexFold(v, "insert_") >= 0 || hasPrefixFold(v, "your") && s.wordlike() || hasPrefixFold(v, "my-") && s.wordlike() || hasPrefixFold(v, "my_") && s.wordlike() {
		return true
	}
	var w name
	if len(v) > maxName || !w.split(v) {
		return false
	}
	for i := range w.n {
		word := w.word(i)
		if len(word) > 2 && placeholders[string(word)] && (s.digit < 3 && !own || len(word)*2 >= s.n) {
			return true
		}
	}
	return false
}
