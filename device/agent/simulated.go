package agent

import (
	"fmt"
	"os"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/sim"
)

// SimConfig configures a simulated sensor.
type SimConfig struct {
	// Script is a file with what it should sense, Socket takes the same while it
	// runs.
	Script string `yaml:"script,omitempty"`
	Socket string `yaml:"socket,omitempty"`
}

// Validate implements settings.
func (SimConfig) Validate() error { return nil }

var simDoc = sensor.Doc{
	Name: DriverSim, Senses: "what a script says", Interface: "a file, a unix socket", Latency: sensor.LatencyEvent,
	Tested: []sensor.Tested{sensor.TestedSimulator},
}

// newSim loads a simulated sensor, which an enrolled device refuses unless it
// was enrolled for a demonstration (TRUST F25).
func newSim(h host, env sensor.Env, c SimConfig) (*sim.Sensor, error) {
	o := sim.Options{Socket: c.Socket, Enrolled: h.enrolled, Demo: h.demo}
	if c.Script != "" {
		text, err := os.ReadFile(c.Script)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, "agent", err)
		}
		if o.Script, err = sim.ParseScript(text); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Script, err)
		}
	}
	return sim.New(env.ID, env.Clock, o)
}

// Simulated configures a simulated sensor that takes its steps from a socket.
func Simulated(id, socket string) SensorConfig {
	return SensorConfig{ID: id, Driver: DriverSim, Config: SimConfig{Socket: socket}}
}

// Socket is where a simulated sensor takes its steps, "" for every other.
func (s SensorConfig) Socket() string {
	c, _ := s.Config.(SimConfig)
	return c.Socket
}
