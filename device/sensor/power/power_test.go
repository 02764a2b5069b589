package power

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent/ueventtest"
)

// rig is a machine's /sys in a folder, and a kernel that tells of it.
type rig struct {
	t        *testing.T
	env      sensor.Env
	clock    *clocktest.Clock
	kernel   *ueventtest.Kernel
	sensor   *Sensor
	readings chan sensor.Reading
}

func newRig(t *testing.T, c Config, files map[string]string) *rig {
	t.Helper()
	r := &rig{t: t, clock: clocktest.New(time.Unix(1_700_000_000, 0)), kernel: ueventtest.New(), readings: make(chan sensor.Reading, 4096)}
	r.env = sensor.Env{ID: core.MustID[core.SensorID]("power"), Clock: r.clock, Root: t.TempDir()}
	r.files(files)
	s, err := New(r.env, c)
	r.must(err)
	r.sensor = s.(*Sensor)
	r.sensor.open = r.kernel.Open
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) files(files map[string]string) {
	r.t.Helper()
	for name, text := range files {
		path := r.env.Path(name)
		r.must(os.MkdirAll(filepath.Dir(path), 0o755))
		r.must(os.WriteFile(path, []byte(text+"\n"), 0o644))
	}
}

func (r *rig) start() (stop func(), wait func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.sensor.Run(ctx, func(x sensor.Reading) { r.readings <- x }) }()
	return cancel, func() error {
		defer cancel()
		deadline := time.After(20 * time.Second)
		for {
			select {
			case err := <-ended:
				return err
			case <-time.After(time.Millisecond):
				r.clock.Advance(time.Second)
			case <-deadline:
				r.t.Fatal("the driver goes on")
			}
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
			r.clock.Advance(time.Second)
		case <-deadline:
			r.t.Fatalf("never: %s", what)
		}
	}
}

func at(point string, value float64) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool {
		return x.Kind == sensor.Measure && x.Point == point && math.Abs(x.Value-value) < 1e-9
	}
}

func isType(word string) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool { return x.Type == word }
}

// laptop is a mains supply and a battery.
func laptop() map[string]string {
	const class = "sys/class/power_supply/"
	return map[string]string{
		class + "AC/type": "Mains", class + "AC/online": "1",
		class + "BAT0/type": "Battery", class + "BAT0/status": "Full", class + "BAT0/capacity": "98", class + "BAT0/voltage_now": "12480000",
		class + "BAT0/current_now": "1500000", class + "BAT0/temp": "314", class + "BAT0/serial_number": "17\x1b[2J", class + "BAT0/present": "1", class + "BAT0/health": "Overheat",
		"proc/sys/kernel/random/boot_id": "0e1d", "sys/class/watchdog/watchdog0/bootstatus": "32",
	}
}

func TestSuppliesAndBatteriesComeInTheirUnits(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	stop, wait := r.start()
	inv := string(r.await("inventory", isType("inventory")).Fields)
	for _, want := range []string{`"AC/online"`, `"watchdog":"32"`, `"boot_id":"0e1d"`} {
		if !strings.Contains(inv, want) {
			t.Errorf("the inventory has no %s: %s", want, inv)
		}
	}
	if strings.Contains(inv, `\u001b`) {
		t.Errorf("a serial number speaks to the terminal: %s", inv)
	}
	r.await("mains", at("AC/online", 1))
	r.await("volts", at("BAT0/voltage", 12.48))
	r.await("amperes", at("BAT0/current", 1.5))
	r.await("charge", at("BAT0/capacity", 98))
	r.await("heat", at("BAT0/temp", 31.4))
	r.await("calm", at("BAT0/discharging", 0))
	r.await("too hot", at("BAT0/unhealthy", 1))
	stop()
	r.must(wait())
}

func TestTheBatteryOfAMouseIsNoneOfOurs(t *testing.T) {
	files := map[string]string{"sys/class/power_supply/hidpp_battery_0/scope": "Device", "sys/class/power_supply/hidpp_battery_0/capacity": "50"}
	if p := newRig(t, Config{}, files).sensor.Probe(); p.Present {
		t.Errorf("probe %+v", p)
	}
	r := newRig(t, Config{Supplies: []string{"hidpp_battery_0"}}, files)
	stop, wait := r.start()
	r.await("people named it", at("hidpp_battery_0/capacity", 50))
	stop()
	r.must(wait())
}

