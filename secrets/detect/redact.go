package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const hidden = "…"

// Redact shows enough of a secret to recognise it and never more than a third:
// the first and last four bytes of one that is long enough, a letter of a short
// one, nothing of a very short one. How long it is can't be seen.
func Redact(secret []byte) string {
	head, tail := 0, 0
	switch n := len(secret); {
	case n >= 24:
		head, tail = 4, 4
	case n >= 16:
		head, tail = 2, 2
	case n >= 8:
		head = 1
	}
	return shown(secret[:head]) + hidden + shown(secret[len(secret)-tail:])
}

// shown keeps a fragment harmless for a terminal; bytes that were cut out of a
// character are dots.
func shown(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '.'
		}
		out.WriteRune(r)
	}
	return out.String()
}
