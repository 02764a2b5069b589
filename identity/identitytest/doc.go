// Package identitytest is people for tests: an authenticator written in Go that
// answers as a passkey does, and a [Rig] of people over a real database, audit
// log and Guard.
package identitytest
