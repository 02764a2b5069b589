package parts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

var start = time.Unix(1_700_000_000, 0)

func newSensor(t testing.TB, root string) *Sensor {
	t.Helper()
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("parts"), Clock: clocktest.New(start), Root: root}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.openTPM = func(string) (transport.TPMCloser, error) { return nil, fs.ErrNotExist }
	return s
}

// TestARecordedVirtualMachine holds what a real kernel showed against what is
// made of it.
func TestARecordedVirtualMachine(t *testing.T) {
	inv := newSensor(t, plant(t, "virtual-machine.txt")).scan()
	const want = `cpu | CPU 0 | vendor=AuthenticAMD family=25 model=17 stepping=1 name="AMD EPYC" | firmware 0x1000065
disk | pci0000:00/02.0 | vendor=0x1af4 serial=overlayblk | on pci pci0000:00/02.0
memory | memory | mib=512
nic | pci0000:00/03.0 | mac=02:fc:00:00:00:01 | on pci pci0000:00/03.0
pci | pci0000:00/00.0 | id=8086:0d57 class=060000 subsystem=0000:0000 revision=00
pci | pci0000:00/01.0 | id=1af4:1045 class=ffff00 subsystem=1af4:1045 revision=01
pci | pci0000:00/02.0 | id=1af4:1042 class=018000 subsystem=1af4:1042 revision=01
pci | pci0000:00/03.0 | id=1af4:1041 class=020000 subsystem=1af4:1041 revision=01
pci | pci0000:00/04.0 | id=1af4:1053 class=ffff00 subsystem=1af4:1053 revision=01
pci | pci0000:00/05.0 | id=1af4:1044 class=ffff00 subsystem=1af4:1044 revision=01
`
	if got := lines(inv.parts); got != want {
		t.Errorf("parts\n%s\nwant\n%s", got, want)
	}
	for _, class := range []string{"tpm", "usb", "i2c", "mmc", "machine"} {
		if inv.missing[class] == "" {
			t.Errorf("%s is missing in silence", class)
		}
	}
	if len(inv.broken) != 0 {
		t.Errorf("broken %v", inv.broken)
	}
}

// TestABoard has one of each kind, made up after what kernels show.
func TestABoard(t *testing.T) {
	inv := newSensor(t, plant(t, "board.txt")).scan()
	const want = `cpu | CPU of kind vendor=0x41 family=8 model=0xd08 stepping=0x03 | vendor=0x41 family=8 model=0xd08 stepping=0x03
disk | pci0000:00/1d.0/00.0/n1 | model="INTEL SSDPEKNW512G8" serial=BTNH9 wwid=eui.0025385b71b0a1c2 | firmware 002C | on pci pci0000:00/1d.0/00.0
disk | pci0000:00/1f.2/ata1/0:0:0 | model="Samsung SSD 860" vendor=ATA serial=S3Z8NB0K123456 wwid=naa.5002538e40a1b2c3 | firmware 2B6Q | on pci pci0000:00/1f.2
disk | pci0000:00/1f.2/ata2/0:0:0 | sectors=100 | on pci pci0000:00/1f.2
i2c | SMBus I801 adapter 0050 | chip=ee1004
memory | memory | mib=256
mmc | platform/soc/fe340000.mmc/mmc | cid=035344534333324780a1b2c3d4012600 name=SC32G | firmware 0x0
nic | platform/scb/fd580000.ethernet | mac=dc:a6:32:00:00:01
nic | platform/scb/fe300000.mmcnr | mac="none of its own"
pci | pci0000:00/1d.0 | id=8086:a330 class=060400 subsystem=:
pci | pci0000:00/1d.0/00.0 | id=8086:f1a8 class=010802 subsystem=:
system | system | model="Raspberry Pi 4 Model B Rev 1.4" serial=10000000deadbeef
usb | pci0000:00/14.0/usb-7.1 | id=8087:0aaa descriptors=17564af7f02d007fde572f1408db9c50 | firmware 0002
`
	if got := lines(inv.parts); got != want {
		t.Errorf("parts\n%s\nwant\n%s", got, want)
	}
}

