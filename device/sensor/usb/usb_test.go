package usb

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
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
	*sensortest.Rig
	t      *testing.T
	sensor *Sensor
}

func newBus(t *testing.T) *bus {
	t.Helper()
	b := &bus{Rig: sensortest.New(t), t: t}
	b.use(Config{})
	b.Folder(onBus)
	return b
}

// use makes the driver.
func (b *bus) use(c Config) {
	s, err := New(b.Env, c)
	b.Must(err)
	b.sensor, s.open = s, b.Kernel.Open
}

const (
	onBus   = "sys/bus/usb/devices/"
	devices = "/devices/pci0000:00/0000:00:04.0/usb1"
)

// plug puts a device into sysfs as the kernel does: a folder below /devices and
// a link to it from the bus.
func (b *bus) plug(port string, attrs map[string]string) {
	dir := filepath.Join("sys", devices, port)
	b.Folder(dir)
	b.WriteAll(dir, attrs)
	b.Link(onBus+port, dir)
}

func (b *bus) unplug(port string) {
	b.Remove(onBus + port)
	b.Remove(filepath.Join("sys", devices, port))
}

func (b *bus) start() (stop func()) { return b.Run(b.sensor) }
func (b *bus) overrun()             { b.Kernel.Fail(uevent.ErrOverrun) }
func (b *bus) record(msg string)    { b.Kernel.Say(recorded(b.t, msg)) }

// await returns the next reading of a type. The type of a beat is none; the
// first comes when the start is over.
func (b *bus) await(kind string) sensor.Reading {
	b.t.Helper()
	return b.AwaitType(kind)
}

const beat = ""

var keyboard = map[string]string{"idVendor": "0627", "idProduct": "0001", "product": "QEMU USB Keyboard", "serial": "68284-1-1", "bDeviceClass": "00"}

func TestAPluggedKeyboardAlarmsAndIsDescribed(t *testing.T) {
	b := newBus(t)
	b.plug("1-2", map[string]string{"idVendor": "1d6b", "product": "our dongle"})
	defer b.start()()
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
	defer b.start()()
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
	defer b.start()()
	b.await(beat)
	b.plug("1-1", keyboard) // its message is among the lost ones
	b.overrun()
	b.await("uevents_lost")
	b.await("usb_attached")
}

func TestTheClockFindsWhatNoMessageTold(t *testing.T) {
	b := newBus(t)
	defer b.start()()
	b.await(beat)
	b.plug("1-1", keyboard)
	b.Pass(rescanEvery)
	b.await("usb_attached")
}

func TestADeviceThatCameWhileTheDriverWasDownAlarms(t *testing.T) {
	b := newBus(t)
	b.start()()
	b.plug("1-1", keyboard)
	defer b.start()()
	b.await("usb_attached")
}

func TestNonsenseOnTheSocketIsReportedAndHurtsNothing(t *testing.T) {
	b := newBus(t)
	defer b.start()()
	b.await(beat)
	b.record("bad-path-traversal")
	b.await("uevent_refused")
	b.Kernel.Fail(uevent.ErrForeign)
	b.await("uevent_refused")
	b.plug("1-1", keyboard)
	b.record("good-add-keyboard")
	b.await("usb_attached")
}

func TestHostileStringsOfADeviceAreMadeHarmless(t *testing.T) {
	b := newBus(t)
	defer b.start()()
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
