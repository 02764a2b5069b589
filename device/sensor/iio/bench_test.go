package iio

import (
	"os"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// BenchmarkLook is one look at three axes, in files as small as sysfs's. 25 of
// them a second are what a device without a buffer costs.
func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	for name, text := range mma8452() {
		if name == "in_accel_x_raw" || name == "in_accel_y_raw" || name == "in_accel_z_raw" || name == "in_accel_scale" {
			if err := os.WriteFile(dir+"/"+name, []byte(text+"\n"), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	list, _, err := channelsOf(dir)
	if err != nil || len(list) != 3 {
		b.Fatal(list, err)
	}
	clock := clocktest.New(time.Unix(0, 0))
	l := newLooking(&Sensor{env: sensor.Env{Clock: clock}}, list, func(sensor.Reading) {})
	for b.Loop() {
		if err := l.once(clock.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