func TestACardsOwnSerialNumber(t *testing.T) {
	root := plant(t, "board.txt")
	s := newSensor(t, root)
	config := make([]byte, 4096)
	copy(config[0x100:], []byte{0x01, 0x00, 0x02, 0x14})                                                 // errors, next at 0x140
	copy(config[0x140:], []byte{0x03, 0x00, 0x01, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11}) // serial number
	path := filepath.Join(root, "sys/devices/pci0000:00/0000:00:1d.0/0000:03:00.0/config")
	write(t, path, string(config))
	if got := lines(s.scan().parts); !strings.Contains(got, "id=8086:f1a8 class=010802 subsystem=: serial=1122334455667788") {
		t.Errorf("parts\n%s", got)
	}
	config[0x142], config[0x143] = 0x01, 0x10 // a ring of capabilities
	copy(config[0x140:], []byte{0x01, 0x00, 0x01, 0x14})
	write(t, path, string(config))
	if got := lines(s.scan().parts); strings.Contains(got, "serial=1122") {
		t.Errorf("parts\n%s", got)
	}
}

func TestAClassThatCannotBeReadIsBrokenAndNotGone(t *testing.T) {
	root := plant(t, "board.txt")
	s := newSensor(t, root)
	write(t, filepath.Join(root, "sys/firmware/dmi/tables/DMI"), "\x11\xff\x00")
	write(t, filepath.Join(root, "sys/devices/system/memory/block_size_bytes"), "much")
	s.permanent = func() (map[string]string, error) { return nil, errors.New("no netlink here") }
	inv := s.scan()
	for _, class := range []string{"machine", "memory", "nic"} {
		if inv.broken[class] == "" {
			t.Errorf("%s: %v", class, inv.broken)
		}
	}
	got := lines(inv.parts)
	for _, class := range []string{"dimm", "system", "memory", "nic"} {
		if !strings.Contains(got, class+" | * | \n") {
			t.Errorf("no word of %s in\n%s", class, got)
		}
	}
	kinds := map[sensor.Kind]int{}
	inv.count(s.classes, func(r sensor.Reading) { kinds[r.Kind]++ })
	if kinds[sensor.Broken] != 3 || kinds[sensor.Measure] != len(s.classes)-3 {
		t.Errorf("told %v", kinds)
	}
}

func TestTheInventoryIsBoundedAndHonest(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "sys/devices/x"), "")
	for i := range 600 {
		write(t, filepath.Join(root, "sys/bus/pci/devices", fmt.Sprintf("0000:00:%02x.%d", i/8, i%8), "vendor"), "0x1af4\n")
	}
	s := newSensor(t, root)
	inv := s.scan()
	if len(inv.parts) != maxParts || inv.parts[maxParts-1].Class != "overflow" || !strings.HasPrefix(inv.parts[maxParts-1].Identity, "89 parts ") {
		t.Fatalf("%d parts, the last %+v", len(inv.parts), inv.parts[len(inv.parts)-1])
	}
	was := inv.parts[maxParts-1].Identity
	remove(t, filepath.Join(root, "sys/bus/pci/devices/0000:00:4a.7"))
	if s.scan().parts[maxParts-1].Identity == was {
		t.Error("what is beyond the bound can change unseen")
	}
}

