package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const (
	ruleURL      = "url-password"
	ruleURLToken = "url-token"
	ruleDSN      = "dsn-password"
)

// urls finds passwords in URLs and in the data source names that look like them.
type urls struct{}

// Rules implements [detect.Grammar].
func (urls) Rules() []detect.Rule {
	return []detect.Rule{
		{ID: ruleURL, Title: "password in a URL", Kind: detect.KindConnection, Severity: core.SeverityHigh},
		{ID: ruleURLToken, Title: "token in place of a URL's user", Kind: detect.KindToken, Severity: core.SeverityHigh},
		{ID: ruleDSN, Title: "password in a data source name", Kind: detect.KindConnection, Severity: core.SeverityHigh},
	}
}

// Keywords implements [detect.Grammar].
func (urls) Keywords() []string {
	return []string{"://", "@tcp(", "@unix(", "oracle:thin:", "oracle:oci:", "sqlplus", "@//"}
}

// Wants implements [detect.Grammar].
func (urls) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (urls) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (urls) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	switch b[at] {
	case ':':
		if at > 0 && isAlnum(b[at-1]) {
			authority(t, at, at+n, emit)
		}
	case '@':
		backwards(t, at, b[at+1] == '/', emit)
	default:
		oracle(t, at+n, emit)
	}
}

const maxAuthority = 512

// authority reads user:password@host behind scheme://.
func authority(t detect.Text, at, from int, emit func(detect.Hit)) {
	b := t.Body
	end, last := from, -1
	for end < len(b) && end-from < maxAuthority && !endsAuthority(b, end) {
		if b[end] == '@' {
			last = end
		}
		end++
	}
	if last < 0 {
		return
	}
	start := at
	for start > 0 && at-start < 32 && (isAlnum(b[start-1]) || b[start-1] == '+' || b[start-1] == '.' || b[start-1] == '-') {
		start--
	}
	colon := bytes.IndexByte(b[from:last], ':')
	if colon < 0 {
		userToken(t, start, from, last, emit)
		return
	}
	p := from + colon + 1
	host := b[last+1 : end]
	if len(host) == 0 || !isAlnum(host[0]) && host[0] != '[' && host[0] != '$' && host[0] != '{' && host[0] != '%' && host[0] != '<' && host[0] != '_' {
		return
	}
	if credentials(t, start, b[from:p-1], b[p:last], host) {
		emit(detect.Hit{Rule: ruleURL, Start: p, End: last, MatchStart: start, MatchEnd: end})
	}
}

func endsAuthority(b []byte, i int) bool {
	switch c := b[i]; c {
	case '/', ' ', '\t', '\n', '\r', '"', '\'', '`', '<', '>', '\\', '|':
		return true
	case '?':
		return bytes.IndexByte(b[i:min(len(b), i+64)], '@') < 0
	case '#':
		// A number sign in a password is not rare; one behind the host is a fragment.
		return bytes.IndexByte(b[i:min(len(b), i+32)], '@') < 0
	}
	return false
}

// userToken reads https://TOKEN@host.
func userToken(t detect.Text, start, from, to int, emit func(detect.Hit)) {
	v := t.Body[from:to]
	if host := t.Body[to:min(len(t.Body), to+48)]; indexFold(host, "sentry.") >= 0 {
		return // what reports errors knows no secret; one with two keys has a rule
	}
	if len(v) < 20 || checksummed(v) || reference(v) {
		return
	}
	if s := measure(v); s.random(20) && s.symbol == s.plain && !isPlaceholder(v, &s) && !demonstrates(t.Path) {
		emit(detect.Hit{Rule: ruleURLToken, Start: from, End: to, MatchStart: start, MatchEnd: to})
	}
}

// credentials judges the password of user at host.
func credentials(t detect.Text, start int, user, pass, host []byte) bool {
	if len(user) > 128 || len(pass) < minSecret-1 || bytes.ContainsAny(pass, "/ ") || bytes.HasPrefix(pass, []byte("//")) || checksummed(pass) {
		return false
	}
	if pattern(user) || pattern(pass) || samePassword(user, pass) || len(user) > 0 && reference(user) && len(pass) < 8 {
		return false
	}
	e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, explicit: true, neighbour: true, name: user}
	e.demo = demonstrates(t.Path) || kindOf(t.Path) == kindDoc || commented(t.Body, start)
	if exampleHost(host) || exampleUser(user) {
		s := measure(pass)
		if s.digit == 0 || s.wordlike() && (s.digit < 4 || e.demo && s.symbol == s.plain) {
			return false
		}
	}
	if len(pass) == 3 {
		return false
	}
	return e.judge(pass) != refused
}

