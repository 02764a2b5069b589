package monitor_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/monitor/orientation"
	"github.com/interlock-security/interlock/device/monitor/vibration"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/trace/synth"
)

const officeDays = 30

// office is what shakes a machine under a desk, a day: each kind so many times.
// All of it is synthetic.
var office = []struct {
	kind  synth.Kind
	times int
	least float64 // g
	most  float64
}{
	{synth.Footsteps, 24, 0.004, 0.02},
	{synth.Door, 10, 0.02, 0.12},
	{synth.Knock, 4, 0.05, 0.5}, // a chair, a knee
}

// clip is how much of the acceleration around each of them is played; between
// them the machine is at rest, as it is in the first ten seconds and the last.
const clip = 25 * time.Second

// TestThirtyDaysOfOfficeNoise leaves a machine armed for thirty days under a desk
// and lets nothing happen that is an attack: at most one alarm.
func TestThirtyDaysOfOfficeNoise(t *testing.T) {
	t.Parallel()
	h := newHouse(t, epoch, spec("imu", func(s *monitor.Spec) {
		s.Caps.MaxSilence = 24 * time.Hour
		s.Judges = []monitor.Named{
			{Name: "motion", Judge: must[*motion.Judge](t)(motion.New(motion.Config{}))},
			{Name: "vibration", Judge: must[*vibration.Judge](t)(vibration.New(vibration.Config{}))},
			{Name: "orientation", Judge: must[*orientation.Judge](t)(orientation.New(orientation.Config{}))},
		}
	}))
	h.core.Started(h.now, sid("imu"))
	rng := rand.New(rand.NewPCG(1, 30))
	for day := range officeDays {
		for _, e := range oneDay(rng) {
			h.shaken(epoch.Add(time.Duration(day)*24*time.Hour+e.At), e, rng.Uint64())
		}
	}
	h.atMostOne(t)
	if n := h.count("imu", motion.EventKnock); n < officeDays*5 {
		t.Errorf("only %d shocks were told: it was not played", n)
	}
	// And it is not deaf: then somebody takes it away.
	h.shaken(h.now.Add(time.Hour), synth.Event{Kind: synth.Lift}, 7)
	h.until(h.now.Add(time.Minute))
	if len(h.core.Latches()) == 0 {
		t.Error("it was lifted, and nothing latched")
	}
}

// oneDay places the day's events between 8 and 18, each with room around it.
func oneDay(rng *rand.Rand) (all []synth.Event) {
	for _, o := range office {
		for range o.times {
			all = append(all, synth.Event{Kind: o.kind, Level: o.least + (o.most-o.least)*rng.Float64()})
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slot := 10 * time.Hour / time.Duration(len(all))
	for i := range all {
		all[i].At = 8*time.Hour + time.Duration(i)*slot + time.Duration(rng.Int64N(int64(slot-2*clip)))
	}
	return all
}

// shaken plays the acceleration around an event, with the machine's fan in it.
func (h *house) shaken(at time.Time, e synth.Event, seed uint64) {
	h.until(at)
	e.At = 10 * time.Second
	samples := synth.Make(synth.Config{
		Seed: seed, Length: clip, Full: 4, Noise: 0.002,
		Events: []synth.Event{{Kind: synth.Fan, For: clip, Level: 0.004}, e},
	})
	since := at.Sub(h.start)
	for len(samples) > 0 {
		n := min(len(samples), 104)
		run := samples[:n]
		samples = samples[n:]
		for i := range run {
			run[i].At += since
		}
		h.until(h.start.Add(run[n-1].At))
		h.keep(h.core.Read(h.now, sid("imu"), sensor.Reading{Kind: sensor.Waveform, Point: "accel", Lively: true, Wave: &sensor.Wave{Full: 4, Samples: run}}))
	}
}

func (h *house) atMostOne(t *testing.T) {
	t.Helper()
	alarms, all := 0, map[string]int{}
	for _, e := range h.events {
		all[e.Type]++
		if e.Class == core.ClassDetectionFinding {
			alarms++
			t.Logf("%s %s %s %s %s", e.At.Format("2 15:04:05"), e.Sensor, e.Type, e.Severity, e.Fields)
		}
	}
	if alarms > 1 {
		t.Errorf("%d false alarms in %d days; told in all: %v", alarms, officeDays, all)
	}
}

// TestThirtyDaysOfUse is the same for contacts and numbers: a worn case switch
// that bounces, air that warms by day, a rail with noise, cables and neighbours.
func TestThirtyDaysOfUse(t *testing.T) {
	var lid, env strings.Builder
	lid.WriteString("pace 30s\nrepeat 30 every 24h\n")
	env.WriteString("pace 30s\nseed 11\nset ambient 21 Cel noise 0.1 every 30s\nset rail 12 V noise 0.02 every 30s\nrepeat 30 every 24h\n")
	for hour := 8; hour < 18; hour++ {
		lid.WriteString("  after 30m open lid\n  after 18ms close lid\n  after 4ms open lid\n  after 9ms close lid\n  pulse eth0 as carrier_up severity info quiet\n")
	}
	lid.WriteString("done\n")
	env.WriteString("  after 7h drift ambient to 29 Cel over 8h\n  after 9h drift ambient to 21 Cel over 6h\ndone\n")
	h := newHouse(t, epoch, spec("lid", func(s *monitor.Spec) { s.Caps.MaxSilence = 5 * time.Minute }), environmentSpec(t))
	h.plays("lid", lid.String())
	h.plays("env", env.String())
	h.until(epoch.Add(officeDays * 24 * time.Hour))
	h.atMostOne(t)
	if n := h.count("lid", "carrier_up"); n != officeDays*10 {
		t.Errorf("%d of %d harmless events were told: it was not played", n, officeDays*10)
	}
}
