// Package gpsd is the driver for where the device is: it asks the gpsd of the
// machine, which speaks with the receiver, and passes on each position with its
// estimated error and the strengths of the satellites that were used. Whether
// the position is right or wrong the judge says (device/monitor/geofence).
//
// gpsd away is a fault; gpsd without a receiver likewise. A receiver that says
// nothing is stale, and one that finds no satellites says so: a position of mode
// 0.
package gpsd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/sensor"
)

const (
	// DefaultAddress is where gpsd listens.
	DefaultAddress = "127.0.0.1:2947"

	maxSilence  = 30 * time.Second
	lookEvery   = 10 * time.Second
	dialTimeout = 10 * time.Second
	// maxLine bounds one report: a sky of a hundred satellites has 15 kB.
	maxLine = 64 << 10
	// oldSky is how old the satellites may be that go with a position.
	oldSky = 15 * time.Second
	// point is what the position is called.
	point = "position"
)

// watchCommand asks for reports.
const watchCommand = `?WATCH={"enable":true,"json":true};` + "\n"

// Doc describes the driver.
var Doc = sensor.Doc{
	Name: "gpsd", Senses: "where the device is", Interface: "gpsd's JSON over TCP (?WATCH, TPV, SKY)", Latency: sensor.LatencyEvent,
	Tested: []sensor.Tested{sensor.TestedPeer, sensor.TestedSimulator},
}

