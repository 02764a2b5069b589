package serial

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/inventory"
	"github.com/interlock-security/interlock/device/sensor/internal/uevent"
)

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	emit   func(sensor.Reading)
	at     time.Time // of the last look at the ports
	teller inventory.Teller
	lines  []line
}

// line is one port that is open for its lines.
type line struct {
	Line
	port    port
	changes uint64
	in      bool
	seen    bool
}

func (w *watch) start() error {
	found, err := w.sensor.scan()
	if err != nil {
		return err
	}
	if w.sensor.known == nil {
		w.sensor.known, w.sensor.first = found, map[string]bool{}
		for name := range found {
			w.sensor.first[name] = true
		}
	}
	for _, l := range w.sensor.lines {
		w.lines = append(w.lines, line{Line: l})
	}
	return w.look("")
}

func (w *watch) close() {
	for i := range w.lines {
		w.lines[i].shut()
	}
}

func (l *line) shut() {
	if l.port != nil {
		_ = l.port.Close()
		l.port, l.seen = nil, false
	}
}

func (w *watch) change(u uevent.Event) error {
	if u.Vars["SUBSYSTEM"] != "tty" || strings.HasPrefix(u.Path, "/devices/virtual/") {
		return nil
	}
	w.at = time.Time{}
	return uevent.ErrLook
}

// look compares the ports with what is known, and asks for the lines. why names
// what was lost.
func (w *watch) look(why string) error {
	now := w.sensor.env.Clock.Now()
	if why != "" {
		w.pulse(why, "uevent", "", core.SeverityMedium, false)
	}
	if why != "" || w.at.IsZero() || now.Sub(w.at) >= rescanEvery || now.Before(w.at) {
		if err := w.ports(); err != nil {
			return err
		}
		w.at = now
	}
	for i := range w.lines {
		w.line(&w.lines[i])
	}
	w.emit(sensor.Reading{Kind: sensor.Beat})
	return nil
}

func (w *watch) ports() error {
	found, err := w.sensor.scan()
	if err != nil {
		return err
	}
	known := w.sensor.known
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if at, here := found[name]; here && at == known[name] {
			continue
		}
		first := w.sensor.first[name]
		sev := core.SeverityLow
		if first {
			sev = core.SeverityHigh
		}
		w.pulse(typeRemoved, name, known[name], sev, first)
		delete(known, name)
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, here := known[name]; here {
			continue
		}
		known[name] = found[name]
		w.pulse(typeAttached, name, found[name], core.SeverityMedium, true)
	}
	w.inventory()
	return nil
}

func (w *watch) pulse(kind, name, at string, sev core.Severity, alarm bool) {
	fields := map[string]any{"interface": "serial", "port": name}
	if at != "" {
		fields["at"] = at
	}
	w.emit(sensor.Reading{Kind: sensor.Pulse, Point: name, Type: kind, Severity: sev, Alarm: alarm, Fields: sensor.Fields(fields)})
}

func (w *watch) inventory() {
	parts := []sensor.Part{}
	for _, name := range slices.Sorted(maps.Keys(w.sensor.known)) {
		parts = append(parts, sensor.Part{Class: "serial", Place: name, Identity: w.sensor.known[name]})
	}
	w.teller.Tell(w.emit, parts, map[string]any{"kind": "serial-ports", "count": len(parts)})
}

// line says whether a cable is in. A port that can't be asked is broken, and
// asked again with the next look.
func (w *watch) line(l *line) {
	point := l.Port + " cable"
	state, err := w.ask(l)
	if err != nil {
		l.shut()
		w.emit(sensor.Reading{Kind: sensor.Broken, Point: point, Severity: core.SeverityHigh, Fields: sensor.Fields(map[string]string{"why": sensor.Text(err.Error())})})
		return
	}
	fields := sensor.Fields(map[string]any{"interface": "serial", "port": l.Port, "lines": state.words(), "changes": state.changes})
	brief := l.seen && state.in() == l.in && state.changes != l.changes
	l.seen, l.in, l.changes = true, state.in(), state.changes
	level := sensor.Reading{Kind: sensor.Level, Point: point, Type: typeAttached, Clear: typeRemoved, Active: l.in, Alarm: true, Severity: core.SeverityHigh, Fields: fields}
	if l.Cable == CableIn {
		level.Type, level.Clear, level.Active = typeRemoved, typeAttached, !l.in
	}
	w.emit(level)
	if brief && !level.Active {
		w.emit(sensor.Reading{Kind: sensor.Pulse, Point: l.Port + " lines", Type: typeBrief, Severity: core.SeverityHigh, Alarm: true, Fields: fields})
	}
}

func (w *watch) ask(l *line) (lines, error) {
	if l.port == nil {
		p, err := w.sensor.openPort(w.sensor.env.Path("dev", l.Port))
		if err != nil {
			return lines{}, err
		}
		l.port = p
	}
	return l.port.Lines()
}

// SelfTest implements [sensor.SelfTester]. It opens each named port once more and
// asks for its lines.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	all := []sensor.Finding{uevent.SelfTest(ctx, s.env, s.open)}
	for _, l := range s.lines {
		all = append(all, s.testLine(l))
	}
	if len(s.lines) == 0 {
		all = append(all, sensor.Found("cables", sensor.Untried, "no port is named under lines, so none is opened"))
	}
	return append(all, sensor.Found("jtag", sensor.Untried, "no kernel interface tells whether something hangs on a debug header: close it off, and look at it"))
}

func (s *Sensor) testLine(l Line) sensor.Finding {
	check := l.Port + ": cable"
	p, err := s.openPort(s.env.Path("dev", l.Port))
	if err != nil {
		return sensor.Found(check, sensor.Fail, err.Error())
	}
	defer func() { _ = p.Close() }()
	state, err := p.Lines()
	switch {
	case err != nil:
		return sensor.Found(check, sensor.Fail, err.Error())
	case !state.counted:
		return sensor.Found(check, sensor.Warning, "this port does not count changes: a cable that is there for less than a second goes unseen")
	case !state.in():
		return sensor.Found(check, sensor.Warning, "no line is driven: nothing is plugged in, or a cable of three wires, which can't be seen")
	}
	return sensor.Found(check, sensor.Pass, "driven: "+strings.Join(state.words(), " "))
}
