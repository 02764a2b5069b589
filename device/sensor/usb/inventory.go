package usb

import (
	"strconv"

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

// tellInventory tells what is on the bus. A judge can hold it against a baseline;
// see device/monitor/component.
func (w *watch) tellInventory() {
	parts := []sensor.Part{}
	for _, port := range ports(w.devices) {
		d := w.devices[port]
		p := d.part(port)
		if w.sensor.policy != PolicyObserve {
			p.About["listed"] = strconv.FormatBool(w.sensor.allowed(port, d))
		}
		if w.sensor.policy == PolicyLearn {
			p.About["entry"] = entryOf(port, d)
		}
		parts = append(parts, p)
	}
	w.teller.Tell(w.emit, parts, map[string]any{"kind": "usb-devices", "policy": w.sensor.policy, "count": len(parts)})
}

// part is the device as one of the machine's parts: what it says of itself, and
// the hash of everything that it describes itself as.
func (d device) part(port string) sensor.Part {
	id := identity.Of(
		"id", hexWord(d["idVendor"])+":"+hexWord(d["idProduct"]), "descriptors", d["descriptors"], "interfaces", d["interfaces"], "serial", d["serial"],
	)
	p := sensor.Part{Class: "usb", Place: port, Identity: id, About: map[string]string{}}
	for _, k := range []string{"manufacturer", "product", "looks_like", "authorized", "malformed"} {
		if d[k] != "" {
			p.About[k] = d[k]
		}
	}
	return p
}

func describe(port string, d device) map[string]any {
	m := map[string]any{"port": port}
	for k, v := range d {
		m[k] = v
	}
	return m
}
