package recovery_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/response/recovery"
)

type world struct {
	device  fleet.Device
	sensors []fleet.Sensor
	latches []fleet.Latch
	mode    audit.Mode
	err     error
	unknown bool
}

func (w world) Get(_ context.Context, _ core.TenantID, id core.DeviceID) (fleet.Device, error) {
	if w.unknown {
		return fleet.Device{}, core.E(core.KindNotFound, "fleet", "there is no device")
	}
	return w.device, w.err
}

func (w world) Sensors(context.Context, core.TenantID, core.DeviceID) ([]fleet.Sensor, error) {
	return w.sensors, w.err
}

func (w world) Latches(context.Context, core.TenantID, core.DeviceID, bool) ([]fleet.Latch, error) {
	return w.latches, w.err
}

func (w world) Mode() (audit.Mode, string) { return w.mode, "" }

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func seen(ago time.Duration) fleet.Device {
	return fleet.Device{Known: fleet.Known{LastSeen: now.Add(-ago)}}
}

func sensor(s core.SensorState, simulated bool) fleet.Sensor {
	return fleet.Sensor{State: s, Simulated: simulated}
}

func TestChecksPassOnlyOnProof(t *testing.T) {
	simulated := incident.Incident{Simulated: true}
	for name, row := range map[string]struct {
		check string
		w     world
		in    incident.Incident
		want  core.Verdict
	}{
		"no latch":                    {"latches-clear", world{}, incident.Incident{}, core.VerdictPass},
		"a latch":                     {"latches-clear", world{latches: []fleet.Latch{{}}}, incident.Incident{}, core.VerdictFail},
		"latches unreadable":          {"latches-clear", world{err: errors.New("x")}, incident.Incident{}, core.VerdictIncomplete},
		"all ok":                      {"sensors-ok", world{sensors: []fleet.Sensor{sensor(core.SensorOK, false)}}, incident.Incident{}, core.VerdictPass},
		"one alarms":                  {"sensors-ok", world{sensors: []fleet.Sensor{sensor(core.SensorOK, false), sensor(core.SensorAlarm, false)}}, incident.Incident{}, core.VerdictFail},
		"one is stale":                {"sensors-ok", world{sensors: []fleet.Sensor{sensor(core.SensorStale, false)}}, incident.Incident{}, core.VerdictFail},
		"one is bypassed":             {"sensors-ok", world{sensors: []fleet.Sensor{sensor(core.SensorBypassed, false)}}, incident.Incident{}, core.VerdictIncomplete},
		"none is known":               {"sensors-ok", world{}, incident.Incident{}, core.VerdictIncomplete},
		"simulated for a real one":    {"sensors-ok", world{sensors: []fleet.Sensor{sensor(core.SensorOK, true)}}, incident.Incident{}, core.VerdictIncomplete},
		"simulated for a simulated":   {"sensors-ok", world{sensors: []fleet.Sensor{sensor(core.SensorOK, true)}}, simulated, core.VerdictPass},
		"still contained":             {"quarantine-removed", world{device: fleet.Device{Contained: true}}, incident.Incident{}, core.VerdictFail},
		"free":                        {"quarantine-removed", world{}, incident.Incident{}, core.VerdictPass},
		"heard of a minute ago":       {"events-fresh", world{device: seen(time.Minute)}, incident.Incident{}, core.VerdictPass},
		"heard of before its release": {"events-fresh", world{device: seen(91 * time.Second)}, incident.Incident{}, core.VerdictIncomplete},
		"heard of an hour ago":        {"events-fresh", world{device: seen(time.Hour)}, incident.Incident{}, core.VerdictIncomplete},
		"no such device":              {"latches-clear", world{unknown: true}, incident.Incident{}, core.VerdictIncomplete},
		"never heard of":              {"events-fresh", world{}, incident.Incident{}, core.VerdictIncomplete},
		"log takes everything":        {"audit-known", world{mode: audit.ModeNormal}, incident.Incident{}, core.VerdictPass},
		"log is damaged":              {"audit-known", world{mode: audit.ModeStopOnly}, incident.Incident{}, core.VerdictFail},
		"log in a mode of the future": {"audit-known", world{mode: "?"}, incident.Incident{}, core.VerdictFail},
	} {
		t.Run(name, func(t *testing.T) {
			v := recovery.NewVerifier(row.w, row.w, clocktest.New(now))
			got, err := v.Verify(t.Context(), row.in, now.Add(-90*time.Second), []string{row.check})
			if err != nil || got[row.check] != row.want {
				t.Errorf("%s = %v, %v; want %s", row.check, got, err, row.want)
			}
		})
	}
	if _, err := recovery.NewVerifier(world{}, world{}, clocktest.New(now)).Verify(t.Context(), incident.Incident{}, now, []string{"looks-fine"}); core.KindOf(err) != core.KindInvalid {
		t.Errorf("an unknown check: %v", err)
	}
}

// TestTheNamesAreTheChecks: playbooks are read against these names.
func TestTheNamesAreTheChecks(t *testing.T) {
	want := []string{"audit-known", "events-fresh", "latches-clear", "quarantine-removed", "sensors-ok"}
	if got := recovery.Names(); !slices.Equal(got, want) || !recovery.Known("sensors-ok") || recovery.Known("looks-fine") {
		t.Errorf("names %v", got)
	}
}
