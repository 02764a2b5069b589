package scan

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndexAgreesWithBytes: both ways to classify say what looking at each byte
// says, for rows of backslashes of every length at every place.
func TestIndexAgreesWithBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, width*(1+r.IntN(4)))
		for i := range b {
			b[i] = "\"\\\\\\nu\x80a#]"[r.IntN(9)]
		}
		quick, plain, want := make([]mask, len(b)/width), make([]mask, len(b)/width), slow(b)
		index(b, quick)
		indexGo(b, plain)
		settle(quick)
		settle(plain)
		if !slices.Equal(quick, want) || !slices.Equal(plain, want) {
			t.Fatalf("%q:\n%x\n%x, want\n%x", b, quick, plain, want)
		}
	}
}

// slow goes byte by byte.
func slow(b []byte) []mask {
	out, taken := make([]mask, len(b)/width), false
	for i, c := range b {
		m, bit := &out[i/width], uint64(1)<<(i%width)
		if c >= 0x80 {
			m.high |= bit
		}
		if c == '\\' {
			m.slash |= bit
		}
		switch {
		case taken && c != '\\' && c != '"':
			m.odd |= bit
		case !taken && c == '"':
			m.quote |= bit
		}
		taken = !taken && c == '\\'
	}
	return out
}

func BenchmarkIndex(b *testing.B) {
	text := make([]byte, 2368)
	masks := make([]mask, len(text)/width)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		index(text, masks)
		settle(masks)
	}
}
