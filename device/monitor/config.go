package monitor

import (
	"fmt"
	"maps"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// specs makes of the configuration what the core knows of each sensor.
func (cfg Config) specs() ([]Spec, error) {
	specs := make([]Spec, 0, len(cfg.Sensors)+len(cfg.Fusions))
	seen := map[core.SensorID]bool{}
	judges := maps.Clone(cfg.Judges)
	for _, s := range cfg.Sensors {
		caps := s.Capabilities()
		if err := check(s.ID(), caps, seen); err != nil {
			return nil, err
		}
		named := judges[s.ID()]
		if err := checkJudges(s.ID(), named); err != nil {
			return nil, err
		}
		delete(judges, s.ID())
		specs = append(specs, Spec{ID: s.ID(), Caps: cfg.override(s.ID(), caps), Judges: named, Had: cfg.Had[s.ID()]})
	}
	for _, f := range cfg.Fusions {
		if err := checkFused(f, seen); err != nil {
			return nil, err
		}
		specs = append(specs, Spec{ID: f.ID, Caps: cfg.override(f.ID, f.capabilities()), Fusion: f.Fusion, Of: f.Of})
	}
	for id := range judges {
		return nil, refuse("judges are configured for %s, which is no sensor with a driver", id)
	}
	return specs, nil
}

func refuse(format string, args ...any) error {
	return core.E(core.KindInvalid, "monitor.New", fmt.Sprintf(format, args...))
}

func (cfg Config) override(id core.SensorID, caps sensor.Capabilities) sensor.Capabilities {
	if latch, set := cfg.Latch[id]; set {
		caps.Latches = latch
	}
	caps.Always = caps.Always || cfg.Always[id]
	return caps
}

// capabilities of a fusion are what it says of itself. It has no silence of its
// own: it is as well as the sensors that it judges.
func (f Fused) capabilities() sensor.Capabilities {
	caps := sensor.Capabilities{Latency: sensor.LatencyEvent, Provenance: core.ProvenanceLocal}
	if c, ok := f.Fusion.(interface{ Capabilities() sensor.Capabilities }); ok {
		caps = c.Capabilities()
	}
	caps.Kind = f.Name
	return caps
}

func check(id core.SensorID, caps sensor.Capabilities, seen map[core.SensorID]bool) error {
	switch {
	case id.IsZero():
		return refuse("a sensor has no id")
	case seen[id]:
		return refuse("two sensors are called %s", id)
	case caps.MaxSilence <= 0:
		return refuse("sensor %s declares no longest silence", id)
	}
	seen[id] = true
	return nil
}

func checkJudges(id core.SensorID, judges []Named) error {
	names := map[string]bool{}
	for _, j := range judges {
		switch {
		case j.Name == "" || j.Judge == nil:
			return refuse("sensor %s has a judge without a name or without a judge", id)
		case names[j.Name]:
			return refuse("sensor %s has two judges called %s", id, j.Name)
		}
		names[j.Name] = true
	}
	return nil
}

func checkFused(f Fused, seen map[core.SensorID]bool) error {
	switch {
	case f.ID.IsZero():
		return refuse("a fusion has no id")
	case seen[f.ID]:
		return refuse("two sensors are called %s", f.ID)
	case f.Name == "" || f.Fusion == nil:
		return refuse("sensor %s is a fusion without a name or without a judge", f.ID)
	case len(f.Of) == 0:
		return refuse("sensor %s fuses nothing: name its sensors in `of`", f.ID)
	}
	of := map[core.SensorID]bool{}
	for _, id := range f.Of {
		switch {
		case !seen[id]:
			return refuse("sensor %s fuses %s, which is no sensor that stands before it", f.ID, id)
		case of[id]:
			return refuse("sensor %s names %s twice", f.ID, id)
		}
		of[id] = true
	}
	seen[f.ID] = true
	return nil
}
