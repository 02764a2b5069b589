package iio

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/sensor"
)

var _ sensor.SelfTester = (*Sensor)(nil)

func TestASelfTestClaimsOnlyWhatItRead(t *testing.T) {
	converter := map[string]string{
		"name": "adc", "in_voltage0_raw": "2048", "in_voltage1_raw": "4095", "in_voltage2_raw": "bad", "in_voltage_scale": "0.8",
		"scan_elements/in_voltage0_type": "le:u12/16>>0", "scan_elements/in_voltage1_type": "le:u12/16>>0",
	}
	thrown := mma8452()
	thrown["in_accel_z_raw"] = "20"
	for name, row := range map[string]struct {
		files map[string]string
		want  map[string]sensor.Result
	}{
		"at rest":      {mma8452(), map[string]sensor.Result{"accel_x: reads": sensor.Pass, "accel: one g at rest": sensor.Pass}},
		"not at rest":  {thrown, map[string]sensor.Result{"accel: one g at rest": sensor.Warning}},
		"a converter":  {converter, map[string]sensor.Result{"voltage0: reads": sensor.Pass, "voltage1: reads": sensor.Warning, "voltage2: reads": sensor.Fail}},
		"nothing read": {map[string]string{"name": "odd", "in_magn_x_raw": "1"}, map[string]sensor.Result{"channels": sensor.Fail}},
	} {
		r := newRig(t)
		r.device("iio:device0", "1-001c", row.files)
		t.Log(name)
		r.Findings(r.make(Config{Device: row.files["name"]}), row.want)
	}
	r := newRig(t)
	if f := r.make(Config{Device: "none"}).SelfTest(t.Context()); len(f) != 1 || f[0].Result != sensor.Fail || !strings.Contains(f[0].Why, "none") {
		t.Errorf("a device that is not there: %+v", f)
	}
}

func TestADeviceThatRecordsIsNotAskedBeside(t *testing.T) {
	r := withTrigger(t)
	stop := r.Run(r.make(Config{Device: "mma8452", Trigger: "t0", Rate: 100}))
	r.AwaitType("inventory")
	var all []byte
	for i := range 60 { // one chunk, and the beginning of the next
		all = append(all, record(0, -512, 1024, int64(1e9+i*1e7))...)
	}
	_, err := r.fifo.Write(all)
	r.Must(err)
	r.AwaitAt(sensor.Waveform, "accel")
	if f := r.sensor.SelfTest(t.Context()); len(f) != 2 || f[0].Check != "accel: records" || f[0].Result != sensor.Pass || f[1].Result != sensor.Pass {
		t.Errorf("%+v", f)
	}
	r.Clock.Advance(time.Minute)
	if f := r.sensor.SelfTest(t.Context()); len(f) == 0 || f[0].Check == "accel: records" {
		t.Errorf("a minute after the last sample: %+v", f)
	}
	stop()
}
