// Package rules is what Interlock knows of how leaked secrets look: the token
// formats of providers, key formats, and the files that keep credentials.
//
// It stands on secrets/detect alone. A rule's Check refuses what its format can
// prove false (a checksum, a structure, a documented example), so that what is
// reported is worth a look; it never asks anybody.
package rules

import "github.com/interlock-security/interlock/secrets/detect"

// All returns the token and key formats, in the order of their families.
func All() []detect.Rule {
	return nil
}

// Grammars returns the readers of files of a known format.
func Grammars() []detect.Grammar {
	return nil
}
