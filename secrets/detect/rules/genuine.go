package rules

import (
	"bytes"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/internal/look"
)

// genuine refuses what has the format of a token but was written to show it:
// documented examples, filler, sequences.
func genuine(secret []byte) detect.Verdict {
	if look.Example(secret) || look.Filler(secret) {
		return detect.Invalid
	}
	return detect.Unknown
}

// mixed asks of a bare value what random base64 has nearly always: capitals,
// small letters and digits. A git SHA or a path has not.
func mixed(secret []byte) detect.Verdict {
	var upper, lower, digit int
	for _, c := range secret {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= '0' && c <= '9':
			digit++
		}
	}
	if upper < 3 || lower < 3 || digit < 1 || bytes.Count(secret, []byte("/")) > 4 {
		return detect.Invalid
	}
	return genuine(secret)
}

// scrambled asks of a value of letters and digits that it isn't a word: both
// kinds stand in it.
func scrambled(secret []byte) detect.Verdict {
	var letter, digit int
	for _, c := range secret {
		switch {
		case c >= '0' && c <= '9':
			digit++
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			letter++
		}
	}
	if letter < 3 || digit < 2 {
		return detect.Invalid
	}
	return genuine(secret)
}
