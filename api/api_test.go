package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/link/ceremony"
)

// approval is a person's signature over an order's exact bytes, as the body of a
// request.
func (r *rig) approval(o api.Order, name string) string {
	r.t.Helper()
	signer, err := ceremony.LoadPersonSigner(r.keys, name)
	r.must(err)
	env, err := link.ParseEnvelope(o.Envelope)
	r.must(err)
	sig, err := link.Sign(signer, link.NamespaceApproval, env.Payload)
	r.must(err)
	b, err := json.Marshal(api.Approval{KeyID: sig.KeyID, Sig: sig.Sig})
	r.must(err)
	return string(b)
}

// TestARespondersMorning walks through what the API is for: a device is taken
// in, an incident is looked at, moved and answered, a release is approved by two
// persons.
func TestARespondersMorning(t *testing.T) {
	r := newRig(t)
	waiting := r.device(press, true)
	if waiting.State != core.DevicePending || waiting.ShortCode == "" || waiting.Contained {
		t.Fatalf("%+v", waiting)
	}
	d := send[api.Device](r, "POST", "/v1/devices/press-7/approve", `{"code":"`+waiting.ShortCode+`"}`)
	if d.State == core.DevicePending {
		t.Errorf("after its approval it is %s", d.State)
	}
	r.reports(press)
	d = get[api.Device](r, "/v1/devices/press-7")
	if d.Sensors["case"] != "alarm" || len(d.Latches) != 1 || d.Latches[0].Type != "case_intrusion" || d.Epoch == "" {
		t.Errorf("%+v", d)
	}

	in, run := r.tampered(press)
	list := pageOf[api.Incident](r, "/v1/incidents")
	if len(list) != 1 || list[0].ID != in.ID || list[0].State != "new" {
		t.Errorf("%+v", list)
	}
	if lines := get[api.DryRun](r, "/v1/incidents/"+in.ID.String()+"/dry-run").Lines; len(lines) != 4 || !strings.Contains(lines[0], "waits for a person: the evidence is unauthenticated") {
		t.Errorf("%q", lines)
	}
	moved := send[api.Incident](r, "POST", "/v1/incidents/"+in.ID.String()+"/move", `{"to":"triaged","reason":"mine","into":""}`)
	if moved.State != "triaged" {
		t.Errorf("moved to %s", moved.State)
	}
	started := send[api.Run](r, "POST", "/v1/runs/"+run.ID.String()+"/start", `{}`)
	if started.State != "running" || started.Starter != "person/anna" || started.Step != 1 || started.Deadline.IsZero() {
		t.Errorf("%+v", started)
	}
	if runs := pageOf[api.Run](r, "/v1/runs?incident="+in.ID.String()); len(runs) != 1 || runs[0].ID != run.ID {
		t.Errorf("%+v", runs)
	}
	if one := get[api.Run](r, "/v1/runs/"+run.ID.String()); one.Round != 1 || !strings.HasPrefix(one.Book, "# A device") {
		t.Errorf("%+v", one)
	}
	whole := get[api.Incident](r, "/v1/incidents/"+in.ID.String())
	if len(whole.Alerts) != 1 || len(whole.Timeline) != 4 || whole.Timeline[2].Intent == nil || whole.Timeline[3].By != "person/anna" {
		t.Errorf("%+v", whole.Timeline)
	}

	q := send[api.Order](r, "POST", "/v1/devices/press-7/quarantine", `{"reason":"found open","incident":"","presence":""}`)
	if q.State != "queued" || q.Direction != "contain" || q.Requester != "person/anna" || q.Intent == (core.Position{}) {
		t.Errorf("%+v", q)
	}
	o := send[api.Order](r, "POST", "/v1/devices/press-7/release", `{"reason":"looked at","incident":"","presence":""}`)
	o = get[api.Order](r, "/v1/orders/"+o.ID.String())
	if o.State != "awaiting" || o.Needed != 2 {
		t.Fatalf("%+v", o)
	}
	path := "/v1/orders/" + o.ID.String() + "/approvals"
	first := send[api.Order](r, "POST", path, r.approval(o, "bert"))
	if first.State != "awaiting" || !slices.Equal(first.Approvals, []string{"bert"}) {
		t.Errorf("one person's signature made it %s by %v", first.State, first.Approvals)
	}
	r.refused("anna", "POST", path, r.approval(o, "bert"), core.KindInvalid, "signed twice")
	second := send[api.Order](r, "POST", path, r.approval(o, "cara"))
	if second.State != "queued" || len(second.Approvals) != 2 {
		t.Errorf("two persons' signatures made it %s by %v: %s", second.State, second.Approvals, second.Detail)
	}
}

