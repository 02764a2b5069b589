package monitor

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

var (
	lid   = core.MustID[core.SensorID]("lid")
	epoch = time.Unix(1_700_000_000, 0).UTC()
)

const ms = time.Millisecond

// bench drives a core with its own time and keeps what was said.
type bench struct {
	core   *Core
	now    time.Time
	events []Event
}

func newBench(change ...func(*sensor.Capabilities)) *bench {
	caps := sensor.Capabilities{Kind: "case", MaxSilence: time.Hour, Latches: true}
	for _, f := range change {
		f(&caps)
	}
	n := 0
	b := &bench{now: epoch}
	b.core = NewCore(Rules{NewID: func() string { n++; return fmt.Sprintf("%032x", n) }}, Spec{ID: lid, Caps: caps})
	b.core.Started(b.now, lid)
	return b
}

func (b *bench) keep(e []Event) { b.events = append(b.events, e...) }

// at moves time on, ticking at every deadline on the way as the monitor does.
func (b *bench) at(d time.Duration) *bench {
	end := epoch.Add(d)
	for {
		next := b.core.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		if next.After(b.now) {
			b.now = next
		}
		b.keep(b.core.Tick(b.now))
	}
	b.now = end
	return b
}

func (b *bench) level(active bool) *bench {
	b.keep(b.core.Read(b.now, lid, caseLevel(active)))
	return b
}

func caseLevel(active bool) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: "lid", Active: active, Alarm: true, Type: "case_opened", Clear: "case_closed",
		Severity: core.SeverityCritical, Fields: sensor.Fields(map[string]int{"line": 3}),
	}
}

func (b *bench) types() string {
	var names []string
	for _, e := range b.events {
		names = append(names, e.Type)
	}
	return strings.Join(names, " ")
}

func (b *bench) state() core.SensorState { return b.core.Statuses()[0].State }

func TestABounceIsNothingAndAnOpeningIsOneEventAndALatch(t *testing.T) {
	b := newBench().level(false)
	b.at(1000 * ms).level(true).at(1020 * ms).level(false).at(2000 * ms)
	if len(b.events) != 0 || b.state() != core.SensorOK {
		t.Fatalf("20 ms: events %q, state %s", b.types(), b.state())
	}
	b.level(true).at(2060 * ms).level(false).at(30 * time.Second)
	if b.types() != "case_opened" || len(b.core.Latches()) != 1 || b.state() != core.SensorAlarm {
		t.Fatalf("60 ms: events %q, latches %v, state %s", b.types(), b.core.Latches(), b.state())
	}
	e := b.events[0]
	if e.Latch == nil || e.Latch.ID != b.core.Latches()[0].ID || len(e.Latch.ID) != 32 || e.State != core.SensorAlarm || e.Severity != core.SeverityCritical {
		t.Errorf("event %+v", e)
	}
	if !strings.Contains(string(e.Fields), `"line":3`) || !strings.Contains(string(e.Fields), `"point":"lid"`) {
		t.Errorf("fields %s", e.Fields)
	}
	if released, _ := b.core.Release(b.now, []string{"other"}); len(released) != 0 || b.state() != core.SensorAlarm {
		t.Error("another latch's release opened this one")
	}
	if released, _ := b.core.Release(b.now, []string{e.Latch.ID}); len(released) != 1 || b.state() != core.SensorOK {
		t.Errorf("released %v, state %s", released, b.state())
	}
}

// The reading that ends a level may come before the tick that would have
// counted it: time counts, not who was scheduled first.
func TestALateTickLosesNoOpening(t *testing.T) {
	b := newBench().level(false)
	b.now = epoch.Add(ms)
	b.level(true)
	b.now = epoch.Add(61 * ms)
	b.level(false)
	if b.types() != "case_opened" || len(b.core.Latches()) != 1 {
		t.Errorf("events %q, latches %v", b.types(), b.core.Latches())
	}
}

func TestAReleaseOfAnInputThatIsStillOpenLatchesAnew(t *testing.T) {
	b := newBench().level(true).at(100 * ms)
	first := b.core.Latches()[0].ID
	released, events := b.core.Release(b.now, []string{first})
	if len(released) != 1 || len(b.core.Latches()) != 1 || b.core.Latches()[0].ID == first {
		t.Errorf("released %v, latches %v", released, b.core.Latches())
	}
	if len(events) != 2 || events[0].Type != "latch_released" || events[1].Latch == nil {
		t.Errorf("events %+v", events)
	}
}

