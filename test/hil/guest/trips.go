//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/gpio"
	"github.com/interlock-security/interlock/device/spool"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/test/hil/control"
)

// warmUp trips are made and not counted: the kernel's first quarantine loads
// and allocates what all later ones find.
const warmUp = 5

// tripLine is a line that the agent does not watch.
const tripLine = 2

// trips measures the way from the edge to the effect, over and over. A release
// of the real agent takes two persons, and 400 approvals take too long; so it
// is not the agent that is measured but its parts, put together as the agent
// has them: the GPIO driver, the monitor, the reflex, and beside the reflex the
// state that keeps the latch and then the spool.
func (m *machine) trips(t control.Trips) (any, error) {
	dir := filepath.Join(control.StateDir, "trips")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	p, err := newParts(dir)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.monitor.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
		_ = p.reflex.Release()
		_ = p.spool.Close()
	}()
	began := monotonic()
	got, err := m.measure(p, t.Count)
	if err == nil {
		got.Elapsed = since(began)
	}
	return got, err
}

// parts are the device's own packages.
type parts struct {
	dir     string
	monitor *monitor.Monitor
	reflex  *reflex.Controller
	store   *keystore.Store[state]
	spool   *spool.Spool
	told    chan told
	bare    *os.File
}

// state is what must outlive a power cut: the latch.
type state struct {
	Latches []monitor.Latch `json:"latches"`
}

// told is an event that set a latch, and when the sink had it.
type told struct {
	event monitor.Event
	at    time.Duration
}

func newParts(dir string) (*parts, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &parts{dir: dir, told: make(chan told, 16)}
	sealer, err := crypt.OpenHost(dir)
	if err != nil {
		return nil, err
	}
	clock := core.SystemClock{}
	if p.store, err = keystore.Open[state](keystore.Options{Dir: dir, Sealer: sealer, Clock: clock, Built: clock.Now().Add(-time.Hour)}); err != nil {
		return nil, err
	}
	p.spool, err = spool.Open(spool.Options{
		Dir: filepath.Join(dir, "spool"), Limit: 8 << 20, Clock: clock, Header: func() spool.Header { return spool.Header{} },
		Sign: func([]byte) (*link.Envelope, error) { return nil, errors.New("nothing is sent from here") },
	})
	if err != nil {
		return nil, err
	}
	if p.bare, err = os.Create(filepath.Join(dir, "bare")); err != nil {
		return nil, err
	}
	if err := p.bare.Truncate(1 << 20); err != nil {
		return nil, err
	}
	p.reflex = reflex.New(reflex.NFT{}, allow)
	return p, p.sense(clock)
}

// allow is what a quarantine leaves open: a server, as in the real one.
func allow() reflex.Allow {
	return reflex.Allow{Servers: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(control.GuestServer), 7443)}}
}

// sense puts the driver under the monitor. The debounce is the least that the
// kernel can be asked for: how long a contact must be open is the owner's
// choice and no latency.
func (p *parts) sense(clock core.Clock) error {
	lines := []gpio.Line{{Name: "trip", Chip: chipLabel, Offset: tripLine, Debounce: time.Millisecond}}
	driver, err := gpio.New(sensor.Env{ID: core.MustID[core.SensorID]("case"), Clock: clock}, gpio.Config{Lines: lines})
	if err != nil {
		return err
	}
	p.monitor, err = monitor.New(monitor.Config{
		Sensors: []sensor.Sensor{driver}, Clock: clock, Log: slog.New(slog.DiscardHandler),
		Sink: func(e monitor.Event) {
			if e.Latch != nil {
				p.told <- told{e, monotonic()}
			}
		},
	})
	return err
}

