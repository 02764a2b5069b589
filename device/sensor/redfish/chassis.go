package redfish

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// link is a reference to another resource.
type link struct {
	ID string `json:"@odata.id"`
}

type collection struct {
	Members []link `json:"Members"`
}

// chassis is a Chassis resource, as far as it is used here. What the controller
// may leave out or set to null is a pointer: nothing is not the same as false.
type chassis struct {
	ID           string    `json:"Id"`
	Name         string    `json:"Name"`
	Manufacturer string    `json:"Manufacturer"`
	Model        string    `json:"Model"`
	Serial       string    `json:"SerialNumber"`
	Security     *security `json:"PhysicalSecurity"`
	Thermal      *link     `json:"Thermal"`
	path         string
}

type security struct {
	Sensor *string `json:"IntrusionSensor"`
	ReArm  string  `json:"IntrusionSensorReArm"`
}

// point is the chassis's place in the controller, which it does not choose anew
// with each answer.
func (c chassis) point() string { return sensor.Text(path.Base(c.path)) }

// reading is what the switch says. The standard has three words; anything else
// is not known, and not calm.
func (c chassis) reading() sensor.Reading {
	if c.Security == nil || c.Security.Sensor == nil {
		return broken(c.point(), "the controller tells nothing of the chassis's switch")
	}
	r := sensor.Reading{
		Kind: sensor.Level, Point: c.point(), Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical, Alarm: true, Settled: true,
	}
	word := *c.Security.Sensor
	switch word {
	case "Normal":
	case "HardwareIntrusion", "TamperingDetected":
		r.Active = true
	default:
		return broken(c.point(), fmt.Sprintf("the controller calls the switch %q, which means nothing", sensor.Text(word)))
	}
	r.Fields = sensor.Fields(map[string]any{
		"chassis": c.point(), "name": sensor.Text(c.Name), "reads": word, "rearm": sensor.Text(c.Security.ReArm), "tampering": word == "TamperingDetected",
	})
	return r
}

func inventory(all []chassis) sensor.Reading {
	list, parts := []map[string]any{}, []sensor.Part{}
	for _, c := range all {
		list = append(list, map[string]any{"chassis": c.point(), "name": sensor.Text(c.Name), "switch": c.Security != nil})
		parts = append(parts, sensor.Part{
			Class: "chassis", Place: c.point(), Identity: sensor.Text(strings.Join([]string{c.Manufacturer, c.Model, c.Serial}, " ")),
			About: map[string]string{"name": sensor.Text(c.Name)},
		})
	}
	return sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo, Parts: parts,
		Fields: sensor.Fields(map[string]any{"kind": "redfish-chassis", "chassis": list}),
	}
}

// thermal is a Thermal resource.
type thermal struct {
	Temperatures []struct {
		Name    string   `json:"Name"`
		Celsius *float64 `json:"ReadingCelsius"`
		Status  status   `json:"Status"`
	} `json:"Temperatures"`
	Fans []struct {
		Name    string   `json:"Name"`
		Reading *float64 `json:"Reading"`
		Units   string   `json:"ReadingUnits"`
		Status  status   `json:"Status"`
	} `json:"Fans"`
}

type status struct {
	State string `json:"State"`
}

func (s status) absent() bool { return s.State == "Absent" || s.State == "Disabled" }

// maxMeasures bounds how many numbers one controller gives: there is room beside
// them for its switches.
const maxMeasures = 40

// measures reports temperatures and fans. A controller that can't tell them is
// no reason to stop looking at its switches.
func (w *watch) measures(ctx context.Context, all []chassis) {
	left := maxMeasures
	for _, c := range all {
		if c.Thermal == nil || !inService(c.Thermal.ID) {
			continue
		}
		point := c.point() + "/thermal"
		var t thermal
		if err := w.client.get(ctx, c.Thermal.ID, &t); err != nil {
			w.emit(broken(point, sensor.Text(err.Error())))
			continue
		}
		readings := t.readings(c.point())
		for _, r := range readings[:min(left, len(readings))] {
			w.emit(r)
		}
		left -= min(left, len(readings))
		w.emit(sensor.Reading{Kind: sensor.Measure, Point: point, Value: float64(len(readings)), Unit: sensor.UnitNone})
	}
}

func (t thermal) readings(chassis string) []sensor.Reading {
	var all []sensor.Reading
	add := func(name string, value *float64, unit sensor.Unit, s status) {
		point := sensor.Text(chassis + "/" + name)
		switch {
		case s.absent() || name == "":
		case value == nil:
			all = append(all, broken(point, "the controller gives no value"))
		default:
			all = append(all, sensor.Reading{Kind: sensor.Measure, Point: point, Value: *value, Unit: unit})
		}
	}
	for _, v := range t.Temperatures {
		add(v.Name, v.Celsius, sensor.UnitCelsius, v.Status)
	}
	for _, v := range t.Fans {
		unit := sensor.UnitRPM
		if v.Units == "Percent" {
			unit = sensor.UnitPercent
		}
		add(v.Name, v.Reading, unit, v.Status)
	}
	return all
}
