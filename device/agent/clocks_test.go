package agent

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/keystore"
	"github.com/interlock-security/interlock/device/monitor/schedule"
)

// TRUST F18: whoever sets the machine's clock, or holds the server, or both, gets
// no window opened at a time that is not in it.
func TestNoClockOpensAWindow(t *testing.T) {
	inside := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) // a Tuesday
	outside := inside.Add(12 * time.Hour)
	plan, err := schedule.New(schedule.Config{Windows: []schedule.Window{{Days: "mon-fri", From: "07:00", To: "18:00"}}})
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]func(now time.Time) time.Time{
		"right": func(now time.Time) time.Time { return now }, "1970": func(time.Time) time.Time { return time.Unix(0, 0) },
		"a day behind": func(now time.Time) time.Time { return now.AddDate(0, 0, -1) }, "a day ahead": func(now time.Time) time.Time { return now.AddDate(0, 0, 1) },
		"half a day behind": func(now time.Time) time.Time { return now.Add(-12 * time.Hour) }, "half a day ahead": func(now time.Time) time.Time { return now.Add(12 * time.Hour) },
		"2038": func(time.Time) time.Time { return time.Date(2038, 1, 19, 10, 0, 0, 0, time.UTC) }, "frozen": func(time.Time) time.Time { return inside },
	}
	for wallName, wall := range wrong {
		for serverName, server := range wrong {
			for _, truth := range []time.Time{inside, outside} {
				a := agentAt(t, truth, wall(truth), plan)
				a.store.Heard(server(truth), wall(truth))
				got, _, _ := a.decide()
				if right := wallName == "right" && serverName == "right"; got != core.Armed && truth.Equal(outside) || right && (got == core.Disarmed) != truth.Equal(inside) {
					t.Errorf("at %s, clock %s, server %s: %s", truth, wallName, serverName, got)
				}
			}
		}
	}
}

// agentAt is as much of an agent as decides how it is armed. It was never off, so
// its lower bound of the time is right.
func agentAt(t *testing.T, truth, wall time.Time, plan schedule.Schedule) *Agent {
	t.Helper()
	dir := t.TempDir()
	_, ring, err := openKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{cfg: Config{Clock: clocktest.New(wall), Elapsed: func() time.Duration { return time.Hour }}}
	a.deferred.kick = make(chan struct{}, 1)
	a.store, err = keystore.Open[body](keystore.Options{Dir: filepath.Join(dir, "state"), Sealer: ring, Clock: a.cfg.Clock, Built: truth, Elapsed: a.cfg.Elapsed})
	if err != nil {
		t.Fatal(err)
	}
	a.arm.plan = plan
	return a
}
