// Package watchdog is the driver for the machine's hardware watchdog: a dead man's
// switch. As long as this program runs, the driver pets the watchdog; where it no
// longer does, because somebody killed the agent or stopped the kernel, the
// hardware resets the machine. That the last reset was the watchdog's the driver
// tells at its start.
//
// An agent that ends in order closes the watchdog in order, so that an update is
// no reset. A kernel built to keep a watchdog running (nowayout) resets all the
// same; the inventory says so beforehand.
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

const (
	defaultDevice  = "/dev/watchdog0"
	defaultTimeout = time.Minute
	point          = "watchdog"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "watchdog", Senses: "that the agent runs; that the last reset was the watchdog's",
	Interface: "/dev/watchdog*, WDIOC ioctls", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "watchdog_reset", Severity: core.SeverityHigh, Alarm: true, Meaning: "the hardware reset this machine: before, something stopped the agent or the kernel"},
		{Type: "watchdog_gone", Severity: core.SeverityHigh, Alarm: true, Meaning: "the watchdog no longer answers"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedSimulator},
}

// Config configures the driver.
type Config struct {
	// Device is the watchdog's file, /dev/watchdog0 where it is left out.
	Device string `yaml:"device,omitempty"`
	// Timeout is how long after the last petting the hardware resets the machine,
	// whole seconds, 1 minute where it is left out. The driver pets four times in it.
	Timeout time.Duration `yaml:"timeout,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Device != "" && (!filepath.IsAbs(c.Device) || filepath.Clean(c.Device) != c.Device || strings.ContainsRune(c.Device, 0)):
		return invalid("device %q is no clean absolute path", c.Device)
	case c.Timeout != 0 && (c.Timeout < time.Second || c.Timeout > time.Hour || c.Timeout%time.Second != 0):
		return invalid("timeout %s; allowed are whole seconds from 1s to 1h", c.Timeout)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "watchdog.Config", fmt.Sprintf(format, args...))
}

// board is the hardware, as the driver needs it.
type board interface {
	// info returns the watchdog's name and whether it made the last reset.
	info() (identity string, reset bool, err error)
	// setTimeout asks for a timeout and returns the one that is in force.
	setTimeout(time.Duration) (time.Duration, error)
	pet() error
	// close ends it in order: the machine is not reset, unless the kernel was
	// told to keep watchdogs running.
	close() error
}

// Sensor pets a watchdog; see [New].
type Sensor struct {
	env  sensor.Env
	cfg  Config
	open func(path string) (board, error)
	// told is that the last reset was told: once, not at each start of the driver.
	told bool
}

// New returns a driver for one watchdog.
func New(env sensor.Env, c Config) (sensor.Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return newSensor(env, c), nil
}

func newSensor(env sensor.Env, c Config) *Sensor {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Device == "" {
		c.Device = defaultDevice
	}
	return &Sensor{env: env, cfg: c, open: openKernel}
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "watchdog", Needs: []sensor.Need{sensor.NeedDevice, sensor.NeedRoot}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyPoll, MaxSilence: s.cfg.Timeout, Always: true,
	}
}

// Probe implements [sensor.Sensor]. It does not open the watchdog: that starts it.
func (s *Sensor) Probe() sensor.Presence {
	path := s.env.Path(s.cfg.Device)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return sensor.Skipped("this machine has no watchdog at " + path)
	}
	return sensor.Present()
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) (err error) {
	b, err := s.open(s.env.Path(s.cfg.Device))
	if errors.Is(err, unix.EBUSY) {
		return core.E(core.KindConflict, "watchdog.Run", "another program holds "+s.cfg.Device).
			WithHint("systemd does where RuntimeWatchdogSec is set; watch that with `systemctl show` and leave this sensor out")
	}
	if err != nil {
		return core.Wrap(core.KindUnavailable, "watchdog.Run", err)
	}
	defer func() { err = errors.Join(err, b.close()) }()
	every, err := s.begin(b, emit)
	if err != nil {
		return err
	}
	for {
		if err := b.pet(); err != nil {
			emit(sensor.Reading{Kind: sensor.Pulse, Point: point, Type: "watchdog_gone", Alarm: true, Severity: core.SeverityHigh, Fields: sensor.Fields(map[string]any{"why": sensor.Text(err.Error())})})
			return core.Wrap(core.KindUnavailable, "watchdog.Run", err)
		}
		emit(sensor.Reading{Kind: sensor.Beat})
		select {
		case <-ctx.Done():
			return nil
		case <-s.env.Clock.After(every):
		}
	}
}

// begin sets the timeout and says what is there. It returns how often to pet.
func (s *Sensor) begin(b board, emit func(sensor.Reading)) (time.Duration, error) {
	identity, reset, err := b.info()
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "watchdog.Run", err)
	}
	timeout, err := b.setTimeout(s.cfg.Timeout)
	if err != nil {
		return 0, core.Wrap(core.KindUnavailable, "watchdog.Run", err)
	}
	emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Fields: sensor.Fields(map[string]any{
		"device": s.cfg.Device, "identity": sensor.Text(identity), "timeout_s": timeout.Seconds(), "keeps_running": s.keepsRunning(), "made_last_reset": reset,
	})})
	if reset && !s.told {
		s.told = true
		emit(sensor.Reading{Kind: sensor.Pulse, Point: point, Type: "watchdog_reset", Alarm: true, Severity: core.SeverityHigh, Fields: sensor.Fields(map[string]any{"identity": sensor.Text(identity)})})
	}
	return timeout / 4, nil
}

// keepsRunning says whether the kernel refuses to stop the watchdog.
func (s *Sensor) keepsRunning() bool {
	text, err := sysfs.Read(s.env.Path("sys/class/watchdog", filepath.Base(s.cfg.Device), "nowayout"))
	return err == nil && text == "1"
}