// TestEveryRouteAnswers: the plain reads and makings that the morning left out,
// so that no route is without a call.
func TestEveryRouteAnswers(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	raised := r.raise()
	if s := get[api.Status](r, "/v1/status"); s.Health != core.HealthDegraded {
		t.Errorf("%+v", s)
	}
	if list := pageOf[api.Alert](r, "/v1/alerts?all=true"); len(list) != 1 || list[0].ID != raised.ID || list[0].Device != "press-7" {
		t.Errorf("%+v", list)
	}
	if a := get[api.Alert](r, "/v1/alerts/"+raised.ID.String()); a.Rule != "interlock-device-tampered" || a.Count != 1 {
		t.Errorf("%+v", a)
	}
	tok := send[api.Token](r, "POST", "/v1/tokens", `{"site":"hall-a","device":"press-8","ttl":"30m","fact":""}`)
	if tok.String != "string of "+tok.ID+" for " || time.Until(tok.Expires) > 31*time.Minute {
		t.Errorf("%+v", tok)
	}
	for _, act := range []string{"arm", "quarantine"} {
		if o := send[api.Order](r, "POST", "/v1/devices/press-7/"+act, `{"reason":"r","incident":"","presence":""}`); o.Type != act || o.State != "queued" {
			t.Errorf("%+v", o)
		}
	}
	if o := send[api.Order](r, "POST", "/v1/devices/press-7/reset", `{"reason":"r","incident":"","presence":""}`); o.State != "awaiting" {
		t.Errorf("%+v", o)
	}
	root := get[api.RootVersion](r, "/v1/root")
	if root.Version != 1 || len(root.Envelope) == 0 {
		t.Errorf("%+v", root)
	}
	r.refused("anna", "POST", "/v1/root", string(root.Envelope), core.KindConflict, "one at a time")
	if list := pageOf[api.Run](r, "/v1/runs"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestWhoMayDoWhatAtTheSocket: a stranger gets nothing, a person without the
// right gets a refusal that is in the log, and what does not exist does not.
func TestWhoMayDoWhatAtTheSocket(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	in, run := r.tampered(press)
	act := `{"reason":"r","incident":"","presence":""}`
	for _, route := range r.mux.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		id := in.ID.String()
		if strings.HasPrefix(path, "/v1/devices/") {
			id = "press-7"
		}
		path = strings.Replace(path, "{id}", id, 1)
		r.refused("mallory", method, path, "{}", core.KindUnauthenticated)
	}
	for path, body := range map[string]string{
		"/v1/devices/press-7/quarantine":            act,
		"/v1/devices/press-7/release":               act,
		"/v1/runs/" + run.ID.String() + "/start":    `{}`,
		"/v1/incidents/" + in.ID.String() + "/move": `{"to":"triaged","reason":"r","into":""}`,
		"/v1/tokens":                                  `{"site":"hall-a","device":"press-8","ttl":"30m","fact":""}`,
		"/v1/devices/press-7/approve":                 `{"code":"AAAA-AAAA-AAAA"}`,
		"/v1/orders/" + in.ID.String() + "/approvals": `{"keyid":"x","sig":"AA=="}`,
	} {
		r.refused("vera", "POST", path, body, core.KindDenied)
	}
	for _, path := range []string{"/v1/events", "/v1/audit/entries", "/v1/audit/export"} {
		r.refused("vera", "GET", path, "", core.KindDenied)
	}
	for _, path := range []string{"/v1/status", "/v1/devices", "/v1/devices/press-7", "/v1/incidents", "/v1/runs", "/v1/alerts", "/v1/root", "/v1/audit/state"} {
		r.refused("nobby", "GET", path, "", core.KindDenied)
		if code, b := r.ask("vera", "GET", path, ""); code != http.StatusOK {
			t.Errorf("a viewer's %s: %d %s", path, code, b)
		}
	}
	if orders, err := r.orders.List(t.Context(), tenant, press, 10); err != nil || len(orders) != 0 {
		t.Errorf("refusals made %d orders, %v", len(orders), err)
	}
	if got := get[api.Incident](r, "/v1/incidents/"+in.ID.String()); got.State != "new" {
		t.Errorf("a viewer moved it to %s", got.State)
	}
	if found := pageOf[api.AuditEntry](r, "/v1/audit/entries?actor=person/vera&outcome=refused"); len(found) < 5 {
		t.Errorf("%d refusals of a known person are in the log", len(found))
	}
	code, b := r.ask("anna", "GET", "/v2/status", "")
	if code != http.StatusNotFound {
		t.Errorf("%d %s", code, b)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "POST"} {
		if code, _ := r.ask("anna", method, "/v1/status", ""); code != http.StatusMethodNotAllowed {
			t.Errorf("%s of a read: %d", method, code)
		}
	}
}

// TestAllDevicesAreListed, also where there are more than one read returns.
func TestAllDevicesAreListed(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	const more = fleet.MaxList + 7
	r.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + fmt.Sprint(more) + `)
		INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr)
		SELECT tenant, printf('unit-%05d', i), site, identity, spki || i, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr FROM fleet_devices, n`)
	r.sql(`INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr)
		SELECT 'other', 'foreign', site, identity, 'x', short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr FROM fleet_devices WHERE id = 'press-7'`)
	var list []api.Device
	for after := ""; ; {
		page := get[api.Page[api.Device]](r, "/v1/devices?limit=400&after="+after)
		if page.Total != more+1 {
			t.Errorf("%d devices are counted", page.Total)
		}
		list = append(list, page.Items...)
		if after = page.Next; after == "" {
			break
		}
	}
	ids := make([]string, len(list))
	for i, d := range list {
		ids[i] = d.ID.String()
	}
	if len(ids) != more+1 || !slices.IsSorted(ids) || slices.Contains(ids, "foreign") {
		t.Errorf("%d devices, from %v to %v", len(ids), ids[0], ids[len(ids)-1])
	}
	if len(slices.Compact(ids)) != more+1 {
		t.Error("one is there twice")
	}
	r.refused("anna", "GET", "/v1/devices/foreign", "", core.KindNotFound)
}

