package monitor_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/sensor"
)

// echo is a judge that says as much as it hears.
type echo struct{}

func (echo) Judge(_ time.Time, r sensor.Reading) []sensor.Reading {
	if r.Kind != sensor.Waveform {
		return nil
	}
	return []sensor.Reading{{Kind: sensor.Pulse, Point: "judged", Type: "motion_detected", Alarm: true, Unlatched: true, Severity: core.SeverityHigh}}
}
func (echo) Tick(time.Time) []sensor.Reading { return nil }
func (echo) Next() time.Time                 { return time.Time{} }

// floods are what a sensor can be made to say, every other second, of each kind.
var floods = map[string]func(i int) sensor.Reading{
	"beats": func(int) sensor.Reading { return sensor.Reading{Kind: sensor.Beat} },
	"levels": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Level, Point: "door", Active: i%2 == 0, Settled: true, Alarm: true, Unlatched: true, Type: "door_open", Clear: "door_closed", Severity: core.SeverityHigh}
	},
	"bounces": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Level, Point: "door", Active: i%2 == 0, Alarm: true, Type: "door_open", Clear: "door_closed", Severity: core.SeverityHigh}
	},
	"alarms": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Pulse, Point: "1-1", Type: "usb_attached", Alarm: true, Severity: core.SeverityCritical}
	},
	"alarms at many points": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Pulse, Point: fmt.Sprint(i % 5000), Type: "usb_attached", Alarm: true, Severity: core.SeverityCritical}
	},
	"pulses": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Pulse, Point: fmt.Sprint(i % 3), Type: fmt.Sprintf("seen_%c", 'a'+i%20), Severity: core.SeverityCritical}
	},
	"inventories": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Inventory, Type: "inventory", Parts: []sensor.Part{{Class: "disk", Place: "sda", Identity: fmt.Sprint(i)}}}
	},
	"numbers": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Measure, Point: fmt.Sprint(i % 200), Value: float64(i), Unit: sensor.UnitVolt}
	},
	"broken points": func(i int) sensor.Reading {
		kind := sensor.Broken
		if i%2 == 0 {
			kind = sensor.Measure
		}
		return sensor.Reading{Kind: kind, Point: fmt.Sprint(i / 2 % 4), Value: float64(i)}
	},
	"waves": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Waveform, Point: "accel", Wave: &sensor.Wave{Samples: []sensor.Sample{{Z: float64(i)}}}}
	},
	"positions": func(int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Position, Point: "gps", Fix: &sensor.Fix{Mode: 3}}
	},
	"sightings": func(i int) sensor.Reading {
		return sensor.Reading{Kind: sensor.Sighting, Parts: []sensor.Part{{Class: "neighbour", Identity: fmt.Sprint(i)}}}
	},
}

// TestADayOfFloodHidesNoOpening floods a sensor for 24 hours with each kind of
// reading in turn; its own lid and another's are opened before, during and after.
func TestADayOfFloodHidesNoOpening(t *testing.T) {
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) { t.Parallel(); floodADay(t, flood) })
	}
}

func floodADay(t *testing.T, flood func(i int) sensor.Reading) {
	bad, good := sid("bad"), sid("good")
	c := monitor.NewCore(
		monitor.Rules{},
		monitor.Spec{ID: bad, Caps: sensor.Capabilities{Kind: "gpio", MaxSilence: time.Minute, Latches: true}, Judges: []monitor.Named{{Name: "echo", Judge: echo{}}}},
		monitor.Spec{ID: good, Caps: sensor.Capabilities{Kind: "gpio", MaxSilence: 48 * time.Hour, Latches: true}},
	)
	var said, latched int
	var now time.Time
	keep := func(events []monitor.Event) {
		for _, e := range events {
			said++
			if e.Latch != nil && e.Type == "case_intrusion" {
				latched++
				if e.At != now {
					t.Errorf("an opening at %s is told at %s", now, e.At)
				}
			}
		}
	}
	opens := map[int]string{-1: "before", 12*3600 - 1: "during", 24*3600 - 1: "after"}
	open := func(when string) {
		for _, id := range []core.SensorID{bad, good} {
			keep(c.Read(now, id, sensor.Reading{Kind: sensor.Level, Point: "lid " + when, Active: true, Settled: true, Alarm: true, Type: "case_intrusion", Clear: "case_closed", Severity: core.SeverityCritical}))
		}
	}
	now = epoch
	c.Started(now, bad)
	c.Started(now, good)
	for second := -1; second < 24*3600; second += 2 {
		if when := opens[second]; when != "" {
			open(when)
		}
		now = epoch.Add(time.Duration(second+1) * time.Second)
		keep(c.Tick(now))
		keep(c.Read(now, bad, flood(second/2+1)))
	}
	// Beyond the bound of points, what is new shares one point and its latch.
	if want := 6; latched < want-2 || latched > want {
		t.Errorf("%d openings told, want %d", latched, want)
	}
	for _, l := range []string{"before", "during", "after"} {
		if !has(c.Latches(), good, "lid "+l) {
			t.Errorf("no latch of the opening %s", l)
		}
	}
	// 20 at once, one more every 3 s, and what is folded once a minute per type
	// and point.
	if limit := 24*60*(20+64+3) + 200; said > limit {
		t.Errorf("%d events in a day, at most %d", said, limit)
	}
}

func has(latches []monitor.Latch, id core.SensorID, point string) bool {
	for _, l := range latches {
		if l.Sensor == id && l.Point == point {
			return true
		}
	}
	return false
}

// What is folded is counted: nothing said is lost, whatever kind it is of.
func TestWhatIsFoldedIsCounted(t *testing.T) {
	for _, name := range []string{"levels", "pulses", "inventories", "broken points", "waves"} {
		t.Run(name, func(t *testing.T) {
			c := monitor.NewCore(monitor.Rules{}, monitor.Spec{
				ID: sid("bad"), Caps: sensor.Capabilities{Kind: "gpio", MaxSilence: time.Hour},
				Judges: []monitor.Named{{Name: "echo", Judge: echo{}}},
			})
			c.Started(epoch, sid("bad"))
			total := 0
			keep := func(events []monitor.Event) {
				for _, e := range events {
					var f struct {
						Coalesced *struct{ Count int }
					}
					if err := json.Unmarshal(e.Fields, &f); err != nil {
						t.Fatal(err)
					}
					switch {
					case e.Type == "alarm_over": // follows from others
					case f.Coalesced == nil:
						total++
					default:
						total += f.Coalesced.Count
					}
				}
			}
			now := epoch
			const n = 3000
			for i := range n {
				now = now.Add(500 * time.Millisecond)
				keep(c.Read(now, sid("bad"), floods[name](i)))
			}
			over := c.Statuses()[0].OverBudget
			if over == 0 {
				t.Error("nothing is over budget, as the status has it")
			}
			if total+over < n-5 || total+over > n+2 {
				t.Errorf("%d told and %d waiting of %d", total, over, n)
			}
			keep(c.Tick(now.Add(2 * time.Minute)))
			if c.Statuses()[0].OverBudget != 0 {
				t.Error("something is never told")
			}
		})
	}
}