func TestPartsInOnePlaceAreToldApart(t *testing.T) {
	all := []sensor.Part{{Class: "a", Place: "x", Identity: "1"}, {Class: "a", Place: "x", Identity: "2"}, {Class: "a", Place: "x", Identity: "3"}, {Class: "b", Place: "x"}, {Class: "b", Place: "y"}}
	tellApart(all)
	var places []string
	for _, p := range all {
		places = append(places, p.Place)
	}
	if got := strings.Join(places, ","); got != "x,x #2,x #3,x,y" {
		t.Errorf("places %s", got)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range [][]string{{"disks"}, {"cpu", "cpu"}} {
		if _, err := New(sensor.Env{}, Config{Classes: bad}); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	s, err := New(sensor.Env{Root: plant(t, "board.txt")}, Config{Classes: []string{"disk", "cpu"}})
	if err != nil {
		t.Fatal(err)
	}
	if inv := s.scan(); inv.parts[0].Class != "cpu" || inv.parts[len(inv.parts)-1].Class != "disk" || len(inv.counts) != 2 {
		t.Errorf("parts %+v", inv.parts)
	}
}

// rig runs the driver.
type rig struct {
	*sensortest.Rig
	t      *testing.T
	root   string
	sensor *Sensor
}

func run(t *testing.T, description string) *rig {
	t.Helper()
	r := newRig(t, description)
	r.run()
	return r
}

func newRig(t *testing.T, description string) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t), t: t, root: plant(t, description)}
	r.sensor = newSensor(t, r.root)
	r.sensor.env.Clock, r.sensor.open = r.Clock, r.Kernel.Open
	return r
}

func (r *rig) run() { r.t.Cleanup(r.Run(r.sensor)) }

// first lets the kernel be quiet, and the driver look twice.
func (r *rig) first() {
	r.t.Helper()
	r.PassWith(2, settle)
	r.PassWith(2, settle)
}

// inventory waits for the next whole one.
func (r *rig) inventory() (parts []sensor.Part, summary map[string]any) {
	r.t.Helper()
	for {
		x := r.AwaitKind(sensor.Inventory)
		parts = append(parts, x.Parts...)
		if x.Point == "" {
			r.Must(json.Unmarshal(x.Fields, &summary))
			return parts, summary
		}
	}
}

func TestPartsAreToldOnceTheKernelIsQuietAndAgainAfterAChange(t *testing.T) {
	r := run(t, "virtual-machine.txt")
	r.first()
	parts, summary := r.inventory()
	if len(parts) != 10 || summary["count"] != 10.0 || summary["not_here"].(map[string]any)["tpm"] == "" {
		t.Fatalf("%d parts, %v", len(parts), summary)
	}
	r.AwaitMeasure("pci", 6)
	r.AwaitKind(sensor.Beat)
	remove(t, filepath.Join(r.root, "sys/block/vda"))
	r.Kernel.Tell("remove", "block", "/devices/pci0000:00/0000:00:02.0/virtio1/block/vda")
	r.PassWith(2, settle)
	if parts, _ := r.inventory(); len(parts) != 9 {
		t.Errorf("%d parts", len(parts))
	}
}

// A driver that is loaded late must not make a baseline that lacks its parts, nor
// findings after each start.
func TestAMachineThatIsStartingIsNotCountedTooSoon(t *testing.T) {
	r := newRig(t, "virtual-machine.txt")
	write(t, filepath.Join(r.root, "proc/uptime"), "12.50 20.00\n")
	remove(t, filepath.Join(r.root, "sys/block/vda"))
	r.run()
	r.PassWith(2, settle)
	r.PassWith(2, settle)
	plantLink(t, filepath.Join(r.root, "sys/block/vda"), "../devices/pci0000:00/0000:00:02.0/virtio1/block/vda")
	r.Kernel.Tell("add", "block", "/devices/pci0000:00/0000:00:02.0/virtio1/block/vda")
	r.Kernel.Fail(uevent.ErrForeign) // taken after it
	r.AwaitType("uevent_refused")
	for range 4 {
		if len(r.Said()) != 0 {
			t.Error("it was counted before it was quiet")
		}
		r.PassWith(2, settle)
	}
	if parts, _ := r.inventory(); len(parts) != 10 {
		t.Errorf("%d parts", len(parts))
	}
}

