package agent

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/carrier"
	"github.com/interlock-security/interlock/device/sensor/disk"
	"github.com/interlock-security/interlock/device/sensor/gpio"
	"github.com/interlock-security/interlock/device/sensor/hwmon"
	"github.com/interlock-security/interlock/device/sensor/sim"
	"github.com/interlock-security/interlock/device/sensor/usb"
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
	switch c.Driver {
	case DriverCarrier:
		return carrier.New(id, a.cfg.Clock, c.Interfaces...), nil
	case DriverDisk:
		return disk.New(id, a.cfg.Clock), nil
	case DriverGPIO:
		return gpio.New(id, a.cfg.Clock, c.Lines)
	case DriverHwmon:
		return hwmon.New(id, a.cfg.Clock, c.Chips...), nil
	case DriverUSB:
		return usb.NewControl(id, a.cfg.Clock, c.Policy, c.Allow)
	case DriverSim:
		return a.newSim(id, c)
	}
	return nil, core.E(core.KindInvalid, "agent", fmt.Sprintf("no driver %q", c.Driver))
}

// newSim loads a simulated sensor, which an enrolled device refuses unless it
// was enrolled for a demonstration (TRUST F25).
func (a *Agent) newSim(id core.SensorID, c SensorConfig) (sensor.Sensor, error) {
	o := sim.Options{Socket: c.Socket, Enrolled: true, Demo: a.id.Demo}
	if c.Script != "" {
		text, err := os.ReadFile(c.Script)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, "agent", err)
		}
		if o.Script, err = sim.ParseScript(text); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Script, err)
		}
	}
	return sim.New(id, a.cfg.Clock, o)
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
