package sigma

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

type test uint8

const (
	testEqual test = iota
	testPrefix
	testSuffix
	testContains
	testWild
	testRegex
	testCIDR
	testNumber
	testGT
	testGTE
	testLT
	testLTE
	testPresent // a value that is not null
	testRef     // compared with another field
	testTime    // a part of a point in time; ref says how it compares with num
	testExists  // there, and be it null
)

// predicate is one question about one field, or about every value where field
// is "" (keywords).
type predicate struct {
	field string
	test  test
	cased bool
	text  string // literal, folded unless cased; source of a regex or a network
	wild  wild
	re    *regexp.Regexp
	net   netip.Prefix
	num   float64
	other string // testRef: the other field
	ref   test   // testRef, testTime: how they compare
	part  timePart
}

// key is equal for predicates that always answer alike.
func (p *predicate) key() string {
	b := make([]byte, 0, 48+len(p.field)+len(p.text))
	b = append(b, byte('0'+p.test), byte('0'+p.ref), byte('0'+p.part), ' ')
	b = strconv.AppendBool(b, p.cased)
	for _, s := range [...]string{p.field, p.text, p.other} {
		b = appendCounted(b, s)
	}
	if p.num != 0 {
		b = strconv.AppendFloat(b, p.num, 'g', -1, 64)
	}
	if p.test == testWild {
		b = p.wild.appendKey(b)
	}
	return string(b)
}

// appendCounted puts the length before a text, so that no two lists of texts
// come out alike.
func appendCounted(b []byte, s string) []byte {
	b = strconv.AppendInt(append(b, ' '), int64(len(s)), 10)
	return append(append(b, ' '), s...)
}

// textPredicate classifies a pattern: the cheap questions first.
func textPredicate(field string, toks []tok, cased bool) *predicate {
	p := &predicate{field: field, cased: cased}
	if !cased {
		folded := make([]tok, len(toks))
		for i, t := range toks {
			folded[i] = tok{t.kind, lower(t.text)}
		}
		toks = folded
	}
	isAny := func(i int) bool { return toks[i].kind == tokAny }
	isLit := func(i int) bool { return toks[i].kind == tokLit }
	switch n := len(toks); {
	case n == 0:
		p.test = testEqual
	case n == 1 && isLit(0):
		p.test, p.text = testEqual, toks[0].text
	case n == 2 && isLit(0) && isAny(1):
		p.test, p.text = testPrefix, toks[0].text
	case n == 2 && isAny(0) && isLit(1):
		p.test, p.text = testSuffix, toks[1].text
	case n == 3 && isAny(0) && isLit(1) && isAny(2):
		p.test, p.text = testContains, toks[1].text
	default:
		p.test, p.wild = testWild, newWild(toks)
	}
	return p
}

// original reports whether p reads a value as it was sent and not its folding.
func (p *predicate) original() bool {
	switch p.test {
	case testPresent, testExists, testRegex, testCIDR, testNumber, testGT, testGTE, testLT, testLTE, testTime:
		return true
	}
	return p.cased
}

// holds asks about one value: its text where p reads the original, its folding
// where it does not.
func (p *predicate) holds(s []byte) bool {
	switch p.test {
	case testPresent, testExists:
		return true
	case testTime:
		return p.comparesTime(s)
	case testRegex:
		return p.re.Match(s)
	case testCIDR:
		return p.inNetwork(s)
	case testNumber, testGT, testGTE, testLT, testLTE:
		return p.compares(s)
	case testEqual:
		return string(s) == p.text
	case testPrefix:
		return len(s) >= len(p.text) && string(s[:len(p.text)]) == p.text
	case testSuffix:
		return len(s) >= len(p.text) && string(s[len(s)-len(p.text):]) == p.text
	case testContains:
		return containsText(s, p.text)
	case testWild:
		return p.wild.match(s)
	}
	return false
}

// containsText is bytes.Contains without copying the text.
func containsText(s []byte, sub string) bool {
	if sub == "" {
		return true
	}
	for {
		i := bytes.IndexByte(s, sub[0])
		if i < 0 || len(s)-i < len(sub) {
			return false
		}
		if string(s[i:i+len(sub)]) == sub {
			return true
		}
		s = s[i+1:]
	}
}

func (p *predicate) inNetwork(s []byte) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	addr, err := netip.ParseAddr(strings.Trim(string(s), "[]"))
	return err == nil && p.net.Contains(addr.Unmap().WithZone(""))
}

func (p *predicate) compares(s []byte) bool {
	if p.test == testNumber && string(s) == p.text {
		return true
	}
	f, ok := decimal(s)
	if !ok {
		return false
	}
	return compare(p.test, f, p.num)
}

// refers compares a value with another field's value, both in the form that
// holds would read.
func (p *predicate) refers(x, y []byte) bool {
	switch p.ref {
	case testPrefix:
		return bytes.HasPrefix(x, y)
	case testSuffix:
		return bytes.HasSuffix(x, y)
	case testContains:
		return bytes.Contains(x, y)
	}
	return bytes.Equal(x, y)
}
