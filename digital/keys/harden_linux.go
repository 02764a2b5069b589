package keys

import (
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/platform/supervise"
)

// harden makes the process what the package's doc says. Locking memory is an
// extra that needs rights; whether it worked is reported.
func harden(parent int) (memoryLocked bool, err error) {
	if err := supervise.Harden(parent); err != nil {
		return false, err
	}
	return lockMemory(), nil
}

// lockMemory keeps key bytes off the swap. With a limit in force a later
// allocation would fail instead, and end the process, so it is not tried.
func lockMemory() bool {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil || limit.Cur != unix.RLIM_INFINITY {
		return false
	}
	return unix.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT) == nil
}

func dumpable() bool {
	v, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return err != nil || v != 0
}
