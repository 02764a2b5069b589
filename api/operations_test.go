package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/events"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/safety/stop"
)

// TestAcknowledging an alert: once, on record, by somebody who may.
func TestAcknowledging(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	path := "/v1/alerts/" + r.raise().ID.String() + "/ack"
	r.refused("vera", "POST", path, `{"note":"mine"}`, core.KindDenied)
	r.refused("anna", "POST", path, `{"note":"`+strings.Repeat("a", 501)+`"}`, core.KindTooLarge, "note")
	a := send[api.Alert](r, "POST", path, `{"note":"mine"}`)
	if a.State != "acknowledged" || a.AckedBy != "person/anna" || a.AckedNote != "mine" || a.AckedAt.IsZero() {
		t.Errorf("%+v", a)
	}
	r.refused("anna", "POST", path, `{"note":""}`, core.KindConflict, "person/anna")
	if list := pageOf[api.Alert](r, "/v1/alerts"); len(list) != 0 {
		t.Errorf("%d alerts are open", len(list))
	}
	if list := pageOf[api.Alert](r, "/v1/alerts?all=true&severity=high&device=press-7&rule=interlock-device-tampered"); len(list) != 1 {
		t.Errorf("%d alerts in all", len(list))
	}
	if list := pageOf[api.AuditEntry](r, "/v1/audit/entries?action=alert.ack&outcome=permitted"); len(list) == 0 {
		t.Error("nobody's word that an alert was taken is in the log")
	}
}

// TestTheInbox: orders that wait for signatures, and those that don't.
func TestTheInbox(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	send[api.Order](r, "POST", "/v1/devices/press-7/quarantine", `{"reason":"r","incident":"","presence":""}`)
	o := send[api.Order](r, "POST", "/v1/devices/press-7/release", `{"reason":"looked at","incident":"","presence":""}`)
	if list := pageOf[api.Order](r, "/v1/orders?state=awaiting"); len(list) != 1 || list[0].ID != o.ID || list[0].Expires.IsZero() || list[0].Site != site {
		t.Errorf("%+v", list)
	}
	first := get[api.Page[api.Order]](r, "/v1/orders?limit=1")
	second := get[api.Page[api.Order]](r, "/v1/orders?limit=1&after="+first.Next)
	if first.Total != 2 || len(second.Items) != 1 || second.Next != "" || first.Items[0].ID == second.Items[0].ID {
		t.Errorf("%+v then %+v", first, second)
	}
	r.refused("anna", "GET", "/v1/orders?state=lost", "", core.KindInvalid, "awaiting")
	r.refused("anna", "GET", "/v1/alerts?after="+first.Next, "", core.KindInvalid, "cursor")
}

// TestTheBoard: what is in force and what is not well, each from where it is
// known.
func TestTheBoard(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	b := get[api.Board](r, "/v1/board")
	if b.Days == nil || *b.Days != 0 || b.Since.IsZero() || len(b.Stops) != 0 || b.SensorsNotOK != 0 || b.Alerts["high"] != 0 || b.Unknown != "" {
		t.Errorf("%+v", b)
	}
	r.reports(press)
	r.raise()
	r.tampered(press)
	send[api.StopResult](r, "POST", "/v1/stops", `{"scope":{"kind":"site","site":"hall-a"},"reason":"smoke"}`)
	b = get[api.Board](r, "/v1/board")
	if *b.Days != 0 || len(b.Stops) != 1 || b.SensorsNotOK != 1 || len(b.Sensors) != 1 || b.Sensors[0].Device != press || b.OpenLatches != 1 || b.Alerts["high"] != 1 {
		t.Errorf("%+v", b)
	}
	if !b.Since.After(time.Now().Add(-time.Minute)) {
		t.Errorf("since %v", b.Since)
	}
}

// TestStopsByTheAPI: any person stops the own sites, at once, and nobody else's;
// that a role is missing keeps nobody from it.
func TestStopsByTheAPI(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.stops.SetTargets([]stop.Target{{Tenant: tenant, Site: site, Device: press}})
	r.refused("nobby", "POST", "/v1/stops", `{"scope":{"kind":"site","site":"hall-b"},"reason":""}`, core.KindDenied, "hall-b")
	code, b := r.ask("nobby", "POST", "/v1/stops", `{"scope":{"kind":"device","device":"press-7"},"reason":"hand in it"}`)
	var res api.StopResult
	if code != http.StatusOK || json.Unmarshal(b, &res) != nil || !res.Recorded || len(res.Stops) != 1 || !slices.Equal(res.Stops[0].Waiting, []string{"press-7"}) {
		t.Fatalf("%d %s", code, b)
	}
	for _, body := range []string{`{"scope":{"kind":"universe"},"reason":""}`, `{"scope":{"kind":"site"},"reason":""}`, `{"scope":{"kind":"device","device":"press-7","device":"x"},"reason":""}`} {
		r.refused("anna", "POST", "/v1/stops", body, core.KindInvalid)
	}
	list := pageOf[api.Stop](r, "/v1/stops")
	if len(list) != 1 || list[0].By != "person/nobby" || list[0].Reason != "hand in it" || list[0].Trip != res.Trip.String() {
		t.Errorf("%+v", list)
	}
	if found := pageOf[api.AuditEntry](r, "/v1/audit/entries?action=device.stop&outcome=refused"); len(found) != 1 {
		t.Errorf("%d refused stops are in the log", len(found))
	}
}

