package enclosure_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/enclosure"
	"github.com/interlock-security/interlock/device/sensor"
)

var epoch = time.Unix(1_700_000_000, 0).UTC()

func id(name string) core.SensorID { return core.MustID[core.SensorID](name) }

// rig is a case with switches at a virtual clock.
type rig struct {
	t      *testing.T
	core   *monitor.Core
	now    time.Time
	events []monitor.Event
}

func newRig(t *testing.T, c enclosure.Config, switches ...string) *rig {
	t.Helper()
	f, err := enclosure.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var specs []monitor.Spec
	var of []core.SensorID
	for _, s := range switches {
		specs = append(specs, monitor.Spec{ID: id(s), Caps: sensor.Capabilities{Kind: s, MaxSilence: 24 * time.Hour, Latches: true}})
		of = append(of, id(s))
	}
	caps := f.Capabilities()
	caps.Kind = "enclosure"
	specs = append(specs, monitor.Spec{ID: id("case"), Caps: caps, Fusion: f, Of: of})
	r := &rig{t: t, now: epoch, core: monitor.NewCore(monitor.Rules{}, specs...)}
	for _, s := range switches {
		r.core.Started(r.now, id(s))
		r.say(s, false)
	}
	return r
}

func (r *rig) say(name string, open bool) *rig {
	r.events = append(r.events, r.core.Read(r.now, id(name), sensor.Reading{
		Kind: sensor.Level, Point: "lid", Active: open, Settled: true, Alarm: true, Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical,
	})...)
	return r
}

func (r *rig) after(d time.Duration) *rig {
	end := r.now.Add(d)
	for next := r.core.Next(); !next.IsZero() && !next.After(end); next = r.core.Next() {
		r.now = next
		r.events = append(r.events, r.core.Tick(r.now)...)
	}
	r.now = end
	return r
}

// said lists what was said as sensor:type, without inventories.
func (r *rig) said() string {
	var all []string
	for _, e := range r.events {
		if e.Type != "inventory" {
			all = append(all, e.Sensor.String()+":"+e.Type)
		}
	}
	r.events = nil
	return strings.Join(all, " ")
}

func TestFourSwitchesAreOneLatch(t *testing.T) {
	r := newRig(t, enclosure.Config{}, "lid", "board", "bmc", "light")
	r.say("board", true).after(time.Second).say("lid", true).say("bmc", true).after(time.Second).say("light", true).after(time.Minute)
	l := r.core.Latches()
	if len(l) != 1 || l[0].Sensor != id("case") || l[0].Type != "case_intrusion" || l[0].Severity != core.SeverityCritical {
		t.Fatalf("latches %+v", l)
	}
	alarms, confirmed := 0, 0
	for _, e := range r.events {
		switch {
		case e.Class == core.ClassDetectionFinding:
			alarms++
			var f struct{ First string }
			if err := json.Unmarshal(e.Fields, &f); err != nil || f.First != "board/lid" {
				t.Errorf("first %q, %v", f.First, err)
			}
		case e.Type == "case_confirmed":
			confirmed++
		case e.Type == "case_intrusion" && (e.State != core.SensorOK || e.Severity != core.SeverityLow || !strings.Contains(string(e.Fields), `"fused_by":"case"`)):
			t.Errorf("a switch alarms by itself: %+v %s", e, e.Fields)
		}
	}
	if alarms != 1 || confirmed != 3 {
		t.Errorf("%d alarms, %d confirmations", alarms, confirmed)
	}
	for _, s := range []string{"board", "lid", "bmc", "light"} {
		r.say(s, false)
	}
	released, _ := r.core.Release(r.now, []string{l[0].ID})
	if len(released) != 1 || len(r.core.Latches()) != 0 {
		t.Errorf("closed and released: %v, %v", released, r.core.Latches())
	}
}

func TestAReleaseWhileASwitchIsOpenLatchesAnew(t *testing.T) {
	r := newRig(t, enclosure.Config{}, "lid", "board")
	r.say("lid", true)
	first := r.core.Latches()[0].ID
	r.core.Release(r.now, []string{first})
	if l := r.core.Latches(); len(l) != 1 || l[0].ID == first {
		t.Errorf("latches %+v", l)
	}
}

func TestSwitchesThatDisagreeAreAnEventOfTheirOwn(t *testing.T) {
	r := newRig(t, enclosure.Config{Disagree: 20 * time.Second}, "lid", "board")
	r.say("board", true).said()
	if got := r.after(19 * time.Second).said(); got != "" {
		t.Errorf("after 19 s: %s", got)
	}
	if got := r.after(2 * time.Second).said(); got != "case:case_disagreement" {
		t.Errorf("after 21 s: %s", got)
	}
	if got := r.after(time.Hour).said(); got != "" {
		t.Errorf("told again: %s", got)
	}
	if got := r.say("lid", true).said(); got != "lid:case_intrusion case:case_confirmed case:case_agreement" {
		t.Errorf("agreed: %s", got)
	}
}

