package scan

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndexAgreesWithBytes: all ways to classify say what looking at each byte
// says, for rows of backslashes of every length at every place.
func TestIndexAgreesWithBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, width*(1+r.IntN(4)))
		for i := range b {
			b[i] = "\"\\\\\\nu\x80a#]"[r.IntN(9)]
		}
		got, want := make([]mask, len(b)/width), slow(b)
		for i, way := range ways() {
			way(b, got)
			settle(got)
			if !slices.Equal(got, want) {
				t.Fatalf("way %d: %q:\n%x, want\n%x", i, b, got, want)
			}
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