// TestAStopNeedsNoDatabaseAndNoLog: F06 through this door too.
func TestAStopNeedsNoDatabaseAndNoLog(t *testing.T) {
	r := newRig(t)
	r.must(r.log.Close())
	r.must(r.state.Close())
	if res := send[api.StopResult](r, "POST", "/v1/stops", `{"scope":{"kind":"fleet"},"reason":""}`); len(res.Stops) != 1 {
		t.Errorf("%+v", res)
	}
	b := get[api.Board](r, "/v1/board")
	if len(b.Stops) != 1 || b.Unknown == "" || b.Days != nil || b.Alerts != nil {
		t.Errorf("%+v", b)
	}
}

// TestSites are those of devices and one's own.
func TestSites(t *testing.T) {
	r := newRig(t)
	if list := pageOf[api.Site](r, "/v1/sites"); len(list) != 1 || list[0] != (api.Site{ID: "hall-a"}) {
		t.Errorf("%+v", list)
	}
	r.device(press, false)
	r.sql(`UPDATE fleet_devices SET site = 'hall-0'`)
	if list := pageOf[api.Site](r, "/v1/sites"); len(list) != 2 || list[0] != (api.Site{ID: "hall-0", Devices: 1}) {
		t.Errorf("%+v", list)
	}
}

