//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/test/hil/control"
)

// chipKind is a chip that the simulated bus can carry: what it says that it is, and
// the file by which its driver shows that it is bound.
type chipKind struct {
	driver   string
	address  byte
	identity [][2]byte
	shows    string
}

// chips are the chips, by the names of the kernel's drivers.
var chips = []chipKind{
	{"adm9240", 0x2c, [][2]byte{{0x3e, 0x23}, {0x3f, 0x10}, {0x42, 0}, {0x47, 0x50}, {0x20, 192}, {0x21, 192}, {0x22, 192}, {0x23, 192}, {0x24, 192}, {0x25, 192}, {0x27, 35}, {0x28, 225}, {0x29, 225}}, "hwmon/hwmon*/in0_input"},
	// Its 0x4a says that it has no companions on the bus; nor has the next.
	{"w83792d", 0x2d, [][2]byte{{0x4f, 0xa3}, {0x49, 0x7a}, {0x58, 0x7a}, {0x4a, 0x88}, {0x42, 0}}, "intrusion0_alarm"},
	{"w83793", 0x2f, [][2]byte{{0x0d, 0xa3}, {0x0e, 0x7b}, {0x02, 0x88}, {0x0b, 0x2f}, {0x0c, 0x10}, {0x4e, 0}}, "intrusion0_alarm"},
	{"mma8452", 0x1c, [][2]byte{{0x0d, 0x2a}, {0x00, 0x0f}}, "iio:device*/in_accel_x_raw"},
	{"bmc150_accel", 0x18, [][2]byte{{0x00, 0xfa}}, "iio:device*/in_accel_x_raw"},
	{"kxcjk1013", 0x0e, [][2]byte{{0x0f, 0x11}}, "iio:device*/in_accel_x_raw"},
	{"ads1015", 0x4a, nil, "iio:device*/in_voltage0_raw"},
	{"bme280", 0x76, append([][2]byte{{0xd0, 0x60}}, bme280Calibration()...), "iio:device*/in_humidityrelative_input"},
	{"tsl2560", 0x39, nil, "iio:device*/in_illuminance0_input"},
}

// bme280Calibration are the constants of a real chip, from its data sheet: the
// kernel's driver compensates with them.
func bme280Calibration() (list [][2]byte) {
	at := byte(0x88)
	for _, word := range []int{27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000} {
		list = append(list, [2]byte{at, byte(word)}, [2]byte{at + 1, byte(word >> 8)})
		at += 2
	}
	// H1; then H2 to H6, of which H4 and H5 share a byte.
	return append(list, [][2]byte{{0xa1, 75}, {0xe1, 0x6b}, {0xe2, 0x01}, {0xe3, 0}, {0xe4, 0x13}, {0xe5, 0x29}, {0xe6, 0x03}, {0xe7, 0x1e}}...)
}

// addresses is the parameter of i2c-stub that makes these chips.
func addresses() string {
	list := "chip_addr="
	for i, c := range chips {
		if i > 0 {
			list += ","
		}
		list += fmt.Sprintf("%#x", c.address)
	}
	return list
}

func findChip(name string) (chipKind, error) {
	for _, c := range chips {
		if c.driver == name {
			return c, nil
		}
	}
	return chipKind{}, fmt.Errorf("the bus has no %q", name)
}

// make puts a chip on the bus and binds its driver.
func (w *world) make(list control.Listing) (any, error) {
	w.start()
	var shown []string
	for _, name := range list.Names {
		c, err := findChip(name)
		if err != nil {
			return nil, err
		}
		found, err := w.bind(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		shown = append(shown, found)
	}
	return control.Listing{Names: shown}, nil
}

func (w *world) bind(c chipKind) (string, error) {
	if err := w.wires.open(); err != nil {
		return "", err
	}
	for _, r := range c.identity {
		if err := w.wires.write(c.address, r[0], r[1]); err != nil {
			return "", err
		}
	}
	bound := make(chan struct{})
	go w.finishResets(c, bound)
	err := write(filepath.Join(w.wires.bus(), "new_device"), fmt.Sprintf("%s %#x", c.driver, c.address))
	close(bound)
	if err != nil {
		return "", err
	}
	var found []string
	err = wait(c.shows, func() bool {
		found, _ = filepath.Glob(filepath.Join(w.wires.device(c.address), c.shows))
		return len(found) > 0
	})
	if err != nil {
		return "", err
	}
	return found[0], nil
}

// finishResets does what mma8452 does by itself: a reset that was asked for is
// over a moment later, which its driver waits for while it is being bound.
func (w *world) finishResets(c chipKind, bound chan struct{}) {
	if c.driver != "mma8452" {
		return
	}
	for {
		select {
		case <-bound:
			return
		default:
			_ = w.wires.write(c.address, 0x2b, 0)
		}
	}
}

// unplug takes a chip away, as somebody does who pulls a board.
func (w *world) unplug(list control.Listing) (any, error) {
	for _, name := range list.Names {
		c, err := findChip(name)
		if err != nil {
			return nil, err
		}
		if err := write(filepath.Join(w.wires.bus(), "delete_device"), fmt.Sprintf("%#x", c.address)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// caseInput are the registers whose bit says that the chip's case input opened.
var caseInput = map[string][2]byte{"adm9240": {0x42, 0x10}, "w83792d": {0x42, 0x20}, "w83793": {0x4e, 0x40}}

// alarm sets the bit that a chip sets when its case input opens.
func (w *world) alarm(list control.Listing) (any, error) {
	for _, name := range list.Names {
		c, err := findChip(name)
		if err != nil {
			return nil, err
		}
		r, ok := caseInput[name]
		if !ok {
			return nil, fmt.Errorf("%s has no case input", name)
		}
		if err := w.wires.write(c.address, r[0], r[1]); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// makeTrigger makes the timer that clocks an accelerometer's buffer.
func makeTrigger(t control.Trigger) (any, error) {
	dir := "/config/iio/triggers/hrtimer/" + t.Name
	if !exists(dir) {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, err
		}
	}
	triggers, _ := filepath.Glob("/sys/bus/iio/devices/trigger*")
	for _, path := range triggers {
		if name, err := text(path + "/name"); err == nil && name == t.Name {
			return control.File{Path: path}, write(path+"/sampling_frequency", fmt.Sprint(t.Hz))
		}
	}
	return nil, fmt.Errorf("the kernel made no trigger %q", t.Name)
}

// tick is how often the world moves a little: often enough that nothing in it
// stands still for as long as a driver looks.
const tick = 200 * time.Millisecond
