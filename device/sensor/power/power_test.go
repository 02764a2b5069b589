package power

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// rig is a machine's /sys in a folder, and a kernel that tells of it.
type rig struct {
	*sensortest.Rig
	sensor *Sensor
}

func newRig(t *testing.T, c Config, files map[string]string) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t)}
	r.Step = time.Second
	r.WriteAll("", files)
	s, err := New(r.Env, c)
	r.Must(err)
	r.sensor = s.(*Sensor)
	r.sensor.open = r.Kernel.Open
	return r
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
	stop := r.Run(r.sensor)
	inv := string(r.AwaitType("inventory").Fields)
	for _, want := range []string{`"AC/online"`, `"watchdog":"32"`, `"boot_id":"0e1d"`} {
		if !strings.Contains(inv, want) {
			t.Errorf("the inventory has no %s: %s", want, inv)
		}
	}
	if strings.Contains(inv, `\u001b`) {
		t.Errorf("a serial number speaks to the terminal: %s", inv)
	}
	r.AwaitMeasure("AC/online", 1)
	r.AwaitMeasure("BAT0/voltage", 12.48)
	r.AwaitMeasure("BAT0/current", 1.5)
	r.AwaitMeasure("BAT0/capacity", 98)
	r.AwaitMeasure("BAT0/temp", 31.4)
	r.AwaitMeasure("BAT0/discharging", 0)
	r.AwaitMeasure("BAT0/unhealthy", 1)
	stop()
}

func TestTheBatteryOfAMouseIsNoneOfOurs(t *testing.T) {
	files := map[string]string{"sys/class/power_supply/hidpp_battery_0/scope": "Device", "sys/class/power_supply/hidpp_battery_0/capacity": "50"}
	if p := newRig(t, Config{}, files).sensor.Probe(); p.Present {
		t.Errorf("probe %+v", p)
	}
	r := newRig(t, Config{Supplies: []string{"hidpp_battery_0"}}, files)
	stop := r.Run(r.sensor)
	r.AwaitMeasure("hidpp_battery_0/capacity", 50)
	stop()
}

// The clock stands still: only the kernel's word can make the driver look.
func TestTheKernelTellsOfMainsThatFails(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	r.Step = 0
	stop := r.Run(r.sensor)
	r.AwaitMeasure("AC/online", 1)
	r.WriteAll("", map[string]string{"sys/class/power_supply/AC/online": "0", "sys/class/power_supply/BAT0/status": "Discharging"})
	r.Kernel.Tell("change", "power_supply", "/devices/platform/AC/power_supply/AC")
	r.AwaitMeasure("AC/online", 0)
	r.AwaitMeasure("BAT0/discharging", 1)
	stop()
}

func TestWithoutTheKernelsWordItLooks(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	r.sensor.open = func() (uevent.Source, error) { return nil, os.ErrPermission }
	stop := r.Run(r.sensor)
	r.AwaitMeasure("AC/online", 1)
	r.WriteAll("", map[string]string{"sys/class/power_supply/AC/online": "0"})
	r.AwaitMeasure("AC/online", 0)
	stop()
}

func TestABatteryThatIsPulledIsTamperingOnce(t *testing.T) {
	r := newRig(t, Config{}, laptop())
	stop := r.Run(r.sensor)
	r.AwaitMeasure("BAT0/capacity", 98)
	stop()
	r.Remove("sys/class/power_supply/BAT0") // between two runs
	stop = r.Again()
	if x := r.AwaitType("supply_removed"); !x.Alarm || x.Point != "BAT0" || x.Kind != sensor.Pulse {
		t.Errorf("reading %+v", x)
	}
	r.AwaitMeasure("AC/online", 1)
	r.WriteAll("", laptop())
	if x := r.Await("back, and told once", func(x sensor.Reading) bool { return x.Type == "supply_removed" || x.Type == "supply_added" }); x.Type != "supply_added" {
		t.Errorf("reading %+v", x)
	}
	stop()
}

