package iio

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
)

// rig is a machine's sysfs in a folder, laid out as the kernel does, with a FIFO
// for the device's file.
type rig struct {
	*sensortest.Rig
	sensor *Sensor
	fifo   *os.File
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{Rig: sensortest.New(t)}
	r.Step = 20 * time.Millisecond
	r.Folder(bus)
	r.Folder("dev")
	return r
}

const bus = "sys/bus/iio/devices"

// device lays out a device behind a place on the bus.
func (r *rig) device(number, place string, files map[string]string) {
	dir := filepath.Join("sys/devices/i2c-1", place, number)
	r.WriteAll(dir, files)
	r.Link(filepath.Join(bus, number), dir)
}

func (r *rig) remove(number, place string) {
	r.Remove(filepath.Join(bus, number))
	r.Remove(filepath.Join("sys/devices/i2c-1", place))
}

// openFIFO makes the device's file and keeps an end of it.
func (r *rig) openFIFO(t *testing.T, number string) {
	t.Helper()
	path := r.Env.Path("dev", number)
	r.Must(unix.Mkfifo(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	r.Must(err)
	r.fifo = f
	t.Cleanup(func() { _ = f.Close() })
}

// make makes the driver.
func (r *rig) make(c Config) *Sensor {
	s, err := New(r.Env, c)
	r.Must(err)
	r.sensor = s.(*Sensor)
	return r.sensor
}

// mma8452 is how Linux 6.1 shows that chip at 100 Hz and ±2 g.
func mma8452() map[string]string {
	files := map[string]string{
		"name": "mma8452", "in_accel_scale": "0.009577", "sampling_frequency": "800",
		"sampling_frequency_available": "800.000000 400.000000 200.000000 100.000000 50.000000 12.500000 6.250000 1.560000",
		"current_timestamp_clock":      "realtime", "trigger/current_trigger": "",
		"buffer/enable": "0", "buffer/length": "2", "buffer/watermark": "1",
		"scan_elements/in_timestamp_en": "0", "scan_elements/in_timestamp_index": "3", "scan_elements/in_timestamp_type": "le:s64/64>>0",
	}
	for i, axis := range []string{"x", "y", "z"} {
		files["in_accel_"+axis+"_raw"] = []string{"0", "-512", "1024"}[i]
		files["scan_elements/in_accel_"+axis+"_en"] = "0"
		files["scan_elements/in_accel_"+axis+"_index"] = string(rune('0' + i))
		files["scan_elements/in_accel_"+axis+"_type"] = "be:s12/16>>4"
	}
	return files
}

// withTrigger is a machine that has the chip and the trigger of a timer.
func withTrigger(t *testing.T) *rig {
	r := newRig(t)
	r.device("iio:device0", "1-001c", mma8452())
	r.device("trigger0", "trig", map[string]string{"name": "t0", "sampling_frequency": "100.000"})
	r.openFIFO(t, "iio:device0")
	return r
}

// record is what the kernel's buffer would hold of one sample.
func record(x, y, z int16, at int64) []byte {
	b := make([]byte, 16)
	for i, v := range []int16{x, y, z} {
		binary.BigEndian.PutUint16(b[2*i:], uint16(v<<4))
	}
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
	return b
}

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }

func TestABufferIsRecordedInGAndPutBack(t *testing.T) {
	r := withTrigger(t)
	stop := r.Run(r.make(Config{Device: "mma8452", Trigger: "t0", Rate: 100}))
	inv := r.AwaitType("inventory")
	for _, want := range []string{`"mode":"buffer"`, `"trigger":"t0"`, `"range_g":2`, `"rate_hz":100`, `"place":"1-001c"`} {
		if !strings.Contains(string(inv.Fields), want) {
			t.Errorf("the inventory has no %s: %s", want, inv.Fields)
		}
	}
	for name, want := range map[string]string{
		"buffer/enable": "1", "buffer/watermark": "50", "scan_elements/in_accel_z_en": "1", "scan_elements/in_timestamp_en": "1",
		"trigger/current_trigger": "t0", "current_timestamp_clock": "boottime", "sampling_frequency": "100.000000",
	} {
		if got := r.Read(filepath.Join(bus, "iio:device0", name)); got != want {
			t.Errorf("%s says %q while it records, not %q", name, got, want)
		}
	}
	var all []byte
	for i := range 120 {
		all = append(all, record(0, -512, 1024, int64(1e9+i*1e7))...)
	}
	_, err := r.fifo.Write(all[:1003]) // records need not come whole
	r.Must(err)
	_, err = r.fifo.Write(all[1003:])
	r.Must(err)
	x := r.AwaitAt(sensor.Waveform, "accel")
	if !x.Lively {
		t.Error("an accelerometer that stands still is well")
	}
	wave := x.Wave
	s := wave.Samples[0]
	if wave.Full != 2 || s.At != time.Second || !near(s.X, 0, 1e-9) || !near(s.Y, -0.5, 0.001) || !near(s.Z, 1, 0.001) {
		t.Errorf("full %g, %+v", wave.Full, s)
	}
	if n := len(wave.Samples); n < 45 || n > 52 {
		t.Errorf("a chunk of %d samples at 100 a second", n)
	}
	stop()
	for name, want := range mma8452() {
		if got := r.Read(filepath.Join(bus, "iio:device0", name)); got != want {
			t.Errorf("%s says %q afterwards, not %q", name, got, want)
		}
	}
}

func TestADeviceThatIsTakenAwayIsTamperingOnceAndThenAFault(t *testing.T) {
	r := withTrigger(t)
	r.Run(r.make(Config{Device: "1-001c", Trigger: "t0"}))
	r.AwaitType("inventory")
	r.remove("iio:device0", "1-001c")
	r.Must(r.fifo.Close())
	x := r.AwaitType("sensor_removed")
	if !x.Alarm || x.Severity != core.SeverityCritical || x.Kind != sensor.Pulse {
		t.Errorf("reading %+v", x)
	}
	if err := r.End(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Run: %v", err)
	}
	twice := r.SaidType("sensor_removed")
	r.Again()
	if err := r.End(); core.KindOf(err) != core.KindNotFound {
		t.Errorf("Run again: %v", err)
	}
	if twice || r.SaidType("sensor_removed") {
		t.Error("told twice")
	}
}

func TestADeviceThatGoesBetweenTwoRunsIsTampering(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "1-001c", mma8452())
	stop := r.Run(r.make(Config{Device: "mma8452", Mode: ModePoll}))
	r.AwaitAt(sensor.Waveform, "accel")
	stop()
	r.remove("iio:device0", "1-001c")
	r.Again()
	r.AwaitType("sensor_removed")
	if err := r.End(); err == nil {
		t.Error("it is well")
	}
}

