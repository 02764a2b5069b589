package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/store"
	"github.com/interlock-security/interlock/response/incident"
	"github.com/interlock-security/interlock/siem/alert"
)

// nasty is text that tries to be more than text: markup, an attribute's end, a
// script's end, a terminal's escape, direction marks, an invisible space, a pile
// of marks, a template, a broken byte.
const nasty = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202eevil\u2066\u200b</title></textarea>{{.}}a\u0301\u0301\u0301\u0301\u0301\u0301\u0301\x00\xff javascript:alert(3)"

// dangers are what no page may hold.
var dangers = []*regexp.Regexp{
	regexp.MustCompile(`(?i)<script(?:>|[^>]*>[^<])`), // a script with something in it
	regexp.MustCompile(`(?i)<img`), regexp.MustCompile(`(?i)(?:href|src|action)="\s*(?:javascript|data):`),
	regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f]"), regexp.MustCompile("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]"), regexp.MustCompile("\u0301{4}"),
	regexp.MustCompile(`ZgotmplZ|%!|<no value>|map\[`),
}

var (
	quotedValue = regexp.MustCompile(`"[^"]*"`)
	handlers    = regexp.MustCompile(`(?i)<[^>]*\s(?:on[a-z]+|style)\s*=`)
)

// harmless checks a page as a whole.
// ownPhotos are the only pictures that a page has.
var ownPhotos = regexp.MustCompile(`<img src="/photos/[0-9a-f]{64}" alt="[^"<>]*" loading="lazy" decoding="async">`)

func harmless(t *testing.T, path, body string) {
	t.Helper()
	body = ownPhotos.ReplaceAllString(body, "")
	for _, d := range dangers {
		if at := d.FindStringIndex(body); at != nil {
			t.Errorf("%s holds %q: …%q", path, d, body[max(at[0]-120, 0):min(at[1]+60, len(body))])
		}
	}
	if at := handlers.FindString(quotedValue.ReplaceAllString(body, `""`)); at != "" {
		t.Errorf("%s: a tag has a handler or a style: %q", path, at)
	}
	if strings.Count(body, "<main") != 1 || strings.Count(body, "</html>") != 1 || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
		t.Errorf("%s is not one whole page", path)
	}
	if n := len(body); n > 150_000 {
		t.Errorf("%s has %d bytes, at most 150 000", path, n)
	}
}

// attacked is a plant in which whatever comes from outside is nasty.
func attacked(t *testing.T) (*plant, []string) {
	p := newPlant(t)
	s := story(p)
	p.sql(`UPDATE fleet_sensors SET sensor = $1 WHERE sensor = 'case'`, strings.ToValidUTF8(nasty, ""))
	p.sql(`UPDATE fleet_latches SET sensor = $1, type = $1`, strings.ToValidUTF8(nasty, ""))
	p.sql(`UPDATE fleet_devices SET serial = $1, short_code = $1 WHERE id = 'saw-2'`, strings.ToValidUTF8(nasty, ""))
	ctx, now := t.Context(), time.Now()
	var bad alert.Alert
	var in incident.Incident
	p.must(p.state.Tx(ctx, func(tx *store.Tx) (err error) {
		bad, err = p.alerts.Raise(ctx, tx, alert.Raise{
			Tenant: plantTenant, Rule: alert.Rule{Name: nasty, ID: "9", Title: nasty, Author: nasty, References: []string{nasty}, FalsePos: []string{nasty}}, Severity: core.SeverityCritical, Key: "x",
			Group: map[string]string{nasty: nasty}, Provenance: core.ProvenanceUnauthenticated, Events: []alert.Event{{ID: core.NewUUID(now), At: now, Source: nasty}}, Now: now,
		})
		if err != nil {
			return err
		}
		in, err = p.incidents.Take(ctx, tx, incident.Alert{
			ID: bad.ID, Tenant: plantTenant, Rule: nasty, Title: nasty, Severity: core.SeverityHigh, Source: nasty, Provenance: core.ProvenanceUnauthenticated, Count: 1, First: now, Last: now,
		}, now)
		return err
	}))
	p.settle()
	p.submit("anna", "/alerts/"+bad.ID.String()+"/ack", "note", nasty)
	p.submit("anna", "/incidents/"+in.ID.String()+"/move", "to", "false-positive", "reason", nasty)
	order := p.submit("anna", "/devices/saw-1/quarantine", "reason", nasty)
	reset := p.submit("otto", "/devices/saw-1/reset", "reason", nasty)
	trip := p.submit("anna", "/stop", "scope", "site/hall-a", "reason", nasty)
	return p, []string{
		"/devices", "/devices?query=" + url.QueryEscape(nasty), "/devices/press-7", "/devices/saw-1", "/devices/saw-2", "/devices/oven-9", "/alerts", "/alerts?state=all",
		"/alerts?state=all&rule=" + url.QueryEscape(nasty), "/alerts/" + bad.ID.String(), "/incidents", "/incidents?state=all", "/incidents/" + in.ID.String(),
		"/incidents/" + s.incident.ID.String(), "/approvals", "/approvals?state=all", order, reset, s.release, "/audit", "/audit?actor=" + url.QueryEscape(nasty), "/audit?outcome=",
		"/audit/entries/3?origin=" + url.QueryEscape(plantLog), "/stop", "/stop?device=" + url.QueryEscape(nasty), trip, trip + "?reason",
	}
}

