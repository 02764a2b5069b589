package usb

import (
	"context"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// SelfTest implements [sensor.SelfTester]: whether the kernel tells of its
// devices, and, where the list is enforced, whether each controller is closed and
// obeys.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	_, controllers, err := s.scan()
	if err != nil {
		return []sensor.Finding{sensor.Found("bus", sensor.Fail, err.Error())}
	}
	all := []sensor.Finding{uevent.SelfTest(ctx, s.env, s.open)}
	if len(controllers) == 0 {
		all = append(all, sensor.Found("bus", sensor.Warning, "no USB controller is there, so nothing can be plugged in"))
	}
	for _, name := range controllers {
		all = append(all, s.testController(name))
	}
	return all
}

// testController writes what a closed controller says already.
func (s *Sensor) testController(name string) sensor.Finding {
	check := name + ": closed to what isn't listed"
	if s.policy != PolicyEnforce {
		return sensor.Found(check, sensor.Untried, "the list is not enforced (policy "+string(s.policy)+")")
	}
	now, err := s.attribute(name, "authorized_default")
	switch {
	case err != nil:
		return sensor.Found(check, sensor.Fail, err.Error())
	case now != "0":
		return sensor.Found(check, sensor.Fail, "authorized_default is "+now+": it lets in what is plugged in")
	}
	if err := s.setAttribute(name, "authorized_default", "0"); err != nil {
		return sensor.Found(check, sensor.Fail, "it can't be closed anew: "+err.Error())
	}
	return sensor.Found(check, sensor.Pass, "")
}
