// Package usb is the driver that notices a USB device being plugged in or
// pulled out. It listens to the kernel's own uevents and looks the device up in
// sysfs; what was there when the agent started is the inventory that later
// devices are compared with.
//
// A device that appears is an alarm that latches: the stick may be gone before
// anyone looks. So is a device of the inventory that disappears. Strings that a
// device says of itself are data and are made harmless on the way in.
package usb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	rescanEvery = 10 * time.Second
	maxSilence  = 60 * time.Second
)

// Sensor watches the USB buses; see [New].
type Sensor struct {
	id    core.SensorID
	clock core.Clock
	sysfs string
	open  func() (source, error)
	// known and baseline outlive a run: a device that comes while the driver is
	// being restarted is no part of the inventory.
	known, baseline map[string]device
}

// New returns a driver that reads sysfs at /sys.
func New(id core.SensorID, clock core.Clock) *Sensor {
	return &Sensor{id: id, clock: clock, sysfs: "/sys", open: openSocket}
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "usb", Needs: []sensor.Need{sensor.NeedUevent, sensor.NeedSysfs},
		Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Latches: true,
	}
}

// Probe implements [sensor.Sensor]. A kernel without USB is skipped, with the
// reason, and not taken for a bus that stays empty.
func (s *Sensor) Probe() sensor.Presence {
	if _, err := scan(s.sysfs); err != nil {
		return sensor.Skipped(fmt.Sprintf("this kernel shows no USB at %s", filepath.Join(s.sysfs, "bus/usb/devices")))
	}
	src, err := s.open()
	if err != nil {
		return sensor.Skipped(fmt.Sprintf("no uevents here: %v", err))
	}
	_ = src.Close()
	return sensor.Present()
}

// Run implements [sensor.Sensor]. The socket is open before the first look, so
// that nothing falls between the two.
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	src, err := s.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { _ = src.Close() }()
	w := &watch{sysfs: s.sysfs, emit: emit, devices: s.known, baseline: s.baseline}
	if err := w.start(); err != nil {
		return err
	}
	s.known, s.baseline = w.devices, w.baseline
	messages := make(chan message, 64)
	go receive(ctx, src, messages)
	return w.follow(ctx, s.clock, messages)
}

// message is a uevent, or what kept one from being read.
type message struct {
	event uevent
	err   error
}

func receive(ctx context.Context, src source, out chan<- message) {
	buf := make([]byte, maxMessage+1)
	for {
		var m message
		n, err := src.Recv(ctx, buf)
		if err == nil {
			m.event, err = parse(buf[:n])
		}
		m.err = err
		select {
		case out <- m:
		case <-ctx.Done():
			return
		}
		if core.KindOf(err) == core.KindUnavailable {
			return
		}
	}
}

// watch is the state of one run.
type watch struct {
	sysfs    string
	emit     func(sensor.Reading)
	devices  map[string]device
	baseline map[string]device
}

func (w *watch) start() error {
	found, err := scan(w.sysfs)
	if err != nil {
		return err
	}
	if w.baseline == nil {
		w.devices, w.baseline = found, maps.Clone(found)
	}
	list := make([]map[string]any, 0, len(found))
	for _, port := range ports(found) {
		list = append(list, describe(port, found[port]))
	}
	w.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "usb-devices", "devices": list}),
	})
	return w.rescan("")
}

func (w *watch) follow(ctx context.Context, clock core.Clock, messages <-chan message) error {
	look := clock.After(rescanEvery)
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case m := <-messages:
			err = w.take(ctx, m)
		case <-look:
			look = clock.After(rescanEvery)
			err = w.rescan("")
		}
		if err != nil {
			return err
		}
	}
}

// take handles one message. A message that makes no sense is itself reported:
// on this socket only the kernel speaks.
func (w *watch) take(ctx context.Context, m message) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(m.err, errOverrun):
		return w.rescan("uevents_lost")
	case core.KindOf(m.err) == core.KindUnavailable:
		return m.err
	case m.err != nil:
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "uevent", Type: "uevent_refused", Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]string{"why": sensor.Text(m.err.Error())}),
		})
		return nil
	case m.event.isUSBDevice():
		w.change(m.event)
	}
	return nil
}

func (w *watch) change(u uevent) {
	port := u.port()
	if !isPort(port) {
		return // a root hub
	}
	switch u.action {
	case "add":
		d := read(filepath.Join(w.sysfs, u.path))
		if product := u.vars["PRODUCT"]; product != "" {
			d["uevent_product"] = sensor.Text(product)
		}
		w.attached(port, d)
	case "remove":
		w.removed(port)
	}
}

// rescan compares the bus with what is known. why names the event that says
// that messages were lost, "" for a look by the clock.
func (w *watch) rescan(why string) error {
	found, err := scan(w.sysfs)
	if err != nil {
		return err
	}
	if why != "" {
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "uevent", Type: why, Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]any{"devices": len(found), "action": "full re-scan"}),
		})
	}
	for _, port := range ports(w.devices) {
		if _, here := found[port]; !here {
			w.removed(port)
		}
	}
	for _, port := range ports(found) {
		if was, known := w.devices[port]; !known || !was.same(found[port]) {
			w.attached(port, found[port])
		}
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// attached reports a device. One that is in the inventory and comes back with
// the same strings still alarms: anyone can copy strings.
func (w *watch) attached(port string, d device) {
	if was, known := w.devices[port]; known && was.same(d) {
		return // the look by the clock saw it before its message came
	}
	w.devices[port] = d
	fields := describe(port, d)
	if was, ours := w.baseline[port]; ours {
		fields["like_inventory"] = was.same(d)
	}
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: port, Type: "usb_attached", Alarm: true,
		Severity: core.SeverityHigh, Fields: sensor.Fields(fields),
	})
}

// removed reports that a device is gone; a device of the inventory is missed.
func (w *watch) removed(port string) {
	d, known := w.devices[port]
	if !known {
		return
	}
	delete(w.devices, port)
	_, ours := w.baseline[port]
	sev := core.SeverityLow
	if ours {
		sev = core.SeverityHigh
	}
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: port, Type: "usb_removed", Alarm: ours,
		Severity: sev, Fields: sensor.Fields(describe(port, d)),
	})
}

func describe(port string, d device) map[string]any {
	m := map[string]any{"port": port}
	for k, v := range d {
		m[k] = v
	}
	return m
}