func TestFaultSilenceAndReturn(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.MaxSilence = 5 * time.Second })
	if b.state() != core.SensorUnknown {
		t.Errorf("before the first reading: %s", b.state())
	}
	b.level(false).at(6 * time.Second)
	if b.types() != "sensor_lost" || b.state() != core.SensorStale || len(b.core.Cut()) != 1 {
		t.Errorf("silent: events %q, state %s", b.types(), b.state())
	}
	b.at(12 * time.Second)
	if b.types() != "sensor_lost" || len(b.core.Cut()) != 1 {
		t.Errorf("still silent: events %q; the driver is to be cut again", b.types())
	}
	b.level(false)
	if b.types() != "sensor_lost sensor_back" || b.state() != core.SensorOK {
		t.Errorf("back: events %q, state %s", b.types(), b.state())
	}
	b.keep(b.core.Failed(b.now, lid, "bus gone", false))
	if b.state() != core.SensorFault || b.events[2].Type != "sensor_lost" || b.events[2].Severity != core.SeverityHigh {
		t.Errorf("failed: state %s, events %q", b.state(), b.types())
	}
}

func TestAFrozenValueIsStale(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.MaxSilence, c.Lively = 5*time.Second, true })
	for i := range 20 {
		b.at(time.Duration(i) * time.Second)
		b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Beat, Sample: uint64(min(i, 3))}))
	}
	if b.types() != "sensor_lost" || b.state() != core.SensorStale || !strings.Contains(string(b.events[0].Fields), "stands still") {
		t.Errorf("events %q %s, state %s", b.types(), b.events[0].Fields, b.state())
	}
	b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Beat, Sample: 99}))
	if b.state() != core.SensorOK {
		t.Errorf("moving again: %s", b.state())
	}
}

func TestAFailureKeepsTheLatch(t *testing.T) {
	b := newBench().level(true).at(100 * ms)
	b.keep(b.core.Failed(b.now, lid, "unplugged", false))
	if b.state() != core.SensorAlarm || len(b.core.Latches()) != 1 {
		t.Errorf("state %s, latches %v", b.state(), b.core.Latches())
	}
}

func TestTakingASensorOutOfTheConfigurationOpensNothing(t *testing.T) {
	c := NewCore(Rules{})
	c.Restore([]Latch{{ID: strings.Repeat("ab", 16), Sensor: lid, Point: "lid", Type: "case_opened"}})
	if s := c.Statuses(); len(s) != 1 || s[0].State != core.SensorAlarm || len(c.Latches()) != 1 {
		t.Errorf("statuses %+v", s)
	}
}

func TestDisarmedReportsWithoutAlarmAndArmingAlarmsAtOnce(t *testing.T) {
	b := newBench()
	b.core.SetArming(b.now, core.Disarmed)
	b.level(true).at(time.Second)
	if b.types() != "case_opened" || len(b.core.Latches()) != 0 || b.events[0].Severity != core.SeverityLow || !strings.Contains(string(b.events[0].Fields), `"arming":"disarmed"`) {
		t.Fatalf("disarmed: %q %+v", b.types(), b.events)
	}
	// Open and disarmed is no alarm, and shown as open.
	if s := b.core.Statuses()[0]; s.State != core.SensorOK || b.events[0].State != core.SensorOK || len(s.Active) != 1 || s.Armed {
		t.Errorf("disarmed and open: %+v", s)
	}
	b.keep(b.core.SetArming(b.now, core.Armed))
	if len(b.core.Latches()) != 1 {
		t.Error("armed with the case open, and no latch")
	}
	door := newBench(func(c *sensor.Capabilities) { c.Latches = false }).level(true).at(time.Second)
	door.keep(door.core.SetArming(door.now, core.Disarmed))
	if door.types() != "case_opened alarm_over" || door.state() != core.SensorOK {
		t.Errorf("disarmed while open: %q %s", door.types(), door.state())
	}
	always := newBench(func(c *sensor.Capabilities) { c.Always = true })
	always.core.SetArming(always.now, core.Disarmed)
	if always.level(true).at(time.Second); len(always.core.Latches()) != 1 {
		t.Error("a sensor that is always on was disarmed")
	}
}

func TestBypassEndsByItselfAndAlarmsWhatIsOpenThen(t *testing.T) {
	b := newBench().level(false)
	b.bypass(Bypass{Sensor: lid, For: time.Minute})
	b.level(true).at(10 * time.Second)
	if b.state() != core.SensorBypassed || len(b.core.Latches()) != 0 {
		t.Errorf("bypassed: %s %v", b.state(), b.core.Latches())
	}
	b.at(61 * time.Second)
	if b.state() != core.SensorAlarm || len(b.core.Latches()) != 1 {
		t.Errorf("after the bypass: %s %v", b.state(), b.core.Latches())
	}
}

func TestAFloodIsToldAsFirstLastAndCountAndNeverHidesALatch(t *testing.T) {
	b := newBench().level(false)
	const flood = 5000
	for i := range flood {
		b.at(time.Duration(i) * ms)
		b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Pulse, Point: "1-1", Type: "usb_removed", Severity: core.SeverityLow}))
	}
	b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Pulse, Point: "2-1", Type: "usb_attached", Alarm: true, Severity: core.SeverityHigh}))
	single := len(b.events)
	if single > 25 || b.events[single-1].Latch == nil {
		t.Fatalf("%d events, the last %+v", single, b.events[single-1])
	}
	b.at(3 * time.Minute)
	folded := 0
	for _, e := range b.events[single:] {
		var f struct {
			Coalesced struct{ First, Last, Count int64 }
		}
		if err := json.Unmarshal(e.Fields, &f); err != nil {
			t.Fatal(err)
		}
		folded += int(f.Coalesced.Count)
		if f.Coalesced.First > f.Coalesced.Last {
			t.Errorf("coalesced %+v", f)
		}
	}
	if folded+single-1 != flood {
		t.Errorf("%d single and %d folded make no %d", single-1, folded, flood)
	}
}

