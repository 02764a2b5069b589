package web

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func styleSheet(t *testing.T) string {
	t.Helper()
	b, err := files.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var tokens = regexp.MustCompile(`--([a-z-]+):\s*(#[0-9a-fA-F]{6})`)

// schemes returns the colour tokens of the light and the dark scheme.
func schemes(t *testing.T) map[string]map[string]string {
	t.Helper()
	light, rest, found := strings.Cut(styleSheet(t), "@media (prefers-color-scheme: dark)")
	dark, _, closed := strings.Cut(rest, "/* Ground */")
	if !found || !closed {
		t.Fatal("the style sheet is not laid out as this test reads it")
	}
	out := map[string]map[string]string{"light": {}, "dark": {}}
	for _, m := range tokens.FindAllStringSubmatch(light, -1) {
		out["light"][m[1]], out["dark"][m[1]] = m[2], m[2]
	}
	for _, m := range tokens.FindAllStringSubmatch(dark, -1) {
		out["dark"][m[1]] = m[2]
	}
	return out
}

// luminance is WCAG 2's relative luminance.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestTextCanBeRead: every pair of text and ground has WCAG AA's contrast of 4.5
// in both schemes, and what bounds a control 3 against the page.
func TestTextCanBeRead(t *testing.T) {
	pairs := []string{
		"text/bg", "text/surface", "text/raised", "muted/bg", "muted/surface", "muted/raised", "accent/bg", "accent/surface", "accent/raised", "on-accent/accent",
		"ok/ok-soft", "ok/surface", "warn/warn-soft", "warn/surface", "bad/bad-soft", "bad/surface", "info/info-soft", "info/surface", "unknown/unknown-soft", "unknown/surface",
		"text/ok-soft", "text/warn-soft", "text/bad-soft", "text/info-soft", "text/accent-soft", "on-stop/stop", "on-stop/stop-hover",
		"chrome-text/chrome", "chrome-text/chrome-here", "chrome-muted/chrome", "chrome-muted/chrome-here",
	}
	for scheme, colours := range schemes(t) {
		for _, pair := range pairs {
			front, back, _ := strings.Cut(pair, "/")
			if colours[front] == "" || colours[back] == "" {
				t.Fatalf("%s: no token %s", scheme, pair)
			}
			if got := contrast(t, colours[front], colours[back]); got < 4.5 {
				t.Errorf("%s: %s has a contrast of %.2f, at least 4.5 is needed", scheme, pair, got)
			}
		}
		if got := contrast(t, colours["focus"], colours["bg"]); got < 3 {
			t.Errorf("%s: the focus ring has %.2f", scheme, got)
		}
	}
}

// TestTheStyleSheetIsOneAndNeedsNothing: no other origin, no import, and each
// token that is used exists.
func TestTheStyleSheetIsOneAndNeedsNothing(t *testing.T) {
	css := styleSheet(t)
	for _, bad := range []string{"@import", "url(", "http:", "https:", "expression("} {
		if strings.Contains(css, bad) {
			t.Errorf("it has %s", bad)
		}
	}
	for _, m := range regexp.MustCompile(`var\(--([a-z0-9-]+)`).FindAllStringSubmatch(css, -1) {
		if !strings.Contains(css, "--"+m[1]+":") {
			t.Errorf("the token %s is used and nowhere set", m[1])
		}
	}
	for _, must := range []string{"prefers-color-scheme: dark", "prefers-reduced-motion: reduce", ":focus-visible", "@media print", "forced-colors"} {
		if !strings.Contains(css, must) {
			t.Errorf("it lacks %s", must)
		}
	}
	if n := len(css); n > 60_000 {
		t.Errorf("%d bytes", n)
	}
}

// TestTheScriptMakesNoMarkup: with trusted types it could not, and so it must not
// try.
func TestTheScriptMakesNoMarkup(t *testing.T) {
	b, err := files.ReadFile("static/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", "srcdoc", "setAttribute('on", "import(", "http:", "https:", "localStorage", "document.cookie"} {
		if strings.Contains(string(b), bad) {
			t.Errorf("it has %s", bad)
		}
	}
	if n := len(b); n > 40_000 {
		t.Errorf("%d bytes", n)
	}
}

// TestEveryIconIsDrawn: a template names no sign that there is not.
func TestEveryIconIsDrawn(t *testing.T) {
	entries, err := files.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\{\{icon "([a-z-]+)"\}\}`)
	var missing []string
	for _, e := range entries {
		b, err := files.ReadFile("templates/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(b), -1) {
			if icons[m[1]] == "" {
				missing = append(missing, fmt.Sprint(e.Name(), ": ", m[1]))
			}
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		t.Error(missing)
	}
}
