package parts

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/component"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

// house is a monitor over a recorded machine: the driver and the judge as the
// agent puts them together.
type house struct {
	t      *testing.T
	clock  *clocktest.Clock
	kernel *ueventtest.Kernel
	m      *monitor.Monitor
	events chan monitor.Event
	kept   map[string][]byte
	stop   func()
}

var partsID = core.MustID[core.SensorID]("parts")

func live(t *testing.T, root string, memory map[string][]byte) *house {
	t.Helper()
	h := &house{t: t, clock: clocktest.New(start), kernel: ueventtest.New(), events: make(chan monitor.Event, 4096), kept: memory}
	driver := newSensor(t, root)
	driver.env.Clock, driver.open = h.clock, h.kernel.Open
	judge, err := component.New(component.Config{})
	h.must(err)
	h.m, err = monitor.New(monitor.Config{
		Sensors: []sensor.Sensor{driver}, Clock: h.clock, Log: slog.New(slog.DiscardHandler),
		Judges: map[core.SensorID][]monitor.Named{partsID: {{Name: "component", Judge: judge}}},
		Memory: map[core.SensorID]map[string][]byte{partsID: memory},
		Keep:   func(_ core.SensorID, memory map[string][]byte) error { h.kept = memory; return nil },
		Sink:   func(e monitor.Event) { h.events <- e },
	})
	h.must(err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.m.Run(ctx) }()
	h.stop = func() {
		stop()
		h.must(<-ended)
	}
	t.Cleanup(stop)
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// event lets time pass until an event of a type comes, and returns it with the
// types of the others before it.
func (h *house) event(kind string) (map[string]any, string) {
	h.t.Helper()
	var others []string
	deadline := time.After(3 * time.Minute)
	for {
		select {
		case e := <-h.events:
			if e.Type != kind {
				others = append(others, e.Type)
				continue
			}
			fields := map[string]any{}
			h.must(json.Unmarshal(e.Fields, &fields))
			return fields, strings.Join(others, " ")
		case <-time.After(5 * time.Millisecond):
			h.clock.Advance(100 * time.Millisecond)
		case <-deadline:
			h.t.Fatalf("no %s; said %v", kind, others)
		}
	}
}

// digestOf is the hash by which an event names the inventory.
func digestOf(t *testing.T, fields map[string]any) string {
	t.Helper()
	sum, _ := fields["sha256"].(string)
	if len(sum) != 64 {
		t.Fatalf("it names no inventory: %v", fields)
	}
	return sum
}

func TestADiskThatIsPulledWhileTheMachineIsOffIsMissedUntilPeopleApprove(t *testing.T) {
	root := plant(t, "virtual-machine.txt")
	h := live(t, root, nil)
	learned, before := h.event(component.TypeLearned)
	if learned["count"] != 10.0 || !strings.Contains(before, "inventory") {
		t.Errorf("learned %v after %s", learned, before)
	}
	h.stop()

	remove(t, filepath.Join(root, "sys/block/vda"))
	h = live(t, root, h.kept)
	gone, before := h.event(component.TypeRemoved)
	if gone["component"] != "disk" || !strings.Contains(gone["from"].(string), "overlayblk") || strings.Contains(before, component.TypeLearned) {
		t.Errorf("told %v after %s", gone, before)
	}
	if err := h.m.Accept(partsID, digestOf(t, learned)); core.KindOf(err) != core.KindConflict {
		t.Errorf("the old inventory: %v", err)
	}
	h.must(h.m.Accept(partsID, digestOf(t, gone)))
	h.stop()

	// From now on the machine has no disk, and one that comes back is new.
	h = live(t, root, h.kept)
	if s := h.m.Statuses(); len(s) != 1 || s[0].State == core.SensorAlarm {
		t.Errorf("%+v", s)
	}
	plantLink(t, filepath.Join(root, "sys/block/vda"), "../devices/pci0000:00/0000:00:02.0/virtio1/block/vda")
	added, before := h.event(component.TypeAdded)
	if !strings.Contains(added["to"].(string), "overlayblk") || strings.Contains(before, component.TypeRemoved) {
		t.Errorf("told %v after %s", added, before)
	}
	h.stop()
}

// What can't be read makes the sensor a fault, and it is well again once it can.
func TestAClassThatCannotBeReadIsAFaultOfTheSensor(t *testing.T) {
	root := plant(t, "virtual-machine.txt")
	h := live(t, root, nil)
	h.event(component.TypeLearned)
	size := filepath.Join(root, "sys/devices/system/memory/block_size_bytes")
	write(t, size, "much")
	h.kernel.Tell("add", "memory", "/devices/system/memory/memory4")
	lost, before := h.event("sensor_lost")
	if lost["point"] != "memory" || strings.Contains(before, component.TypeRemoved) {
		t.Errorf("told %v after %s", lost, before)
	}
	write(t, size, "8000000\n")
	if back, before := h.event("sensor_back"); back["point"] != "memory" || strings.Contains(before, component.TypeRemoved) {
		t.Errorf("told %v after %s", back, before)
	}
	h.stop()
}
