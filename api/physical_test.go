package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/siem/alert"
)

// TestOrdersOfPersons: what loosens takes its parameters with it, waits for
// persons, and not beyond its own end; a parameter that the type does not have is
// refused and not left out.
func TestOrdersOfPersons(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	until := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
	hash := strings.Repeat("ab", 32)
	for _, row := range []struct{ verb, body, want string }{
		{"disarm", `"arming":"disarmed","until":"` + until + `"`, `"arming":"disarmed"`},
		{"disarm", `"arming":"transport","until":"` + until + `","ticket":"TR-1"`, `"ticket":"TR-1"`},
		{"disarm", `"arming":"maintenance","until":"` + until + `","ticket":"MT-1"`, `"arming":"maintenance"`},
		{"bypass", `"sensor":"door","point":"lid","until":"` + until + `"`, `"point":"lid"`},
		{"baseline", `"sensor":"parts","sha256":"` + hash + `"`, hash},
	} {
		o := send[api.Order](r, "POST", "/v1/devices/press-7/"+row.verb, `{"reason":"r","incident":"","presence":"",`+row.body+`}`)
		whole := get[api.Order](r, "/v1/orders/"+o.ID.String())
		if o.State != "awaiting" || o.Needed != 2 || !strings.Contains(string(payloadOf(t, whole)), row.want) {
			t.Errorf("%s %s: %+v", row.verb, row.body, o)
		}
		if row.verb != "baseline" && o.Expires.After(time.Now().Add(2*time.Hour+time.Minute)) {
			t.Errorf("%s waits until %v", row.verb, o.Expires)
		}
	}
	far := time.Now().Add(30 * time.Hour).UTC().Format(time.RFC3339)
	for name, row := range map[string]struct{ verb, body string }{
		"no end":                  {"disarm", `"arming":"disarmed"`},
		"an end that has passed":  {"disarm", `"arming":"disarmed","until":"2020-01-01T00:00:00Z"`},
		"armed is no disarm":      {"disarm", `"arming":"armed","until":"` + until + `"`},
		"no ticket":               {"disarm", `"arming":"maintenance","until":"` + until + `"`},
		"over a day":              {"disarm", `"arming":"maintenance","ticket":"MT-1","until":"` + far + `"`},
		"a sensor of a disarm":    {"disarm", `"arming":"disarmed","until":"` + until + `","sensor":"door"`},
		"no sensor":               {"bypass", `"until":"` + until + `"`},
		"a bypass with an arming": {"bypass", `"sensor":"door","until":"` + until + `","arming":"disarmed"`},
		"no hash":                 {"baseline", `"sensor":"parts"`},
		"an arm with an end":      {"arm", `"until":"` + until + `"`},
	} {
		r.refused("anna", "POST", "/v1/devices/press-7/"+row.verb, `{"reason":"r","incident":"","presence":"",`+row.body+`}`, core.KindInvalid)
		_ = name
	}
	r.refused("vera", "POST", "/v1/devices/press-7/bypass", `{"reason":"r","incident":"","presence":"","sensor":"door","until":"`+until+`"}`, core.KindDenied)
}

func payloadOf(t *testing.T, o api.Order) []byte {
	t.Helper()
	var env struct {
		Payload []byte `json:"payload"`
	}
	var text struct {
		Payload string `json:"payload"`
	}
	if json.Unmarshal(o.Envelope, &env) == nil && len(env.Payload) > 0 {
		return env.Payload
	}
	if err := json.Unmarshal(o.Envelope, &text); err != nil {
		t.Fatal(err)
	}
	return []byte(text.Payload)
}

