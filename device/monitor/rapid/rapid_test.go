package rapid_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/rapid"
	"github.com/interlock-security/interlock/device/sensor"
)

var epoch = time.Unix(1_700_000_000, 0).UTC()

func newRapid(t *testing.T, c rapid.Config) *rapid.Rapid {
	t.Helper()
	j, err := rapid.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func level(point string, active bool) sensor.Reading {
	return sensor.Reading{Kind: sensor.Level, Point: point, Active: active}
}

func TestMoreChangesThanUsualAreToldOnceAndEnd(t *testing.T) {
	j := newRapid(t, rapid.Config{Changes: 5, Window: 10 * time.Second})
	now := epoch
	j.Judge(now, level("lid", false))
	for i := range 12 {
		now = now.Add(time.Second)
		said := j.Judge(now, level("lid", i%2 == 0))
		if want := i == 5; (len(said) == 1) != want {
			t.Fatalf("change %d: %+v", i+1, said)
		}
		if len(said) == 1 && (!said[0].Active || !said[0].Alarm || said[0].Type != "rapid_transitions") {
			t.Errorf("said %+v", said[0])
		}
		if said := j.Tick(now); len(said) != 0 {
			t.Fatalf("over after change %d", i+1)
		}
	}
	end := j.Next()
	if end.Sub(now) > 10*time.Second || !end.After(now) {
		t.Fatalf("ends at %s, the last change was at %s", end, now)
	}
	if said := j.Tick(end.Add(-1)); len(said) != 0 {
		t.Errorf("too soon: %+v", said)
	}
	if said := j.Tick(end); len(said) != 1 || said[0].Active || !j.Next().IsZero() {
		t.Errorf("over: %+v, next %s", said, j.Next())
	}
}

func TestTheSameLevelAgainIsNoChangeAndPointsAreCountedApart(t *testing.T) {
	j := newRapid(t, rapid.Config{Changes: 3})
	for i := range 50 {
		if said := j.Judge(epoch, level("still", true)); len(said) != 0 {
			t.Fatalf("a level that stands: %+v", said)
		}
		if said := j.Judge(epoch, level(fmt.Sprint(i), i%2 == 0)); len(said) != 0 {
			t.Fatalf("many points: %+v", said)
		}
		if said := j.Judge(epoch, sensor.Reading{Kind: sensor.Measure, Point: "v", Value: float64(i)}); len(said) != 0 {
			t.Fatalf("a number: %+v", said)
		}
	}
}

func TestPulsesCount(t *testing.T) {
	j := newRapid(t, rapid.Config{Changes: 2})
	said := 0
	for range 10 {
		said += len(j.Judge(epoch, sensor.Reading{Kind: sensor.Pulse, Point: "usb"}))
	}
	if said != 1 {
		t.Errorf("told %d times", said)
	}
}

func TestAsAFusionItNamesTheSensorAndCountsNothingBypassed(t *testing.T) {
	j := newRapid(t, rapid.Config{Changes: 2})
	e := monitor.Event{Sensor: core.MustID[core.SensorID]("door"), Point: "front", Kind: sensor.Pulse, Bypassed: true}
	for range 10 {
		if said := j.Event(epoch, e); len(said) != 0 {
			t.Fatalf("bypassed: %+v", said)
		}
	}
	e.Bypassed, e.Simulated = false, true
	j.Event(epoch, e)
	j.Event(epoch, e)
	if said := j.Event(epoch, e); len(said) != 1 || said[0].Point != "rapid:door/front" || !said[0].Simulated {
		t.Errorf("said %+v", said)
	}
}

func TestItRemembersNoMoreThanItsBound(t *testing.T) {
	j := newRapid(t, rapid.Config{Changes: 3})
	told := 0
	for i := range 10_000 {
		told += len(j.Judge(epoch, sensor.Reading{Kind: sensor.Pulse, Point: fmt.Sprint(i)}))
	}
	if told != 1 {
		t.Errorf("10 000 points, told %d times: what is beyond the bound is counted together", told)
	}
}

func TestBadConfigurations(t *testing.T) {
	for _, c := range []rapid.Config{{Changes: -1}, {Changes: 10_001}, {Window: -1}, {Window: 25 * time.Hour}} {
		if _, err := rapid.New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
