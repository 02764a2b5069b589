package monitor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

func door(point string, open bool) sensor.Reading {
	r := caseLevel(open)
	r.Point = point
	return r
}

func TestABypassedPointIsSilentAndItsNeighboursAreNot(t *testing.T) {
	b := newBench()
	b.read(door("front", false)).read(door("back", false))
	b.bypass(Bypass{Sensor: lid, Point: "front", For: time.Hour, Ticket: "M-7"})
	b.read(door("front", true)).at(time.Second)
	if s := b.status(); len(b.core.Latches()) != 0 || s.State != core.SensorBypassed || !s.Armed || len(s.Bypassed) != 1 || s.Bypassed[0].Ticket != "M-7" {
		t.Errorf("front: %+v", s)
	}
	if e := b.events[0]; e.Type != "bypass_started" || e.Point != "front" || !strings.Contains(string(e.Fields), `"ticket":"M-7"`) {
		t.Errorf("event %+v %s", e, e.Fields)
	}
	b.read(door("back", true)).at(2 * time.Second)
	if l := b.core.Latches(); len(l) != 1 || l[0].Point != "back" {
		t.Errorf("back: %+v", l)
	}
	b.at(61 * time.Minute)
	if l := b.core.Latches(); len(l) != 2 {
		t.Errorf("left open past its window: %+v", l)
	}
}

func TestABypassBeginsWhenItIsDue(t *testing.T) {
	b := newBench().level(false)
	b.bypass(Bypass{Sensor: lid, After: time.Hour, For: time.Hour})
	if s := b.status(); s.State != core.SensorOK || len(s.Bypassed) != 1 || s.Bypassed[0].Begun {
		t.Errorf("before: %+v", s)
	}
	b.at(30 * time.Minute).level(true).at(31 * time.Minute)
	if len(b.core.Latches()) != 1 {
		t.Fatal("opened before the window, and no latch")
	}
	if b.at(90 * time.Minute); b.state() != core.SensorAlarm {
		t.Errorf("a bypass opened a latch: %s", b.state())
	}
	if b.at(3 * time.Hour); strings.Count(b.types(), "bypass_") != 2 {
		t.Errorf("events %q", b.types())
	}
}

func TestWhatCannotBeBypassed(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.Always = true })
	for _, row := range []struct {
		bypass Bypass
		want   core.Kind
	}{
		{Bypass{Sensor: lid, For: time.Hour}, core.KindDenied},
		{Bypass{Sensor: lid, Point: "lid", For: time.Hour}, core.KindDenied},
		{Bypass{Sensor: core.MustID[core.SensorID]("none"), For: time.Hour}, core.KindNotFound},
	} {
		if _, err := b.core.Bypass(b.now, row.bypass); core.KindOf(err) != row.want {
			t.Errorf("%+v: %v", row.bypass, err)
		}
	}
	c := newBench()
	for _, bad := range []Bypass{{Sensor: lid}, {Sensor: lid, For: -1}, {Sensor: lid, After: -1, For: 1}} {
		if _, err := c.core.Bypass(c.now, bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for i := range maxBypasses {
		c.bypass(Bypass{Sensor: lid, Point: fmt.Sprint(i), For: time.Hour})
	}
	if _, err := c.core.Bypass(c.now, Bypass{Sensor: lid, Point: "more", For: time.Hour}); core.KindOf(err) != core.KindTooLarge {
		t.Errorf("without end: %v", err)
	}
}

func TestABypassIsChargedWithTheTimeForWhichTheMachineSlept(t *testing.T) {
	b := newBench().level(false)
	b.bypass(Bypass{Sensor: lid, For: time.Hour})
	b.at(time.Minute).level(true).at(2 * time.Minute)
	b.keep(b.core.Slept(b.now, 2*time.Hour))
	if b.state() != core.SensorAlarm || len(b.core.Latches()) != 1 {
		t.Errorf("after two hours of sleep: %s, %v", b.state(), b.core.Latches())
	}
}

func TestTheMonitorNoticesThatItSlept(t *testing.T) {
	clock, slept := clocktest.New(epoch), time.Duration(0)
	var said []string
	m, err := New(Config{
		Sensors: []sensor.Sensor{only{lid}}, Clock: clock, Sink: func(e Event) { said = append(said, e.Type) },
		Elapsed: func() time.Duration { return clock.Now().Sub(epoch) + slept },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetBypass(Bypass{Sensor: lid, For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	m.Proved(lid)
	if strings.Join(said, " ") != "bypass_started" {
		t.Errorf("awake: %q", said)
	}
	slept = time.Hour
	m.Proved(lid)
	if strings.Join(said, " ") != "bypass_started bypass_ended" {
		t.Errorf("after an hour of sleep: %q", said)
	}
}

func TestAnotherKindOfAlarmAtALatchIsTold(t *testing.T) {
	b := newBench().level(true).at(time.Second)
	cut := sensor.Reading{Kind: sensor.Pulse, Point: "lid", Type: "loop_cut", Alarm: true, Severity: core.SeverityCritical}
	b.read(cut).read(cut).read(cut)
	if b.types() != "case_opened loop_cut" || len(b.core.Latches()) != 1 {
		t.Fatalf("events %q, latches %v", b.types(), b.core.Latches())
	}
	if e := b.events[1]; e.Class != core.ClassDetectionFinding || e.State != core.SensorAlarm || e.Latch != nil || !strings.Contains(string(e.Fields), b.core.Latches()[0].ID) {
		t.Errorf("event %+v %s", e, e.Fields)
	}
}
