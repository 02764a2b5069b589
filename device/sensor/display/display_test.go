package display

import (
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

type rig struct {
	*sensortest.Rig
	sensor *Sensor
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t)}
	s, err := New(r.Env, c)
	r.Must(err)
	s.open, r.sensor = r.Kernel.Open, s
	r.set("card0-HDMI-A-1", "disconnected", "")
	r.set("card0-eDP-1", "connected", "built in")
	r.set("card0", "", "")
	return r
}

const class = "sys/class/drm/"

func (r *rig) set(connector, status, edid string) {
	r.Write(class+connector+"/status", status)
	r.WriteRaw(class+connector+"/edid", edid)
}

// hotplug has the kernel tell of a change, and lets it be quiet.
func (r *rig) hotplug() {
	r.Kernel.Tell("change", "drm", "/devices/pci0000:00/0000:00:02.0/drm/card0", "HOTPLUG=1")
	r.PassWith(2, settle)
}

func TestAScreenThatIsPluggedIn(t *testing.T) {
	r := newRig(t, Config{})
	defer r.Run(r.sensor)()
	if x := r.AwaitLevel(false); x.Point != "card0-HDMI-A-1" {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-HDMI-A-1", "connected", "a screen")
	r.hotplug()
	if x := r.AwaitLevel(true); x.Type != typeAttached || !x.Alarm {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-HDMI-A-1", "disconnected", "")
	r.hotplug()
	r.AwaitLevel(false)
}

func TestAScreenThatBelongsThereIsMissedAndAnotherOneTold(t *testing.T) {
	r := newRig(t, Config{Connected: []string{"HDMI-A-1"}})
	r.set("card0-HDMI-A-1", "connected", "ours")
	defer r.Run(r.sensor)()
	r.AwaitLevel(false)
	r.set("card0-HDMI-A-1", "disconnected", "")
	r.hotplug()
	if x := r.AwaitLevel(true); x.Type != typeRemoved || x.Clear != typeAttached {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-HDMI-A-1", "connected", "a capture box")
	r.hotplug()
	r.AwaitLevel(false)
	if x := r.AwaitType(typeSwapped); !x.Alarm {
		t.Errorf("reading %+v", x)
	}
}

func TestWhatTheKernelCannotTellIsBroken(t *testing.T) {
	r := newRig(t, Config{})
	r.set("card0-VGA-1", "unknown", "")
	defer r.Run(r.sensor)()
	if x := r.AwaitKind(sensor.Broken); x.Point != "card0-VGA-1" {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-VGA-1", "disconnected", "")
	r.Remove(class + "card0-HDMI-A-1")
	r.Kernel.Fail(uevent.ErrOverrun)
	if x := r.AwaitAt(sensor.Broken, "card0-HDMI-A-1"); !strings.Contains(string(x.Fields), "gone") {
		t.Errorf("reading %+v", x)
	}
}

func TestAMachineWithoutConnectorsIsSkipped(t *testing.T) {
	r := newRig(t, Config{})
	if p := r.sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	r.sensor.sysfs = t.TempDir()
	if p := r.sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe %+v", p)
	}
}

func TestConfigAndSelfTest(t *testing.T) {
	if err := (Config{Connected: []string{"../HDMI"}}).Validate(); core.KindOf(err) != core.KindInvalid {
		t.Errorf("Validate: %v", err)
	}
	r := newRig(t, Config{})
	r.set("card0-DP-1", "connected", "x")
	r.set("card0-VGA-1", "unknown", "")
	r.Findings(r.sensor, map[string]sensor.Result{"card0-DP-1": sensor.Pass, "card0-HDMI-A-1": sensor.Untried, "card0-VGA-1": sensor.Warning})
}
