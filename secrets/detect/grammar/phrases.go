package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
)

const ruleStatement = "statement-password"

// phrases finds passwords in the fixed turns of SQL, of shells and of prose:
// IDENTIFIED BY '…', echo "root:…" | chpasswd, net user bob … /add.
type phrases struct{}

// Rules implements [detect.Grammar].
func (phrases) Rules() []detect.Rule {
	return []detect.Rule{{ID: ruleStatement, Title: "password in a statement", Kind: detect.KindPassword, Severity: core.SeverityHigh}}
}

// Keywords implements [detect.Grammar].
func (phrases) Keywords() []string {
	return []string{
		"identified by", "identified with", "chpasswd", "net user", "net use ", "net.exe use", "convertto-securestring", "passwd --stdin", "password(",
		"add_user", "change_password", "authorization:", "authorization\"", "authorization'", "authorization ", "password is", "password for", "password of", "password of the",
		"passwort ist", "passwort für", "passwort lautet", "send -- \"", "sendln '", "connect ", "/password:", "/pass:", "pass is", "from-literal=", "set-password", "net localgroup", "send \"", "pw is", "password to", "passphrase is", "passphrase for",
		"sudo -s", "auth basic", "requirepass", "masterauth", "login as", "with password ", "--passwd-on-stdin", "encrypt_string ", "snmp-community-string", "register =>", "radius auth add ", "radius acct add ", "mgmtuser add ", "users password ", "credentials:", "creds:", "auth_basic", "-hashpassword", "snmp community", ": eap ", ": xauth ", ": ntlm ", "login=", "stats auth ", "user set password", "sp_addlogin", "sp_password", "passwd=",
	}
}

// Wants implements [detect.Grammar].
func (phrases) Wants(string) bool { return false }

// All implements [detect.Grammar].
func (phrases) All(detect.Text, func(detect.Hit)) {}

// At implements [detect.Grammar].
func (phrases) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	b := t.Body
	if at > 0 && isAlnum(b[at-1]) {
		return
	}
	p := phrase{t: t, at: at, end: at + n, emit: emit}
	if p.fixed() {
		return
	}
	switch lower(b[at]) {
	case 'i':
		p.identified()
	case 'c':
		switch {
		case hasPrefixFold(b[at:], "chpasswd"):
			p.piped()
		case hasPrefixFold(b[at:], "convertto"):
			p.secureString()
		case hasPrefixFold(b[at:], "cred"):
			p.pair()
		case hasPrefixFold(b[at:], "change_"):
			p.afterUser()
		}
	case 'n':
		p.net()
	case 'a':
		if hasPrefixFold(b[at:], "add_user") {
			p.afterUser()
		} else {
			p.header()
		}
	case 'p':
		p.prose()
	case 'l':
		p.pair()
	case 's':
		if hasPrefixFold(b[at:], "sp_") {
			p.procedure()
		} else if hasPrefixFold(b[at:], "stats") {
			p.pair()
		} else if hasPrefixFold(b[at:], "snmp ") {
			p.namedCommunity()
		} else if hasPrefixFold(b[at:], "sudo -s") {
			p.pipedPlain()
		} else {
			p.sent()
		}
	case ':':
		p.directive()
	case 'u':
		p.afterUser()
	case 'r', 'm':
		p.directive()
	}
}

type phrase struct {
	t       detect.Text
	at, end int
	emit    func(detect.Hit)
}

func (p *phrase) found(from, to int) {
	p.emit(detect.Hit{Rule: ruleStatement, Start: from, End: to, MatchStart: min(p.at, from), MatchEnd: max(p.end, to)})
}

// judge asks as much as of any password whose place leaves no doubt.
func (p *phrase) judge(user, v []byte, explicit bool) bool {
	if samePassword(user, v) || checksummed(v) {
		return false
	}
	e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, explicit: explicit, neighbour: true, name: user}
	e.demo = demonstrates(p.t.Path)
	return e.judge(v) != refused
}