func TestABufferThatEndsUnderADeviceThatIsThereIsAFault(t *testing.T) {
	r := withTrigger(t)
	r.Run(r.make(Config{Device: "mma8452", Trigger: "t0"}))
	r.AwaitType("inventory")
	r.Must(r.fifo.Close())
	if err := r.End(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("Run: %v", err)
	}
	if r.SaidType("sensor_removed") {
		t.Error("it counts as tampering")
	}
}

func TestTimeThatStandsStillIsAFault(t *testing.T) {
	r := withTrigger(t)
	r.Run(r.make(Config{Device: "mma8452", Trigger: "t0"}))
	r.AwaitType("inventory")
	_, err := r.fifo.Write(append(record(0, 0, 1024, 5e9), record(0, 0, 1024, 5e9)...))
	r.Must(err)
	if err := r.End(); core.KindOf(err) != core.KindDamaged {
		t.Errorf("Run: %v", err)
	}
}

// Some drivers stamp 0 with a trigger that is not their own.
func TestWithoutStampsTheArrivalCounts(t *testing.T) {
	r := withTrigger(t)
	stop := r.Run(r.make(Config{Device: "mma8452", Trigger: "t0", Rate: 100}))
	r.AwaitType("inventory")
	var all []byte
	for range 60 {
		all = append(all, record(0, 0, 1024, 0)...)
	}
	r.Clock.Advance(2 * time.Second)
	_, err := r.fifo.Write(all)
	r.Must(err)
	samples := r.AwaitAt(sensor.Waveform, "accel").Wave.Samples
	for i := 1; i < len(samples); i++ {
		if d := samples[i].At - samples[i-1].At; d != 10*time.Millisecond {
			t.Fatalf("sample %d comes %s after the one before", i, d)
		}
	}
	stop()
}

func TestWhatTheKernelDroppedIsTold(t *testing.T) {
	r := withTrigger(t)
	stop := r.Run(r.make(Config{Device: "mma8452", Trigger: "t0"}))
	r.AwaitType("inventory")
	_, err := r.fifo.Write(append(record(0, 0, 1024, 5e9), record(0, 0, 1024, 12e9)...))
	r.Must(err)
	if x := r.AwaitType("samples_lost"); !strings.Contains(string(x.Fields), `"missing_ms":7000`) {
		t.Errorf("fields %s", x.Fields)
	}
	stop()
}

