package serial

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
)

// port is a serial port that is asked for its lines.
type port interface {
	Lines() (lines, error)
	Close() error
}

// lines are the inputs of a port.
type lines struct {
	driven  int    // TIOCM_*
	changes uint64 // how often they changed, as the kernel counts
	counted bool   // the kernel counts
}

const inputs = unix.TIOCM_CTS | unix.TIOCM_DSR | unix.TIOCM_CAR | unix.TIOCM_RI

func (l lines) in() bool { return l.driven&inputs != 0 }

// words names the lines that are driven.
func (l lines) words() []string {
	all := []string{}
	for _, x := range []struct {
		bit  int
		word string
	}{{unix.TIOCM_CTS, "CTS"}, {unix.TIOCM_DSR, "DSR"}, {unix.TIOCM_CAR, "DCD"}, {unix.TIOCM_RI, "RI"}} {
		if l.driven&x.bit != 0 {
			all = append(all, x.word)
		}
	}
	return all
}

// kernelPort is a port of this machine.
type kernelPort struct{ file *os.File }

// openPort opens a port without waiting for a carrier and without becoming its
// terminal's session.
func openPort(path string) (port, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "serial.open", err)
	}
	return kernelPort{f}, nil
}

// Close implements port.
func (p kernelPort) Close() error { return p.file.Close() }

// counters is the kernel's serial_icounter_struct.
type counters struct {
	CTS, DSR, RI, DCD int32
	_                 [16]int32
}

// Lines implements port.
func (p kernelPort) Lines() (lines, error) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return lines{}, core.Wrap(core.KindUnavailable, "serial.Lines", err)
	}
	var l lines
	var getErr error
	err = raw.Control(func(fd uintptr) {
		if l.driven, getErr = unix.IoctlGetInt(int(fd), unix.TIOCMGET); getErr != nil {
			return
		}
		var c counters
		//nolint:gosec // the kernel fills exactly this struct, see linux/serial.h
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c))); errno == 0 {
			l.counted = true
			for _, n := range []int32{c.CTS, c.DSR, c.RI, c.DCD} {
				l.changes += uint64(uint32(n)) //nolint:gosec // a counter that wraps is one that changed
			}
		}
	})
	if err == nil {
		err = getErr
	}
	if err != nil {
		return lines{}, core.Wrap(core.KindUnavailable, "serial.Lines", fmt.Errorf("%s has no modem lines: %w", p.file.Name(), err))
	}
	return l, nil
}
