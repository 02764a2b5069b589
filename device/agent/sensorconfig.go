package agent

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// The reflexes that a latch can set off.
const (
	ReflexQuarantine = "quarantine"
	ReflexStop       = "stop"
)

// ownSensor is the name under which the agent itself latches; no sensor may
// have it.
const ownSensor = "agent"

// SensorConfig configures one sensor. In the file the keys of its driver stand
// beside the common ones. A key that its driver doesn't have is an error:
// somebody who wrote it believes that something is watched.
type SensorConfig struct {
	ID     string `yaml:"id"`
	Driver string `yaml:"driver"` // one of Drivers, or a fusion
	// Of are the sensors that a fusion judges; they stand before it.
	Of []string `yaml:"of,omitempty"`
	// Latch overrides whether an alarm stays until it is released.
	Latch *bool `yaml:"latch,omitempty"`
	// Reflex is what a latch of this sensor sets off at once: quarantine, stop.
	// Leaving it out means quarantine; an empty list means nothing.
	Reflex *[]string `yaml:"reflex,omitempty"`
	// Always makes it count however the device is armed: no order disarms or
	// bypasses it.
	Always bool `yaml:"always,omitempty"`
	// Judges say what its measures mean.
	Judges Judges `yaml:"judges,omitempty"`
	// Config is the driver's own configuration; nil means its zero value.
	Config any `yaml:"-"`
}

// commonKeys are the keys of every sensor; the rest is its driver's.
var commonKeys = []string{"id", "driver", "of", "latch", "reflex", "always", "judges"}

// common has the fields of [SensorConfig] and not its methods.
type common SensorConfig

// UnmarshalYAML implements [yaml.NodeUnmarshaler]: it parts the common keys from
// those of the driver, and reads both strictly.
func (s *SensorConfig) UnmarshalYAML(n ast.Node) error {
	pairs, err := pairsOf(n)
	if err != nil {
		return err
	}
	var ours, theirs []*ast.MappingValueNode
	for _, p := range pairs {
		if slices.Contains(commonKeys, keyOf(p)) {
			ours = append(ours, p)
		} else {
			theirs = append(theirs, p)
		}
	}
	var c common
	if err := yaml.NodeToValue(mappingOf(n, ours), &c, yaml.Strict()); err != nil {
		return err
	}
	e, known := find(c.Driver, RoleDriver, RoleFusion)
	if !known {
		return positioned(at(ours, "driver", n), "%s", unknownName(c.Driver, RoleDriver, RoleFusion))
	}
	if len(theirs) > 0 {
		if c.Config, err = e.decode(mappingOf(n, theirs)); err != nil {
			return err
		}
	}
	*s = SensorConfig(c)
	return nil
}

func keyOf(p *ast.MappingValueNode) string {
	if p.Key == nil || p.Key.GetToken() == nil {
		return ""
	}
	return p.Key.GetToken().Value
}

// at returns where a key's value stands, or where the mapping begins.
func at(pairs []*ast.MappingValueNode, key string, whole ast.Node) ast.Node {
	for _, p := range pairs {
		if keyOf(p) == key {
			return p.Value
		}
	}
	return whole
}

// MarshalYAML implements [yaml.InterfaceMarshaler]: what it writes reads back.
func (s SensorConfig) MarshalYAML() (any, error) {
	var out yaml.MapSlice
	text, err := yaml.Marshal(common(s))
	if err == nil {
		err = yaml.UnmarshalWithOptions(text, &out, yaml.UseOrderedMap())
	}
	if err != nil {
		return nil, core.Wrap(core.KindInternal, "agent.Config", err)
	}
	_, own, err := s.entry()
	if err != nil {
		return nil, err
	}
	theirs, err := ordered(own)
	if err != nil {
		return nil, err
	}
	return append(out[:2:2], append(theirs, out[2:]...)...), nil // id and driver, its own, the rest
}

// entry returns what the registry has of its driver, and its configuration.
func (s SensorConfig) entry() (entryOf, settings, error) {
	e, known := find(s.Driver, RoleDriver, RoleFusion)
	if !known {
		return e, nil, invalid("%s", unknownName(s.Driver, RoleDriver, RoleFusion))
	}
	own, err := e.own(s.Config)
	return e, own, err
}

// own returns a configuration as this entry's, its zero value for nil.
func (e entryOf) own(config any) (settings, error) {
	if config == nil {
		return e.zero, nil
	}
	own, ok := config.(settings)
	if !ok || !e.fits(own) {
		return nil, invalid("the configuration of %s is a %T, not a %T", e.doc.Name, config, e.zero)
	}
	return own, nil
}

