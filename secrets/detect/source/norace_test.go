//go:build !race

package source_test

const (
	raced           = false
	rounds, commits = 2, 400
)
