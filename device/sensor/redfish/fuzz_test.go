package redfish

import (
	"encoding/json"
	"testing"

	"github.com/interlock-security/interlock/device/sensor"
)

func FuzzChassis(f *testing.F) {
	f.Add([]byte(`{"Id":"1U","PhysicalSecurity":{"IntrusionSensor":"Normal"},"Thermal":{"@odata.id":"/redfish/v1/x"}}`))
	f.Add([]byte(`{"PhysicalSecurity":{"IntrusionSensor":"HardwareIntrusion"},"Temperatures":[{"Name":"a","ReadingCelsius":1e308}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var c chassis
		if json.Unmarshal(body, &c) == nil {
			c.path = service + "/Chassis/1U"
			r := c.reading()
			if r.Kind == sensor.Level && !r.Active && *c.Security.Sensor != "Normal" {
				t.Errorf("%s reads as calm", body)
			}
			if c.Thermal != nil && inService(c.Thermal.ID) && len(c.Thermal.ID) > sensor.MaxText {
				t.Errorf("%q", c.Thermal.ID)
			}
			inventory([]chassis{c})
		}
		var th thermal
		if json.Unmarshal(body, &th) == nil {
			th.readings("1U")
		}
	})
}
