package advisory

import (
	"cmp"
	"strings"
)

// quick is a semantic version in the form that nearly all have. It orders them
// as the library does, without its big numbers; whatever has another form is
// left to the library. A test holds the two against each other.
type quick struct {
	number [3]uint64
	pre    string
}

// parseQuick reads up to three numbers, a pre-release and build metadata.
func parseQuick(s string) (q quick, ok bool) {
	s = strings.TrimPrefix(s, "v")
	for part := 0; ; part++ {
		n, digits := uint64(0), 0
		for digits < len(s) && digitByte(s[digits]) {
			n = n*10 + uint64(s[digits]-'0')
			digits++
		}
		if digits == 0 || digits > 18 || part > 2 {
			return q, false
		}
		q.number[part] = n
		if s = s[digits:]; s == "" {
			return q, true
		}
		if s[0] != '.' {
			break
		}
		s = s[1:]
	}
	if s[0] == '+' {
		return q, true
	}
	if s[0] != '-' {
		return q, false
	}
	q.pre, _, _ = strings.Cut(s[1:], "+")
	// The library reads -5 as a number below zero.
	return q, !strings.HasPrefix(q.pre, "-") && !strings.Contains(q.pre, ".-")
}

func (q *quick) compare(w *quick) int {
	for i := range q.number {
		if n := cmp.Compare(q.number[i], w.number[i]); n != 0 {
			return n
		}
	}
	switch {
	case q.pre == w.pre:
		return 0
	case q.pre == "":
		return 1
	case w.pre == "":
		return -1
	}
	return comparePre(q.pre, w.pre)
}

// comparePre is section 11.4 of SemVer 2.0: numbers by value and below words,
// words by their bytes, and more parts above fewer.
func comparePre(a, b string) int {
	for {
		x, restA, moreA := strings.Cut(a, ".")
		y, restB, moreB := strings.Cut(b, ".")
		if n := compareIdentifiers(x, y); n != 0 {
			return n
		}
		if !moreA || !moreB {
			return cmp.Compare(btoi(moreA), btoi(moreB))
		}
		a, b = restA, restB
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareIdentifiers(a, b string) int {
	numA, numB := number(a), number(b)
	switch {
	case numA && numB:
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case numA != numB:
		return btoi(numB) - btoi(numA)
	}
	return strings.Compare(a, b)
}

func number(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
