package sd

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

func (w *watch) start() error {
	slots, err := w.sensor.slots()
	if err != nil {
		return err
	}
	if w.sensor.known == nil {
		w.sensor.known, w.sensor.first = slots, map[string]string{}
		for slot, c := range slots {
			if c.id != "" {
				w.sensor.first[slot] = c.id
			}
		}
	}
	return w.look("")
}

// change takes one message. A reader's medium changes without a disk coming or
// going.
func (w *watch) change(u uevent.Event) error {
	switch u.Vars["SUBSYSTEM"] {
	case "mmc", "mmc_host", "block":
		if !strings.HasPrefix(u.Path, "/devices/virtual/") {
			return uevent.ErrLook
		}
	}
	return nil
}

// look compares the slots with what is known. why names what was lost.
func (w *watch) look(why string) error {
	slots, err := w.sensor.slots()
	if err != nil {
		return err
	}
	if why != "" {
		w.emit(sensor.Reading{Kind: sensor.Pulse, Point: "uevent", Type: why, Severity: core.SeverityMedium, Fields: sensor.Fields(map[string]any{"action": "full re-scan"})})
	}
	known := w.sensor.known
	for _, slot := range slices.Sorted(maps.Keys(known)) {
		if slots[slot].id != known[slot].id {
			w.removed(slot, known[slot])
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		now, was := slots[slot], known[slot]
		switch {
		case now.id != was.id:
			w.inserted(slot, now)
		case now.id != "" && was.readOnly != "" && now.readOnly != "" && now.readOnly != was.readOnly:
			w.tell(typeWritable, slot, now, core.SeverityMedium, true)
		}
	}
	w.sensor.known = slots
	w.inventory()
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

func (w *watch) removed(slot string, was card) {
	if was.id == "" {
		return
	}
	if w.sensor.first[slot] == was.id {
		w.tell(typeRemoved, slot, was, core.SeverityHigh, true)
		return
	}
	w.tell(typeRemoved, slot, was, core.SeverityLow, false)
}

func (w *watch) inserted(slot string, now card) {
	switch {
	case now.id == "":
	case now.cid != "" && slices.Contains(w.sensor.cards, now.cid):
		w.tell(typeInserted, slot, now, core.SeverityLow, false)
	default:
		w.tell(typeInserted, slot, now, core.SeverityHigh, true)
	}
}

func (w *watch) tell(kind, slot string, c card, sev core.Severity, alarm bool) {
	w.emit(sensor.Reading{Kind: sensor.Pulse, Point: slot, Type: kind, Severity: sev, Alarm: alarm, Fields: sensor.Fields(c.fields(slot))})
}

func (c card) fields(slot string) map[string]string {
	f := map[string]string{"slot": slot}
	for k, v := range map[string]string{"card": c.id, "cid": c.cid, "card_kind": c.class, "name": c.name, "sectors": c.size, "read_only": c.readOnly} {
		if v != "" {
			f[k] = v
		}
	}
	return f
}

// inventory tells the cards, and which slots are empty.
func (w *watch) inventory() {
	parts, empty := []sensor.Part{}, []string{}
	for _, slot := range slices.Sorted(maps.Keys(w.sensor.known)) {
		if c := w.sensor.known[slot]; c.id != "" {
			parts = append(parts, sensor.Part{Class: "card", Place: slot, Identity: c.id, About: c.fields(slot)})
		} else {
			empty = append(empty, slot)
		}
	}
	w.teller.Tell(w.emit, parts, map[string]any{"kind": "card-slots", "count": len(parts), "empty": empty[:min(len(empty), 32)]})
}
