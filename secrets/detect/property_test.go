package detect_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
)

// specimen are lines with and without something in them.
var specimen = []string{
	"", "# a comment", "name = value", "\tindented(text);", "日本語 text", "x: " + std("nothing to see here"),
	"token: tok_0123456789abcdef", "a tok_aaaabbbbccccdddd b tok_eeeeffff00001111", "key=pass%20word;end",
	"data: " + std("tok_ffff0000ffff0000"), "\xff\xfe bad bytes tok_1111222233334444", "token: tok_0123456789abcdef",
}

var specimenRules = detect.Config{
	Rules:    []detect.Rule{token, {ID: "assigned-key", Kind: detect.KindKey, Keywords: []string{"key="}, Regex: `key=([^;\n]+)`}},
	Grammars: []detect.Grammar{assignments{"assigned"}},
	Decode:   detect.DefaultDecode,
}

func TestWhereALineStandsChangesNothing(t *testing.T) {
	d, err := detect.New(specimenRules)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var lines []string
		for range 1 + rng.IntN(12) {
			lines = append(lines, specimen[rng.IntN(len(specimen))])
		}
		text := strings.Join(lines, "\n")
		want := tell(d, text, 0)
		above := rng.IntN(5)
		moved := strings.Repeat("\n", above) + text + strings.Repeat("\n", rng.IntN(3))
		if got := tell(d, moved, above); !slices.Equal(got, want) {
			t.Fatalf("%q\n got %q\nwant %q", moved, got, want)
		}
	}
}

// tell is all that is said of a text's leaks, lines counted from below.
func tell(d *detect.Detector, text string, below int) []string {
	var out []string
	d.Scan(detect.Text{Path: "p", Body: []byte(text)}, func(l *detect.Leak) {
		out = append(out, fmt.Sprint(l.Rule, l.Line-below, l.Column, l.EndLine-below, l.EndColumn, l.Redacted, l.Excerpt, l.Decoded, l.Fingerprint))
	})
	return out
}

func TestFingerprintOutlivesMovesAndRotation(t *testing.T) {
	print := func(body string) []string {
		var out []string
		for _, l := range scanAll(t, specimenRules, "p", body) {
			out = append(out, l.Fingerprint)
		}
		return out
	}
	old := print("first: tok_0123456789abcdef # prod\nsame tok_aaaabbbbccccdddd\nsame tok_aaaabbbbcccceeee\n")
	if len(old) != 3 || old[0] == old[1] || old[1] == old[2] {
		t.Fatalf("fingerprints are %q", old)
	}
	for name, body := range map[string]string{
		"moved":       "new line\n\nfirst: tok_0123456789abcdef # prod\nsame tok_aaaabbbbccccdddd\nanother\nsame tok_aaaabbbbcccceeee\n",
		"re-indented": "\t first:   tok_0123456789abcdef #  prod\n  same\ttok_aaaabbbbccccdddd\nsame tok_aaaabbbbcccceeee\n",
		"rotated":     "first: tok_ffffffffffffffff # prod\nsame tok_ffffbbbbccccdddd\nsame tok_ffffbbbbcccceeee\n",
	} {
		if got := print(body); !slices.Equal(got, old) {
			t.Errorf("%s: %q, want %q", name, got, old)
		}
	}
	if got := print("second: tok_0123456789abcdef # prod\n"); got[0] == old[0] {
		t.Error("another line has the same fingerprint")
	}
}

func FuzzScan(f *testing.F) {
	for _, s := range specimen {
		f.Add([]byte(s), false)
	}
	f.Add([]byte(wide("token: tok_0123456789abcdef\n", true, false)), false)
	f.Add([]byte(strings.Join(specimen, "\n")), true)
	d, err := detect.New(specimenRules)
	if err != nil {
		f.Fatal(err)
	}
	every := specimenRules
	every.Every = true
	all, err := detect.New(every)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, each bool) {
		use := d
		if each {
			use = all
		}
		kept := bytes.Clone(body)
		use.Scan(detect.Text{Path: "a.whole", Body: body}, func(l *detect.Leak) { check(t, kept, l) })
		if !bytes.Equal(body, kept) {
			t.Error("the text was changed")
		}
	})
}

// check holds what is true of every leak of every text.
func check(t *testing.T, body []byte, l *detect.Leak) {
	t.Helper()
	secret := l.Secret.Reveal()
	if len(secret) == 0 || l.Line < 1 || l.Column < 1 || l.EndLine < l.Line {
		t.Errorf("place %+v, %d bytes", l.Place, len(secret))
		return
	}
	if !utf8.ValidString(l.Excerpt) || len(secret) >= 6 && strings.Contains(l.Excerpt, string(secret)) {
		t.Errorf("excerpt %q shows %q", l.Excerpt, secret)
	}
	if len(l.Decoded) > 0 {
		return // the place is the encoded one
	}
	if got := between(body, l.Place); !bytes.Equal(got, secret) {
		t.Errorf("at %+v stands %q, the secret is %q", l.Place, got, secret)
	}
}

// between is what stands at a place, found the slow way.
func between(body []byte, p detect.Place) []byte {
	offset := func(line, column int) int {
		at := 0
		for ; line > 1; line-- {
			at += bytes.IndexByte(body[at:], '\n') + 1
		}
		return at + column - 1
	}
	from, to := offset(p.Line, p.Column), offset(p.EndLine, p.EndColumn)
	if from < 0 || to > len(body) || from > to {
		return nil
	}
	return body[from:to]
}

func TestScanIsSafeForConcurrentUse(t *testing.T) {
	d, err := detect.New(specimenRules)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(specimen[:10], "\n")
	want := tell(d, text, 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got := tell(d, text, 0); !slices.Equal(got, want) {
					t.Errorf("got %q\nwant %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}
