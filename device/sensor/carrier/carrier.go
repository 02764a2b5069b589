// Package carrier is the driver that notices a network cable being pulled: it
// follows the links of the machine over rtnetlink and reports each one's
// carrier (IFF_LOWER_UP) as a level, and links that come and go as pulses.
//
// The kernel tells at once; every few seconds the driver also looks for itself,
// so that a lost message is repaired and the monitor hears that it is alive.
package carrier

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// rescanEvery is well below maxSilence, so that one slow round is not stale.
const (
	rescanEvery = 5 * time.Second
	maxSilence  = 30 * time.Second
	rcvBuf      = 1 << 20
	// inventoryEvery bounds how often a changed inventory is told: a link that
	// flaps is told by its level.
	inventoryEvery = time.Minute
)

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "carrier", Senses: "network cables that are pulled, interfaces that come and go",
	Interface: "rtnetlink (RTNLGRP_LINK)", Latency: sensor.LatencyEvent,
	Events: []sensor.EventDoc{
		{Type: "carrier_down", Severity: core.SeverityMedium, Alarm: true, Meaning: "a link lost its carrier"},
		{Type: "carrier_up", Severity: core.SeverityInfo, Meaning: "it has carrier again"},
		{Type: "carrier_unwatched", Severity: core.SeverityInfo, Meaning: "a link that is gone is no longer watched"},
		{Type: "interface_attached", Severity: core.SeverityMedium, Alarm: true, Meaning: "an interface is new since the start"},
		{Type: "interface_removed", Severity: core.SeverityHigh, Alarm: true, Meaning: "an interface is gone"},
		{Type: "interface_renamed", Severity: core.SeverityMedium, Meaning: "an interface has another name"},
	},
	Tested: []sensor.Tested{sensor.TestedKernel},
}

