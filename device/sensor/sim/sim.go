// Package sim is a sensor that reads a script: for demonstrations, drills and
// the tests of everything behind it. It can also be broken in the ways in which
// hardware breaks: silent, frozen, failing, panicking, flapping.
//
// Whatever it says is marked simulated, by the driver and again by the monitor,
// and nothing can clear that mark. It refuses to load beside a real enrolment
// (TRUST F25): a fake sensor on a live device is the first thing that an
// intruder would want.
package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	beatEvery  = time.Second
	maxSilence = 5 * time.Second
)

// Options say where the readings come from and beside what they run.
type Options struct {
	// Script is played from the first line each time the sensor starts.
	Script []Step
	// Socket is the path of a unix socket (0600) that takes further steps, one
	// JSON object a line; "" for none.
	Socket string
	// Enrolled says that this machine is enrolled at an installation.
	Enrolled bool
	// Demo says that the enrolment, if any, was made for a demonstration.
	Demo bool
	// NoLatch makes alarms pass by themselves.
	NoLatch bool
}

// Sensor is a simulated sensor; see [New].
type Sensor struct {
	id    core.SensorID
	clock core.Clock
	opts  Options
	feed  chan Step
}

// New returns a simulated sensor, or an error of kind denied beside a real
// enrolment.
func New(id core.SensorID, clock core.Clock, o Options) (*Sensor, error) {
	if o.Enrolled && !o.Demo {
		return nil, core.E(core.KindDenied, "sim.New", fmt.Sprintf("sensor %s is simulated and this machine is enrolled for real", id)).
			WithHint("remove the simulated sensor from the configuration, or enrol a machine for demonstrations")
	}
	return &Sensor{id: id, clock: clock, opts: o, feed: make(chan Step, 256)}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "simulator", Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent,
		MaxSilence: maxSilence, Latches: !s.opts.NoLatch, Lively: true, Simulated: true,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// Feed plays one more step, as the socket does. It blocks while 256 wait.
func (s *Sensor) Feed(ctx context.Context, step Step) error {
	if err := step.validate(); err != nil {
		return err
	}
	select {
	case s.feed <- step:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run implements [sensor.Sensor].
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed, err := s.listen(ctx)
	if err != nil {
		return err
	}
	p := &player{clock: s.clock, emit: func(r sensor.Reading) { r.Simulated = true; emit(r) }}
	p.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "simulator", "steps": len(s.opts.Script)}),
	})
	p.beat()
	for _, step := range s.opts.Script {
		if err := p.play(ctx, step); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return p.serve(ctx, s.feed, failed)
}

// listen takes steps from the socket, if there is one.
func (s *Sensor) listen(ctx context.Context) (<-chan error, error) {
	failed := make(chan error, 1)
	if s.opts.Socket == "" {
		return failed, nil
	}
	if err := os.Remove(s.opts.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, core.Wrap(core.KindUnavailable, "sim.Run", err)
	}
	l, err := net.Listen("unix", s.opts.Socket)
	if err == nil {
		err = os.Chmod(s.opts.Socket, 0o600)
	}
	if err != nil {
		return nil, core.Wrap(core.KindUnavailable, "sim.Run", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() { failed <- s.accept(ctx, l) }()
	return failed, nil
}

func (s *Sensor) accept(ctx context.Context, l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.read(ctx, c)
	}
}

// read answers each line with "ok" or what is wrong with it.
func (s *Sensor) read(ctx context.Context, c net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer c.Close()
	lines := bufio.NewScanner(c)
	lines.Buffer(make([]byte, 0, 512), maxLine)
	for lines.Scan() {
		answer := "ok\n"
		step, err := ParseStep(lines.Bytes())
		if err == nil {
			err = s.Feed(ctx, step)
		}
		if err != nil {
			answer = err.Error() + "\n"
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// player turns steps into readings.
type player struct {
	clock  core.Clock
	emit   func(sensor.Reading)
	sample uint64
	silent bool
	frozen bool
}

// beat is the sign of life, with a live value that moves unless it is frozen.
func (p *player) beat() {
	if p.silent {
		return
	}
	if !p.frozen {
		p.sample++
	}
	p.emit(sensor.Reading{Kind: sensor.Beat, Sample: p.sample})
}

func (p *player) serve(ctx context.Context, feed <-chan Step, failed <-chan error) error {
	tick := p.clock.After(beatEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case step := <-feed:
			if err := p.play(ctx, step); err != nil {
				return err
			}
		case <-tick:
			p.beat()
			tick = p.clock.After(beatEvery)
		}
	}
}

// play runs one step. The faults end the run the way in which a driver would.
func (p *player) play(ctx context.Context, s Step) error {
	switch s.Do {
	case "level":
		p.level(s, s.Active)
	case "pulse":
		p.emit(sensor.Reading{Kind: sensor.Pulse, Point: sensor.Text(s.Point), Type: s.Type, Alarm: s.Alarm, Severity: s.Severity, Sample: p.sample})
	case "flap":
		p.flap(ctx, s)
	case "wait":
		p.wait(ctx, time.Duration(s.MS)*time.Millisecond)
	case "beat":
		p.silent, p.frozen = false, false
		p.beat()
	case "silence":
		p.silent = true
	case "frozen":
		p.frozen = true
	case "error":
		return core.E(core.KindUnavailable, "sim.play", "simulated failure: "+s.Why)
	case "panic":
		panic("simulated: " + s.Why)
	case "end":
		return errEnded
	}
	return nil
}

// errEnded is a driver that just stops; the monitor takes that for a fault.
var errEnded = core.E(core.KindUnavailable, "sim.play", "the simulated sensor stopped")

func (p *player) level(s Step, active bool) {
	p.sample++
	p.emit(sensor.Reading{
		Kind: sensor.Level, Point: sensor.Text(s.Point), Active: active, Alarm: true, Type: s.Type, Clear: s.Clear,
		Severity: s.Severity, Sample: p.sample,
	})
}

func (p *player) flap(ctx context.Context, s Step) {
	for i := range s.Times {
		p.level(s, i%2 == 0)
		if p.wait(ctx, time.Duration(s.MS)*time.Millisecond); ctx.Err() != nil {
			return
		}
	}
}

// wait lets time pass and keeps the sign of life going.
func (p *player) wait(ctx context.Context, d time.Duration) {
	for d > 0 && ctx.Err() == nil {
		part := min(d, beatEvery)
		select {
		case <-p.clock.After(part):
		case <-ctx.Done():
		}
		if d -= part; part == beatEvery {
			p.beat()
		}
	}
}
