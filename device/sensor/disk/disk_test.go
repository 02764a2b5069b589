package disk

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// rig is a machine's sysfs in a folder and a kernel that says what the test says.
type rig struct {
	*sensortest.Rig
	t      *testing.T
	sensor *Sensor
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t), t: t}
	s, err := New(r.Env, Config{})
	r.Must(err)
	r.sensor, s.open = s, r.Kernel.Open
	r.Folder("sys/block")
	return r
}

const place = "devices/pci0000:00/0000:00:05.0/host2/target2:0:0/2:0:0:0"

// insert puts a disk into sysfs as the kernel does.
func (r *rig) insert(name, place string, attributes map[string]string) {
	dir := filepath.Join("sys", place, "block", name)
	r.Folder(dir + "/device")
	r.WriteAll(dir, attributes)
	r.Link("sys/block/"+name, dir)
}

func (r *rig) pull(name, place string) {
	r.Remove("sys/block/" + name)
	r.Remove(filepath.Join("sys", place, "block", name))
}

func (r *rig) say(action, name, devtype string) {
	r.Kernel.Tell(action, "block", "/"+place+"/block/"+name, "DEVTYPE="+devtype, "SEQNUM=1")
}

func (r *rig) await(kind string) (sensor.Reading, map[string]any) {
	r.t.Helper()
	x := r.AwaitType(kind)
	fields := map[string]any{}
	if len(x.Fields) > 0 {
		r.Must(json.Unmarshal(x.Fields, &fields))
	}
	return x, fields
}

var casedisk = map[string]string{"device/vpd_pg80": "\x00\x80\x00\x09CASEDISK1", "device/model": "QEMU HARDDISK   ", "device/vendor": "QEMU    ", "size": "131072"}

func TestADiskThatIsPulledOutAlarmsWithItsSerialAndPlace(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	r.Folder("sys/devices/virtual/block/loop0")
	r.Link("sys/block/loop0", "sys/devices/virtual/block/loop0")
	defer r.Run(r.sensor)()
	inv, _ := r.await("inventory")
	if len(inv.Parts) != 1 || !strings.Contains(inv.Parts[0].Identity, "serial=CASEDISK1") {
		t.Errorf("inventory %+v", inv.Parts)
	}
	r.AwaitKind(sensor.Beat)
	r.say("remove", "sda1", "partition") // a partition is no disk
	r.pull("sda", place)
	r.say("remove", "sda", "disk")
	x, fields := r.await("component_removed")
	if !x.Alarm || x.Severity != core.SeverityHigh || x.Point != "sda" || fields["serial"] != "CASEDISK1" || fields["path"] != strings.TrimPrefix(place, "devices/") || fields["model"] != "QEMU HARDDISK" {
		t.Errorf("reading %+v fields %v", x, fields)
	}
	r.insert("sda", place, casedisk)
	r.say("add", "sda", "disk")
	if x, fields := r.await("component_added"); x.Alarm || fields["serial"] != "CASEDISK1" {
		t.Errorf("reading %+v fields %v", x, fields)
	}
}

func TestAStickThatIsPulledOutIsToldAndIsNoAlarm(t *testing.T) {
	r := newRig(t)
	r.insert("sdb", place, map[string]string{"removable": "1", "device/serial": "STICK"})
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.pull("sdb", place)
	r.say("remove", "sdb", "disk")
	if x, _ := r.await("component_removed"); x.Alarm || x.Severity != core.SeverityLow {
		t.Errorf("reading %+v", x)
	}
}

func TestAnotherDiskInTheSamePlaceMeansThatTheFirstIsGone(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	r.Run(r.sensor)()
	r.pull("sda", place) // swapped while the driver was down
	r.insert("sda", place, map[string]string{"device/serial": "OTHER"})
	defer r.Run(r.sensor)()
	if _, fields := r.await("component_removed"); fields["serial"] != "CASEDISK1" {
		t.Errorf("fields %v", fields)
	}
	if _, fields := r.await("component_added"); fields["serial"] != "OTHER" {
		t.Errorf("fields %v", fields)
	}
}

