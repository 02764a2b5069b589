package monitor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/access"
	"github.com/interlock-security/interlock/device/monitor/confirm"
	"github.com/interlock-security/interlock/device/monitor/enclosure"
	"github.com/interlock-security/interlock/device/monitor/rapid"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// TestRandomHistoriesOfEverything plays random readings of every kind, faults,
// orders, sleep and doubt about the time against what must hold in each history.
func TestRandomHistoriesOfEverything(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); anyHistory(t, rand.New(rand.NewPCG(seed, 4))) })
	}
}

// history is a core with sensors, judges and fusions of fusions, and what it
// said.
type history struct {
	t    *testing.T
	r    *rand.Rand
	core *monitor.Core
	now  time.Time
	ids  []core.SensorID
	set  map[string]bool // latches told
}

func anyHistory(t *testing.T, r *rand.Rand) {
	h := &history{t: t, r: r, now: epoch, ids: of("a", "b", "c", "d"), set: map[string]bool{}}
	var specs []monitor.Spec
	for i, id := range h.ids {
		s := monitor.Spec{ID: id, Caps: sensor.Capabilities{Kind: "gpio", MaxSilence: 20 * time.Second, Latches: i%2 == 0, Always: i == 3}}
		if i < 2 {
			s.Judges = []monitor.Named{{Name: "rapid", Judge: must[*rapid.Rapid](t)(rapid.New(rapid.Config{Changes: 4, Window: 10 * time.Second}))}, {Name: "echo", Judge: echo{}}}
		}
		specs = append(specs, s)
	}
	doors := access.Config{Doors: []access.Door{{Name: "x", Input: "c/x", Schedule: shopHours("UTC"), Requests: []string{"d/y"}, Held: 5 * time.Second}}}
	specs = append(
		specs,
		fused("case", must[*enclosure.Fusion](t)(enclosure.New(enclosure.Config{Disagree: 3 * time.Second, Types: []string{"opened"}})), "a", "b"),
		fused("doors", must[*access.Fusion](t)(access.New(doors)), "c", "d"),
		fused("room", must[*confirm.Fusion](t)(confirm.New(confirm.Config{Window: 30 * time.Second, Types: []string{"opened", "case_intrusion", "motion_detected", "access_denied_window"}})), "case", "doors", "b"),
		fused("hasty", must[*rapid.Rapid](t)(rapid.New(rapid.Config{Changes: 3, Window: 20 * time.Second})), "a", "room"),
	)
	h.core = monitor.NewCore(monitor.Rules{}, specs...)
	h.told(h.core.Begin(h.now))
	for _, id := range h.ids {
		h.core.Started(h.now, id)
	}
	for range 300 {
		h.pass(time.Duration(r.IntN(1500)) * time.Millisecond)
		h.happens()
		h.holds()
	}
}

// pass lets time pass as the monitor does, from deadline to deadline. There is
// always a next one after the tick, or the monitor would turn in a circle.
func (h *history) pass(d time.Duration) {
	end := h.now.Add(d)
	for next := h.core.Next(); !next.IsZero() && !next.After(end); next = h.core.Next() {
		h.now = latest(h.now, next)
		h.told(h.core.Tick(h.now))
		h.core.Cut()
		if after := h.core.Next(); !after.IsZero() && !after.After(h.now) {
			h.t.Fatalf("after the tick at %s the next is due at %s", h.now.Sub(epoch), after.Sub(epoch))
		}
	}
	h.now = end
}

func (h *history) happens() {
	id := h.ids[h.r.IntN(len(h.ids))]
	switch h.r.IntN(14) {
	case 0:
		h.told(h.core.Failed(h.now, id, "x", h.r.IntN(2) == 0))
	case 1:
		h.core.Started(h.now, id)
	case 2:
		h.told(h.core.SetArming(h.now, core.Armings[h.r.IntN(4)]))
	case 3:
		b := monitor.Bypass{Sensor: h.all()[h.r.IntN(8)], Point: []string{"", "x", "y"}[h.r.IntN(3)], After: h.upTo(5), For: h.upTo(20) + 1, Ticket: []string{"", "M"}[h.r.IntN(2)]}
		events, _ := h.core.Bypass(h.now, b)
		h.told(events)
	case 4:
		h.release()
	case 5:
		h.told(h.core.SetTime(h.now, []schedule.Trusted{{}, {Lower: h.now, Upper: h.now}, {Lower: h.now.Add(9 * time.Hour), Upper: h.now.Add(9 * time.Hour)}}[h.r.IntN(3)]))
	case 6:
		if h.r.IntN(8) == 0 {
			h.told(h.core.Slept(h.now, h.upTo(30)))
		} else {
			h.pass(h.upTo(40))
		}
	default:
		h.told(h.core.Read(h.now, id, h.reading()))
	}
}

