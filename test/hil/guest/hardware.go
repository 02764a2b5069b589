//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

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
