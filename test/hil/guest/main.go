//go:build linux

// Command guest is the first process of the virtual machine in the
// hardware-in-the-loop test: it mounts, loads the modules, brings the network
// up, and then does what the host asks for over the second serial port. It
// holds no expectation of its own; judging is the host's.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/test/hil/control"
)

func main() {
	hello, err := boot()
	port, portErr := openPort("/dev/ttyS1")
	if portErr != nil {
		end(errors.Join(err, portErr))
	}
	if err := say(port, 0, hello, err); err != nil {
		end(err)
	}
	end(serve(port))
}

// end says why on the console and switches the machine off: there is nobody
// left who could do anything here.
func end(err error) {
	fmt.Println("guest: the end:", err)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// boot brings the machine up.
func boot() (control.Hello, error) {
	hello := control.Hello{}
	if err := mountKernel(); err != nil {
		return hello, err
	}
	// What the kernel has to say goes to its log, and to the console only when
	// it is an error: the console is a slow serial line.
	_ = os.WriteFile("/proc/sys/kernel/printk", []byte("4 4 1 7"), 0)
	var err error
	if hello.Modules, err = loadModules(); err != nil {
		return hello, err
	}
	if err := mountOthers(); err != nil {
		return hello, err
	}
	if err := network(); err != nil {
		return hello, err
	}
	hello.DiskFS = "ext4"
	hello.TPM, _ = filepath.Glob("/dev/tpm*")
	version, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	hello.Kernel = strings.TrimSpace(string(version))
	hello.UpMS = monotonic().Milliseconds()
	return hello, nil
}

// monotonic is the time since the kernel started, which is also the clock of
// the timestamps on GPIO events.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail with this clock
	return time.Duration(ts.Nano())
}

type mount struct{ source, target, kind string }

func mountAll(list ...mount) error {
	for _, m := range list {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.source, m.target, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.kind, m.target, err)
		}
	}
	return nil
}

func mountKernel() error {
	return mountAll(mount{"proc", "/proc", "proc"}, mount{"sysfs", "/sys", "sysfs"}, mount{"devtmpfs", "/dev", "devtmpfs"}, mount{"tmpfs", "/run", "tmpfs"}, mount{"tmpfs", "/tmp", "tmpfs"})
}

// mountOthers needs modules. The agent's folder lies on a real filesystem on a
// disk, so that an fsync is one.
func mountOthers() error {
	if err := wait("the state disk", func() bool { return exists("/dev/vda") }); err != nil {
		return err
	}
	return mountAll(mount{"configfs", "/config", "configfs"}, mount{"/dev/vda", control.StateDir, "ext4"})
}

// parameters are the module parameters that differ from the defaults. That USB
// is closed is left to the agent here, so that the test sees who closed it.
var parameters = map[string]string{"i2c-stub.ko": addresses()}

// loadModules loads what lies in /modules, in the order of its list.
func loadModules() (int, error) {
	list, err := os.ReadFile("/modules/order")
	if err != nil {
		return 0, err
	}
	names := strings.Fields(string(list))
	for _, name := range names {
		if err := loadModule(filepath.Join("/modules", name), parameters[name]); err != nil {
			return 0, fmt.Errorf("module %s: %w", name, err)
		}
	}
	return len(names), nil
}

func loadModule(path, parameters string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	err = unix.FinitModule(int(f.Fd()), parameters, 0)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil // it is there, or it is for a processor that this one is not
	}
	return err
}

// network gives the one interface its address. There is no route to anywhere:
// what is not on this link can't be reached.
func network() error {
	for name, address := range map[string]string{"lo": "127.0.0.1/8", "eth0": control.GuestAddress + "/24"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("interface %s: %w", name, err)
		}
		addr, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, addr); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("address of %s: %w", name, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("interface %s up: %w", name, err)
		}
	}
	return nil
}

// openPort opens a serial line for bytes as they are.
func openPort(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag |= unix.CLOCAL | unix.CREAD
	return f, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

// serve does what is asked until the machine is switched off.
func serve(port io.ReadWriter) error {
	m := newMachine()
	lines := bufio.NewScanner(port)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var r control.Request
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("the host says %.80q: %w", line, err)
		}
		result, err := m.do(r)
		if err := say(port, r.ID, result, err); err != nil {
			return err
		}
	}
	return errors.Join(errors.New("the host closed the line"), lines.Err())
}

func say(w io.Writer, id uint64, result any, failed error) error {
	a := control.Answer{ID: id}
	if failed != nil {
		a.Error, result = failed.Error(), nil
	}
	var err error
	if a.Result, err = json.Marshal(result); err != nil {
		return err
	}
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// patience is how long the guest waits for its own kernel, on a host that may be
// busy with others.
const patience = 2 * time.Minute

// wait looks again and again until ok.
func wait(what string, ok func() bool) error {
	for end := monotonic() + patience; !ok(); time.Sleep(2 * time.Millisecond) {
		if monotonic() > end {
			return fmt.Errorf("%s did not come within %s", what, patience)
		}
	}
	return nil
}
