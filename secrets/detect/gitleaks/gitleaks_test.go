package gitleaks_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/gitleaks"
)

func none(string) ([]byte, error) { return nil, fs.ErrNotExist }

func TestDefaultIsWhole(t *testing.T) {
	c, err := gitleaks.Default()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rules) < 200 || len(c.Allow) != 2 || len(c.Allow[0].Paths) < 20 {
		t.Errorf("%d rules, %d allowlists", len(c.Rules), len(c.Allow))
	}
	if _, err := detect.New(c); err != nil {
		t.Error(err)
	}
}

func TestExtend(t *testing.T) {
	own := "[extend]\npath = 'base.toml'\ndisabledRules = ['off']\n" +
		"[[rules]]\nid = 'both'\ndescription = 'mine'\nkeywords = ['more']\nentropy = 3.5\n" +
		"[[rules]]\nid = 'own'\nregex = 'own'\n" +
		"[[allowlists]]\ntargetRules = ['both', 'base']\nstopwords = ['example']\n"
	base := "[[rules]]\nid = 'both'\ndescription = 'theirs'\nregex = 'b(o)th'\nsecretGroup = 1\nkeywords = ['both']\ntags = ['x']\n" +
		"[[rules]]\nid = 'off'\nregex = 'off'\n[[rules]]\nid = 'base'\nregex = 'base'\n[allowlist]\npaths = ['vendor/']\n"
	c, err := gitleaks.Parse(".gitleaks.toml", []byte(own), func(name string) ([]byte, error) {
		if name != "base.toml" {
			return nil, fs.ErrNotExist
		}
		return []byte(base), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range c.Rules {
		ids = append(ids, r.ID)
		if r.ID == "both" && (r.Title != "mine" || r.Regex != "b(o)th" || r.Group != 1 || r.Entropy != 3.5 ||
			strings.Join(r.Keywords, " ") != "both more" || len(r.Allow) != 1 || r.Allow[0].StopWords[0] != "example") {
			t.Errorf("merged rule is %+v", r)
		}
	}
	if got := strings.Join(ids, " "); got != "base both own" {
		t.Errorf("rules are %s", got)
	}
	if len(c.Allow) != 1 {
		t.Errorf("%d global allowlists", len(c.Allow))
	}
}

func TestLoadExtendsFilesBesideIt(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".gitleaks.toml", "[extend]\npath = 'base.toml'\n")
	write("base.toml", "[extend]\nuseDefault = true\n[[rules]]\nid = 'own'\npath = 'x'\n")
	c, err := gitleaks.Load(filepath.Join(dir, ".gitleaks.toml"))
	if err != nil || len(c.Rules) < 200 {
		t.Errorf("%d rules, err %v", len(c.Rules), err)
	}
}

func TestFaultsNameTheLineAndTheCure(t *testing.T) {
	for _, c := range []struct{ text, place, hint string }{
		{"[[rules]]\nid = 'a'\n\nregex = '(?!x)'\n", "f:4: ", "RE2"},
		{"[[rules]]\nid = 'a'\nregex = 'x'\nsecretGroup = 2\n", "f:4: ", "count the groups"},
		{"[[rules]]\nregex = 'x'\n", "f:1: ", "id ="},
		{"[[rules]]\nid = 'a'\n", "f:1: ", "give it one"},
		{"title = 1", "f:1: ", "TOML"},
		{"x = [", "f:1: ", "TOML"},
		{"[[rules]]\nid='a'\nregex='x'\n[[rules.allowlists]]\n", "f:4: ", "stopwords"},
		{"[[rules]]\nid='a'\nregex='x'\n[[rules.allowlists]]\ncondition='XOR'\nregexes=['x']", "f:5: ", "AND"},
		{"[[rules]]\nid='a'\nregex='x'\n[[rules.allowlists]]\nregexTarget='file'\nregexes=['x']", "f:5: ", "secret"},
		{"[[rules]]\nid='a'\nregex='x'\n[rules.allowlist]\nregexes=['x',\n'y',\n'(']", "f:7: ", "RE2"},
		{"[[rules]]\nid='a'\nregex='x'\n[rules.allowlist]\nregexes=['x']\n[[rules.allowlists]]\npaths=['x']", "f:4: ", "older"},
		{"[[rules]]\nid='a'\nregex='x'\n[[rules.required]]\nid='b'", "f:5: ", "name the id"},
		{"[[rules]]\nid='abc'\nregex='x'\n[[allowlists]]\ntargetRules=['ab']\npaths=['x']", "f:5: ", `did you mean "abc"`},
		{"[extend]\nuseDefault=true\npath='x'\n", "f:3: ", "keep one"},
		{"[extend]\npath='x'\n", "f:2: ", "relative"},
		{"[allowlist]\npaths=['(']\n", "f:2: ", "RE2"},
	} {
		_, err := gitleaks.Parse("f", []byte(c.text), none)
		if err == nil {
			t.Errorf("%q is taken", c.text)
			continue
		}
		var e *core.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.place) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%q: %v, hint %q; want %q and %q", c.text, err, e.Hint, c.place, c.hint)
		}
	}
}

func TestIgnore(t *testing.T) {
	ig, err := gitleaks.ParseIgnore(".gitleaksignore", []byte("# looked at\n\na/b.txt:rule:3\nabc123:c:d.txt:rule:4\nwrong\nx:y:z\nwin\\dir.txt:rule:5\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(ig.Warnings) != 2 || !strings.HasPrefix(ig.Warnings[0], ".gitleaksignore:5: ") {
		t.Errorf("warnings are %q", ig.Warnings)
	}
	leak := func(commit, path string, line int) *detect.Leak {
		return &detect.Leak{Rule: "rule", MatchLine: line, Place: detect.Place{Path: path, Commit: commit}}
	}
	for _, c := range []struct {
		leak *detect.Leak
		want bool
	}{
		{leak("", "a/b.txt", 3), true},
		{leak("ffff", "a/b.txt", 3), true},
		{leak("", "a/b.txt", 4), false},
		{leak("abc123", "c:d.txt", 4), true},
		{leak("", "c:d.txt", 4), false},
		{leak("", "win/dir.txt", 5), true},
	} {
		if got := ig.Has(c.leak); got != c.want {
			t.Errorf("%+v: %v", c.leak.Place, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[extend]\nuseDefault = true\n[[rules]]\nid = 'a'\nregex = '''a(b)'''\n[[rules.allowlists]]\nstopwords=['x']\n")
	f.Add("[[allowlists]]\ntargetRules=['a']\npaths=['x']\n[[rules]]\nid='a'\npath='x'\n[[rules.required]]\nid='a'\nwithinLines=3\n")
	f.Add("rules = [{id='a', regex='x', keywords=['y']}]\n[allowlist]\nregexes=['(?i)x']\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := gitleaks.Parse("f", []byte(text), none)
		if err == nil && !strings.Contains(text, "extend") {
			for _, r := range c.Rules {
				if r.ID == "" || r.Regex == "" && r.Path == "" {
					t.Errorf("rule %+v finds nothing", r)
				}
			}
		}
	})
}

func FuzzParseIgnore(f *testing.F) {
	f.Add("# c\na:b:1\nc:a:b:1\n")
	f.Fuzz(func(t *testing.T, text string) {
		ig, err := gitleaks.ParseIgnore("f", []byte(text))
		if err == nil {
			ig.Has(&detect.Leak{Rule: "b", MatchLine: 1, Place: detect.Place{Path: "a"}})
		}
	})
}