func TestChatterBelowTheDebounceIsNotSilent(t *testing.T) {
	b := newBench().level(false)
	for i := range 120 {
		b.at(time.Duration(i) * 20 * ms).level(i%2 == 0)
	}
	if b.types() != "input_chatter" || len(b.core.Latches()) != 0 {
		t.Errorf("events %q", b.types())
	}
}

func TestActivityAtALatchIsToldOnceAWindow(t *testing.T) {
	b := newBench().level(true)
	for i := range 100 {
		b.at(time.Duration(i) * 200 * ms).level(i%2 == 1)
	}
	b.at(5 * time.Minute)
	if b.types() != "case_opened latch_activity" {
		t.Errorf("events %q", b.types())
	}
}

func TestASensorCannotMakeTheMonitorRememberWithoutEnd(t *testing.T) {
	b := newBench()
	for i := range 10_000 {
		b.keep(b.core.Read(b.now, lid, sensor.Reading{Kind: sensor.Pulse, Point: fmt.Sprint(i), Type: "usb_attached", Alarm: true, Severity: core.SeverityHigh}))
	}
	if n := len(b.core.Latches()); n != maxPoints+1 {
		t.Errorf("%d latches", n)
	}
	if _, ok := b.core.inputs[lid].points[overflow]; !ok {
		t.Error("what was beyond left no trace")
	}
}

func TestTheSimulatedMarkStays(t *testing.T) {
	b := newBench(func(c *sensor.Capabilities) { c.Simulated = true })
	b.level(true).at(100 * ms)
	b.keep(b.core.Failed(b.now, lid, "x", false))
	for _, e := range b.events {
		if !e.Simulated {
			t.Errorf("event without the mark: %+v", e)
		}
	}
	if l := b.core.Latches(); len(l) != 1 || !l[0].Simulated {
		t.Errorf("latches %+v", l)
	}
}

// TestRandomHistories plays random readings, faults, releases and waits against
// what must hold in every history.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomHistory(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func randomHistory(t *testing.T, r *rand.Rand) {
	b := newBench(func(c *sensor.Capabilities) { c.MaxSilence = 20 * time.Second })
	at, level, openSince := time.Duration(0), false, time.Duration(-1)
	mustLatch, set := false, map[string]bool{}
	for range 400 {
		at += time.Duration(r.IntN(120)) * ms
		b.at(at)
		if openSince >= 0 && at-openSince >= 50*ms {
			mustLatch = true
		}
		switch r.IntN(12) {
		case 0:
			b.keep(b.core.Failed(b.now, lid, "x", false))
			b.core.Started(b.now, lid)
			openSince = -1
			b.level(level)
			if level {
				openSince = at
			}
		case 1:
			if len(b.core.Latches()) > 0 {
				released, events := b.core.Release(b.now, []string{b.core.Latches()[0].ID})
				b.keep(events)
				if len(released) != 1 {
					t.Fatalf("released %v", released)
				}
				mustLatch = false
			}
		case 2:
			at += 30 * time.Second
			b.at(at)
			if openSince >= 0 {
				mustLatch = true
			}
		default:
			level = r.IntN(2) == 0
			b.level(level)
			switch {
			case !level:
				openSince = -1
			case openSince < 0:
				openSince = at
			}
		}
		if mustLatch && len(b.core.Latches()) != 1 {
			t.Fatalf("open for 50 ms and %d latches (events %s)", len(b.core.Latches()), b.types())
		}
		if n := len(b.core.Latches()); n > 1 || (n == 1) != (b.state() == core.SensorAlarm && len(b.core.Statuses()[0].Latches) == 1) {
			t.Fatalf("%d latches, state %s", n, b.state())
		}
	}
	for i, e := range b.events {
		if e.Latch != nil {
			if set[e.Latch.ID] {
				t.Fatalf("latch %s was told twice", e.Latch.ID)
			}
			set[e.Latch.ID] = true
		}
		if i > 0 && e.At.Before(b.events[i-1].At) {
			t.Fatalf("event %d goes back in time", i)
		}
		if !json.Valid(e.Fields) || e.Severity.Rank() < 0 || !slices.Contains(core.SensorStates, e.State) {
			t.Fatalf("event %+v", e)
		}
	}
}

func (b *bench) bypass(x Bypass) {
	events, err := b.core.Bypass(b.now, x)
	if err != nil {
		panic(err)
	}
	b.keep(events)
}
