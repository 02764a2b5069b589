package hwmon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
)

// rig is a machine's sysfs in a folder, laid out as the kernel does: the chip's
// attributes in a folder below its device, and links to both.
type rig struct {
	*sensortest.Rig
	sensor *Sensor
}

func newRig(t *testing.T, chips ...string) *rig {
	t.Helper()
	return newRigWith(t, Config{Chips: chips})
}

func newRigWith(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t)}
	r.Step = lookEvery
	s, err := New(r.Env, c)
	r.Must(err)
	r.sensor = s
	r.Folder(class)
	return r
}

const class = "sys/class/hwmon"

func device(place string) string { return filepath.Join("sys/devices/pci0000:00/i2c-0", place) }

// chip puts a chip in place and returns the folder of its attributes.
func (r *rig) chip(number, name, place string) string {
	dir := filepath.Join(device(place), "hwmon", number)
	r.Write(filepath.Join(dir, "name"), name)
	r.Link(filepath.Join(dir, "device"), device(place))
	r.Link(filepath.Join(class, number), dir)
	return dir
}

func (r *rig) remove(number, place string) {
	r.Remove(filepath.Join(class, number))
	r.Remove(device(place))
}

const point = "adm9240@0-002c/intrusion0_alarm"

func TestACaseThatIsOpenedIsSeenAndTheChipIsReadyForTheNext(t *testing.T) {
	r := newRig(t)
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.Write(filepath.Join(dir, "intrusion0_alarm"), "0")
	r.chip("hwmon0", "coretemp", "coretemp.0") // it has no switch
	stop := r.Run(r.sensor)
	if inv := r.AwaitType("inventory"); !strings.Contains(string(inv.Fields), `"device":"0-002c"`) || strings.Contains(string(inv.Fields), "coretemp") {
		t.Errorf("inventory %s", inv.Fields)
	}
	r.AwaitLevelAt(point, false)
	r.Write(filepath.Join(dir, "intrusion0_alarm"), "1")
	if x := r.AwaitLevelAt(point, true); !x.Alarm || !x.Settled || x.Severity != core.SeverityCritical {
		t.Errorf("reading %+v", x)
	}
	r.AwaitLevelAt(point, false)
	stop()
	if c := r.sensor.Capabilities(); c.Delay < cache || c.Latency != sensor.LatencyPoll || !c.Latches {
		t.Errorf("capabilities %+v", c)
	}
}

func TestACaseThatIsOpenAtTheStartAlarms(t *testing.T) {
	r := newRig(t, "adm9240")
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.Write(filepath.Join(dir, "intrusion0_alarm"), "1")
	stop := r.Run(r.sensor)
	r.AwaitLevelAt(point, true)
	stop()
}

// Old drivers keep their attributes one folder further down, the name among them.
func TestTheAttributesOfAnOldDriverAreFound(t *testing.T) {
	r := newRig(t)
	dir := r.chip("hwmon3", "w83792d", "0-002d")
	r.Remove(filepath.Join(dir, "name"))
	r.Write(filepath.Join(device("0-002d"), "name"), "w83792d")
	r.Write(filepath.Join(device("0-002d"), "intrusion1_alarm"), "1")
	stop := r.Run(r.sensor)
	r.AwaitLevelAt("w83792d@0-002d/intrusion1_alarm", true)
	stop()
}

func TestAChipThatDoesNotObeyStaysAnAlarm(t *testing.T) {
	r := newRig(t)
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.Write(filepath.Join(dir, "intrusion0_alarm"), "1")
	r.sensor.rearm = func(string) error { return os.ErrPermission }
	stop := r.Run(r.sensor)
	r.AwaitType("rearm_failed")
	r.AwaitLevelAt(point, true)
	stop()
}

func TestAChipThatIsTakenAwayIsTampering(t *testing.T) {
	for _, between := range []bool{false, true} {
		r := newRig(t)
		dir := r.chip("hwmon3", "adm9240", "0-002c")
		r.Write(filepath.Join(dir, "intrusion0_alarm"), "0")
		stop := r.Run(r.sensor)
		r.AwaitLevelAt(point, false)
		if between {
			stop()
		}
		r.remove("hwmon3", "0-002c")
		if between {
			r.Again()
		}
		if x := r.AwaitType("chip_removed"); !x.Alarm || x.Severity != core.SeverityCritical || x.Point != "adm9240@0-002c" {
			t.Errorf("reading %+v", x)
		}
		if err := r.End(); core.KindOf(err) != core.KindUnavailable {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestWhatCannotBeReadIsAFault(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(r *rig, path string)
		kind  core.Kind
	}{
		"nonsense": {func(r *rig, path string) { r.Write(path, "maybe") }, core.KindDamaged},
		"empty":    {func(r *rig, path string) { r.Write(path, "") }, core.KindDamaged},
		"unreadable": {func(r *rig, path string) {
			r.Remove(path)
			r.Folder(path)
		}, core.KindUnavailable},
		"no longer offered": {func(r *rig, path string) { r.Remove(path) }, core.KindUnavailable},
	} {
		r := newRig(t)
		path := filepath.Join(r.chip("hwmon3", "adm9240", "0-002c"), "intrusion0_alarm")
		r.Write(path, "0")
		r.Run(r.sensor)
		r.AwaitLevelAt(point, false)
		row.spoil(r, path)
		if err := r.End(); core.KindOf(err) != row.kind {
			t.Errorf("%s: %v", name, err)
		}
		if r.SaidType("chip_removed") {
			t.Errorf("%s counts as tampering", name)
		}
	}
}

func TestAMachineWithoutASwitchIsSkippedAndANamedChipIsMissed(t *testing.T) {
	r := newRig(t)
	r.chip("hwmon0", "coretemp", "coretemp.0")
	if p := r.sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe %+v", p)
	}
	named := newRig(t, "adm9240")
	if p := named.sensor.Probe(); !p.Present {
		t.Errorf("a chip that people named is skipped: %+v", p)
	}
	named.Run(named.sensor)
	if err := named.End(); core.KindOf(err) != core.KindNotFound {
		t.Errorf("Run: %v", err)
	}
}