// TestHostileTextIsText: whoever can name a device, write a log line or fill in a
// reason can't do anything to who reads it.
func TestHostileTextIsText(t *testing.T) {
	p, paths := attacked(t)
	seen := 0
	for _, path := range paths {
		res, body := p.ask("anna", http.MethodGet, path, nil)
		if res.StatusCode >= 500 {
			t.Errorf("%s: %d %s", path, res.StatusCode, visibleText(body))
		}
		harmless(t, path, body)
		if strings.Contains(body, "&lt;script&gt;alert(1)") && strings.Contains(body, `<span class="esc">\u202e</span>`) {
			seen++
		}
	}
	if seen < 9 {
		t.Errorf("only %d of %d pages show the text; is the rest empty?", seen, len(paths))
	}
	res, body := p.ask("anna", http.MethodGet, "/alerts/"+url.PathEscape("<script>alert(1)</script>"), nil)
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("an id that is none: %d", res.StatusCode)
	}
	harmless(t, "an error", body)
}

// TestNoEffectWithoutTheForm asks every POST of these pages without what the
// form brings. None may do anything.
func TestNoEffectWithoutTheForm(t *testing.T) {
	p := newPlant(t)
	s := story(p)
	before := p.log.Checkpoint().Size
	ids := map[string]string{"/alerts/{id}": s.alert, "/incidents/{id}": s.incident.ID.String(), "/devices/{id}": "press-7", "/stop/trips/{id}": strings.TrimPrefix(s.trip, "/stop/trips/")}
	tried := 0
	for _, route := range p.console.Mux().Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if method != http.MethodPost || strings.HasPrefix(path, "/sign-in") || strings.HasPrefix(path, "/register") || strings.HasPrefix(path, "/link") {
			continue
		}
		for prefix, id := range ids {
			if rest, ours := strings.CutPrefix(path, prefix); ours {
				path = strings.Replace(prefix, "{id}", id, 1) + rest
			}
		}
		path = regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, s.incident.ID.String())
		form := url.Values{"csrf": {"token-of-anna"}, "reason": {"x"}, "to": {"eradicating"}, "scope": {"fleet"}}
		without := url.Values{"reason": {"x"}, "to": {"eradicating"}, "scope": {"fleet"}}
		foreign := func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		for name, res := range map[string]*http.Response{
			"without the token":   first(p.ask("anna", method, path, without)),
			"from another origin": first(p.ask("anna", method, path, form, foreign)),
			"without a session":   first(p.ask("", method, path, form)),
		} {
			if res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s %s: %d", route.Pattern, name, res.StatusCode)
			}
		}
		tried++
	}
	if tried < 14 {
		t.Errorf("only %d routes were tried", tried)
	}
	if now := p.log.Checkpoint().Size; now != before || p.inForce() != 1 {
		t.Errorf("%d entries more in the log, %d stops", now-before, p.inForce())
	}
}

func first(res *http.Response, _ string) *http.Response { return res }

