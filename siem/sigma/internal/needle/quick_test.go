package needle

import (
	"math/rand/v2"
	"testing"
)

// TestScanAgreesWithGo: the processor's way and the plain one find the same
// place, from wherever they begin.
func TestScanAgreesWithGo(t *testing.T) {
	if !canScan {
		t.Log("this processor has only the plain way")
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var ts tables
		for column := range columns {
			ts.enter(Window([]byte{letter(r), letter(r), letter(r), letter(r)}), column)
		}
		value := make([]byte, r.IntN(150))
		for i := range value {
			value[i] = letter(r)
		}
		for from := range value {
			want := scanGo(value, from, &ts)
			if want+MinLen > len(value) {
				want = -1
			}
			if got := ts.next(value, from); got != want {
				t.Fatalf("%q from %d: %d, want %d", value, from, got, want)
			}
		}
	}
}

func letter(r *rand.Rand) byte { return "abcdefghijklmnop-/\\.0123\x00\xc3"[r.IntN(26)] }
