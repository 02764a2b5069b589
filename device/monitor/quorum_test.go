package monitor_test

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/confirm"
	"github.com/interlock-security/interlock/device/sensor"
)

func seen(active bool) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: "room", Type: "motion_seen", Clear: "calm", Active: active, Settled: true, Alarm: true, Severity: core.SeverityHigh,
	}
}

// pair is two detectors that confirm each other.
func pair(t *testing.T, cfg confirm.Config) (c *monitor.Core, now time.Time) {
	t.Helper()
	f := must[*confirm.Fusion](t)(confirm.New(cfg))
	latching := func(s *monitor.Spec) { s.Caps.Latches = true }
	c = monitor.NewCore(monitor.Rules{}, spec("hall", latching), spec("yard", latching), fused("confirm", f, "hall", "yard"))
	now = time.Date(2026, 6, 5, 2, 0, 0, 0, time.UTC)
	for _, id := range []string{"hall", "yard"} {
		c.Started(now, sid(id))
		c.Read(now, sid(id), seen(false))
	}
	return c, now
}

// Whoever cuts one of two detectors must not silence the other with it.
func TestADetectorThatNobodyCanConfirmAlarmsForItself(t *testing.T) {
	rows := map[string]struct {
		cfg   confirm.Config
		hurt  func(c *monitor.Core, now time.Time)
		after time.Duration
		alone bool
	}{
		"both are well": {hurt: func(*monitor.Core, time.Time) {}},
		"one failed":    {hurt: func(c *monitor.Core, now time.Time) { c.Failed(now, sid("yard"), "its wire is cut", false) }, alone: true},
		"one is bypassed": {hurt: func(c *monitor.Core, now time.Time) {
			if _, err := c.Bypass(now, monitor.Bypass{Sensor: sid("yard"), For: time.Hour}); err != nil {
				t.Error(err)
			}
		}, alone: true},
		"one is silent": {hurt: func(c *monitor.Core, now time.Time) {
			c.Tick(now.Add(61 * time.Minute))
		}, after: 61 * time.Minute, alone: true},
		"more is asked than there are": {cfg: confirm.Config{Score: 3}, hurt: func(*monitor.Core, time.Time) {}, alone: true},
		"one is enough":                {cfg: confirm.Config{Score: 2, Weights: map[string]float64{"hall": 2}}, hurt: func(c *monitor.Core, now time.Time) { c.Failed(now, sid("yard"), "x", false) }},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c, now := pair(t, row.cfg)
			row.hurt(c, now)
			c.Read(now.Add(row.after+time.Second), sid("hall"), seen(true))
			if got := has(c.Latches(), sid("hall"), "room"); got != row.alone {
				t.Errorf("it latches by itself: %v, %+v", got, c.Latches())
			}
		})
	}
}

// What a detector sees already is its own alarm once the other one is gone.
func TestWhatIsSeenWhileTheOtherDetectorGoesAlarms(t *testing.T) {
	c, now := pair(t, confirm.Config{})
	c.Read(now, sid("hall"), seen(true))
	if len(c.Latches()) != 0 {
		t.Fatalf("%+v", c.Latches())
	}
	c.Failed(now.Add(time.Second), sid("yard"), "its wire is cut", false)
	if !has(c.Latches(), sid("hall"), "room") {
		t.Errorf("%+v", c.Latches())
	}
}
