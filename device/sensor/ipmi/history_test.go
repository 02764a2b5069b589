package ipmi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/device/sensor"
	"github.com/interlock-security/interlock/device/sensor/ipmi/ipmitest"
)

// TestWhatWasLoggedWhileTheAgentWasOffIsSighted opens the lid before anything
// asks the controller.
func TestWhatWasLoggedWhileTheAgentWasOffIsSighted(t *testing.T) {
	b := ipmitest.Start(t)
	b.Lid(true)
	b.Lid(false)
	ctx, stop := context.WithTimeout(context.Background(), 3*time.Minute)
	defer stop()
	l, err := dialLAN(ctx, b.Address, account(), suites[3], roleUser)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var identities, alarms []string
	w := &watch{controller: l, open: map[byte]bool{}, emit: func(r sensor.Reading) {
		switch {
		case r.Kind == sensor.Sighting:
			identities = append(identities, r.Parts[0].Identity)
		case r.Alarm:
			alarms = append(alarms, r.Type)
		}
	}}
	w.sensor = &Sensor{env: sensor.Env{Clock: clocktest.New(time.Unix(1_800_000_000, 0))}}
	for range 2 {
		if err := w.readLog(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if len(identities) != 1 || !strings.Contains(identities[0], "sensor-1 chassis") || alarms != nil {
		t.Errorf("sighted %q, alarms %v", identities, alarms)
	}
	b.Lid(true)
	b.Lid(false)
	if err := w.readLog(ctx); err != nil {
		t.Fatal(err)
	}
	if len(identities) != 2 || identities[0] == identities[1] || len(alarms) != 1 {
		t.Errorf("sighted %q, alarms %v", identities, alarms)
	}
}
