// Package redfish is the driver for the case switch behind a management
// controller that speaks Redfish: PhysicalSecurity.IntrusionSensor of each
// chassis, over HTTPS, with a certificate that is checked or a key that is
// pinned. It reads and changes nothing: an account with read-only rights is
// enough, and is what it should get.
//
// A controller that doesn't answer is a fault, and so is one that answers
// anything but the three words that the standard has for the switch. Answers are
// asked for in full each time: a controller that keeps an ETag over a change
// would hide the one change that counts.
package redfish

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

const (
	defaultPoll = 10 * time.Second
	// askTimeout bounds one answer.
	askTimeout = 10 * time.Second
	// maxChassis bounds what is read of one controller.
	maxChassis = 16
	service    = "/redfish/v1"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "redfish", Senses: "the case switch behind a management controller (BMC), and its temperatures and fans",
	Interface: "Redfish over HTTPS: Chassis.PhysicalSecurity, Thermal", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "case_intrusion", Severity: core.SeverityCritical, Alarm: true, Meaning: "the chassis was opened, or its switch was tampered with"},
		{Type: "case_closed", Severity: core.SeverityInfo, Meaning: "the controller says that it is closed"},
	},
	Tested: []sensor.Tested{sensor.TestedSimulator}, // answers written after the standard; no controller gave them
}

// Config configures the driver.
type Config struct {
	// URL is the controller's, https://192.0.2.5 for example.
	URL string `yaml:"url,omitempty"`
	// Credentials is a file of mode 0600 with a name and a password, a line each.
	Credentials string `yaml:"credentials,omitempty"`
	// CA is a file with the certificates, in PEM, that may vouch for the
	// controller's. None means those of the machine.
	CA string `yaml:"ca,omitempty"`
	// Pin is the SHA-256 of the controller's public key (SubjectPublicKeyInfo), 64
	// hex digits, for a controller whose certificate nobody vouches for.
	Pin string `yaml:"pin,omitempty"`
	// Chassis are the ids of the chassis to watch. None means each that has a
	// switch.
	Chassis []string `yaml:"chassis,omitempty"`
	// Measures says that temperatures and fans are read too.
	Measures bool `yaml:"measures,omitempty"`
	// Poll is how often it asks, 10s where it is left out.
	Poll time.Duration `yaml:"poll,omitempty"`
}

var chassisID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err == nil && u.User != nil || strings.Contains(c.URL, "@"):
		return invalid("url: a name or a password has no place in it; see credentials")
	case err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("url %q; https://, a host, and no more", sensor.Text(c.URL))
	case c.Poll != 0 && (c.Poll < 2*time.Second || c.Poll > 5*time.Minute):
		return invalid("poll %s; allowed are 2s to 5m", c.Poll)
	case c.CA != "" && c.Pin != "":
		return invalid("ca and pin: one of them")
	case c.CA != "" && !filepath.IsAbs(c.CA):
		return invalid("ca %q; an absolute path", c.CA)
	case len(c.Chassis) > maxChassis:
		return invalid("chassis: %d of them; %d are the most", len(c.Chassis), maxChassis)
	}
	if b, err := hex.DecodeString(c.Pin); c.Pin != "" && (err != nil || len(b) != 32) {
		return invalid("pin %q; 64 hex digits", c.Pin)
	}
	if i := slices.IndexFunc(c.Chassis, func(id string) bool { return !chassisID.MatchString(id) }); i >= 0 {
		return invalid("chassis[%d]: %q is no id", i, c.Chassis[i])
	}
	return credential.Check(c.Credentials)
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "redfish.Config", fmt.Sprintf(format, args...))
}

// Sensor asks one controller; see [New].
type Sensor struct {
	id    core.SensorID
	clock core.Clock
	cfg   Config
	// had are the chassis whose switch was read. They outlive a run: one that is
	// missing from the next answer is a fault and not forgotten.
	had map[string]bool
}

// New returns a driver for one controller.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	c.URL = strings.TrimRight(c.URL, "/")
	return &Sensor{id: env.ID, clock: env.Clock, cfg: c, had: map[string]bool{}}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "bmc", Needs: []sensor.Need{sensor.NeedService}, Provenance: core.ProvenanceLocal, Latency: sensor.LatencyPoll,
		Delay: s.cfg.Poll + askTimeout, MaxSilence: 3*s.cfg.Poll + 2*askTimeout, Latches: true,
	}
}

// Probe implements [sensor.Sensor]. A controller that was configured and doesn't
// answer is a fault and no reason to skip.
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.close()
	w := &watch{sensor: s, client: c, emit: emit}
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.clock.After(s.cfg.Poll):
		}
	}
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	client *client
	emit   func(sensor.Reading)
	told   bool // the inventory
}

// look asks for every chassis.
func (w *watch) look(ctx context.Context) error {
	paths, err := w.paths(ctx)
	if err != nil {
		return err
	}
	var all []chassis
	for _, path := range paths {
		var c chassis
		if err := w.client.get(ctx, path, &c); err != nil {
			return err
		}
		c.path = path
		all = append(all, c)
	}
	if !w.told {
		w.told = true
		w.emit(inventory(all))
	}
	if err := w.switches(all); err != nil {
		return err
	}
	if w.sensor.cfg.Measures {
		w.measures(ctx, all)
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// paths are those of the chassis that are asked for.
func (w *watch) paths(ctx context.Context) ([]string, error) {
	var paths []string
	for _, id := range w.sensor.cfg.Chassis {
		paths = append(paths, service+"/Chassis/"+id)
	}
	if len(paths) > 0 {
		return paths, nil
	}
	var all collection
	if err := w.client.get(ctx, service+"/Chassis", &all); err != nil {
		return nil, err
	}
	for _, m := range all.Members {
		if !inService(m.ID) {
			return nil, core.E(core.KindDamaged, "redfish.Run", fmt.Sprintf("the controller names a chassis %q", sensor.Text(m.ID)))
		}
		if len(paths) < maxChassis {
			paths = append(paths, m.ID)
		}
	}
	return paths, nil
}

// switches reports each switch. A chassis that was asked for by name, or that had
// one, has to have one.
func (w *watch) switches(all []chassis) error {
	found := false
	for _, c := range all {
		point := c.point()
		if c.Security == nil && !w.sensor.had[point] && len(w.sensor.cfg.Chassis) == 0 {
			continue // a shelf, a battery
		}
		found = true
		w.sensor.had[point] = true
		w.emit(c.reading())
	}
	for point := range w.sensor.had {
		if !slices.ContainsFunc(all, func(c chassis) bool { return c.point() == point }) {
			w.emit(broken(point, "the controller no longer tells of this chassis"))
			found = true
		}
	}
	if !found {
		return core.E(core.KindNotFound, "redfish.Run", "no chassis of this controller has a switch (PhysicalSecurity.IntrusionSensor)")
	}
	return nil
}

func broken(point, why string) sensor.Reading {
	return sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]any{"why": why})}
}
