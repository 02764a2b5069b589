package web

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

// TestWhatIsNotHeardIsNotGood: how a silent device was is not how it is.
func TestWhatIsNotHeardIsNotGood(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	rows := []struct {
		state core.DeviceState
		ago   time.Duration
		want  bool
	}{
		{core.DeviceOnline, time.Second, true},
		{core.DeviceStale, time.Second, false},
		{core.DeviceOffline, time.Second, false},
		{core.DeviceQuarantined, time.Minute, true},
		{core.DeviceQuarantined, time.Hour, false},
	}
	for _, row := range rows {
		if got := heard(api.Device{State: row.state, LastSeen: now.Add(-row.ago)}, now); got != row.want {
			t.Errorf("%s, %s ago: %v", row.state, row.ago, got)
		}
	}
	b := api.Board{Devices: map[string]int{"online": 3, "offline": 1}}
	if f := sensorsFigure(b, true); f.Tone == "ok" {
		t.Errorf("a board with a silent device: %+v", f)
	}
	b.Devices = map[string]int{"online": 3}
	if f := sensorsFigure(b, true); f.Tone == "unknown" {
		t.Errorf("a board whose devices are heard: %+v", f)
	}
}
