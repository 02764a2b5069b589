package rules_test

import (
	"testing"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules"
)

// words is a grammar that takes every text for a secret.
type words struct{}

func (words) Rules() []detect.Rule {
	return []detect.Rule{{ID: "any", Title: "any", Check: func(b []byte) detect.Verdict {
		if string(b) == "own" {
			return detect.Invalid
		}
		return detect.Unknown
	}}, {ID: "bare", Title: "bare"}}
}
func (words) Keywords() []string                         { return nil }
func (words) At(detect.Text, int, int, func(detect.Hit)) {}
func (words) Wants(string) bool                          { return true }
func (words) All(detect.Text, func(detect.Hit))          {}

func TestJudged(t *testing.T) {
	g := rules.Judged([]detect.Grammar{words{}})[0]
	if !g.Wants("x") {
		t.Error("the grammar itself is gone")
	}
	for value, want := range map[string]detect.Verdict{
		"own": detect.Invalid, "0123456789abcdef0123456789abcdef": detect.Invalid, "Maple4711!": detect.Unknown,
	} {
		if got := g.Rules()[0].Check([]byte(value)); got != want {
			t.Errorf("%s: %v, want %v", value, got, want)
		}
	}
	if g.Rules()[1].Check([]byte("own")) != detect.Unknown {
		t.Error("a rule without a check refuses")
	}
}