func TestWithoutATriggerTheDeviceIsLookedAtAndTheInventorySaysWhy(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "1-001c", mma8452())
	r.openFIFO(t, "iio:device0")
	stop := r.Run(r.make(Config{Device: "iio:device0"}))
	inv := r.AwaitType("inventory")
	if !strings.Contains(string(inv.Fields), `"mode":"poll"`) || !strings.Contains(string(inv.Fields), "no trigger") || !strings.Contains(string(inv.Fields), `"rate_hz":25`) {
		t.Errorf("inventory %s", inv.Fields)
	}
	wave := r.Await("a wave", func(x sensor.Reading) bool {
		if x.Type == "buffer_lost" {
			t.Error("nobody asked for a buffer")
		}
		return x.Kind == sensor.Waveform && len(x.Wave.Samples) > 5
	}).Wave
	if s := wave.Samples[0]; wave.Full != 2 || !near(s.Y, -0.5, 0.001) || !near(s.Z, 1, 0.001) {
		t.Errorf("full %g, %+v", wave.Full, s)
	}
	stop()

	strict := newRig(t)
	strict.device("iio:device0", "1-001c", mma8452())
	strict.Run(strict.make(Config{Device: "mma8452", Mode: ModeBuffer}))
	if err := strict.End(); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("mode buffer without a trigger: %v", err)
	}
}

func TestEveryQuantityComesInItsUnit(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "spi0.0", map[string]string{
		"name":        "weather",
		"in_temp_raw": "400", "in_temp_scale": "62.5", "in_temp_offset": "-16", // (400-16)*62.5 = 24000 m°C
		"in_humidityrelative_input": "45500", "in_humidityrelative_raw": "1",
		"in_pressure_input": "101.325", "in_illuminance_input": "250",
		"in_voltage0_raw": "2048", "in_voltage_scale": "0.805664062", "in_voltage0_label": "loop_a",
		"in_voltage0-voltage1_raw": "-100", "in_voltage-voltage_scale": "0.5",
		"in_voltage3_raw": "7", "in_voltage3_scale": "2",
		"in_anglvel_z_raw": "1000", "in_anglvel_scale": "0.001065264",
		"in_current5_raw": "1500", "in_current5_scale": "1",
		"in_magn_x_raw": "5", "in_intensity_both_raw": "77",
	})
	stop := r.Run(r.make(Config{Device: "weather", Mode: ModePoll}))
	inv := r.AwaitType("inventory")
	if !strings.Contains(string(inv.Fields), `"not_read":["magn_x"]`) || !strings.Contains(string(inv.Fields), `"label":"loop_a"`) {
		t.Errorf("inventory %s", inv.Fields)
	}
	want := map[string]struct {
		value  float64
		unit   sensor.Unit
		lively bool
	}{
		"temp": {24, sensor.UnitCelsius, false}, "humidityrelative": {45.5, sensor.UnitPercent, false},
		"pressure": {101325, sensor.UnitPascal, false}, "illuminance": {250, sensor.UnitLux, false},
		"voltage0": {1.65, sensor.UnitVolt, true}, "voltage0-voltage1": {-0.05, sensor.UnitVolt, true},
		"voltage3": {0.014, sensor.UnitVolt, false}, "anglvel_z": {61.0351, sensor.UnitDegSec, false},
		"current5": {1.5, sensor.UnitAmpere, false}, "intensity_both": {77, sensor.UnitNone, false},
	}
	for len(want) > 0 {
		x := r.AwaitKind(sensor.Measure)
		w, due := want[x.Point]
		if !due {
			continue
		}
		delete(want, x.Point)
		if !near(x.Value, w.value, 1e-4) || x.Unit != w.unit || x.Lively != w.lively {
			t.Errorf("%s: %g %s lively %v, not %+v", x.Point, x.Value, x.Unit, x.Lively, w)
		}
	}
	stop()
}

func TestAChannelThatCannotBeReadIsBrokenAndTheOthersGoOn(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "spi0.0", map[string]string{"name": "adc", "in_voltage0_raw": "bad", "in_voltage1_raw": "100", "in_voltage_scale": "1"})
	r.Run(r.make(Config{Device: "adc", Channels: []string{"voltage"}}))
	if x := r.AwaitAt(sensor.Broken, "voltage0"); !strings.Contains(string(x.Fields), "no number") {
		t.Errorf("fields %s", x.Fields)
	}
	if x := r.AwaitAt(sensor.Measure, "voltage1"); !near(x.Value, 0.1, 1e-9) {
		t.Errorf("value %g", x.Value)
	}
	r.Write(filepath.Join(bus, "iio:device0", "in_voltage1_raw"), "worse")
	if err := r.End(); core.KindOf(err) != core.KindDamaged {
		t.Errorf("all of it is broken: %v", err)
	}
}

