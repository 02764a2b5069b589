package gpio

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

// Drive is an output line that is wired so that it opens the loop of an input:
// through a transistor in the loop, say. It is how a contact that was welded or
// bridged is found before somebody relies on it.
type Drive struct {
	// Chip and Offset are the output line, as those of an input are.
	Chip   string `yaml:"chip"`
	Offset uint32 `yaml:"offset"`
	// Active is the electrical level that opens the loop: high (the default) or
	// low.
	Active string `yaml:"active,omitempty"`
}

func (d Drive) check() error {
	return Line{Name: "drive", Chip: d.Chip, Offset: d.Offset, Active: d.Active}.check()
}

const (
	// driveStep is how often a driven line is looked at, driveMargin how long it
	// has beyond its debounce.
	driveStep   = 5 * time.Millisecond
	driveMargin = 250 * time.Millisecond
)

// trial is a self-test that a run carries out: the lines are its own.
type trial struct {
	done chan []sensor.Finding
}

// SelfTest implements [sensor.SelfTester]. Where Run is running it takes turns
// with it, at most one look later, so that what it drives is not taken for an
// opening.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	t := trial{done: make(chan []sensor.Finding, 1)}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		return s.testAlone(ctx)
	case s.trials <- t:
	case <-ctx.Done():
		return s.untried("there was no time for it")
	}
	select {
	case found := <-t.done:
		return found
	case <-ctx.Done():
		return s.untried("the driver did not answer in time")
	}
}

func (s *Sensor) untried(why string) (all []sensor.Finding) {
	for _, l := range s.lines {
		all = append(all, sensor.Found(l.Name+": drive-back", sensor.Untried, why))
	}
	return all
}

// testAlone tests while nothing watches.
func (s *Sensor) testAlone(ctx context.Context) []sensor.Finding {
	w := &watch{sensor: s, kernel: s.kernel, emit: func(sensor.Reading) {}}
	defer w.close()
	if err := w.open(); err != nil {
		return []sensor.Finding{sensor.Found("lines", sensor.Fail, err.Error())}
	}
	return w.selfTest(ctx)
}

// serveTrial tests if somebody asked for it.
func (w *watch) serveTrial(ctx context.Context) (tested bool) {
	select {
	case t := <-w.sensor.trials:
		t.done <- w.selfTest(ctx)
		return true
	default:
		return false
	}
}

func (w *watch) selfTest(ctx context.Context) (all []sensor.Finding) {
	for _, in := range w.inputs {
		check := in.Name + ": drive-back"
		if in.Drive == nil {
			all = append(all, sensor.Found(check, sensor.Untried, "the wiring allows no drive-back; only an opening shows that this contact is not stuck"))
			continue
		}
		w.emit(sensor.Reading{Kind: sensor.Beat}) // many lines take longer than a watch may be silent
		result, why := w.driveBack(ctx, in)
		found := sensor.Found(check, result, why)
		found.Drives = true
		all = append(all, found)
		switch result {
		case sensor.Fail:
			w.sensor.stuck[in.Name] = found.Why
		case sensor.Pass:
			delete(w.sensor.stuck, in.Name)
		case sensor.Warning, sensor.Untried:
		}
	}
	return all
}

// driveBack opens the loop of a calm line and sees it open and close again.
func (w *watch) driveBack(ctx context.Context, in *input) (result sensor.Result, why string) {
	if calm, err := w.calm(in); err != nil {
		return sensor.Fail, err.Error()
	} else if !calm {
		return sensor.Untried, "the line is not calm now, so nothing can be said about its contact"
	}
	fd, err := w.requestOutput(*in.Drive)
	if err != nil {
		return sensor.Untried, "its drive line: " + err.Error()
	}
	defer func() {
		_ = w.kernel.Close(fd) // the kernel lets go of the line
		w.forget(in)
	}()
	if err := w.set(fd, true); err != nil {
		return sensor.Untried, "its drive line: " + err.Error()
	}
	opened, took, err := w.becomes(ctx, in, false)
	if off := w.set(fd, false); off != nil && err == nil {
		err = off
	}
	if err != nil {
		return sensor.Fail, err.Error()
	}
	if !opened {
		return sensor.Fail, fmt.Sprintf("stuck: the line stays calm although its loop was opened for %s", took)
	}
	closed, _, err := w.becomes(ctx, in, true)
	switch {
	case err != nil:
		return sensor.Fail, err.Error()
	case !closed:
		return sensor.Fail, "the line opened and did not come back"
	}
	return sensor.Pass, fmt.Sprintf("opened within %s and came back", took)
}

// becomes waits until a line is calm, or is not.
func (w *watch) becomes(ctx context.Context, in *input, calm bool) (is bool, took time.Duration, err error) {
	limit := in.Line.debounce() + driveMargin
	for took = 0; took <= limit; took += driveStep {
		now, err := w.calm(in)
		if err != nil || now == calm {
			return now == calm, took, err
		}
		select {
		case <-w.sensor.clock.After(driveStep):
		case <-ctx.Done():
			return false, took, core.Wrap(core.KindUnavailable, "gpio.SelfTest", ctx.Err())
		}
	}
	return false, took, nil
}

func (w *watch) calm(in *input) (bool, error) {
	arg := valuesOfOne()
	if err := w.kernel.Ioctl(in.fd, ioctlGetValues, arg); err != nil {
		return false, core.Wrap(core.KindUnavailable, "gpio.SelfTest", fmt.Errorf("read line %s: %w", in.Name, err))
	}
	return !in.alarming(valueOf(arg)), nil
}

// requestOutput asks the kernel for a line to drive; it begins inactive.
func (w *watch) requestOutput(d Drive) (int, error) {
	chip, _, info, err := w.find(d.Chip)
	if err != nil {
		return -1, err
	}
	defer func() { _ = w.kernel.Close(chip) }()
	if d.Offset >= info.lines {
		return -1, core.E(core.KindInvalid, "gpio.SelfTest", fmt.Sprintf("the chip has %d lines; there is no line %d", info.lines, d.Offset))
	}
	flags := uint64(flagOutput)
	if d.Active == "low" {
		flags |= flagActiveLow
	}
	arg := request(d.Offset, flags, 0)
	if err := w.kernel.Ioctl(chip, ioctlGetLine, arg); err != nil {
		return -1, core.Wrap(core.KindUnavailable, "gpio.SelfTest", err)
	}
	return requestFD(arg), nil
}

func (w *watch) set(fd int, active bool) error {
	arg := valuesOfOne()
	if active {
		native.PutUint64(arg[0:], 1)
	}
	if err := w.kernel.Ioctl(fd, ioctlSetValues, arg); err != nil {
		return core.Wrap(core.KindUnavailable, "gpio.SelfTest", err)
	}
	return nil
}

// forget takes the edges that the test made from the kernel. How the line is
// after it, the next look tells.
func (w *watch) forget(in *input) {
	for in.edges {
		revents, err := w.kernel.Poll([]int{in.fd}, -1, 0)
		if err != nil || revents[0]&unix.POLLIN == 0 {
			return
		}
		b := make([]byte, maxRun*sizeEvent)
		n, err := w.kernel.Read(in.fd, b)
		if err != nil || n <= 0 || n > len(b) {
			return // the watch finds what is wrong
		}
		edges, err := parseEdges(b[:n])
		if err != nil {
			return
		}
		for _, e := range edges {
			in.seqno = e.seqno
		}
	}
}
