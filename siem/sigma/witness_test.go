package sigma

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/interlock-security/interlock/siem/sigma/internal/needle"
)

// TestFoldingJoinsWhatRegexesJoin: letters that (?i) takes for one another fold
// alike, all of Unicode over.
func TestFoldingJoinsWhatRegexesJoin(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if got := lower(string(r)); got != string(foldRune(r)) {
			t.Fatalf("%U folds to %q, want %U", r, got, foldRune(r))
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if foldRune(f) != foldRune(r) {
				t.Fatalf("%U folds to %U and its other form %U to %U", r, foldRune(r), f, foldRune(f))
			}
		}
	}
}

func TestRequiredTexts(t *testing.T) {
	for _, row := range []struct {
		src  string
		want []string
	}{
		{`mimikatz`, []string{"mimikatz"}},
		{`(?i)MimiKatz\.exe`, []string{"mimikatz.exe"}},
		{`^.*\\[Pp]owershell(\.exe)?$`, []string{`\powershell.exe`, `\powershell`}},
		{`(abcd|efgh)+x?`, []string{"abcd", "efgh"}},
		{`ab[0-9]{2}cdefg`, []string{"cdefg"}},
		{`(?:invoke|iex)-\w+`, []string{"invoke-", "iex-"}},
		{`(abcd)*`, nil},
		{`abcd|.`, nil},
		{`a.b.c`, nil},
		{`\x{FFFD}abcdef`, nil},
		{`(?i)ſecret`, []string{"secret"}},
		{`[a-z]{4,}`, nil},
		{`arp[ ]+-a`, []string{"arp "}},
		{`xy(?:ab)+z`, []string{"xyab"}},
	} {
		got := requiredTexts(row.src, needle.MinLen)
		slices.Sort(got)
		want := slices.Sorted(slices.Values(row.want))
		if !slices.Equal(got, want) {
			t.Errorf("%s needs %q, want %q", row.src, got, want)
		}
	}
}

// FuzzRequiredTexts: what a regular expression matches has one of its texts.
func FuzzRequiredTexts(f *testing.F) {
	for _, s := range [][2]string{{`(?i)s+ecret[ab]?x{2}`, "ſSecretXX"}, {`(foo|ba[rz]{2}|qu+x)end`, "quuxend"}, {`(?i)\bk[s-u]elvin`, "Kſelvin"}, {`a\x{FFFD}bcde`, "a\xffbcde"}, {`a(bc)+d(e{2,})f`, "abcbcdeeef"}, {`(ab)+(cd)+`, "abababcdcd"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, src, text string) {
		re, err := regexp.Compile(src)
		if err != nil || !re.MatchString(text) {
			return
		}
		texts := requiredTexts(src, 1)
		if texts != nil && !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(lower(text), s) }) {
			t.Fatalf("%q matches %q, which has none of %q", src, text, texts)
		}
		if p := (&compiler{}).premise(src); !p.met([]byte(lower(text))) {
			t.Fatalf("%q matches %q, which lacks one of %q", src, text, p)
		}
	})
}

// FuzzFolded: the quick folding is the folding.
func FuzzFolded(f *testing.F) {
	for _, s := range []string{"", "PowerShell", "ÉCOLE 12345678 İſK\xffZ\xe2\x82", strings.Repeat("aB", 20) + "Σς"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(appendFolded(nil, []byte(s))), slowFolded(s); got != want {
			t.Fatalf("%q folds to %q, want %q", s, got, want)
		}
	})
}

// slowFolded folds rune by rune.
func slowFolded(s string) string {
	var out []byte
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			out = append(out, s[0])
		} else {
			out = utf8.AppendRune(out, unicode.ToLower(unicode.ToUpper(r)))
		}
		s = s[size:]
	}
	return string(out)
}
