package power

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "power", Senses: "supplies and batteries, supply rails, throttling, the heat of the processor",
	Interface: "/sys/class/power_supply (with uevents), get_throttled, rpi_volt, /sys/class/thermal, thermal_throttle; a voltage file that is named", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "supply_removed", Severity: core.SeverityHigh, Alarm: true, Meaning: "a supply or a battery that was there is gone"},
		{Type: "supply_added", Severity: core.SeverityLow, Meaning: "a supply or a battery is new"},
		{Type: "uevent_refused", Severity: core.SeverityMedium, Meaning: "a message on the kernel's socket made no sense"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// Config configures the driver. What is told means something only to judges:
// give the sensor the judges power and environment.
type Config struct {
	// Supplies are the names in /sys/class/power_supply to read; all if left out.
	// A named one that is missing is a fault.
	Supplies []string `yaml:"supplies,omitempty"`
	// Rails are files that measure a supply rail.
	Rails []Rail `yaml:"rails,omitempty"`
	// Throttle is the file of a Raspberry Pi's throttle flags, or none; left out,
	// it is the one of the platform where that is there.
	Throttle string `yaml:"throttle,omitempty"`
	// Thermal says whether the thermal zones are read; they are if left out.
	Thermal *bool `yaml:"thermal,omitempty"`
	// Every is how often all is read, 1 s if left out.
	Every time.Duration `yaml:"every,omitempty"`
}

// Rail is a file with a voltage or a current.
type Rail struct {
	// Name is what events call it: "5v".
	Name string `yaml:"name"`
	// Path is the file; it may have * where the kernel numbers by chance, and
	// must mean one file: /sys/bus/i2c/devices/1-0040/hwmon/hwmon*/in1_input.
	Path string `yaml:"path"`
	// Scale makes volts or amperes of what the file says; 0.001 if left out.
	Scale float64 `yaml:"scale,omitempty"`
	// Unit is V or A; V if left out.
	Unit sensor.Unit `yaml:"unit,omitempty"`
}

const (
	maxRails    = 16
	maxSupplies = 16
	maxZones    = 24
	minEvery    = 50 * time.Millisecond
	maxEvery    = 10 * time.Second
)

var (
	railRE   = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)
	supplyRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:+-]{0,63}$`)
)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case len(c.Supplies) > maxSupplies || len(c.Rails) > maxRails:
		return invalid("%d supplies, %d rails; at most %d and %d", len(c.Supplies), len(c.Rails), maxSupplies, maxRails)
	case c.Every != 0 && (c.Every < minEvery || c.Every > maxEvery):
		return invalid("every %s; allowed are %s to %s", c.Every, minEvery, maxEvery)
	case c.Throttle != "" && c.Throttle != "none" && !isPath(c.Throttle):
		return invalid("throttle %q; none, or a clean path", c.Throttle)
	}
	for _, name := range c.Supplies {
		if !supplyRE.MatchString(name) {
			return invalid("supply %q; a name in /sys/class/power_supply", name)
		}
	}
	seen := map[string]bool{}
	for i, r := range c.Rails {
		if err := r.validate(); err != nil {
			return fmt.Errorf("rails[%d]: %w", i, err)
		}
		if seen[r.Name] {
			return invalid("rails[%d]: %s stands twice", i, r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}

func (r Rail) validate() error {
	switch {
	case !railRE.MatchString(r.Name):
		return invalid("name %q; letters, digits, '.', '_' and '-', at most 32", r.Name)
	case !isPath(r.Path):
		return invalid("path %q; a clean path that begins with /", r.Path)
	case !(r.Scale >= 0 && r.Scale <= 1e6):
		return invalid("scale %g", r.Scale)
	case !slices.Contains([]sensor.Unit{"", sensor.UnitVolt, sensor.UnitAmpere}, r.Unit):
		return invalid("unit %q; known are V, A", r.Unit)
	}
	return nil
}

func isPath(p string) bool {
	_, err := filepath.Match(p, "")
	return strings.HasPrefix(p, "/") && filepath.Clean(p) == p && len(p) <= 512 && !strings.ContainsAny(p, "\x00\n") && err == nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "power.Config", fmt.Sprintf(format, args...))
}

func (c Config) every() time.Duration { return cmp.Or(c.Every, time.Second) }

func (c Config) thermal() bool { return c.Thermal == nil || *c.Thermal }