// measure makes the trips, each beside the bare work that it is compared with,
// so that both meet the same machine.
func (m *machine) measure(p *parts, count int) (*control.Tripped, error) {
	if err := wait("the sensor", func() bool { return p.monitor.Statuses()[0].State == core.SensorOK }); err != nil {
		return nil, err
	}
	var all control.Tripped
	for i := range warmUp + count {
		var one control.Tripped
		if err := errors.Join(p.bareWork(&one), m.trip(p, i, &one), m.rearm(p)); err != nil {
			return nil, fmt.Errorf("trip %d: %w", i, err)
		}
		if i < warmUp {
			continue
		}
		all.Event = append(all.Event, one.Event...)
		all.Kernel = append(all.Kernel, one.Kernel...)
		all.Contained = append(all.Contained, one.Contained...)
		all.Durable = append(all.Durable, one.Durable...)
		all.Both = append(all.Both, one.Both...)
		all.Fsync = append(all.Fsync, one.Fsync...)
		all.Apply = append(all.Apply, one.Apply...)
	}
	return &all, nil
}

// bareWork is one small write with its fsync, in place in a file that was
// made before, and one transaction of the same rules: what no implementation
// can do without.
func (p *parts) bareWork(one *control.Tripped) error {
	record := make([]byte, 512)
	began := monotonic()
	if _, err := p.bare.Write(record); err != nil {
		return err
	}
	if err := p.bare.Sync(); err != nil {
		return err
	}
	one.Fsync = []int64{since(began)}
	began = monotonic()
	if err := (reflex.NFT{}).Apply(allow()); err != nil {
		return err
	}
	one.Apply = []int64{since(began)}
	return reflex.NFT{}.Remove()
}

func since(began time.Duration) int64 { return (monotonic() - began).Microseconds() }

// trip opens the line and does with the event what the agent does: the reflex
// at once, and beside it the latch into the state and then the event into the
// spool, each durable.
func (m *machine) trip(p *parts, number int, one *control.Tripped) error {
	began := monotonic()
	if err := m.chip.pull(tripLine, true); err != nil {
		return err
	}
	var t told
	select {
	case t = <-p.told:
	case <-time.After(patience):
		return errors.New("the monitor told of no latch")
	}
	one.Event = []int64{(t.at - began).Microseconds()}
	if at, ok := kernelTime(t.event); ok {
		one.Kernel = []int64{(at - began).Microseconds()}
	}
	contained := make(chan error, 1)
	go func() {
		e := p.reflex.Contain()
		one.Contained = []int64{since(began)}
		contained <- e.Err
	}()
	err := p.keep(number, t.event)
	one.Durable = []int64{since(began)}
	err = errors.Join(err, <-contained)
	one.Both = []int64{max(one.Contained[0], one.Durable[0])}
	return err
}

// kernelTime is when the kernel saw the edge, by its own word.
func kernelTime(e monitor.Event) (time.Duration, bool) {
	var f struct {
		NS int64 `json:"kernel_ns"`
	}
	err := json.Unmarshal(e.Fields, &f)
	return time.Duration(f.NS), err == nil && f.NS > 0
}

// keep makes the latch durable, then the event.
func (p *parts) keep(number int, e monitor.Event) error {
	err := p.store.Update(func(s *state) error {
		s.Latches = append(s.Latches, *e.Latch)
		return nil
	})
	if err != nil {
		return err
	}
	return p.spool.Append(link.DeviceEvent{
		ID: core.NewUUID(e.At), Time: e.At.UnixMicro(), Class: e.Class, Type: e.Type, Severity: e.Severity,
		Sensor: e.Sensor.String(), State: e.State, Latch: e.Latch.ID, Fields: e.Fields,
	})
}

// rearm puts everything back, which is no part of any figure. One opening is
// one latch; a second one would be a fault.
func (m *machine) rearm(p *parts) error {
	if err := m.chip.pull(tripLine, false); err != nil {
		return err
	}
	if err := wait("the closed line", func() bool { return len(p.monitor.Statuses()[0].Active) == 0 }); err != nil {
		return err
	}
	if len(p.told) > 0 {
		return errors.New("one opening set two latches")
	}
	var ids []string
	for _, l := range p.monitor.Latches() {
		ids = append(ids, l.ID)
	}
	p.monitor.Release(ids)
	err := p.store.Update(func(s *state) error {
		s.Latches = nil
		return nil
	})
	return errors.Join(err, p.reflex.Release().Err)
}
