// Package gpio is the driver for contacts that are wired to GPIO lines: the
// switch under a lid, a loop through the screws, a door. It speaks the kernel's
// GPIO interface itself (uAPI version 2). The kernel watches the edges and
// debounces them; the driver reads every line when it starts, so that a case
// that is open already alarms, and again every few seconds, so that a chip that
// died is not taken for a calm one.
//
// A chip that goes away while its lines are watched is tampering, not a read
// error. Edges that the kernel had to drop are told.
package gpio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	lookEvery  = 5 * time.Second
	maxSilence = 30 * time.Second
	// pollEvery is how often a line is read whose chip has no interrupts.
	pollEvery = 20 * time.Millisecond
	// maxRun is how many edges are taken from a line before others have their
	// turn.
	maxRun = 16
)

// Sensor watches lines; see [New].
type Sensor struct {
	id     core.SensorID
	lines  []Line
	clock  core.Clock
	kernel kernel
	// had are the chips whose lines were watched. It outlives a run: a chip that
	// goes while the driver is being restarted has gone all the same.
	had map[string]bool
	// turn is taken by whoever has the lines: a run, or a self-test without one.
	turn   chan struct{}
	trials chan trial // self-tests for the run that has them
	// stuck are lines that failed a self-test, and why. They are faults until they
	// pass one, or are seen to open. Whoever has the turn has it.
	stuck map[string]string
}

// New returns a driver for the configured lines.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sensor{id: env.ID, lines: slices.Clone(c.Lines), clock: env.Clock, kernel: linux{}, had: map[string]bool{}, turn: make(chan struct{}, 1), trials: make(chan trial), stuck: map[string]string{}}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor]. Its debounce is for lines whose chip
// has no interrupts, which the kernel can't debounce.
func (s *Sensor) Capabilities() sensor.Capabilities {
	caps := sensor.Capabilities{
		Kind: "gpio", Needs: []sensor.Need{sensor.NeedGPIO}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, MaxSilence: maxSilence, Latches: true,
	}
	for _, l := range s.lines {
		caps.Debounce = max(caps.Debounce, l.debounce())
	}
	return caps
}

// Probe implements [sensor.Sensor]. The lines were named by people: a chip that
// is not there is a fault, never skipped.
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil
	}
	w := &watch{sensor: s, kernel: s.kernel, emit: emit}
	defer w.close()
	if err := w.open(); err != nil {
		return err
	}
	w.inventory()
	return w.follow(ctx)
}

// input is a line that the kernel has given to us.
type input struct {
	Line
	fd       int
	info     chipInfo
	path     string
	debounce time.Duration // by the kernel, 0: the monitor's
	edges    bool          // the kernel tells of edges
	seqno    uint32        // of the last edge
	closed   bool          // as last told
}

// watch is the state of one run.
type watch struct {
	sensor *Sensor
	kernel kernel
	emit   func(sensor.Reading)
	inputs []*input
}

func (w *watch) close() {
	for _, in := range w.inputs {
		_ = w.kernel.Close(in.fd)
	}
}

func (w *watch) open() error {
	for _, l := range w.sensor.lines {
		in, err := w.request(l)
		if err != nil {
			if w.sensor.had[l.Chip] && isGone(err) {
				return w.gone(l, "it was there before, and is not now")
			}
			return err
		}
		w.inputs = append(w.inputs, in)
		w.sensor.had[l.Chip] = true
	}
	return nil
}

// request asks the kernel for one line: with edges and its debounce, or, from a
// chip that has no interrupts, for its level alone.
func (w *watch) request(l Line) (*input, error) {
	chip, path, info, err := w.find(l.Chip)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.kernel.Close(chip) }()
	if l.Offset >= info.lines {
		return nil, core.E(core.KindInvalid, "gpio.Run", fmt.Sprintf("%s (%s) has %d lines; there is no line %d", path, sensor.Text(info.label), info.lines, l.Offset))
	}
	in := &input{Line: l, info: info, path: path, debounce: l.debounce(), edges: true}
	arg := request(l.Offset, l.flags()|flagRising|flagFalling, uint32(l.debounce().Microseconds()))
	err = w.kernel.Ioctl(chip, ioctlGetLine, arg)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EOPNOTSUPP) {
		if !isGone(w.kernel.Ioctl(chip, ioctlChipInfo, make([]byte, sizeChipInfo))) { // the chip is there, it has no interrupts
			in.debounce, in.edges = 0, false
			arg = request(l.Offset, l.flags(), 0)
			err = w.kernel.Ioctl(chip, ioctlGetLine, arg)
		}
	}
	if err != nil {
		return nil, w.refused(chip, in, err)
	}
	in.fd = requestFD(arg)
	return in, nil
}

