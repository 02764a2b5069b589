package detect_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/interlock-security/interlock/secrets/detect"
)

func res(patterns ...string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, p := range patterns {
		out = append(out, regexp.MustCompile(p))
	}
	return out
}

func TestAllowlists(t *testing.T) {
	body := "first\nkey = tok_0123456789abcdef # why\nlast"
	for name, c := range map[string]struct {
		allow detect.Allow
		found bool
	}{
		"path":                      {detect.Allow{Paths: res(`^vendor/`)}, false},
		"other path":                {detect.Allow{Paths: res(`^docs/`)}, true},
		"commit":                    {detect.Allow{Commits: []string{"ABC "}}, false},
		"secret":                    {detect.Allow{Patterns: res(`^0123456789abcdef$`)}, false},
		"secret is not the match":   {detect.Allow{Patterns: res(`tok_`)}, true},
		"match":                     {detect.Allow{Patterns: res(`^tok_0`), Target: detect.TargetMatch}, false},
		"line":                      {detect.Allow{Patterns: res(`^key.*why$`), Target: detect.TargetLine}, false},
		"line is not the text":      {detect.Allow{Patterns: res(`first`), Target: detect.TargetLine}, true},
		"stop word":                 {detect.Allow{StopWords: []string{"9ABC"}}, false},
		"other stop word":           {detect.Allow{StopWords: []string{"key"}}, true},
		"all: path and stop word":   {detect.Allow{All: true, Paths: res(`^vendor/`), StopWords: []string{"9abc"}}, false},
		"all: path alone":           {detect.Allow{All: true, Paths: res(`^vendor/`), StopWords: []string{"zzz"}}, true},
		"all: path and commit":      {detect.Allow{All: true, Paths: res(`^vendor/`), Commits: []string{"abc"}}, false},
		"all: path and not commit":  {detect.Allow{All: true, Paths: res(`^vendor/`), Commits: []string{"def"}}, true},
		"all: pattern and not path": {detect.Allow{All: true, Paths: res(`^docs/`), Patterns: res(`0`)}, true},
	} {
		own := token
		own.Allow = []detect.Allow{c.allow}
		for where, config := range map[string]detect.Config{
			"global": {Rules: []detect.Rule{token}, Allow: []detect.Allow{c.allow}},
			"own":    {Rules: []detect.Rule{own}},
		} {
			d, err := detect.New(config)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			d.Scan(detect.Text{Path: "vendor/a", Commit: "abc", Body: []byte(body)}, func(*detect.Leak) { found = true })
			if found != c.found {
				t.Errorf("%s, %s: found %v", name, where, found)
			}
		}
	}
}

func TestInlineWords(t *testing.T) {
	c := detect.Config{Rules: []detect.Rule{token}, Inline: detect.InlineWords()}
	body := "tok_0123456789abcdef # gitleaks:allow\ntok_1123456789abcdef // interlock:allow\ntok_2123456789abcdef\n"
	leaks := scanAll(t, c, "", body)
	if len(leaks) != 1 || leaks[0].Line != 3 {
		t.Errorf("leaks are %+v", leaks)
	}
}

func TestEntropyAndCheck(t *testing.T) {
	r := token
	r.Entropy = 3
	if got := scanAll(t, detect.Config{Rules: []detect.Rule{r}}, "", "tok_aaaaaaaabbbbbbbb"); len(got) != 0 {
		t.Errorf("low entropy is reported: %+v", got)
	}
	r.Check = func(secret []byte) detect.Verdict {
		if secret[0] == '0' {
			return detect.Invalid
		}
		return detect.Valid
	}
	got := scanAll(t, detect.Config{Rules: []detect.Rule{r}}, "", "tok_0123456789abcdef tok_1123456789abcdef")
	if len(got) != 1 || got[0].Verdict != detect.Valid || got[0].Column != 26 {
		t.Errorf("leaks are %+v", got)
	}
}

func TestPathRules(t *testing.T) {
	rules := []detect.Rule{
		{ID: "file", Path: `\.p12$`},
		{ID: "inner", Path: `\.env$`, Regex: `KEY=(\w+)`, Keywords: []string{"KEY="}},
	}
	got := scanAll(t, detect.Config{Rules: rules}, "a/b.p12", "\x00\x01KEY=abc")
	if len(got) != 1 || got[0].Rule != "file" || got[0].Line != 0 || got[0].Redacted != "" || got[0].Fingerprint == "" {
		t.Errorf("leaks are %+v", got)
	}
	if got := scanAll(t, detect.Config{Rules: rules}, "a/.env", "KEY=abc"); len(got) != 1 || got[0].Rule != "inner" {
		t.Errorf("leaks are %+v", got)
	}
}

func near(n int) *int { return &n }

