package rules

import (
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/known"
)

// Judged lets what is known of token formats speak against what grammars find: a
// value whose checksum fails is no secret because a name stands before it.
func Judged(grammars []detect.Grammar) []detect.Grammar {
	out := make([]detect.Grammar, len(grammars))
	for i, g := range grammars {
		rules := g.Rules()
		own := make([]detect.Rule, len(rules))
		for n, r := range rules {
			r.Check = unless(known.Disproved, r.Check)
			own[n] = r
		}
		out[i] = judged{Grammar: g, rules: own}
	}
	return out
}

type judged struct {
	detect.Grammar
	rules []detect.Rule
}

// Rules implements detect.Grammar.
func (j judged) Rules() []detect.Rule { return j.rules }

func unless(refused func([]byte) bool, check func([]byte) detect.Verdict) func([]byte) detect.Verdict {
	return func(secret []byte) detect.Verdict {
		if refused(secret) {
			return detect.Invalid
		}
		if check == nil {
			return detect.Unknown
		}
		return check(secret)
	}
}
