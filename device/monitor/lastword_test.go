package monitor

import (
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Whoever goes by the last word after a flood knows how the sensor is.
func TestTheLastWordAfterAFloodIsHowItIs(t *testing.T) {
	rows := map[string]struct {
		step func(b *bench, i int)
		want core.SensorState
	}{
		"it fails again and again": {func(b *bench, i int) {
			b.keep(b.core.Failed(b.now, lid, "its wire is loose", false))
			if i < 200 {
				b.core.Started(b.now, lid)
				b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Beat}))
			}
		}, core.SensorFault},
		"it opens again and again": {func(b *bench, i int) {
			r := caseLevel(i%2 == 0)
			r.Settled = true
			b.keep(b.core.Read(b.now, lid, r))
		}, core.SensorAlarm},
		"it closes at last": {func(b *bench, i int) {
			r := caseLevel(i%2 == 1)
			r.Settled = true
			b.keep(b.core.Read(b.now, lid, r))
		}, core.SensorOK},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			b := newBench(func(c *sensor.Capabilities) { c.Latches, c.MaxSilence = false, time.Hour })
			for i := range 201 {
				b.at(time.Duration(i) * 50 * ms)
				row.step(b, i)
			}
			b.at(5 * time.Minute)
			last := b.events[len(b.events)-1]
			if len(b.events) > 40 || last.State != row.want || b.state() != row.want {
				t.Errorf("%d events, the last is %s: %s; it is %s", len(b.events), last.Type, last.State, b.state())
			}
		})
	}
}

// Each latch comes back at its own point, in whatever order they were kept.
func TestNoLatchTakesAnotherOnesPlaceAtARestart(t *testing.T) {
	b := newBench()
	kept := []Latch{{ID: "shared", Sensor: lid, Point: overflow, Type: "case_intrusion"}}
	for i := range maxPoints {
		kept = append(kept, Latch{ID: fmt.Sprint(i), Sensor: lid, Point: fmt.Sprint("p", i), Type: "case_intrusion"})
	}
	b.core.Restore(kept)
	if got := len(b.core.Latches()); got != len(kept) {
		t.Errorf("%d of %d latches came back", got, len(kept))
	}
}

// Whoever takes a chip out while the device is off must not find it skipped.
func TestWhatWasThereBeforeIsMissingAndNotSkipped(t *testing.T) {
	for _, had := range []bool{false, true} {
		c := NewCore(Rules{}, Spec{ID: lid, Caps: sensor.Capabilities{Kind: "hwmon", MaxSilence: time.Minute}, Had: had})
		e := c.Skipped(epoch, lid, "no chip has a case switch")
		s := c.Statuses()[0]
		if len(e) != 1 || s.Skipped == had || (s.State == core.SensorFault) != had || (e[0].Type == "sensor_lost") != had || (e[0].Severity == core.SeverityHigh) != had {
			t.Errorf("had %v: %+v %+v", had, e, s)
		}
		c.Started(epoch, lid)
		c.Read(epoch, lid, sensor.Reading{Kind: sensor.Beat})
		if s := c.Statuses()[0]; s.State != core.SensorOK || s.Skipped || s.Why != "" {
			t.Errorf("it reads again: %+v", s)
		}
	}
}
