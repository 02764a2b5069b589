// Package usb is the driver that notices a USB device being plugged in or
// pulled out, and that lets only listed devices onto the bus where the site asks
// for that. It listens to the kernel's own uevents and looks the device up in
// sysfs; what was there when the agent started is the inventory that later
// devices are compared with.
//
// A device that appears is an alarm that latches: the stick may be gone before
// anyone looks. So is a device of the inventory that disappears. Strings that a
// device says of itself are data and are made harmless on the way in.
//
// With [PolicyEnforce] the kernel is told to use nothing that is plugged in
// (authorized_default=0), and the driver authorises what the list has, by the
// hash of its descriptors or by what it may be, never by its name alone. Nothing
// that a server says reaches the list: it is configuration.
package usb

import (
	"context"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/inventory"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const (
	rescanEvery = 10 * time.Second
	maxSilence  = 60 * time.Second
)

// settle is how long the bus must be quiet before its list is told again.
const settle = time.Second

// Sensor watches the USB buses; see [New].
type Sensor struct {
	env    sensor.Env
	sysfs  string
	open   func() (uevent.Source, error)
	policy Policy
	allow  []Rule
	// known, baseline and last outlive a run: a device that comes while the driver
	// is being restarted is no part of the inventory. last is what was seen at each
	// port, also where nothing is now.
	known, baseline, last map[string]device
}

// New returns a driver that reads the environment's sysfs. With a zero Config it
// leaves every device alone.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &Sensor{
		env: env, sysfs: env.Path("sys"), open: uevent.Open,
		policy: PolicyObserve, allow: slices.Clone(c.Allow), last: map[string]device{},
	}
	if c.Policy != "" {
		s.policy = c.Policy
	}
	return s, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	caps := sensor.Capabilities{
		Kind: "usb", Needs: []sensor.Need{sensor.NeedUevent, sensor.NeedSysfs},
		Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Latches: true,
	}
	if s.policy == PolicyEnforce {
		caps.Needs = append(caps.Needs, sensor.NeedRoot)
	}
	return caps
}

// Probe implements [sensor.Sensor]. A kernel without USB is skipped, with the
// reason, and not taken for a bus that stays empty.
func (s *Sensor) Probe() sensor.Presence {
	if _, _, err := s.scan(); err != nil {
		return sensor.Skipped("this kernel shows no USB at " + s.devices())
	}
	return uevent.Probe(s.open)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit, devices: s.known, baseline: s.baseline, closed: map[string]bool{}}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: s.open, Every: rescanEvery, Settle: settle, Emit: emit,
		Start: w.start, Event: w.change, Look: w.rescan,
	})
}

// watch is the state of one run.
type watch struct {
	sensor   *Sensor
	emit     func(sensor.Reading)
	devices  map[string]device
	baseline map[string]device
	closed   map[string]bool // controllers that we closed
	teller   inventory.Teller
}

func (w *watch) start() error {
	found, controllers, err := w.sensor.scan()
	if err != nil {
		return err
	}
	w.closeControllers(controllers)
	if w.baseline == nil {
		w.devices, w.baseline = found, maps.Clone(found)
		w.first()
	}
	w.sensor.known, w.sensor.baseline = w.devices, w.baseline
	for _, port := range ports(w.devices) {
		w.sensor.last[port] = w.devices[port]
	}
	return w.rescan("")
}

// first judges what is there at the first start, before anything is told of it.
func (w *watch) first() {
	for _, port := range ports(w.devices) {
		d := w.devices[port]
		switch done, err := w.judge(port, d); {
		case err != nil:
			w.failed(port, d, done, err)
		case done == "blocked":
			w.tell("usb_blocked", port, d, core.SeverityHigh, map[string]any{"action": done})
		}
	}
}

