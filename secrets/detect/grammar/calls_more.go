package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

// constructor is the type whose new() is called: Credentials::new(.
func constructor(b []byte, at int, buf *[40]byte) (callee []byte, start int) {
	end := at
	for end > 0 && b[end-1] == ':' {
		end--
	}
	start = end
	for start > 0 && end-start < len(buf) && (isAlnum(b[start-1]) || b[start-1] == '_') {
		start--
	}
	return fold(b[start:end], buf[:]), start
}

// arrayOf reads "…".toCharArray(), which Java asks of passwords so that they can be
// wiped. at is where the method's name begins.
func arrayOf(r *reader, t detect.Text, at int, emit func(detect.Hit)) {
	b := r.b
	if at < 3 || b[at-1] != '.' || b[at-2] != '"' {
		return
	}
	from := bytes.LastIndexByte(b[max(0, at-maxPassword):at-2], '"')
	if from < 0 {
		return
	}
	from += max(0, at-maxPassword)
	s := measure(b[from+1 : at-2])
	if s.digit == 0 && s.wordlike() || s.space > 0 || s.n < 6 || isRun(b[from+1:at-2]) {
		return // text that a program takes apart
	}
	argument(t, at, from+1, at-2, emit)
}

// argument judges a value whose place says what it is, and its look besides.
func argument(t detect.Text, match, from, to int, emit func(detect.Hit)) {
	v := t.Body[from:to]
	e := evidence{sense: sense{noun: nounPassword, qualified: true}, quoted: true, neighbour: true, demo: demonstrates(t.Path)}
	if !checksummed(v) && e.judge(v) != refused {
		emit(detect.Hit{Rule: ruleArgument, Start: from, End: to, MatchStart: min(match, from), MatchEnd: to})
	}
}

// copied reads strcpy(config.password, "…").
func copied(r *reader, t detect.Text, start, i int, emit func(detect.Hit)) {
	next := comma(r.b, i)
	if next < 0 {
		return
	}
	to := next - 1
	for to > i && !isNameByte(r.b[to-1]) {
		to--
	}
	from := to
	for from > i && (isAlnum(r.b[from-1]) || r.b[from-1] == '_') {
		from--
	}
	var w name
	if !w.split(r.b[from:to]) {
		return
	}
	if s := w.classify(); s.noun.password() && s.vague == 0 && r.literal(next) && r.parts == 1 {
		argument(t, start, r.from, r.to, emit)
	}
}

// encodedPair reads the user and the password that a program encodes for a header:
// btoa("user:…").
func encodedPair(r *reader, t detect.Text, start, i int, emit func(detect.Hit)) {
	if !r.literal(i) || r.parts != 1 {
		return
	}
	colon := bytes.IndexByte(r.b[r.from:r.to], ':')
	if colon < 1 || !looksLikeUser(r.b[r.from:r.from+colon]) || samePassword(r.b[r.from:r.from+colon], r.b[r.from+colon+1:r.to]) {
		return
	}
	argument(t, start, r.from+colon+1, r.to, emit)
}
