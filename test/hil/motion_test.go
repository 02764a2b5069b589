package hil

import (
	"context"
	"fmt"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/hil/control"
)

// handled tilts the machine by 30 degrees for a while, and then drills at it.
// What the accelerometer says goes through the kernel's buffer, which a timer
// fills.
func (l *loop) handled(ctx context.Context) (string, error) {
	var list []core.Event
	err := inTurn(
		func() error { return l.felt(ctx, map[string]float64{"imu.x": 0.5, "imu.z": 0.866}) },
		func() error { _, err := l.awaitOf(ctx, "imu", "motion_detected", "orientation_changed"); return err },
		func() error { return l.felt(ctx, map[string]float64{"imu.x": 0, "imu.z": 1}) },
		func() error { return l.quiet(ctx, "imu") },
		func() error { return l.m.do(ctx, "world.shake", control.Shake{Hz: 18, G: 0.25}, nil) },
		func() (err error) { list, err = l.awaitClass(ctx, "drill"); return err },
		func() error { return l.m.do(ctx, "world.shake", control.Shake{}, nil) },
	)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("motion_detected and orientation_changed by 30°; event %d: %s", list[0].Sequence, whyOf(list[0])), nil
}

// whyOf is what an event says of its reason.
func whyOf(e core.Event) string {
	var f struct {
		Why string `json:"why"`
	}
	_ = decode(string(e.Fields), &f) // one that has none says nothing
	return f.Why
}

// awaitOf waits until a sensor has told of these types, whatever else it told.
func (l *loop) awaitOf(ctx context.Context, sensor string, types ...string) ([]core.Event, error) {
	var found []core.Event
	err := await(ctx, func() error {
		list, err := l.ofSensor(ctx, sensor)
		if err != nil {
			return err
		}
		found = found[:0]
		for _, kind := range types {
			n := len(found)
			for _, e := range list {
				if e.Type == kind {
					found = append(found, e)
					break
				}
			}
			if len(found) == n {
				return fmt.Errorf("%s told of %v, not of %s", sensor, typesOf(list), kind)
			}
		}
		return nil
	})
	return found, err
}

// awaitClass waits until the accelerometer's motion is taken for something.
func (l *loop) awaitClass(ctx context.Context, class string) ([]core.Event, error) {
	var found []core.Event
	err := await(ctx, func() error {
		list, err := l.ofSensor(ctx, "imu")
		if err != nil {
			return err
		}
		for _, e := range list {
			var f struct {
				Class string `json:"class"`
			}
			if decode(string(e.Fields), &f) == nil && f.Class == class {
				found = []core.Event{e}
				return nil
			}
		}
		return fmt.Errorf("no motion was taken for %s: %v", class, typesOf(list))
	})
	return found, err
}

// rails: the mainboard's own measures, judged by limits.
func (l *loop) rails(ctx context.Context) (string, error) {
	bad := []string{"voltage_sag", "fan_stopped", "temperature_critical"}
	err := inTurn(
		func() error {
			return l.felt(ctx, map[string]float64{"board.5v": 4.5, "board.fan": 0, "board.temp": 88})
		},
		func() error { _, err := l.awaitOf(ctx, "rails", bad...); return err },
		func() error {
			return l.felt(ctx, map[string]float64{"board.5v": 5.6, "board.fan": 3000, "board.temp": 35})
		},
		func() error { _, err := l.awaitOf(ctx, "rails", "voltage_tamper"); return err },
		func() error { return l.world(ctx, "board.5v", 5) },
	)
	if err != nil {
		return "", err
	}
	return "4.5 V, no turn, 88 °C: " + strings.Join(bad, ", ") + "; then 5.6 V: voltage_tamper", l.quiet(ctx, "rails")
}

// controller: somebody opens a case that only the management controller feels.
func (l *loop) controller(ctx context.Context) (string, error) {
	if err := l.bmc.open(true); err != nil {
		return "", err
	}
	list, err := l.awaitOf(ctx, "bmc", "case_intrusion")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("event %d, %s, by /dev/ipmi0 from ipmi_sim", list[0].Sequence, list[0].Severity), nil
}

// bmcAndBoards is how many switches the case has.
const bmcAndBoards = 3

// enclosure: two mainboards and the controller are one case, which was opened
// once and confirmed by the others.
func (l *loop) enclosure(ctx context.Context) (string, error) {
	list, err := l.s.events(ctx)
	if err != nil {
		return "", err
	}
	count := map[string]int{}
	for _, e := range list {
		if sensorOf(e) == "enclosure" {
			count[e.Type]++
		}
	}
	if count["case_intrusion"] != 1 || count["case_confirmed"] != bmcAndBoards-1 {
		return "", fmt.Errorf("it told of %v", count)
	}
	return fmt.Sprintf("case_intrusion once, confirmed %d times", count["case_confirmed"]), nil
}
