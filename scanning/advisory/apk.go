package advisory

import (
	"cmp"
	"slices"
	"strings"
)

// apkKind is the kind of a part of an apk version. Their order is apk's: where
// two versions are equal up to parts of different kinds, the later kind is less.
type apkKind uint8

const (
	apkComponent apkKind = iota // a number behind a dot
	apkNumber
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkRevision
	apkEnd
)

// apkPart is a part with its value: a number too long for a machine keeps its
// digits.
type apkPart struct {
	kind   apkKind
	rank   int    // letters, suffixes, and leading zeros (less than none)
	digits string // without leading zeros
}

func (p apkPart) compare(q apkPart) int {
	return cmp.Or(cmp.Compare(p.rank, q.rank), cmp.Compare(len(p.digits), len(q.digits)), strings.Compare(p.digits, q.digits))
}

// apkSuffixes stand in apk's order; those before "" are less than no suffix.
var apkSuffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

const apkNoSuffix = 4

// parseAPK reads a version by apk's grammar: numbers, a letter, suffixes, a hash
// that orders nothing, a revision. A number behind the letter is of versions
// before apk 3, 1.8.31p1, which advisories still name.
func parseAPK(s string) ([]apkPart, bool) {
	var parts []apkPart
	rest, ok := apkDigits(&parts, apkNumber, s)
	for ok && strings.HasPrefix(rest, ".") {
		rest, ok = apkDigits(&parts, apkComponent, rest[1:])
	}
	if !ok {
		return nil, false
	}
	if rest != "" && 'a' <= rest[0] && rest[0] <= 'z' {
		parts = append(parts, apkPart{kind: apkLetter, rank: int(rest[0])})
		if rest = rest[1:]; rest != "" && digitByte(rest[0]) {
			rest, _ = apkDigits(&parts, apkNumber, rest)
		}
	}
	for strings.HasPrefix(rest, "_") {
		word := strings.TrimLeft(rest[1:], "abcdefghijklmnopqrstuvwxyz")
		rank := slices.Index(apkSuffixes, rest[1:len(rest)-len(word)])
		if rank < 0 || rank == apkNoSuffix {
			return nil, false
		}
		parts = append(parts, apkPart{kind: apkSuffix, rank: rank - apkNoSuffix})
		if rest = word; rest != "" && digitByte(rest[0]) {
			rest, _ = apkDigits(&parts, apkSuffixNumber, rest)
		}
	}
	if hash, found := strings.CutPrefix(rest, "~"); found {
		rest = strings.TrimLeft(hash, "0123456789abcdef")
	}
	if revision, found := strings.CutPrefix(rest, "-r"); found {
		rest, ok = apkDigits(&parts, apkRevision, revision)
	}
	return parts, ok && rest == ""
}

// apkDigits reads a number. Behind a dot leading zeros count first: 1.01 is less
// than 1.1 and more than 1.001.
func apkDigits(parts *[]apkPart, kind apkKind, s string) (rest string, ok bool) {
	rest = strings.TrimLeft(s, "0123456789")
	digits := s[:len(s)-len(rest)]
	short := strings.TrimLeft(digits, "0")
	if kind == apkComponent && len(short) < len(digits) {
		zeros := len(digits) - len(short)
		*parts = append(*parts, apkPart{kind: kind, rank: 1 - zeros})
		kind = apkNumber
	}
	*parts = append(*parts, apkPart{kind: kind, digits: short})
	return rest, digits != ""
}

// compareAPK is apk's own order.
func compareAPK(a, b []apkPart) int {
	for i := range max(len(a), len(b)) {
		p, q := apkAt(a, i), apkAt(b, i)
		if p.kind == q.kind {
			if n := p.compare(q); n != 0 {
				return n
			}
			continue
		}
		switch {
		case p.kind == apkSuffix && p.rank < 0:
			return -1
		case q.kind == apkSuffix && q.rank < 0:
			return 1
		}
		return cmp.Compare(q.kind, p.kind)
	}
	return 0
}

func apkAt(parts []apkPart, i int) apkPart {
	if i < len(parts) {
		return parts[i]
	}
	return apkPart{kind: apkEnd}
}
