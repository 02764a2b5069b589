package display

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
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

type rig struct {
	t        *testing.T
	clock    *clocktest.Clock
	kernel   *ueventtest.Kernel
	sensor   *Sensor
	readings chan sensor.Reading
}

func newRig(t *testing.T, c Config) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), kernel: ueventtest.New(), readings: make(chan sensor.Reading, 4096)}
	s, err := New(sensor.Env{ID: core.MustID[core.SensorID]("screens"), Clock: r.clock, Root: t.TempDir()}, c)
	if err != nil {
		t.Fatal(err)
	}
	s.open, r.sensor = r.kernel.Open, s
	r.set("card0-HDMI-A-1", "disconnected", "")
	r.set("card0-eDP-1", "connected", "built in")
	r.set("card0", "", "")
	return r
}

func (r *rig) set(connector, status, edid string) {
	r.t.Helper()
	dir := filepath.Join(r.sensor.class(), connector)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	for name, text := range map[string]string{"status": status + "\n", "edid": edid} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
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

func (r *rig) await(what string, want func(sensor.Reading) bool) sensor.Reading {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case x := <-r.readings:
			if want(x) {
				return x
			}
		case <-deadline:
			r.t.Fatalf("no %s", what)
		}
	}
}

func (r *rig) level(active bool) sensor.Reading {
	r.t.Helper()
	return r.await("level", func(x sensor.Reading) bool { return x.Kind == sensor.Level && x.Active == active })
}

// hotplug has the kernel tell of a change, and lets it be quiet.
func (r *rig) hotplug() {
	r.t.Helper()
	const path = "/devices/pci0000:00/0000:00:02.0/drm/card0"
	r.kernel.Say([]byte("change@" + path + "\x00ACTION=change\x00DEVPATH=" + path + "\x00SUBSYSTEM=drm\x00HOTPLUG=1\x00"))
	deadline := time.Now().Add(20 * time.Second)
	for r.clock.Waiters() < 2 {
		if time.Now().After(deadline) {
			r.t.Fatal("it does not look")
		}
		runtime.Gosched()
	}
	r.clock.Advance(settle)
}

func TestAScreenThatIsPluggedIn(t *testing.T) {
	r := newRig(t, Config{})
	defer r.start()()
	if x := r.level(false); x.Point != "card0-HDMI-A-1" {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-HDMI-A-1", "connected", "a screen")
	r.hotplug()
	if x := r.level(true); x.Type != typeAttached || !x.Alarm {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-HDMI-A-1", "disconnected", "")
	r.hotplug()
	r.level(false)
}

func TestAScreenThatBelongsThereIsMissedAndAnotherOneTold(t *testing.T) {
	r := newRig(t, Config{Connected: []string{"HDMI-A-1"}})
	r.set("card0-HDMI-A-1", "connected", "ours")
	defer r.start()()
	r.level(false)
	r.set("card0-HDMI-A-1", "disconnected", "")
	r.hotplug()
	if x := r.level(true); x.Type != typeRemoved || x.Clear != typeAttached {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-HDMI-A-1", "connected", "a capture box")
	r.hotplug()
	r.level(false)
	r.await("swap", func(x sensor.Reading) bool { return x.Type == typeSwapped && x.Alarm })
}

func TestWhatTheKernelCannotTellIsBroken(t *testing.T) {
	r := newRig(t, Config{})
	r.set("card0-VGA-1", "unknown", "")
	defer r.start()()
	if x := r.await("broken", func(x sensor.Reading) bool { return x.Kind == sensor.Broken }); x.Point != "card0-VGA-1" {
		t.Errorf("reading %+v", x)
	}
	r.set("card0-VGA-1", "disconnected", "")
	if err := os.RemoveAll(filepath.Join(r.sensor.class(), "card0-HDMI-A-1")); err != nil {
		t.Fatal(err)
	}
	r.kernel.Fail(uevent.ErrOverrun)
	if x := r.await("broken", func(x sensor.Reading) bool { return x.Kind == sensor.Broken && x.Point == "card0-HDMI-A-1" }); !strings.Contains(string(x.Fields), "gone") {
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
	result := map[string]sensor.Result{}
	for _, f := range r.sensor.SelfTest(t.Context()) {
		result[f.Check] = f.Result
	}
	for check, want := range map[string]sensor.Result{"card0-DP-1": sensor.Pass, "card0-HDMI-A-1": sensor.Untried, "card0-VGA-1": sensor.Warning} {
		if result[check] != want {
			t.Errorf("%s: %s, want %s", check, result[check], want)
		}
	}
}
