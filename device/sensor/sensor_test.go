package sensor_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/interlock-security/interlock/device/sensor"
)

func TestTextFromHardwareIsMadeHarmless(t *testing.T) {
	rows := []struct{ name, in, want string }{
		{"plain", "Logitech G29", "Logitech G29"},
		{"umlaut stays", "Gerät 7", "Gerät 7"},
		{"newline", "a\nb", "a\ufffdb"},
		{"terminal escape", "\x1b[2Jx", "\ufffd[2Jx"},
		{"c1 control", "a\u0085b", "a\ufffdb"},
		{"right-to-left override", "abc\u202egpj.exe", "abc\ufffdgpj.exe"},
		{"Arabic letter mark", "abc\u061cdef", "abc\ufffddef"},
		{"broken UTF-8", "a\xff\xfeb", "a\ufffd\ufffdb"},
		{"nul", "a\x00b", "a\ufffdb"},
	}
	for _, r := range rows {
		if got := sensor.Text(r.in); got != r.want {
			t.Errorf("%s: Text(%q) = %q, want %q", r.name, r.in, got, r.want)
		}
	}
	for _, in := range []string{strings.Repeat("x", 5000), strings.Repeat("\xff", 5000), strings.Repeat("é", 200)} {
		got := sensor.Text(in)
		if len(got) > sensor.MaxText || !utf8.ValidString(got) {
			t.Errorf("Text of %d bytes gives %d bytes, valid %v", len(in), len(got), utf8.ValidString(got))
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\x00\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := sensor.Text(s)
		if len(got) > sensor.MaxText || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x00\x1b") {
			t.Errorf("Text(%q) = %q", s, got)
		}
	})
}

func TestFieldsAreAlwaysAnObject(t *testing.T) {
	for _, v := range []any{map[string]int{"a": 1}, struct{}{}, 7, "x", nil, func() {}, []int{1}} {
		var m map[string]any
		if err := json.Unmarshal(sensor.Fields(v), &m); err != nil {
			t.Errorf("Fields(%T): %v", v, err)
		}
	}
}
