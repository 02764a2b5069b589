package sigma

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma/internal/scan"
)

// appendFolded appends text in the one case that patterns and values are compared
// in. It passes quickly over what is ASCII; a byte that is no UTF-8 stays.
func appendFolded(dst, text []byte) []byte {
	for len(text) > 0 {
		n := plainRun(text)
		dst = scan.AppendSmall(dst, text[:n])
		text = text[n:]
		if len(text) == 0 {
			break
		}
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, text[0])
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		text = text[size:]
	}
	return dst
}

// plainRun is how many bytes of ASCII s begins with.
func plainRun(s []byte) int {
	const highs = 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if high := binary.LittleEndian.Uint64(s[i:]) & highs; high != 0 {
			return i + bits.TrailingZeros64(high)/8
		}
	}
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// foldRune is what folding makes of a rune. Letters that a regular expression
// without case takes for one another (s and ſ, σ and ς) become one, so that what
// such an expression needs can be looked for in folded text.
func foldRune(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

// becomesASCII reports whether text has a rune outside of ASCII that [foldRune]
// makes one of ASCII: İ, ı, ſ and the sign of Kelvin.
func becomesASCII(text []byte) bool {
	return bytes.IndexByte(text, 0xc4) >= 0 || bytes.IndexByte(text, 0xc5) >= 0 || bytes.Contains(text, kelvin)
}

var kelvin = []byte("\u212a")
