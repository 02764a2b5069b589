package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/link"
)

// The bounds of what judges may have kept, in bytes: all together, as it is part
// of the state, which is written whole, and those of one sensor, so that nobody
// who feeds one sensor leaves no room for the others' baselines.
const (
	maxMemory       = 512 << 10
	maxSensorMemory = 192 << 10
)

// buildMonitor makes the sensors and puts back their latches, grants and what
// their judges learned.
func (a *Agent) buildMonitor() error {
	cfg := a.equip()
	cfg.Clock, cfg.Sink, cfg.Log, cfg.Rules = a.cfg.Clock, a.sink, a.cfg.Log, monitor.Rules{Debounce: a.cfg.Debounce}
	cfg.Keep, cfg.Memory, cfg.Elapsed = a.keepMemory, a.memory(), a.cfg.Elapsed
	a.view(func(_ string, b *body) { cfg.Had = b.had(a.cfg.Sensors) })
	mon, err := monitor.New(cfg)
	if err != nil {
		return err
	}
	a.mon, a.equipped, a.kinds = mon, cfg.Sensors, map[core.SensorID]string{}
	for _, s := range mon.Statuses() {
		a.kinds[s.ID] = s.Kind
	}
	boot, now := a.store.Continuity().Boot, a.cfg.Elapsed()
	a.view(func(_ string, b *body) {
		var set []monitor.Latch
		for _, l := range b.Latches {
			if l.Sensor.String() != ownSensor {
				set = append(set, l.Latch)
			}
		}
		mon.Restore(set, a.arm.now)
		for _, g := range b.Bypassed {
			if g.left(boot, now) > 0 {
				_ = mon.SetBypass(g.bypass(now)) // a sensor that is gone, or can't be bypassed now, is not
			}
		}
	})
	return nil
}

// had are the sensors that read on this machine before, by the driver that they
// still have.
func (b *body) had(sensors []SensorConfig) map[core.SensorID]bool {
	had := map[core.SensorID]bool{}
	for _, s := range sensors {
		if b.Seen[s.ID] == s.Driver {
			had[core.MustID[core.SensorID](s.ID)] = true // Validate parsed it
		}
	}
	return had
}

// noteSeen keeps which sensors read, once each.
func (a *Agent) noteSeen(all []monitor.Status) {
	read := map[string]bool{}
	for _, s := range all {
		read[s.ID.String()] = !s.LastSeen.IsZero()
	}
	now, fresh := map[string]string{}, false
	a.view(func(_ string, b *body) {
		for _, s := range a.cfg.Sensors {
			known := b.Seen[s.ID] == s.Driver
			if known || read[s.ID] {
				now[s.ID] = s.Driver
			}
			fresh = fresh || read[s.ID] && !known
		}
	})
	if fresh {
		a.later(func(b *body) error { b.Seen = now; return nil })
	}
}

// memory is what was kept of the judges.
func (a *Agent) memory() map[core.SensorID]map[string][]byte {
	all := map[core.SensorID]map[string][]byte{}
	a.view(func(_ string, b *body) {
		for id, m := range b.Memory {
			if sensor, err := core.ParseID[core.SensorID](id); err == nil {
				all[sensor] = maps.Clone(m)
			}
		}
	})
	return all
}

// keepMemory keeps what the judges of a sensor learned. What is over the bound is
// not kept, and told of: after a restart that sensor learns anew.
func (a *Agent) keepMemory(id core.SensorID, memory map[string][]byte) error {
	err := a.update(func(b *body) error { return b.remember(id.String(), memory, a.cfg.has) })
	switch {
	case err == nil:
	case core.KindOf(err) == core.KindTooLarge:
		a.refusals.tell(a, "memory_refused", core.SeverityHigh, map[string]any{"sensor": id, "bytes": sizeOf(memory), "why": err.Error()})
	default:
		a.cfg.Log.Error("what a sensor learned was not kept", slog.Any("sensor", id), slog.Any("error", err))
	}
	return err
}

// has says whether a sensor is configured.
func (c *Config) has(id string) bool {
	return slices.ContainsFunc(c.Sensors, func(s SensorConfig) bool { return s.ID == id })
}

// remember takes the memory of one sensor in place of what was kept of it. That
// of sensors that are no longer configured goes.
func (b *body) remember(id string, memory map[string][]byte, configured func(id string) bool) error {
	kept, others := map[string]map[string][]byte{id: maps.Clone(memory)}, 0
	for other, m := range b.Memory {
		if other != id && configured(other) {
			kept[other] = m
			others += sizeOf(m)
		}
	}
	if size := sizeOf(memory); size > maxSensorMemory || others+size > maxMemory {
		return core.E(core.KindTooLarge, "agent.memory", fmt.Sprintf("%d bytes beside %d of other sensors, at most %d of one and %d of all are kept", size, others, maxSensorMemory, maxMemory))
	}
	b.Memory = kept
	return nil
}

func sizeOf(memory map[string][]byte) (n int) {
	for name, m := range memory {
		n += len(name) + len(m)
	}
	return n
}

// memorySum is the SHA-256 of what is kept of one sensor's judges, "" for nothing.
func memorySum(memory map[string][]byte) string {
	if len(memory) == 0 {
		return ""
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(memory)) {
		_, _ = fmt.Fprintf(h, "%d %s %d\n", len(name), name, len(memory[name]))
		_, _ = h.Write(memory[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// planBaseline makes what a sensor has before it the expected. The order names
// its hash: what came between the people's look and the order is not accepted
// with it.
func (a *Agent) planBaseline(p *link.BaselineParams) plan {
	return plan{
		change: func(*body) error { return nil }, // the judge's memory follows, in its own step
		effect: func() (link.Outcome, string) {
			if err := a.mon.Accept(p.Sensor, p.SHA256); err != nil {
				return failed(err)
			}
			return done("%s expects %s from now on", p.Sensor, p.SHA256)
		},
	}
}

// bypass is what the monitor is told of a grant: intervals of the boot-time
// clock, from now on.
func (g grant) bypass(now time.Duration) monitor.Bypass {
	begins, ends := time.Duration(g.Begins)*time.Microsecond, time.Duration(g.Ends)*time.Microsecond
	return monitor.Bypass{Sensor: g.Sensor, Point: g.Point, Ticket: g.Ticket, After: max(0, begins-now), For: ends - max(begins, now)}
}
