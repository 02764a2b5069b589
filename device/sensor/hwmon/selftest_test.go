package hwmon

import (
	"path/filepath"
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

var _ sensor.SelfTester = (*Sensor)(nil)

func TestASelfTestClaimsOnlyWhatItRead(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"fan", "temp", "in"}, Switch: new(true)})
	dir := board(r)
	for name, text := range map[string]string{"fan2_input": "0", "temp2_input": "127500", "temp3_input": "hot", "intrusion1_alarm": "1"} {
		r.write(filepath.Join(dir, name), text)
	}
	want := map[string]sensor.Result{
		"fan1: turns": sensor.Pass, "fan2: turns": sensor.Warning, "temp1: reads": sensor.Pass, "temp2: reads": sensor.Warning, "temp3: reads": sensor.Fail,
		"in1: reads": sensor.Pass, "intrusion0_alarm: opens": sensor.Untried, "intrusion1_alarm: closed": sensor.Warning,
	}
	for _, f := range r.sensor.SelfTest(t.Context()) {
		name := f.Check[len("nct6775@nct6775.656/"):]
		if w, known := want[name]; known && w != f.Result || f.Why == "" {
			t.Errorf("%+v", f)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not tested: %v", want)
	}
	none := newRig(t)
	if f := none.sensor.SelfTest(t.Context()); len(f) != 1 || f[0].Result != sensor.Untried {
		t.Errorf("a machine without a switch: %+v", f)
	}
}
