package hwmon

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// rig is a machine's sysfs in a folder, laid out as the kernel does: the chip's
// attributes in a folder below its device, and links to both.
type rig struct {
	t        *testing.T
	clock    *clocktest.Clock
	sensor   *Sensor
	readings chan sensor.Reading
}

func newRig(t *testing.T, chips ...string) *rig {
	t.Helper()
	return newRigWith(t, Config{Chips: chips})
}

func newRigWith(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), readings: make(chan sensor.Reading, 4096)}
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("chassis"), Clock: r.clock, Root: t.TempDir()}, c)
	r.must(err)
	r.sensor = s
	r.must(os.MkdirAll(r.sensor.class(), 0o755))
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) device(place string) string {
	return filepath.Join(r.sensor.sysfs, "devices/pci0000:00/i2c-0", place)
}

// chip puts a chip in place and returns the folder of its attributes.
func (r *rig) chip(number, name, place string) string {
	r.t.Helper()
	dir := filepath.Join(r.device(place), "hwmon", number)
	r.must(os.MkdirAll(dir, 0o755))
	r.must(os.Symlink(r.device(place), filepath.Join(dir, "device")))
	r.must(os.Symlink(dir, filepath.Join(r.sensor.class(), number)))
	r.write(filepath.Join(dir, "name"), name)
	return dir
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	r.must(os.WriteFile(path, []byte(text+"\n"), 0o644))
}

func (r *rig) remove(number, place string) {
	r.t.Helper()
	r.must(os.Remove(filepath.Join(r.sensor.class(), number)))
	r.must(os.RemoveAll(r.device(place)))
}

func (r *rig) start() (stop func(), wait func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.sensor.Run(ctx, func(x sensor.Reading) { r.readings <- x }) }()
	return cancel, func() error {
		defer cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			r.t.Fatal("the driver goes on")
			return nil
		}
	}
}

// await lets time pass until a reading fits; the deadline only bounds a failure.
func (r *rig) await(what string, fits func(sensor.Reading) bool) sensor.Reading {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case x := <-r.readings:
			if fits(x) {
				return x
			}
		case <-time.After(time.Millisecond):
			r.clock.Advance(lookEvery)
		case <-deadline:
			r.t.Fatalf("never: %s", what)
		}
	}
}

func isLevel(point string, active bool) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool { return x.Kind == sensor.Level && x.Point == point && x.Active == active }
}

func isType(kind string) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool { return x.Type == kind }
}

const point = "adm9240@0-002c/intrusion0_alarm"

func TestACaseThatIsOpenedIsSeenAndTheChipIsReadyForTheNext(t *testing.T) {
	r := newRig(t)
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.write(filepath.Join(dir, "intrusion0_alarm"), "0")
	r.chip("hwmon0", "coretemp", "coretemp.0") // it has no switch
	stop, wait := r.start()
	if inv := r.await("inventory", isType("inventory")); !strings.Contains(string(inv.Fields), `"device":"0-002c"`) || strings.Contains(string(inv.Fields), "coretemp") {
		t.Errorf("inventory %s", inv.Fields)
	}
	r.await("calm", isLevel(point, false))
	r.write(filepath.Join(dir, "intrusion0_alarm"), "1")
	if x := r.await("opened", isLevel(point, true)); !x.Alarm || !x.Settled || x.Severity != core.SeverityCritical {
		t.Errorf("reading %+v", x)
	}
	r.await("the chip's own latch is open again", isLevel(point, false))
	stop()
	if err := wait(); err != nil {
		t.Error(err)
	}
	if c := r.sensor.Capabilities(); c.Delay < cache || c.Latency != sensor.LatencyPoll || !c.Latches {
		t.Errorf("capabilities %+v", c)
	}
}

func TestACaseThatIsOpenAtTheStartAlarms(t *testing.T) {
	r := newRig(t, "adm9240")
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.write(filepath.Join(dir, "intrusion0_alarm"), "1")
	stop, wait := r.start()
	r.await("open", isLevel(point, true))
	stop()
	_ = wait()
}

// Old drivers keep their attributes one folder further down, the name among them.
func TestTheAttributesOfAnOldDriverAreFound(t *testing.T) {
	r := newRig(t)
	dir := r.chip("hwmon3", "w83792d", "0-002d")
	r.must(os.Rename(filepath.Join(dir, "name"), filepath.Join(r.device("0-002d"), "name")))
	r.write(filepath.Join(r.device("0-002d"), "intrusion1_alarm"), "1")
	stop, wait := r.start()
	r.await("open", isLevel("w83792d@0-002d/intrusion1_alarm", true))
	stop()
	_ = wait()
}

func TestAChipThatDoesNotObeyStaysAnAlarm(t *testing.T) {
	r := newRig(t)
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.write(filepath.Join(dir, "intrusion0_alarm"), "1")
	r.sensor.rearm = func(string) error { return os.ErrPermission }
	stop, wait := r.start()
	r.await("told", isType("rearm_failed"))
	r.await("still open", isLevel(point, true))
	stop()
	_ = wait()
}

func TestAChipThatIsTakenAwayIsTampering(t *testing.T) {
	for _, between := range []bool{false, true} {
		r := newRig(t)
		dir := r.chip("hwmon3", "adm9240", "0-002c")
		r.write(filepath.Join(dir, "intrusion0_alarm"), "0")
		stop, wait := r.start()
		r.await("calm", isLevel(point, false))
		if between {
			stop()
			_ = wait()
		}
		r.remove("hwmon3", "0-002c")
		if between {
			_, wait = r.start()
		}
		if x := r.await("tampering", isType("chip_removed")); !x.Alarm || x.Severity != core.SeverityCritical || x.Point != "adm9240@0-002c" {
			t.Errorf("reading %+v", x)
		}
		if err := wait(); core.KindOf(err) != core.KindUnavailable {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestWhatCannotBeReadIsAFault(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(r *rig, path string)
		kind  core.Kind
	}{
		"nonsense": {func(r *rig, path string) { r.write(path, "maybe") }, core.KindDamaged},
		"empty":    {func(r *rig, path string) { r.write(path, "") }, core.KindDamaged},
		"unreadable": {func(r *rig, path string) {
			r.must(os.Remove(path))
			r.must(os.Mkdir(path, 0o755))
		}, core.KindUnavailable},
		"no longer offered": {func(r *rig, path string) { r.must(os.Remove(path)) }, core.KindUnavailable},
	} {
		r := newRig(t)
		path := filepath.Join(r.chip("hwmon3", "adm9240", "0-002c"), "intrusion0_alarm")
		r.write(path, "0")
		_, wait := r.start()
		r.await("calm", isLevel(point, false))
		row.spoil(r, path)
		for r.clock.Waiters() == 0 {
			runtime.Gosched()
		}
		r.clock.Advance(lookEvery)
		if err := wait(); core.KindOf(err) != row.kind {
			t.Errorf("%s: %v", name, err)
		}
		for len(r.readings) > 0 {
			if x := <-r.readings; x.Type == "chip_removed" {
				t.Errorf("%s counts as tampering", name)
			}
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
	_, wait := named.start()
	if err := wait(); core.KindOf(err) != core.KindNotFound {
		t.Errorf("Run: %v", err)
	}
}
