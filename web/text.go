package web

import (
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks one letter keeps; more of them draw over
// the lines around it.
const maxMarks = 3

// visible returns text in which every character can be seen: control characters,
// direction marks, invisible spaces and broken bytes are written as escapes,
// each of which mark wraps.
func visible(text string, mark func(escape string) string, keep func(rune) string) string {
	var b strings.Builder
	marks := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(mark(fmt.Sprintf(`\x%02x`, text[i])))
		case r != utf8.RuneError && marks <= maxMarks && unicode.IsPrint(r):
			b.WriteString(keep(r))
		default:
			b.WriteString(mark(escapeOf(r)))
		}
		i += size
	}
	return b.String()
}

func escapeOf(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case 0x1b:
		return `\e`
	}
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// plain shows text from outside: escaped, isolated from the direction of what
// stands around it, and with what can't be seen made visible. Values may be
// strings or have a String method; text over maxPlain bytes is cut.
func plain(v any) template.HTML { return piecesOf(cut(fmt.Sprint(v), maxPlain)).HTML() }

// plainText is plain for places that take no markup: titles, attributes,
// messages.
func plainText(v any) string {
	return visible(cut(fmt.Sprint(v), maxPlain), func(escape string) string { return escape }, func(r rune) string { return string(r) })
}

// maxPlain is the longest text that a page shows in one place, in bytes.
const maxPlain = 4 << 10

// cut shortens text to at most n bytes and shows that it did.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// clip is plain for a table cell: at most n bytes.
func clip(n int, v any) template.HTML { return plain(cut(fmt.Sprint(v), n)) }
