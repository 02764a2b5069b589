package neighbour_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/known"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/internal/sensortest"
	"github.com/interlock-security/interlock/device/sensor/neighbour"
	"github.com/interlock-security/interlock/device/sensor/neighbour/frametest"
)

// house is a monitor over the lab: the driver and the judge as the agent puts
// them together, on the machine's own clock.
type house struct {
	*lab
	m      *monitor.Monitor
	events chan monitor.Event
	kept   map[string][]byte
	stop   func()
}

var segment = core.MustID[core.SensorID]("segment")

func (l *lab) house(memory map[string][]byte) *house {
	l.t.Helper()
	driver, err := neighbour.New(sensor.Env{ID: segment, Clock: core.SystemClock{}}, neighbour.Config{Interfaces: []string{"eth0"}})
	l.Must(err)
	judge, err := known.New(known.Config{Learn: -1, Alarm: true})
	l.Must(err)
	h := &house{lab: l, events: make(chan monitor.Event, 4096), kept: map[string][]byte{}}
	h.m, err = monitor.New(monitor.Config{
		Sensors: []sensor.Sensor{sensortest.Inside{Sensor: driver, Namespace: l.device}}, Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler),
		Judges: map[core.SensorID][]monitor.Named{segment: {{Name: "known", Judge: judge}}},
		Memory: map[core.SensorID]map[string][]byte{segment: memory},
		Keep:   func(_ core.SensorID, memory map[string][]byte) error { h.kept = memory; return nil },
		Sink:   func(e monitor.Event) { h.events <- e },
	})
	l.Must(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.m.Run(ctx) }()
	h.stop = func() {
		stop()
		l.Must(<-ended)
	}
	l.t.Cleanup(stop)
	h.event("inventory")
	return h
}

// event returns the first event of a type, and what else was said before it.
func (h *house) event(kind string) (monitor.Event, []string) {
	h.t.Helper()
	var others []string
	deadline := time.After(3 * time.Minute)
	for {
		select {
		case e := <-h.events:
			if e.Type == kind {
				return e, others
			}
			others = append(others, e.Type)
		case <-deadline:
			h.t.Fatalf("no %s; said %v", kind, others)
		}
	}
}

func TestANewStationIsToldAcceptedAndKnownAfterARestart(t *testing.T) {
	l := emptyLab(t)
	h := l.house(nil)
	l.send(frametest.ARP(mac1, ip("192.0.2.21"), own))
	e, _ := h.event("neighbour_new")
	if e.State != core.SensorAlarm || !strings.Contains(string(e.Fields), mac1.String()) {
		t.Errorf("%+v %s", e, e.Fields)
	}
	sum := fields(t, sensor.Reading{Fields: e.Fields})["sha256"].(string)
	if err := h.m.Accept(segment, strings.Repeat("0", 64)); core.KindOf(err) != core.KindConflict {
		t.Errorf("another list: %v", err)
	}
	l.Must(h.m.Accept(segment, sum))
	h.stop()

	again := l.house(h.kept)
	l.send(frametest.ARP(mac1, ip("192.0.2.21"), own))
	l.send(frametest.ARP(mac2, ip("192.0.2.22"), own))
	if e, before := again.event("neighbour_new"); !strings.Contains(string(e.Fields), mac2.String()) {
		t.Errorf("%s, before it %v", e.Fields, before)
	}
	for i := range uint32(300) {
		mac := binary.BigEndian.AppendUint32(net.HardwareAddr{0x02, 0x66}, i)
		l.send(frametest.ARP(mac, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), own))
	}
	e, before := again.event("identity_flood")
	if e.Severity != core.SeverityHigh || e.State != core.SensorAlarm || len(before) > 40 {
		t.Errorf("%+v after %d events", e, len(before))
	}
	for _, s := range again.m.Statuses() {
		if s.Why != "" {
			t.Errorf("%+v", s)
		}
	}
	again.stop()
}