// refused says who has the line, where the kernel knows.
func (w *watch) refused(chip int, in *input, err error) error {
	why := fmt.Errorf("line %s (%d of %s): %w", in.Name, in.Offset, in.path, err)
	info := lineInfoOf(in.Offset)
	if errors.Is(err, unix.EBUSY) && w.kernel.Ioctl(chip, ioctlLineInfo, info) == nil {
		if who, used := lineUser(info); used {
			why = fmt.Errorf("%w: %q has it", why, sensor.Text(who))
		}
	}
	return core.Wrap(core.KindUnavailable, "gpio.Run", why)
}

// find opens the chip that a path, a name or a label stands for. A label that
// two chips have stands for none of them.
func (w *watch) find(chip string) (fd int, path string, info chipInfo, err error) {
	if strings.HasPrefix(chip, "/") {
		fd, info, err = w.openChip(chip)
		return fd, chip, info, err
	}
	fd = -1
	for _, p := range w.kernel.Devices() {
		next, i, err := w.openChip(p)
		switch {
		case err != nil:
		case i.label != chip && i.name != chip:
			_ = w.kernel.Close(next)
		case fd >= 0:
			_, _ = w.kernel.Close(fd), w.kernel.Close(next)
			return -1, "", info, core.E(core.KindConflict, "gpio.Run", fmt.Sprintf("%s and %s are both called %q", path, p, chip)).WithHint("name the chip by the path of its device")
		default:
			fd, path, info = next, p, i
		}
	}
	if fd < 0 {
		return -1, "", info, core.Wrap(core.KindNotFound, "gpio.Run", fmt.Errorf("no GPIO chip is called %q: %w", chip, unix.ENODEV))
	}
	return fd, path, info, nil
}

func (w *watch) openChip(path string) (int, chipInfo, error) {
	fd, err := w.kernel.Open(path)
	if err != nil {
		return -1, chipInfo{}, core.Wrap(core.KindUnavailable, "gpio.Run", fmt.Errorf("open %s: %w", path, err))
	}
	b := make([]byte, sizeChipInfo)
	if err := w.kernel.Ioctl(fd, ioctlChipInfo, b); err != nil {
		_ = w.kernel.Close(fd)
		return -1, chipInfo{}, core.Wrap(core.KindUnavailable, "gpio.Run", fmt.Errorf("%s is no GPIO chip: %w", path, err))
	}
	return fd, parseChipInfo(b), nil
}

func (w *watch) inventory() {
	list := make([]map[string]any, 0, len(w.inputs))
	for _, in := range w.inputs {
		fields := in.fields()
		fields["contact"], fields["edges"], fields["kernel_debounce_us"] = in.contact(), in.edges, in.debounce.Microseconds()
		list = append(list, fields)
	}
	w.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "gpio-lines", "lines": list}),
	})
}

func (in *input) contact() string {
	if in.Contact == ContactNO {
		return ContactNO
	}
	return ContactNC
}

func (in *input) fields() map[string]any {
	return map[string]any{"line": in.Name, "chip": sensor.Text(in.info.label), "device": in.path, "offset": in.Offset}
}

// follow reads every line, then what the kernel tells, until ctx ends.
func (w *watch) follow(ctx context.Context) error {
	wake, stop, err := waker(ctx)
	if err != nil {
		return err
	}
	defer stop()
	fds, limit := w.descriptors()
	var looked time.Time
	for ctx.Err() == nil {
		now := w.sensor.clock.Now()
		full := w.serveTrial(ctx) || looked.IsZero() || now.Sub(looked) >= lookEvery || now.Before(looked) // the clock may have been set
		if full {
			looked = now
		}
		if err := w.look(full); err != nil {
			return err
		}
		revents, err := w.kernel.Poll(fds, wake, min(limit, looked.Add(lookEvery).Sub(now)))
		if err != nil {
			return core.Wrap(core.KindUnavailable, "gpio.Run", fmt.Errorf("wait for edges: %w", err))
		}
		if err := w.ready(revents); err != nil {
			return err
		}
	}
	return nil
}

// descriptors returns what to wait for, and how long at most.
func (w *watch) descriptors() (fds []int, limit time.Duration) {
	limit = lookEvery
	for _, in := range w.inputs {
		fd := in.fd
		if !in.edges {
			fd, limit = -1, pollEvery // poll(2) passes over it
		}
		fds = append(fds, fd)
	}
	return fds, limit
}

