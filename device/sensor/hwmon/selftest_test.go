package hwmon

import (
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

var _ sensor.SelfTester = (*Sensor)(nil)

func TestASelfTestClaimsOnlyWhatItRead(t *testing.T) {
	r := newRigWith(t, Config{Measures: []string{"fan", "temp", "in"}, Switch: new(true)})
	r.WriteAll(board(r), map[string]string{"fan2_input": "0", "temp2_input": "127500", "temp3_input": "hot", "intrusion1_alarm": "1"})
	const chip = "nct6775@nct6775.656/"
	for _, f := range r.Findings(r.sensor, map[string]sensor.Result{
		chip + "fan1: turns": sensor.Pass, chip + "fan2: turns": sensor.Warning,
		chip + "temp1: reads": sensor.Pass, chip + "temp2: reads": sensor.Warning, chip + "temp3: reads": sensor.Fail,
		chip + "in1: reads": sensor.Pass, chip + "intrusion0_alarm: opens": sensor.Untried, chip + "intrusion1_alarm: closed": sensor.Warning,
	}) {
		if f.Why == "" {
			t.Errorf("%+v", f)
		}
	}
	none := newRig(t)
	if f := none.sensor.SelfTest(t.Context()); len(f) != 1 || f[0].Result != sensor.Untried {
		t.Errorf("a machine without a switch: %+v", f)
	}
}
