package search

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/interlock-security/interlock/secrets/detect/internal/literal"
)

// find is what secrets/detect does: literals, windows, merged windows, matches.
func find(p *Pattern, w *Worker, b []byte) [][]int {
	var out [][]int
	add := func(loc []int) { out = append(out, slices.Clone(loc)) }
	w.Fresh()
	if p.Plans() == 0 {
		w.All(b, add)
		return out
	}
	var words []string
	var ways []int
	for way := range p.Plans() {
		for _, l := range p.Literals(way) {
			words = append(words, l)
			ways = append(ways, way)
		}
	}
	var windows Windows
	literal.New(words).Find(b, func(id int32, start, _ int) {
		if from, to, ok := w.Window(b, ways[id], start); ok {
			windows.Add(0, from, to)
		}
	})
	windows.Merged(func(_ int32, from, to int) { w.Within(b, from, to, add) })
	return out
}

var patterns = []string{
	`\b(ghp_[0-9a-zA-Z]{6})\b`,
	`(?i)[\w.-]{0,50}?(?:adafruit)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}([a-z0-9_-]{6})(?:[\x60'"\s;]|\\[nr]|$)`,
	`(?i)[\w.-]{0,50}?(?:access|auth|(?-i:[Aa]pi|API)|key|passw(?:or)?d)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:)[\x60'"\s=]{0,5}([\w.=-]{5,15}|[a-z0-9][a-z0-9+/]{4,}={0,3})(?:[\x60'"\s;]|\\[nr]|$)`,
	`(?i)-----BEGIN[ A-Z0-9_-]{0,10}PRIVATE KEY-----[\s\S-]{4,}?KEY-----`,
	`(?i)\b(sgp_[a-f0-9]{4}|[a-f0-9]{6})\b`,
	`^key=(.*)$`, `(?m)^key=(.*)$`, `(?s)key.*?end`, `(?s)x.*key|x`, `key(?:a|ab)(c|bcd)(d*)`,
	`\b((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{4})\b`,
	`[a-z]{1,8}://([^@/]{1,9}:[^@/]{1,9})@`,
	`(?:key|token)?=\w+`, `\Bkey\B`, `[^a]key[^a]`, `.key.`, `key\z`,
}

var alphabet = []string{
	"://key:x@", "\nkey=", "key", "KEY", "ghp_", "abc", "abcdef", "a", "b", "x", "0", "9f", "=", ":", " ", "\n", "\"", "adafruit", "auth", "api", "API",
	"-----BEGIN PRIVATE KEY-----", "KEY-----", "sgp_", "AKIA", "A3T", "passwd", "://", "@", "end", "é", "日", "\xff", "token", "_", ".", "\r", "password",
}

func TestFindsWhatRegexpFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, pattern := range patterns {
		re := regexp.MustCompile(pattern)
		p, err := New(re, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, found := NewWorker(p, &Budget{Most: 1 << 40}), 0
		for range 500 {
			found += same(t, p, w, generate(rng, 1+rng.IntN(40)))
		}
		if found == 0 {
			t.Errorf("%s never matched, which proves nothing", pattern)
		}
	}
}

func generate(rng *rand.Rand, n int) []byte {
	var b bytes.Buffer
	if rng.IntN(8) == 0 {
		b.WriteString("key=")
	}
	for range n {
		b.WriteString(alphabet[rng.IntN(len(alphabet))])
	}
	return b.Bytes()
}

func same(t *testing.T, p *Pattern, w *Worker, b []byte) int {
	t.Helper()
	want := p.re.FindAllSubmatchIndex(b, -1)
	if got := find(p, w, b); !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("%s\non %q\n got %v\nwant %v", p.re, b, got, want)
	}
	var got [][]int
	w.All(b, func(loc []int) { got = append(got, slices.Clone(loc)) })
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Fatalf("%s\nread as a whole, on %q\n got %v\nwant %v", p.re, b, got, want)
	}
	return len(want)
}

func TestPlansOfTheField(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{`\b(ghp_[0-9a-zA-Z]{36})\b`, []string{"ghp_"}},
		{`\b((?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z2-7]{16})\b`, []string{"a3t", "akia", "asia"}},
		{`(?i)[\w.-]{0,50}?(?:adobe)(?:[ \t\w.-]{0,20})=`, []string{"adobe"}},
		{`[0-9]{5}-[a-z]{32}\.apps\.googleusercontent`, []string{".apps.googleuser"}},
	} {
		p, err := New(regexp.MustCompile(c.pattern), nil)
		if err != nil || p.Plans() != 1 || !slices.Equal(p.Literals(0), c.want) {
			t.Errorf("%s: %d plans, %v, err %v", c.pattern, p.Plans(), p.plans, err)
		}
	}
}
