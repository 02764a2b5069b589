package ipmi

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// maxRecords bounds how many entries of the log are read at one look: the rest
// comes at the next.
const maxRecords = 64

// maxHistory is how many entries are read of a log that is met for the first time.
const maxHistory = 256

// watch is the state of one run.
type watch struct {
	sensor     *Sensor
	controller controller
	emit       func(sensor.Reading)
	id         deviceID
	sensors    []described
	settledAt  time.Time     // when the settings were last read
	open       map[byte]bool // the sensors that read open now
}

// logPlace is how far the controller's log was read.
type logPlace struct {
	known bool
	info  logInfo
	last  uint16 // the last entry that was read, 0 for none
}

// find says what the controller is and which of its sensors are read.
func (w *watch) find(ctx context.Context) error {
	var err error
	if w.id, err = askDeviceID(ctx, w.controller); err != nil {
		return err
	}
	for _, n := range w.sensor.cfg.Sensors {
		w.sensors = append(w.sensors, described{number: byte(n), kind: sensorIntrusion})
	}
	if len(w.sensors) == 0 {
		if w.sensors, err = askSensors(ctx, w.controller, sensorIntrusion); err != nil {
			return err
		}
	}
	if len(w.sensors) == 0 {
		return core.E(core.KindNotFound, "ipmi.Run", "the controller has no sensor of physical security (type 05h)").
			WithHint("name it under sensors, if the controller has one that its repository doesn't list")
	}
	if len(w.sensors) > maxSensors {
		w.sensors = w.sensors[:maxSensors]
	}
	return w.tellInventory(ctx)
}

// tellInventory says what the controller is and, where that is asked for, how it
// is set. The core tells it again if it changed.
func (w *watch) tellInventory(ctx context.Context) error {
	var settings []sensor.Part
	if w.sensor.cfg.Settings {
		var err error
		if settings, err = w.settings(ctx); err != nil {
			return err
		}
	}
	w.settledAt = w.sensor.env.Clock.Now()
	w.emit(w.inventory(settings))
	return nil
}

func point(number byte) string { return fmt.Sprintf("sensor-%d", number) }

func (w *watch) inventory(settings []sensor.Part) sensor.Reading {
	id := w.id
	list := []map[string]any{}
	for _, s := range w.sensors {
		list = append(list, map[string]any{"point": point(s.number), "name": s.name})
	}
	return sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Parts: append([]sensor.Part{{
			Class: "bmc", Place: "bmc", Identity: fmt.Sprintf("%06x %04x", id.Manufacturer, id.Product), About: map[string]string{"firmware": id.Firmware},
		}}, settings...),
		Fields: sensor.Fields(map[string]any{"kind": "bmc", "firmware": id.Firmware, "manufacturer": id.Manufacturer, "product": id.Product, "sensors": list}),
	}
}

// look reads every sensor, then the log: what the log tells of a sensor that is
// open already is told once.
func (w *watch) look(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	for _, s := range w.sensors {
		if err := w.read(ctx, s); err != nil {
			return err
		}
	}
	if err := w.readLog(ctx); err != nil {
		return err
	}
	if w.sensor.cfg.Settings && w.sensor.env.Clock.Now().Sub(w.settledAt) >= settingsEvery {
		if err := w.tellInventory(ctx); err != nil {
			return err
		}
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

// read reports one sensor. One that the controller refuses to read is a fault of
// its own; the others go on.
func (w *watch) read(ctx context.Context, s described) error {
	r, err := askReading(ctx, w.controller, s.number)
	var no refused
	switch {
	case errors.As(err, &no):
		w.broken(point(s.number), err.Error())
		return nil
	case err != nil:
		return err
	case r.off:
		w.broken(point(s.number), "the controller does not look at this sensor")
		return nil
	}
	what := intruded(r.states)
	w.open[s.number] = len(what) > 0
	w.emit(sensor.Reading{
		Kind: sensor.Level, Point: point(s.number), Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical,
		Active: len(what) > 0, Alarm: true, Settled: true,
		Fields: sensor.Fields(map[string]any{"sensor": s.number, "name": s.name, "where": strings.Join(what, ", "), "via": "sensor"}),
	})
	return nil
}

func (w *watch) broken(point, why string) {
	w.emit(sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]any{"why": why})})
}

