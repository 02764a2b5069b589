package sigma

import (
	"unicode"
	"unicode/utf8"
)

// appendBroad folds what is folded already further: of the letters that a
// regular expression without case takes for one another (s and ſ, σ and ς), one
// stands for all. The witnesses of rules are looked for in this form, so that
// none of them is missed; a rule's own questions never see it.
func appendBroad(dst, folded []byte) []byte {
	for len(folded) > 0 {
		r, size := utf8.DecodeRune(folded)
		if r < utf8.RuneSelf || r == utf8.RuneError && size == 1 {
			dst = append(dst, folded[0])
		} else {
			dst = utf8.AppendRune(dst, broadRune(r))
		}
		folded = folded[size:]
	}
	return dst
}

// broadRune is the small form of the first letter in r's circle of case.
func broadRune(r rune) rune {
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return unicode.ToLower(first)
}

// broad is a text as witnesses are compared.
func broad(s string) string {
	return string(appendBroad(nil, []byte(lower(s))))
}
