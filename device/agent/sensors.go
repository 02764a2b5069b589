package agent

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// sensors makes the configured sensors. One that can't be made is a sensor that
// is a fault: taking it out silently would look like calm.
func (a *Agent) sensors() ([]sensor.Sensor, map[core.SensorID]bool) {
	var all []sensor.Sensor
	latch := map[core.SensorID]bool{}
	a.reflexes = map[core.SensorID][]string{}
	for _, c := range a.cfg.Sensors {
		id := core.MustID[core.SensorID](c.ID) // Validate parsed it
		s, err := a.newSensor(id, c)
		if err != nil {
			a.tell("sensor_refused", core.SeverityCritical, map[string]any{"sensor": c.ID, "driver": c.Driver, "why": err.Error()})
			s = broken{id, c.Driver, err}
		}
		if c.Latch != nil {
			latch[id] = *c.Latch
		}
		a.reflexes[id] = c.reflexes()
		all = append(all, s)
	}
	return all, latch
}

func (a *Agent) newSensor(id core.SensorID, c SensorConfig) (sensor.Sensor, error) {
	e, own, err := c.entry()
	if err != nil {
		return nil, err
	}
	if e.role != RoleDriver {
		return nil, core.E(core.KindInvalid, "agent", c.Driver+" is no driver")
	}
	s, err := e.sensor(host{enrolled: true, demo: a.id.Demo}, sensor.Env{ID: id, Clock: a.cfg.Clock, Root: a.cfg.Root}, own)
	if err == nil && c.Always {
		s = always{s}
	}
	return s, err
}

// always is a sensor that counts however the device is armed.
type always struct{ sensor.Sensor }

// Capabilities implements [sensor.Sensor].
func (a always) Capabilities() sensor.Capabilities {
	caps := a.Sensor.Capabilities()
	caps.Always = true
	return caps
}

// broken stands for a sensor that could not be made.
type broken struct {
	id     core.SensorID
	driver string
	why    error
}

// ID implements [sensor.Sensor].
func (b broken) ID() core.SensorID { return b.id }

// Capabilities implements [sensor.Sensor].
func (b broken) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{Kind: b.driver, Provenance: core.ProvenanceLocal, Latency: sensor.LatencyPoll, MaxSilence: time.Hour}
}

// Probe implements [sensor.Sensor].
func (b broken) Probe() sensor.Presence { return sensor.Present() }

// Run implements [sensor.Sensor].
func (b broken) Run(context.Context, func(sensor.Reading)) error { return b.why }

func splitHostPort(hostport string) (host string, port uint16, ok bool) {
	host, text, err := net.SplitHostPort(hostport)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil && n > 0
}
