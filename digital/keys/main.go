package keys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/interlock-security/interlock/core"
)

// ChildFD is the descriptor on which a child finds its end of the socketpair.
const ChildFD = 3

// Main is the body of the hidden verb `child keys`: it hardens the process and
// serves on the inherited descriptor until the parent closes its end.
func Main(ctx context.Context, fd uintptr, dir string, o Options) error {
	locked, err := harden(os.Getppid())
	if err != nil {
		return err
	}
	o.memoryLocked = locked
	conn, err := inherited(fd)
	if err != nil {
		return err
	}
	return errors.Join(Serve(ctx, conn, dir, o), closeQuietly(conn))
}

// inherited takes a descriptor over, and refuses one that is no unix socket:
// somebody started the verb by hand.
func inherited(fd uintptr) (net.Conn, error) {
	const op = "keys.Main"
	f := os.NewFile(fd, "keys")
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

func closeQuietly(c net.Conn) error {
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
