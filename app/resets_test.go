package app

import (
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/safety/stop"
)

// TestAResetEndsTheStopsBeforeIt: persons end what they knew of, device by
// device, and nothing that came after they asked.
func TestAResetEndsTheStopsBeforeIt(t *testing.T) {
	tenant, site := core.MustID[core.TenantID]("main"), core.MustID[core.SiteID]("hall")
	press, saw := core.MustID[core.DeviceID]("press"), core.MustID[core.DeviceID]("saw")
	anna := core.MustID[core.PersonID]("anna")
	clock := clocktest.New(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	s := stop.NewService(stop.Config{
		Ring: stop.NewMemoryRing(stop.RingOptions{Clock: clock}), Clock: clock,
		Hub: stop.NewHub(func(stop.Stop, stop.Target) ([]byte, error) { return []byte("{}"), nil }),
	})
	s.SetPersons([]stop.Person{{ID: anna, Tenant: tenant, Sites: []core.SiteID{site}}})
	s.SetTargets([]stop.Target{{Tenant: tenant, Site: site, Device: press}, {Tenant: tenant, Site: site, Device: saw}})
	who := core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: tenant, Sites: []core.SiteID{site}}
	trip := func(scope stop.Scope) core.UUID {
		clock.Advance(time.Minute)
		r, err := s.Trip(who, scope, "smoke")
		if err != nil {
			t.Fatal(err)
		}
		return r.Stops[0].ID
	}
	reset := func(d core.DeviceID, created time.Time) {
		o := fleet.Order{Tenant: tenant, ID: core.NewUUID(created), Device: d, Type: link.OrderReset, State: fleet.OrderDone, Requester: "person/anna", Created: created}
		if err := endStops(s, o); err != nil {
			t.Fatal(err)
		}
	}
	whole := trip(stop.Scope{Kind: stop.ScopeSite, Site: site})
	s.Confirm(tenant, press, whole)
	clock.Advance(time.Minute)
	asked := clock.Now()
	later := trip(stop.Scope{Kind: stop.ScopeDevice, Device: press, Site: site})

	reset(press, asked)
	stops := s.Status(tenant).Stops
	if len(stops) != 2 || len(stops[0].Reset) != 1 || len(stops[0].NotConfirmed) != 1 || stops[0].NotConfirmed[0] != saw {
		t.Fatalf("after the press was reset: %+v", stops)
	}
	if stops[1].ID != later || len(stops[1].Reset) != 0 {
		t.Errorf("a stop that came after the order was made: %+v", stops[1])
	}
	reset(saw, asked)
	if stops = s.Status(tenant).Stops; len(stops) != 1 || stops[0].ID != later {
		t.Errorf("with the last device the stop of the site is over: %+v", stops)
	}
	clock.Advance(time.Minute)
	reset(press, clock.Now())
	reset(press, clock.Now()) // once more, as after a crash
	if stops = s.Status(tenant).Stops; len(stops) != 0 {
		t.Errorf("left over: %+v", stops)
	}
}
