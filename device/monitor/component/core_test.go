package component

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

const debounce = 5 * time.Second

var partsID = core.MustID[core.SensorID]("parts")

// house is a monitor with one sensor that counts parts.
type house struct {
	t    *testing.T
	core *monitor.Core
	now  time.Time
	said []monitor.Event
}

func newHouse(t *testing.T, kept []byte) *house {
	t.Helper()
	j, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	caps := sensor.Capabilities{Kind: "parts", MaxSilence: time.Hour, Debounce: debounce, Latches: true}
	h := &house{t: t, now: noon}
	h.core = monitor.NewCore(monitor.Rules{}, monitor.Spec{ID: partsID, Caps: caps, Judges: []monitor.Named{{Name: "component", Judge: j}}})
	h.core.Recall(h.now, map[core.SensorID]map[string][]byte{partsID: {"component": kept}})
	h.core.Started(h.now, partsID)
	return h
}

// see shows the sensor an inventory and lets time pass.
func (h *house) see(parts []sensor.Part, d time.Duration) {
	h.said = append(h.said, h.core.Read(h.now, partsID, inventory(parts))...)
	h.now = h.now.Add(d)
	h.said = append(h.said, h.core.Tick(h.now)...)
}

// types are the events but for inventories.
func (h *house) types() string {
	var all []string
	for _, e := range h.said {
		if e.Type != "" {
			all = append(all, e.Type)
		}
	}
	h.said = nil
	return strings.Join(all, " ")
}

func TestAPulledDiskLatchesOnceAndStaysLatchedWhenItIsPutBack(t *testing.T) {
	h := newHouse(t, nil)
	h.see(machine(), time.Second)
	if got := h.types(); got != "baseline_learned" && got != "inventory baseline_learned" {
		t.Errorf("learning said %s", got)
	}
	gone := without(machine(), "disk", "pci0000:00/03.0")
	h.see(gone, 2*debounce)
	if got := h.types(); strings.Count(got, TypeRemoved) != 1 || len(h.core.Latches()) != 1 {
		t.Errorf("said %s, latches %+v", got, h.core.Latches())
	}
	h.see(gone, 2*debounce)
	h.see(machine(), 2*debounce)
	if got := h.types(); strings.Contains(got, "component_") || len(h.core.Latches()) != 1 {
		t.Errorf("said %s, latches %+v", got, h.core.Latches())
	}
	released, _ := h.core.Release(h.now, []string{h.core.Latches()[0].ID})
	if len(released) != 1 || len(h.core.Latches()) != 0 {
		t.Errorf("released %v, latches %+v", released, h.core.Latches())
	}
}

// A bus that is scanned anew takes its parts away and gives them back.
func TestAStormOfHotPluggingThatSettlesIsNoAlarm(t *testing.T) {
	h := newHouse(t, nil)
	h.see(machine(), time.Second)
	h.types()
	for i := range 40 {
		h.see(machine()[:i%len(machine())], debounce/10)
		h.see(machine(), debounce/10)
	}
	h.see(machine(), time.Minute)
	if got := h.types(); strings.Contains(got, "component") || len(h.core.Latches()) != 0 {
		t.Errorf("said %s, latches %+v", got, h.core.Latches())
	}
}

// One that flaps slowly is one alarm, and the rest is counted at it.
func TestAFlappingPartIsOneAlarm(t *testing.T) {
	h := newHouse(t, nil)
	h.see(machine(), time.Second)
	h.types()
	for range 50 {
		h.see(without(machine(), "disk", "pci0000:00/03.0"), 2*debounce)
		h.see(machine(), 2*debounce)
	}
	if got := h.types(); strings.Count(got, TypeRemoved) != 1 || len(h.core.Latches()) != 1 {
		t.Errorf("said %s", got)
	}
}

// The agent was down, the machine was off, and a disk less is in it.
func TestADiskThatWasPulledWhileNobodyRanIsMissed(t *testing.T) {
	h := newHouse(t, nil)
	h.see(machine(), time.Second)
	memory, changed := h.core.Memory(h.now, partsID)
	if !changed {
		t.Fatal("nothing is kept")
	}
	h = newHouse(t, memory["component"])
	h.see(without(machine(), "disk", "pci0000:00/03.0"), 2*debounce)
	if got := h.types(); strings.Contains(got, TypeLearned) || strings.Count(got, TypeRemoved) != 1 {
		t.Errorf("said %s", got)
	}
}

func TestAnOrderMakesTheChangeExpectedAndTheLatchWaitsForItsRelease(t *testing.T) {
	h := newHouse(t, nil)
	h.see(machine(), time.Second)
	now := change(machine(), "dimm", "DIMM 1", func(p *sensor.Part) { p.Identity = "part=M1 serial=C" })
	h.see(now, 2*debounce)
	if _, err := h.core.Accept(h.now, partsID, Digest(machine())); core.KindOf(err) != core.KindConflict {
		t.Errorf("Accept of what was: %v", err)
	}
	events, err := h.core.Accept(h.now, partsID, Digest(now))
	if err != nil || len(events) == 0 || events[0].Type != TypeAccepted {
		t.Fatalf("%+v, %v", events, err)
	}
	h.types()
	h.see(now, 2*debounce)
	if len(h.core.Latches()) != 1 {
		t.Errorf("latches %+v", h.core.Latches())
	}
	h.core.Release(h.now, []string{h.core.Latches()[0].ID})
	h.see(now, 2*debounce)
	if got := h.types(); strings.Contains(got, "component_") || len(h.core.Latches()) != 0 {
		t.Errorf("said %s", got)
	}
}

func TestAWhollyOtherMachineFitsIntoTheMonitor(t *testing.T) {
	var base, now []sensor.Part
	for i := range 300 {
		base = append(base, sensor.Part{Class: "pci", Place: fmt.Sprint(i), Identity: fmt.Sprint("old", i)})
		now = append(now, sensor.Part{Class: "pci", Place: fmt.Sprint(i), Identity: fmt.Sprint("new", i)})
	}
	h := newHouse(t, nil)
	h.see(base, time.Second)
	h.see(now, 2*debounce)
	latches := h.core.Latches()
	if len(latches) != maxPoints+1 {
		t.Errorf("%d latches", len(latches))
	}
	for _, l := range latches {
		if l.Point == "+" {
			t.Error("the monitor had to put findings together")
		}
	}
}
