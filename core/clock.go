package core

import "time"

// Clock tells time and wakes. Everything that waits or stamps takes one, so
// that tests own time. Production code uses [SystemClock]; tests use
// core/clocktest.
type Clock interface {
	// Now returns wall time in UTC with a monotonic reading.
	Now() time.Time
	// After returns a channel that receives once after d.
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now implements [Clock]. UTC is taken without losing the monotonic reading.
func (SystemClock) Now() time.Time { return time.Now().UTC() }

// After implements [Clock].
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
