package gpio

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is what the driver asks of the machine: one method for each system
// call, so that a test can be the kernel.
type kernel interface {
	// Devices lists the device files of chips.
	Devices() []string
	Open(path string) (fd int, err error)
	// Ioctl passes a structure in and takes it back.
	Ioctl(fd int, request uint, arg []byte) error
	Read(fd int, b []byte) (int, error)
	// Poll waits until one of the descriptors has something or is broken, wake
	// is readable, or the time is over. It returns what poll(2) says of each.
	Poll(fds []int, wake int, limit time.Duration) ([]int16, error)
	Close(fd int) error
}

// linux is the real one.
type linux struct{}

// Devices implements kernel.
func (linux) Devices() []string {
	paths, err := filepath.Glob("/dev/gpiochip*")
	if err != nil {
		return nil // a pattern of ours can't be bad
	}
	slices.Sort(paths)
	return paths
}

// Open implements kernel. A path that is no character device is not opened: a
// pipe in its place would hang.
func (linux) Open(path string) (int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return -1, err
	}
	if info.Mode()&os.ModeCharDevice == 0 {
		return -1, unix.ENOTTY
	}
	return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// Ioctl implements kernel.
func (linux) Ioctl(fd int, request uint, arg []byte) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(unsafe.SliceData(arg)))) //nolint:gosec // the kernel writes no further than arg, whose size the request names
		runtime.KeepAlive(arg)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// Read implements kernel.
func (linux) Read(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// Poll implements kernel.
func (linux) Poll(fds []int, wake int, limit time.Duration) ([]int16, error) {
	set := make([]unix.PollFd, 0, len(fds)+1)
	for _, fd := range fds {
		set = append(set, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	set = append(set, unix.PollFd{Fd: int32(wake), Events: unix.POLLIN})
	if _, err := unix.Poll(set, int(max(0, limit.Milliseconds()))); err != nil && err != unix.EINTR {
		return nil, err
	}
	revents := make([]int16, len(fds))
	for i := range fds {
		revents[i] = set[i].Revents
	}
	return revents, nil
}

// Close implements kernel.
func (linux) Close(fd int) error { return unix.Close(fd) }
