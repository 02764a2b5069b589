package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	wire "github.com/interlock-security/interlock/link"
)

// TestTheCodeIsReadFromTheMachine: a waiting device's page must not tell the code
// that a person is to read from the machine itself.
func TestTheCodeIsReadFromTheMachine(t *testing.T) {
	p := newPlant(t)
	oven := core.MustID[core.DeviceID]("oven-9")
	p.device(oven, true)
	d, err := p.registry.Get(t.Context(), plantTenant, oven)
	p.must(err)
	for _, path := range []string{"/devices/oven-9", "/devices", "/devices?state=pending"} {
		if body := p.page("anna", path); strings.Contains(body, d.ShortCode) {
			t.Errorf("%s tells the code", path)
		}
	}
	form := map[string][]string{"csrf": {"token-of-anna"}, "code": {"AAAA-AAAA-AAAA"}}
	if res, _ := p.ask("anna", http.MethodPost, "/devices/oven-9/admit", form); res.StatusCode < 400 {
		t.Errorf("a wrong code: %d", res.StatusCode)
	}
	p.submit("anna", "/devices/oven-9/admit", "code", d.ShortCode)
	if body := p.page("anna", "/devices/oven-9"); strings.Contains(body, "Waits to be taken in") {
		t.Error("it still waits")
	}
}

// TestWhatLoosensIsOnlyAskedFor: the console makes the request and shows the
// command; it has no way to sign (TRUST F02).
func TestWhatLoosensIsOnlyAskedFor(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	p.reports(plantPress)
	to := p.submit("otto", "/devices/press-7/release", "reason", "a loose screw")
	id := strings.TrimPrefix(to, "/approvals/")
	if body := p.page("otto", to); !strings.Contains(body, "your signature would not count") || strings.Contains(body, "interlock approve "+id+" --as otto") {
		t.Error("who asked is told to sign")
	}
	body := p.page("anna", to)
	if !strings.Contains(body, "interlock approve "+id+" --as anna") || !strings.Contains(body, "opens latch   a1b2a1b2") || !strings.Contains(body, "0 of 2") {
		t.Errorf("an approver sees %s", visibleText(body))
	}
	if strings.Contains(body, `<form class="form"`) || strings.Contains(body, "data-passkey") {
		t.Error("the page of an order has something to press")
	}
	for _, r := range p.console.Mux().Routes() {
		if r.Action == "order.approve" {
			t.Errorf("%s approves orders in the console", r.Pattern)
		}
	}
}

// TestADeviceSaysHowAStopStands: also on its own page a stop is not carried out
// before the device has said so.
func TestADeviceSaysHowAStopStands(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	to := p.submit("anna", "/stop", "scope", "site/hall-a")
	if text := visibleText(p.page("anna", "/devices/press-7")); !strings.Contains(text, "NOT CONFIRMED by this device") {
		t.Errorf("a stop that nobody answered: %s", text)
	}
	p.stops.Confirm(plantTenant, plantPress, p.stops.Status(plantTenant).Stops[0].ID)
	if body := p.page("anna", "/devices/press-7"); strings.Contains(body, "NOT CONFIRMED") || !strings.Contains(body, `href="`+to+`"`) {
		t.Errorf("a stop that was answered: %s", visibleText(body))
	}
}

// TestTheEnrolmentLineIsShownOnce: on the next page and never again.
func TestTheEnrolmentLineIsShownOnce(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	fact := strings.Repeat("ab", 32)
	to := p.submit("anna", "/devices/enrol", "device", "saw-9", "site", "hall-a", "ttl", "1h", "fact", fact)
	if body := p.page("anna", to); !strings.Contains(body, fact) || !strings.Contains(body, "The line for saw-9") {
		t.Errorf("the page shows %s", visibleText(body))
	}
	if body := p.page("anna", to); strings.Contains(body, fact) {
		t.Error("it is shown again")
	}
	form := map[string][]string{"csrf": {"token-of-otto"}, "device": {"saw-9"}, "site": {"hall-a"}, "ttl": {"1h"}}
	if res, _ := p.ask("otto", http.MethodPost, "/devices/enrol", form); res.StatusCode != http.StatusForbidden {
		t.Errorf("an operator makes one: %d", res.StatusCode)
	}
}

func TestActsFollowRolesAndState(t *testing.T) {
	rows := []struct {
		name  string
		roles []string
		d     api.Device
		want  []wire.OrderType
	}{
		{"a viewer", []string{core.RoleViewer}, api.Device{State: core.DeviceOnline}, nil},
		{"an operator", []string{core.RoleOperator}, api.Device{State: core.DeviceOnline}, []wire.OrderType{wire.OrderQuarantine, wire.OrderArm, wire.OrderDisarm, wire.OrderDisarm, wire.OrderDisarm, wire.OrderReset}},
		{"with sensors", []string{core.RoleAdministrator}, api.Device{State: core.DeviceOnline, SensorList: []api.Sensor{{}}}, []wire.OrderType{wire.OrderDisarm, wire.OrderDisarm, wire.OrderDisarm, wire.OrderBypass, wire.OrderBaseline, wire.OrderReset}},
		{"with something to release", []string{core.RoleOperator}, api.Device{State: core.DeviceQuarantined, Latches: []api.Latch{{}}}, []wire.OrderType{wire.OrderQuarantine, wire.OrderArm, wire.OrderRelease, wire.OrderDisarm, wire.OrderDisarm, wire.OrderDisarm, wire.OrderReset}},
		{"an administrator contains nobody", []string{core.RoleAdministrator}, api.Device{State: core.DeviceOnline}, []wire.OrderType{wire.OrderDisarm, wire.OrderDisarm, wire.OrderDisarm, wire.OrderReset}},
		{"a waiting device", []string{core.RoleSecurityOfficer}, api.Device{State: core.DevicePending}, nil},
		{"a retired one", []string{core.RoleSecurityOfficer}, api.Device{State: core.DeviceRetired}, nil},
	}
	for _, r := range rows {
		var got []wire.OrderType
		for _, a := range actsFor(r.d, r.roles) {
			got = append(got, a.Type)
		}
		if !slices.Equal(got, r.want) {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
}

func TestSensorsThatAreNotOkComeFirst(t *testing.T) {
	at := func(name string, s core.SensorState, minute int) api.Sensor {
		return api.Sensor{ID: name, State: s, Since: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)}
	}
	list := sortedSensors([]api.Sensor{at("a", core.SensorOK, 9), at("b", core.SensorStale, 1), at("c", core.SensorAlarm, 1), at("d", core.SensorAlarm, 2), at("e", core.SensorOK, 1), at("f", core.SensorUnknown, 1)})
	var order string
	for _, s := range list {
		order += s.ID
	}
	if order != "dcbfae" {
		t.Errorf("order %s", order)
	}
}
