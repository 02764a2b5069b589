// Package core holds the words that more than one folder says: identifiers,
// the event envelope, severities, provenance, principals, the clock, the kinds
// of error, and the three small interfaces ([Guard], [Check], [Sealer]) by
// which an earlier folder asks something of a later one.
//
// It imports the standard library only and every other folder may import it.
// A type that has one owner (an incident, a finding, a secret lease) lives with
// its owner, not here.
package core
