//go:build !race

package sigma_test

const raced = false
