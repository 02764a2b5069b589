package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// fixed reads the turns that are fixed to their last word, and reports whether it was
// one of these.
func (p *phrase) fixed() bool {
	b := p.t.Body
	turn := b[p.at:p.end]
	switch {
	case equalFold(turn, "with password "):
		if kindOf(p.t.Path) != kindCode || commented(b, p.at) {
			p.said(p.end)
		}
	case equalFold(turn, "--passwd-on-stdin"):
		p.pipedPlain()
	case equalFold(turn, "encrypt_string "):
		p.inQuotes()
	case equalFold(turn, "snmp-community-string"):
		p.communityElement()
	case equalFold(turn, "register =>"):
		p.registered()
	case equalFold(turn, "radius auth add "), equalFold(turn, "radius acct add "):
		p.behindWord("ascii")
	case equalFold(turn, "mgmtuser add "), equalFold(turn, "users password "):
		p.second()
	case equalFold(turn, "sendln '"):
		p.typedIn()
	case equalFold(turn, "connect "):
		if k := kindOf(p.t.Path); k != kindCode && k != kindDoc {
			oracle(p.t, p.end, func(h detect.Hit) {
				h.Rule = ruleStatement
				p.emit(h)
			})
		}
	default:
		return false
	}
	return true
}

// communityElement reads <snmp-community-string>…</, as firewalls export it.
func (p *phrase) communityElement() {
	b := p.t.Body
	if p.end >= len(b) || b[p.end] != '>' || p.at == 0 || b[p.at-1] != '<' {
		return
	}
	i := bytes.IndexByte(b[p.end:min(len(b), p.end+80)], '<')
	if i > 1 && judgeCommunity(b[p.end+1:p.end+i]) {
		p.found(p.end+1, p.end+i)
	}
}

// registered reads register => user:password@host, as Asterisk logs in elsewhere.
func (p *phrase) registered() {
	b := p.t.Body
	w := commandWords(b, p.at, p.end)
	if !w.next() {
		return
	}
	sign := bytes.LastIndexByte(b[w.from:w.to], '@')
	if sign < 0 {
		return
	}
	colon := bytes.IndexByte(b[w.from:w.from+sign], ':')
	if colon < 1 {
		return
	}
	if from, to := w.from+colon+1, w.from+sign; from < to && p.judge(b[w.from:w.from+colon], b[from:to], true) {
		p.found(from, to)
	}
}

// inQuotes reads the first word in quotes that belongs to no flag.
func (p *phrase) inQuotes() {
	b := p.t.Body
	w := commandWords(b, p.at, p.end)
	flagged := false
	for n := 0; n < 6 && !w.listed && w.next(); n++ {
		switch {
		case w.from < w.to && b[w.from] == '-':
			flagged = true
			continue
		case w.quoted && !flagged && p.judge(nil, b[w.from:w.to], true):
			p.found(w.from, w.to)
			return
		}
		flagged = false
	}
}

// behindWord reads the word behind one that says how it is written.
func (p *phrase) behindWord(how string) {
	b := p.t.Body
	w := commandWords(b, p.at, p.end)
	for n := 0; n < 6 && w.next(); n++ {
		if string(b[w.from:w.to]) == how && w.next() && p.judge(nil, b[w.from:w.to], true) {
			p.found(w.from, w.to)
			return
		}
	}
}

// second reads a user and a password of a device's command.
func (p *phrase) second() {
	b := p.t.Body
	if k := kindOf(p.t.Path); k == kindCode || k == kindJSON || k == kindXML {
		return
	}
	w := commandWords(b, p.at, p.end)
	if !w.next() {
		return
	}
	user := b[w.from:w.to]
	if looksLikeUser(user) && w.next() && (hasDigit(b[w.from:w.to]) || w.quoted) && p.judge(user, b[w.from:w.to], true) {
		p.found(w.from, w.to)
	}
}

// typedIn reads sendln '…' of a terminal's macro, behind the question for a password.
func (p *phrase) typedIn() {
	b := p.t.Body
	i := bytes.IndexByte(b[p.end:min(len(b), p.end+maxPassword)], '\'')
	if i < 4 || indexFold(b[max(0, p.at-160):p.at], "assword") < 0 {
		return
	}
	if v := b[p.end : p.end+i]; bytes.IndexByte(v, '\n') < 0 && p.judge(nil, v, true) {
		p.found(p.end, p.end+i)
	}
}