// The clock stands still: only the kernel's word can make the driver look.
func TestTheKernelTellsOfMainsThatFails(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	stop, wait := r.start()
	r.await("mains", at("AC/online", 1))
	r.files(map[string]string{"sys/class/power_supply/AC/online": "0", "sys/class/power_supply/BAT0/status": "Discharging"})
	const path = "/devices/platform/AC/power_supply/AC"
	r.kernel.Say([]byte("change@" + path + "\x00ACTION=change\x00DEVPATH=" + path + "\x00SUBSYSTEM=power_supply\x00"))
	deadline := time.After(20 * time.Second)
	for offline := false; !offline; {
		select {
		case x := <-r.readings:
			offline = at("AC/online", 0)(x)
		case <-deadline:
			t.Fatal("never offline")
		}
	}
	r.await("discharging", at("BAT0/discharging", 1))
	stop()
	r.must(wait())
}

func TestWithoutTheKernelsWordItLooks(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	r.sensor.open = func() (uevent.Source, error) { return nil, os.ErrPermission }
	stop, wait := r.start()
	r.await("mains", at("AC/online", 1))
	r.files(map[string]string{"sys/class/power_supply/AC/online": "0"})
	r.await("no mains", at("AC/online", 0))
	stop()
	r.must(wait())
}

func TestABatteryThatIsPulledIsTamperingOnce(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	stop, wait := r.start()
	r.await("charge", at("BAT0/capacity", 98))
	stop()
	r.must(wait())
	r.must(os.RemoveAll(r.env.Path("sys/class/power_supply/BAT0"))) // between two runs
	stop, wait = r.start()
	if x := r.await("gone", isType("supply_removed")); !x.Alarm || x.Point != "BAT0" || x.Kind != sensor.Pulse {
		t.Errorf("reading %+v", x)
	}
	r.await("the other goes on", at("AC/online", 1))
	r.files(laptop())
	if x := r.await("back, and told once", func(x sensor.Reading) bool { return x.Type == "supply_removed" || x.Type == "supply_added" }); x.Type != "supply_added" {
		t.Errorf("reading %+v", x)
	}
	stop()
	r.must(wait())
}

func TestWhatCannotBeReadIsBrokenAndTheOthersGoOn(t *testing.T) {
	files := laptop()
	files["sys/class/power_supply/BAT0/capacity"] = "plenty"
	r := newRig(t, Config{Supplies: []string{"AC", "BAT0", "UPS"}, Rails: []Rail{{Name: "5v", Path: "/sys/none/in1_input"}}}, files)
	stop, wait := r.start()
	for want := map[string]bool{"UPS": true, "BAT0/capacity": true, "5v": true}; len(want) > 0; {
		delete(want, r.await("broken", func(x sensor.Reading) bool { return x.Kind == sensor.Broken }).Point)
	}
	r.await("mains", at("AC/online", 1))
	stop()
	r.must(wait())

	none := newRig(t, Config{Rails: []Rail{{Name: "5v", Path: "/sys/none/in1_input"}}}, nil)
	_, wait = none.start()
	if err := wait(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("nothing can be read: %v", err)
	}
}

func TestARailIsReadThroughAPatternThatMeansOneFile(t *testing.T) {
	const dir = "sys/bus/i2c/devices/1-0040/hwmon/"
	r := newRig(t, Config{Thermal: new(bool), Rails: []Rail{
		{Name: "5v", Path: "/" + dir + "hwmon*/in1_input"},
		{Name: "5v-current", Path: "/" + dir + "hwmon*/curr1_input", Unit: sensor.UnitAmpere},
	}}, map[string]string{dir + "hwmon3/in1_input": "4982", dir + "hwmon3/curr1_input": "731"})
	stop, wait := r.start()
	r.await("volts", at("5v", 4.982))
	if x := r.await("amperes", at("5v-current", 0.731)); x.Unit != sensor.UnitAmpere {
		t.Errorf("unit %s", x.Unit)
	}
	r.files(map[string]string{dir + "hwmon4/in1_input": "1"})
	if x := r.await("two files", func(x sensor.Reading) bool { return x.Kind == sensor.Broken }); x.Point != "5v" || !strings.Contains(string(x.Fields), "2 files") {
		t.Errorf("reading %+v", x)
	}
	stop()
	r.must(wait())
}