// change takes one message. A device that is bound anew may have become another
// one, so it is looked at again.
func (w *watch) change(u uevent.Event) error {
	if u.Is("usb", "usb_interface") {
		return w.again(path.Dir(u.Path))
	}
	if !u.Is("usb", "usb_device") {
		return nil
	}
	port := u.Name()
	switch {
	case isController(port) && u.Action == "add":
		w.closeControllers([]string{port})
		return nil
	case !isPort(port):
		return nil
	}
	switch u.Action {
	case "add":
		d := read(w.sensor.sysfs + u.Path)
		if product := u.Vars["PRODUCT"]; product != "" {
			d["uevent_product"] = sensor.Text(product)
		}
		w.attached(port, d)
	case "remove":
		w.removed(port)
	default:
		return w.again(u.Path)
	}
	return uevent.ErrLook
}

// again looks at a device that is known once more. One that is not is told of by
// a message of its own.
func (w *watch) again(devpath string) error {
	port := path.Base(devpath)
	if _, known := w.devices[port]; !known {
		return nil
	}
	if d := read(w.sensor.sysfs + devpath); d["idVendor"] != "" {
		w.attached(port, d)
	}
	return uevent.ErrLook
}

// rescan compares the bus with what is known. why names the event that says
// that messages were lost, "" for a look by the clock.
func (w *watch) rescan(why string) error {
	found, controllers, err := w.sensor.scan()
	if err != nil {
		return err
	}
	if why != "" {
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "uevent", Type: why, Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]any{"devices": len(found), "action": "full re-scan"}),
		})
	}
	w.closeControllers(controllers)
	for _, port := range ports(w.devices) {
		if _, here := found[port]; !here {
			w.removed(port)
		}
	}
	for _, port := range ports(found) {
		w.attached(port, found[port])
	}
	w.tellInventory()
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// attached reports a device. One that is in the inventory and comes back with
// the same strings still alarms: anyone can copy strings. One that is known is
// only held as the list wants it: the look by the clock saw it before its
// message came, or nothing happened at all.
func (w *watch) attached(port string, d device) {
	was, known := w.devices[port]
	if known && !was.same(d) {
		// It may have been read in halves while it went away: the second look finds
		// it whole, or gone, which is told by a message of its own.
		if d = read(filepath.Join(w.sensor.devices(), port)); d["idVendor"] == "" {
			return
		}
	}
	if known && was.same(d) {
		w.hold(port, d)
		return
	}
	grew := d.grewOver(w.sensor.last[port])
	if len(w.sensor.last) > 4*maxDevices { // ports of controllers that came and went
		w.sensor.last = maps.Clone(w.devices)
	}
	w.devices[port], w.sensor.last[port] = d, d
	done, err := w.judge(port, d)
	fields := describe(port, d)
	if len(grew) > 0 {
		fields["grew"] = grew
	}
	if was, ours := w.baseline[port]; ours {
		fields["like_inventory"] = was.same(d)
	}
	if done != "" {
		fields["action"] = done
	}
	w.emit(w.judged(port, d, fields))
	if err != nil {
		w.failed(port, d, done, err)
	}
}

// judged is the event of a device that was plugged in: an alarm, unless the list
// has it or the list is still being learned. What can type alarms while the list
// is learned too: a site that forgot to end learning still hears of a keyboard,
// and one that set up its machine disarmed reads it as low.
func (w *watch) judged(port string, d device, fields map[string]any) sensor.Reading {
	r := sensor.Reading{Kind: sensor.Pulse, Point: port, Type: "usb_attached", Alarm: true, Severity: core.SeverityHigh}
	listed := w.sensor.allowed(port, d)
	switch {
	case listed:
		r.Alarm, r.Severity, fields["listed"] = false, core.SeverityLow, true
	case w.sensor.policy == PolicyLearn && !d.types():
		r.Alarm, r.Severity, fields["entry"] = false, core.SeverityMedium, entryOf(port, d)
	case w.sensor.policy == PolicyLearn:
		fields["entry"] = entryOf(port, d)
	}
	if fields["grew"] != nil {
		r.Severity, r.Alarm = core.SeverityCritical, true
	}
	r.Fields = sensor.Fields(fields)
	return r
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
