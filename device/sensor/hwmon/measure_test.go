package hwmon

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// board is a mainboard's chip as the kernel shows it.
func board(r *rig) (dir string) {
	dir = r.chip("hwmon2", "nct6775", "nct6775.656")
	for name, text := range map[string]string{
		"in0_input": "1016", "in0_label": "Vcore", "in1_input": "12096", "curr1_input": "731", "power1_input": "8500000",
		"fan1_input": "1204", "temp1_input": "41500", "temp1_label": "SYSTIN\x1b[2J", "temp1_max": "80000", "humidity1_input": "45000",
		"intrusion0_alarm": "0", "pwm1": "128", "beep_enable": "0",
	} {
		r.write(filepath.Join(dir, name), text)
	}
	return dir
}

func isMeasure(point string, value float64) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool {
		return x.Kind == sensor.Measure && x.Point == point && math.Abs(x.Value-value) < 1e-9
	}
}

func isBroken(point string) func(sensor.Reading) bool {
	return func(x sensor.Reading) bool { return x.Kind == sensor.Broken && x.Point == point }
}

func TestWhatAChipMeasuresComesInItsUnit(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"in", "curr", "power", "fan", "temp", "humidity"}})
	board(r)
	stop, wait := r.start()
	inv := string(r.await("inventory", isType("inventory")).Fields)
	if !strings.Contains(inv, `"label":"Vcore"`) || strings.Contains(inv, "pwm1") || strings.Contains(inv, "intrusion") || strings.Contains(inv, `\u001b`) {
		t.Errorf("inventory %s", inv)
	}
	const chip = "nct6775@nct6775.656/"
	for _, row := range []struct {
		point string
		value float64
		unit  sensor.Unit
	}{
		{"curr1", 0.731, sensor.UnitAmpere},
		{"fan1", 1204, sensor.UnitRPM},
		{"humidity1", 45, sensor.UnitPercent},
		{"in0", 1.016, sensor.UnitVolt},
		{"in1", 12.096, sensor.UnitVolt},
		{"power1", 8.5, sensor.UnitWatt},
		{"temp1", 41.5, sensor.UnitCelsius},
	} {
		if x := r.await(row.point, isMeasure(chip+row.point, row.value)); x.Unit != row.unit {
			t.Errorf("%s in %s", row.point, x.Unit)
		}
	}
	stop()
	r.must(wait())
}

// One broken chip, one broken file: the others go on.
func TestOneBrokenChipDoesNotStopTheOthers(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"temp", "fan"}, Switch: new(true)})
	dir := board(r)
	other := r.chip("hwmon5", "adm9240", "0-002c")
	r.write(filepath.Join(other, "intrusion0_alarm"), "0")
	r.write(filepath.Join(other, "temp1_input"), "30000")
	stop, wait := r.start()
	const chip = "nct6775@nct6775.656/"
	r.await("warm", isMeasure(chip+"temp1", 41.5))
	r.write(filepath.Join(dir, "temp1_input"), "hot")
	r.await("broken", isBroken(chip+"temp1"))
	r.await("the chip's fan goes on", isMeasure(chip+"fan1", 1204))
	r.write(filepath.Join(dir, "temp1_input"), "42000")
	r.await("well again", isMeasure(chip+"temp1", 42))

	r.remove("hwmon2", "nct6775.656")
	if x := r.await("tampering", isType("chip_removed")); x.Point != "nct6775@nct6775.656" || !x.Alarm {
		t.Errorf("reading %+v", x)
	}
	r.await("its switch is broken", isBroken(chip+"intrusion0_alarm"))
	r.write(filepath.Join(other, "intrusion0_alarm"), "1")
	r.await("the other chip's switch goes on", isLevel("adm9240@0-002c/intrusion0_alarm", true))
	for range 20 {
		r.await("time passes", isMeasure("adm9240@0-002c/temp1", 30))
	}
	r.must(os.MkdirAll(r.device("x"), 0o755))
	dir = r.chip("hwmon9", "nct6775", "nct6775.656") // back, under another number
	r.write(filepath.Join(dir, "temp1_input"), "39000")
	x := r.await("back, and told once", func(x sensor.Reading) bool {
		return x.Type == "chip_removed" || isMeasure(chip+"temp1", 39)(x)
	})
	if x.Type == "chip_removed" {
		t.Error("told twice")
	}
	stop()
	r.must(wait())
}

func TestANamedChipThatIsMissingIsBrokenBesideAnother(t *testing.T) {
	r := newRig(t, "adm9240", "w83793")
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.write(filepath.Join(dir, "intrusion0_alarm"), "0")
	stop, wait := r.start()
	r.await("missing", isBroken("chip:w83793"))
	r.await("the other goes on", isLevel(point, false))
	late := r.chip("hwmon4", "w83793", "0-002f")
	r.write(filepath.Join(late, "intrusion0_alarm"), "1")
	r.await("there at last", isType("chip_added"))
	r.await("and read", isLevel("w83793@0-002f/intrusion0_alarm", true))
	stop()
	r.must(wait())
}

// A sensor that only measures must not look as if it watched the case.
func TestASensorThatMeasuresIsNoCaseSwitch(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"temp"}})
	board(r)
	if found, err := r.sensor.scan(); err != nil || anySwitch(found) || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	none := newRigWith(t, Config{Measures: []string{"humidity"}})
	none.chip("hwmon0", "coretemp", "coretemp.0")
	if p := none.sensor.Probe(); p.Present || !strings.Contains(p.Reason, "humidity") {
		t.Errorf("probe %+v", p)
	}
	both := newRigWith(t, Config{Measures: []string{"temp"}, Switch: new(true), Chips: []string{"coretemp"}})
	dir := both.chip("hwmon0", "coretemp", "coretemp.0")
	both.write(filepath.Join(dir, "temp1_input"), "40000")
	stop, wait := both.start()
	both.await("the switch that people asked for is missing", isBroken(pointSwitch))
	both.await("the rest goes on", isMeasure("coretemp@coretemp.0/temp1", 40))
	both.write(filepath.Join(dir, "intrusion0_alarm"), "0")
	both.await("there at last", isType("chip_added"))
	both.await("and read", isLevel("coretemp@coretemp.0/intrusion0_alarm", false))
	stop()
	both.must(wait())
}

func TestAConfigurationThatCannotBeMeantIsRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"a chip's path": {Chips: []string{"../x"}},
		"a measure":     {Measures: []string{"pwm"}},
		"nothing":       {Switch: new(bool)},
		"many chips":    {Chips: make([]string, 100)},
	} {
		if _, err := New(sensor.Env{Clock: clocktest.New(time.Unix(0, 0))}, c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A probe that is broken has a value all the same.
func TestAProbeThatTheChipCallsBrokenIsBroken(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"temp", "fan"}})
	dir := board(r)
	r.write(filepath.Join(dir, "temp1_fault"), "0")
	stop, wait := r.start()
	const chip = "nct6775@nct6775.656/"
	r.await("warm", isMeasure(chip+"temp1", 41.5))
	r.write(filepath.Join(dir, "temp1_fault"), "1")
	r.await("broken", isBroken(chip+"temp1"))
	r.await("the fan goes on", isMeasure(chip+"fan1", 1204))
	r.write(filepath.Join(dir, "temp1_fault"), "0")
	r.await("well again", isMeasure(chip+"temp1", 41.5))
	stop()
	r.must(wait())
}