// TestOtherTenantsDoNotExist: another tenant's objects are not found, by any
// route.
func TestOtherTenantsDoNotExist(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	in, run := r.tampered(press)
	o := send[api.Order](r, "POST", "/v1/devices/press-7/quarantine", `{"reason":"r","incident":"","presence":""}`)
	a := r.raise()
	foreign := callers["anna"]
	foreign.Tenant = core.MustID[core.TenantID]("other")
	callers["eve"] = foreign
	t.Cleanup(func() { delete(callers, "eve") })
	for _, path := range []string{
		"/v1/devices/press-7", "/v1/incidents/" + in.ID.String(), "/v1/incidents/" + in.ID.String() + "/dry-run", "/v1/runs/" + run.ID.String(),
		"/v1/orders/" + o.ID.String(), "/v1/alerts/" + a.ID.String(), "/v1/root",
	} {
		r.refused("eve", "GET", path, "", core.KindNotFound)
	}
	for path, body := range map[string]string{
		"/v1/devices/press-7/quarantine":            `{"reason":"r","incident":"","presence":""}`,
		"/v1/incidents/" + in.ID.String() + "/move": `{"to":"triaged","reason":"r","into":""}`,
		"/v1/runs/" + run.ID.String() + "/start":    `{}`,
	} {
		r.refused("eve", "POST", path, body, core.KindNotFound)
	}
	for _, path := range []string{"/v1/devices", "/v1/incidents?all=true", "/v1/runs", "/v1/alerts?all=true"} {
		if code, b := r.ask("eve", "GET", path, ""); code != http.StatusOK || strings.TrimSpace(string(b)) != `{"items":[],"total":0}` {
			t.Errorf("%s: %d %s", path, code, b)
		}
	}
}
