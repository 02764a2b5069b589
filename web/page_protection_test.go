package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// says puts a device's reports where the fold would.
func (p *plant) says() {
	p.t.Helper()
	now := time.Now()
	report := func(kind, body string) {
		p.sql(`INSERT INTO fleet_reports (tenant, device, kind, at, received, simulated, body) VALUES ('main', 'press-7', '`+kind+`', $1, $1, 0, $2)`, now.UnixMicro(), []byte(body))
	}
	sensor := func(id, state string) {
		p.sql(`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ('main', 'press-7', $1, $2, $3, 0)`, id, state, now.Add(-time.Hour).UnixMicro())
	}
	for id, state := range map[string]string{"imu": "ok", "supply": "stale", "rear-door": "bypassed", "board": "fault", "air": "ok", "parts": "alarm"} {
		sensor(id, state)
	}
	report("status", fmt.Sprintf(`{"mode":"normal","version":"0.4.0","arming":"maintenance","armed_by":"order","arming_until":%d,"ticket":"MT-4711","spool_lost":2,
		"why":{"supply":"stands still at 12.02 V for 10m0s","board":"its chip is gone: /sys/class/hwmon/hwmon3"},
		"kinds":{"imu":"iio","supply":"hwmon","air":"environment"},"proven":{"imu":%d},
		"risk":{"score":58.5,"factors":[{"what":"latch case_intrusion at case/lid","points":45},{"what":"<script>alert(1)</script>","points":13.5}]},
		"bypassed":[{"sensor":"rear-door","point":"reed","from":%[1]d,"until":%[1]d,"begun":true,"reason":"contact is worn","persons":["anna","otto"]}]}`,
		now.Add(2*time.Hour).UnixMicro(), now.Add(-26*time.Hour).UnixMicro()))
	report("detail", `{"live":{"imu":[{"point":"tilt","value":0.31,"unit":"deg"},{"point":"rms","value":0.0042,"unit":"[g]"}],"supply":[{"point":"in0","value":12.02,"unit":"V"}],"air":[{"point":"intake","value":24.5,"unit":"Cel"}]},
		"interfaces":[{"sensor":"net","kind":"network-carrier","name":"eth0","state":"up","changed":"2026-11-22T01:00:00Z"},{"sensor":"usb","kind":"usb","name":"1-1.2","state":"blocked","what":"<img src=x> keyboard"}]}`)
	report("doctor", `{"by":"agent","code":2,"pass":9,"fail":1,"warning":1,"skipped":2,"checks":[{"group":"sensors","subject":"board","check":"reads","result":"fail","why":"its chip is gone"},{"group":"sensors","subject":"rear-door","check":"drive-back","result":"skipped","why":"no drive-back is wired"}]}`)
	report("baseline", `{"event":"baseline_learned","sensor":"parts","sha256":"`+strings.Repeat("1a", 32)+`"}`)
	p.sql(`UPDATE fleet_reports SET at = at - 1000000 WHERE kind = 'baseline'`)
	report("parts", `{"event":"component_swapped","sensor":"parts","component":"dimm","place":"DIMM 0","from":"Kingston KVR 9905 SN 1","to":"Unknown SN 2","sha256":"`+strings.Repeat("ab", 32)+`"}`)
	p.sql(`INSERT INTO fleet_walk_tests (tenant, device, hash, at, received, simulated, body) VALUES ('main', 'press-7', $1, $2, $2, 0, $3)`, strings.Repeat("cd", 32), now.Add(-time.Hour).UnixMicro(),
		[]byte(`{"by":"Anna Adler","triggered":[{"sensor":"case","point":"lid","at":1795312800000000,"type":"case_intrusion"},{"sensor":"imu","at":1795312860000000,"type":"motion_detected"}],"missing":[{"sensor":"rear-door","point":"reed"}]}`))
}

