package keys

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/interlock-security/interlock/platform/supervise"
)

// ChildFD is the descriptor on which a child finds its end of the socketpair.
const ChildFD = supervise.ChildFD

// Main is the body of the hidden verb `child keys`: it hardens the process and
// serves on the inherited descriptor until the parent closes its end.
func Main(ctx context.Context, fd uintptr, dir string, o Options) error {
	locked, err := harden(os.Getppid())
	if err != nil {
		return err
	}
	o.memoryLocked = locked
	conn, err := supervise.Inherited(fd)
	if err != nil {
		return err
	}
	return errors.Join(Serve(ctx, conn, dir, o), closeQuietly(conn))
}

func closeQuietly(c net.Conn) error {
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
