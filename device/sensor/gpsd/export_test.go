package gpsd

import (
	"bytes"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
)

// Replay takes lines as one connection does.
func Replay(now time.Time, text []byte) (said []sensor.Reading) {
	w := &watch{sensor: &Sensor{clock: clocktest.New(now)}, emit: func(r sensor.Reading) { said = append(said, r) }}
	for line := range bytes.Lines(text) {
		if w.take(line) != nil {
			return said
		}
	}
	return said
}
