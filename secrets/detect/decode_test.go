package detect_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/interlock-security/interlock/secrets/detect"
)

const plainToken = "tok_0123456789abcdef"

func escaped(format, s string) string {
	var out strings.Builder
	for _, r := range s {
		fmt.Fprintf(&out, format, r)
	}
	return out.String()
}

func std(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func wrap(s string, n int) string {
	var out []string
	for len(s) > n {
		out, s = append(out, s[:n]), s[n:]
	}
	return strings.Join(append(out, s), "\n  ")
}

func wide(s string, big, mark bool) string {
	units := utf16.Encode([]rune(s))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	var out []byte
	for _, u := range units {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

func TestWhatIsEncodedIsRead(t *testing.T) {
	long := strings.Repeat("some text before it, ", 6) + plainToken + strings.Repeat(" and after it", 6)
	for name, c := range map[string]struct {
		body    string
		decoded []string
	}{
		"base64":              {"x: " + std(plainToken), []string{"base64"}},
		"base64, unpadded":    {"x: " + base64.RawStdEncoding.EncodeToString([]byte(" "+plainToken)), []string{"base64"}},
		"base64 for URLs":     {"x: " + base64.RawURLEncoding.EncodeToString([]byte("???>>> "+plainToken)), []string{"base64"}},
		"base64, twice":       {"x: " + std(std(plainToken)), []string{"base64"}},
		"base64 over lines":   {"x: \n  " + wrap(std(long), 64) + "\nend", []string{"base64"}},
		"base64 of UTF-16":    {"powershell -enc " + std(wide(plainToken, false, false)), []string{"base64"}},
		"hex":                 {"x: " + hex.EncodeToString([]byte(plainToken)), []string{"hex"}},
		"hex with prefix":     {"x: 0x" + strings.ToUpper(hex.EncodeToString([]byte(plainToken))), []string{"hex"}},
		"hex of base64":       {"x: " + hex.EncodeToString([]byte(std(plainToken))), []string{"hex", "base64"}},
		"percent":             {"x=" + escaped("%%%02X", plainToken), []string{"percent"}},
		"percent, in part":    {"x=" + strings.Replace(plainToken, "_", "%5f", 1), []string{"percent"}},
		"percent on padding":  {"x=" + url.QueryEscape(std(plainToken)), []string{"percent", "base64"}},
		"percent in base64":   {"x: " + std(escaped("%%%02X", plainToken)), []string{"base64", "percent"}},
		"\\u":                 {"x: " + escaped(`\u%04x`, plainToken), []string{"unicode"}},
		"\\\\u":               {"x: " + escaped(`\\u%04x`, plainToken), []string{"unicode"}},
		"\\U":                 {"x: " + escaped(`\U%08x`, plainToken), []string{"unicode"}},
		"\\u{}":               {"x: " + escaped(`\u{%x}`, plainToken), []string{"unicode"}},
		"\\x":                 {"x: " + escaped(`\x%02x`, plainToken), []string{"unicode"}},
		"U+":                  {"x: " + escaped("U+%04X ", plainToken), []string{"unicode"}},
		"entities":            {"x: " + escaped("&#%d;", plainToken), []string{"entity"}},
		"entities, in hex":    {"x: " + escaped("&#x%x;", plainToken), []string{"entity"}},
		"line goes on":        {"x: tok_01234567\\\n89abcdef", []string{"continuation"}},
		"line goes on, CR":    {"x: tok_01234567\\\r\n89abcdef", []string{"continuation"}},
		"UTF-16LE":            {wide("x: "+plainToken+"\n", false, false), []string{"utf-16le"}},
		"UTF-16LE, BOM":       {wide("x: "+plainToken+"\n", false, true), []string{"utf-16le"}},
		"UTF-16BE":            {wide("x: "+plainToken+"\n", true, false), []string{"utf-16be"}},
		"UTF-16BE, BOM":       {wide("x: "+plainToken+"\n", true, true), []string{"utf-16be"}},
		"UTF-16LE of base64":  {wide("x: "+std(plainToken)+"\n", false, true), []string{"utf-16le", "base64"}},
		"deep inside of text": {strings.Repeat("line\n", 300) + "x: " + std(plainToken) + strings.Repeat("\nline", 300), []string{"base64"}},
	} {
		leaks := scanAll(t, detect.Config{Rules: []detect.Rule{token}, Decode: detect.DefaultDecode}, "f", c.body)
		if len(leaks) != 1 {
			t.Errorf("%s: %d leaks, want 1, in %q", name, len(leaks), c.body)
			continue
		}
		l := leaks[0]
		if got := string(l.Secret.Reveal()); got != plainToken[4:] {
			t.Errorf("%s: secret is %q", name, got)
		}
		if !slices.Equal(l.Decoded, c.decoded) {
			t.Errorf("%s: decoded %q, want %q", name, l.Decoded, c.decoded)
		}
		if strings.Contains(l.Excerpt, plainToken[4:]) || strings.Contains(l.Excerpt, std(plainToken)) {
			t.Errorf("%s: excerpt %q shows the secret", name, l.Excerpt)
		}
		if strings.HasPrefix(name, "deep") && (l.Line != 301 || l.Column != 4 || l.EndColumn != 4+len(std(plainToken))) {
			t.Errorf("%s: place is %+v", name, l.Place)
		}
	}
}

func TestDecodingGoesAsDeepAsItIsTold(t *testing.T) {
	body := std(std(std(plainToken)))
	for depth, want := range []int{0, 0, 0, 1, 1} {
		if got := scanAll(t, detect.Config{Rules: []detect.Rule{token}, Decode: depth}, "", body); len(got) != want {
			t.Errorf("depth %d: %d leaks, want %d", depth, len(got), want)
		}
	}
}

func TestLinesOfBase64AreTextsOfTheirOwn(t *testing.T) {
	// Lines of a length that no program wraps at.
	body := std("first "+strings.Repeat("x", 60)+plainToken) + "\n" + std("other "+strings.Repeat("y", 60)+"tok_fedcba9876543210") + "\n"
	leaks := scanAll(t, detect.Config{Rules: []detect.Rule{{ID: "t", Keywords: []string{"tok_"}, Regex: `tok_[a-z0-9]+`}}, Decode: 1}, "", body)
	if len(leaks) != 2 || leaks[0].Line != 1 || leaks[1].Line != 2 || string(leaks[0].Secret.Reveal()) != plainToken {
		t.Errorf("leaks are %+v", leaks)
	}
}

func TestNoKeywordNeedBeDecoded(t *testing.T) {
	rule := detect.Rule{ID: "pair", Keywords: []string{"secret"}, Regex: `secret=(sesame[a-z-]+)`}
	body := "secret=" + std("sesame-open-the-door")
	leaks := scanAll(t, detect.Config{Rules: []detect.Rule{rule}, Decode: 1}, "", body)
	if len(leaks) != 1 || string(leaks[0].Secret.Reveal()) != "sesame-open-the-door" || leaks[0].Column != 8 {
		t.Errorf("leaks are %+v", leaks)
	}
}

func TestBinary(t *testing.T) {
	for body, want := range map[string]bool{
		"text":                      false,
		"":                          false,
		"ELF\x00\x01\x02":           true,
		wide("text", false, false):  false,
		wide("text", true, true):    false,
		"\x00\x00\x00\x00\x00\x00":  true,
		"\xff\xfe\x00\x00a\x00\x00": true, // UTF-32 is not read
	} {
		if got := detect.Binary([]byte(body)); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
}