func TestThrottleFlagsThatCameAndWentAreSeen(t *testing.T) {
	r := newRig(t, Config{}, map[string]string{throttleFile: "10000"}) // weak once, before the agent started
	stop, wait := r.start()
	r.await("calm", at("throttle/undervoltage", 0))
	r.files(map[string]string{throttleFile: "50005"})
	r.await("weak", at("throttle/undervoltage", 1))
	r.await("slowed", at("throttle/throttled", 1))
	r.files(map[string]string{throttleFile: "50000"})
	r.await("well", at("throttle/throttled", 0))
	r.files(map[string]string{throttleFile: "70000"}) // capped between two looks
	r.await("was capped", at("throttle/frequency_capped", 1))
	r.await("no more", at("throttle/frequency_capped", 0))
	stop()
	r.must(wait())
}

func TestTheMainlineFlagZonesAndCountersAreRead(t *testing.T) {
	r := newRig(t, Config{}, map[string]string{
		"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1",
		"sys/class/thermal/thermal_zone0/type": "cpu-thermal", "sys/class/thermal/thermal_zone0/temp": "48312",
		"sys/class/thermal/thermal_zone1/type": "cpu-thermal", "sys/class/thermal/thermal_zone1/temp": "50000",
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count":    "3",
		"sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": "4",
	})
	stop, wait := r.start()
	r.await("weak", at("throttle/undervoltage", 1))
	if x := r.await("zone", at("thermal/cpu-thermal", 48.312)); x.Unit != sensor.UnitCelsius {
		t.Errorf("unit %s", x.Unit)
	}
	r.await("the second of that name", at("thermal/cpu-thermal.2", 50))
	r.await("counter", at("cpu/throttle_count", 7))
	stop()
	r.must(wait())
}

func TestAMachineWithoutAnyIsSkippedUnlessPeopleNamedSome(t *testing.T) {
	if p := newRig(t, Config{}, nil).sensor.Probe(); p.Present || p.Reason == "" {
		t.Errorf("probe %+v", p)
	}
	if p := newRig(t, Config{Supplies: []string{"UPS"}}, nil).sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
	if p := newRig(t, Config{}, laptop()).sensor.Probe(); !p.Present {
		t.Errorf("probe %+v", p)
	}
}

func TestFlagsAreReadInEitherSpelling(t *testing.T) {
	for text, want := range map[string]uint64{"50005": 0x50005, "0x50005": 0x50005, "throttled=0x0": 0} {
		if got, err := parseFlags(text, nil); err != nil || got != want {
			t.Errorf("%q: %#x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "fffffffff", "0x0x0"} {
		if _, err := parseFlags(text, nil); core.KindOf(err) != core.KindDamaged {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := parseFlags("0", os.ErrPermission); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
}

func FuzzFlags(f *testing.F) {
	f.Add("throttled=0x50005")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseFlags(text, nil); err == nil && v > math.MaxUint32 {
			t.Errorf("%q is %#x", text, v)
		}
	})
}

func TestAConfigurationThatCannotBeMeantIsRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"a supply's path": {Supplies: []string{"../x"}},
		"a rail's name":   {Rails: []Rail{{Name: "5 V", Path: "/sys/x"}}},
		"a rail's path":   {Rails: []Rail{{Name: "5v", Path: "sys/x"}}},
		"an unclean path": {Rails: []Rail{{Name: "5v", Path: "/sys/../etc/x"}}},
		"a unit":          {Rails: []Rail{{Name: "5v", Path: "/sys/x", Unit: sensor.UnitLux}}},
		"a scale":         {Rails: []Rail{{Name: "5v", Path: "/sys/x", Scale: math.NaN()}}},
		"two of a name":   {Rails: []Rail{{Name: "5v", Path: "/sys/x"}, {Name: "5v", Path: "/sys/y"}}},
		"a throttle":      {Throttle: "auto"},
		"every":           {Every: time.Millisecond},
	} {
		if _, err := New(sensor.Env{}, c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
