package grammar

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
)

const (
	maxChildren      = 32
	maxChildrenBytes = 2048
)

// children reads the values of a map or a list whose name says, in the plural, what
// each of them is: api_keys = { orders = "…" }. Their own names say nothing, so that
// only what nobody types is believed.
// It reports whether the value is one.
func (s *sighting) children(t detect.Text, e evidence, emit func(detect.Hit)) bool {
	b := t.Body
	if s.op != opAssign || e.sense.vague > 0 || lower(b[s.to-1]) != 's' || e.sense.noun != nounKey && e.sense.noun != nounToken && e.sense.noun != nounSecret {
		return false
	}
	i := blanks(b, s.next)
	if i >= len(b) || b[i] != '{' && b[i] != '[' {
		return false
	}
	e.kind, e.demo, e.quoted = kindOf(t.Path), demonstrates(t.Path), true
	limit, depth, n := min(len(b), i+maxChildrenBytes), 0, 0
	list := b[i] == '['
	for ; i < limit && n < maxChildren; i++ {
		switch c := b[i]; {
		case c == '{' || c == '[':
			if depth++; depth > 1 {
				return true // of maps
			}
		case c == '}' || c == ']':
			return true
		case isQuote(c):
			j := bytes.IndexByte(b[i+1:limit], c)
			if j < 0 {
				return true
			}
			n++
			s.child(b[i+1:i+1+j], i+1, list || behindName(b, i), &e, emit)
			i += j + 1
		}
	}
	return true
}

// behindName reports whether the literal at i stands behind a name and an operator,
// and the name says of nothing else what it is.
func behindName(b []byte, i int) bool {
	for i > 0 && isBlank(b[i-1]) {
		i--
	}
	if i == 0 || b[i-1] != ':' && b[i-1] != '=' && b[i-1] != '>' {
		return false
	}
	to := i - 1
	for to > 0 && !isNameByte(b[to-1]) && b[to-1] != '\n' {
		to--
	}
	from := to
	for from > 0 && to-from < maxName && isNameByte(b[from-1]) {
		from--
	}
	var w name
	return w.split(b[from:to]) && w.n > 0 && !deniedBefore[string(w.word(w.n-1))]
}

func (s *sighting) child(v []byte, at int, value bool, e *evidence, emit func(detect.Hit)) {
	if m := measure(v); value && len(v) >= 20 && m.random(20) && !isUUID(v) && e.judge(v) == strong {
		emit(detect.Hit{Rule: ruleOf(e.sense.noun, strong), Start: at, End: at + len(v), MatchStart: s.from, MatchEnd: at + len(v)})
	}
}
