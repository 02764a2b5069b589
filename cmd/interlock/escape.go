package main

import (
	"bytes"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// harmless writes documents for machines so that a terminal that shows them does
// nothing but show them: names from outside can hold characters that move the
// cursor or turn the direction of writing, which encoders leave as they are.
type harmless struct {
	w io.Writer
	// escape is how the document's format writes such a character.
	escape func(r rune) string
}

// harmlessJSON is for encoders of JSON, which write whole values.
func harmlessJSON(w io.Writer) io.Writer { return harmless{w, jsonEscape} }

// harmlessXML is for encoders of XML.
func harmlessXML(w io.Writer) io.Writer {
	return harmless{w, func(r rune) string { return fmt.Sprintf("&#x%X;", r) }}
}

func jsonEscape(r rune) string {
	if r <= 0xFFFF {
		return fmt.Sprintf(`\u%04x`, r)
	}
	high, low := utf16.EncodeRune(r)
	return fmt.Sprintf(`\u%04x\u%04x`, high, low)
}

// Write implements [io.Writer] of whole characters.
func (h harmless) Write(p []byte) (int, error) {
	clean := bytes.IndexFunc(p, acts) < 0
	if clean {
		return h.w.Write(p)
	}
	var b bytes.Buffer
	for rest := p; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if acts(r) {
			b.WriteString(h.escape(r))
		} else {
			b.Write(rest[:n])
		}
		rest = rest[n:]
	}
	if _, err := h.w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// acts reports whether a terminal does something at a character instead of
// showing it. What an encoder left below U+0020 are its own line ends.
func acts(r rune) bool {
	return r >= 0x7F && r != utf8.RuneError && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}
