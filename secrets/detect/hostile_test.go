package detect

import (
	"bytes"
	"strings"
	"testing"
)

// hostile rules are what a careless author writes.
var hostileRules = []Rule{
	{ID: "block", Keywords: []string{"-----BEGIN"}, Regex: `-----BEGIN[A-Z ]{0,100}KEY-----[\s\S]*?-----END`},
	{ID: "generic", Keywords: []string{"key", "token"}, Regex: `(?i)[\w.-]{0,50}?(?:key|token)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|:)[\s'"=]{0,5}([\w.=-]{10,150}|[a-z0-9][a-z0-9+/]{11,}={0,3})(?:['"\s;]|\\[nr]|$)`},
	{ID: "nested", Keywords: []string{"aaa"}, Regex: `(?:a+)+aaa(?:a*)*b`},
	{ID: "whole", Keywords: []string{"key"}, Regex: `\b(?:[a-f0-9]{40}|[g-z]{60})\b`},
	{ID: "far", Keywords: []string{"key"}, Regex: `key(?s:.*)never`},
	{ID: "either", Keywords: []string{"key"}, Regex: `key(?s:.*)never|key`},
}

// TestWorkStaysLinear reads texts that are made to be slow, of one size and of
// four times that: what is read of them must grow with them, and no faster.
func TestWorkStaysLinear(t *testing.T) {
	for name, unit := range map[string]string{
		"keywords":         "key",
		"assignments":      "key=",
		"assigned tokens":  "token=tok_0123456789abcdef;",
		"beginnings":       "-----BEGIN KEY-----\n",
		"beginnings, long": "-----BEGIN KEY-----" + strings.Repeat("A", 200),
		"one letter":       "a",
		"hexadecimal":      "0f",
		"escapes":          "%41",
		"bad escapes":      "%80",
		"half characters":  "%E2%82",
		"entities":         "&#65;",
		"ampersands":       "&",
		"backslashes":      `\`,
		"continuations":    "\\\n",
		"base64 of text":   "c29tZSB0ZXh0",
		"wrapped base64":   strings.Repeat("c29tZSB0ZXh0", 5) + "c29t\n",
		"bad wrapped":      strings.Repeat("c29tZSB0ZXh0", 5) + "AAAA\n",
		"code points":      "U+0041 ",
		"lines":            "\n",
		"words":            "the key to it all is a token ",
		"UTF-8":            "日本語key",
		"bad UTF-8":        "\xff\xfekey",
		"spaces":           " ",
	} {
		small, big := spent(t, unit, 1<<13), spent(t, unit, 1<<15)
		if big > 5*small+1<<16 {
			t.Errorf("%s: %d for one size, %d for four times that", name, small, big)
		}
	}
}

func spent(t *testing.T, unit string, size int) int {
	t.Helper()
	d, err := New(Config{Rules: hostileRules, Decode: 2})
	if err != nil {
		t.Fatal(err)
	}
	d.Scan(Text{Body: bytes.Repeat([]byte(unit), size/len(unit))}, func(*Leak) {})
	return (<-d.free).budget.Spent
}

func TestLimitsAreToldAsGaps(t *testing.T) {
	rule := Rule{ID: "r", Keywords: []string{"k="}, Regex: `k=(\w{4})\b`}
	for name, c := range map[string]struct {
		config Config
		body   string
		why    string
		found  int
	}{
		"long text":    {Config{Limits: Limits{Text: 8}}, "k=abcd  k=efgh", "first 8 of 14", 1},
		"many leaks":   {Config{Limits: Limits{Leaks: 2}}, "k=abcd k=efgh k=ijkl k=mnop", "more than 2", 2},
		"long secret":  {Config{Limits: Limits{Secret: 3}}, "k=abcd", "", 0},
		"many escapes": {Config{Decode: 1}, strings.Repeat("%41 ", maxSegments+1), "encoded parts", 0},
	} {
		c.config.Rules = []Rule{rule}
		d, err := New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		gaps := d.Scan(Text{Path: "p", Body: []byte(c.body)}, func(l *Leak) {
			found++
			if name == "many leaks" && strings.Contains(l.Excerpt, "mnop") {
				t.Errorf("what was dropped is shown whole: %s", l.Excerpt)
			}
		})
		if found != c.found || c.why == "" != (len(gaps) == 0) {
			t.Errorf("%s: %d leaks, gaps %+v", name, found, gaps)
		}
		for _, g := range gaps {
			if g.Path != "p" || !strings.Contains(g.Why, c.why) {
				t.Errorf("%s: gap %+v", name, g)
			}
		}
	}
}

func TestBudgetThatIsUsedUpIsAGap(t *testing.T) {
	d, err := New(Config{Rules: hostileRules})
	if err != nil {
		t.Fatal(err)
	}
	s := d.borrow()
	s.text = Text{Path: "p", Body: []byte("key=0123456789abcdef")}
	s.base = &view{Text: s.text}
	s.read(s.base, false)
	if len(s.finds) != 0 {
		t.Errorf("a budget of nothing found %d", len(s.finds))
	}
	if !s.budget.Over() {
		t.Error("a budget of nothing is not over")
	}
}

// TestNothingIsAllocatedWhereNothingIsFound keeps the path that nearly every
// text takes free of garbage.
func TestNothingIsAllocatedWhereNothingIsFound(t *testing.T) {
	d, err := New(Config{Rules: hostileRules[:4], Decode: DefaultDecode})
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("an ordinary line of a token that is a key to nothing\n"), 100)
	scan := func() { d.Scan(Text{Path: "a/b", Body: body}, func(*Leak) {}) }
	scan()
	if n := testing.AllocsPerRun(20, scan); n > 4 {
		t.Errorf("%.0f allocations a text", n)
	}
}
