package power

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor/internal/judgetest"
	"github.com/interlock-security/interlock/device/sensor"
)

func FuzzJudge(f *testing.F) {
	judgetest.Fuzz(f, func() (*Judge, error) {
		return New(Config{Rails: []Rail{{Point: "a"}, {Point: "b", MaxCurrent: 1, Hold: time.Second}}})
	}, []judgetest.Point{
		{Name: "a", Unit: sensor.UnitVolt},
		{Name: "b", Unit: sensor.UnitAmpere},
		{Name: "AC/online"},
		{Name: "BAT0/discharging"},
		{Name: "BAT0/capacity", Unit: sensor.UnitPercent},
		{Name: "cpu/throttle_count"},
		{Name: "throttle/throttled"},
	})
}
