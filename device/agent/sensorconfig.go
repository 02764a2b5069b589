package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor/gpio"
	"github.com/interlock-security/interlock/device/sensor/usb"
)

// The drivers that this build has.
const (
	DriverCarrier = "carrier"
	DriverDisk    = "disk"
	DriverGPIO    = "gpio"
	DriverHwmon   = "hwmon"
	DriverUSB     = "usb"
	DriverSim     = "sim"
)

// Drivers returns the names of the drivers that this build has.
func Drivers() []string {
	return []string{DriverCarrier, DriverDisk, DriverGPIO, DriverHwmon, DriverUSB, DriverSim}
}

// The reflexes that a latch can set off.
const (
	ReflexQuarantine = "quarantine"
	ReflexStop       = "stop"
)

// ownSensor is the name under which the agent itself latches; no sensor may
// have it.
const ownSensor = "agent"

// SensorConfig configures one sensor. A key that its driver doesn't have is an
// error: somebody who wrote it believes that something is watched.
type SensorConfig struct {
	ID     string `yaml:"id"`
	Driver string `yaml:"driver"` // one of Drivers
	// Interfaces are the network interfaces that carrier watches; none means
	// all but loopback.
	Interfaces []string `yaml:"interfaces,omitempty"`
	// Lines are what gpio watches.
	Lines []gpio.Line `yaml:"lines,omitempty"`
	// Chips are the chips that hwmon reads, by name; none means each that has
	// a chassis switch.
	Chips []string `yaml:"chips,omitempty"`
	// Policy is what usb does about a device that Allow does not list.
	Policy usb.Policy `yaml:"policy,omitempty"`
	Allow  []usb.Rule `yaml:"allow,omitempty"`
	// Script and Socket feed a simulated sensor.
	Script string `yaml:"script,omitempty"`
	Socket string `yaml:"socket,omitempty"`
	// Latch overrides whether an alarm stays until it is released.
	Latch *bool `yaml:"latch,omitempty"`
	// Reflex is what a latch of this sensor sets off at once: quarantine, stop.
	// Leaving it out means quarantine; an empty list means nothing.
	Reflex *[]string `yaml:"reflex,omitempty"`
}

// RunOnly replaces the configured sensors by one for each driver named, as a
// command line does. None named leaves them as they are.
func (c *Config) RunOnly(drivers []string) {
	if len(drivers) == 0 {
		return
	}
	c.Sensors = nil
	for _, driver := range drivers {
		c.Sensors = append(c.Sensors, SensorConfig{ID: driver, Driver: driver})
	}
}

func (c *Config) validateSensors() error {
	seen := map[string]bool{ownSensor: true}
	for i, s := range c.Sensors {
		if _, err := core.ParseID[core.SensorID](s.ID); err != nil {
			return fmt.Errorf("sensors[%d].id: %w", i, err)
		}
		if seen[s.ID] {
			return invalid("sensors[%d].id: %q is taken", i, s.ID)
		}
		seen[s.ID] = true
		if err := s.validate(); err != nil {
			return fmt.Errorf("sensors[%d]: %w", i, err)
		}
	}
	return nil
}

func (s SensorConfig) validate() error {
	if !slices.Contains(Drivers(), s.Driver) {
		return invalid("driver: %q; this build has %s", s.Driver, strings.Join(Drivers(), ", "))
	}
	if key := s.foreignKey(); key != "" {
		return invalid("%s: the driver %s has no such key", key, s.Driver)
	}
	for _, r := range s.reflexes() {
		if r != ReflexQuarantine && r != ReflexStop {
			return invalid("reflex: %q; known are quarantine, stop", r)
		}
	}
	switch s.Driver {
	case DriverGPIO:
		return gpio.Check(s.Lines)
	case DriverUSB:
		return usb.Check(s.Policy, s.Allow)
	}
	return nil
}

// foreignKey returns a key that is set and belongs to another driver.
func (s SensorConfig) foreignKey() string {
	for _, k := range []struct {
		key, driver string
		set         bool
	}{
		{"interfaces", DriverCarrier, len(s.Interfaces) > 0},
		{"lines", DriverGPIO, len(s.Lines) > 0},
		{"chips", DriverHwmon, len(s.Chips) > 0},
		{"policy", DriverUSB, s.Policy != ""},
		{"allow", DriverUSB, len(s.Allow) > 0},
		{"script", DriverSim, s.Script != ""},
		{"socket", DriverSim, s.Socket != ""},
	} {
		if k.set && k.driver != s.Driver {
			return k.key
		}
	}
	return ""
}

func (s SensorConfig) reflexes() []string {
	if s.Reflex == nil {
		return []string{ReflexQuarantine}
	}
	return *s.Reflex
}