// pattern knows the class of characters with its count, as in the regular
// expression that finds such a URL: [a-f0-9]{32}.
func pattern(v []byte) bool {
	open := bytes.IndexByte(v, '[')
	if open < 0 {
		return false
	}
	i := bytes.IndexByte(v[open:], ']') + open
	return i > open+2 && i+1 < len(v) && (v[i+1] == '{' || v[i+1] == '+' || v[i+1] == '*') && (v[open+1] == '^' || v[open+1] == '\\' || v[open+2] == '-')
}

func commented(b []byte, at int) bool {
	i := at
	for i > 0 && at-i < 200 && b[i-1] != '\n' {
		i--
	}
	line := bytes.TrimLeft(b[i:at], " \t")
	return bytes.HasPrefix(line, []byte("//")) || bytes.HasPrefix(line, []byte("* ")) || bytes.HasPrefix(line, []byte("/*"))
}

// samePassword: a user's name as password is an example, or a default that
// everybody knows.
func samePassword(user, pass []byte) bool {
	return len(user) > 0 && len(user) <= len(pass) && len(pass)-len(user) < 2 && bytes.EqualFold(user, pass[:len(user)])
}

var (
	exampleHosts = set(`host hostname server example domain myhost somehost localhost remote yourhost dbhost proxy ip address foo bar a b host1 test`)
	exampleUsers = set(`user username foo me someuser myuser youruser uname login usr u name`)
)

func exampleHost(host []byte) bool {
	i := 0
	for i < len(host) && (isAlnum(host[i]) || host[i] == '-') {
		i++
	}
	var buf [16]byte
	return exampleHosts[string(fold(host[:i], buf[:]))] && (i == len(host) || host[i] == ':' || hasPrefixFold(host[i:], ".com") || hasPrefixFold(host[i:], ".org")) ||
		indexFold(host, "example.") >= 0 || indexFold(host, ".test") >= 0 || indexFold(host, "foo.") >= 0 || indexFold(host, ".invalid") >= 0
}

func exampleUser(user []byte) bool {
	var buf [16]byte
	return exampleUsers[string(fold(user, buf[:]))]
}

// backwards reads user:password before @tcp( and user/password before @//host.
func backwards(t detect.Text, at int, slashed bool, emit func(detect.Hit)) {
	b, i := t.Body, at
	for i > 0 && at-i < maxAuthority && !isSpace(b[i-1]) && !isQuote(b[i-1]) && b[i-1] != '=' && b[i-1] != '>' && b[i-1] != '@' {
		i--
	}
	sep := byte(':')
	if slashed {
		sep = '/'
		if j := bytes.LastIndexByte(b[i:at], ':'); j >= 0 {
			i += j + 1
		}
	}
	j := bytes.IndexByte(b[i:at], sep)
	if j <= 0 {
		return
	}
	p := i + j + 1
	if credentials(t, i, b[i:p-1], b[p:at], nil) {
		emit(detect.Hit{Rule: ruleDSN, Start: p, End: at, MatchStart: i, MatchEnd: at + 1})
	}
}

// oracle reads user/password@host behind jdbc:oracle:thin: and sqlplus.
func oracle(t detect.Text, i int, emit func(detect.Hit)) {
	b := t.Body
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	for i+1 < len(b) && b[i] == '-' { // sqlplus -S
		for i < len(b) && !isSpace(b[i]) {
			i++
		}
		for i < len(b) && isBlank(b[i]) {
			i++
		}
	}
	end, slash, sign := i, -1, -1
	for ; end < len(b) && end-i < 200 && !isSpace(b[end]) && !isQuote(b[end]) && sign < 0; end++ {
		if b[end] == '/' && slash < 0 {
			slash = end
		}
		if b[end] == '@' {
			sign = end
		}
	}
	if slash <= i || sign < slash {
		return
	}
	if credentials(t, i, b[i:slash], b[slash+1:sign], nil) {
		emit(detect.Hit{Rule: ruleDSN, Start: slash + 1, End: sign, MatchStart: i, MatchEnd: end})
	}
}

// checksummed reports whether v is of a format that carries its own checksum, or
// that names its issuer: the rules for it know better than a grammar.
func checksummed(v []byte) bool {
	for _, p := range [...]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "npm_", "pypi-", "glpat-", "eyJ", "dckr_pat_", "shpat_", "sk_live_", "sk_test_", "rk_live_", "xoxb-", "xoxp-", "AKIA", "ASIA"} {
		if bytes.HasPrefix(v, []byte(p)) {
			return true
		}
	}
	return false
}
