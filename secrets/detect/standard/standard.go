// Package standard joins what Interlock looks for: the rules and file readers of
// secrets/detect/rules and the grammars of secrets/detect/grammar. It stands
// above all three, so that a program that brings its own rules links none of
// ours.
package standard

import (
	"slices"

	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/grammar"
	"github.com/interlock-security/interlock/secrets/detect/rules"
	"github.com/interlock-security/interlock/secrets/detect/samples"
)

// Config is the whole pack, with decoding.
func Config() detect.Config {
	return detect.Config{
		Rules: rules.All(),
		// The readers of known formats come first: they know more.
		Grammars: slices.Concat(rules.Grammars(), rules.Judged(grammar.All())),
		Inline:   detect.InlineWords(),
		Sample:   samples.Judge,
		Decode:   detect.DefaultDecode,
	}
}