func TestRequires(t *testing.T) {
	id := detect.Rule{ID: "id", Keywords: []string{"id_"}, Regex: `id_\w+`, Silent: true}
	for name, c := range map[string]struct {
		require detect.Require
		body    string
		want    int
	}{
		"anywhere":        {detect.Require{Rule: "id"}, "id_a\n\n\n\ntok_0123456789abcdef", 1},
		"missing":         {detect.Require{Rule: "id"}, "tok_0123456789abcdef", 0},
		"near lines":      {detect.Require{Rule: "id", WithinLines: near(2)}, "id_a\n\ntok_0123456789abcdef", 1},
		"far lines":       {detect.Require{Rule: "id", WithinLines: near(1)}, "id_a\n\ntok_0123456789abcdef", 0},
		"near columns":    {detect.Require{Rule: "id", WithinColumns: near(5)}, "id_a tok_0123456789abcdef", 1},
		"far columns":     {detect.Require{Rule: "id", WithinColumns: near(4)}, "id_a tok_0123456789abcdef", 0},
		"one serves many": {detect.Require{Rule: "id"}, "tok_0123456789abcdef id_a tok_1123456789abcdef", 2},
	} {
		r := token
		r.Requires = []detect.Require{c.require}
		if got := scanAll(t, detect.Config{Rules: []detect.Rule{r, id}}, "", c.body); len(got) != c.want {
			t.Errorf("%s: %d leaks, want %d", name, len(got), c.want)
		}
	}
}

// assignments is a grammar for tests: what follows "=".
type assignments struct{ id string }

func (g assignments) Rules() []detect.Rule {
	return []detect.Rule{{ID: g.id, Kind: detect.KindPassword, Severity: "medium"}}
}
func (assignments) Keywords() []string { return []string{"="} }
func (g assignments) At(t detect.Text, at, n int, emit func(detect.Hit)) {
	end := at + n
	for end < len(t.Body) && t.Body[end] > ' ' {
		end++
	}
	emit(detect.Hit{Rule: g.id, Start: at + n, End: end})
}
func (assignments) Wants(path string) bool { return strings.HasSuffix(path, ".whole") }
func (g assignments) All(t detect.Text, emit func(detect.Hit)) {
	emit(detect.Hit{Rule: g.id, Start: 0, End: len(t.Body)})
	emit(detect.Hit{Rule: g.id, Start: 3, End: len(t.Body) + 1})
	emit(detect.Hit{Rule: "no such rule", Start: 0, End: 1})
}

func TestTheMostSpecificSpeaks(t *testing.T) {
	generic := detect.Rule{ID: "generic-key", Keywords: []string{"key"}, Regex: `key=(\S+)`}
	checked := detect.Rule{
		ID: "checked", Keywords: []string{"tok_"}, Regex: `tok_\w{4}`,
		Check: func([]byte) detect.Verdict { return detect.Valid },
	}
	whole := detect.Rule{ID: "whole", Keywords: []string{"tok_"}, Regex: `tok_\w{16}`}
	grammars := []detect.Grammar{assignments{"assigned"}}
	body := "key=tok_0123456789abcdef"
	for want, rules := range map[string][]detect.Rule{
		"assigned":   {generic},
		"whole":      {generic, token, whole},
		"test-token": {generic, token},
		"checked":    {generic, token, whole, checked},
	} {
		for range 2 {
			got := scanAll(t, detect.Config{Rules: rules, Grammars: grammars}, "", body)
			if len(got) != 1 || got[0].Rule != want {
				t.Errorf("want %s: %+v", want, got)
			}
			slices.Reverse(rules)
		}
	}
	got := scanAll(t, detect.Config{Rules: []detect.Rule{generic, token, whole}, Grammars: grammars, Every: true}, "", body)
	if len(got) != 4-1 {
		t.Errorf("every rule: %d leaks, want all but the generic one", len(got))
	}
}

func TestGrammarsReadWholeFiles(t *testing.T) {
	got := scanAll(t, detect.Config{Grammars: []detect.Grammar{assignments{"assigned"}}}, "a.whole", "secret")
	if len(got) != 1 || got[0].Redacted != "…" {
		t.Errorf("leaks are %+v", got)
	}
}

func TestNewNamesTheRuleThatIsWrong(t *testing.T) {
	for want, c := range map[string]detect.Config{
		`"a": regex`:    {Rules: []detect.Rule{{ID: "a", Regex: "("}}},
		`"b": path`:     {Rules: []detect.Rule{{ID: "b", Path: "("}}},
		`"c": group`:    {Rules: []detect.Rule{{ID: "c", Regex: "x", Group: 1}}},
		`"d": regex`:    {Rules: []detect.Rule{{ID: "d"}}},
		`"": id`:        {Rules: []detect.Rule{{Regex: "x"}}},
		`named "e"`:     {Rules: []detect.Rule{{ID: "e", Regex: "x"}, {ID: "e", Regex: "y"}}},
		`"f": requires`: {Rules: []detect.Rule{{ID: "f", Regex: "x", Requires: []detect.Require{{Rule: "g"}}}}},
	} {
		if _, err := detect.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestRedactShowsAThirdAtMost(t *testing.T) {
	for n := range 200 {
		secret := bytes.Repeat([]byte("x"), n)
		got := detect.Redact(secret)
		if shown := len(got) - len("…"); shown > n/3 || n >= 24 && shown != 8 || n < 8 && shown != 0 {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
	if got := detect.Redact([]byte("\x1b[1mé3456789012345678901234\xff")); strings.Contains(got, "\x1b") || !utf8.ValidString(got) {
		t.Errorf("%q reaches a terminal", got)
	}
}
