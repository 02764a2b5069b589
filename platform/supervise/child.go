package supervise

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// ChildFD is the descriptor on which a child finds its end of the socketpair.
const ChildFD = 3

// Harden is for a child to call first: no debugger of the same user reads its
// memory, it leaves no core, and it does not outlive its parent.
func Harden(parent int) error {
	const op = "supervise.Harden"
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return core.Wrap(core.KindInternal, op, err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return core.Wrap(core.KindInternal, op, err)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return core.Wrap(core.KindInternal, op, err)
	}
	// The parent may have died before the line above.
	if parent != 0 && os.Getppid() != parent {
		return core.E(core.KindUnavailable, op, "the process that started this one is gone")
	}
	return nil
}

// Inherited takes a descriptor over, and refuses one that is no unix socket:
// somebody started the verb by hand.
func Inherited(fd uintptr) (net.Conn, error) {
	const op = "supervise.Inherited"
	f := os.NewFile(fd, "parent")
	if f == nil {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("descriptor %d is not open", fd))
	}
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, core.E(core.KindInvalid, op, fmt.Sprintf("descriptor %d is no socket", fd)).WithHint("this verb is started by serve")
	}
	if _, unix := conn.(*net.UnixConn); !unix {
		return nil, errors.Join(core.E(core.KindInvalid, op, fmt.Sprintf("descriptor %d is no unix socket", fd)), conn.Close())
	}
	return conn, nil
}
