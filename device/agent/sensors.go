package agent

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// equip makes the configured sensors with their judges, and the fusions. One
// that can't be made is a sensor that is a fault: taking it out silently would
// look like calm.
func (a *Agent) equip() monitor.Config {
	m := monitor.Config{
		Judges: map[core.SensorID][]monitor.Named{}, Latch: map[core.SensorID]bool{}, Always: map[core.SensorID]bool{},
	}
	a.reflexes = map[core.SensorID][]string{}
	for _, c := range a.cfg.Sensors {
		id := core.MustID[core.SensorID](c.ID) // Validate parsed it
		if err := a.cfg.add(&m, host{enrolled: true, demo: a.id.Demo}, id, c); err != nil {
			a.tell("sensor_refused", core.SeverityCritical, map[string]any{"sensor": c.ID, "driver": c.Driver, "why": sensor.Text(err.Error())})
			m.Sensors = append(m.Sensors, broken{id, c.Driver, err})
		}
		if c.Latch != nil {
			m.Latch[id] = *c.Latch
		}
		if c.Always {
			m.Always[id] = true
		}
		a.reflexes[id] = c.reflexes()
	}
	return m
}

// add makes one sensor, all of it or nothing.
func (c *Config) add(m *monitor.Config, h host, id core.SensorID, s SensorConfig) error {
	e, own, err := s.entry()
	if err != nil {
		return err
	}
	if e.role == RoleFusion {
		return addFusion(m, e, own, id, s)
	}
	judges, err := s.judges()
	if err != nil {
		return err
	}
	driver, err := e.sensor(h, sensor.Env{ID: id, Clock: c.Clock, Root: c.Root}, own)
	if err != nil {
		return err
	}
	m.Sensors = append(m.Sensors, driver)
	if len(judges) > 0 {
		m.Judges[id] = judges
	}
	return nil
}

func addFusion(m *monitor.Config, e entryOf, own settings, id core.SensorID, s SensorConfig) error {
	f, err := e.fusion(own)
	if err != nil {
		return err
	}
	fused := monitor.Fused{ID: id, Name: e.doc.Name, Fusion: f}
	for _, of := range s.Of {
		fused.Of = append(fused.Of, core.MustID[core.SensorID](of)) // Validate found each before this one
	}
	m.Fusions = append(m.Fusions, fused)
	return nil
}

func (s SensorConfig) judges() (named []monitor.Named, err error) {
	for _, j := range s.Judges {
		e, own, err := j.entry()
		if err != nil {
			return nil, err
		}
		judge, err := e.judge(own)
		if err != nil {
			return nil, err
		}
		named = append(named, monitor.Named{Name: j.Name, Judge: judge})
	}
	return named, nil
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
