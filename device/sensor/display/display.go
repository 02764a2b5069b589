// Package display is the driver that watches the connectors for screens (HDMI,
// DisplayPort, VGA): something that is plugged into one is a person in front of
// the machine, or a capture device behind it. The kernel tells of a change; what
// the screen says of itself (EDID) is hashed, and another screen in the same
// connector is told as well.
package display

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
	rescanEvery = 10 * time.Second
	maxSilence  = 60 * time.Second
	settle      = 500 * time.Millisecond

	maxConnectors = 64
	maxEDID       = 32 << 10
)

// The events.
const (
	typeAttached = "interface_attached"
	typeRemoved  = "interface_removed"
	typeSwapped  = "interface_swapped"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "display", Senses: "screens that are plugged into HDMI, DisplayPort or VGA", Interface: "/sys/class/drm, kernel uevents",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedSimulator},
	Events: append([]sensor.EventDoc{
		{Type: typeAttached, Severity: core.SeverityMedium, Alarm: true, Meaning: "something was plugged into a connector"},
		{Type: typeRemoved, Severity: core.SeverityMedium, Alarm: true, Meaning: "the screen that belongs to a connector is gone; the way back of the other"},
		{Type: typeSwapped, Severity: core.SeverityMedium, Alarm: true, Meaning: "a connector has another screen than before"},
	}, uevent.Doc...),
}

// Config configures the sensor.
type Config struct {
	// Connected are the connectors that have a screen: "HDMI-A-1". At all others one
	// that is plugged in alarms; at these one that is pulled does.
	Connected []string `yaml:"connected,omitempty"`
}

// connectorRE is a connector's name behind its card's: "card0-HDMI-A-1".
var connectorRE = regexp.MustCompile(`^card\d{1,3}-([A-Za-z][A-Za-z0-9-]{0,30})$`)

// Validate says what is wrong with the list.
func (c Config) Validate() error {
	for i, name := range c.Connected {
		if !connectorRE.MatchString("card0-" + name) {
			return core.E(core.KindInvalid, "display.Config", fmt.Sprintf("connected[%d]: %q is no connector's name, \"HDMI-A-1\"", i, name))
		}
	}
	return nil
}

// screen is what is at a connector.
type screen struct {
	status string // connected, disconnected, unknown
	edid   string // a hash, "" where the screen says nothing
}

// Sensor watches connectors; see [New].
type Sensor struct {
	env       sensor.Env
	sysfs     string
	connected []string
	open      func() (uevent.Source, error)
	// known outlives a run.
	known map[string]screen
}

// New returns a driver that reads the environment's sysfs.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{env: env, sysfs: env.Path("sys"), connected: slices.Clone(c.Connected), open: uevent.Open, known: map[string]screen{}}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "display", Needs: []sensor.Need{sensor.NeedUevent, sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Debounce: time.Second, Latches: true,
	}
}

// Probe implements [sensor.Sensor]. A machine whose connectors were seen before
// is not skipped: they are gone.
func (s *Sensor) Probe() sensor.Presence {
	found, err := s.scan()
	if err != nil || len(found) == 0 && len(s.known) == 0 {
		return sensor.Skipped("this kernel shows no connector at " + s.class())
	}
	return uevent.Probe(s.open)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: s.open, Every: rescanEvery, Settle: settle, Emit: emit,
		Start: func() error { return w.look("") }, Event: w.change, Look: w.look,
	})
}

// SelfTest implements [sensor.SelfTester].
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	all := []sensor.Finding{uevent.SelfTest(ctx, s.env, s.open)}
	found, err := s.scan()
	if err != nil {
		return append(all, sensor.Found("connectors", sensor.Fail, err.Error()))
	}
	for _, name := range names(found) {
		switch c := found[name]; c.status {
		case "connected":
			all = append(all, sensor.Found(name, sensor.Pass, "a screen is there"))
		case "disconnected":
			all = append(all, sensor.Found(name, sensor.Untried, "it is empty: plug a screen in to see whether it is noticed"))
		default:
			all = append(all, sensor.Found(name, sensor.Warning, "the kernel can't tell whether a screen is there: "+c.status))
		}
	}
	return all
}

func (s *Sensor) class() string { return filepath.Join(s.sysfs, "class/drm") }

// scan lists the connectors. What is built in (the panel of a laptop) and what
// software makes can't be plugged.
func (s *Sensor) scan() (map[string]screen, error) {
	entries, err := os.ReadDir(s.class())
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "display.scan", fmt.Errorf("list connectors: %w", err))
	}
	found := map[string]screen{}
	for _, e := range entries {
		m := connectorRE.FindStringSubmatch(e.Name())
		if m == nil || slices.ContainsFunc([]string{"eDP", "LVDS", "DSI", "DPI", "Virtual", "Writeback"}, func(p string) bool { return strings.HasPrefix(m[1], p) }) {
			continue
		}
		if len(found) == maxConnectors {
			return nil, core.E(core.KindTooLarge, "display.scan", fmt.Sprintf("more than %d connectors", maxConnectors))
		}
		dir := filepath.Join(s.class(), e.Name())
		status, err := sysfs.Read(filepath.Join(dir, "status"))
		if err != nil {
			status = "unreadable: " + err.Error()
		}
		found[e.Name()] = screen{sensor.Text(status), edid(filepath.Join(dir, "edid"))}
	}
	return found, nil
}

// edid hashes what a screen says of itself. Screens of one series say nearly the
// same, with a serial number if their maker cared.
func edid(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, maxEDID))
	if errors.Join(err, f.Close()) != nil || len(b) == 0 {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
