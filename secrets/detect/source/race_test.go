//go:build race

package source_test

// raced says that the race detector makes our part dearer, and git's not.
const raced = true
