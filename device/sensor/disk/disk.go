// Package disk is the driver that notices a disk being pulled out or put in. It
// makes an inventory when it starts, listens to the kernel's uevents of the
// block layer, and looks for itself every few seconds and whenever messages
// were lost.
//
// A disk that was there and is not is an alarm that latches: with it goes
// whatever is on it. So is one that comes back as another. A disk that is added
// is told, and so is a medium that was made to be pulled out and is.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/identity"
	"github.com/interlock-security/interlock/device/sensor/internal/inventory"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

const (
	rescanEvery = 10 * time.Second
	maxSilence  = 60 * time.Second
	// settle is how long the disks must be left alone before they are told anew.
	settle = time.Second
)

// maxDisks bounds an inventory.
const maxDisks = 4096

// Config configures the sensor: it needs nothing, and watches every disk.
type Config struct{}

// Validate implements the driver's contract.
func (Config) Validate() error { return nil }

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "disk", Senses: "disks that are pulled out or put in", Interface: "/sys/block, kernel uevents",
	Latency: sensor.LatencyEvent, Tested: []sensor.Tested{sensor.TestedKernel, sensor.TestedRecorded},
	Events: append([]sensor.EventDoc{
		{Type: "component_removed", Severity: core.SeverityHigh, Alarm: true, Meaning: "a disk that was there is gone, or another is in its place; low and no alarm for a medium that is made to be pulled out"},
		{Type: "component_added", Severity: core.SeverityMedium, Meaning: "a disk is new"},
	}, uevent.Doc...),
}

// Sensor watches the disks; see [New].
type Sensor struct {
	env   sensor.Env
	sysfs string
	open  func() (uevent.Source, error)
	// known are the disks that were told of. They outlive a run: what goes while
	// the driver is being restarted has gone all the same.
	known map[string]disk
}

// New returns a driver that reads the environment's sysfs.
func New(env sensor.Env, _ Config) (*Sensor, error) {
	return &Sensor{env: env, sysfs: env.Path("sys"), open: uevent.Open}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.env.ID }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "disk", Needs: []sensor.Need{sensor.NeedUevent, sensor.NeedSysfs}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Latches: true,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence {
	found, err := s.scan()
	switch {
	case err != nil:
		return sensor.Skipped("this kernel shows no disks at " + s.blocks())
	case len(found) == 0 && s.known == nil:
		return sensor.Skipped("this machine has no disk but those that software makes")
	}
	return uevent.Probe(s.open)
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	w := &watch{sensor: s, emit: emit}
	return uevent.Follow(ctx, uevent.Handler{
		Clock: s.env.Clock, Open: s.open, Every: rescanEvery, Settle: settle, Emit: emit, Start: w.start, Event: w.change, Look: w.rescan,
	})
}

// SelfTest implements [sensor.SelfTester]: whether the kernel tells of its
// devices, and whether each disk says who it is.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	all := []sensor.Finding{uevent.SelfTest(ctx, s.env, s.open)}
	found, err := s.scan()
	if err != nil {
		return append(all, sensor.Found("disks", sensor.Fail, err.Error()))
	}
	for _, name := range names(found) {
		switch d := found[name]; {
		case d["removable"] == "1":
			all = append(all, sensor.Found(name, sensor.Untried, "it is made to be pulled out, and no alarm"))
		case d["serial"] == "" && d["wwid"] == "":
			all = append(all, sensor.Found(name, sensor.Warning, "it has no serial number: another one of its model and size can't be told from it"))
		default:
			all = append(all, sensor.Found(name, sensor.Pass, ""))
		}
	}
	if len(found) == 0 {
		all = append(all, sensor.Found("disks", sensor.Untried, "there is none"))
	}
	return all
}

// disk is one disk as sysfs tells of it. The texts were chosen by whoever made
// the disk.
type disk map[string]string

// attributes are read where there are any: SCSI, NVMe, MMC and virtio have them
// in different places.
var attributes = map[string][]string{
	"serial": {"serial", "device/serial", "device/vpd_pg80"},
	"wwid":   {"wwid", "device/wwid", "device/cid"},
	"model":  {"device/model", "device/name"},
	"vendor": {"device/vendor"},
	"size":   {"size"},
	// A stick, a card: made to be pulled out. Whether one may be plugged in at
	// all is a matter for the USB driver.
	"removable": {"removable"},
}

// same says whether two looks saw the same disk. The size of a disk that is
// there may change: it was made larger, or the card was taken out of its reader.
// What one look could not read (the disk was just being added) is no difference.
func (d disk) same(o disk) bool {
	for _, k := range []string{"path", "serial", "wwid", "model", "vendor"} {
		if d[k] != "" && o[k] != "" && d[k] != o[k] {
			return false
		}
	}
	return true
}

func (s *Sensor) blocks() string { return filepath.Join(s.sysfs, "block") }

// scan lists the disks that have hardware behind them, by name. Loops, RAM disks
// and mappings are software's and stay out.
func (s *Sensor) scan() (map[string]disk, error) {
	entries, err := os.ReadDir(s.blocks())
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "disk.scan", fmt.Errorf("list disks: %w", err))
	}
	found := map[string]disk{}
	for _, e := range entries {
		d, ok := s.read(e.Name())
		if !ok {
			continue
		}
		if len(found) == maxDisks {
			return nil, core.E(core.KindTooLarge, "disk.scan", fmt.Sprintf("more than %d disks", maxDisks))
		}
		found[e.Name()] = d
	}
	return found, nil
}