func TestWhatIsMeantMustBeClear(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "1-001c", mma8452())
	r.device("iio:device1", "1-001d", mma8452())
	for device, want := range map[string]core.Kind{"mma8452": core.KindConflict, "bma180": core.KindNotFound} {
		r.Run(r.make(Config{Device: device}))
		if err := r.End(); core.KindOf(err) != want {
			t.Errorf("%s: %v", device, err)
		}
	}
	for _, device := range []string{"1-001d", "iio:device1", "/sys/bus/iio/devices/iio:device1"} {
		stop := r.Run(r.make(Config{Device: device, Mode: ModePoll}))
		if inv := r.AwaitType("inventory"); !strings.Contains(string(inv.Fields), `"place":"1-001d"`) {
			t.Errorf("%s: %s", device, inv.Fields)
		}
		stop()
	}
	r.Run(r.make(Config{Device: "1-001c", Channels: []string{"voltage0"}}))
	if err := r.End(); core.KindOf(err) != core.KindNotFound {
		t.Errorf("a channel that it does not have: %v", err)
	}
}

func TestAConfigurationThatCannotBeMeantIsRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"no device": {}, "a relative path": {Device: "a/b"}, "a path elsewhere": {Device: "/etc/passwd"}, "an unclean path": {Device: "/sys/../etc"},
		"a mode": {Device: "a", Mode: "fast"}, "a rate": {Device: "a", Rate: 1e6}, "not a number": {Device: "a", Rate: math.NaN()},
		"too fast to look": {Device: "a", Rate: 1000, Mode: ModePoll}, "a trigger to look": {Device: "a", Trigger: "t0", Mode: ModePoll},
		"a trigger's path": {Device: "a", Trigger: "../t0"}, "a channel's path": {Device: "a", Channels: []string{"../x"}},
		"a range": {Device: "a", Range: -2}, "a silence": {Device: "a", MaxSilence: time.Millisecond},
		"slower than the silence": {Device: "a", Rate: 0.01},
	} {
		if err := c.Validate(); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(sensor.Env{Clock: clocktest.New(time.Unix(0, 0))}, c); err == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
	if err := (Config{Device: "mma8452", Trigger: "t0", Rate: 100, Range: 2}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestHostileNamesAreNoControlCharacters(t *testing.T) {
	r := newRig(t)
	files := mma8452()
	files["name"], files["label"] = "mma8452\x1b[2J", "x\x00y"
	r.device("iio:device0", "1-001c", files)
	stop := r.Run(r.make(Config{Device: "iio:device0", Mode: ModePoll}))
	inv := r.AwaitType("inventory")
	var fields struct{ Name, Label string }
	r.Must(json.Unmarshal(inv.Fields, &fields))
	if strings.ContainsAny(fields.Name+fields.Label, "\x1b\x00") {
		t.Errorf("fields %q", fields)
	}
	stop()
}

// Two chips of a kind have a trigger each, which only the number tells apart.
func TestADeviceTakesItsOwnTrigger(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "1-001c", mma8452())
	r.device("iio:device1", "1-001d", mma8452())
	r.device("trigger0", "a", map[string]string{"name": "mma8452-dev0"})
	r.device("trigger1", "b", map[string]string{"name": "mma8452-dev1"})
	r.openFIFO(t, "iio:device1")
	stop := r.Run(r.make(Config{Device: "1-001d"}))
	if inv := r.AwaitType("inventory"); !strings.Contains(string(inv.Fields), `"trigger":"mma8452-dev1"`) {
		t.Errorf("inventory %s", inv.Fields)
	}
	stop()
}

// A device that gives coarse steps may well stand still.
func TestACoarseAccelerometerMayStandStill(t *testing.T) {
	r := newRig(t)
	files := mma8452()
	files["in_accel_scale"] = "0.153228" // 8 bits of ±2 g
	r.device("iio:device0", "1-001c", files)
	stop := r.Run(r.make(Config{Device: "mma8452", Mode: ModePoll}))
	if x := r.AwaitAt(sensor.Waveform, "accel"); x.Lively {
		t.Error("it must move")
	}
	stop()
}

// However the bytes of records come, the samples are the same, and the driver
// does not panic.
func FuzzRecords(f *testing.F) {
	var seed []byte
	for i := range 5 {
		seed = append(seed, record(0, -512, 1024, int64(1e9+i*1e7))...)
	}
	f.Add(seed, uint8(7))
	f.Add(seed[:33], uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		whole, wholeErr := decoded(t, data, len(data)+1)
		parts, partsErr := decoded(t, data, int(size)+1)
		if (wholeErr == nil) != (partsErr == nil) {
			t.Fatalf("%v, %v", wholeErr, partsErr)
		}
		if wholeErr == nil && len(whole) != len(parts) {
			t.Fatalf("%d samples, %d samples", len(whole), len(parts))
		}
		for i := range min(len(whole), len(parts)) {
			if a, b := whole[i], parts[i]; a.X != b.X || a.Y != b.Y || a.Z != b.Z {
				t.Fatalf("sample %d: %+v, %+v", i, a, b)
			}
		}
	})
}

