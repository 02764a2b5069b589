package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

// A site as the issue names it.
const (
	manyAlerts  = 100_000
	manyDevices = 1_000
)

// crowd fills the tables with copies of one device, its sensors and one alert.
func (r *rig) crowd() {
	r.t.Helper()
	r.device(press, false)
	r.reports(press)
	r.raise()
	r.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + fmt.Sprint(manyDevices-1) + `)
		INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr)
		SELECT tenant, printf('unit-%05d', i), site, identity, spki || i, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr FROM fleet_devices, n`)
	r.sql(`WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 5)
		INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated)
		SELECT tenant, id, 's' || i, CASE WHEN i = 1 THEN 'alarm' ELSE 'ok' END, 1, 0 FROM fleet_devices, s`)
	r.sql(`UPDATE siem_alerts SET updated = updated / 1000000 * 1000000`) // SQLite writes times to the millisecond
	r.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + fmt.Sprint(manyAlerts-1) + `),
		copies AS (SELECT a.*, i, printf('01932d3f-%04x-7000-8000-%012d', i % 65536, i) AS new, printf('unit-%05d', i % 999 + 1) AS dev,
			CASE i % 4 WHEN 0 THEN 'acknowledged' ELSE 'open' END AS st, CASE WHEN i % 1000 = 7 THEN 4 ELSE i % 3 END AS sev FROM siem_alerts a, n)
		INSERT INTO siem_alerts (tenant, id, fingerprint, live, rule, severity_rank, state, count, opened, updated, device, body)
		SELECT tenant, new, fingerprint || i, 0, rule, sev, st, count, opened, updated - i * 1000, dev,
			CAST(json_set(CAST(body AS TEXT), '$.id', new, '$.device', dev, '$.state', st,
				'$.severity', CASE sev WHEN 4 THEN 'critical' WHEN 2 THEN 'medium' WHEN 1 THEN 'low' ELSE 'info' END,
				'$.updated', strftime('%Y-%m-%dT%H:%M:%fZ', (updated - i * 1000) / 1000000.0, 'unixepoch')) AS BLOB) FROM copies`)
}

// TestPagesOfALargeSite prints what a page costs with 100 000 alerts and 1 000
// devices. It holds the pages against the number of rows that an answer may
// hold; how they are found is held by the stores' own tests.
func TestPagesOfALargeSite(t *testing.T) {
	r := newRig(t)
	r.crowd()
	ctx := httpd.WithPrincipal(t.Context(), callers["anna"])
	deep := r.deepCursor(ctx, 40)
	for _, row := range []struct {
		name  string
		do    func() (items, total int, err error)
		total int
	}{
		{"alerts", alertsPage(r, ctx, api.AlertsInput{}), manyAlerts*3/4 + 1},
		{"alerts, all", alertsPage(r, ctx, api.AlertsInput{All: true, Limit: api.PageMost}), manyAlerts},
		{"alerts, deep", alertsPage(r, ctx, api.AlertsInput{All: true, After: deep}), manyAlerts},
		{"alerts, critical", alertsPage(r, ctx, api.AlertsInput{Severity: "critical"}), -1},
		{"alerts, of a device", alertsPage(r, ctx, api.AlertsInput{All: true, Device: "unit-00500"}), -1},
		{"alerts, of no rule", alertsPage(r, ctx, api.AlertsInput{All: true, Rule: "nothing"}), 0},
		{"devices", devicesPage(r, ctx, api.DevicesInput{}), manyDevices},
		{"devices, online", devicesPage(r, ctx, api.DevicesInput{State: "online", Limit: api.PageMost}), -1},
		{"devices, by text", devicesPage(r, ctx, api.DevicesInput{Query: "0099"}), 11},
		{"board", func() (int, int, error) {
			b, err := r.api.Board(ctx, &api.None{})
			if err != nil {
				return 0, 0, err
			}
			if b.Body.SensorsNotOK != manyDevices+1 || b.Body.Alerts["critical"] == 0 || b.Body.Unknown != "" {
				return 0, 0, fmt.Errorf("%+v", b.Body)
			}
			return len(b.Body.Sensors), b.Body.SensorsNotOK, nil
		}, -1},
	} {
		began := time.Now()
		items, total, err := row.do()
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		t.Logf("%-20s %4d of %6d in %v", row.name, items, total, time.Since(began).Round(time.Microsecond))
		if items > api.PageMost || row.total >= 0 && total != row.total {
			t.Errorf("%s: %d items of %d, want at most %d of %d", row.name, items, total, api.PageMost, row.total)
		}
	}
}

