// Package rules is what Interlock knows of how leaked secrets look: the token
// formats of providers, key formats, and the files that keep credentials.
//
// It stands on secrets/detect and secrets/detect/verify alone. A rule's Check
// refuses what its format can prove false (a checksum, a structure, a documented
// example), so that what is reported is worth a look; it never asks anybody.
//
// A rule for a format that gitleaks knows too has gitleaks' name for it, so that
// ignore files carry over.
package rules

import (
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/secrets/detect"
	"github.com/interlock-security/interlock/secrets/detect/rules/files"
	"github.com/interlock-security/interlock/secrets/detect/rules/keys"
)

const (
	low      = core.SeverityLow
	medium   = core.SeverityMedium
	high     = core.SeverityHigh
	critical = core.SeverityCritical
)

// All returns the token and key formats, family by family.
func All() []detect.Rule {
	var all []detect.Rule
	for _, family := range []func() []detect.Rule{
		aws, gcp, azure, clouds, forges, packages, ci, chat, payment, mail,
		databases, observability, identity, ai, products, social, vaults,
		networks, currency, web, hashes, named, paths,
	} {
		all = append(all, family()...)
	}
	return all
}

// Grammars returns the readers of key formats and of files of a known format.
func Grammars() []detect.Grammar {
	return append(keys.Grammars(), files.Grammars()...)
}

// end stands behind a token that has no last character of its own.
const end = `(?:[^\w\-]|\z)`

// token is a rule for a value that its own look gives away.
func token(id, title string, severity core.Severity, pattern string, keywords ...string) detect.Rule {
	return detect.Rule{
		ID: id, Title: title, Kind: detect.KindToken, Severity: severity,
		Keywords: keywords, Regex: `\b(` + pattern + `)` + end, Group: 1,
		Entropy: 2.5, Check: genuine, Tags: []string{"token"},
	}
}

// raw is token without the borders, for what brings its own.
func raw(id, title string, severity core.Severity, pattern string, keywords ...string) detect.Rule {
	r := token(id, title, severity, pattern, keywords...)
	r.Regex, r.Group = pattern, 0
	return r
}

func checked(r detect.Rule, check func([]byte) detect.Verdict) detect.Rule {
	r.Check = check
	return r
}

func ofKind(k detect.Kind, rules ...detect.Rule) []detect.Rule {
	for i := range rules {
		rules[i].Kind = k
	}
	return rules
}

// checksummed is proven for formats whose fixed part is a word.
func checksummed(holds func([]byte) bool) func([]byte) detect.Verdict {
	return func(secret []byte) detect.Verdict {
		if holds(secret) {
			return detect.Valid
		}
		return detect.Invalid
	}
}

// proven makes a check of a checksum: what fails it is no secret.
func proven(holds func([]byte) bool) func([]byte) detect.Verdict {
	return func(secret []byte) detect.Verdict {
		if genuine(secret) == detect.Invalid || !holds(secret) {
			return detect.Invalid
		}
		return detect.Valid
	}
}
