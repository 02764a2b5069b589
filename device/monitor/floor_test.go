package monitor_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/enclosure"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/sim"
)

// say plays a statement at a sensor now.
func (f *floor) say(name, line string) {
	f.t.Helper()
	if err := f.sims[name].Say(f.t.Context(), line); err != nil {
		f.t.Fatal(err)
	}
}

// TestACaseWithOneDriverKilled runs two drivers and a case of them: one driver is
// killed, in each way, and the other still opens the case.
func TestACaseWithOneDriverKilled(t *testing.T) {
	for _, fault := range []string{"panic index", "fail bus gone", "drop", "freeze"} {
		t.Run(fault, func(t *testing.T) {
			theCase, err := enclosure.New(enclosure.Config{})
			if err != nil {
				t.Fatal(err)
			}
			f := &floor{t: t, clock: clocktest.New(epoch), sims: map[string]*sim.Sensor{}, more: make(chan struct{}, 1)}
			var sensors []sensor.Sensor
			for _, n := range []string{"lid", "board"} {
				s, err := sim.New(sid(n), f.clock, sim.Options{})
				if err != nil {
					t.Fatal(err)
				}
				f.sims[n], sensors = s, append(sensors, s)
			}
			f.m, err = monitor.New(monitor.Config{
				Sensors: sensors, Clock: f.clock, Sink: f.sink, Log: slog.New(slog.DiscardHandler),
				Fusions: []monitor.Fused{{ID: sid("case"), Name: "enclosure", Of: of("lid", "board"), Fusion: theCase}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- f.m.Run(ctx) }()
			defer func() { cancel(); <-done }()
			f.await("all is well", func() bool { return f.state("case") == core.SensorOK })
			f.say("lid", fault)
			f.await("the lid is lost, and the case says so", func() bool {
				return f.count("lid", "sensor_lost") == 1 && f.count("case", "fusion_degraded") == 1
			})
			f.say("board", "open chassis")
			f.await("the other opens the case", func() bool { return f.count("case", "case_intrusion") == 1 })
			latches := f.m.Latches()
			if len(latches) != 1 || latches[0].Sensor != sid("case") || !latches[0].Simulated {
				t.Errorf("latches %+v", latches)
			}
			f.await("the lid is back, and the case whole", func() bool { return f.count("lid", "sensor_back") >= 1 && f.count("case", "fusion_whole") >= 1 })
		})
	}
}

// A scenario is played at the pace of the machine's clock.
func TestAScenarioRunsByTheClock(t *testing.T) {
	script, err := sim.ParseScript([]byte("at 00:00:05 pulse lid as seen quiet\nat 00:00:20 open lid"))
	if err != nil {
		t.Fatal(err)
	}
	f := &floor{t: t, clock: clocktest.New(epoch), more: make(chan struct{}, 1)}
	s, err := sim.New(sid("lid"), f.clock, sim.Options{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	f.m, err = monitor.New(monitor.Config{Sensors: []sensor.Sensor{s}, Clock: f.clock, Sink: f.sink, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.m.Run(ctx) }()
	defer func() { cancel(); <-done }()
	f.await("the opening", func() bool { return len(f.m.Latches()) == 1 })
	if at := f.clock.Now().Sub(epoch); f.count("lid", "case_intrusion") != 1 || f.count("lid", "seen") != 1 || at < 20*time.Second {
		t.Errorf("%d openings, the latch after %s", f.count("lid", "case_intrusion"), at)
	}
}
