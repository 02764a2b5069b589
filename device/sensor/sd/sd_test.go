package sd

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const (
	ourCID   = "035344534333324780a1b2c3d4012600"
	otherCID = "1b534d30303030301000000000012600"
)

type rig struct {
	*sensortest.Rig
	sensor *Sensor
}

// newRig is a board with an empty slot and an empty reader.
func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t)}
	s, err := New(r.Env, c)
	r.Must(err)
	s.open, r.sensor = r.Kernel.Open, s
	r.WriteAll("sys", map[string]string{
		"class/mmc_host/mmc0/uevent": "",
		"block/sdb/device/model":     "Card Reader", "block/sdb/removable": "1", "block/sdb/size": "0",
		"block/sda/device/model": "a disk", "block/sda/removable": "0",
	})
	return r
}

// insert puts a card into the slot as the kernel does.
func (r *rig) insert(cid string) {
	r.WriteAll("sys/bus/mmc/devices/mmc0:aaaa", map[string]string{"cid": cid, "type": "SD", "name": "SC32G", "block/mmcblk0/uevent": ""})
	r.WriteAll("sys/block/mmcblk0", map[string]string{"size": "62333952", "ro": "0"})
}

func (r *rig) pull() {
	r.Remove("sys/bus/mmc/devices/mmc0:aaaa")
	r.Remove("sys/block/mmcblk0")
}

// say has the kernel tell of the card, and lets it be quiet.
func (r *rig) say(action, subsystem string) {
	r.Kernel.Tell(action, subsystem, "/devices/platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa")
	r.PassWith(2, settle)
}

func TestACardThatIsPutInAndPulledOut(t *testing.T) {
	r := newRig(t, Config{})
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.insert(otherCID)
	r.say("add", "mmc")
	if x := r.AwaitType(typeInserted); !x.Alarm || x.Severity != core.SeverityHigh || x.Point != "mmc0" || !strings.Contains(string(x.Fields), otherCID) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	if inv := r.AwaitType("inventory"); len(inv.Parts) != 1 || inv.Parts[0].Place != "mmc0" {
		t.Errorf("inventory %+v", inv.Parts)
	}
	r.pull()
	r.say("remove", "mmc")
	if x := r.AwaitType(typeRemoved); x.Alarm {
		t.Errorf("a foreign card that goes alarms again: %+v", x)
	}
}

func TestTheMachinesOwnCardIsMissedAndAnExchangeIsTwoFacts(t *testing.T) {
	r := newRig(t, Config{Cards: []string{ourCID}})
	r.insert(ourCID)
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.pull()
	r.insert(otherCID)
	r.say("add", "mmc")
	if x := r.AwaitType(typeRemoved); !x.Alarm || !strings.Contains(string(x.Fields), ourCID) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	if x := r.AwaitType(typeInserted); !x.Alarm {
		t.Errorf("reading %+v", x)
	}
	r.pull()
	r.insert(ourCID)
	r.say("add", "mmc")
	if x := r.AwaitType(typeInserted); x.Alarm || x.Severity != core.SeverityLow {
		t.Errorf("a listed card: %+v", x)
	}
}

func TestTheWriteProtectionOfACard(t *testing.T) {
	r := newRig(t, Config{})
	r.insert(ourCID)
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.Write("sys/block/mmcblk0/ro", "1")
	r.say("change", "block")
	if x := r.AwaitType(typeWritable); !x.Alarm || !strings.Contains(string(x.Fields), `"read_only":"1"`) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
}

func TestAMediumInAReader(t *testing.T) {
	r := newRig(t, Config{})
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.Write("sys/block/sdb/size", "15523840")
	r.say("change", "block")
	if x := r.AwaitType(typeInserted); !x.Alarm || x.Point != "sdb" {
		t.Errorf("reading %+v", x)
	}
}

func TestLostMessagesAndACardWhileTheDriverWasDown(t *testing.T) {
	r := newRig(t, Config{})
	r.Run(r.sensor)()
	r.insert(otherCID)
	defer r.Run(r.sensor)()
	r.AwaitType(typeInserted)
	r.AwaitKind(sensor.Beat)
	r.pull()
	r.Kernel.Fail(uevent.ErrOverrun)
	r.AwaitType("uevents_lost")
	r.AwaitType(typeRemoved)
}

func TestHostileNamesAreMadeHarmless(t *testing.T) {
	r := newRig(t, Config{})
	defer r.Run(r.sensor)()
	r.AwaitKind(sensor.Beat)
	r.insert("\x1b[2J\"")
	r.WriteRaw("sys/bus/mmc/devices/mmc0:aaaa/name", strings.Repeat("A", 4000)+"\u202e")
	r.say("add", "mmc")
	if x := r.AwaitType(typeInserted); strings.ContainsAny(string(x.Fields), "\x1b\u202e") || len(x.Fields) > 4<<10 {
		t.Errorf("fields %s", x.Fields)
	}
}

func TestAMachineWithoutSlotsIsSkipped(t *testing.T) {
	r := newRig(t, Config{})
	if p := r.sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	r.Remove("sys/class/mmc_host")
	r.Remove("sys/block/sdb")
	if p := r.sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe without a slot: %+v", p)
	}
}

func TestConfig(t *testing.T) {
	for _, bad := range [][]string{{"x"}, {strings.ToUpper(ourCID)}, make([]string, maxCards+1)} {
		if err := (Config{Cards: bad}).Validate(); err == nil {
			t.Errorf("%v was taken", bad[:1])
		}
	}
}

func TestTheSelfTestDoesNotPassAnEmptySlot(t *testing.T) {
	r := newRig(t, Config{})
	r.insert(ourCID)
	r.Findings(r.sensor, map[string]sensor.Result{"mmc0": sensor.Pass, "sdb": sensor.Untried})
}

func TestTheRealSysfsIsReadWithoutError(t *testing.T) {
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("cards"), Clock: core.SystemClock{}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.slots(); err != nil {
		t.Error(err)
	}
}