// readLog tells what is new in the log. What was logged before this agent started
// is history: its openings are sighted, and the judge of what is known, which
// remembers across restarts, tells those that it does not know.
func (w *watch) readLog(ctx context.Context) error {
	info, err := askLog(ctx, w.controller)
	var no refused
	if errors.As(err, &no) {
		w.broken("log", err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	w.emit(sensor.Reading{Kind: sensor.Measure, Point: "log", Value: float64(info.entries), Unit: sensor.UnitNone})
	place := &w.sensor.log
	if !place.known {
		return w.endOfLog(ctx, info)
	}
	cleared := info.erased != place.info.erased || info.entries < place.info.entries
	if cleared {
		place.last = 0
		w.emit(sensor.Reading{
			Kind: sensor.Pulse, Point: "log", Type: "bmc_log_cleared", Severity: core.SeverityHigh, Alarm: true,
			Fields: sensor.Fields(map[string]any{"entries_before": place.info.entries, "entries": info.entries}),
		})
	}
	if info == place.info {
		return nil
	}
	return w.tellRecords(ctx, info)
}

// endOfLog finds the last entry.
func (w *watch) endOfLog(ctx context.Context, info logInfo) error {
	place := logPlace{known: true, info: info}
	if info.entries > 0 {
		r, _, err := askRecord(ctx, w.controller, lastRecord)
		if err != nil && !isRefused(err, codeNoSensor) {
			return err
		}
		place.last = r.id
	}
	if err := w.history(ctx, info, place.last); err != nil {
		return err
	}
	w.sensor.log = place
	return nil
}

// history sights the openings that the log has, the newest where it is long.
func (w *watch) history(ctx context.Context, info logInfo, last uint16) error {
	next := uint16(firstRecord)
	if info.entries > maxHistory && last > maxHistory {
		next = last - maxHistory + 1
	}
	for range maxHistory {
		r, after, err := askRecord(ctx, w.controller, next)
		var no refused
		if errors.As(err, &no) {
			return nil // an empty log, or one whose numbers have gaps
		}
		if err != nil {
			return err
		}
		if r.intrusion() {
			w.emit(r.sighting())
		}
		if after == lastRecord || after == next {
			return nil
		}
		next = after
	}
	return nil
}

// sighting is an opening as an identity: the entry that tells of it.
func (r record) sighting() sensor.Reading {
	return sensor.Reading{Kind: sensor.Sighting, Point: "log", Parts: []sensor.Part{{
		Class: "bmc-intrusion", Place: "log", Identity: fmt.Sprintf("%d %s %s %s", r.id, r.at.Format(time.RFC3339), point(r.number), r.what()),
		About: map[string]string{"via": "log"},
	}}}
}

// tellRecords reads what stands behind the entry that was read last. That one may
// be gone from a log that overwrites itself; then it begins with the oldest.
func (w *watch) tellRecords(ctx context.Context, info logInfo) error {
	place := &w.sensor.log
	next, skip := place.last, place.last != 0
	for range maxRecords {
		r, after, err := askRecord(ctx, w.controller, next)
		switch {
		case isRefused(err, codeNoSensor) && skip:
			next, skip = firstRecord, false
			continue
		case isRefused(err, codeNoSensor):
			place.info = info // an empty log
			return nil
		case err != nil:
			return err
		}
		if !skip {
			w.record(r)
			place.last = r.id
		}
		skip = false
		if after == lastRecord || after == next {
			place.info = info
			return nil
		}
		next = after
	}
	return nil // more at the next look: what is kept of the log's state is still the old one
}

// record tells one entry. An opening that the sensor itself tells of is an entry
// like others; one that was over before anybody looked is an alarm.
func (w *watch) record(r record) {
	fields := map[string]any{"record": r.id, "raw": hex.EncodeToString(r.raw), "via": "log"}
	if r.kind == standardRecord {
		fields["sensor"], fields["type"], fields["state"], fields["asserted"] = r.number, r.sensor, r.state, r.asserted
		fields["bmc_time"] = r.at.Format(time.RFC3339)
	}
	if r.intrusion() {
		w.emit(r.sighting())
	}
	said := sensor.Reading{Kind: sensor.Pulse, Point: "log", Type: "bmc_event", Severity: core.SeverityInfo}
	if r.intrusion() && !w.open[r.number] {
		said.Point, said.Type, said.Severity, said.Alarm = point(r.number), "case_intrusion", core.SeverityCritical, true
		fields["where"] = r.what()
	}
	said.Fields = sensor.Fields(fields)
	w.emit(said)
}

// SelfTest implements [sensor.SelfTester]: it asks once, in a session of its own.
// That the switch moves nobody can test from here.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	var all []sensor.Finding
	probe := &Sensor{env: s.env, cfg: s.cfg}
	w, err := probe.start(ctx, func(r sensor.Reading) {
		switch {
		case r.Kind == sensor.Broken:
			all = append(all, sensor.Found(r.Point, sensor.Fail, string(r.Fields)))
		case r.Kind == sensor.Level && r.Active:
			all = append(all, sensor.Found(r.Point, sensor.Warning, "the controller says open"))
		case r.Kind == sensor.Level:
			all = append(all, sensor.Found(r.Point, sensor.Untried, "it reads closed; open the case once to see it move"))
		}
	})
	if err != nil {
		return []sensor.Finding{sensor.Found("controller answers", sensor.Fail, err.Error())}
	}
	defer w.controller.close()
	if err := w.look(ctx); err != nil {
		return append(all, sensor.Found("controller answers", sensor.Fail, err.Error()))
	}
	return append([]sensor.Finding{sensor.Found("controller answers", sensor.Pass, "")}, all...)
}