// Config configures the driver.
type Config struct {
	// Interfaces are the network interfaces to watch, by name. None means every
	// one but loopback.
	Interfaces []string `yaml:"interfaces,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	for i, name := range c.Interfaces {
		if name == "" || len(name) >= unix.IFNAMSIZ || sensor.Text(name) != name {
			return core.E(core.KindInvalid, "carrier.Config", fmt.Sprintf("interfaces[%d]: %q is no interface's name", i, name)).
				WithHint("ip link shows the names")
		}
	}
	return nil
}

// Sensor watches network links. The zero value is not usable; see [New].
type Sensor struct {
	id    core.SensorID
	only  []string // empty: every link but loopback
	clock core.Clock
	// had are the links that have had a carrier since this sensor was made, and
	// changed is when each link was last seen to change. They outlive a restart of
	// the driver: what went down meanwhile is noticed.
	had     map[string]bool
	changed map[string]time.Time
}

// New returns a driver for the named interfaces, or for every link but
// loopback when none is named. A named link that is missing reads as no
// carrier: an interface that was unplugged whole must not look calm. A link that
// nobody named and that has no carrier when it is first seen is a spare port: it
// stands in the inventory and counts from its first carrier on.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{
		id: env.ID, only: slices.Clone(c.Interfaces), clock: env.Clock,
		had: map[string]bool{}, changed: map[string]time.Time{},
	}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor]. Carrier does not latch by itself: a
// rebooting switch is no burglary. A site that thinks otherwise says so in the
// agent's configuration.
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "network-carrier", Needs: []sensor.Need{sensor.NeedNetlink},
		Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent, MaxSilence: maxSilence,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	links, err := netlink.LinkList()
	switch {
	case err != nil:
		return sensor.Skipped(fmt.Sprintf("no rtnetlink here: %v", err))
	case len(s.only) == 0 && !slices.ContainsFunc(links, s.watches):
		return sensor.Skipped("this machine has no network interface but loopback")
	}
	return sensor.Present()
}

func (s *Sensor) watches(l netlink.Link) bool {
	a := l.Attrs()
	if len(s.only) > 0 {
		return slices.Contains(s.only, a.Name)
	}
	return a.Flags&net.FlagLoopback == 0
}

// Run implements [sensor.Sensor]. It subscribes before it lists, so that no
// change falls between the two.
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	updates := make(chan netlink.LinkUpdate, 256)
	done := make(chan struct{})
	defer close(done)
	lost := make(chan error, 1)
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		ErrorCallback: func(err error) { keepFirst(lost, err) }, ReceiveBufferSize: rcvBuf,
	})
	if err != nil {
		return core.Wrap(core.KindUnavailable, "carrier.Run", fmt.Errorf("subscribe to links: %w", err))
	}
	w := &watch{sensor: s, emit: emit, links: map[int]link{}, missed: map[string]bool{}}
	if err := w.rescan(true); err != nil {
		return err
	}
	return w.follow(ctx, updates, lost)
}

func keepFirst(lost chan<- error, err error) {
	select {
	case lost <- err:
	default:
	}
}

// link is what is remembered of one interface.
type link struct {
	name     string
	carrier  bool
	hardware bool
}

// hardware says whether a link that comes or goes is somebody's hand at the
// machine: a device, or one that the site named. What software makes (bridges,
// containers' ends of a pair) comes and goes all day.
func (s *Sensor) hardware(l netlink.Link) bool {
	return l.Type() == "device" || slices.Contains(s.only, l.Attrs().Name)
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	links  map[int]link
	missed map[string]bool // named and not there
	stale  bool            // the inventory that was told is no longer true
	toldAt time.Time
}

func (w *watch) follow(ctx context.Context, updates <-chan netlink.LinkUpdate, lost <-chan error) error {
	// One timer across updates: a stream of them must not keep the look away.
	look := w.sensor.clock.After(rescanEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, ok := <-updates:
			if !ok {
				return errors.Join(core.E(core.KindUnavailable, "carrier.Run", "the kernel closed the link subscription"), first(lost))
			}
			w.update(u)
		case err := <-lost:
			// Messages may be missing; what counts is what is there now.
			if scan := w.rescan(false); scan != nil {
				return errors.Join(scan, err)
			}
		case <-look:
			if err := w.rescan(false); err != nil {
				return err
			}
			look = w.sensor.clock.After(rescanEvery)
		}
	}
}

func first(lost <-chan error) error {
	select {
	case err := <-lost:
		return err
	default:
		return nil
	}
}

func (w *watch) update(u netlink.LinkUpdate) {
	if u.Link == nil || !w.sensor.watches(u.Link) {
		return
	}
	if u.Header.Type == unix.RTM_DELLINK {
		w.gone(u.Link.Attrs().Index)
		return
	}
	w.see(u.Link, false)
}

// rescan lists the links and reports what differs from what is remembered.
func (w *watch) rescan(start bool) error {
	links, err := netlink.LinkList()
	if err != nil {
		return core.Wrap(core.KindUnavailable, "carrier.Run", fmt.Errorf("list links: %w", err))
	}
	links = slices.DeleteFunc(links, func(l netlink.Link) bool { return !w.sensor.watches(l) })
	if start {
		w.tellInventory(links)
	}
	here := map[int]bool{}
	for _, l := range links {
		here[l.Attrs().Index] = true
		w.see(l, start)
	}
	for index := range w.links {
		if !here[index] {
			w.gone(index)
		}
	}
	w.missing(links)
	if w.stale && w.sensor.clock.Now().Sub(w.toldAt) >= inventoryEvery {
		w.tellInventory(links)
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// missing reports the links that were asked for by name and are not there.
func (w *watch) missing(links []netlink.Link) {
	for _, name := range w.sensor.only {
		here := slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == name })
		if !here && !w.missed[name] {
			w.emit(level(name, false, map[string]any{"interface": name, "missing": true}))
		}
		w.missed[name] = !here
	}
}

func (w *watch) tellInventory(links []netlink.Link) {
	w.stale, w.toldAt = false, w.sensor.clock.Now()
	w.emit(w.sensor.inventory(links))
}

// noteChange remembers when a link was last seen to change.
func (w *watch) noteChange(name string) {
	w.stale = true
	w.sensor.changed[name] = w.sensor.clock.Now()
}

func (w *watch) see(l netlink.Link, start bool) {
	a := l.Attrs()
	now := link{name: a.Name, carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, hardware: w.sensor.hardware(l)}
	was, known := w.links[a.Index]
	w.links[a.Index] = now
	if known && was.name != now.name {
		w.emit(pulse("interface_renamed", now.name, core.SeverityMedium, describe(l)))
		w.emit(level(was.name, true, map[string]any{"interface": was.name, "renamed_to": now.name}))
	}
	if known && was != now || !known && !start {
		w.noteChange(now.name)
	}
	if !known && !start {
		attached := pulse("interface_attached", now.name, core.SeverityMedium, describe(l))
		attached.Alarm = now.hardware
		w.emit(attached)
	}
	if !known && w.sensor.spare(now) {
		return
	}
	w.sensor.had[now.name] = w.sensor.had[now.name] || now.carrier
	if !known || was != now {
		w.emit(level(now.name, now.carrier, describe(l)))
	}
}

// spare reports whether a link is one that was never in use here.
func (s *Sensor) spare(l link) bool {
	return !l.carrier && len(s.only) == 0 && !s.had[l.name]
}

// gone reports a link that was removed: an event, and no carrier where the
// link is one that the site asked to watch.
func (w *watch) gone(index int) {
	was, known := w.links[index]
	if !known {
		return
	}
	delete(w.links, index)
	w.stale = true
	delete(w.sensor.changed, was.name) // what software makes has new names all day
	fields := map[string]any{"interface": sensor.Text(was.name), "index": index}
	removed := pulse("interface_removed", was.name, core.SeverityHigh, fields)
	removed.Alarm = was.hardware
	w.emit(removed)
	watched := slices.Contains(w.sensor.only, was.name)
	end := level(was.name, !watched, fields)
	end.Clear = "carrier_unwatched" // a link that is gone has not come up
	w.emit(end)
}

func level(point string, carrier bool, fields map[string]any) sensor.Reading {
	return sensor.Reading{
		Kind: sensor.Level, Point: sensor.Text(point), Active: !carrier, Alarm: true,
		Type: "carrier_down", Clear: "carrier_up", Severity: core.SeverityMedium, Fields: sensor.Fields(fields),
	}
}

func pulse(kind, point string, sev core.Severity, fields map[string]any) sensor.Reading {
	return sensor.Reading{Kind: sensor.Pulse, Point: sensor.Text(point), Type: kind, Severity: sev, Fields: sensor.Fields(fields)}
}

// inventory is every interface with its state, and when that last changed as far
// as this driver saw: what changed before it started is not known.
func (s *Sensor) inventory(links []netlink.Link) sensor.Reading {
	list := make([]map[string]any, 0, len(links))
	parts := make([]sensor.Part, 0, len(links))
	for _, l := range links {
		d := describe(l)
		if at, known := s.changed[l.Attrs().Name]; known {
			d["changed"] = at.UTC().Format(time.RFC3339)
		}
		list = append(list, d)
		parts = append(parts, part(l))
	}
	return sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo, Parts: parts,
		Fields: sensor.Fields(map[string]any{"kind": "network-interfaces", "interfaces": list}),
	}
}

// part is an interface as a part of the machine.
func part(l netlink.Link) sensor.Part {
	a := l.Attrs()
	mac := a.HardwareAddr.String()
	if a.PermHWAddr != nil {
		mac = a.PermHWAddr.String() // what the maker gave it, whatever it calls itself
	}
	return sensor.Part{Class: "interface", Place: sensor.Text(a.Name), Identity: mac, About: map[string]string{"link": l.Type()}}
}

func describe(l netlink.Link) map[string]any {
	a := l.Attrs()
	return map[string]any{
		"interface": sensor.Text(a.Name), "index": a.Index, "mac": a.HardwareAddr.String(), "link": l.Type(), "state": a.OperState.String(),
		"admin_up": a.Flags&net.FlagUp != 0, "carrier": a.RawFlags&unix.IFF_LOWER_UP != 0,
	}
}