func alertsPage(r *rig, ctx context.Context, in api.AlertsInput) func() (int, int, error) {
	return func() (int, int, error) {
		p, err := r.api.Alerts(ctx, &in)
		if err != nil {
			return 0, 0, err
		}
		return len(p.Body.Items), p.Body.Total, nil
	}
}

func devicesPage(r *rig, ctx context.Context, in api.DevicesInput) func() (int, int, error) {
	return func() (int, int, error) {
		p, err := r.api.Devices(ctx, &in)
		if err != nil {
			return 0, 0, err
		}
		return len(p.Body.Items), p.Body.Total, nil
	}
}

// deepCursor walks some pages into all alerts, and sees each once.
func (r *rig) deepCursor(ctx context.Context, pages int) (after string) {
	r.t.Helper()
	seen := map[core.UUID]bool{}
	for range pages {
		p, err := r.api.Alerts(ctx, &api.AlertsInput{All: true, After: after, Limit: api.PageMost})
		r.must(err)
		for _, a := range p.Body.Items {
			if seen[a.ID] {
				r.t.Fatalf("alert %s comes twice", a.ID)
			}
			seen[a.ID] = true
		}
		after = p.Body.Next
	}
	if len(seen) != pages*api.PageMost {
		r.t.Fatalf("%d alerts on %d pages", len(seen), pages)
	}
	return after
}

// TestNoTextIsToldBack without a bound, whatever a parameter holds: markup,
// escapes, marks of direction, or just much.
func TestNoTextIsToldBack(t *testing.T) {
	r := newRig(t)
	paths := map[string][]string{
		"/v1/alerts":           {"after", "limit", "all", "severity", "device", "rule"},
		"/v1/incidents":        {"after", "limit", "all", "state", "device"},
		"/v1/devices":          {"after", "limit", "state", "site", "query"},
		"/v1/orders":           {"after", "limit", "state", "device"},
		"/v1/runs":             {"incident"},
		"/v1/audit/entries":    {"after", "limit", "actor", "action", "object", "outcome", "since", "until"},
		"/v1/audit/proofs/0":   {"origin"},
		"/v1/events":           {"last", "follow", "after", "cursors"},
		"/v1/live":             {"last", "after"},
		"/v1/events/search":    {"query", "from", "to", "limit"},
		"/v1/events/histogram": {"query", "from", "to", "bars"},
		"/v1/status":           {"evil"},
		"/v1/devices/press-7":  {"$schema"},
		"/v1/incidents/x":      {"all"},
		"/v1/audit/state":      {"x"},
	}
	for path, names := range paths {
		for _, name := range names {
			for _, text := range []string{
				"<script>alert(1)</script>", "\x1b]0;owned\x07", "a\u202eb", "%00", "' OR 1=1 --", "$(id)", strings.Repeat("A", 6000), "\xff\xfe", "NaN", "1e9", "-1", "99999999999999999999",
			} {
				if path == "/v1/live" && name == "last" && text == "-1" {
					continue
				}
				code, b := r.ask("anna", "GET", path+"?"+name+"="+escape(text), "")
				if code == 500 || len(b) > 1500 || strings.Contains(string(b), strings.Repeat("A", 500)) {
					t.Errorf("%s?%s=%.20q: %d with %d bytes: %.200s", path, name, text, code, len(b), b)
				}
			}
		}
	}
}

// escape is for a query, byte by byte: what it holds need not be UTF-8.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, "%%%02X", text[i])
	}
	return b.String()
}

// TestParametersAreTakenOnce: an unknown one, one that stands there twice, and
// one that is empty where a number belongs are refused, everywhere.
func TestParametersAreTakenOnce(t *testing.T) {
	r := newRig(t)
	for _, query := range []string{"limit=1&limit=2", "Limit=1", "limit=", "all=", "all=true&all=true", "$select=id", "limit=%zz", "limit=1;all=true", "=1"} {
		r.refused("anna", "GET", "/v1/alerts?"+query, "", core.KindInvalid)
	}
	for _, path := range []string{"/v1/status?x=1", "/v1/audit/export?x=1", "/v1/events?x=1", "/v1/stops?x="} {
		r.refused("anna", "GET", path, "", core.KindInvalid)
	}
	if code, b := r.ask("anna", "GET", "/v1/alerts?device=&after=", ""); code != 200 {
		t.Errorf("empty texts: %d %s", code, b)
	}
}
