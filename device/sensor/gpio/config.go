package gpio

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// The contacts of a line.
const (
	// ContactNC is a loop that is closed while all is well: a cut wire and a
	// switch that was pulled off alarm as an opening does.
	ContactNC = "nc"
	// ContactNO is a contact that closes when something is wrong. A cut wire
	// looks like calm; use it for what can't be had otherwise.
	ContactNO = "no"
)

// The words of a line whose configuration has none.
const (
	TypeOpened = "case_intrusion"
	TypeClosed = "case_closed"
)

// defaultDebounce is between the 20 ms of a bounce that must be nothing and the
// 60 ms of an opening that must be one.
const defaultDebounce = 30 * time.Millisecond

// Limits of a configuration.
const (
	MaxLines    = 32
	maxDebounce = 10 * time.Second
)

// Line is one input line, as the agent's configuration has it.
type Line struct {
	// Name is what events call the line: "lid". Each once.
	Name string `yaml:"name"`
	// Chip is the chip's label ("gpio-sim.0-node0"), its name ("gpiochip0") or
	// the path of its device ("/dev/gpiochip0"). The label is the safest: the
	// kernel gives numbers in the order in which chips appear.
	Chip   string `yaml:"chip"`
	Offset uint32 `yaml:"offset"`
	// Contact is nc or no, nc if left out.
	Contact string `yaml:"contact,omitempty"`
	// Active is the electrical level of a closed contact: low (a switch to
	// ground, the default) or high.
	Active string `yaml:"active,omitempty"`
	// Bias is the chip's own resistor: up, down, off. Left out, it stays as it is.
	Bias string `yaml:"bias,omitempty"`
	// Debounce is how long a level must hold; the kernel counts. 0 means 30 ms.
	Debounce time.Duration `yaml:"debounce,omitempty"`
	// Latch false lets an alarm end with its level: a door that people use.
	Latch *bool `yaml:"latch,omitempty"`
	// Severity of an alarm, critical if left out.
	Severity core.Severity `yaml:"severity,omitempty"`
	// Drive is an output line that opens the loop, for the self-test.
	Drive *Drive `yaml:"drive,omitempty"`
}

var nameRE = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)

// Config configures a sensor.
type Config struct {
	// Lines are what it watches.
	Lines []Line `yaml:"lines,omitempty"`
}

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "gpio", Senses: "contacts: a case switch, a reed, a loop through the screws, a door", Interface: "/dev/gpiochip*, GPIO uAPI v2",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedRecorded},
	Events: []sensor.EventDoc{
		{Type: TypeOpened, Severity: core.SeverityCritical, Alarm: true, Meaning: "a line left its calm side"},
		{Type: TypeClosed, Severity: core.SeverityInfo, Meaning: "that side is calm again; a latch stays"},
		{Type: "edges_lost", Severity: core.SeverityHigh, Meaning: "the kernel had to drop changes of a line"},
		{Type: "chip_removed", Severity: core.SeverityCritical, Alarm: true, Meaning: "the chip behind watched lines went away"},
	},
}

// Validate says what is wrong with the lines of a sensor.
func (c Config) Validate() error {
	lines := c.Lines
	if len(lines) == 0 || len(lines) > MaxLines {
		return invalid("%d lines; allowed are 1 to %d", len(lines), MaxLines)
	}
	seen := map[string]bool{}
	for i, l := range lines {
		if err := l.check(); err != nil {
			return fmt.Errorf("lines[%d]: %w", i, err)
		}
		places := []string{l.Name, fmt.Sprintf("%s line %d", l.Chip, l.Offset)}
		if l.Drive != nil {
			places = append(places, fmt.Sprintf("%s line %d", l.Drive.Chip, l.Drive.Offset))
		}
		for _, place := range places {
			if seen[place] {
				return invalid("lines[%d]: %s stands twice", i, place)
			}
			seen[place] = true
		}
	}
	return nil
}

func (l Line) check() error {
	switch {
	case !nameRE.MatchString(l.Name):
		return invalid("name %q; letters, digits, '.', '_' and '-', at most 32", l.Name)
	case l.Chip == "" || len(l.Chip) > 128 || strings.ContainsAny(l.Chip, "\x00\n"):
		return invalid("chip %q is no label, name or path", l.Chip)
	case strings.HasPrefix(l.Chip, "/") && filepath.Clean(l.Chip) != l.Chip:
		return invalid("chip %q is not a clean path", l.Chip)
	case l.Offset >= maxOffset:
		return invalid("offset %d; a chip has fewer lines than %d", l.Offset, maxOffset)
	case !slices.Contains([]string{"", ContactNC, ContactNO}, l.Contact):
		return invalid("contact %q; known are nc, no", l.Contact)
	case !slices.Contains([]string{"", "low", "high"}, l.Active):
		return invalid("active %q; known are low, high", l.Active)
	case !slices.Contains([]string{"", "up", "down", "off"}, l.Bias):
		return invalid("bias %q; known are up, down, off", l.Bias)
	case l.Debounce != 0 && (l.Debounce < time.Millisecond || l.Debounce > maxDebounce):
		return invalid("debounce %s; allowed are 1ms to %s", l.Debounce, maxDebounce)
	case l.Severity != "" && l.Severity.Rank() < core.SeverityLow.Rank():
		return invalid("severity %q; known are low, medium, high, critical", l.Severity)
	}
	if l.Drive != nil {
		if err := l.Drive.check(); err != nil {
			return fmt.Errorf("drive: %w", err)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "gpio.Config", fmt.Sprintf(format, args...))
}

// maxOffset is far above any chip's lines.
const maxOffset = 1 << 16

func (l Line) debounce() time.Duration {
	if l.Debounce == 0 {
		return defaultDebounce
	}
	return l.Debounce
}

func (l Line) severity() core.Severity {
	if l.Severity == "" {
		return core.SeverityCritical
	}
	return l.Severity
}

// alarming says whether a line in the given logical state (closed or not) is
// what it is there to notice.
func (l Line) alarming(closed bool) bool {
	if l.Contact == ContactNO {
		return closed
	}
	return !closed
}

// flags are the line's flags for the kernel, without its edges.
func (l Line) flags() uint64 {
	f := uint64(flagInput)
	if l.Active != "high" {
		f |= flagActiveLow
	}
	switch l.Bias {
	case "up":
		f |= flagBiasUp
	case "down":
		f |= flagBiasDown
	case "off":
		f |= flagBiasOff
	}
	return f
}
