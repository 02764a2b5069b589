package web

import (
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

// What nobody has heard is neither well nor in alarm.
func TestSensorsOfTheBoard(t *testing.T) {
	alarm, unknown := api.Sensor{ID: "case", State: core.SensorAlarm}, api.Sensor{ID: "usb", State: core.SensorUnknown}
	online := map[string]int{"online": 1}
	for _, row := range []struct {
		name  string
		board api.Board
		known bool
		tone  string
	}{
		{"all well", api.Board{Devices: online}, true, "ok"},
		{"none enrolled", api.Board{}, true, "unknown"},
		{"database away", api.Board{Devices: online}, false, "unknown"},
		{"one not heard", api.Board{Devices: online, SensorsNotOK: 1, Sensors: []api.Sensor{unknown}}, true, "warn"},
		{"one in alarm", api.Board{Devices: online, SensorsNotOK: 2, Sensors: []api.Sensor{alarm, unknown}}, true, "bad"},
		{"more than are named", api.Board{Devices: online, SensorsNotOK: 2, Sensors: []api.Sensor{unknown}}, true, "bad"},
	} {
		if f := sensorsFigure(row.board, row.known); f.Tone != row.tone {
			t.Errorf("%s: %+v, want tone %s", row.name, f, row.tone)
		}
	}
}