// What is read in halves while it comes is not what is learned.
func TestTheFirstInventoryIsOneThatTwoLooksAgreeOn(t *testing.T) {
	r := run(t, "virtual-machine.txt")
	serial := filepath.Join(r.root, "sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/serial")
	write(t, serial, "")
	r.PassWith(2, settle)
	// The first look is over when the next one is waited for.
	for r.Clock.Waiters() < 2 {
		runtime.Gosched()
	}
	write(t, serial, "overlayblk")
	r.PassWith(2, settle)
	r.PassWith(2, settle)
	if parts, _ := r.inventory(); !strings.Contains(lines(parts), "serial=overlayblk") {
		t.Errorf("parts\n%s", lines(parts))
	}
}

func TestWhatSoftwareMakesIsNoReasonToLook(t *testing.T) {
	r := run(t, "virtual-machine.txt")
	r.first()
	r.inventory()
	r.AwaitKind(sensor.Beat)
	for i := range 50 {
		r.Kernel.Tell("add", "net", fmt.Sprintf("/devices/virtual/net/veth%d", i))
	}
	r.Kernel.Tell("change", "thermal", "/devices/pci0000:00/0000:00:04.0/thermal")
	r.Kernel.Fail(uevent.ErrForeign) // taken after them
	r.AwaitType("uevent_refused")
	if n := r.Clock.Waiters(); n != 1 {
		t.Errorf("%d timers: it will look", n)
	}
}

func TestLostMessagesAndTheHourHaveEverythingReadAgain(t *testing.T) {
	r := run(t, "virtual-machine.txt")
	r.first()
	r.inventory()
	remove(t, filepath.Join(r.root, "sys/block/vda"))
	r.Kernel.Fail(uevent.ErrOverrun)
	r.AwaitType("uevents_lost")
	if parts, _ := r.inventory(); len(parts) != 9 {
		t.Errorf("%d parts", len(parts))
	}
	remove(t, filepath.Join(r.root, "sys/class/net/eth0"))
	r.Pass(rescanEvery)
	if parts, _ := r.inventory(); len(parts) != 8 {
		t.Errorf("%d parts", len(parts))
	}
}

// This machine itself, with its real kernel.
func TestTheRealMachine(t *testing.T) {
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("parts"), Clock: core.SystemClock{}}, Config{Classes: []string{"cpu", "pci", "disk", "nic", "memory", "usb", "mmc", "i2c"}})
	if err != nil {
		t.Fatal(err)
	}
	first, second := s.scan(), s.scan()
	if len(first.broken) != 0 || first.counts["cpu"] == 0 {
		t.Errorf("broken %v, counts %v", first.broken, first.counts)
	}
	if lines(first.parts) != lines(second.parts) {
		t.Errorf("two looks differ:\n%s\n%s", lines(first.parts), lines(second.parts))
	}
}

func TestTheSelfTestReadsEachClass(t *testing.T) {
	root := plant(t, "board.txt")
	s := newSensor(t, root)
	s.open = ueventtest.New().Open
	write(t, filepath.Join(root, "sys/devices/system/memory/block_size_bytes"), "much")
	result := map[string]sensor.Result{}
	for _, f := range s.SelfTest(t.Context()) {
		result[f.Check] = f.Result
		if f.Why == "" {
			t.Errorf("%+v says nothing", f)
		}
	}
	for check, want := range map[string]sensor.Result{"kernel messages": sensor.Untried, "pci": sensor.Pass, "memory": sensor.Fail, "tpm": sensor.Untried} {
		if result[check] != want {
			t.Errorf("%s: %s, want %s", check, result[check], want)
		}
	}
}

func TestAKernelWithoutDevicesIsSkipped(t *testing.T) {
	s := newSensor(t, t.TempDir())
	s.open = ueventtest.New().Open
	if p := s.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe %+v", p)
	}
	if err := os.MkdirAll(s.tree.path("devices"), 0o755); err != nil {
		t.Fatal(err)
	}
	if p := s.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
}
