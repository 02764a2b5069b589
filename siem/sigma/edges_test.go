package sigma_test

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/siem/sigma"
)

// TestLongValuesAreSeenWhole: of long values only what matters is folded, and
// some are looked through as they stand. Texts are found at every place of them,
// whatever is around, and however their letters are written.
func TestLongValuesAreSeenWhole(t *testing.T) {
	rules := parse(t, `
title: Ends
author: a
id: 00000000-0000-4000-8000-000000000001
logsource: {product: windows}
detection:
  head: {f|startswith: 'c:\windows\'}
  tail: {f|endswith: '\ki.exe'}
  part: {g|contains: mimikatz}
  condition: head or tail or part
`)
	engine, err := sigma.Compile(rules, sigma.Options{})
	if err != nil {
		t.Fatal(err)
	}
	view := engine.NewView()
	for _, pad := range []string{"a", `\\`, `\n`, `x\\`, "é", `\u0041`, `\"`} {
		for n := range 60 {
			fill := strings.Repeat(pad, n)
			for event, want := range map[string]bool{
				`{"f":"C:\\Windows\\` + fill + `"}`:        true,
				`{"f":"` + fill + `\\KI.exe"}`:             true,
				`{"f":"` + fill + `\\\u212ai.exe"}`:        true,
				`{"f":"` + fill + "\\\\\u212ai.exe\"}":     true,
				`{"f":"` + fill + `\\KI.exe` + fill + `"}`: n == 0,
				`{"g":"` + fill + `MimiKatz` + fill + `"}`: true,
				`{"g":"` + fill + "mimi\u212aatz\"}":       true,
				`{"g":"` + fill + "m\u0131mikatz\"}":       true,
				`{"g":"` + fill + "mimi\\u212aatz\"}":      true,
				`{"g":"` + fill + "mim\xe2\x84katz\"}":     false,
			} {
				view.Reset()
				if err := view.Load([]byte(event)); err != nil {
					t.Fatal(err)
				}
				got := false
				engine.Match(view, []sigma.Logsource{{Product: "windows"}}, func(sigma.Match) { got = true })
				if got != want {
					t.Errorf("%s: %t, want %t", event, got, want)
				}
			}
		}
	}
}
