package sigma_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

const page = "../../docs/reference/sigma.md"

// example is a rule of the page with what is said about it.
type example struct {
	line             int
	rule, said, kind string
}

// examples reads the page up to its part about correlations, which has a test
// of its own.
func examples(t *testing.T) []example {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(b), "\n## Correlations")
	var out []example
	var block []string
	fence, start := "", 0
	for i, line := range strings.Split(text, "\n") {
		switch {
		case fence == "" && strings.HasPrefix(line, "```"):
			fence, start, block = line[3:], i+1, nil
		case fence != "" && line == "```":
			said := strings.Join(block, "\n")
			if fence == "yaml" {
				out = append(out, example{line: start, rule: said})
			} else if len(out) > 0 && out[len(out)-1].kind == "" {
				out[len(out)-1].kind, out[len(out)-1].said = fence, said
			}
			fence = ""
		default:
			block = append(block, line)
		}
	}
	return out
}

// TestPageIsTrue executes every example of docs/reference/sigma.md.
func TestPageIsTrue(t *testing.T) {
	all := examples(t)
	if len(all) < 40 {
		t.Fatalf("only %d examples", len(all))
	}
	for _, ex := range all {
		t.Run(fmt.Sprint("line ", ex.line), func(t *testing.T) {
			text := ex.rule + "\n"
			if strings.HasPrefix(text, "detection:") {
				text = "title: T\nlogsource: {product: linux}\n" + text
			}
			switch ex.kind {
			case "events":
				checkEvents(t, text, ex.said)
			case "error":
				checkError(t, text, ex.said)
			default:
				t.Errorf("nothing is said about the rule")
			}
		})
	}
}

func checkError(t *testing.T, rule, want string) {
	t.Helper()
	_, err := sigma.Parse("x.yml", []byte(rule))
	p, ok := sigma.ProblemOf(err)
	got := p.Msg
	if p.Example != "" {
		got += "\n" + strings.TrimSpace(p.Example)
	}
	if !ok || got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func checkEvents(t *testing.T, rule, said string) {
	t.Helper()
	var o sigma.Options
	if values, rest, ok := strings.Cut(said, "\n"); ok && strings.HasPrefix(values, "placeholders ") {
		said = rest
		if err := json.Unmarshal([]byte(strings.TrimPrefix(values, "placeholders ")), &o.Placeholders); err != nil {
			t.Fatal(err)
		}
	}
	rules, problems := sigma.Check("x.yml", []byte(rule))
	for _, p := range problems {
		if p.Severity != sigma.SeverityNote && !strings.Contains(p.Msg, "Sigma 1") {
			t.Errorf("%s", p)
		}
	}
	engine, err := sigma.Compile(rules, o)
	if err != nil {
		t.Fatal(err)
	}
	view := engine.NewView()
	for _, line := range strings.Split(said, "\n") {
		sign, event, _ := strings.Cut(line, " ")
		view.Reset()
		if err := view.Load([]byte(event)); err != nil || sign != "+" && sign != "-" {
			t.Fatalf("%s: %v", line, err)
		}
		hit := false
		for _, r := range rules {
			engine.Match(view, []sigma.Logsource{r.Logsource}, func(sigma.Match) { hit = true })
		}
		if hit != (sign == "+") {
			t.Errorf("%s: matches %t", line, hit)
		}
	}
}

// TestPageHasEveryModifier fails for a modifier without a heading and an
// example that uses it.
func TestPageHasEveryModifier(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	all := examples(t)
	for _, m := range sigma.Modifiers() {
		if !strings.Contains(string(b), "\n### `"+m+"`\n") {
			t.Errorf("docs/reference/sigma.md has no heading for `%s`", m)
		}
		used := false
		for _, ex := range all {
			used = used || ex.kind == "events" && (strings.Contains(ex.rule, "|"+m+":") || strings.Contains(ex.rule, "|"+m+"|") || strings.Contains(ex.rule, "|"+m+"':"))
		}
		if !used {
			t.Errorf("docs/reference/sigma.md has no example of `%s`", m)
		}
	}
}