func (s *Sensor) read(name string) (disk, bool) {
	dir := filepath.Join(s.blocks(), name)
	if _, err := os.Stat(filepath.Join(dir, "device")); err != nil {
		return nil, false
	}
	d := disk{}
	if target, err := os.Readlink(dir); err == nil {
		d["path"] = sensor.Text(placeOf(target))
	}
	for key, places := range attributes {
		for _, place := range places {
			if text := readSmall(filepath.Join(dir, place)); text != "" {
				d[key] = sensor.Text(text)
				break
			}
		}
	}
	if strings.HasPrefix(name, "mmcblk") {
		d["slot"] = sensor.Text(readSmall(filepath.Join(dir, "device/type"))) // SD, or MMC for what is soldered in
	}
	return d, true
}

// placeOf is where the disk is plugged in: its device's path without the name
// that it was given this time.
func placeOf(target string) string {
	place, _, _ := strings.Cut(target, "/block/")
	return strings.TrimPrefix(strings.TrimLeft(place, "./"), "devices/")
}

// readSmall returns the readable part of an attribute. The serial number page of
// a SCSI disk has four bytes of header before the text.
func readSmall(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	if errors.Join(err, f.Close()) != nil {
		return ""
	}
	if filepath.Base(path) == "vpd_pg80" {
		b = b[min(4, len(b)):]
	}
	return strings.Trim(string(b), " \n\x00")
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	teller inventory.Teller
}

func (w *watch) start() error {
	found, err := w.sensor.scan()
	if err != nil {
		return err
	}
	if w.sensor.known == nil {
		w.sensor.known = found
		for _, d := range found {
			d["since"] = "start"
		}
	}
	return w.rescan("")
}

// tellInventory tells what is there. A judge can hold it against a baseline; see
// device/monitor/component. A medium that is made to be pulled out belongs into
// none, and is counted.
func (w *watch) tellInventory() {
	parts, media := []sensor.Part{}, 0
	for _, name := range names(w.sensor.known) {
		if d := w.sensor.known[name]; d["removable"] != "1" {
			parts = append(parts, d.part(name))
		} else {
			media++
		}
	}
	w.teller.Tell(w.emit, parts, map[string]any{"kind": "disks", "count": len(parts), "removable_media": media})
}

// part is the disk as one of the machine's parts. One that says neither serial
// number nor name has its size.
func (d disk) part(name string) sensor.Part {
	size := ""
	if d["serial"] == "" && d["wwid"] == "" {
		size = d["size"]
	}
	place := d["path"]
	if place == "" {
		place = name
	}
	id := identity.Of("model", d["model"], "vendor", d["vendor"], "serial", d["serial"], "wwid", d["wwid"], "sectors", size)
	if id == "" {
		id = "says nothing of itself"
	}
	return sensor.Part{Class: "disk", Place: place, Identity: id, About: map[string]string{"name": name, "sectors": d["size"]}}
}

// change takes one message. It says that a disk came or went, and which; what is
// there now is looked up.
func (w *watch) change(u uevent.Event) error {
	if !u.Is("block", "disk") {
		return nil
	}
	name := u.Name()
	switch u.Action {
	case "add":
		if d, ok := w.sensor.read(name); ok {
			w.see(name, d)
		}
	case "remove":
		w.removed(name)
	}
	return uevent.ErrLook
}

// rescan compares the disks with what is known. why names the event that says
// that messages were lost, "" for a look by the clock.
func (w *watch) rescan(why string) error {
	found, err := w.sensor.scan()
	if err != nil {
		return err
	}
	if why != "" {
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "uevent", Type: why, Severity: core.SeverityMedium,
			Fields: sensor.Fields(map[string]any{"disks": len(found), "action": "full re-scan"}),
		})
	}
	for _, name := range names(w.sensor.known) {
		if _, here := found[name]; !here {
			w.removed(name)
		}
	}
	for _, name := range names(found) {
		w.see(name, found[name])
	}
	w.tellInventory()
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// see takes a disk that is there. Another one under the name of one that is
// known means that the first is gone.
func (w *watch) see(name string, d disk) {
	if was, known := w.sensor.known[name]; known {
		if was.same(d) {
			maps.Copy(was, d)
			return
		}
		w.removed(name)
	}
	w.sensor.known[name] = d
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: name, Type: "component_added", Severity: core.SeverityMedium, Fields: sensor.Fields(describe(name, d)),
	})
}

func (w *watch) removed(name string) {
	d, known := w.sensor.known[name]
	if !known {
		return // software's, or the look by the clock was first
	}
	delete(w.sensor.known, name)
	// A card that was put in while we watched is told by the sd driver; one that was
	// there at the start may hold the system.
	built, sev := d["removable"] != "1" && (d["slot"] != "SD" || d["since"] == "start"), core.SeverityHigh
	if !built {
		sev = core.SeverityLow
	}
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: name, Type: "component_removed", Alarm: built, Severity: sev, Fields: sensor.Fields(describe(name, d)),
	})
}

func describe(name string, d disk) map[string]any {
	m := map[string]any{"component": "disk", "disk": sensor.Text(name)}
	for k, v := range d {
		m[k] = v
	}
	return m
}

func names(m map[string]disk) []string {
	all := make([]string, 0, len(m))
	for n := range m {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}
