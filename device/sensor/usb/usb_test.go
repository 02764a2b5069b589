package usb

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../internal/uevent/testdata/uevents", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bus is a machine for the driver: sysfs in a folder and a kernel that says
// what the test says.
type bus struct {
	t        *testing.T
	sensor   *Sensor
	clock    *clocktest.Clock
	kernel   *ueventtest.Kernel
	readings chan sensor.Reading
}

func newBus(t *testing.T) *bus {
	b := &bus{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), kernel: ueventtest.New(), readings: make(chan sensor.Reading, 256)}
	b.use(t.TempDir(), Config{})
	if err := os.MkdirAll(filepath.Join(b.sensor.sysfs, "bus/usb/devices"), 0o755); err != nil {
		t.Fatal(err)
	}
	return b
}

// use makes the driver of a machine.
func (b *bus) use(root string, c Config) {
	b.t.Helper()
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("usb"), Clock: b.clock, Root: root}, c)
	if err != nil {
		b.t.Fatal(err)
	}
	s.open = b.kernel.Open
	b.sensor = s
}

const devices = "/devices/pci0000:00/0000:00:04.0/usb1"

// plug puts a device into sysfs as the kernel does: a folder below /devices and
// a link to it from the bus.
func (b *bus) plug(port string, attrs map[string]string) {
	b.t.Helper()
	dir := filepath.Join(b.sensor.sysfs, devices, port)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for k, v := range attrs {
		if err := os.WriteFile(filepath.Join(dir, k), []byte(v+"\n"), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(b.sensor.sysfs, "bus/usb/devices", port)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bus) unplug(port string) {
	b.t.Helper()
	for _, p := range []string{filepath.Join(b.sensor.sysfs, "bus/usb/devices", port), filepath.Join(b.sensor.sysfs, devices, port)} {
		if err := os.RemoveAll(p); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bus) start() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.sensor.Run(ctx, func(r sensor.Reading) { b.readings <- r }) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
}

func (b *bus) overrun()          { b.kernel.Fail(uevent.ErrOverrun) }
func (b *bus) record(msg string) { b.kernel.Say(recorded(b.t, msg)) }

// beat is the type of a reading that only says that the driver is alive; the
// first comes when the start is over.
const beat = ""

func (b *bus) await(kind string) sensor.Reading {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case r := <-b.readings:
			if r.Type == kind {
				return r
			}
		case <-deadline:
			b.t.Fatalf("no %s", kind)
		}
	}
}

var keyboard = map[string]string{"idVendor": "0627", "idProduct": "0001", "product": "QEMU USB Keyboard", "serial": "68284-1-1", "bDeviceClass": "00"}

func TestAPluggedKeyboardAlarmsAndIsDescribed(t *testing.T) {
	b := newBus(t)
	b.plug("1-2", map[string]string{"idVendor": "1d6b", "product": "our dongle"})
	stop := b.start()
	defer stop()
	if inv := b.await("inventory"); len(inv.Parts) != 1 || inv.Parts[0].About["product"] != "our dongle" {
		t.Errorf("inventory %+v", inv.Parts)
	}
	b.await(beat)
	b.plug("1-1", keyboard)
	b.record("good-add-keyboard")
	b.record("good-add-interface")
	got := b.await("usb_attached")
	var fields map[string]any
	if err := json.Unmarshal(got.Fields, &fields); err != nil {
		t.Fatal(err)
	}
	if got.Point != "1-1" || !got.Alarm || got.Severity != core.SeverityHigh || fields["product"] != "QEMU USB Keyboard" || fields["uevent_product"] != "627/1/0" {
		t.Errorf("reading %+v fields %v", got, fields)
	}
	b.unplug("1-1")
	b.record("good-remove-keyboard")
	if got := b.await("usb_removed"); got.Alarm {
		t.Error("a foreign device going away alarms again")
	}
}

func TestADeviceOfTheInventoryIsMissed(t *testing.T) {
	b := newBus(t)
	b.plug("1-1", keyboard)
	stop := b.start()
	defer stop()
	b.await(beat)
	b.unplug("1-1")
	b.record("good-remove-keyboard")
	if got := b.await("usb_removed"); !got.Alarm || got.Severity != core.SeverityHigh {
		t.Errorf("reading %+v", got)
	}
	b.plug("1-1", keyboard)
	b.record("good-add-keyboard")
	if got := b.await("usb_attached"); !got.Alarm || !strings.Contains(string(got.Fields), `"like_inventory":true`) {
		t.Errorf("the same strings again: %+v %s", got, got.Fields)
	}
}

func TestLostMessagesAreMendedByALook(t *testing.T) {
	b := newBus(t)
	stop := b.start()
	defer stop()
	b.await(beat)
	b.plug("1-1", keyboard) // its message is among the lost ones
	b.overrun()
	b.await("uevents_lost")
	b.await("usb_attached")
}

func TestTheClockFindsWhatNoMessageTold(t *testing.T) {
	b := newBus(t)
	stop := b.start()
	defer stop()
	b.await(beat)
	b.plug("1-1", keyboard)
	for b.clock.Waiters() == 0 {
		runtime.Gosched()
	}
	b.clock.Advance(rescanEvery)
	b.await("usb_attached")
}

func TestADeviceThatCameWhileTheDriverWasDownAlarms(t *testing.T) {
	b := newBus(t)
	b.start()()
	b.plug("1-1", keyboard)
	stop := b.start()
	defer stop()
	b.await("usb_attached")
}

func TestNonsenseOnTheSocketIsReportedAndHurtsNothing(t *testing.T) {
	b := newBus(t)
	stop := b.start()
	defer stop()
	b.await(beat)
	b.record("bad-path-traversal")
	b.await("uevent_refused")
	b.kernel.Fail(uevent.ErrForeign)
	b.await("uevent_refused")
	b.plug("1-1", keyboard)
	b.record("good-add-keyboard")
	b.await("usb_attached")
}

func TestHostileStringsOfADeviceAreMadeHarmless(t *testing.T) {
	b := newBus(t)
	stop := b.start()
	defer stop()
	b.await(beat)
	b.plug("1-1", map[string]string{"product": "\x1b[2J\n{\"type\":\"ok\"}", "serial": strings.Repeat("A", 4000), "manufacturer": "\xff\xfe\u202e"})
	b.record("good-add-keyboard")
	got := b.await("usb_attached")
	var fields map[string]string
	if err := json.Unmarshal(got.Fields, &fields); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(fields["product"], "\x1b\n") || len(fields["serial"]) > sensor.MaxText || strings.Contains(fields["manufacturer"], "\u202e") {
		t.Errorf("fields %q", fields)
	}
}

func TestAKernelWithoutUSBIsSkippedNotCalm(t *testing.T) {
	b := newBus(t)
	if p := b.sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	b.sensor.sysfs = t.TempDir()
	if p := b.sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe without a bus: %+v", p)
	}
	if err := b.sensor.Run(t.Context(), func(sensor.Reading) {}); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Run without a bus: %v", err)
	}
}

func TestPortNames(t *testing.T) {
	for name, want := range map[string]bool{"1-1": true, "12-1.4.2": true, "usb1": false, "1-1:1.0": false, "1-0:1.0": false, "": false, "-": false, "1-../x": false, strings.Repeat("1", 70) + "-1": false} {
		if isPort(name) != want {
			t.Errorf("isPort(%q) = %v", name, !want)
		}
	}
}

func ExampleNew() {
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("usb"), Clock: core.SystemClock{}}, Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Capabilities().Kind)
	// Output: usb
}
