package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/device/sensor"
)

// readLimit is how long a sensor has for its first reading where no agent runs.
const readLimit = 5 * time.Second

// Examine tests the sensors of a configuration while no agent runs on this
// machine: whether they can be made, whether the hardware is there, whether they
// read, and what their self-tests say. Drivers that act are made and not run.
// What only a running agent knows is not tested, and that is said.
func Examine(ctx context.Context, cfg Config) (*Report, error) {
	cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Report{V: 1, At: cfg.Clock.Now(), Checks: []Check{}}
	var h host
	if id, err := loadIdentity(cfg.DataDir); err == nil {
		h, r.Device = host{enrolled: true, demo: id.Demo}, id.Device
	}
	results := make([]chan []Check, len(cfg.Sensors))
	for i, s := range cfg.Sensors {
		results[i] = make(chan []Check, 1)
		go func() { results[i] <- examine(ctx, &cfg, h, s) }()
	}
	for _, c := range results {
		r.Checks = append(r.Checks, <-c...)
	}
	r.uncovered()
	r.firewall(cfg.Enforce == EnforceNFT, func() error {
		_, err := reflex.NFT{}.Status(reflex.Allow{})
		return err
	})
	r.add(GroupSecurity, "agent", sensor.Untried, "running", "no agent answers on this machine: key, clock, spool, judges and latches were not looked at")
	return r, ctx.Err()
}

// examine tests one sensor.
func examine(ctx context.Context, cfg *Config, h host, c SensorConfig) []Check {
	r := &Report{}
	id := core.MustID[core.SensorID](c.ID) // Validate parsed it
	m := monitor.Config{Judges: map[core.SensorID][]monitor.Named{}}
	e, _, err := c.entry()
	if err == nil {
		err = cfg.add(&m, h, id, c)
	}
	group := groupOf(e.doc.Name, nil)
	switch {
	case err != nil:
		r.add(group, c.ID, sensor.Fail, "can be made", "%v", err)
		return r.Checks
	case len(m.Sensors) == 0:
		r.add(group, c.ID, sensor.Untried, "reads", "it judges other sensors, and no agent runs")
		return r.Checks
	}
	s := m.Sensors[0]
	if p, err := probed(s); err != nil || !p.Present {
		r.add(group, c.ID, sensor.Untried, "hardware", "%s", orElse(p.Reason, err))
		return r.Checks
	}
	if t, can := s.(sensor.SelfTester); can {
		for _, f := range selfTest(ctx, t) {
			r.Checks = append(r.Checks, Check{group, c.ID, f})
		}
	}
	if e.acts {
		r.add(group, c.ID, sensor.Untried, "reads", "to run it would act on the machine, and no agent runs that would answer for it")
		return r.Checks
	}
	result, why, values := firstReading(ctx, s)
	if len(values) > 0 {
		group = groupOf(e.doc.Name, values)
	}
	r.add(group, c.ID, result, "reads", "%s", why)
	return r.Checks
}

func probed(s sensor.Sensor) (p sensor.Presence, err error) {
	defer caught(&err)
	return s.Probe(), nil
}

func caught(err *error) {
	if v := recover(); v != nil {
		*err = core.E(core.KindInternal, "agent.Examine", fmt.Sprintf("it panicked: %v", v))
	}
}

func orElse(reason string, err error) string {
	if err != nil {
		return err.Error()
	}
	return reason
}

// firstReading runs a driver until it says something of its hardware.
func firstReading(ctx context.Context, s sensor.Sensor) (result sensor.Result, why string, values []monitor.Value) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	readings, ended := make(chan sensor.Reading, 256), make(chan error, 1)
	go func() {
		var err error
		defer func() { ended <- err }()
		defer caught(&err)
		err = s.Run(ctx, func(r sensor.Reading) {
			select {
			case readings <- r:
			default: // enough is known by now
			}
		})
	}()
	defer func() { cancel() }()
	seen := ""
	for {
		select {
		case r := <-readings:
			switch r.Kind {
			case sensor.Broken:
				return sensor.Fail, fmt.Sprintf("%s can't be read: %s", r.Point, r.Fields), values
			case sensor.Measure:
				return sensor.Pass, fmt.Sprintf("%s reads %.4g %s", r.Point, r.Value, r.Unit), append(values, monitor.Value{Unit: r.Unit})
			case sensor.Level, sensor.Waveform, sensor.Position, sensor.Sighting, sensor.Pulse:
				return sensor.Pass, "it reads " + r.Point, values
			case sensor.Inventory:
				seen = "it told what is there; nothing has moved"
			case sensor.Beat:
			}
		case err := <-ended:
			if seen != "" && ctx.Err() != nil {
				return sensor.Pass, seen, values
			}
			return sensor.Fail, "it ended: " + orElse("nobody asked it to", err), values
		case <-ctx.Done():
			if seen != "" {
				return sensor.Pass, seen, values
			}
			return sensor.Warning, "it said nothing of its hardware within " + readLimit.String(), values
		}
	}
}
