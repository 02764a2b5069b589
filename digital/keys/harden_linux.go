package keys

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// harden makes the process what the package's doc says: no debugger of the same
// user reads its memory, it leaves no core, and it does not outlive its parent.
// Locking memory is an extra that needs rights; whether it worked is reported.
func harden(parent int) (memoryLocked bool, err error) {
	const op = "keys.harden"
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return false, core.Wrap(core.KindInternal, op, err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return false, core.Wrap(core.KindInternal, op, err)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return false, core.Wrap(core.KindInternal, op, err)
	}
	// The parent may have died before the line above.
	if parent != 0 && os.Getppid() != parent {
		return false, core.E(core.KindUnavailable, op, "the process that started this one is gone")
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
