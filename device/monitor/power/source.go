package power

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor/internal/hold"
	"github.com/interlock-security/interlock/device/sensor"
)

// quiet is what needs no time to pass.
type quiet struct{}

func (quiet) tick(time.Time) []sensor.Reading { return nil }
func (quiet) next() time.Time                 { return time.Time{} }

// feed judges whether a source feeds the device. One that never did is a plug
// that nobody uses, unless none ever did and a battery is being emptied.
type feed struct {
	quiet
	judge  *Judge
	source string
	was    bool // it fed the device
	failed bool
}

func (f *feed) see(_ time.Time, r sensor.Reading) []sensor.Reading {
	online := r.Value != 0
	failed := !online && (f.failed || f.was || !f.judge.fed && len(f.judge.discharging) > 0)
	f.was, f.judge.fed = f.was || online, f.judge.fed || online
	if failed == f.failed {
		return nil
	}
	f.failed = failed
	return []sensor.Reading{level(sensor.Reading{
		Point: r.Point, Type: "source_failover", Clear: "source_restored", Alarm: true, Severity: core.SeverityHigh,
	}, r, failed, map[string]any{"source": sensor.Text(f.source), "on_battery": slices.Sorted(maps.Keys(f.judge.discharging))})}
}

// battery notes which batteries feed the device.
type battery struct {
	quiet
	judge  *Judge
	source string
}

func (b *battery) see(_ time.Time, r sensor.Reading) []sensor.Reading {
	if r.Value != 0 {
		b.judge.discharging[sensor.Text(b.source)] = true
	} else {
		delete(b.judge.discharging, sensor.Text(b.source))
	}
	return nil
}

// grade is how full a battery is.
type grade int8

const (
	full grade = iota
	lowCharge
	critical
)

// charge judges how full a battery is.
type charge struct {
	quiet
	low, critical float64
	grade         hold.State[grade]
}

// chargeBack is by how many percent a battery must be charged to be well again.
const chargeBack = 3

func newCharge(c Config) *charge {
	g := &charge{low: cmp.Or(c.BatteryLow, 20), critical: cmp.Or(c.BatteryCritical, 10)}
	g.grade.Set(full)
	return g
}

func (c *charge) see(now time.Time, r sensor.Reading) (said []sensor.Reading) {
	was, _ := c.grade.Now()
	is := full
	switch {
	case r.Value < c.critical || was == critical && r.Value < c.critical+chargeBack:
		is = critical
	case r.Value < c.low || was != full && r.Value < c.low+chargeBack:
		is = lowCharge
	}
	if !c.grade.See(now, is, 0) {
		return nil
	}
	if (was == full) != (is == full) {
		said = append(said, level(sensor.Reading{
			Point: r.Point + "/low", Type: "battery_low", Clear: "battery_ok", Severity: core.SeverityMedium,
		}, r, is != full, map[string]any{"limit": c.low}))
	}
	if (was == critical) != (is == critical) {
		said = append(said, level(sensor.Reading{
			Point: r.Point + "/critical", Type: "battery_critical", Clear: "battery_eased", Severity: core.SeverityHigh, Alarm: true,
		}, r, is == critical, map[string]any{"limit": c.critical}))
	}
	return said
}

// flag judges what the board says of itself.
type flag struct {
	quiet
	kind, clear string
	alarm       bool
	active      bool
}

func (f *flag) see(_ time.Time, r sensor.Reading) []sensor.Reading {
	if on := r.Value != 0; on == f.active {
		return nil
	}
	f.active = !f.active
	return []sensor.Reading{level(sensor.Reading{Point: r.Point, Type: f.kind, Clear: f.clear, Alarm: f.alarm, Severity: core.SeverityMedium}, r, f.active, nil)}
}

// slowedFor is how long a processor that was slowed once more counts as slowed.
const slowedFor = time.Minute

// counter judges how often the processor was slowed for its heat.
type counter struct {
	last  float64
	known bool
	rose  time.Time
	from  sensor.Reading
}

func (c *counter) see(now time.Time, r sensor.Reading) []sensor.Reading {
	rose := c.known && r.Value > c.last
	more := r.Value - c.last
	c.last, c.known, c.from = r.Value, true, r
	if !rose {
		return nil
	}
	first := c.rose.IsZero()
	if c.rose = now; !first {
		return nil
	}
	return []sensor.Reading{level(throttled(r), r, true, map[string]any{"more": more})}
}

func (c *counter) tick(time.Time) []sensor.Reading {
	c.rose = time.Time{}
	return []sensor.Reading{level(throttled(c.from), c.from, false, nil)}
}

func (c *counter) next() time.Time {
	if c.rose.IsZero() {
		return time.Time{}
	}
	return c.rose.Add(slowedFor)
}

func throttled(r sensor.Reading) sensor.Reading {
	return sensor.Reading{Point: r.Point, Type: "throttled", Clear: "throttle_over", Severity: core.SeverityMedium}
}
