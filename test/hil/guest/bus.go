//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctls of /dev/i2c-* (linux/i2c-dev.h).
const (
	i2cSlaveForce = 0x0706
	i2cSMBus      = 0x0720
	smbusByteData = 2
	smbusWordData = 3
)

// wires is the simulated I²C bus as electricity sees it: the drivers that are
// bound to its chips are passed by.
type wires struct {
	mu   sync.Mutex
	name string // "i2c-1"
	dev  *os.File
}

// open finds the bus of i2c-stub, once.
func (w *wires) open() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dev != nil {
		return nil
	}
	buses, _ := filepath.Glob("/sys/bus/i2c/devices/i2c-*")
	for _, b := range buses {
		name, err := text(b + "/name")
		if err != nil || !strings.Contains(name, "stub") {
			continue
		}
		w.name = filepath.Base(b)
		w.dev, err = os.OpenFile(filepath.Join("/dev", w.name), os.O_RDWR, 0)
		return err
	}
	return errors.New("there is no simulated I²C bus")
}

// device is the folder of a chip on the bus.
func (w *wires) device(address byte) string {
	return filepath.Join("/sys/bus/i2c/devices", fmt.Sprintf("%s-%04x", strings.TrimPrefix(w.name, "i2c-"), address))
}

// bus is the folder of the bus itself.
func (w *wires) bus() string { return filepath.Join("/sys/bus/i2c/devices", w.name) }

// write writes a register of a chip: a byte.
func (w *wires) write(address, register, value byte) error {
	_, err := w.transfer(0, address, register, smbusByteData, uint16(value))
	return err
}

// read reads a register back: a driver may have set it.
func (w *wires) read(address, register byte) (byte, error) {
	value, err := w.transfer(1, address, register, smbusByteData, 0)
	return byte(value), err
}

// writeWord writes 16 bits that the chip's driver reads in one go, low byte first.
func (w *wires) writeWord(address, register byte, value uint16) error {
	_, err := w.transfer(0, address, register, smbusWordData, value)
	return err
}

func (w *wires) transfer(read, address, register byte, size uint32, value uint16) (uint16, error) {
	if err := w.open(); err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := unix.IoctlSetInt(int(w.dev.Fd()), i2cSlaveForce, int(address)); err != nil {
		return 0, fmt.Errorf("address %#x: %w", address, err)
	}
	data := [34]byte{byte(value), byte(value >> 8)}
	arg := struct {
		read, register uint8
		_              [2]byte
		size           uint32
		data           *[34]byte
	}{read, register, [2]byte{}, size, &data}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, w.dev.Fd(), i2cSMBus, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return 0, fmt.Errorf("register %#x: %w", register, errno)
	}
	return uint16(data[0]) | uint16(data[1])<<8, nil
}
