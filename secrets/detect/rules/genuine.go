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

// tail makes a check of what stands at the end, for formats whose fixed part has
// the words that filler has.
func tail(n int) func([]byte) detect.Verdict {
	return func(secret []byte) detect.Verdict { return genuine(secret[max(0, len(secret)-n):]) }
}

// cased reports capitals amid small letters, more than a name has.
func cased(b []byte) bool {
	changes := 0
	for i := 1; i < len(b); i++ {
		if b[i]&0x20 != b[i-1]&0x20 {
			changes++
		}
	}
	return changes >= 4
}

// scrambled asks of a value of letters and digits that it isn't a word: both
// kinds stand in it, or capitals and small letters in disorder.
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
	if letter < 3 || digit < 1 && (len(secret) > 24 || !cased(secret)) {
		return detect.Invalid
	}
	return genuine(secret)
}

// disorderly asks of letters and digits that capitals and small letters are
// mixed as chance would.
func disorderly(secret []byte) detect.Verdict {
	if !cased(secret) {
		return detect.Invalid
	}
	return genuine(secret)
}
