// Package serial is the driver that watches serial ports: one that appears (an
// adapter was plugged in) or goes away, and, at the ports that the configuration
// names, whether a cable is in: what is at its other end drives the port's input
// lines (CTS, DSR, DCD, RI).
//
// It never reads what comes over a port and never becomes its owner: the port is
// opened without a terminal's claim on it, and only its lines are asked for. A
// cable of three wires drives no line, so it can't be seen; nothing is claimed
// of it.
package serial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const (
	// linesEvery is how often the lines are looked at. The kernel can wait for a
	// change, but not give up waiting; it counts every change, so none is missed in
	// between.
	linesEvery  = time.Second
	rescanEvery = 10 * time.Second
	maxSilence  = 60 * time.Second
	settle      = time.Second

	maxPorts = 512
	maxLines = 16
)

// The events.
const (
	typeAttached = "interface_attached"
	typeRemoved  = "interface_removed"
	typeBrief    = "serial_lines_changed"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "serial", Senses: "serial ports that appear or go, and a cable at a console port", Interface: "/sys/class/tty, TIOCMGET, TIOCGICOUNT, kernel uevents",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
	Events: append([]sensor.EventDoc{
		{Type: typeAttached, Severity: core.SeverityMedium, Alarm: true, Meaning: "a serial port is new, or a cable was plugged into one; high for a cable"},
		{Type: typeRemoved, Severity: core.SeverityHigh, Alarm: true, Meaning: "a serial port is gone, or the cable that belongs into one; low and no alarm for a port that came after the start"},
		{Type: typeBrief, Severity: core.SeverityHigh, Alarm: true, Meaning: "the lines of a port moved and are as before: a cable was there for less than a second"},
	}, uevent.Doc...),
}

// The states that a port's cable should be in.
const (
	CableOut = "out" // the default
	CableIn  = "in"
)

// Line is a port whose lines are watched.
type Line struct {
	Port string `yaml:"port"` // "ttyS0"
	// Cable is whether a cable belongs into it: out (the default) or in.
	Cable string `yaml:"cable,omitempty"`
}

// Config configures the sensor. Without lines only the ports themselves are
// watched, and none is opened.
type Config struct {
	// Lines are the ports whose cable is watched. To open a port raises its DTR and
	// RTS lines, as any program that uses it does.
	Lines []Line `yaml:"lines,omitempty"`
}

var portRE = regexp.MustCompile(`^tty[A-Za-z0-9]{1,28}$`)

// Validate says what is wrong with the lines.
func (c Config) Validate() error {
	if len(c.Lines) > maxLines {
		return invalid("%d lines, at most %d", len(c.Lines), maxLines)
	}
	seen := map[string]bool{}
	for i, l := range c.Lines {
		switch {
		case !portRE.MatchString(l.Port):
			return invalid("lines[%d].port: %q is no port's name, \"ttyS0\"", i, l.Port)
		case seen[l.Port]:
			return invalid("lines[%d].port: %q stands twice", i, l.Port)
		case l.Cable != "" && l.Cable != CableOut && l.Cable != CableIn:
			return invalid("lines[%d].cable: %q; known are out, in", i, l.Cable)
		}
		seen[l.Port] = true
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "serial.Config", fmt.Sprintf(format, args...))
}

// Sensor watches serial ports; see [New].
type Sensor struct {
	env   sensor.Env
	sysfs string
	lines []Line
	open  func() (uevent.Source, error)
	// openPort opens a port for its lines.
	openPort func(path string) (port, error)
	// known and first outlive a run; first are the ports of the first look.
	known map[string]string
	first map[string]bool
}

// New returns a driver that reads the environment's /sys and opens its /dev.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{env: env, sysfs: env.Path("sys"), lines: slices.Clone(c.Lines), open: uevent.Open, openPort: openPort}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	caps := sensor.Capabilities{
		Kind: "serial", Needs: []sensor.Need{sensor.NeedUevent, sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Latches: true,
	}
	if len(s.lines) > 0 {
		caps.Needs, caps.Latency, caps.Delay = append(caps.Needs, sensor.NeedDevice), sensor.LatencyPoll, linesEvery
	}
	return caps
}

// Probe implements [sensor.Sensor]. A machine without a port is watched all the
// same: one may be plugged in.
func (s *Sensor) Probe() sensor.Presence {
	if _, err := s.scan(); err != nil {
		return sensor.Skipped("this kernel shows no terminals at " + s.class())
	}
	return uevent.Probe(s.open)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit}
	defer w.close()
	every := rescanEvery
	if len(s.lines) > 0 {
		every = linesEvery
	}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: s.open, Every: every, Settle: settle, Emit: emit, Start: w.start, Event: w.change, Look: w.look,
	})
}

func (s *Sensor) class() string { return filepath.Join(s.sysfs, "class/tty") }

// scan lists the ports that have hardware behind them, with where it sits. What
// the kernel only keeps room for is none.
func (s *Sensor) scan() (map[string]string, error) {
	entries, err := os.ReadDir(s.class())
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "serial.scan", fmt.Errorf("list terminals: %w", err))
	}
	found := map[string]string{}
	for _, e := range entries {
		at, ok := s.port(e.Name())
		if !ok {
			continue
		}
		if len(found) == maxPorts {
			return nil, core.E(core.KindTooLarge, "serial.scan", fmt.Sprintf("more than %d serial ports", maxPorts))
		}
		found[e.Name()] = at
	}
	return found, nil
}

func (s *Sensor) port(name string) (at string, ok bool) {
	dir := filepath.Join(s.class(), name)
	if !portRE.MatchString(name) {
		return "", false
	}
	if _, err := os.Stat(filepath.Join(dir, "device")); err != nil {
		return "", false
	}
	if kind, err := sysfs.Read(filepath.Join(dir, "type")); err == nil && kind == "0" {
		return "", false // a slot of the 8250 driver without a chip
	}
	target, err := os.Readlink(dir)
	if err != nil || strings.Contains(target, "/virtual/") {
		return "", false
	}
	target, _, _ = strings.Cut(target, "/tty/")
	return sensor.Text(strings.TrimPrefix(strings.TrimLeft(target, "./"), "devices/")), true
}
