package main

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
)

// A log's successors have their number behind the origin and the same key;
// nothing else is taken for one of them.
func TestGenerationKey(t *testing.T) {
	vkey := func(origin string) string {
		v, err := audit.VerifierKey(origin, core.NewSecret(testSeed("log")))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := vkey("a/serve/main")
	for checkpoint, want := range map[string]string{
		"a/serve/main\n3\n":      first,
		"a/serve/main/g2\n3\n":   vkey("a/serve/main/g2"),
		"a/serve/main/g02\n3\n":  first,
		"a/serve/main/x/g2\n3\n": first,
		"b/serve/main/g2\n3\n":   first,
		"":                       first,
		"a/serve/main+x/g2\n":    first,
	} {
		if got := generationKey(first, []byte(checkpoint)); got != want {
			t.Errorf("%q: %s", checkpoint, got)
		}
	}
	if got := generationKey(vkey("a/serve/main/g2"), []byte("a/serve/main\n")); got != first {
		t.Errorf("back to the first: %s", got)
	}
	for _, bad := range []string{"", "x", "a/serve/main+00000000+!!", "a/serve/main+00000000+" + strings.Repeat("A", 8)} {
		if got := generationKey(bad, []byte("a/serve/main/g2\n")); got != bad {
			t.Errorf("%q became %q", bad, got)
		}
	}
}
