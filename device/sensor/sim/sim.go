// Package sim is a sensor that plays a scenario: for demonstrations, drills, the
// tests of everything behind it and people who have no hardware. A scenario says
// in a line of plain words what happens when (docs/reference/scenario.md): a lid
// is opened, a temperature drifts, an accelerometer is shaken. It can also be
// broken in the ways in which hardware breaks: silent, frozen, failing,
// panicking, flapping, as a whole or at one point.
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

// Options say where the readings come from and beside what they run.
type Options struct {
	// Script is played from the beginning each time the sensor starts.
	Script Scenario
	// Socket is the path of a unix socket (0600) that takes further statements,
	// one a line; "" for none.
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
	feed  chan Scenario
}

// New returns a simulated sensor, or an error of kind denied beside a real
// enrolment.
func New(id core.SensorID, clock core.Clock, o Options) (*Sensor, error) {
	if o.Enrolled && !o.Demo {
		return nil, core.E(core.KindDenied, "sim.New", fmt.Sprintf("sensor %s is simulated and this machine is enrolled for real", id)).
			WithHint("remove the simulated sensor from the configuration, or enrol a machine for demonstrations")
	}
	return &Sensor{id: id, clock: clock, opts: o, feed: make(chan Scenario, 256)}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "simulator", Provenance: core.ProvenanceLocal, Latency: sensor.LatencyEvent,
		MaxSilence: silences * s.opts.Script.beatEvery(), Latches: !s.opts.NoLatch, Lively: true, Simulated: true,
	}
}

// Probe implements [sensor.Sensor].
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// silences is how many signs of life may be missing.
const silences = 5

func (s Scenario) beatEvery() time.Duration {
	if s.pace == 0 {
		return defaultPace
	}
	return s.pace
}

// Feed plays one more step now, as the socket does. It blocks while 256 wait.
func (s *Sensor) Feed(ctx context.Context, step Step) error {
	if err := step.validate(); err != nil {
		return err
	}
	all, _ := step.entries()
	return s.put(ctx, Scenario{entries: all})
}

// Say plays one more statement now.
func (s *Sensor) Say(ctx context.Context, line string) error {
	more, err := ParseLine([]byte(line))
	if err != nil {
		return err
	}
	return s.put(ctx, more)
}

func (s *Sensor) put(ctx context.Context, more Scenario) error {
	select {
	case s.feed <- more:
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
	return s.serve(ctx, s.opts.Script.Play(), emit, failed)
}

// serve lets the scenario's time pass with the clock's, and takes what is fed
// meanwhile.
func (s *Sensor) serve(ctx context.Context, p *Player, emit func(sensor.Reading), failed <-chan error) error {
	start := s.clock.Now()
	for {
		if err := s.catchUp(ctx, p, start, emit); err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case more := <-s.feed:
			p.feed(s.clock.Now().Sub(start), more)
		case <-s.clock.After(p.Next() - s.clock.Now().Sub(start)):
		}
	}
}

// catchUp plays what is due. The faults end the run the way in which a driver
// would.
func (s *Sensor) catchUp(ctx context.Context, p *Player, start time.Time, emit func(sensor.Reading)) error {
	for ctx.Err() == nil && p.Next() <= s.clock.Now().Sub(start) {
		m := p.Step()
		for _, r := range m.Readings {
			emit(r)
		}
		if m.Panic != "" {
			panic(m.Panic)
		}
		if m.Fault != nil {
			return m.Fault
		}
	}
	return nil
}

// listen takes statements from the socket, if there is one.
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
		if err := s.Say(ctx, lines.Text()); err != nil {
			answer = err.Error() + "\n"
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}