// TestWhatADeviceSaysOfItself: arming, whys, values, bypasses and the last
// self-test stand with the device, each as old as it is; what it does not say is
// not made up.
func TestWhatADeviceSaysOfItself(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.sql(`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ('main', 'press-7', 'case', 'bypassed', 1, 0)`)
	if d := get[api.Device](r, "/v1/devices/press-7"); d.Status != nil || d.Criticality != "medium" || len(d.WalkTests) != 0 {
		t.Errorf("before it said anything: %+v", d)
	}
	at := time.Now().Add(-time.Minute).UnixMicro()
	report := func(kind, body string, at int64) {
		r.sql(`INSERT INTO fleet_reports (tenant, device, kind, at, received, simulated, body) VALUES ('main', 'press-7', '`+kind+`', $1, $1, 0, $2)`, at, []byte(body))
	}
	until := time.Now().Add(time.Hour).UnixMicro()
	report("status", fmt.Sprintf(`{"mode":"normal","arming":"armed","armed_by":"schedule","version":"0.1","why":{"case":"<b>cut</b>"},"proven":{"case":%d},"spool_lost":3,
		"bypassed":[{"sensor":"case","from":%[1]d,"until":%d,"begun":true,"reason":"worn","persons":["anna","bert"]}],"latches":"not a number","risk":{"score":42.5,"factors":[{"what":"a latch","points":27.5},{"what":"fault","points":15}]}}`, at, until), at)
	report("detail", `{"live":{"case":[{"point":"in0","value":4.97,"unit":"V"}]},"interfaces":[{"sensor":"net","kind":"network-carrier","name":"eth0","state":"up"}]}`, at)
	report("arming", `{"event":"disarmed","arming":"maintenance","by":"order","ticket":"MT-1","for_s":3600}`, at+1)
	report("doctor", `{"event":"doctor_report","by":"agent","pass":3,"fail":0,"warning":0,"skipped":1,"checks":[{"group":"sensors","subject":"case","check":"drive-back","result":"skipped","why":"no wire"}]}`, at)
	report("parts", `{"event":"component_swapped","sensor":"parts","component":"dimm","place":"DIMM 0","from":"a","to":"b","sha256":"`+strings.Repeat("ab", 32)+`"}`, at)
	d := get[api.Device](r, "/v1/devices/press-7")
	st := d.Status
	if st == nil || st.Arming != core.Maintenance || st.Ticket != "MT-1" || st.ArmingUntil.IsZero() || st.SpoolLost != 3 || len(st.Bypasses) != 1 || len(st.Interfaces) != 1 ||
		st.Doctor == nil || st.Doctor.Skipped != 1 || len(st.Doctor.Checks) != 1 || st.Parts == nil || st.Parts.Place != "DIMM 0" || st.Risk == nil || st.Risk.Score != 42.5 || len(st.Risk.Factors) != 2 {
		t.Fatalf("%+v", st)
	}
	list := get[api.Page[api.Sensor]](r, "/v1/devices/press-7/sensors").Items
	if len(list) != 1 || list[0].Why != "<b>cut</b>" || len(list[0].Values) != 1 || list[0].Proven.IsZero() || list[0].BypassUntil.IsZero() {
		t.Errorf("%+v", list)
	}
	r.refused("anna", "GET", "/v1/devices/press-8/sensors", "", core.KindNotFound)
	r.sql(`UPDATE fleet_reports SET body = $1`, []byte(`[1,2`))
	if d := get[api.Device](r, "/v1/devices/press-7"); d.Status == nil || d.Status.Arming != "" || d.Status.Doctor == nil || d.Status.Doctor.Fail != 1 {
		t.Errorf("what can't be read: %+v", d.Status)
	}
}

