package agent

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/device/spool"
)

// Enforcement is what quarantine does on this machine.
type Enforcement string

// The enforcements.
const (
	// EnforceNone changes nothing and says what it would do.
	EnforceNone Enforcement = "none"
	// EnforceNFT uses the kernel's firewall.
	EnforceNFT Enforcement = "nftables"
	// EnforceSimulated writes the rules to a file; for demonstrations alone.
	EnforceSimulated Enforcement = "simulated"
)

// OutputConfig configures one output.
type OutputConfig struct {
	ID     string `yaml:"id"`
	Driver string `yaml:"driver"` // file: a simulated relay
	Path   string `yaml:"path"`
}

// WorkloadConfig names a program on this machine that gets a key and a
// certificate of its own.
type WorkloadConfig struct {
	Name string `yaml:"name"`
	// Dir is where NAME.key and NAME.crt lie; leaving it out means workloads in
	// the data directory.
	Dir string `yaml:"dir,omitempty"`
}

// id is the workload's name; Validate parsed it.
func (w WorkloadConfig) id() core.ServiceID { return core.MustID[core.ServiceID](w.Name) }

// Config is the agent's configuration. The fields without a name in YAML are
// for the program that starts it.
type Config struct {
	// DataDir holds keys, state and spool; RunDir, which a restart of the
	// machine should empty, the local socket.
	DataDir string `yaml:"data_dir"`
	RunDir  string `yaml:"run_dir"`
	// Device is the name that this machine asks for when it enrols.
	Device string `yaml:"device,omitempty"`
	// RootHash is the trust root's hash from the ceremony sheet. Without it an
	// enrolment is recorded as first use, for ever.
	RootHash string `yaml:"root_hash,omitempty"`
	// Demo makes an enrolment for a demonstration: simulated sensors load, and
	// an agent that was enrolled for real does not start.
	Demo    bool           `yaml:"demo,omitempty"`
	Enforce Enforcement    `yaml:"enforce"`
	DHCP    bool           `yaml:"dhcp,omitempty"` // quarantine keeps the lease alive
	Sensors []SensorConfig `yaml:"sensors"`
	// Schedule is when the device is disarmed by itself, week by week.
	Schedule schedule.Config `yaml:"schedule,omitempty"`
	Outputs  []OutputConfig  `yaml:"outputs,omitempty"`
	// Workloads get certificates for as long as the device is not in quarantine.
	Workloads []WorkloadConfig `yaml:"workloads,omitempty"`
	// SpoolLimit is the space for events that wait, in bytes.
	SpoolLimit int64         `yaml:"spool_limit"`
	Heartbeat  time.Duration `yaml:"heartbeat"`
	// Debounce is how long a level must hold before it counts.
	Debounce time.Duration `yaml:"debounce"`

	// Enrolment is the one string that brings this machine to its server. It
	// is a secret, so it has no place in a file that is kept.
	Enrolment core.Secret     `yaml:"-"`
	Clock     core.Clock      `yaml:"-"`
	Log       *slog.Logger    `yaml:"-"`
	Firewall  reflex.Firewall `yaml:"-"` // nil: by Enforce
	// Root is put before each path of the kernel's that a driver reads; for
	// tests with recorded files.
	Root string `yaml:"-"`
	// Elapsed is the boot-time clock; nil means the real one.
	Elapsed func() time.Duration `yaml:"-"`
}

// Default returns the configuration of a machine without any: its own network
// carrier and USB, nothing enforced.
func Default() Config {
	return Config{
		DataDir: "/var/lib/interlock-agent", RunDir: "/run/interlock-agent", Enforce: EnforceNone,
		Sensors:    []SensorConfig{{ID: "carrier", Driver: DriverCarrier}, {ID: "usb", Driver: DriverUSB}},
		SpoolLimit: spool.DefaultLimit, Heartbeat: 30 * time.Second, Debounce: 50 * time.Millisecond,
	}
}

