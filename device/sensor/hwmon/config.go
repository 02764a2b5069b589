package hwmon

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "hwmon", Senses: "the mainboard's case switch; voltages, currents, power, fans, temperatures of its chips",
	Interface: "/sys/class/hwmon", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "case_intrusion", Severity: core.SeverityCritical, Alarm: true, Meaning: "the case was opened"},
		{Type: "case_closed", Severity: core.SeverityInfo, Meaning: "the switch is calm again; a latch stays"},
		{Type: "chip_removed", Severity: core.SeverityCritical, Alarm: true, Meaning: "the chip behind watched inputs went away while they were watched: tampering"},
		{Type: "chip_added", Severity: core.SeverityInfo, Meaning: "a chip that people named and that was missing is there"},
		{Type: "rearm_failed", Severity: core.SeverityMedium, Meaning: "the mainboard's own case latch could not be opened, so it goes on saying open"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// Config configures the driver.
type Config struct {
	// Chips are the names of the chips to read; all if left out. A named one that
	// is missing is a fault.
	Chips []string `yaml:"chips,omitempty"`
	// Measures are the kinds of numbers to read beside, or instead of, the case
	// switch: in (voltages), curr, power, fan, temp, humidity.
	Measures []string `yaml:"measures,omitempty"`
	// Switch says whether the case switch is read. Left out, it is unless there
	// are measures: a sensor that only measures must not look as if it watched
	// the case.
	Switch *bool `yaml:"switch,omitempty"`
}

const maxChips = 32

// quantity is a kind of attribute, with what the kernel's unit must be
// multiplied by (Documentation/hwmon/sysfs-interface).
type quantity struct {
	unit   sensor.Unit
	factor float64
}

var quantities = map[string]quantity{
	"in":       {sensor.UnitVolt, 1e-3},
	"curr":     {sensor.UnitAmpere, 1e-3},
	"power":    {sensor.UnitWatt, 1e-6},
	"fan":      {sensor.UnitRPM, 1},
	"temp":     {sensor.UnitCelsius, 1e-3},
	"humidity": {sensor.UnitPercent, 1e-3},
}

var chipRE = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$`)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if len(c.Chips) > maxChips {
		return invalid("%d chips; at most %d", len(c.Chips), maxChips)
	}
	for _, name := range c.Chips {
		if !chipRE.MatchString(name) {
			return invalid("chip %q; a name as in /sys/class/hwmon/hwmon*/name", name)
		}
	}
	for _, kind := range c.Measures {
		if _, known := quantities[kind]; !known {
			return invalid("measures: %q; known are %s", kind, strings.Join(slices.Sorted(maps.Keys(quantities)), ", "))
		}
	}
	if len(c.Measures) == 0 && !c.reads() {
		return invalid("switch: false and no measures; there is nothing to read")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "hwmon.Config", fmt.Sprintf(format, args...))
}

// reads says whether the case switch is read.
func (c Config) reads() bool {
	if c.Switch == nil {
		return len(c.Measures) == 0
	}
	return *c.Switch
}
