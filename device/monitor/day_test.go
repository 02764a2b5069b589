package monitor_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/device/monitor"
	"github.com/interlock-security/interlock/device/monitor/access"
	"github.com/interlock-security/interlock/device/monitor/confirm"
	"github.com/interlock-security/interlock/device/monitor/enclosure"
	"github.com/interlock-security/interlock/device/monitor/environment"
	"github.com/interlock-security/interlock/device/monitor/motion"
	"github.com/interlock-security/interlock/device/monitor/orientation"
	"github.com/interlock-security/interlock/device/monitor/schedule"
	"github.com/interlock-security/interlock/device/sensor"
)

var update = flag.Bool("update", false, "write the golden files anew")

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// shopHours are when the shop is open, in its zone.
func shopHours(zone string) schedule.Config {
	return schedule.Config{Zone: zone, Windows: []schedule.Window{{Days: "daily", From: "08:00", To: "20:00"}}}
}

func of(names ...string) (ids []core.SensorID) {
	for _, n := range names {
		ids = append(ids, sid(n))
	}
	return ids
}

func fused(name string, f monitor.Fusion, sensors ...string) monitor.Spec {
	caps := sensor.Capabilities{Latches: true}
	caps.Kind = name
	return monitor.Spec{ID: sid(name), Caps: caps, Fusion: f, Of: of(sensors...)}
}

// shop is a machine in a shop, with every sensor that a shop has.
func shop(t *testing.T, start time.Time, zone string, more ...monitor.Spec) *house {
	doors := must[*access.Fusion](t)(access.New(access.Config{Doors: []access.Door{{Name: "front", Input: "door/front", Schedule: shopHours(zone)}}}))
	theCase := must[*enclosure.Fusion](t)(enclosure.New(enclosure.Config{}))
	room := must[*confirm.Fusion](t)(confirm.New(confirm.Config{Window: 30 * time.Minute}))
	h := newHouse(t, start, append([]monitor.Spec{
		spec("door", nil), spec("lid", nil), spec("board", nil),
		spec("imu", func(s *monitor.Spec) {
			s.Judges = []monitor.Named{
				{Name: "motion", Judge: must[*motion.Judge](t)(motion.New(motion.Config{}))},
				{Name: "orientation", Judge: must[*orientation.Judge](t)(orientation.New(orientation.Config{}))},
			}
		}),
		spec("ambient", func(s *monitor.Spec) {
			s.Caps.Always, s.Caps.Latches = true, false
			s.Judges = environmentSpec(t).Judges
		}),
		spec("pir", nil), spec("glass", nil), spec("usb", nil), spec("mesh", func(s *monitor.Spec) { s.Caps.Always = true }),
		fused("doors", doors, "door"), fused("case", theCase, "lid", "board"), fused("room", room, "pir", "glass"),
	}, more...)...)
	h.plan = must[schedule.Schedule](t)(schedule.New(shopHours(zone)))
	return h
}

// environmentSpec is a sensor of air and rails.
func environmentSpec(t *testing.T) monitor.Spec {
	return spec("env", func(s *monitor.Spec) {
		s.Caps.MaxSilence = 5 * time.Minute
		s.Judges = []monitor.Named{{Name: "environment", Judge: must[*environment.Judge](t)(environment.New(environment.Config{}))}}
	})
}

// maintain is the order for the technician: an hour, ten minutes from now.
func (h *house) maintain(ticket string, ids ...core.SensorID) {
	h.t.Helper()
	for _, id := range ids {
		events, err := h.core.Bypass(h.now, monitor.Bypass{Sensor: id, After: 10 * time.Minute, For: time.Hour, Ticket: ticket})
		if err != nil {
			h.t.Fatal(err)
		}
		h.keep(events)
	}
}

// release is the order that names every latch.
func (h *house) release() {
	h.t.Helper()
	var ids []string
	for _, l := range h.core.Latches() {
		ids = append(ids, l.ID)
	}
	released, events := h.core.Release(h.now, ids)
	h.keep(events)
	if left := h.core.Latches(); len(released) != len(ids) || len(left) != 0 {
		h.t.Errorf("released %d of %d, left %+v", len(released), len(ids), left)
	}
}

// TestADayAcrossTheChangeOfClocks plays a day and a night in a shop, from
// Saturday 18:00 to Sunday 18:00, across both changes of clocks: a door that
// people use by day, a technician in the evening, a break-in at night, a sensor
// that falls silent, heat, sabotage of what can't be disarmed, and half an hour
// in which nothing proves the time. What a person hears of it is in a file.
func TestADayAcrossTheChangeOfClocks(t *testing.T) {
	const zoneName = "Europe/Berlin"
	zone := must[*time.Location](t)(time.LoadLocation(zoneName))
	for name, day := range map[string]time.Time{
		"spring": time.Date(2026, 3, 28, 18, 0, 0, 0, zone), "autumn": time.Date(2026, 10, 24, 18, 0, 0, 0, zone),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := playADay(t, day, zone)
			got, file := h.alerts(zone), filepath.Join("testdata", "day", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("a person hears\n%s\nwant\n%s", got, want)
			}
			reported(t, h)
		})
	}
}

func playADay(t *testing.T, start time.Time, zone *time.Location) *house {
	h := shop(t, start.UTC(), zone.String())
	for _, name := range []string{"door", "lid", "board", "imu", "ambient", "pir", "glass", "usb", "mesh"} {
		text, err := os.ReadFile(filepath.Join("testdata", "day", name+".scenario"))
		if err != nil {
			t.Fatal(err)
		}
		h.plays(name, "begins "+start.Format("2006-01-02 15:04 ")+zone.String()+"\n"+string(text))
	}
	clock := func(day, hour, minute int) time.Time {
		return time.Date(start.Year(), start.Month(), start.Day()+day, hour, minute, 0, 0, zone)
	}
	h.trusted = func(now time.Time) schedule.Trusted {
		if !now.Before(clock(1, 16, 0)) && now.Before(clock(1, 16, 30)) {
			return schedule.Trusted{Lower: now}
		}
		return exactly(now)
	}
	h.until(clock(0, 21, 50))
	h.maintain("M-7", of("doors", "case", "imu", "room")...)
	h.until(clock(1, 7, 0)).release() // people have come, and put everything back
	return h.until(clock(1, 18, 0))
}

// reported is what the record has beyond what alerts: nothing was swallowed.
func reported(t *testing.T, h *house) {
	t.Helper()
	for _, row := range []struct {
		sensor, kind string
		want         int
	}{
		{"doors", "access_opened", 2 + 20 + 1}, // before eight in the evening, by day, and once more after the doubt
		{"doors", "access_denied_window", 4},   // the technician's two, the burglar's, the one during the doubt
		{"case", "case_confirmed", 2},          // the technician's, the burglar's
		{"case", "bypass_started", 1},
		{"case", "bypass_ended", 1},
		{"usb", "usb_attached", 2},
		{"ambient", "sensor_back", 1},
	} {
		if n := h.count(row.sensor, row.kind); n != row.want {
			t.Errorf("%s: %s %d times, want %d", row.sensor, row.kind, n, row.want)
		}
	}
	tickets := 0
	for _, e := range h.events {
		if strings.Contains(string(e.Fields), `"ticket":"M-7"`) {
			tickets++
			if e.Class == core.ClassDetectionFinding {
				t.Errorf("an alarm during the maintenance: %+v %s", e, e.Fields)
			}
		}
	}
	if tickets < 8 {
		t.Errorf("%d events name the ticket", tickets)
	}
}
