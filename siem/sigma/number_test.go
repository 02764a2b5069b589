package sigma

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestDecimal(t *testing.T) {
	for _, row := range []struct {
		text string
		want float64
	}{
		{"0", 0},
		{"-0", 0},
		{"22", 22},
		{"+22", 22},
		{"022", 22},
		{"22.", 22},
		{".5", .5},
		{"-1.25", -1.25},
		{"1e3", 1000},
		{"1E+3", 1000},
		{"2.2e1", 22},
		{"999999999999999", 999999999999999},
		{"9007199254740993", 9007199254740992},
		{"0.1", 0.1},
		{"123456.789", 123456.789},
		{"1e400", math.Inf(1)},
		{"-1e400", math.Inf(-1)},
		{"1e-400", 0},
		{strings.Repeat("0", 500) + "7", 7},
		{"7." + strings.Repeat("0", 500), 7},
	} {
		if got, ok := decimal([]byte(row.text)); !ok || got != row.want {
			t.Errorf("%s: %v %t", row.text, got, ok)
		}
	}
	for _, text := range []string{"", "+", ".", "-.", "e5", "1e", "1e+", "1 ", " 1", "0x16", "0x1p4", "inf", "NaN", "1_000", "1,5", "1.2.3", "--1", "1e5.", "١"} {
		if got, ok := decimal([]byte(text)); ok {
			t.Errorf("%q reads as %v", text, got)
		}
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"1", "-1.5e3", "00000000000000001.10", "0x1", "inf", "9.999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := decimal([]byte(s))
		if want, err := strconv.ParseFloat(s, 64); ok && err == nil && got != want {
			t.Errorf("%q is %v, not %v", s, want, got)
		}
	})
}
