package disk

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

// rig is a machine's sysfs in a folder and a kernel that says what the test says.
type rig struct {
	t        *testing.T
	clock    *clocktest.Clock
	kernel   *ueventtest.Kernel
	sensor   *Sensor
	readings chan sensor.Reading
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), kernel: ueventtest.New(), readings: make(chan sensor.Reading, 4096)}
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("disks"), Clock: r.clock, Root: t.TempDir()}, Config{})
	r.must(err)
	r.sensor, s.open = s, r.kernel.Open
	r.must(os.MkdirAll(r.sensor.blocks(), 0o755))
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

const place = "devices/pci0000:00/0000:00:05.0/host2/target2:0:0/2:0:0:0"

// insert puts a disk into sysfs as the kernel does.
func (r *rig) insert(name, place string, attributes map[string]string) {
	r.t.Helper()
	dir := filepath.Join(r.sensor.sysfs, place, "block", name)
	r.must(os.MkdirAll(filepath.Join(dir, "device"), 0o755))
	for k, v := range attributes {
		r.must(os.WriteFile(filepath.Join(dir, k), []byte(v+"\n"), 0o644))
	}
	r.must(os.Symlink(filepath.Join("..", place, "block", name), filepath.Join(r.sensor.blocks(), name)))
}

func (r *rig) pull(name, place string) {
	r.t.Helper()
	r.must(os.Remove(filepath.Join(r.sensor.blocks(), name)))
	r.must(os.RemoveAll(filepath.Join(r.sensor.sysfs, place, "block", name)))
}

func (r *rig) say(action, name, devtype string) {
	path := "/" + place + "/block/" + name
	r.kernel.Say(fmt.Appendf(nil, "%s@%s\x00ACTION=%s\x00DEVPATH=%s\x00SUBSYSTEM=block\x00DEVTYPE=%s\x00SEQNUM=1\x00", action, path, action, path, devtype))
}

func (r *rig) start() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.sensor.Run(ctx, func(x sensor.Reading) { r.readings <- x }) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

func (r *rig) await(kind string) (sensor.Reading, map[string]any) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case x := <-r.readings:
			if x.Type != kind {
				continue
			}
			fields := map[string]any{}
			if len(x.Fields) > 0 {
				r.must(json.Unmarshal(x.Fields, &fields))
			}
			return x, fields
		case <-deadline:
			r.t.Fatalf("no %q", kind)
		}
	}
}

const beat = ""

var casedisk = map[string]string{"device/vpd_pg80": "\x00\x80\x00\x09CASEDISK1", "device/model": "QEMU HARDDISK   ", "device/vendor": "QEMU    ", "size": "131072"}

func TestADiskThatIsPulledOutAlarmsWithItsSerialAndPlace(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	r.must(os.MkdirAll(filepath.Join(r.sensor.sysfs, "devices/virtual/block/loop0"), 0o755))
	r.must(os.Symlink("../devices/virtual/block/loop0", filepath.Join(r.sensor.blocks(), "loop0")))
	stop := r.start()
	defer stop()
	inv, _ := r.await("inventory")
	if len(inv.Parts) != 1 || !strings.Contains(inv.Parts[0].Identity, "serial=CASEDISK1") {
		t.Errorf("inventory %+v", inv.Parts)
	}
	r.await(beat)
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
	stop := r.start()
	defer stop()
	r.await(beat)
	r.pull("sdb", place)
	r.say("remove", "sdb", "disk")
	if x, _ := r.await("component_removed"); x.Alarm || x.Severity != core.SeverityLow {
		t.Errorf("reading %+v", x)
	}
}

func TestAnotherDiskInTheSamePlaceMeansThatTheFirstIsGone(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	r.start()()
	r.pull("sda", place) // swapped while the driver was down
	r.insert("sda", place, map[string]string{"device/serial": "OTHER"})
	stop := r.start()
	defer stop()
	if _, fields := r.await("component_removed"); fields["serial"] != "CASEDISK1" {
		t.Errorf("fields %v", fields)
	}
	if _, fields := r.await("component_added"); fields["serial"] != "OTHER" {
		t.Errorf("fields %v", fields)
	}
}

func TestADiskWhoseSerialComesLateIsTheSame(t *testing.T) {
	r := newRig(t)
	stop := r.start()
	r.await(beat)
	r.insert("vdb", place, map[string]string{"size": "8"})
	r.say("add", "vdb", "disk")
	r.await("component_added")
	r.must(os.WriteFile(filepath.Join(r.sensor.blocks(), "vdb", "serial"), []byte("LATE"), 0o644))
	r.kernel.Fail(uevent.ErrOverrun)
	r.await("uevents_lost")
	r.await(beat)
	stop()
	for len(r.readings) > 0 {
		if x := <-r.readings; x.Type == "component_removed" {
			t.Error("it counts as another disk")
		}
	}
	if r.sensor.known["vdb"]["serial"] != "LATE" {
		t.Errorf("known %v", r.sensor.known)
	}
}

func TestLostMessagesAreMendedByALook(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	stop := r.start()
	defer stop()
	r.await(beat)
	r.pull("sda", place)
	r.insert("sdb", place, map[string]string{"device/serial": "NEW"})
	r.kernel.Fail(uevent.ErrOverrun)
	r.await("uevents_lost")
	r.await("component_removed")
	r.await("component_added")
}

func TestTheClockFindsWhatNoMessageTold(t *testing.T) {
	r := newRig(t)
	r.insert("sda", place, casedisk)
	stop := r.start()
	defer stop()
	r.await(beat)
	r.pull("sda", place)
	found := make(chan struct{})
	go func() {
		r.await("component_removed")
		close(found)
	}()
	for {
		select {
		case <-found:
			return
		case <-time.After(time.Millisecond):
			r.clock.Advance(rescanEvery)
		}
	}
}

func TestHostileTextOfADiskIsMadeHarmless(t *testing.T) {
	r := newRig(t)
	stop := r.start()
	defer stop()
	r.await(beat)
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
	stop := r.start()
	defer stop()
	inv, _ := r.await("inventory")
	if len(inv.Parts) != 1 || inv.Parts[0].Identity != "model=M serial=S1" || inv.Parts[0].Place == "" {
		t.Fatalf("parts %+v", inv.Parts)
	}
	r.await("")
	r.pull("sda", place)
	r.say("remove", "sda", "disk")
	r.await("component_removed")
	for r.clock.Waiters() < 2 {
		runtime.Gosched()
	}
	r.clock.Advance(settle)
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
		stop := r.start()
		r.await(beat)
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
