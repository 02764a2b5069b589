package detect

import "math"

// Entropy is the Shannon entropy of b in bits a character. Characters are
// counted as runes and weighed against the length in bytes, as the rules of the
// field were tuned.
func Entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var ascii [128]int
	var wide map[rune]int
	for _, r := range string(b) {
		if r < 128 {
			ascii[r]++
			continue
		}
		if wide == nil {
			wide = map[rune]int{}
		}
		wide[r]++
	}
	bits, share := 0.0, 1/float64(len(b))
	for _, n := range ascii {
		bits += surprise(n, share)
	}
	for _, n := range wide {
		bits += surprise(n, share)
	}
	return bits
}

func surprise(n int, share float64) float64 {
	if n == 0 {
		return 0
	}
	p := float64(n) * share
	return -p * math.Log2(p)
}