// TestAWalkTestByTheAPI: read, then signed, for exactly what was read.
func TestAWalkTestByTheAPI(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	hash := strings.Repeat("cd", 32)
	r.sql(`INSERT INTO fleet_walk_tests (tenant, device, hash, at, received, simulated, body) VALUES ('main', 'press-7', $1, 1, 1, 0, $2)`, hash,
		[]byte(`{"by":"anna","complete":true,"triggered":[{"sensor":"lid","point":"lid","at":7,"type":"case_intrusion"}],"missing":[{"sensor":"rear"}]}`))
	list := get[api.Page[api.WalkTest]](r, "/v1/devices/press-7/walk-tests").Items
	if len(list) != 1 || len(list[0].Triggered) != 1 || len(list[0].Missing) != 1 || list[0].Complete || !list[0].Signed.IsZero() {
		t.Fatalf("%+v", list)
	}
	r.refused("vera", "POST", "/v1/devices/press-7/walk-tests/sign", `{"hash":"`+hash+`","note":""}`, core.KindDenied)
	r.refused("anna", "POST", "/v1/devices/press-7/walk-tests/sign", `{"hash":"`+strings.Repeat("ab", 32)+`","note":""}`, core.KindConflict)
	w := send[api.WalkTest](r, "POST", "/v1/devices/press-7/walk-tests/sign", `{"hash":"`+hash+`","note":"rear is welded"}`)
	if w.SignedBy != "person/anna" || w.Note != "rear is welded" {
		t.Errorf("%+v", w)
	}
	d := send[api.Device](r, "POST", "/v1/devices/press-7/criticality", `{"criticality":"critical","reason":"line 3"}`)
	if d.Criticality != "critical" || d.WalkTests[0].Signed.IsZero() {
		t.Errorf("%+v", d)
	}
}

// shot hands in a photo that nobody took before.
func (r *rig) shot(n int) string {
	r.t.Helper()
	img := image.NewGray(image.Rect(0, 0, 80, 80))
	img.Pix[0] = uint8(n)
	var photo bytes.Buffer
	r.must(png.Encode(&photo, img))
	return send[api.Photo](r, "POST", "/v1/photos", photo.String()).Hash
}

// TestSealsByTheAPI: a photo is handed in as it is and shown as a picture.
func TestSealsByTheAPI(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	var photo bytes.Buffer
	r.must(png.Encode(&photo, image.NewGray(image.Rect(0, 0, 80, 80))))
	p := send[api.Photo](r, "POST", "/v1/photos", photo.String())
	if p.Type != "image/png" || p.Width != 80 || len(p.Hash) != 64 {
		t.Fatalf("%+v", p)
	}
	r.refused("anna", "POST", "/v1/photos", "<svg>", core.KindInvalid, "no JPEG")
	r.refused("vera", "POST", "/v1/photos", photo.String(), core.KindDenied)
	if code, b := r.ask("vera", "GET", "/v1/photos/"+p.Hash, ""); code != http.StatusOK || !bytes.Equal(b, photo.Bytes()) {
		t.Errorf("%d, %d bytes", code, len(b))
	}
	body := `{"id":"il 17","kind":"tape","device":"press-7","place":"lid","sensor":"","photo":"` + p.Hash + `","every_days":7}`
	s := send[api.Seal](r, "POST", "/v1/seals", body)
	if s.ID != "IL17" || s.State != "intact" || s.Late {
		t.Errorf("%+v", s)
	}
	r.refused("anna", "POST", "/v1/seals", body, core.KindConflict)
	r.refused("anna", "POST", "/v1/seals/IL17/inspections", `{"result":"ok","photo":"`+p.Hash+`","note":""}`, core.KindConflict)
	s = send[api.Seal](r, "POST", "/v1/seals/IL17/inspections", `{"result":"ok","photo":"`+r.shot(1)+`","note":""}`)
	r.sql(`UPDATE fleet_seals SET due = 1`)
	if list := pageOf[api.Seal](r, "/v1/seals?due=-1"); len(list) != 1 || !list[0].Late {
		t.Errorf("%+v", list)
	}
	for i := range 3 {
		send[api.Seal](r, "POST", "/v1/seals", strings.NewReplacer("il 17", fmt.Sprint("x", i), p.Hash, r.shot(10+i)).Replace(body))
	}
	first := get[api.Page[api.Seal]](r, "/v1/seals?limit=3&device=press-7")
	if second := get[api.Page[api.Seal]](r, "/v1/seals?limit=3&after="+first.Next); first.Total != 4 || len(second.Items) != 1 || second.Next != "" {
		t.Errorf("%+v, then %+v", first, second)
	}
	s = send[api.Seal](r, "POST", "/v1/seals/IL17/remove", `{"reason":"scrapped"}`)
	if got := get[api.Seal](r, "/v1/seals/il17"); s.State != "removed" || len(got.Inspections) != 1 || got.Inspections[0].By != "person/anna" {
		t.Errorf("%+v", got)
	}
	r.refused("anna", "GET", "/v1/seals?state=lost", "", core.KindInvalid, "state is one of")
	r.refused("anna", "GET", "/v1/seals?due=401", "", core.KindInvalid)
}