// decoded gives data to a recording in pieces.
func decoded(t *testing.T, data []byte, size int) (all []sensor.Sample, err error) {
	t.Helper()
	s := &Sensor{env: sensor.Env{Clock: clocktest.New(time.Unix(0, 0))}, cfg: Config{Device: "x"}}
	axis := func(name string) channel { return channel{name: name, quantity: quantities[0], scale: 0.01} }
	c := &capture{sensor: s, channels: map[string]channel{"accel_x": axis("accel_x"), "accel_y": axis("accel_y"), "accel_z": axis("accel_z")}, believed: true, rate: 100}
	for i, name := range []string{"accel_x", "accel_y", "accel_z", "timestamp"} {
		text := "be:s12/16>>4"
		if name == "timestamp" {
			text = "le:s64/64>>0"
		}
		kind, err := parseScanType(text)
		if err != nil {
			t.Fatal(err)
		}
		c.elements = append(c.elements, element{name: name, index: i, kind: kind})
	}
	if c.size, err = layout(c.elements); err != nil {
		t.Fatal(err)
	}
	r := &recording{capture: c, spreads: make([]spread, len(c.elements)), emit: func(x sensor.Reading) {
		if x.Wave != nil {
			all = append(all, x.Wave.Samples...)
		}
	}}
	for len(data) > 0 && err == nil {
		n := min(size, len(data))
		err = r.take(data[:n])
		data = data[n:]
	}
	r.flush()
	return all, err
}

func TestABufferThatCanNoLongerBeHadIsTold(t *testing.T) {
	r := withTrigger(t)
	stop := r.Run(r.make(Config{Device: "mma8452", Trigger: "t0"}))
	r.AwaitType("inventory")
	stop()
	r.remove("trigger0", "trig")
	stop = r.Again()
	if x := r.AwaitType("buffer_lost"); x.Severity != core.SeverityMedium || !strings.Contains(string(x.Fields), "t0") {
		t.Errorf("reading %+v", x)
	}
	r.AwaitAt(sensor.Waveform, "accel")
	stop()
}

// Beside acceleration what is slow is read once a second, and of what turns the
// extremes of each chunk are told.
func TestWhatIsSlowIsReadSlowlyBesideAcceleration(t *testing.T) {
	r := newRig(t)
	files := mma8452()
	files["in_temp_raw"], files["in_temp_scale"] = "20", "1000"
	files["in_anglvel_z_raw"], files["in_anglvel_scale"] = "100", "0.001"
	r.device("iio:device0", "1-001c", files)
	stop := r.Run(r.make(Config{Device: "mma8452", Mode: ModePoll}))
	samples, temps, turns := 0, 0, 0
	for samples < 100 {
		switch x := r.Await("a reading", func(sensor.Reading) bool { return true }); {
		case x.Kind == sensor.Waveform:
			samples += len(x.Wave.Samples)
		case x.Point == "temp":
			temps++
		case x.Point == "anglvel_z":
			turns++
		}
	}
	if temps < 2 || temps > samples/10 || turns < 2 || turns > samples/5 {
		t.Errorf("%d samples, %d temperatures, %d rates of turn", samples, temps, turns)
	}
	stop()
}

func TestADeviceThatIsReplacedElsewhereIsTampering(t *testing.T) {
	r := newRig(t)
	r.device("iio:device0", "1-001c", mma8452())
	stop := r.Run(r.make(Config{Device: "mma8452", Mode: ModePoll}))
	r.AwaitAt(sensor.Waveform, "accel")
	stop()
	r.remove("iio:device0", "1-001c")
	r.device("iio:device1", "3-001c", mma8452())
	stop = r.Again()
	if x := r.AwaitType("sensor_removed"); !strings.Contains(string(x.Fields), `"place":"1-001c"`) || !strings.Contains(string(x.Fields), "3-001c") {
		t.Errorf("fields %s", x.Fields)
	}
	r.AwaitAt(sensor.Waveform, "accel")
	stop()
}
