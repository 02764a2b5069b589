package monitor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// BenchmarkRead is what a reading costs on a device with twelve sensors of eight
// points each, with the look for the next deadline that follows it.
func BenchmarkRead(b *testing.B) {
	var specs []monitor.Spec
	for i := range 12 {
		specs = append(specs, spec(fmt.Sprint("s", i), nil))
	}
	c := monitor.NewCore(monitor.Rules{}, specs...)
	for i := range specs {
		c.Started(epoch, specs[i].ID)
		for p := range 8 {
			c.Read(epoch, specs[i].ID, sensor.Reading{Kind: sensor.Measure, Point: fmt.Sprint("in", p), Unit: sensor.UnitVolt, Lively: true})
		}
	}
	points := []string{"in0", "in1", "in2", "in3", "in4", "in5", "in6", "in7"}
	now := epoch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(10 * time.Millisecond)
		c.Read(now, specs[i%12].ID, sensor.Reading{Kind: sensor.Measure, Point: points[i/12%8], Value: float64(i), Unit: sensor.UnitVolt, Lively: true})
		c.Next()
	}
}