// identified reads IDENTIFIED [WITH plugin] BY '…' or "…".
func (p *phrase) identified() {
	b := p.t.Body
	i := p.end
	before := b[max(0, p.at-160):p.at]
	if indexFold(before, "user") < 0 && indexFold(before, "grant") < 0 && indexFold(before, "connect to") < 0 && indexFold(before, "role") < 0 {
		return // identified by a number
	}
	if j := indexFold(b[i:min(len(b), i+48)], "by "); hasPrefixFold(b[p.at:], "identified with") {
		if j < 0 {
			return
		}
		i += j + 2
	}
	r := reader{b: b, kind: kindData}
	i = r.skip(i, 0)
	if hasPrefixFold(b[i:], "password ") {
		i = r.skip(i+9, 0)
	}
	if hasPrefixFold(b[i:], "values ") {
		i = r.skip(i+7, 0)
	}
	if i < len(b) && b[i] == '`' {
		return
	}
	if r.literal(i) && p.judge(nil, r.text(), true) {
		p.found(r.from, r.to)
		return
	}
	if kindOf(p.t.Path) == kindCode && openQuote(b[lineStart(b, p.at):p.at]) == 0 {
		return
	}
	j := i
	for j < len(b) && (isAlnum(b[j]) || bytes.IndexByte([]byte("_$#!@%^*-+"), b[j]) >= 0) {
		j++
	}
	if v := b[i:j]; len(v) > 5 && hasDigit(v) && p.judge(nil, v, true) {
		p.found(i, j)
	}
}

func hasDigit(v []byte) bool {
	for _, c := range v {
		if isDigit(c) {
			return true
		}
	}
	return false
}

// lineStart returns where the line of i begins, or where the look back ends.
func lineStart(b []byte, i int) int {
	from := i
	for i > 0 && from-i < 1024 && b[i-1] != '\n' {
		i--
	}
	return i
}

// piped reads what is piped into chpasswd: echo "user:password".
func (p *phrase) piped() {
	b := p.t.Body
	start := lineStart(b, p.at)
	line := b[start:p.at]
	if hasPrefixFold(b[p.end:], " <<<") {
		p.userColon(p.end+4, len(b))
		return
	}
	if hasPrefixFold(b[p.end:], " <<") || hasPrefixFold(b[p.end:], ":\n") {
		p.heredoc()
		return
	}
	pipe := bytes.LastIndexByte(line, '|')
	if pipe < 0 {
		return
	}
	if i := indexFold(line[:pipe], "echo "); i >= 0 {
		p.userColon(start+i+5, start+pipe)
	} else if i := indexFold(line[:pipe], "printf "); i >= 0 {
		p.userColon(start+i+7, start+pipe)
	}
}

// userColon reads user:password, in quotes or not.
func (p *phrase) userColon(i, limit int) {
	b := p.t.Body
	for i < limit && (isBlank(b[i]) || isQuote(b[i]) || b[i] == '-' && i+2 < limit && b[i+2] == ' ') {
		if b[i] == '-' {
			i++
		}
		i++
	}
	j := i
	for j < limit && !isSpace(b[j]) && !isQuote(b[j]) {
		j++
	}
	for j > i+1 && b[j-1] == 'n' && b[j-2] == '\\' {
		j -= 2
	}
	colon := bytes.IndexByte(b[i:j], ':')
	if colon <= 0 {
		return
	}
	from := i + colon + 1
	if p.judge(b[i:i+colon], b[from:j], true) {
		p.found(from, j)
	}
}

// heredoc reads the lines of user:password behind chpasswd <<EOF.
func (p *phrase) heredoc() {
	b := p.t.Body
	i := p.end
	for range 8 {
		for i < len(b) && b[i] != '\n' {
			i++
		}
		if i++; i >= len(b) {
			return
		}
		j := i
		for j < len(b) && b[j] != '\n' {
			j++
		}
		if bytes.IndexByte(b[i:j], ':') < 0 {
			return
		}
		if indexFold(b[i:j], "list:") < 0 && indexFold(b[i:j], "expire") < 0 {
			p.userColon(i, j)
		}
	}
}

