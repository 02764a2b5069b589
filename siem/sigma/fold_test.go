package sigma

import (
	"testing"
	"unicode"
)

// TestFoldingMeetsEveryCase holds for every letter there is that its other cases
// fold to the same text, so that no rule can be evaded by an unusual one.
func TestFoldingMeetsEveryCase(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xD800 <= r && r < 0xE000 {
			continue
		}
		want := lower(string(r))
		for _, other := range []rune{unicode.SimpleFold(r), unicode.ToUpper(r), unicode.ToLower(r), unicode.ToTitle(r)} {
			if got := lower(string(other)); got != want {
				t.Errorf("%U folds to %q, %U to %q", r, want, other, got)
			}
		}
	}
}

// TestWhatBecomesASCIIIsKnown: a value that is looked through as it stands has
// no letter but in its bytes.
func TestWhatBecomesASCIIIsKnown(t *testing.T) {
	for r := rune(unicode.MaxASCII + 1); r <= unicode.MaxRune; r++ {
		if foldRune(r) <= unicode.MaxASCII && !becomesASCII([]byte("x"+string(r))) {
			t.Errorf("%U folds to %U unseen", r, foldRune(r))
		}
	}
}
