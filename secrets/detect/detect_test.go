package detect_test

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
)

// token is a made-up format; the tests need no real one.
var token = detect.Rule{
	ID: "test-token", Title: "a test token", Kind: detect.KindToken, Severity: "high",
	Keywords: []string{"tok_"}, Regex: `\btok_([a-z0-9]{16})\b`,
}

func scanAll(t *testing.T, c detect.Config, path, body string) []*detect.Leak {
	t.Helper()
	d, err := detect.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var leaks []*detect.Leak
	for _, g := range d.Scan(detect.Text{Path: path, Body: []byte(body)}, func(l *detect.Leak) { leaks = append(leaks, l) }) {
		t.Errorf("gap: %+v", g)
	}
	return leaks
}

func TestScanTellsWhereAndWhat(t *testing.T) {
	body := "first\n  key = \"tok_0123456789abcdef\" # prod\nlast tok_short\n"
	leaks := scanAll(t, detect.Config{Rules: []detect.Rule{token}}, "a/b.ini", body)
	if len(leaks) != 1 {
		t.Fatalf("%d leaks, want 1", len(leaks))
	}
	l := leaks[0]
	if l.Path != "a/b.ini" || l.Line != 2 || l.Column != 14 || l.EndLine != 2 || l.EndColumn != 30 || l.MatchLine != 2 {
		t.Errorf("place is %+v", l.Place)
	}
	if string(l.Secret.Reveal()) != "0123456789abcdef" || l.Redacted != "01…ef" {
		t.Errorf("secret %q, redacted %q", l.Secret.Reveal(), l.Redacted)
	}
	if l.Excerpt != `key = "tok_01…ef" # prod` {
		t.Errorf("excerpt is %q", l.Excerpt)
	}
}

func TestExcerptShowsNoOtherSecret(t *testing.T) {
	body := "a=tok_0123456789abcdef b=tok_fedcba9876543210 again=0123456789abcdef"
	for _, l := range scanAll(t, detect.Config{Rules: []detect.Rule{token}}, "", body) {
		for _, secret := range []string{"0123456789abcdef", "fedcba9876543210"} {
			if strings.Contains(l.Excerpt, secret) {
				t.Errorf("excerpt %q shows %q", l.Excerpt, secret)
			}
		}
	}
}

func TestASampleIsMarkedAndStaysALeak(t *testing.T) {
	body := "tok_0123456789abcdef\nshown: tok_fedcba9876543210\n"
	var asked []string
	leaks := scanAll(t, detect.Config{Rules: []detect.Rule{token}, Sample: func(s *detect.Suspect) bool {
		asked = append(asked, s.Path+" "+string(s.Secret)+" "+string(s.Body[s.At:s.At+4]))
		return strings.HasPrefix(string(s.Body[:s.At]), "tok_0123456789abcdef\nshown")
	}}, "a.md", body)
	if len(leaks) != 2 || leaks[0].Sample || leaks[0].Severity != "high" || !leaks[1].Sample || leaks[1].Severity != "info" {
		t.Fatalf("leaks are %+v", leaks)
	}
	if got := strings.Join(asked, ", "); got != "a.md 0123456789abcdef 0123, a.md fedcba9876543210 fedc" {
		t.Errorf("asked of %s", got)
	}
}
