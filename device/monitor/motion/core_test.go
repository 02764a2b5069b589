package motion_test

import (
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

var imu = core.MustID[core.SensorID]("imu")

// watched is a monitor with one accelerometer under the judge.
func watched(t *testing.T, a core.Arming) (*monitor.Core, func([]sensor.Sample) []monitor.Event) {
	t.Helper()
	c := monitor.NewCore(monitor.Rules{}, monitor.Spec{
		ID: imu, Caps: sensor.Capabilities{Kind: "accelerometer", Latches: true, MaxSilence: 10 * time.Second},
		Judges: []monitor.Named{{Name: "motion", Judge: judge(t, motion.Config{})}},
	})
	begin := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	c.Started(begin, imu)
	c.SetArming(begin, a)
	return c, func(samples []sensor.Sample) (all []monitor.Event) {
		for part := range slices.Chunk(samples, 50) {
			now := begin.Add(part[len(part)-1].At)
			all = append(all, c.Read(now, imu, sensor.Reading{Kind: sensor.Waveform, Wave: &sensor.Wave{Samples: part}})...)
			all = append(all, c.Tick(now)...)
		}
		return all
	}
}

func happening(kind synth.Kind) []sensor.Sample {
	return synth.Make(synth.Config{Rate: 100, Length: 40 * time.Second, Events: []synth.Event{{Kind: kind, At: 8 * time.Second}}})
}

// In the monitor a lift latches once, an alarm ends in words, and what is
// harmless latches nothing.
func TestLatches(t *testing.T) {
	for kind, want := range map[synth.Kind]int{synth.Lift: 1, synth.Tilt: 1, synth.Drop: 1, synth.Knock: 0, synth.Earthquake: 0, synth.Footsteps: 0} {
		c, read := watched(t, core.Armed)
		all := read(happening(kind))
		if latches := c.Latches(); len(latches) != want {
			t.Errorf("%s: %d latches", kind, len(latches))
		}
		over := slices.ContainsFunc(all, func(e monitor.Event) bool { return e.Type == motion.EventOver })
		if over != (want == 1) {
			t.Errorf("%s: told to be over: %v", kind, over)
		}
	}
}

// In transport a carry is the purpose, a fall is not; disarmed neither is an alarm.
func TestTransportInTheMonitor(t *testing.T) {
	for _, c := range []struct {
		kind   synth.Kind
		arming core.Arming
		want   int
	}{
		{synth.Carry, core.Transport, 0},
		{synth.Drop, core.Transport, 1},
		{synth.Drop, core.Disarmed, 0},
		{synth.Carry, core.Armed, 1},
	} {
		m, read := watched(t, c.arming)
		if read(happening(c.kind)); len(m.Latches()) != c.want {
			t.Errorf("%s while %s: %d latches, want %d", c.kind, c.arming, len(m.Latches()), c.want)
		}
	}
}

// A sensor without noise is a fault, and works again when it has some.
func TestFrozenInTheMonitor(t *testing.T) {
	c, read := watched(t, core.Armed)
	read(synth.Make(synth.Config{Rate: 50, Length: time.Minute, Frozen: 5 * time.Second}))
	if s := c.Statuses()[0]; s.State != core.SensorFault {
		t.Errorf("frozen: %+v", s)
	}
	again := synth.Make(synth.Config{Rate: 50, Length: 2 * time.Second})
	for i := range again {
		again[i].At += time.Minute
	}
	read(again)
	if s := c.Statuses()[0]; s.State == core.SensorFault {
		t.Errorf("alive again: %+v", s)
	}
}
