package power

import (
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

var _ sensor.SelfTester = (*Sensor)(nil)

func TestASelfTestClaimsOnlyWhatItRead(t *testing.T) {
	files := laptop()
	files["sys/none/in1_input"], files["sys/class/power_supply/BAT0/capacity"], files[throttleFile] = "12", "plenty", "1"
	r := newRig(t, Config{Rails: []Rail{{Name: "5v", Path: "/sys/none/in1_input"}, {Name: "12v", Path: "/sys/none/in2_input"}}}, files)
	r.Findings(r.sensor, map[string]sensor.Result{
		"AC/online: reads": sensor.Pass, "BAT0/capacity: reads": sensor.Fail, "5v: has a voltage": sensor.Warning, "12v: reads": sensor.Fail,
		"throttle/undervoltage": sensor.Warning,
	})
	if f := newRig(t, Config{}, nil).sensor.SelfTest(t.Context()); len(f) != 1 || f[0].Result != sensor.Untried {
		t.Errorf("a machine that tells nothing: %+v", f)
	}
}
