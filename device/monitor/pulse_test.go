package monitor

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

func attached() sensor.Reading {
	return sensor.Reading{Kind: sensor.Pulse, Point: "eth1", Type: "interface_attached", Alarm: true, Severity: core.SeverityMedium}
}

// An alarm without a latch is over as soon as it is told, but it was one: rules
// go by the state that the event carries.
func TestTheEventOfAPulseSaysAlarmAndTheSensorIsWellAfterwards(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.Latches = false })
	b.keep(b.core.Read(b.now, lid, attached()))
	if len(b.events) != 1 || b.events[0].State != core.SensorAlarm || b.events[0].Class != core.ClassDetectionFinding || b.events[0].Latch != nil {
		t.Fatalf("events %+v", b.events)
	}
	if b.state() != core.SensorOK {
		t.Errorf("the sensor stays %s", b.state())
	}
	// Whoever goes by the last word hears that it is over, once.
	b.at(time.Hour)
	if last := b.events[len(b.events)-1]; b.types() != "interface_attached alarm_over" || last.State != core.SensorOK || last.At.Sub(epoch) > 2*time.Minute {
		t.Errorf("events %q, the last %+v", b.types(), last)
	}
}

func TestThePulsesOfAFloodSayAlarmWhenTheyAreCounted(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.Latches = false })
	for range 50 {
		b.keep(b.core.Read(b.now, lid, attached()))
	}
	b.keep(b.core.SetArming(b.now, core.Disarmed))
	b.keep(b.core.Read(b.now, lid, attached())) // no attack, but counted with what was
	b.at(2 * time.Minute)
	if last := b.events[len(b.events)-1]; last.Type != "alarm_over" || last.State != core.SensorOK {
		t.Errorf("last %+v", last)
	}
	for _, e := range b.events {
		if e.Type == "interface_attached" && (e.State != core.SensorAlarm || e.Severity != core.SeverityMedium) {
			t.Fatalf("event %+v", e)
		}
	}
}

func TestAPulseThatIsNoAttackSaysNoAlarm(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.Latches = false })
	b.keep(b.core.SetArming(b.now, core.Disarmed))
	b.keep(b.core.Read(b.now, lid, attached()))
	b.bypass(Bypass{Sensor: lid, For: time.Hour})
	b.keep(b.core.SetArming(b.now, core.Armed))
	b.keep(b.core.Read(b.now, lid, attached()))
	for _, e := range b.events {
		if e.State == core.SensorAlarm {
			t.Errorf("event %+v", e)
		}
	}
}
