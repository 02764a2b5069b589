package agent

import (
	"strings"
	"testing"
)

func TestSerialOfADeviceTree(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"100000008d3f1c2a\x00":   "100000008d3f1c2a",
		" PF3X\x01Z9\n":          "PF3XZ9",
		"\x00\x00":               "",
		strings.Repeat("é1", 90): strings.Repeat("1", 90),
		strings.Repeat("a", 200): strings.Repeat("a", 128),
	} {
		if got := cleanSerial(text); got != want {
			t.Errorf("%q reads as %q, want %q", text, got, want)
		}
	}
}
