package grammar

import (
	"bytes"
	"encoding/base64"
)

// prose reads "the password of the test rig is `…`": a noun, a few words, and a
// value that is no word.
func (p *phrase) prose() {
	b := p.t.Body
	if hasPrefixFold(b[p.at:], "passwd --stdin") {
		p.pipedPlain()
		return
	}
	k := kindOf(p.t.Path)
	if k == kindCode && !commented(b, p.at) && openQuote(b[lineStart(b, p.at):p.at]) == 0 {
		return
	}
	limit := min(len(b), p.at+120)
	for i := p.at; i < limit && b[i] != '\n'; i++ {
		if b[i] != ' ' && b[i] != ':' {
			continue
		}
		if j, ok := saysIs(b, i, limit); ok {
			p.said(j)
			return
		}
	}
}

// saysIs reports whether a value follows at i: " is", ": ", " =".
func saysIs(b []byte, i, limit int) (int, bool) {
	for _, w := range [...]string{" is now ", " is: ", " is ", ": ", " ist ", " lautet ", " = "} {
		if i+len(w) < limit && equalFold(b[i:i+len(w)], w) {
			return i + len(w), true
		}
	}
	return 0, false
}

// said judges the word at i, which must be a password by its shape.
func (p *phrase) said(i int) {
	b := p.t.Body
	marked := false
	for i < len(b) && (b[i] == '`' || b[i] == '"' || b[i] == '\'' || b[i] == '*' || isBlank(b[i])) {
		marked = marked || !isBlank(b[i])
		i++
	}
	j := i
	for j < len(b) && j-i < 128 && !isSpace(b[j]) && b[j] != '`' && b[j] != '"' && b[j] != '<' && (b[j] != '\'' || !marked) {
		j++
	}
	for j > i && !(marked && j < len(b) && isQuote(b[j])) && (b[j-1] == '.' || b[j-1] == ',' || b[j-1] == ';' || b[j-1] == ')' || b[j-1] == '*') {
		j--
	}
	v := b[i:j]
	var buf [32]byte
	known := marked && common[string(fold(v, buf[:]))]
	if len(v) < 6 || !hasDigit(v) && !known || moreWords(b, j) && !marked {
		return
	}
	s := measure(v)
	if s.symbol-s.plain < 5 && (s.letters() > 0 && s.classes() >= 3 || s.random(8) || marked && s.digit > 0 && s.n > 5 || known) && p.judge(nil, v, false) {
		p.found(i, j)
	}
}

// pipedPlain reads echo PASSWORD | passwd --stdin user.
func (p *phrase) pipedPlain() {
	b := p.t.Body
	start := lineStart(b, p.at)
	line := b[start:p.at]
	pipe := bytes.LastIndexByte(line, '|')
	i := indexFold(line, "echo ")
	if i < 0 || pipe < i {
		return
	}
	from, to := start+i+5, start+pipe
	for from < to && isBlank(b[from]) {
		from++
	}
	for to > from && isBlank(b[to-1]) {
		to--
	}
	from, to = unquote(b, from, to)
	if from < to && p.judge(nil, b[from:to], true) {
		p.found(from, to)
	}
}

// namedCommunity reads /snmp community add name=… of RouterOS.
func (p *phrase) namedCommunity() {
	b := p.t.Body
	if p.at == 0 || b[p.at-1] != '/' {
		return
	}
	w := words{b: b, i: p.end, limit: min(len(b), p.end+256)}
	for n := 0; n < 12 && w.i < w.limit && b[w.i] != '\n'; n++ {
		if !w.next() {
			w.i++ // [find]
			continue
		}
		v := b[w.from:w.to]
		if !hasPrefixFold(v, "name=") {
			continue
		}
		from, to := unquote(b, w.from+5, w.to)
		if from < to && judgeCommunity(b[from:to]) {
			p.found(from, to)
		}
		return
	}
}

// procedure reads EXEC sp_addlogin 'user', 'password'.
func (p *phrase) procedure() {
	r := reader{b: p.t.Body, kind: kindData}
	if !r.literal(p.end) {
		return
	}
	user := r.text()
	if i := comma(r.b, r.end); i > 0 && r.literal(i) && p.judge(user, r.text(), true) {
		p.found(r.from, r.to)
	}
}

// sent reads what a script of expect types: send "…\r".
func (p *phrase) sent() {
	b := p.t.Body
	i := p.end
	j := i
	for j < len(b) && j-i < 64 && !isSpace(b[j]) && b[j] != '"' && b[j] != '\\' {
		j++
	}
	if j+1 < len(b) && b[j] == '\\' && (b[j+1] == 'r' || b[j+1] == 'n') && kindOf(p.t.Path) != kindCode && hasDigit(b[i:j]) && p.judge(nil, b[i:j], true) {
		p.found(i, j)
	}
}

// header reads Authorization: Bearer … and Basic …, however the header is set.
func (p *phrase) header() {
	b := p.t.Body
	i, limit := p.end, min(len(b), p.end+48)
	for i < limit && !isLetter(b[i]) && b[i] != '\n' {
		i++
	}
	j := i
	for j < limit && isLetter(b[j]) {
		j++
	}
	if j >= limit || !isBlank(b[j]) && !equalFold(b[i:j], "value") {
		return
	}
	scheme := b[i:j]
	if equalFold(scheme, "value") && j < p.end+24 {
		next := phrase{t: p.t, at: p.at, end: j, emit: p.emit}
		next.header() // {"name": "Authorization", "value": "Bearer …"}
		return
	}
	for j < len(b) && isBlank(b[j]) {
		j++
	}
	k := j
	for k < len(b) && k-j < maxSecret && (isAlnum(b[k]) || bytes.IndexByte([]byte("-._~+/="), b[k]) >= 0) {
		k++
	}
	v := b[j:k]
	switch {
	case len(v) < 8 || checksummed(v):
	case equalFold(scheme, "basic"):
		p.basic(j, k)
	case equalFold(scheme, "bearer") || equalFold(scheme, "token") || equalFold(scheme, "apikey"):
		e := evidence{sense: sense{noun: nounToken, qualified: true}, quoted: true, demo: demonstrates(p.t.Path), kind: kindOf(p.t.Path)}
		if e.judge(v) != refused {
			p.found(j, k)
		}
	}
}

// basic decodes user:password and judges the password.
func (p *phrase) basic(from, to int) {
	var buf [192]byte
	user, pass := decodePair(p.t.Body[from:to], &buf)
	if len(pass) > 0 && p.judge(user, pass, true) {
		p.found(from, to)
	}
}

// decodePair takes the base64 off user:password.
func decodePair(v []byte, buf *[192]byte) (user, pass []byte) {
	v = bytes.TrimRight(v, "=")
	if base64.RawStdEncoding.DecodedLen(len(v)) > len(buf) {
		return nil, nil
	}
	n, err := base64.RawStdEncoding.Decode(buf[:], v)
	colon := bytes.IndexByte(buf[:n], ':')
	if err != nil || colon < 0 {
		return nil, nil
	}
	for _, c := range buf[:n] {
		if c < 0x20 || c > 0x7e {
			return nil, nil
		}
	}
	return buf[:colon], buf[colon+1 : n]
}
