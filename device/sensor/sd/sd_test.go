package sd

import (
	"context"
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

const (
	ourCID   = "035344534333324780a1b2c3d4012600"
	otherCID = "1b534d30303030301000000000012600"
)

type rig struct {
	t        *testing.T
	clock    *clocktest.Clock
	kernel   *ueventtest.Kernel
	sensor   *Sensor
	readings chan sensor.Reading
}

// newRig is a board with an empty slot and an empty reader.
func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), kernel: ueventtest.New(), readings: make(chan sensor.Reading, 4096)}
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("cards"), Clock: r.clock, Root: t.TempDir()}, c)
	if err != nil {
		t.Fatal(err)
	}
	s.open, r.sensor = r.kernel.Open, s
	r.write("class/mmc_host/mmc0/uevent", "")
	r.write("block/sdb/device/model", "Card Reader\n")
	r.write("block/sdb/removable", "1\n")
	r.write("block/sdb/size", "0\n")
	r.write("block/sda/device/model", "a disk\n")
	r.write("block/sda/removable", "0\n")
	return r
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	full := filepath.Join(r.sensor.sysfs, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// insert puts a card into the slot as the kernel does.
func (r *rig) insert(cid string) {
	r.t.Helper()
	r.write("bus/mmc/devices/mmc0:aaaa/cid", cid+"\n")
	r.write("bus/mmc/devices/mmc0:aaaa/type", "SD\n")
	r.write("bus/mmc/devices/mmc0:aaaa/name", "SC32G\n")
	r.write("bus/mmc/devices/mmc0:aaaa/block/mmcblk0/uevent", "")
	r.write("block/mmcblk0/size", "62333952\n")
	r.write("block/mmcblk0/ro", "0\n")
}

func (r *rig) pull() {
	r.t.Helper()
	for _, path := range []string{"bus/mmc/devices/mmc0:aaaa", "block/mmcblk0"} {
		if err := os.RemoveAll(filepath.Join(r.sensor.sysfs, path)); err != nil {
			r.t.Fatal(err)
		}
	}
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

func (r *rig) await(kind string) sensor.Reading {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case x := <-r.readings:
			if x.Type == kind {
				return x
			}
		case <-deadline:
			r.t.Fatalf("no %q", kind)
		}
	}
}

const beat = ""

// say has the kernel tell of the card, and lets it be quiet.
func (r *rig) say(action, subsystem string) {
	r.t.Helper()
	const path = "/devices/platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa"
	r.kernel.Say(fmt.Appendf(nil, "%s@%s\x00ACTION=%s\x00DEVPATH=%s\x00SUBSYSTEM=%s\x00", action, path, action, path, subsystem))
	deadline := time.Now().Add(20 * time.Second)
	for r.clock.Waiters() < 2 {
		if time.Now().After(deadline) {
			r.t.Fatal("it does not look")
		}
		runtime.Gosched()
	}
	r.clock.Advance(settle)
}

func TestACardThatIsPutInAndPulledOut(t *testing.T) {
	r := newRig(t, Config{})
	defer r.start()()
	r.await(beat)
	r.insert(otherCID)
	r.say("add", "mmc")
	if x := r.await(typeInserted); !x.Alarm || x.Severity != core.SeverityHigh || x.Point != "mmc0" || !strings.Contains(string(x.Fields), otherCID) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	if inv := r.await("inventory"); len(inv.Parts) != 1 || inv.Parts[0].Place != "mmc0" {
		t.Errorf("inventory %+v", inv.Parts)
	}
	r.pull()
	r.say("remove", "mmc")
	if x := r.await(typeRemoved); x.Alarm {
		t.Errorf("a foreign card that goes alarms again: %+v", x)
	}
}

func TestTheMachinesOwnCardIsMissedAndAnExchangeIsTwoFacts(t *testing.T) {
	r := newRig(t, Config{Cards: []string{ourCID}})
	r.insert(ourCID)
	defer r.start()()
	r.await(beat)
	r.pull()
	r.insert(otherCID)
	r.say("add", "mmc")
	if x := r.await(typeRemoved); !x.Alarm || !strings.Contains(string(x.Fields), ourCID) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	if x := r.await(typeInserted); !x.Alarm {
		t.Errorf("reading %+v", x)
	}
	r.pull()
	r.insert(ourCID)
	r.say("add", "mmc")
	if x := r.await(typeInserted); x.Alarm || x.Severity != core.SeverityLow {
		t.Errorf("a listed card: %+v", x)
	}
}

func TestTheWriteProtectionOfACard(t *testing.T) {
	r := newRig(t, Config{})
	r.insert(ourCID)
	defer r.start()()
	r.await(beat)
	r.write("block/mmcblk0/ro", "1\n")
	r.say("change", "block")
	if x := r.await(typeWritable); !x.Alarm || !strings.Contains(string(x.Fields), `"read_only":"1"`) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
}

func TestAMediumInAReader(t *testing.T) {
	r := newRig(t, Config{})
	defer r.start()()
	r.await(beat)
	r.write("block/sdb/size", "15523840\n")
	r.say("change", "block")
	if x := r.await(typeInserted); !x.Alarm || x.Point != "sdb" {
		t.Errorf("reading %+v", x)
	}
}

func TestLostMessagesAndACardWhileTheDriverWasDown(t *testing.T) {
	r := newRig(t, Config{})
	r.start()()
	r.insert(otherCID)
	defer r.start()()
	r.await(typeInserted)
	r.await(beat)
	r.pull()
	r.kernel.Fail(uevent.ErrOverrun)
	r.await("uevents_lost")
	r.await(typeRemoved)
}

func TestHostileNamesAreMadeHarmless(t *testing.T) {
	r := newRig(t, Config{})
	defer r.start()()
	r.await(beat)
	r.insert("\x1b[2J\"")
	r.write("bus/mmc/devices/mmc0:aaaa/name", strings.Repeat("A", 4000)+"\u202e")
	r.say("add", "mmc")
	if x := r.await(typeInserted); strings.ContainsAny(string(x.Fields), "\x1b\u202e") || len(x.Fields) > 4<<10 {
		t.Errorf("fields %s", x.Fields)
	}
}

func TestAMachineWithoutSlotsIsSkipped(t *testing.T) {
	r := newRig(t, Config{})
	if p := r.sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	for _, path := range []string{"class/mmc_host", "block/sdb"} {
		if err := os.RemoveAll(filepath.Join(r.sensor.sysfs, path)); err != nil {
			t.Fatal(err)
		}
	}
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
	result := map[string]sensor.Result{}
	for _, f := range r.sensor.SelfTest(t.Context()) {
		result[f.Check] = f.Result
	}
	if result["mmc0"] != sensor.Pass || result["sdb"] != sensor.Untried {
		t.Errorf("findings %v", result)
	}
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