// TestNobodyIsOfferedWhatWouldBeRefused follows every link and form of the pages
// that a viewer and an operator see: what is there can be had.
func TestNobodyIsOfferedWhatWouldBeRefused(t *testing.T) {
	p := newPlant(t)
	s := story(p)
	forms := regexp.MustCompile(`method="post" action="([^"]+)"|action="([^"]+)" method="post"`)
	links := regexp.MustCompile(`<main(?s:.*)</main>`)
	href := regexp.MustCompile(`href="(/(?:devices|alerts|incidents|approvals|audit|stop|rules)[^"]*)"`)
	allowed := map[string]*regexp.Regexp{
		"vera": regexp.MustCompile(`^/(sign-out|stop|stop/trips/[^/]+/reason|audit/verify)$`),
		"otto": regexp.MustCompile(`^/(sign-out|photos|seals|seals/[^/]+/(inspect|remove)|stop|stop/trips/[^/]+/reason|audit/verify|alerts/[^/]+/(ack|close)|rules/[^/]+/restore|incidents/[^/]+/move|incidents/[^/]+/runs/[^/]+/start|devices/[^/]+/(quarantine|arm|release|reset|disarm|transport|maintenance|bypass|baseline))$`),
	}
	for who, fit := range allowed {
		for _, path := range []string{"/devices", "/devices/press-7", "/devices/oven-9", "/alerts", "/alerts/" + s.alert, "/incidents", "/incidents/" + s.incident.ID.String(), "/approvals", s.release, "/audit", "/audit/entries/3", "/stop", s.trip, "/rules", "/rules?which=all", "/rules/" + plantOwn} {
			body := p.page(who, path)
			for _, m := range forms.FindAllStringSubmatch(body, -1) {
				if to := m[1] + m[2]; !fit.MatchString(to) {
					t.Errorf("%s is offered %s on %s", who, to, path)
				}
			}
			for _, m := range href.FindAllStringSubmatch(links.FindString(body), -1) {
				to := strings.ReplaceAll(m[1], "&amp;", "&")
				if strings.Contains(to, "?events") && who == "vera" {
					t.Errorf("%s is led to events, which she may not read, from %s", who, path)
				} else if strings.Contains(to, "?events") {
					continue // there is no event store here
				}
				if res, page := p.ask(who, http.MethodGet, to, nil); res.StatusCode >= 400 {
					t.Errorf("%s is led from %s to %s: %d %s", who, path, to, res.StatusCode, visibleText(page))
				}
			}
		}
	}
}

// TestPagesOfALargeFleet: 1 000 devices, 100 000 alerts and 10 000 findings (a
// twentieth of the rows under the race detector, still many pages of each). What
// a page reads and writes is bounded; the times are printed, because a busy
// machine says little.
func TestPagesOfALargeFleet(t *testing.T) {
	p := newPlant(t)
	s := story(p)
	p.fill()
	alerts, findings, times := 100_000, 10_000, 5
	if raced {
		alerts, findings, times = 5_000, 500, 1
	}
	p.crowd(1000, alerts)
	p.found(findings)
	paths := []string{
		"/", "/live", "/search", "/people", "/account",
		"/devices", "/devices?state=offline", "/devices?query=9", "/devices/press-7", "/alerts", "/alerts?state=all", "/alerts?severity=high", "/alerts?device=press-7",
		"/alerts?rule=crowd-7&state=all", "/alerts/" + s.alert, "/incidents", "/incidents/" + s.incident.ID.String(), "/approvals", s.release, "/audit?outcome=", "/stop", s.trip,
		"/findings", "/findings?which=all&sort=newest", "/findings?text=log&severity=low", "/findings?which=overdue",
	}
	for _, path := range paths {
		var took []time.Duration
		var body string
		for range times {
			began := time.Now()
			body = p.page("anna", path)
			took = append(took, time.Since(began))
		}
		harmless(t, path, body)
		if rows := strings.Count(body, "<tr>"); rows > 2*listRows+12 {
			t.Errorf("%s has %d rows", path, rows)
		}
		t.Logf("%-40s %6d bytes  %s", path, len(body), middle(took))
	}
	p.walk("/alerts?state=all", "/alerts/", 4, listRows)
	p.walk("/devices", "/devices/", 4, listRows)
	p.walk("/findings", "/findings/", 4, listRows)
	p.walk("/findings?sort=due&severity=low", "/findings/", 4, listRows)
}

