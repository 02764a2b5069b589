package iio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sysfs"
)

// At rest an accelerometer feels one g, whichever way it lies.
const (
	leastRest = 0.7
	mostRest  = 1.3
)

// freshFor is how long ago a recording may have given something to count as going on.
const freshFor = 5 * time.Second

// SelfTest implements [sensor.SelfTester]. It reads each channel once, or takes
// what is being recorded, and changes nothing: that a value is possible is all
// that it claims.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	d, err := s.find()
	if err != nil {
		return []sensor.Finding{sensor.Found("device", sensor.Fail, err.Error())}
	}
	all, _, err := channelsOf(d.dir)
	if err == nil {
		all, err = chosen(all, s.cfg.Channels)
	}
	if err != nil || len(all) == 0 {
		return []sensor.Finding{sensor.Found("channels", sensor.Fail, fmt.Sprintf("none can be read: %v", err))}
	}
	found, recording := s.recording()
	rest, axes := 0.0, 0
	for _, c := range all {
		if ctx.Err() != nil {
			return append(found, sensor.Found(c.name, sensor.Untried, ctx.Err().Error()))
		}
		if recording && c.axis() >= 0 {
			continue
		}
		v, finding := c.test()
		if c.axis() >= 0 && finding.Result == sensor.Pass {
			rest, axes = rest+v*v, axes+1
		}
		found = append(found, finding)
	}
	if axes == 3 {
		found = append(found, atRest(math.Sqrt(rest)))
	}
	return found
}

// recording says what a run beside records now. A device that records can't be
// asked for its acceleration.
func (s *Sensor) recording() ([]sensor.Finding, bool) {
	last := s.felt.Load()
	if last == nil || s.env.Clock.Now().Sub(last.at) > freshFor {
		return nil, false
	}
	return []sensor.Finding{sensor.Found("accel: records", sensor.Pass, ""), atRest(last.g)}, true
}

// test reads a channel once. A value at the end of the chip's scale is one that
// nothing may hang on.
func (c channel) test() (float64, sensor.Finding) {
	check := c.name + ": reads"
	raw, err := sysfs.Float(c.file)
	if errors.Is(err, unix.EBUSY) {
		return 0, sensor.Found(check, sensor.Untried, "the device is recording and can't be asked beside")
	}
	var v float64
	if err == nil {
		v, err = c.value(raw)
	}
	if err != nil {
		return 0, sensor.Found(check, sensor.Fail, err.Error())
	}
	why := fmt.Sprintf("%.4g %s", v, c.quantity.unit)
	if low, high, known := c.ends(); known && !c.processed && (raw <= low || raw >= high) {
		return v, sensor.Found(check, sensor.Warning, why+" is the end of its scale: is something connected?")
	}
	return v, sensor.Found(check, sensor.Pass, why)
}

// ends are the smallest and the largest value of a chip that tells how wide its
// samples are.
func (c channel) ends() (low, high float64, known bool) {
	text, err := sysfs.Read(filepath.Join(filepath.Dir(c.file), "scan_elements", "in_"+c.name+"_type"))
	if err != nil {
		return 0, 0, false
	}
	kind, err := parseScanType(text)
	if err != nil {
		return 0, 0, false
	}
	if kind.signed {
		low = -kind.full()
	}
	return low, kind.full() - 1, true
}

func atRest(g float64) sensor.Finding {
	why := fmt.Sprintf("%.2f g", g)
	if g < leastRest || g > mostRest {
		return sensor.Found("accel: one g at rest", sensor.Warning, why+": it moves, or its scale is wrong")
	}
	return sensor.Found("accel: one g at rest", sensor.Pass, why)
}