// Config configures the driver.
type Config struct {
	// Address is gpsd's host and port, 127.0.0.1:2947 where it is left out. gpsd
	// proves nothing about itself: elsewhere than on this machine, whoever has the
	// network says where the device is.
	Address string `yaml:"address,omitempty"`
	// Receiver is the one of gpsd's devices that counts, /dev/ttyACM0 for
	// example. Left out, it is the first that reports.
	Receiver string `yaml:"receiver,omitempty"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Address != "" {
		if host, port, err := net.SplitHostPort(c.Address); err != nil || host == "" || port == "" {
			return core.E(core.KindInvalid, "gpsd.Config", fmt.Sprintf("address %q; a host and a port, as in %s", c.Address, DefaultAddress))
		}
	}
	if sensor.Text(c.Receiver) != c.Receiver {
		return core.E(core.KindInvalid, "gpsd.Config", fmt.Sprintf("receiver %q is no path", c.Receiver))
	}
	return nil
}

// Sensor passes on gpsd's positions; see [New].
type Sensor struct {
	id    core.SensorID
	clock core.Clock
	cfg   Config
}

// New returns a driver that asks one gpsd.
func New(env sensor.Env, c Config) (*Sensor, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Address == "" {
		c.Address = DefaultAddress
	}
	return &Sensor{id: env.ID, clock: env.Clock, cfg: c}, nil
}

// ID implements [sensor.Sensor].
func (s *Sensor) ID() core.SensorID { return s.id }

// Capabilities implements [sensor.Sensor].
func (s *Sensor) Capabilities() sensor.Capabilities {
	return sensor.Capabilities{
		Kind: "position", Needs: []sensor.Need{sensor.NeedService}, Provenance: core.ProvenanceLocal,
		Latency: sensor.LatencyEvent, Delay: time.Second, MaxSilence: maxSilence,
	}
}

// Probe implements [sensor.Sensor]. A gpsd that was configured and isn't there is
// missing, which is a fault and no reason to skip.
func (s *Sensor) Probe() sensor.Presence { return sensor.Present() }

// Run implements [sensor.Sensor]. It ends with the connection; the monitor starts
// it again, with growing pauses.
func (s *Sensor) Run(ctx context.Context, emit func(sensor.Reading)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines, err := s.dial(ctx)
	if err != nil {
		return err
	}
	w := &watch{sensor: s, emit: emit}
	look := s.clock.After(lookEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-lines:
			if l.err != nil && ctx.Err() != nil {
				return nil
			}
			if l.err != nil {
				return core.Wrap(core.KindUnavailable, "gpsd.Run", fmt.Errorf("%s: %w", s.cfg.Address, l.err))
			}
			if err := w.take(l.text); err != nil {
				return err
			}
		case <-look:
			w.look()
			look = s.clock.After(lookEvery)
		}
	}
}

// line is a line of gpsd, or why there are no more.
type line struct {
	text []byte
	err  error
}

// dial connects and has the lines read until ctx ends.
func (s *Sensor) dial(ctx context.Context) (<-chan line, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return nil, core.E(core.KindUnavailable, "gpsd.Run", fmt.Sprintf("no gpsd at %s: %v", s.cfg.Address, err)).WithHint("is gpsd running? systemctl status gpsd")
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, watchCommand); err != nil {
		_ = conn.Close()
		return nil, core.Wrap(core.KindUnavailable, "gpsd.Run", err)
	}
	lines := make(chan line)
	go read(ctx, conn, lines)
	return lines, nil
}

// read hands over lines. One that is longer than any report is the end: gpsd does
// not speak like that.
func read(ctx context.Context, conn net.Conn, lines chan<- line) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReaderSize(conn, maxLine)
	for {
		text, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("a line of more than %d bytes", maxLine)
		}
		l := line{err: err}
		if err == nil {
			l.text = append([]byte(nil), text...)
		}
		select {
		case lines <- l:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// watch is the state of one connection.
type watch struct {
	sensor    *Sensor
	emit      func(sensor.Reading)
	receiver  string // whose reports count, once one came
	receivers bool   // gpsd has said that it has any
	reported  bool   // since the last look
	sky       []float64
	skyAt     time.Time
}

// take takes one line.
func (w *watch) take(text []byte) error {
	r, err := parse(text)
	if err != nil {
		return err
	}
	switch r.Class {
	case "VERSION":
		return w.version(r)
	case "DEVICES":
		w.receivers = len(r.Devices) > 0
		w.inventory(r.Devices)
	case "DEVICE":
		w.receivers = !r.gone()
		if r.gone() && r.Path == w.receiver {
			w.receiver, w.sky = "", nil
		}
	case "SKY":
		if all := r.strengths(); w.counts(r) && len(r.Signals) > 0 {
			w.sky, w.skyAt = all, w.sensor.clock.Now()
		}
	case "TPV":
		w.position(r)
	case "ERROR":
		return core.E(core.KindUnavailable, "gpsd.Run", "gpsd says: "+sensor.Text(r.Message))
	}
	return nil
}

// version refuses another protocol: its reports would mean other things.
func (w *watch) version(r report) error {
	if r.Major != 3 {
		return core.E(core.KindInvalid, "gpsd.Run", fmt.Sprintf("gpsd %s speaks protocol %d.%d; this driver speaks 3", sensor.Text(r.Release), r.Major, r.Minor))
	}
	return nil
}

func (w *watch) inventory(all []device) {
	paths := []string{}
	for _, d := range all[:min(len(all), 16)] {
		paths = append(paths, sensor.Text(d.Path))
	}
	w.emit(sensor.Reading{
		Kind: sensor.Inventory, Type: "inventory", Severity: core.SeverityInfo,
		Fields: sensor.Fields(map[string]any{"kind": "position-receivers", "receivers": paths}),
	})
}

// counts says whether a report is the receiver's. Two receivers are at two
// places, and what is between them moves.
func (w *watch) counts(r report) bool {
	if want := w.sensor.cfg.Receiver; want != "" {
		return r.Device == want
	}
	if w.receiver == "" {
		w.receiver = r.Device
	}
	return r.Device == w.receiver
}

func (w *watch) position(r report) {
	if !w.counts(r) {
		return
	}
	w.receivers, w.reported = true, true
	f, why := r.fix()
	if why != "" {
		w.broken(why)
		return
	}
	if w.sensor.clock.Now().Sub(w.skyAt) <= oldSky {
		f.Signals = w.sky
	}
	w.emit(sensor.Reading{Kind: sensor.Position, Point: point, Fix: &f})
}

// look says that there is no receiver. One that is there and says nothing is
// stale by its silence.
func (w *watch) look() {
	if !w.receivers && !w.reported {
		w.broken("gpsd has no receiver")
	}
	w.reported = false
}

func (w *watch) broken(why string) {
	w.emit(sensor.Reading{Kind: sensor.Broken, Point: point, Fields: sensor.Fields(map[string]any{"why": why})})
}

// testFor is how long a self-test waits for a fix.
const testFor = 15 * time.Second

// SelfTest implements [sensor.SelfTester]: it asks gpsd and waits for a position.
func (s *Sensor) SelfTest(ctx context.Context) []sensor.Finding {
	ctx, stop := context.WithTimeout(ctx, testFor)
	defer stop()
	lines, err := s.dial(ctx)
	if err != nil {
		return []sensor.Finding{sensor.Found("gpsd answers", sensor.Fail, err.Error())}
	}
	answers := sensor.Found("gpsd answers", sensor.Fail, "it said nothing")
	reports := sensor.Found("a receiver reports", sensor.Fail, "no report within "+testFor.String())
	w := &watch{sensor: s, emit: func(sensor.Reading) {}}
	for reports.Result != sensor.Pass {
		select {
		case <-ctx.Done():
			return []sensor.Finding{answers, reports}
		case l := <-lines:
			if l.err == nil {
				l.err = w.take(l.text)
			}
			if l.err != nil {
				return []sensor.Finding{answers, sensor.Found(reports.Check, sensor.Fail, l.err.Error())}
			}
			answers = sensor.Found(answers.Check, sensor.Pass, "")
			if r, err := parse(l.text); err == nil && r.Class == "TPV" && w.counts(r) {
				reports = tested(reports.Check, r)
			}
		}
	}
	return []sensor.Finding{answers, reports}
}

// tested judges one report. That the position is true nobody can test here.
func tested(check string, r report) sensor.Finding {
	f, why := r.fix()
	switch {
	case why != "":
		return sensor.Found(check, sensor.Fail, why)
	case f.Mode == 0:
		return sensor.Found(check, sensor.Warning, "it has no fix: does its antenna see the sky?")
	}
	return sensor.Found(check, sensor.Pass, fmt.Sprintf("mode %d, error %.0f m", f.Mode, f.Error))
}