// found fills the list of findings from one that a scan found.
func (p *plant) found(n int) {
	p.t.Helper()
	id := p.scanned(time.Now().Add(-time.Hour), nil, vulnerable("GO-2026-0001", core.SeverityCritical)).New[0].String()
	p.sql(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) INSERT INTO scanning_findings
		(tenant, id, subject, state, is_open, severity, class, owner, package, priority, discovered, due, wakes, verified, exploited, original, words, revision, body)
		SELECT tenant, printf('01932d3f-0000-7000-9000-%012d', i), subject, state, is_open, severity, class, owner, package, priority, discovered, due, wakes, verified, exploited, original, words, revision,
			CAST(replace(CAST(body AS TEXT), $2, printf('01932d3f-0000-7000-9000-%012d', i)) AS BLOB) FROM n, scanning_findings WHERE id = $2`, n, id)
}

func middle(list []time.Duration) time.Duration {
	for i := range list {
		for k := i + 1; k < len(list); k++ {
			if list[k] < list[i] {
				list[i], list[k] = list[k], list[i]
			}
		}
	}
	return list[len(list)/2]
}

// walk follows the next page n times and wants other rows on each.
func (p *plant) walk(path, rowPrefix string, n, rows int) {
	p.t.Helper()
	seen := map[string]bool{}
	row := regexp.MustCompile(`class="row-link" href="` + rowPrefix + `([^"?]+)"`)
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	for page := range n {
		body := p.page("anna", path)
		if _, list, found := strings.Cut(body, `aria-label="All devices"`); found {
			body = list // without those that are listed above all others
		}
		for _, m := range row.FindAllStringSubmatch(body, -1) {
			if seen[m[1]] {
				p.t.Errorf("page %d of %s repeats %s", page, rowPrefix, m[1])
			}
			seen[m[1]] = true
		}
		m := next.FindStringSubmatch(body)
		if m == nil {
			p.t.Fatalf("page %d of %s has no next one", page, rowPrefix)
		}
		path = strings.ReplaceAll(m[1], "&amp;", "&")
	}
	if len(seen) != n*rows {
		p.t.Errorf("%d rows of %s on %d pages", len(seen), rowPrefix, n)
	}
}

// crowd fills the registry and the alerts as a large installation has them, by a
// statement for each table: rows by the usual way would take a minute.
func (p *plant) crowd(devices, alerts int) {
	p.t.Helper()
	const count = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) `
	p.sql(count+`INSERT INTO fleet_devices (tenant, id, site, identity, spki, short_code, protection, serial, token, first_use, enrolled, revision, link, certificate, csr, last_seen, epoch, sequence)
		SELECT tenant, printf('crowd-%04d', i), site, identity, printf('%064d', i), short_code, protection, printf('%d', i), printf('%d', i), first_use, enrolled, revision,
			CASE i % 5 WHEN 3 THEN 'offline' WHEN 4 THEN 'stale' ELSE 'online' END, certificate, csr, last_seen, epoch, 7 FROM n, fleet_devices WHERE id = 'press-7'`, devices)
	p.sql(count+`INSERT INTO fleet_sensors (tenant, device, sensor, state, since, simulated)
		SELECT 'main', printf('crowd-%04d', i / 4), printf('sensor-%d', i % 4), CASE i % 5 WHEN 0 THEN 'fault' ELSE 'ok' END, 1, 0 FROM n`, devices*4)
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	body, err := json.Marshal(alert.Open(alert.Raise{
		Tenant: plantTenant, Rule: alert.Rule{Name: "crowd-0", ID: "0", Title: "Login failed many times", Author: "Interlock"}, Severity: core.SeverityMedium,
		Device: core.MustID[core.DeviceID]("crowd-0000"), Provenance: core.ProvenanceDevice, Events: []alert.Event{{ID: core.NewUUID(at), At: at, Source: "file/auth.log"}}, Now: at,
	}))
	p.must(err)
	var one struct{ ID string }
	p.must(json.Unmarshal(body, &one))
	p.sql(count+`INSERT INTO siem_alerts (tenant, id, fingerprint, live, rule, severity_rank, state, count, opened, updated, device, body)
		SELECT 'main', printf('01932d3f-0000-7000-8000-%012d', i), printf('%064d', i), 1, printf('crowd-%d', i % 40), i % 5, 'open', 1, ($2 - i) * 1000000, ($2 - i) * 1000000, printf('crowd-%04d', i % 1000),
			CAST(replace(replace(replace(replace($3, $4, printf('01932d3f-0000-7000-8000-%012d', i)), $5, strftime('%Y-%m-%dT%H:%M:%SZ', $2 - i, 'unixepoch')),
				'"crowd-0000"', printf('"crowd-%04d"', i % 1000)), '"crowd-0"', printf('"crowd-%d"', i % 40)) AS BLOB) FROM n`,
		alerts, at.Unix(), string(body), one.ID, at.Format(time.RFC3339))
}
