// Package grammar finds the secrets that have no format of their own: home-made
// passwords in assignments, connection strings, command lines, configuration of
// network gear, values that are encoded, split or spread over lines.
//
// It stands on [detect]: each grammar is called where one of its keywords stands
// in a text, reads the few lines around it as what they are, and decides by
// evidence (the name, the operator, the kind of file, the shape of the value,
// what stands near) whether a secret was written down. It refuses placeholders,
// references and names in nanoseconds, allocates nothing unless it reports, looks
// at a bounded part of the text only, and never decides by entropy alone: what
// people choose as passwords is short and low in entropy.
package grammar

import "github.com/interlock-security/interlock/secrets/detect"

// All returns every grammar of this package.
func All() []detect.Grammar {
	return []detect.Grammar{stored{}, urls{}, commands{}, phrases{}, gear{}, calls{}, columns{}, keyed{}, assignments{}}
}
