package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/interlock-security/interlock/core"
)

// protection is what of the configuration decides what this device notices and
// does: each part by its name, as a hash. It is kept, so that a start with less
// than before is told. The file belongs to whoever is root on the machine, and
// who took out a sensor there must not be able to do it unseen (F03, F25).
func (c *Config) protection() map[string]string {
	parts := map[string]string{
		"enforce": hashOfPart(c.Enforce), "dhcp": hashOfPart(c.DHCP), "debounce": hashOfPart(c.Debounce), "heartbeat": hashOfPart(c.Heartbeat),
		"schedule": hashOfPart(c.Schedule),
	}
	for _, s := range c.Sensors {
		for _, j := range s.Judges {
			parts["judge/"+s.ID+"/"+j.Name] = hashOfPart(j)
		}
		s.Judges = nil // each a part of its own
		parts["sensor/"+s.ID] = hashOfPart(s)
	}
	for _, o := range c.Outputs {
		parts["output/"+o.ID] = hashOfPart(o)
	}
	return parts
}

func hashOfPart(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // structures of plain values; a difference in text is one all the same
		b = fmt.Appendf(nil, "%+v", v)
	}
	return payloadHash(b)
}

// tellProtection tells how the configuration differs from that of the last
// start, and keeps it.
func (a *Agent) tellProtection() {
	now := a.cfg.protection()
	var was map[string]string
	a.view(func(_ string, b *body) { was = maps.Clone(b.Protection) })
	if maps.Equal(was, now) {
		return
	}
	if len(was) > 0 { // else there was none to compare with
		removed, added, changed := differences(was, now)
		sev := core.SeverityHigh
		if len(removed)+len(changed) == 0 {
			sev = core.SeverityMedium
		}
		a.tell("config_changed", sev, map[string]any{"removed": removed, "added": added, "changed": changed})
	}
	a.later(func(b *body) error { b.Protection = now; return nil })
}

func differences(was, now map[string]string) (removed, added, changed []string) {
	removed, added, changed = []string{}, []string{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if hash, still := now[name]; !still {
			removed = append(removed, name)
		} else if hash != was[name] {
			changed = append(changed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, before := was[name]; !before {
			added = append(added, name)
		}
	}
	return removed, added, changed
}
