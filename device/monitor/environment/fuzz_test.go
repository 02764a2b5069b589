package environment

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor/internal/judgetest"
	"github.com/interlock-security/interlock/device/sensor"
)

func FuzzJudge(f *testing.F) {
	judgetest.Fuzz(f, func() (*Judge, error) {
		return New(Config{Rules: []Rule{{Kind: KindAmbient, Point: "a", SafeHigh: at(60), Stale: 20 * time.Second}, {Kind: KindLight, Point: "b"}, {Kind: KindFan, Point: "c"}, {Kind: KindHumidity}}})
	}, []judgetest.Point{
		{Name: "a", Unit: sensor.UnitCelsius}, {Name: "b", Unit: sensor.UnitLux}, {Name: "c", Unit: sensor.UnitRPM}, {Name: "d", Unit: sensor.UnitPercent},
	})
}