// TestSearchingEvents: the tenant is the caller's, whatever the text says; the
// reading is on record; a store that is away is said to be.
func TestSearchingEvents(t *testing.T) {
	r := newRig(t)
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	r.store.hits = []events.Hit{
		{Time: at, Fields: map[string]string{"id": "e1", "type": "login", "source": "file/auth.log", "device": "press-7", "severity": "high", "journal.offset": "7", "journal.index": "2", "x": "\x1b[31m"}},
		{Fields: map[string]string{"count(*)": "5"}},
	}
	query := url.Values{"query": {`type:login AND tenant:other | limit 5`}, "from": {at.Add(-time.Hour).Format(time.RFC3339)}, "to": {at.Add(time.Hour).Format(time.RFC3339)}, "limit": {"7"}}
	before := r.log.Size()
	page := get[api.Page[api.EventHit]](r, "/v1/events/search?"+query.Encode())
	if len(page.Items) != 2 || page.Items[0].Cursor != "7.2" || page.Items[0].Type != "login" || page.Items[1].ID != "" || !strings.Contains(string(page.Items[0].Event), `\u001b`) {
		t.Errorf("%+v", page)
	}
	if q := r.store.asked; q.Tenant != tenant || q.LogsQL != query.Get("query") || !q.From.Equal(at.Add(-time.Hour)) || q.Limit != 7 {
		t.Errorf("asked %+v", q)
	}
	if r.log.Size() != before+1 {
		t.Errorf("the search left %d entries", r.log.Size()-before)
	}
	bars := get[api.Page[api.EventBucket]](r, "/v1/events/histogram?bars=10&"+url.Values{"from": query["from"], "to": query["to"]}.Encode())
	if len(bars.Items) != 1 || bars.Items[0].Count != 3 || r.store.step != 15*time.Minute {
		t.Errorf("%+v in steps of %v", bars, r.store.step)
	}
	r.refused("vera", "GET", "/v1/events/search", "", core.KindDenied)
	r.refused("anna", "GET", "/v1/events/search?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "", core.KindInvalid, "from")
	r.refused("anna", "GET", "/v1/events/search?query="+strings.Repeat("a", 5000), "", core.KindTooLarge)
	r.refused("anna", "GET", "/v1/events/histogram?bars=201", "", core.KindInvalid)
	r.store.err = core.E(core.KindUnavailable, "events.Search", "the event store is not available").WithHint("wait")
	r.refused("anna", "GET", "/v1/events/search", "", core.KindUnavailable, "wait")
	r.api.Events = nil
	r.refused("anna", "GET", "/v1/events/histogram", "", core.KindUnavailable, "no event store")
}

// TestBarsAreRound: a histogram of any span has at most as many bars as asked
// for and, while it can, not far fewer.
func TestBarsAreRound(t *testing.T) {
	r := newRig(t)
	for _, span := range []time.Duration{time.Second, time.Minute, 61 * time.Minute, 24 * time.Hour, 30 * 24 * time.Hour, 20 * 365 * 24 * time.Hour} {
		for _, bars := range []int{1, 10, 60, 200} {
			to := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
			q := url.Values{"bars": {fmt.Sprint(bars)}, "to": {to.Format(time.RFC3339)}, "from": {to.Add(-span).Format(time.RFC3339)}}
			get[api.Page[api.EventBucket]](r, "/v1/events/histogram?"+q.Encode())
			if step := r.store.step; step < time.Second || span/step > time.Duration(bars) {
				t.Errorf("%v in %d bars: steps of %v", span, bars, step)
			}
		}
	}
}

// TestOperationsAskTheGuardThemselves: called within the process, without a
// door, each is refused to who may not and does nothing.
func TestOperationsAskTheGuardThemselves(t *testing.T) {
	r := newRig(t)
	r.device(press, false)
	r.reports(press)
	in, run := r.tampered(press)
	a := r.raise()
	id := func(text string) *api.IDInput { return &api.IDInput{ID: text} }
	none := &api.None{}
	calls := map[string]func(context.Context) error{
		"Status":  func(ctx context.Context) error { _, err := r.api.Status(ctx, none); return err },
		"Board":   func(ctx context.Context) error { _, err := r.api.Board(ctx, none); return err },
		"Devices": func(ctx context.Context) error { _, err := r.api.Devices(ctx, &api.DevicesInput{}); return err },
		"Device":  func(ctx context.Context) error { _, err := r.api.Device(ctx, id("press-7")); return err },
		"Sites":   func(ctx context.Context) error { _, err := r.api.Sites(ctx, none); return err },
		"Alerts":  func(ctx context.Context) error { _, err := r.api.Alerts(ctx, &api.AlertsInput{}); return err },
		"Alert":   func(ctx context.Context) error { _, err := r.api.Alert(ctx, id(a.ID.String())); return err },
		"AckAlert": func(ctx context.Context) error {
			_, err := r.api.AckAlert(ctx, &api.AckAlertInput{ID: a.ID.String()})
			return err
		},
		"Incidents": func(ctx context.Context) error { _, err := r.api.Incidents(ctx, &api.IncidentsInput{}); return err },
		"Incident":  func(ctx context.Context) error { _, err := r.api.Incident(ctx, id(in.ID.String())); return err },
		"DryRun":    func(ctx context.Context) error { _, err := r.api.DryRun(ctx, id(in.ID.String())); return err },
		"Runs":      func(ctx context.Context) error { _, err := r.api.Runs(ctx, &api.RunsInput{}); return err },
		"Run":       func(ctx context.Context) error { _, err := r.api.Run(ctx, id(run.ID.String())); return err },
		"StartRun": func(ctx context.Context) error {
			_, err := r.api.StartRun(ctx, &api.StartRunInput{ID: run.ID.String()})
			return err
		},
		"Orders": func(ctx context.Context) error { _, err := r.api.Orders(ctx, &api.OrdersInput{}); return err },
		"Order":  func(ctx context.Context) error { _, err := r.api.Order(ctx, id(in.ID.String())); return err },
		"Stops":  func(ctx context.Context) error { _, err := r.api.Stops(ctx, none); return err },
		"Root":   func(ctx context.Context) error { _, err := r.api.Root(ctx, none); return err },
		"AuditEntries": func(ctx context.Context) error {
			_, err := r.api.AuditEntries(ctx, &api.AuditEntriesInput{})
			return err
		},
		"LogState":  func(ctx context.Context) error { _, err := r.api.LogState(ctx, none); return err },
		"VerifyLog": func(ctx context.Context) error { _, err := r.api.VerifyLog(ctx, none); return err },
		"Statement": func(ctx context.Context) error { _, err := r.api.Statement(ctx, none); return err },
		"Proof":     func(ctx context.Context) error { _, err := r.api.Proof(ctx, &api.ProofInput{ID: "0"}); return err },
		"SearchEvents": func(ctx context.Context) error {
			_, err := r.api.SearchEvents(ctx, &api.SearchEventsInput{})
			return err
		},
		"Histogram": func(ctx context.Context) error {
			_, err := r.api.EventHistogram(ctx, &api.EventHistogramInput{})
			return err
		},
		"ActOnDevice": func(ctx context.Context) error {
			_, err := r.api.ActOnDevice(ctx, link.OrderQuarantine, &api.ActInput{ID: "press-7", Body: api.ActRequest{Reason: "r"}})
			return err
		},
		"MoveIncident": func(ctx context.Context) error {
			_, err := r.api.MoveIncident(ctx, &api.MoveIncidentInput{ID: in.ID.String(), Body: api.MoveIncident{To: "triaged"}})
			return err
		},
		"CreateToken": func(ctx context.Context) error {
			_, err := r.api.CreateToken(ctx, &api.CreateTokenInput{Body: api.TokenRequest{Site: site, Device: press, TTL: "1h"}})
			return err
		},
	}
	nobody := core.Principal{Kind: core.KindPerson, ID: "nobby", Tenant: tenant, Sites: []core.SiteID{site}}
	for name, do := range calls {
		if err := do(httpd.WithPrincipal(t.Context(), nobody)); core.KindOf(err) != core.KindDenied {
			t.Errorf("%s by somebody without a role: %v", name, err)
		}
	}
	for name, do := range calls {
		switch name {
		case "Order", "StartRun", "Statement": // there is no such order; what follows depends on the order of the rest
			continue
		}
		if err := do(httpd.WithPrincipal(t.Context(), callers["anna"])); err != nil {
			t.Errorf("%s by somebody who may: %v", name, err)
		}
	}
	if got := get[api.Incident](r, "/v1/incidents/"+in.ID.String()); got.State != "triaged" || !slices.Contains(got.Next, "contained") {
		t.Errorf("%+v", got)
	}
}

// stream reads n lines of a stream.
func (r *rig) stream(path string, header http.Header, n int) (lines []string, kind string) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://interlock"+path, nil)
	r.must(err)
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Caller", "anna")
	res, err := r.http.Do(req)
	r.must(err)
	defer func() { _ = res.Body.Close() }()
	in := bufio.NewScanner(res.Body)
	for len(lines) < n && in.Scan() {
		lines = append(lines, in.Text())
	}
	return lines, res.Header.Get("Content-Type")
}