// TestADeviceSaysHowItIsProtected: arming with its end, bypasses with theirs,
// whys, values, what was never proven; and nothing where it said nothing.
func TestADeviceSaysHowItIsProtected(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	p.reports(plantPress)
	if text := visibleText(p.page("vera", "/devices/press-7")); !strings.Contains(text, "arming not said") || !strings.Contains(text, "Nobody has shown yet that each of its sensors can be set off") {
		t.Error(text)
	}
	p.says()
	body := p.page("anna", "/devices/press-7")
	harmless(t, "/devices/press-7", body)
	text := visibleText(body)
	for _, want := range []string{
		"maintenance", "MT-4711", "contact is worn", "stands still at 12.02 V", "0.31", "24.5 °C", "58.5 of 100", "2 events never reached the server", "1 failed", "2 could not be tested",
		"Not set off: rear-door reed", "Sign this report off", "component swapped", "Unknown SN 2", "signed by anna",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q: %s", want, text)
		}
	}
	if !strings.Contains(body, `value="`+strings.Repeat("ab", 32)+`"`) || !strings.Contains(body, `<option value="parts" selected>`) {
		t.Error("the form for a new baseline does not know the inventory")
	}
	if body := p.page("vera", "/devices/press-7"); strings.Contains(body, "walk-test/begin") || strings.Contains(body, "/criticality") {
		t.Error("a viewer is offered what would be refused")
	}
}

// TestOrdersWithAnEndAreAskedFor: each form makes the order that it says; what
// has no end, or a sensor that is none, makes nothing.
func TestOrdersWithAnEndAreAskedFor(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	p.reports(plantPress)
	p.says()
	for verb, row := range map[string]struct {
		fields []string
		want   string
	}{
		"maintenance": {[]string{"for", "2h", "ticket", "MT-1"}, "maintenance"},
		"transport":   {[]string{"for", "12h"}, "transport"},
		"disarm":      {[]string{"for", "168h"}, "disarmed"},
		"bypass":      {[]string{"for", "4h", "sensor", "rear-door", "point", "reed"}, "reed"},
		"baseline":    {[]string{"sensor", "parts", "sha256", strings.Repeat("AB", 32)}, strings.Repeat("ab", 32)},
	} {
		to := p.submit("otto", "/devices/press-7/"+verb, append(row.fields, "reason", "a fan is replaced")...)
		if text := visibleText(p.page("anna", to)); !strings.Contains(text, row.want) || !strings.Contains(text, "0 of 2") {
			t.Errorf("%s: %s", verb, text)
		}
	}
	for name, fields := range map[string][]string{
		"disarm":      {"for", "999h"},
		"maintenance": {"for", "2h"},
		"bypass":      {"for", "2h", "sensor", "../x"},
		"baseline":    {"sensor", "parts", "sha256", "abc"},
	} {
		form := map[string][]string{"csrf": {"token-of-otto"}, "reason": {"x"}}
		for i := 0; i < len(fields); i += 2 {
			form[fields[i]] = []string{fields[i+1]}
		}
		if res, _ := p.ask("otto", http.MethodPost, "/devices/press-7/"+name, form); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s with %v: %d", name, fields, res.StatusCode)
		}
	}
	p.submit("anna", "/devices/press-7/criticality", "criticality", "critical", "reason", "line 3")
	if body := p.page("anna", "/devices/press-7"); !strings.Contains(body, `<option value="critical" selected>`) {
		t.Error("the criticality is not kept")
	}
}

// TestWhoToLookAtFirst: the list and the device's own page say the same, and why.
func TestWhoToLookAtFirst(t *testing.T) {
	p := newPlant(t)
	if text := visibleText(p.page("vera", "/risks")); !strings.Contains(text, "No device yet") {
		t.Error(text)
	}
	story(p)
	p.says()
	body := p.page("vera", "/risks")
	harmless(t, "/risks", body)
	if text := visibleText(body); !strings.Contains(text, "press-7") || !strings.Contains(text, "alert (high): The case of a device was opened") || strings.Index(text, "press-7") > strings.Index(text, "saw-1") {
		t.Error(text)
	}
	if text := visibleText(p.page("vera", "/devices/press-7")); !strings.Contains(text, "Risk here") || !strings.Contains(text, "it is in maintenance") {
		t.Error(text)
	}
}
