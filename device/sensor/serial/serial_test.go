package serial

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// cable is a port whose lines a test drives.
type cable struct {
	mu  sync.Mutex
	now lines
	err error
}

func (c *cable) Lines() (lines, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, c.err
}

func (c *cable) Close() error { return nil }

func (c *cable) set(driven int, changes uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.err = lines{driven: driven, changes: changes, counted: true}, err
}

type rig struct {
	*sensortest.Rig
	cable  *cable
	sensor *Sensor
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t), cable: &cable{}}
	s, err := New(r.Env, c)
	r.Must(err)
	s.open, s.openPort = r.Kernel.Open, func(string) (port, error) { return r.cable, nil }
	r.sensor = s
	r.plug("ttyS0", "pnp0/00:00/00:00:0/00:00:0.0", "4")
	r.plug("ttyS1", "platform/serial8250/serial8250:0/serial8250:0.1", "0") // no chip
	r.plug("tty1", "virtual", "")
	return r
}

// plug puts a port into sysfs as the kernel does.
func (r *rig) plug(name, at, kind string) {
	dir := filepath.Join("sys/devices", at, "tty", name)
	r.Folder(dir + "/device")
	if kind != "" {
		r.Write(dir+"/type", kind)
	}
	r.Link("sys/class/tty/"+name, dir)
}

func (r *rig) unplug(name string) { r.Remove("sys/class/tty/" + name) }

func TestAPortThatAppearsAndOneThatGoes(t *testing.T) {
	r := newRig(t, Config{})
	defer r.Run(r.sensor)()
	inv := r.AwaitKind(sensor.Inventory)
	if len(inv.Parts) != 1 || inv.Parts[0].Place != "ttyS0" {
		t.Fatalf("inventory %+v", inv.Parts)
	}
	r.AwaitKind(sensor.Beat)
	at := "pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/ttyUSB0"
	r.plug("ttyUSB0", at, "")
	r.Kernel.Tell("add", "tty", "/devices/"+at+"/tty/ttyUSB0")
	r.PassWith(2, settle)
	if x := r.AwaitType(typeAttached); !x.Alarm || x.Point != "ttyUSB0" || !strings.Contains(string(x.Fields), "usb1/1-1") {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	r.unplug("ttyUSB0")
	r.unplug("ttyS0")
	r.Kernel.Fail(uevent.ErrOverrun)
	r.AwaitType("uevents_lost")
	for range 2 {
		x := r.AwaitType(typeRemoved)
		if built := x.Point == "ttyS0"; x.Alarm != built {
			t.Errorf("reading %+v", x)
		}
	}
}

func TestACableAtTheConsole(t *testing.T) {
	r := newRig(t, Config{Lines: []Line{{Port: "ttyS0"}}})
	defer r.Run(r.sensor)()
	r.AwaitLevel(false)
	r.cable.set(unix.TIOCM_CTS|unix.TIOCM_DSR|unix.TIOCM_RTS, 2, nil)
	r.Pass(linesEvery)
	x := r.AwaitLevel(true)
	if x.Type != typeAttached || !x.Alarm || x.Severity != core.SeverityHigh || !strings.Contains(string(x.Fields), `["CTS","DSR"]`) {
		t.Errorf("reading %+v %s", x, x.Fields)
	}
	r.cable.set(unix.TIOCM_RTS|unix.TIOCM_DTR, 4, nil) // what we drive ourselves is no cable
	r.Pass(linesEvery)
	r.AwaitLevel(false)
}

func TestACableThatBelongsThereIsMissed(t *testing.T) {
	r := newRig(t, Config{Lines: []Line{{Port: "ttyS0", Cable: CableIn}}})
	r.cable.set(unix.TIOCM_CAR, 1, nil)
	defer r.Run(r.sensor)()
	r.AwaitLevel(false)
	r.cable.set(0, 2, nil)
	r.Pass(linesEvery)
	if x := r.AwaitLevel(true); x.Type != typeRemoved || x.Clear != typeAttached {
		t.Errorf("reading %+v", x)
	}
}

// In and out again between two looks: the kernel counted.
func TestACableForAMomentIsNotMissed(t *testing.T) {
	r := newRig(t, Config{Lines: []Line{{Port: "ttyS0"}}})
	defer r.Run(r.sensor)()
	r.AwaitLevel(false)
	r.cable.set(0, 4, nil)
	r.Pass(linesEvery)
	if x := r.AwaitType(typeBrief); !x.Alarm {
		t.Errorf("reading %+v", x)
	}
}

func TestAPortThatCannotBeAskedIsBrokenUntilItCan(t *testing.T) {
	r := newRig(t, Config{Lines: []Line{{Port: "ttyS0"}}})
	r.cable.set(0, 0, errors.New("input/output error"))
	defer r.Run(r.sensor)()
	if x := r.AwaitKind(sensor.Broken); x.Point != "ttyS0 cable" || !strings.Contains(string(x.Fields), "input/output") {
		t.Errorf("reading %+v", x)
	}
	r.cable.set(0, 9, nil)
	r.Pass(linesEvery)
	r.AwaitLevel(false)
}

// A pseudo terminal is a real port of the kernel without lines.
func TestTheKernelsOwnPort(t *testing.T) {
	ptmx, err := openPort("/dev/ptmx")
	if err != nil {
		t.Fatalf("this kernel gives no pseudo terminal: %v", err)
	}
	defer func() { _ = ptmx.Close() }()
	if _, err := ptmx.Lines(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("lines of a port that has none: %v", err)
	}
	if _, err := openPort(filepath.Join(t.TempDir(), "ttyS9")); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("a port that is not there: %v", err)
	}
}

func TestTheRealSysfsIsReadWithoutError(t *testing.T) {
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("serial"), Clock: core.SystemClock{}}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.scan()
	if err != nil {
		t.Fatal(err)
	}
	if _, console := found["tty1"]; console {
		t.Errorf("a screen counts as a serial port: %v", found)
	}
}

func TestConfig(t *testing.T) {
	for name, bad := range map[string]Config{
		"a path":       {Lines: []Line{{Port: "../tty1"}}},
		"no port":      {Lines: []Line{{}}},
		"twice":        {Lines: []Line{{Port: "ttyS0"}, {Port: "ttyS0"}}},
		"half a cable": {Lines: []Line{{Port: "ttyS0", Cable: "half"}}},
		"too many":     {Lines: make([]Line, maxLines+1)},
	} {
		if _, err := New(sensor.Env{}, bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSelfTestSaysWhatItCannotTell(t *testing.T) {
	for _, row := range []struct {
		driven int
		err    error
		want   sensor.Result
	}{{unix.TIOCM_CTS, nil, sensor.Pass}, {0, nil, sensor.Warning}, {0, errors.New("gone"), sensor.Fail}} {
		r := newRig(t, Config{Lines: []Line{{Port: "ttyS0"}}})
		r.cable.set(row.driven, 0, row.err)
		found := r.sensor.SelfTest(t.Context())
		if i := slices.IndexFunc(found, func(f sensor.Finding) bool { return f.Check == "ttyS0: cable" }); found[i].Result != row.want {
			t.Errorf("%+v: %+v", row, found)
		}
		if jtag := found[len(found)-1]; jtag.Check != "jtag" || jtag.Result != sensor.Untried {
			t.Errorf("%+v", jtag)
		}
	}
}

func TestAKernelWithoutTerminalsIsSkipped(t *testing.T) {
	r := newRig(t, Config{})
	if p := r.sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	r.sensor.sysfs = t.TempDir()
	if p := r.sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe %+v", p)
	}
}
