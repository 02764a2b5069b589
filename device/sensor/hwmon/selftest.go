package hwmon

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// SelfTest implements [sensor.SelfTester]. It reads each input once and changes
// nothing. That a switch would notice an opened case only a person can prove.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	inputs, err := s.scan()
	if err != nil {
		return []sensor.Finding{sensor.Found("chips", sensor.Fail, err.Error())}
	}
	if len(inputs) == 0 {
		return []sensor.Finding{sensor.Found("chips", sensor.Untried, "no chip with "+s.wanted())}
	}
	var found []sensor.Finding
	for _, point := range slices.Sorted(maps.Keys(inputs)) {
		if ctx.Err() != nil {
			return append(found, sensor.Found(point, sensor.Untried, ctx.Err().Error()))
		}
		found = append(found, inputs[point].test())
	}
	return found
}

func (in input) test() sensor.Finding {
	text, err := sysfs.Read(filepath.Join(in.dir, in.attribute))
	check := in.point() + ": reads"
	if err != nil {
		return sensor.Found(check, sensor.Fail, err.Error())
	}
	if in.quantity == nil {
		return testSwitch(in.point(), text)
	}
	v, err := sysfs.Number(text)
	if err != nil {
		return sensor.Found(check, sensor.Fail, err.Error())
	}
	if in.faulty() {
		return sensor.Found(check, sensor.Fail, "the chip says that its probe is broken")
	}
	v *= in.quantity.factor
	switch why := fmt.Sprintf("%.4g %s", v, in.quantity.unit); {
	case in.quantity.unit == sensor.UnitRPM && v == 0:
		return sensor.Found(in.point()+": turns", sensor.Warning, "it stands still, or no fan is connected")
	case in.quantity.unit == sensor.UnitRPM:
		return sensor.Found(in.point()+": turns", sensor.Pass, why)
	case in.quantity.unit == sensor.UnitCelsius && (v <= -55 || v >= 125):
		return sensor.Found(check, sensor.Warning, why+" is the end of its scale: is a probe connected?")
	default:
		return sensor.Found(check, sensor.Pass, why)
	}
}

func testSwitch(point, text string) sensor.Finding {
	switch text {
	case "0":
		return sensor.Found(point+": opens", sensor.Untried, "it reads closed; only opening the case proves that it opens")
	case "1":
		return sensor.Found(point+": closed", sensor.Warning, "it reads open: the case is, or the board has no switch at its header")
	}
	return sensor.Found(point+": reads", sensor.Fail, fmt.Sprintf("%.20q is neither 0 nor 1", text))
}
