//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/test/hil/control"
)

// chipLabel is what the chip calls itself.
const chipLabel = "interlock-case"

// simulated is the folder by which gpio-sim is configured.
const simulated = "/config/gpio-sim/case"

// chip is a GPIO chip with 8 lines: 0 is the lid, 1 the seal, 2 is free.
type chip struct {
	sysfs string // where its lines are pulled
}

// make brings the chip to life and returns its device. A chip that was removed
// comes back with the same label.
func (c *chip) make() (any, error) {
	bank := filepath.Join(simulated, "bank0")
	if !exists(bank) {
		for _, dir := range []string{simulated, bank, bank + "/line0", bank + "/line1"} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return nil, err
			}
		}
		for file, text := range map[string]string{"num_lines": "8", "label": chipLabel, "line0/name": "LID", "line1/name": "SEAL"} {
			if err := write(filepath.Join(bank, file), text); err != nil {
				return nil, err
			}
		}
	}
	if err := write(simulated+"/live", "1"); err != nil {
		return nil, err
	}
	name, err := text(bank + "/chip_name")
	if err != nil {
		return nil, err
	}
	device, err := text(simulated + "/dev_name")
	if err != nil {
		return nil, err
	}
	c.sysfs = filepath.Join("/sys/devices/platform", device, name)
	err = wait("/dev/"+name, func() bool { return exists("/dev/" + name) })
	return control.File{Path: "/dev/" + name}, err
}

// remove takes the whole chip away, as somebody does who pulls a board.
func (c *chip) remove() error { return write(simulated+"/live", "0") }

func (c *chip) pullFile(line int) string {
	return filepath.Join(c.sysfs, "sim_gpio"+strconv.Itoa(line), "pull")
}

func (c *chip) pull(line int, up bool) error {
	if c.sysfs == "" {
		return errors.New("there is no chip")
	}
	return write(c.pullFile(line), map[bool]string{true: "pull-up", false: "pull-down"}[up])
}

// bounce makes short pulses, and says how long the longest really was.
func (c *chip) bounce(b control.Bounce) (any, error) {
	var longest time.Duration
	for range b.Times {
		began := monotonic()
		if err := c.pull(b.Line, true); err != nil {
			return nil, err
		}
		for monotonic()-began < time.Duration(b.Width)*time.Microsecond {
			// Busy: a timer would make the pulse longer than asked.
		}
		if err := c.pull(b.Line, false); err != nil {
			return nil, err
		}
		longest = max(longest, monotonic()-began)
	}
	return control.Bounced{Longest: longest.Microseconds()}, nil
}

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0) }

func text(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimSpace(string(b)), err
}

// adm9240 is the hardware monitor that is simulated, and its registers: what it
// says that it is, and the interrupt status whose bit 4 is the case.
const (
	adm9240         = 0x2c
	registerAlarm   = 0x42
	bitCaseIntruded = 0x10
)

// makeHwmon puts the chip on the simulated bus and binds the driver.
func makeHwmon() (any, error) {
	bus, err := stubBus()
	if err != nil {
		return nil, err
	}
	for register, value := range map[byte]byte{0x3e: 0x23, 0x3f: 0x10, registerAlarm: 0} {
		if err := smbusWrite(bus, adm9240, register, value); err != nil {
			return nil, err
		}
	}
	if err := write(filepath.Join("/sys/bus/i2c/devices", bus, "new_device"), fmt.Sprintf("adm9240 %#x", adm9240)); err != nil {
		return nil, err
	}
	var found []string
	err = wait("intrusion0_alarm", func() bool {
		found, _ = filepath.Glob("/sys/class/hwmon/hwmon*/intrusion0_alarm")
		if len(found) == 0 {
			found, _ = filepath.Glob("/sys/class/hwmon/hwmon*/device/intrusion0_alarm")
		}
		return len(found) > 0
	})
	return control.Listing{Names: found}, err
}

// raiseHwmon sets the bit that the chip sets when its case input opens.
func raiseHwmon() error {
	bus, err := stubBus()
	if err != nil {
		return err
	}
	return smbusWrite(bus, adm9240, registerAlarm, bitCaseIntruded)
}

// stubBus finds the bus of i2c-stub.
func stubBus() (string, error) {
	buses, _ := filepath.Glob("/sys/bus/i2c/devices/i2c-*")
	for _, b := range buses {
		if name, err := text(b + "/name"); err == nil && strings.Contains(name, "stub") {
			return filepath.Base(b), nil
		}
	}
	return "", errors.New("there is no simulated I²C bus")
}

// The ioctls of /dev/i2c-* (linux/i2c-dev.h).
const (
	i2cSlaveForce = 0x0706
	i2cSMBus      = 0x0720
	smbusByteData = 2
)

// smbusWrite writes a register of a chip. The driver that is bound to the chip
// is passed by, as electricity does.
func smbusWrite(bus string, address, register, value byte) error {
	f, err := os.OpenFile(filepath.Join("/dev", bus), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.IoctlSetInt(int(f.Fd()), i2cSlaveForce, int(address)); err != nil {
		return fmt.Errorf("address %#x: %w", address, err)
	}
	data := [34]byte{value}
	arg := struct {
		read, register uint8
		_              [2]byte
		size           uint32
		data           *[34]byte
	}{0, register, [2]byte{}, smbusByteData, &data}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), i2cSMBus, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return fmt.Errorf("register %#x: %w", register, errno)
	}
	return nil
}
