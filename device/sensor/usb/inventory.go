package usb

import (
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "usb", Senses: "USB devices that are plugged in, pulled out or become another; keeps unlisted ones off the bus",
	Interface: "/sys/bus/usb/devices, kernel uevents", Latency: sensor.LatencyEvent,
	Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedRecorded},
	Events: append([]sensor.EventDoc{
		{Type: "usb_attached", Severity: core.SeverityHigh, Alarm: true, Meaning: "something was plugged in; low and no alarm if it is listed, critical if a device that was known came back with an interface that types"},
		{Type: "usb_removed", Severity: core.SeverityHigh, Alarm: true, Meaning: "what was there at the start was pulled out; low and no alarm for anything else"},
		{Type: "usb_blocked", Severity: core.SeverityHigh, Alarm: true, Meaning: "a device that was there at the start isn't listed and was taken off the bus"},
		{Type: "usb_unblocked", Severity: core.SeverityCritical, Alarm: true, Meaning: "somebody let a device in past the list; it is blocked again"},
		{Type: "usb_block_failed", Severity: core.SeverityCritical, Alarm: true, Meaning: "the kernel did not take the block"},
	}, uevent.Doc...),
}

// tellInventory tells what is on the bus if it is not what was told last. A judge
// can hold the parts against a baseline; see device/monitor/component.
func (w *watch) tellInventory() {
	parts := make([]sensor.Part, 0, len(w.devices))
	list := make([]map[string]any, 0, len(w.devices))
	for _, port := range ports(w.devices) {
		d := w.devices[port]
		parts = append(parts, d.part(port))
		fields := describe(port, d)
		if w.sensor.policy != PolicyObserve {
			fields["listed"] = w.sensor.allowed(port, d)
		}
		if w.sensor.policy == PolicyLearn {
			fields["entry"] = entryOf(port, d)
		}
		list = append(list, fields)
	}
	fields := sensor.Fields(map[string]any{"kind": "usb-devices", "policy": w.sensor.policy, "devices": list})
	if string(fields) == w.told {
		return
	}
	w.told = string(fields)
	w.emit(sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo, Parts: parts, Fields: fields})
}

// part is the device as one of the machine's parts: what it says of itself, and
// the hash of everything that it describes itself as.
func (d device) part(port string) sensor.Part {
	id := identity.Of(
		"id", hexWord(d["idVendor"])+":"+hexWord(d["idProduct"]), "descriptors", d["descriptors"], "interfaces", d["interfaces"], "serial", d["serial"],
	)
	return sensor.Part{
		Class: "usb", Place: port, Identity: id,
		About: map[string]string{"maker": d["manufacturer"], "product": d["product"], "looks_like": d["looks_like"]},
	}
}

func describe(port string, d device) map[string]any {
	m := map[string]any{"port": port}
	for k, v := range d {
		m[k] = v
	}
	return m
}