func (h *history) upTo(seconds int64) time.Duration {
	return time.Duration(h.r.Int64N(seconds * int64(time.Second)))
}

func (h *history) all() []core.SensorID {
	return append(slices.Clone(h.ids), of("case", "doors", "room", "hasty")...)
}

func (h *history) reading() sensor.Reading {
	kinds := []sensor.Kind{
		sensor.Beat, sensor.Inventory, sensor.Level, sensor.Level, sensor.Level, sensor.Level, sensor.Pulse, sensor.Measure, sensor.Measure,
		sensor.Waveform, sensor.Position, sensor.Sighting, sensor.Broken,
	}
	r := sensor.Reading{
		Kind: kinds[h.r.IntN(len(kinds))], Point: []string{"x", "y", "z"}[h.r.IntN(3)], Type: "opened", Clear: "closed", Severity: core.SeverityHigh,
		Active: h.r.IntN(2) == 0, Settled: h.r.IntN(2) == 0, Alarm: h.r.IntN(4) > 0, Unlatched: h.r.IntN(5) == 0, Lively: h.r.IntN(2) == 0,
		Simulated: h.r.IntN(10) == 0, Value: float64(h.r.IntN(3)), Sample: h.r.Uint64(),
	}
	if h.r.IntN(20) == 0 {
		r.Value = math.NaN()
	}
	if r.Kind == sensor.Waveform {
		r.Wave = &sensor.Wave{Samples: []sensor.Sample{{Z: r.Value}}}
	}
	return r
}

func (h *history) release() {
	latches := h.core.Latches()
	if len(latches) == 0 {
		return
	}
	id := latches[h.r.IntN(len(latches))].ID
	released, events := h.core.Release(h.now, []string{id})
	h.told(events)
	if len(released) != 1 || slices.ContainsFunc(h.core.Latches(), func(l monitor.Latch) bool { return l.ID == id }) {
		h.t.Fatalf("released %v of %s", released, id)
	}
}

// told checks each event.
func (h *history) told(events []monitor.Event) {
	for _, e := range events {
		if !json.Valid(e.Fields) || e.Severity.Rank() < 0 || !slices.Contains(core.SensorStates, e.State) || e.Type == "" || e.At.After(h.now) {
			h.t.Fatalf("event %+v %s", e, e.Fields)
		}
		if e.Latch != nil {
			if h.set[e.Latch.ID] || e.State != core.SensorAlarm {
				h.t.Fatalf("latch %s told twice, or as %s", e.Latch.ID, e.State)
			}
			h.set[e.Latch.ID] = true
		}
	}
	for _, p := range h.core.Panics() {
		h.t.Fatalf("a judge panicked: %+v", p)
	}
}

// holds checks what must always be.
func (h *history) holds() {
	for _, l := range h.core.Latches() {
		if !h.set[l.ID] {
			h.t.Fatalf("latch %+v was never told", l)
		}
	}
	if next, anew := h.core.Next(), h.core.NextAnew(); !next.Equal(anew) {
		h.t.Fatalf("the next deadline is %s, and reckoned anew %s", next.Sub(epoch), anew.Sub(epoch))
	}
	states := map[core.SensorID]core.SensorState{}
	for _, s := range h.core.Statuses() {
		states[s.ID] = s.State
		if s.State != core.SensorOK && s.State != core.SensorAlarm && s.State != core.SensorUnknown && s.Why == "" {
			h.t.Fatalf("%s is %s and does not say why", s.ID, s.State)
		}
		if (len(s.Latches) > 0) && s.State != core.SensorAlarm {
			h.t.Fatalf("%s is %s with latches %v", s.ID, s.State, s.Latches)
		}
		if s.State == core.SensorOK && (s.Why != "" || !s.BypassUntil.IsZero()) {
			h.t.Fatalf("%s is ok, and %q, bypassed until %s", s.ID, s.Why, s.BypassUntil)
		}
		for _, id := range s.Of {
			if sick := states[id]; s.State == core.SensorOK && (sick == core.SensorFault || sick == core.SensorStale || sick == core.SensorBypassed || sick == core.SensorUnknown) {
				h.t.Fatalf("%s is ok while %s is %s", s.ID, id, sick)
			}
		}
		if s.Always && (!s.Armed || len(s.Bypassed) > 0) {
			h.t.Fatalf("%s can't be disarmed, and is: %+v", s.ID, s)
		}
	}
	if a := h.core.Risk(h.now); a.Score < 0 || a.Score > 100 || (len(h.core.Latches()) > 0 && a.Score == 0) {
		h.t.Fatalf("risk %+v", a)
	}
	if _, err := json.Marshal(h.core.Statuses()); err != nil {
		h.t.Fatal(err)
	}
}