// waker returns a descriptor that is readable once ctx ends.
func waker(ctx context.Context) (fd int, stop func(), err error) {
	r, p, err := os.Pipe()
	if err != nil {
		return -1, nil, core.Wrap(core.KindUnavailable, "gpio.Run", err)
	}
	undo := context.AfterFunc(ctx, func() { _ = p.Close() })
	return int(r.Fd()), func() {
		undo()
		_, _ = p.Close(), r.Close()
	}, nil
}

// look reads the level of every line, or, between times, of those that the
// kernel tells no edges of.
func (w *watch) look(full bool) error {
	for _, in := range w.inputs {
		if in.edges && !full {
			continue
		}
		arg := valuesOfOne()
		switch err := w.kernel.Ioctl(in.fd, ioctlGetValues, arg); {
		case isGone(err):
			return w.gone(in.Line, err.Error())
		case err != nil:
			return core.Wrap(core.KindUnavailable, "gpio.Run", fmt.Errorf("read line %s: %w", in.Name, err))
		}
		if closed := valueOf(arg); full || closed != in.closed {
			w.level(in, closed, nil)
		}
	}
	if full {
		w.emit(sensor.Reading{Kind: sensor.Beat})
	}
	return nil
}

func (w *watch) ready(revents []int16) error {
	for i, in := range w.inputs {
		if revents[i]&unix.POLLIN != 0 {
			if err := w.take(in); err != nil {
				return err
			}
		}
		if revents[i]&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
			return w.gone(in.Line, fmt.Sprintf("poll says %#x", revents[i]))
		}
	}
	return nil
}

// take reads the edges of one line.
func (w *watch) take(in *input) error {
	b := make([]byte, maxRun*sizeEvent)
	n, err := w.kernel.Read(in.fd, b)
	switch {
	case isGone(err):
		return w.gone(in.Line, err.Error())
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return core.Wrap(core.KindUnavailable, "gpio.Run", fmt.Errorf("read the edges of line %s: %w", in.Name, err))
	case n <= 0 || n > len(b):
		return core.E(core.KindDamaged, "gpio.Run", fmt.Sprintf("line %s gave %d bytes of edges", in.Name, n))
	}
	edges, err := parseEdges(b[:n])
	if err != nil {
		return err
	}
	for _, e := range edges {
		if lost := e.seqno - in.seqno - 1; lost != 0 { // the number may go round
			w.lost(in, lost)
		}
		in.seqno = e.seqno
		w.level(in, e.closed, map[string]any{"kernel_ns": e.at, "seqno": e.seqno})
	}
	return nil
}

func (w *watch) lost(in *input, count uint32) {
	fields := in.fields()
	fields["count"] = count
	w.emit(sensor.Reading{Kind: sensor.Pulse, Point: in.Name, Type: "edges_lost", Severity: core.SeverityHigh, Fields: sensor.Fields(fields)})
}

func (w *watch) level(in *input, closed bool, more map[string]any) {
	in.closed = closed
	if why, stuck := w.sensor.stuck[in.Name]; stuck {
		if !in.alarming(closed) {
			w.emit(sensor.Reading{Kind: sensor.Broken, Point: in.Name, Fields: sensor.Fields(map[string]any{"why": why})})
			return
		}
		delete(w.sensor.stuck, in.Name)
	}
	fields := in.fields()
	fields["closed"] = closed
	for k, v := range more {
		fields[k] = v
	}
	w.emit(sensor.Reading{
		Kind: sensor.Level, Point: in.Name, Active: in.alarming(closed), Alarm: true, Settled: in.debounce > 0,
		Unlatched: in.Latch != nil && !*in.Latch, Type: TypeOpened, Clear: TypeClosed, Severity: in.severity(), Fields: sensor.Fields(fields),
	})
}

// gone tells that a chip went away under the lines that were watched.
func (w *watch) gone(l Line, why string) error {
	delete(w.sensor.had, l.Chip)
	w.emit(sensor.Reading{
		Kind: sensor.Pulse, Point: "chip:" + sensor.Text(l.Chip), Type: "chip_removed", Alarm: true, Severity: core.SeverityCritical,
		Fields: sensor.Fields(map[string]any{"chip": sensor.Text(l.Chip), "line": l.Name, "why": sensor.Text(why)}),
	})
	return core.E(core.KindUnavailable, "gpio.Run", fmt.Sprintf("the GPIO chip %s is gone", sensor.Text(l.Chip)))
}

// isGone tells a chip that went away from one that can't be read.
func isGone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT)
}
