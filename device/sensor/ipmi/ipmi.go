// Package ipmi is the driver for the case switch behind a management controller
// (BMC) that speaks IPMI: this machine's, through /dev/ipmiN, or one in the
// network, by RMCP+. It reads the sensors of physical security and the
// controller's event log, and changes nothing: an account of the lowest level
// (user) is enough, and is what it should get.
//
// The flag of Get Chassis Status is not relied on: controllers leave it clear
// while their own sensor says open. A controller that doesn't answer is a fault,
// a sensor that it can't read likewise. The log tells of what opened and closed
// between two looks; clearing it is told.
package ipmi

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/credential"
)

const (
	defaultPoll  = 5 * time.Second
	defaultSuite = 17
	defaultPort  = "623"
	// lookTimeout bounds one look, whatever the controller does.
	lookTimeout = 30 * time.Second
	// dialTimeout bounds the making of a session and the reading of the repository.
	dialTimeout = 60 * time.Second
	maxSensors  = 32
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "ipmi", Senses: "the case switch behind a management controller (BMC), and the controller's event log",
	Interface: "IPMI 2.0: /dev/ipmi* or RMCP+ (UDP 623), sensors of type 05h, SEL", Latency: sensor.LatencyPoll,
	Events: []sensor.EventDoc{
		{Type: "case_intrusion", Severity: core.SeverityCritical, Alarm: true, Meaning: "a sensor of physical security says open, or the log says that it did"},
		{Type: "case_closed", Severity: core.SeverityInfo, Meaning: "the sensor says closed"},
		{Type: "bmc_log_cleared", Severity: core.SeverityHigh, Alarm: true, Meaning: "somebody cleared the controller's event log"},
		{Type: "bmc_event", Severity: core.SeverityInfo, Meaning: "another entry of the controller's event log"},
	},
	Tested: []sensor.Tested{sensor.TestedPeer},
}

// Config configures the driver.
type Config struct {
	// Address is a controller in the network, 192.0.2.5 or 192.0.2.5:623. Left
	// out, it is this machine's own, through the kernel.
	Address string `yaml:"address,omitempty"`
	// Device is the number of /dev/ipmiN, where address is left out.
	Device int `yaml:"device,omitempty"`
	// Credentials is a file of mode 0600 with a name and a password, a line each;
	// for an address.
	Credentials string `yaml:"credentials,omitempty"`
	// Suite is the cipher suite of the network's sessions: 17 (SHA-256), which is
	// taken where it is left out, or 3 (SHA-1) for an older controller.
	Suite int `yaml:"suite,omitempty"`
	// Sensors are the numbers of the sensors to read. None means each of type 05h
	// (physical security) in the controller's repository.
	Sensors []int `yaml:"sensors,omitempty"`
	// Settings says that the controller's accounts and what it boots next are read
	// too, each minute, as parts for the judge component. In the network the
	// controller tells them to an account of the level operator alone.
	Settings bool `yaml:"settings,omitempty"`
	// Poll is how often it looks, 5s where it is left out.
	Poll time.Duration `yaml:"poll,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Poll != 0 && (c.Poll < time.Second || c.Poll > 30*time.Second):
		return invalid("poll %s; allowed are 1s to 30s, within which the controller keeps a session", c.Poll)
	case c.Device < 0 || c.Device > 99:
		return invalid("device %d; allowed are 0 to 99", c.Device)
	case len(c.Sensors) > maxSensors:
		return invalid("sensors: %d of them; %d are the most", len(c.Sensors), maxSensors)
	}
	for i, n := range c.Sensors {
		if n < 1 || n > 254 {
			return invalid("sensors[%d]: %d; allowed are 1 to 254", i, n)
		}
	}
	if c.Address == "" {
		if c.Credentials != "" || c.Suite != 0 {
			return invalid("credentials and suite are for an address")
		}
		return nil
	}
	if _, err := c.endpoint(); err != nil {
		return err
	}
	if _, known := suites[c.Suite]; c.Suite != 0 && !known {
		return invalid("suite %d; 17 or 3", c.Suite)
	}
	if c.Device != 0 {
		return invalid("address and device: one of them")
	}
	return credential.Check(c.Credentials)
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "ipmi.Config", fmt.Sprintf(format, args...))
}

// endpoint is the address with its port.
func (c Config) endpoint() (string, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		host, port = strings.Trim(c.Address, "[]"), defaultPort
	}
	if host == "" || port == "" || sensor.Text(c.Address) != c.Address {
		return "", invalid("address %q; a host, and a port where it isn't %s", sensor.Text(c.Address), defaultPort)
	}
	return net.JoinHostPort(host, port), nil
}

// Sensor asks one controller; see [New].
type Sensor struct {
	env sensor.Env
	cfg Config
	// log is how far the controller's log was read. It outlives a run: what is
	// logged while the driver is being restarted is told.
	log logPlace
	had bool // the controller has answered once
}

// New returns a driver for one controller.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.Suite == 0 {
		c.Suite = defaultSuite
	}
	return &Sensor{env: env, cfg: c}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	needs := []sensor.Need{sensor.NeedDevice}
	if s.cfg.Address != "" {
		needs = []sensor.Need{sensor.NeedService}
	}
	return sensor.Capabilities{
		Kind: "bmc", Needs: needs, Provenance: core.ProvenanceLocal, Latency: sensor.LatencyPoll,
		Delay: s.cfg.Poll + tryFor, MaxSilence: dialTimeout + 2*s.cfg.Poll, Latches: true,
	}
}

// Probe implements [sensor.Sensor]. A controller in the network was configured;
// one of this machine may be what the machine doesn't have.
func (s *Sensor) Probe() sensor.Presence {
	if s.cfg.Address != "" || s.had {
		return sensor.Present()
	}
	path := s.env.Path("dev", fmt.Sprintf("ipmi%d", s.cfg.Device))
	if _, err := os.Stat(path); err != nil {
		return sensor.Skipped(path + " is not there: no controller, or its kernel modules (ipmi_si, ipmi_devintf) are not loaded")
	}
	return sensor.Present()
}

func (s *Sensor) dial(ctx context.Context) (controller, error) {
	if s.cfg.Address == "" {
		return dialLocal(ctx, s.cfg.Device)
	}
	with, err := credential.Load(s.cfg.Credentials)
	if err != nil {
		return nil, err
	}
	defer with.Password.Wipe()
	endpoint, err := s.cfg.endpoint()
	if err != nil {
		return nil, err
	}
	role := byte(roleUser)
	if s.cfg.Settings {
		role = roleOperator
	}
	return dialLAN(ctx, endpoint, with, suites[s.cfg.Suite], role)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w, err := s.start(ctx, emit)
	if err != nil {
		return err
	}
	defer w.controller.close()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.env.Clock.After(s.cfg.Poll):
		}
	}
}

// start makes a session and finds the sensors.
func (s *Sensor) start(ctx context.Context, emit func(sensor.Reading)) (*watch, error) {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	w := &watch{sensor: s, controller: c, emit: emit, open: map[byte]bool{}}
	if err := w.find(ctx); err != nil {
		c.close()
		return nil, err
	}
	s.had = true
	return w, nil
}