// Validate implements config.Validator.
func (c *Config) Validate() error {
	switch {
	case !filepath.IsAbs(c.DataDir) || !filepath.IsAbs(c.RunDir):
		return invalid("data_dir %q and run_dir %q must be absolute paths", c.DataDir, c.RunDir)
	case !slices.Contains([]Enforcement{EnforceNone, EnforceNFT, EnforceSimulated}, c.Enforce):
		return invalid("enforce: %q; known are none, nftables, simulated", c.Enforce)
	case c.Enforce == EnforceSimulated && !c.Demo:
		return invalid("enforce: simulated is for demonstrations; set demo, or use nftables")
	case c.Heartbeat < time.Second || c.Heartbeat > time.Hour:
		return invalid("heartbeat %s; allowed are 1s to 1h", c.Heartbeat)
	case c.Debounce < time.Millisecond || c.Debounce > 10*time.Second:
		return invalid("debounce %s; allowed are 1ms to 10s", c.Debounce)
	case c.SpoolLimit < 1<<20 || c.SpoolLimit > 16<<30:
		return invalid("spool_limit %d; allowed are 1 MiB to 16 GiB", c.SpoolLimit)
	}
	if c.Device != "" {
		if _, err := core.ParseID[core.DeviceID](c.Device); err != nil {
			return fmt.Errorf("device: %w", err)
		}
	}
	if err := c.validateSensors(); err != nil {
		return err
	}
	if err := c.Schedule.Validate(); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	if err := c.validateOutputs(); err != nil {
		return err
	}
	return c.validateWorkloads()
}

func invalid(format string, args ...any) error {
	return core.E(core.KindInvalid, "agent.Config", fmt.Sprintf(format, args...))
}

func (c *Config) validateOutputs() error {
	seen := map[string]bool{}
	for i, o := range c.Outputs {
		if _, err := core.ParseID[core.SensorID](o.ID); err != nil {
			return fmt.Errorf("outputs[%d].id: %w", i, err)
		}
		switch {
		case seen[o.ID]:
			return invalid("outputs[%d].id: %q is taken", i, o.ID)
		case o.Driver != "file":
			return invalid("outputs[%d].driver: %q; this build has file", i, o.Driver)
		case !filepath.IsAbs(o.Path):
			return invalid("outputs[%d].path: %q is not an absolute path", i, o.Path)
		}
		seen[o.ID] = true
	}
	return nil
}

// maxWorkloads bounds what one device has named; each is a signature a day.
const maxWorkloads = 32

func (c *Config) validateWorkloads() error {
	if len(c.Workloads) > maxWorkloads {
		return invalid("workloads: %d, at most %d are allowed", len(c.Workloads), maxWorkloads)
	}
	seen := map[string]bool{}
	for i, w := range c.Workloads {
		if _, err := core.ParseID[core.ServiceID](w.Name); err != nil {
			return fmt.Errorf("workloads[%d].name: %w", i, err)
		}
		switch {
		case seen[w.Name]:
			return invalid("workloads[%d].name: %q is taken", i, w.Name)
		case w.Dir != "" && !filepath.IsAbs(w.Dir):
			return invalid("workloads[%d].dir: %q is not an absolute path", i, w.Dir)
		}
		seen[w.Name] = true
	}
	return nil
}

// workloadDir is the agent's own folder for workloads' files.
func (c *Config) workloadDir() string { return filepath.Join(c.DataDir, "workloads") }

// workloadFiles returns where a workload's key and certificate lie.
func (c *Config) workloadFiles(w WorkloadConfig) (key, cert string) {
	dir := c.workloadDir()
	if w.Dir != "" {
		dir = filepath.Clean(w.Dir)
	}
	return filepath.Join(dir, w.Name+".key"), filepath.Join(dir, w.Name+".crt")
}

func (c *Config) withDefaults() {
	if c.Clock == nil {
		c.Clock = core.SystemClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Elapsed == nil {
		c.Elapsed = keystore.Elapsed
	}
}

// SocketPath is where the agent listens for this machine's own people.
func (c *Config) SocketPath() string { return filepath.Join(c.RunDir, "agent.sock") }