func TestADiskWhoseSerialComesLateIsTheSame(t *testing.T) {
	r := newRig(t)
	stop := r.Run(r.sensor)
	r.AwaitKind(sensor.Beat)
	r.insert("vdb", place, map[string]string{"size": "8"})
	r.say("add", "vdb", "disk")
	r.await("component_added")
	r.Write("sys/block/vdb/serial", "LATE")
	r.Kernel.Fail(uevent.ErrOverrun)
	r.await("uevents_lost")
	r.AwaitKind(sensor.Beat)
	stop()
	if r.SaidType("component_removed") {
		t.Error("it counts as another disk")
	}
	if r.sensor.known["vdb"]["serial"] != "LATE" {
		t.Errorf("known %v", r.sensor.known)
	}
}

func TestLostMessagesAreMendedByALook(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.pull("sda", place)
	r.insert("sdb", place, map[string]string{"device/serial": "NEW"})
	r.Kernel.Fail(uevent.ErrOverrun)
	r.await("uevents_lost")
	r.await("component_removed")
	r.await("component_added")
}

func TestTheClockFindsWhatNoMessageTold(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.pull("sda", place)
	r.Step = rescanEvery
	r.await("component_removed")
}

func TestHostileTextOfADiskIsMadeHarmless(t *testing.T) {
	r := newRig(t)
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.insert("sda", place, map[string]string{"device/model": "\x1b[2J\"}", "device/vendor": "\xff\u202eevil", "serial": strings.Repeat("A", 9000)})
	r.say("add", "sda", "disk")
	x, fields := r.await("component_added")
	text := fmt.Sprint(fields["model"], fields["vendor"])
	if !json.Valid(x.Fields) || strings.ContainsAny(text, "\x1b\u202e") || len(fields["serial"].(string)) > sensor.MaxText {
		t.Errorf("fields %q", fields)
	}
}

func TestAMachineWithoutDisksIsSkippedNotCalm(t *testing.T) {
	r := newRig(t)
	if p := r.sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe %+v", p)
	}
	r.insert("sda", place, casedisk)
	if p := r.sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	r.sensor.sysfs = t.TempDir()
	if p := r.sensor.Probe(); p.Present {
		t.Errorf("probe %+v", p)
	}
	if err := r.sensor.Run(t.Context(), func(sensor.Reading) {}); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Run: %v", err)
	}
}

// This machine's own disk, if it shows one.
func TestTheRealSysfsIsReadWithoutError(t *testing.T) {
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("disks"), Clock: core.SystemClock{}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.scan(); err != nil {
		t.Error(err)
	}
}

func TestTheInventoryHasPartsAndIsToldAnewWhenTheDisksAreLeftAlone(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, map[string]string{"serial": "S1", "device/model": "M"})
	r.insert("sdb", place+"1", map[string]string{"removable": "1"})
	defer r.Run(r.sensor)()
	inv, _ := r.await("inventory")
	if len(inv.Parts) != 1 || inv.Parts[0].Identity != "model=M serial=S1" || inv.Parts[0].Place == "" {
		t.Fatalf("parts %+v", inv.Parts)
	}
	r.AwaitKind(sensor.Beat)
	r.pull("sda", place)
	r.say("remove", "sda", "disk")
	r.await("component_removed")
	r.PassWith(2, settle)
	if inv, _ := r.await("inventory"); inv.Parts == nil || len(inv.Parts) != 0 {
		t.Errorf("parts %+v", inv.Parts)
	}
}

func TestTheSelfTestWarnsOfADiskWithoutAName(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, map[string]string{"serial": "S1"})
	r.insert("sdb", place+"1", map[string]string{"size": "100"})
	result := map[string]sensor.Result{}
	for _, f := range r.sensor.SelfTest(t.Context()) {
		result[f.Check] = f.Result
	}
	if result["sda"] != sensor.Pass || result["sdb"] != sensor.Warning || result["kernel messages"] == sensor.Pass {
		t.Errorf("findings %v", result)
	}
}

func TestACardOfTheMachineIsMissedAndAForeignOneIsNot(t *testing.T) {
	for _, early := range []bool{true, false} {
		r := newRig(t)
		card := map[string]string{"device/type": "SD", "device/cid": "035344", "removable": "0"}
		if early {
			r.insert("mmcblk0", place, card)
		}
		stop := r.Run(r.sensor)
		r.AwaitKind(sensor.Beat)
		if !early {
			r.insert("mmcblk0", place, card)
			r.say("add", "mmcblk0", "disk")
			r.await("component_added")
		}
		r.pull("mmcblk0", place)
		r.say("remove", "mmcblk0", "disk")
		if x, _ := r.await("component_removed"); x.Alarm != early {
			t.Errorf("there from the start %v, alarm %v", early, x.Alarm)
		}
		stop()
	}
}
