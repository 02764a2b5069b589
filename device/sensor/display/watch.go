package display

import (
	"maps"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/inventory"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	teller inventory.Teller
}

func (w *watch) change(u uevent.Event) error {
	if u.Vars["SUBSYSTEM"] != "drm" {
		return nil
	}
	return uevent.ErrLook
}

// look says of each connector whether it is as it should be. why names what was
// lost.
func (w *watch) look(why string) error {
	found, err := w.sensor.scan()
	if err != nil {
		return err
	}
	if why != "" {
		w.emit(sensor.Reading{Kind: sensor.Pulse, Point: "uevent", Type: why, Severity: core.SeverityMedium, Fields: sensor.Fields(map[string]any{"action": "full re-scan"})})
	}
	for _, name := range names(w.sensor.known) {
		if _, here := found[name]; !here {
			w.broken(name, "the connector is gone: its card was taken out, or its driver unloaded")
		}
	}
	for _, name := range names(found) {
		w.connector(name, found[name], w.sensor.known[name])
		w.remember(name, found[name])
	}
	w.inventory(found)
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// remember keeps the last screen of a connector: an empty one in between does not
// make the next one the same.
func (w *watch) remember(name string, now screen) {
	if now.edid == "" {
		now.edid = w.sensor.known[name].edid
	}
	w.sensor.known[name] = now
}

func (w *watch) connector(name string, now, was screen) {
	if now.status != "connected" && now.status != "disconnected" {
		w.broken(name, "the kernel can't tell whether a screen is there: "+now.status)
		return
	}
	fields := sensor.Fields(map[string]string{"interface": "display", "connector": name, "status": now.status, "edid": now.edid})
	level := sensor.Reading{
		Kind: sensor.Level, Point: name, Type: typeAttached, Clear: typeRemoved, Active: now.status == "connected",
		Alarm: true, Severity: core.SeverityMedium, Fields: fields,
	}
	if w.sensor.belongs(name) {
		level.Type, level.Clear, level.Active = typeRemoved, typeAttached, !level.Active
	}
	w.emit(level)
	if now.edid != "" && was.edid != "" && now.edid != was.edid {
		w.emit(sensor.Reading{Kind: sensor.Pulse, Point: name + " screen", Type: typeSwapped, Alarm: true, Severity: core.SeverityMedium, Fields: fields})
	}
}

// belongs says whether a screen belongs into a connector.
func (s *Sensor) belongs(name string) bool {
	_, connector, _ := strings.Cut(name, "-")
	return slices.Contains(s.connected, connector)
}

func (w *watch) broken(name, why string) {
	w.emit(sensor.Reading{Kind: sensor.Broken, Point: name, Severity: core.SeverityHigh, Fields: sensor.Fields(map[string]string{"why": sensor.Text(why)})})
}

// inventory tells the connectors: a screen is a part.
func (w *watch) inventory(found map[string]screen) {
	parts, status := []sensor.Part{}, map[string]string{}
	for _, name := range names(found) {
		status[name] = found[name].status
		if found[name].status == "connected" {
			parts = append(parts, sensor.Part{Class: "screen", Place: name, Identity: "edid=" + found[name].edid})
		}
	}
	w.teller.Tell(w.emit, parts, map[string]any{"kind": "connectors", "count": len(parts), "connectors": status})
}

func names(m map[string]screen) []string { return slices.Sorted(maps.Keys(m)) }