// TestWhoIsLookedAtFirst: open alerts and exposure, weighed by what depends on the
// device; simulated alerts count for nothing.
func TestWhoIsLookedAtFirst(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	saw := core.MustID[core.DeviceID]("saw-1")
	r.device(saw, false)
	r.device(core.MustID[core.DeviceID]("oven-9"), true) // waits, and has no part in it
	r.reports(press)
	r.raise()
	r.sql(`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated) VALUES ('main', 'saw-1', 'lid', 'stale', 1, 0), ('main', 'saw-1', 'door', 'bypassed', 1, 0)`)
	list := get[api.Page[api.DeviceRisk]](r, "/v1/risks").Items
	if len(list) != 2 || list[0].Device != press || list[0].Score <= list[1].Score || !strings.Contains(list[0].Factors[0].What, "alert (high)") {
		t.Fatalf("%+v", list)
	}
	before := list[1].Score
	send[api.Device](r, "POST", "/v1/devices/saw-1/criticality", `{"criticality":"critical","reason":"the only one"}`)
	d := get[api.Device](r, "/v1/devices/saw-1")
	if d.Risk == nil || d.Risk.Weight != 2 || d.Risk.Score < before*1.9 {
		t.Errorf("before %v, now %+v", before, d.Risk)
	}
	if list := get[api.Page[api.DeviceRisk]](r, "/v1/risks?site=hall-x"); list.Total != 0 {
		t.Errorf("%+v", list)
	}
	if d := get[api.Device](r, "/v1/devices/oven-9"); d.Risk != nil {
		t.Errorf("%+v", d.Risk)
	}
}

// TestAnEarthquakeIsTold: a device that says it is moved, in the minute in which
// its whole site was shaken, is told as such; a day later it is not.
func TestAnEarthquakeIsTold(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	now := time.Now()
	raise := func(rule string, group map[string]string, device core.DeviceID, at time.Time) (found alert.Alert) {
		r.must(r.state.Tx(t.Context(), func(tx *store.Tx) (err error) {
			found, err = r.alerts.Raise(t.Context(), tx, alert.Raise{
				Tenant: tenant, Rule: alert.Rule{Name: rule, ID: rule, Title: rule, Author: "Interlock"}, Severity: core.SeverityHigh, Key: fmt.Sprint(rule, at), Group: group, Device: device,
				Provenance: core.ProvenanceDevice, Events: []alert.Event{{ID: core.NewUUID(at), At: at, Source: "device/press-7"}}, Now: at,
			})
			return err
		}))
		return found
	}
	quake := raise("interlock-site-shaken", map[string]string{"site": "hall-a"}, core.DeviceID{}, now)
	raise("interlock-site-shaken", map[string]string{"site": "hall-b"}, core.DeviceID{}, now.Add(24*time.Hour))
	for name, row := range map[string]struct {
		rule string
		at   time.Time
		told bool
	}{
		"in it":          {"interlock-device-moved", now.Add(30 * time.Second), true},
		"a day later":    {"interlock-device-moved", now.Add(24 * time.Hour), false},
		"something else": {"interlock-device-tampered", now, false},
	} {
		a := get[api.Alert](r, "/v1/alerts/"+raise(row.rule, nil, press, row.at).ID.String())
		if told := a.Shaken != nil; told != row.told || told && a.Shaken.Alert != quake.ID {
			t.Errorf("%s: %+v", name, a.Shaken)
		}
	}
}
