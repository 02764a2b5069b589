//go:build race

package source_test

// The race detector makes our part dearer, and git's not: it runs once, and what it
// costs says nothing.
const (
	raced           = true
	rounds, commits = 1, 60
)
