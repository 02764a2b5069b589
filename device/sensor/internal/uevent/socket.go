package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// ErrOverrun says that the kernel dropped messages: what is known of the bus
// is out of date, and only a full re-scan mends it.
var ErrOverrun = errors.New("the kernel dropped uevents")

// ErrForeign says that a message did not come from the kernel. Any process
// with the right capability can send to the group; none is believed.
var ErrForeign = errors.New("uevent from a process, not from the kernel")

// Source gives uevents one by one. Recv ends with an error once ctx does.
type Source interface {
	Recv(ctx context.Context, buf []byte) (int, error)
	Close() error
}

// groupKernel is the multicast group of the kernel; 2 is udev's.
const groupKernel = 1

// rcvBuf is what a burst of plugging may fill before messages are dropped.
const rcvBuf = 4 << 20

// socket is a NETLINK_KOBJECT_UEVENT socket in Go's poller, so that closing it
// wakes a reader.
type socket struct{ file *os.File }

// Open opens the kernel's socket.
func Open() (Source, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "uevent.Open", err)
	}
	// Without the privilege the default buffer stays: overruns come sooner and
	// are mended the same way.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rcvBuf) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, rcvBuf)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel}); err != nil {
		_ = unix.Close(fd)
		return nil, core.Wrap(core.KindUnavailable, "uevent.Open", err)
	}
	return &socket{os.NewFile(uintptr(fd), "uevent")}, nil
}

// Close implements [Source].
func (s *socket) Close() error { return s.file.Close() }

// Recv implements [Source].
func (s *socket) Recv(ctx context.Context, buf []byte) (int, error) {
	stop := context.AfterFunc(ctx, func() { _ = s.file.Close() })
	defer stop()
	raw, err := s.file.SyscallConn()
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "uevent.Recv", err)
	}
	var n int
	var from unix.Sockaddr
	var recvErr error
	err = raw.Read(func(fd uintptr) bool {
		n, from, recvErr = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(recvErr, unix.EAGAIN) && !errors.Is(recvErr, unix.EINTR)
	})
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "uevent.Recv", err)
	}
	return received(n, from, recvErr)
}

// received judges what recvfrom said.
func received(n int, from unix.Sockaddr, err error) (int, error) {
	switch {
	case errors.Is(err, unix.ENOBUFS):
		return 0, ErrOverrun
	case err != nil:
		return 0, core.Wrap(core.KindUnavailable, "uevent.Recv", fmt.Errorf("read uevents: %w", err))
	}
	if sa, ok := from.(*unix.SockaddrNetlink); !ok || sa.Pid != 0 {
		return 0, ErrForeign
	}
	return n, nil
}