// Judges are the judges of a sensor, in the order in which the file names them.
type Judges []JudgeConfig

// JudgeConfig configures one judge of a sensor; nil means its defaults.
type JudgeConfig struct {
	Name   string
	Config any
}

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (j *Judges) UnmarshalYAML(n ast.Node) error {
	pairs, err := pairsOf(n)
	if err != nil {
		return err
	}
	*j = nil
	for _, p := range pairs {
		e, known := find(keyOf(p), RoleJudge)
		if !known {
			return positioned(p.Key, "%s", unknownName(keyOf(p), RoleJudge))
		}
		one := JudgeConfig{Name: keyOf(p)}
		if p.Value.Type() != ast.NullType {
			if one.Config, err = e.decode(p.Value); err != nil {
				return err
			}
		}
		*j = append(*j, one)
	}
	return nil
}

// MarshalYAML implements [yaml.InterfaceMarshaler].
func (j Judges) MarshalYAML() (any, error) {
	out := yaml.MapSlice{}
	for _, one := range j {
		_, own, err := one.entry()
		if err != nil {
			return nil, err
		}
		keys, err := ordered(own)
		if err != nil {
			return nil, err
		}
		out = append(out, yaml.MapItem{Key: one.Name, Value: keys})
	}
	return out, nil
}

func (j JudgeConfig) entry() (entryOf, settings, error) {
	e, known := find(j.Name, RoleJudge)
	if !known {
		return e, nil, invalid("%s", unknownName(j.Name, RoleJudge))
	}
	own, err := e.own(j.Config)
	return e, own, err
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

// maxSensors bounds what one device watches: what it remembers and what it may
// say an hour grow with it.
const maxSensors = 64

func (c *Config) validateSensors() error {
	if len(c.Sensors) > maxSensors {
		return invalid("sensors: %d, at most %d are allowed", len(c.Sensors), maxSensors)
	}
	seen := map[string]bool{ownSensor: true}
	for i, s := range c.Sensors {
		if _, err := core.ParseID[core.SensorID](s.ID); err != nil {
			return fmt.Errorf("sensors[%d].id: %w", i, err)
		}
		if seen[s.ID] {
			return invalid("sensors[%d].id: %q is taken", i, s.ID)
		}
		if err := s.validate(seen); err != nil {
			return fmt.Errorf("sensors[%d]: %s: %w", i, s.ID, err)
		}
		seen[s.ID] = true
	}
	return nil
}

// validate checks a sensor; before are the ids of those that stand before it.
func (s SensorConfig) validate(before map[string]bool) error {
	e, own, err := s.entry()
	if err != nil {
		return err
	}
	if err := own.Validate(); err != nil {
		return err
	}
	if err := s.validateOf(e, before); err != nil {
		return err
	}
	for _, r := range s.reflexes() {
		if r != ReflexQuarantine && r != ReflexStop {
			return invalid("reflex: %q; known are quarantine, stop", r)
		}
	}
	for i, j := range s.Judges {
		if slices.ContainsFunc(s.Judges[:i], func(x JudgeConfig) bool { return x.Name == j.Name }) {
			return invalid("judges: %s stands twice", j.Name)
		}
		_, own, err := j.entry()
		if err == nil {
			err = own.Validate()
		}
		if err != nil {
			return fmt.Errorf("judges: %s: %w", sensor.Text(j.Name), err)
		}
	}
	return nil
}

func (s SensorConfig) validateOf(e entryOf, before map[string]bool) error {
	switch {
	case e.role != RoleFusion && len(s.Of) > 0:
		return invalid("of: only a fusion has it, and %s is a driver", s.Driver)
	case e.role == RoleFusion && len(s.Of) == 0:
		return invalid("of: %s judges other sensors; name them", s.Driver)
	case e.role == RoleFusion && len(s.Judges) > 0:
		return invalid("judges: %s measures nothing", s.Driver)
	}
	for i, id := range s.Of {
		if id == ownSensor || !before[id] || slices.Contains(s.Of[:i], id) {
			return invalid("of: %q is no sensor that stands before this one, or stands twice", sensor.Text(id))
		}
	}
	return nil
}

func (s SensorConfig) reflexes() []string {
	if s.Reflex == nil {
		return []string{ReflexQuarantine}
	}
	return *s.Reflex
}
