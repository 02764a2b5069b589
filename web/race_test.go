//go:build race

package web

// raced: the detector makes the database ten times as dear and finds nothing in
// its rows, so a large installation has fewer of them.
const raced = true