func TestABypassedSwitchCountsForNothing(t *testing.T) {
	r := newRig(t, enclosure.Config{}, "lid", "board")
	if _, err := r.core.Bypass(r.now, monitor.Bypass{Sensor: id("lid"), For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if r.say("lid", true).after(time.Minute); len(r.core.Latches()) != 0 {
		t.Fatal("a bypassed switch opened the case")
	}
	for _, s := range r.core.Statuses() {
		if s.ID == id("case") && s.State != core.SensorBypassed {
			t.Errorf("the case is %s while a switch of it is bypassed", s.State)
		}
	}
	if r.after(time.Hour); len(r.core.Latches()) != 1 {
		t.Errorf("open when the bypass ended: %v", r.core.Latches())
	}
}

func TestTheCaseDisarmedAndArmedAgain(t *testing.T) {
	r := newRig(t, enclosure.Config{}, "lid", "board")
	r.core.SetArming(r.now, core.Disarmed)
	if r.say("lid", true).after(time.Minute); len(r.core.Latches()) != 0 {
		t.Fatal("a latch while disarmed")
	}
	if r.core.SetArming(r.now, core.Armed); len(r.core.Latches()) != 1 {
		t.Error("armed with the case open, and no latch")
	}
}

func TestWhatIsIgnoredAlarmsForItself(t *testing.T) {
	r := newRig(t, enclosure.Config{Ignore: []string{"lid/lid"}}, "lid", "board")
	r.say("lid", true)
	if l := r.core.Latches(); len(l) != 1 || l[0].Sensor != id("lid") {
		t.Errorf("latches %+v", l)
	}
}

func TestHeatInTheCaseIsNoOpenCase(t *testing.T) {
	r := newRig(t, enclosure.Config{}, "lid", "board")
	r.events = r.core.Read(r.now, id("board"), sensor.Reading{Kind: sensor.Level, Point: "temp1", Active: true, Settled: true, Alarm: true, Type: "temperature_critical", Clear: "temperature_eased", Severity: core.SeverityCritical})
	if got := r.said(); got != "board:temperature_critical" || len(r.core.Latches()) != 1 || r.core.Latches()[0].Sensor != id("board") {
		t.Errorf("%s, latches %+v", got, r.core.Latches())
	}
}

func TestASensorThatCannotBeDisarmedLosesNothingToACaseThatCan(t *testing.T) {
	f, err := enclosure.New(enclosure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := monitor.NewCore(
		monitor.Rules{},
		monitor.Spec{ID: id("mesh"), Caps: sensor.Capabilities{Kind: "gpio", MaxSilence: time.Hour, Latches: true, Always: true}},
		monitor.Spec{ID: id("case"), Caps: f.Capabilities(), Fusion: f, Of: []core.SensorID{id("mesh")}},
	)
	c.SetArming(epoch, core.Disarmed)
	c.Started(epoch, id("mesh"))
	c.Read(epoch, id("mesh"), sensor.Reading{Kind: sensor.Level, Point: "m", Active: true, Settled: true, Alarm: true, Type: "loop_cut", Clear: "loop_ok", Severity: core.SeverityCritical})
	if l := c.Latches(); len(l) != 1 || l[0].Sensor != id("mesh") {
		t.Errorf("latches %+v", l)
	}
}

func TestAnySequenceOfSwitchesIsOpenExactlyWhileOneIs(t *testing.T) {
	names := []string{"a", "b", "c"}
	for mask := range 1 << 12 {
		r := newRig(t, enclosure.Config{}, names...)
		open := map[string]bool{}
		for step := range 4 {
			n := names[(mask>>(3*step))%3]
			open[n] = (mask>>(3*step+2))&1 == 1
			r.say(n, open[n])
			want := slices.ContainsFunc(names, func(n string) bool { return open[n] })
			st := r.core.Statuses()[3]
			if got := len(st.Active) == 1; got != want {
				t.Fatalf("%b step %d: active %v, switches %v", mask, step, got, open)
			}
			if want && len(r.core.Latches()) != 1 {
				t.Fatalf("%b: open and %d latches", mask, len(r.core.Latches()))
			}
		}
	}
}

// What is beyond the bound opens the case as well, and closes nothing in another
// switch's place.
func TestMoreSwitchesThanAreRememberedHideNoOpening(t *testing.T) {
	f, err := enclosure.New(enclosure.Config{})
	if err != nil {
		t.Fatal(err)
	}
	say := func(n int, open bool) (active, said bool) {
		for _, r := range f.Event(epoch, monitor.Event{Sensor: id(fmt.Sprint("s", n)), Point: "lid", Kind: sensor.Level, Level: "case_intrusion", Type: "case_intrusion", Active: open, Alarm: true}) {
			if r.Kind == sensor.Level {
				active, said = r.Active, true
			}
		}
		return active, said
	}
	for i := range 128 {
		say(i, false)
	}
	if active, _ := say(127, true); !active {
		t.Fatal("the last one that is remembered does not open the case")
	}
	if active, said := say(500, false); said && !active {
		t.Error("another one closed the case in its place")
	}
	say(127, false)
	if active, _ := say(501, true); !active {
		t.Error("one that is not remembered does not open the case")
	}
}

func TestBadConfigurations(t *testing.T) {
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("a/", i)
	}
	for _, c := range []enclosure.Config{{Disagree: -1}, {Disagree: 2 * time.Hour}, {Ignore: many}} {
		if _, err := enclosure.New(c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
