// Package first takes os.Stderr away before "log" sees it; see package hush,
// which gives it back. It imports os alone, so that nothing delays it.
package first

import "os"

// Stderr is the stream that the process was started with.
var Stderr = take()

func take() *os.File {
	stream := os.Stderr
	os.Stderr = nil // writing to it is an error that nobody sees
	return stream
}
