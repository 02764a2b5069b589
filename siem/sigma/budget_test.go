package sigma_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

// TestSmallFilesCantBecomeLarge: what a few bytes ask for is bounded.
func TestSmallFilesCantBecomeLarge(t *testing.T) {
	var sels strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&sels, "  s%d: {a: 1}\n", i)
	}
	var values strings.Builder
	for i := range 300 {
		fmt.Fprintf(&values, "      - '%da{900}'\n", i)
	}
	for _, row := range []struct{ name, text, want string }{
		{"the same identifiers again and again", header + sels.String() + "  condition: " + strings.Repeat("1 of s* or ", 500) + "s1\n", "with every search identifier written out"},
		{"many large repeats", header + "  s:\n    a|re:\n" + values.String() + "  condition: s\n", "the regular expressions have more than 200000 places together"},
		{"a rule repeated again and again", header + "  s:\n    a:\n" + strings.Repeat("      - x\n", 2000) + "  condition: s\n" + strings.Repeat("---\naction: repeat\n", 10000), "with every search identifier written out"},
		{"many keys", keys(5000), "a map has more than 4096 keys"},
		{"many patterns", header + sels.String() + "  condition: " + strings.Repeat("1 of x* or ", 30000) + "s1\n", "no search identifier matches"},
		{"a long name", header + "  s: {a|" + strings.Repeat("x", 400_000) + ": 1}\n  condition: s\n", "is not known"},
		{"one long line", "a: [" + strings.Repeat("x, ", 90000) + "]\n" + strings.TrimPrefix(header, "title: T\n") + "  s: {a: 1}\n  condition: s\n", "a rule needs `title`"},
		{"many names that are not there", header + sels.String() + "  condition: " + strings.Repeat("q7 or ", 2000) + "s1\n", "there is no search identifier"},
	} {
		_, problems := sigma.Check("x.yml", []byte(row.text))
		if got := said(problems); !strings.Contains(got, row.want) || len(problems) > 200 || len(got) > 100_000 {
			t.Errorf("%s: %.300s", row.name, got)
		}
	}
	many := make([]string, 9000)
	for i := range many {
		many[i] = fmt.Sprint("v", i)
	}
	rule := header + "  s:\n    a|expand: [" + strings.TrimSuffix(strings.Repeat("'%x%',", 30), ",") + "]\n  condition: s\n"
	_, err := sigma.Compile(must(t, "x.yml", rule), sigma.Options{Placeholders: map[string][]string{"x": many}})
	if err == nil || !strings.Contains(err.Error(), "more than 200000 values") {
		t.Errorf("placeholders: %v", err)
	}
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}