// TestAStreamGoesOn from the cursor of any line: nothing twice, nothing missing.
func TestAStreamGoesOn(t *testing.T) {
	r := newRig(t)
	var want []string
	for i := range 30 {
		n := 1 + i%3
		r.event(tenant, n, fmt.Sprintf("e%02d", i))
		r.event(foreign, 1, "foreign")
		for k := range n {
			want = append(want, fmt.Sprintf("e%02d-%d", i, k))
		}
	}
	all, kind := r.stream("/v1/events?last=1000&cursors=true", nil, len(want))
	if kind != "application/x-ndjson" || len(all) != len(want) {
		t.Fatalf("%d lines of %s", len(all), kind)
	}
	for i, text := range all {
		var line api.EventLine
		var e core.Event
		if json.Unmarshal([]byte(text), &line) != nil || json.Unmarshal(line.Event, &e) != nil || e.Type != want[i] {
			t.Fatalf("line %d: %s", i, text)
		}
		rest, _ := r.stream("/v1/events?after="+line.Cursor, nil, 1000)
		if !slices.Equal(rest, all[i+1:]) {
			t.Fatalf("after line %d: %d lines, want %d", i, len(rest), len(all)-i-1)
		}
	}
	r.must(r.raw.Tx(t.Context(), func(tx *store.Tx) error { // as the journal is trimmed
		_, err := tx.Exec(t.Context(), `DELETE FROM journal_raw_frames WHERE pos < 11`)
		return err
	}))
	trimmed, _ := r.stream("/v1/events?after=3.0", nil, 1000)
	if len(trimmed) < 2 || trimmed[0] != `{"lost":true}` || !slices.Contains(all, trimmed[1]) {
		t.Errorf("after a trimmed cursor: %.300q", trimmed)
	}
	r.refused("anna", "GET", "/v1/events?after=4711.0", "", core.KindNotFound, "anew")
	r.refused("anna", "GET", "/v1/events?after=x", "", core.KindInvalid)
	r.refused("anna", "GET", "/v1/events?after=3.0&last=5", "", core.KindInvalid, "exclude")
	r.refused("anna", "GET", "/v1/events?after=-1.0", "", core.KindInvalid)
	r.refused("anna", "GET", "/v1/events?after=99999999999999999999.0", "", core.KindInvalid)
}

// TestTheStreamForBrowsers: the same events as server-sent events, resumed by
// the id that a browser sends back.
func TestTheStreamForBrowsers(t *testing.T) {
	r := newRig(t)
	r.event(tenant, 2, "first")
	r.event(tenant, 1, "second")
	lines, kind := r.stream("/v1/live?last=3", nil, 12)
	if kind != "text/event-stream" || !strings.HasPrefix(lines[0], "id: ") || lines[1] != "event: event" || !strings.Contains(lines[2], "first-0") || lines[3] != "" {
		t.Fatalf("%s %q", kind, lines)
	}
	again, _ := r.stream("/v1/live", http.Header{"Last-Event-Id": {strings.TrimPrefix(lines[0], "id: ")}}, 8)
	if !slices.Equal(again, lines[4:]) {
		t.Errorf("resumed %q, want %q", again, lines[4:])
	}
}
