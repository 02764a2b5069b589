package clocktest

import (
	"syscall"
	"testing"
	"time"
)

// CPU is the processor's time that this process has used. Tests measure by it and
// not by the wall's clock, which tells how busy the machine is.
func CPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Cost is the processor's time of one call, the better of two.
func Cost(t testing.TB, call func()) time.Duration {
	t.Helper()
	best := time.Duration(1<<63 - 1)
	for range 2 {
		from := CPU(t)
		call()
		best = min(best, CPU(t)-from)
	}
	return best
}