// secureString reads ConvertTo-SecureString "…" -AsPlainText.
func (p *phrase) secureString() {
	b := p.t.Body
	r := reader{b: b, kind: kindShell}
	i := r.skip(p.end, 0)
	for range 3 {
		if i >= len(b) || b[i] != '-' {
			break
		}
		for i < len(b) && !isSpace(b[i]) {
			i++
		}
		i = r.skip(i, 0)
	}
	if r.literal(i) && p.judge(nil, r.text(), true) {
		p.found(r.from, r.to)
	}
}

// net reads net user NAME PASSWORD /add and net use X: \\host\share PASSWORD.
func (p *phrase) net() {
	b := p.t.Body
	w := commandWords(b, p.at, p.end)
	use := !hasSuffixFold(bytes.TrimRight(b[p.at:p.end], " "), "user")
	var user []byte
	seen := 0
	for n := 0; n < 10 && w.next(); n++ {
		v := b[w.from:w.to]
		if use && (bytes.HasPrefix(v, []byte(`\\`)) || len(v) == 2 && v[1] == ':' || string(v) == "*" || hasPrefixFold(v, "lpt")) {
			seen = 1
			continue
		}
		if len(v) > 0 && v[0] == '/' {
			if i := bytes.IndexByte(v, ':'); i > 0 && hasPrefixFold(v, "/u") {
				user = v[i+1:]
			}
			continue
		}
		seen++
		if !use && seen == 1 {
			user = v
			continue
		}
		if seen == 2 {
			if p.judge(user, v, true) {
				p.found(w.from, w.to)
			}
			return
		}
	}
}

// afterUser reads add_user NAME PASSWORD on a command line.
func (p *phrase) afterUser() {
	b := p.t.Body
	if p.end >= len(b) || !isBlank(b[p.end]) {
		return
	}
	w := commandWords(b, p.at, p.end)
	if !w.next() {
		return
	}
	user := b[w.from:w.to]
	if len(user) <= 2 && !isDigit(user[0]) && hasPrefixFold(b[p.at:], "user") {
		return
	}
	if k := kindOf(p.t.Path); k == kindCode && w.enclosed == 0 || k == kindDoc {
		return
	}
	if w.next() && p.judge(user, b[w.from:w.to], true) {
		p.found(w.from, w.to)
	}
}

// directive reads requirepass PASSWORD.
func (p *phrase) directive() {
	w := commandWords(p.t.Body, p.at, p.end)
	if p.end < len(p.t.Body) && (isBlank(p.t.Body[p.end]) || isBlank(p.t.Body[p.end-1])) && w.next() && p.judge(nil, p.t.Body[w.from:w.to], true) && kindOf(p.t.Path) != kindCode {
		p.found(w.from, w.to)
	}
}

// pair reads credentials: user / password, and user:password.
func (p *phrase) pair() {
	b := p.t.Body
	i, limit := p.end, min(len(b), p.end+160)
	for i < limit && isBlank(b[i]) || i < limit && (b[i] == '`' || b[i] == '*') {
		i++
	}
	j := i
	for j < limit && (isAlnum(b[j]) || b[j] == '_' || b[j] == '.' || b[j] == '-' || b[j] == '@') {
		j++
	}
	user := b[i:j]
	for j < limit && (isBlank(b[j]) || b[j] == '`') {
		j++
	}
	if j >= limit || len(user) < 2 || b[j] != '/' && b[j] != ':' {
		if lower(b[p.at]) == 'c' && i > p.end && (b[i-1] == '*' || b[i-1] == '`') {
			p.said(p.end) // Credentials: **…**
		}
		return
	}
	for j++; j < limit && (isBlank(b[j]) || b[j] == '`'); j++ {
	}
	k := j
	for k < limit && !isSpace(b[k]) && b[k] != '`' && b[k] != '"' && b[k] != '\'' && b[k] != '<' && b[k] != ',' && b[k] != ')' {
		k++
	}
	v := b[j:k]
	var buf [32]byte
	known := common[string(fold(v, buf[:]))]
	if len(v) < 6 || !hasDigit(v) && !known || kindOf(p.t.Path) == kindCode && !commented(b, p.at) {
		return
	}
	if s := measure(v); (s.classes() >= 3 || s.random(8) || known) && p.judge(user, v, false) {
		p.found(j, k)
	}
}
