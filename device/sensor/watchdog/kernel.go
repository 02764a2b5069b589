package watchdog

import (
	"bytes"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// device is the kernel's watchdog (Documentation/watchdog/watchdog-api.rst).
// Opening it starts it.
type device struct{ file *os.File }

func openKernel(path string) (board, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return device{f}, nil
}

// fd runs fn with the descriptor.
func (d device) fd(fn func(fd int) error) error {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	err = conn.Control(func(fd uintptr) { done = fn(int(fd)) })
	return errors.Join(err, done)
}

func (d device) info() (identity string, reset bool, err error) {
	err = d.fd(func(fd int) error {
		support, err := unix.IoctlGetWatchdogInfo(fd)
		if err != nil {
			return err
		}
		name, _, _ := bytes.Cut(support.Identity[:], []byte{0})
		identity = string(name)
		status, err := unix.IoctlGetUint32(fd, unix.WDIOC_GETBOOTSTATUS)
		reset = err == nil && status&unix.WDIOF_CARDRESET != 0
		return nil // a driver that can't tell the reason of the last reset is a watchdog all the same
	})
	return identity, reset, err
}

func (d device) setTimeout(want time.Duration) (got time.Duration, err error) {
	err = d.fd(func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, int(want/time.Second)); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		seconds, err := unix.IoctlGetUint32(fd, unix.WDIOC_GETTIMEOUT)
		got = time.Duration(seconds) * time.Second
		return err
	})
	if err == nil && got <= 0 {
		err = errors.New("the watchdog says that its timeout is 0")
	}
	return got, err
}

func (d device) pet() error { return d.fd(unix.IoctlWatchdogKeepalive) }

// close writes the letter by which a watchdog knows that it is meant.
func (d device) close() error {
	_, err := d.file.WriteString("V")
	return errors.Join(err, d.file.Close())
}