func TestWhatCannotBeReadIsBrokenAndTheOthersGoOn(t *testing.T) {
	files := laptop()
	files["sys/class/power_supply/BAT0/capacity"] = "plenty"
	r := newRig(t, Config{Supplies: []string{"AC", "BAT0", "UPS"}, Rails: []Rail{{Name: "5v", Path: "/sys/none/in1_input"}}}, files)
	stop := r.Run(r.sensor)
	for want := map[string]bool{"UPS": true, "BAT0/capacity": true, "5v": true}; len(want) > 0; {
		delete(want, r.AwaitKind(sensor.Broken).Point)
	}
	r.AwaitMeasure("AC/online", 1)
	stop()

	none := newRig(t, Config{Rails: []Rail{{Name: "5v", Path: "/sys/none/in1_input"}}}, nil)
	none.Run(none.sensor)
	if err := none.End(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("nothing can be read: %v", err)
	}
}

func TestARailIsReadThroughAPatternThatMeansOneFile(t *testing.T) {
	const dir = "sys/bus/i2c/devices/1-0040/hwmon/"
	r := newRig(t, Config{Thermal: new(bool), Rails: []Rail{
		{Name: "5v", Path: "/" + dir + "hwmon*/in1_input"},
		{Name: "5v-current", Path: "/" + dir + "hwmon*/curr1_input", Unit: sensor.UnitAmpere},
	}}, map[string]string{dir + "hwmon3/in1_input": "4982", dir + "hwmon3/curr1_input": "731"})
	stop := r.Run(r.sensor)
	r.AwaitMeasure("5v", 4.982)
	if x := r.AwaitMeasure("5v-current", 0.731); x.Unit != sensor.UnitAmpere {
		t.Errorf("unit %s", x.Unit)
	}
	r.WriteAll("", map[string]string{dir + "hwmon4/in1_input": "1"})
	if x := r.AwaitKind(sensor.Broken); x.Point != "5v" || !strings.Contains(string(x.Fields), "2 files") {
		t.Errorf("reading %+v", x)
	}
	stop()
}

func TestThrottleFlagsThatCameAndWentAreSeen(t *testing.T) {
	r := newRig(t, Config{}, map[string]string{throttleFile: "10000"}) // weak once, before the agent started
	stop := r.Run(r.sensor)
	r.AwaitMeasure("throttle/undervoltage", 0)
	r.WriteAll("", map[string]string{throttleFile: "50005"})
	r.AwaitMeasure("throttle/undervoltage", 1)
	r.AwaitMeasure("throttle/throttled", 1)
	r.WriteAll("", map[string]string{throttleFile: "50000"})
	r.AwaitMeasure("throttle/throttled", 0)
	r.WriteAll("", map[string]string{throttleFile: "70000"}) // capped between two looks
	r.AwaitMeasure("throttle/frequency_capped", 1)
	r.AwaitMeasure("throttle/frequency_capped", 0)
	stop()
}

func TestTheMainlineFlagZonesAndCountersAreRead(t *testing.T) {
	r := newRig(t, Config{}, map[string]string{
		"sys/class/hwmon/hwmon1/name": "rpi_volt", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1",
		"sys/class/thermal/thermal_zone0/type": "cpu-thermal", "sys/class/thermal/thermal_zone0/temp": "48312",
		"sys/class/thermal/thermal_zone1/type": "cpu-thermal", "sys/class/thermal/thermal_zone1/temp": "50000",
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count":    "3",
		"sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": "4",
	})
	stop := r.Run(r.sensor)
	r.AwaitMeasure("throttle/undervoltage", 1)
	if x := r.AwaitMeasure("thermal/cpu-thermal", 48.312); x.Unit != sensor.UnitCelsius {
		t.Errorf("unit %s", x.Unit)
	}
	r.AwaitMeasure("thermal/cpu-thermal.2", 50)
	r.AwaitMeasure("cpu/throttle_count", 7)
	stop()
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
