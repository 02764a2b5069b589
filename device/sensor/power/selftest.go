package power

import (
	"context"
	"fmt"

	"github.com/interlock-security/interlock/device/sensor"
)

// SelfTest implements [sensor.SelfTester]. It reads everything once and changes
// nothing; that a supply fails over only pulling its plug proves.
func (s *Sensor) SelfTest(context.Context) []sensor.Finding {
	look := Sensor{env: s.env, cfg: s.cfg} // what a run remembers is the run's
	all := look.read()
	if len(all) == 0 {
		return []sensor.Finding{sensor.Found("supplies", sensor.Untried, "this machine tells nothing of its power")}
	}
	found := make([]sensor.Finding, 0, len(all))
	for _, n := range all {
		switch why := fmt.Sprintf("%.4g %s", n.value, n.unit); {
		case n.err != nil:
			found = append(found, sensor.Found(n.point+": reads", sensor.Fail, n.err.Error()))
		case n.unit == sensor.UnitVolt && n.value < 0.5:
			found = append(found, sensor.Found(n.point+": has a voltage", sensor.Warning, why+": is it connected?"))
		case n.point == "throttle/undervoltage" && n.value != 0:
			found = append(found, sensor.Found(n.point, sensor.Warning, "the board says that its supply is too weak"))
		default:
			found = append(found, sensor.Found(n.point+": reads", sensor.Pass, why))
		}
	}
	return found
}
