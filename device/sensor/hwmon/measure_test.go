package hwmon

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
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
		r.Write(filepath.Join(dir, name), text)
	}
	return dir
}

func TestWhatAChipMeasuresComesInItsUnit(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"in", "curr", "power", "fan", "temp", "humidity"}})
	board(r)
	stop := r.Run(r.sensor)
	inv := string(r.AwaitType("inventory").Fields)
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
		if x := r.AwaitMeasure(chip+row.point, row.value); x.Unit != row.unit {
			t.Errorf("%s in %s", row.point, x.Unit)
		}
	}
	stop()
}

// One broken chip, one broken file: the others go on.
func TestOneBrokenChipDoesNotStopTheOthers(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"temp", "fan"}, Switch: new(true)})
	dir := board(r)
	other := r.chip("hwmon5", "adm9240", "0-002c")
	r.Write(filepath.Join(other, "intrusion0_alarm"), "0")
	r.Write(filepath.Join(other, "temp1_input"), "30000")
	stop := r.Run(r.sensor)
	const chip = "nct6775@nct6775.656/"
	r.AwaitMeasure(chip+"temp1", 41.5)
	r.Write(filepath.Join(dir, "temp1_input"), "hot")
	r.AwaitAt(sensor.Broken, chip+"temp1")
	r.AwaitMeasure(chip+"fan1", 1204)
	r.Write(filepath.Join(dir, "temp1_input"), "42000")
	r.AwaitMeasure(chip+"temp1", 42)

	r.remove("hwmon2", "nct6775.656")
	if x := r.AwaitType("chip_removed"); x.Point != "nct6775@nct6775.656" || !x.Alarm {
		t.Errorf("reading %+v", x)
	}
	r.AwaitAt(sensor.Broken, chip+"intrusion0_alarm")
	r.Write(filepath.Join(other, "intrusion0_alarm"), "1")
	r.AwaitLevelAt("adm9240@0-002c/intrusion0_alarm", true)
	for range 20 {
		r.AwaitMeasure("adm9240@0-002c/temp1", 30)
	}
	dir = r.chip("hwmon9", "nct6775", "nct6775.656") // back, under another number
	r.Write(filepath.Join(dir, "temp1_input"), "39000")
	r.Await("word of its return that comes first", func(x sensor.Reading) bool {
		if x.Type == "chip_removed" {
			t.Error("told twice")
		}
		return x.Point == chip+"temp1" && x.Value == 39
	})
	stop()
}

func TestANamedChipThatIsMissingIsBrokenBesideAnother(t *testing.T) {
	r := newRig(t, "adm9240", "w83793")
	dir := r.chip("hwmon3", "adm9240", "0-002c")
	r.Write(filepath.Join(dir, "intrusion0_alarm"), "0")
	stop := r.Run(r.sensor)
	r.AwaitAt(sensor.Broken, "chip:w83793")
	r.AwaitLevelAt(point, false)
	late := r.chip("hwmon4", "w83793", "0-002f")
	r.Write(filepath.Join(late, "intrusion0_alarm"), "1")
	r.AwaitType("chip_added")
	r.AwaitLevelAt("w83793@0-002f/intrusion0_alarm", true)
	stop()
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
	both.Write(filepath.Join(dir, "temp1_input"), "40000")
	stop := both.Run(both.sensor)
	both.AwaitAt(sensor.Broken, pointSwitch)
	both.AwaitMeasure("coretemp@coretemp.0/temp1", 40)
	both.Write(filepath.Join(dir, "intrusion0_alarm"), "0")
	both.AwaitType("chip_added")
	both.AwaitLevelAt("coretemp@coretemp.0/intrusion0_alarm", false)
	stop()
}

func TestAConfigurationThatCannotBeMeantIsRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"a chip's path": {Chips: []string{"../x"}},
		"a measure":     {Measures: []string{"pwm"}},
		"nothing":       {Switch: new(bool)},
		"many chips":    {Chips: make([]string, 100)},
	} {
		if _, err := New(sensor.Env{}, c); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A probe that is broken has a value all the same.
func TestAProbeThatTheChipCallsBrokenIsBroken(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"temp", "fan"}})
	dir := board(r)
	r.Write(filepath.Join(dir, "temp1_fault"), "0")
	stop := r.Run(r.sensor)
	const chip = "nct6775@nct6775.656/"
	r.AwaitMeasure(chip+"temp1", 41.5)
	r.Write(filepath.Join(dir, "temp1_fault"), "1")
	r.AwaitAt(sensor.Broken, chip+"temp1")
	r.AwaitMeasure(chip+"fan1", 1204)
	r.Write(filepath.Join(dir, "temp1_fault"), "0")
	r.AwaitMeasure(chip+"temp1", 41.5)
	stop()
}
