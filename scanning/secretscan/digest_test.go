package secretscan

import (
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
)

// worded is a grammar that hears certain words.
type worded []string

func (worded) Rules() []detect.Rule { return []detect.Rule{{ID: "worded"}} }

func (w worded) Keywords() []string { return w }

func (worded) At(detect.Text, int, int, func(detect.Hit)) {}

func (worded) Wants(string) bool { return false }

func (worded) All(detect.Text, func(detect.Hit)) {}

// TestDigest: a scan is held against an earlier one by the digest of its rules. One
// that is another in each run would let nothing ever be verified.
func TestDigest(t *testing.T) {
	of := func(words ...string) string {
		return digest(&detect.Config{Grammars: []detect.Grammar{worded(words)}, Rules: []detect.Rule{{ID: "a", Keywords: words}}})
	}
	if of("curl", "mysql") != of("mysql", "curl") {
		t.Error("the same words in another order are other rules")
	}
	if of("curl", "mysql") == of("curl") {
		t.Error("fewer words are the same rules")
	}
}
