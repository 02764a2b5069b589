package monitor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

// tap is a fusion that hears everything and says nothing.
type tap struct{ heard []monitor.Event }

func (f *tap) Event(_ time.Time, e monitor.Event) []sensor.Reading {
	f.heard = append(f.heard, e)
	return nil
}
func (*tap) Tick(time.Time) []sensor.Reading { return nil }
func (*tap) Next() time.Time                 { return time.Time{} }

// wrongClocks are what a device may know of the time when its clock is set, lost,
// frozen or jumps. Bounds are true or prove nothing: none is a reading of the
// clock.
var wrongClocks = map[string]func(now time.Time) schedule.Trusted{
	"1970":   func(time.Time) schedule.Trusted { return schedule.Trusted{} },
	"-1 d":   func(now time.Time) schedule.Trusted { return schedule.Trusted{Lower: now.AddDate(0, 0, -1)} },
	"+1 d":   func(now time.Time) schedule.Trusted { return schedule.Trusted{Lower: now, Upper: now.AddDate(0, 0, 1)} },
	"2038":   func(now time.Time) schedule.Trusted { return schedule.Trusted{Lower: now, Upper: time.Unix(1<<31, 0)} },
	"frozen": func(now time.Time) schedule.Trusted { return schedule.Trusted{Lower: now.Truncate(6 * time.Hour)} },
	"jumping": func(now time.Time) schedule.Trusted {
		return schedule.Trusted{Lower: now, Upper: now.AddDate(0, 0, -1)}
	},
	"vague": func(now time.Time) schedule.Trusted {
		return schedule.Trusted{Lower: now.Add(-40 * time.Minute), Upper: now.Add(25 * time.Minute)}
	},
}

// TestNoClockMakesTheDayMorePermissive plays the shop's day with each clock:
// whatever counts as an attack with the right one counts as one with every other.
func TestNoClockMakesTheDayMorePermissive(t *testing.T) {
	right := attacks(t, exactly)
	if len(right) < 10 {
		t.Fatalf("only %d attacks with the right clock", len(right))
	}
	for name, clock := range wrongClocks {
		got := attacks(t, clock)
		for what := range right {
			if !got[what] {
				t.Errorf("%s: %s is no attack", name, what)
			}
		}
		if name != "vague" && len(got) <= len(right) {
			t.Errorf("%s: %d attacks, as with the right clock: it was not used", name, len(got))
		}
	}
}

// attacks are what counted as one in the day, without what only follows from
// others that were not over yet.
func attacks(t *testing.T, trusted func(now time.Time) schedule.Trusted) map[string]bool {
	t.Helper()
	zone := must[*time.Location](t)(time.LoadLocation("Europe/Berlin"))
	start := time.Date(2026, 10, 24, 18, 0, 0, 0, zone)
	ear := &tap{}
	h := shop(t, start.UTC(), zone.String(), fused("tap", ear, "door", "lid", "board", "pir", "glass", "usb", "mesh", "doors", "case"))
	h.trusted = trusted
	for _, name := range []string{"door", "lid", "board", "pir", "glass", "usb", "mesh"} {
		text, err := os.ReadFile(filepath.Join("testdata", "day", name+".scenario"))
		if err != nil {
			t.Fatal(err)
		}
		h.plays(name, "begins "+start.Format("2006-01-02 15:04 ")+zone.String()+"\n"+string(text))
	}
	h.until(start.Add(3*time.Hour + 50*time.Minute))
	h.maintain("M-7", of("doors", "case", "room")...)
	h.until(start.Add(25 * time.Hour))
	all := map[string]bool{}
	for _, e := range ear.heard {
		if e.Attack && (e.Kind == sensor.Pulse || e.Active) {
			all[fmt.Sprintf("%s %s/%s %s", e.At.In(zone).Format("15:04:05 MST"), e.Sensor, e.Point, e.Type)] = true
		}
	}
	return all
}
