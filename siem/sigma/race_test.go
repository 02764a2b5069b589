//go:build race

package sigma_test

// raced: the detector makes everything ten times as dear and lets pools forget,
// so the long tests do less and allocations are not counted.
const raced = true
