package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/safety/stop"
)

// inForce counts the stops.
func (p *plant) inForce() int { return len(p.stops.Status(plantTenant).Stops) }

// TestAStopNeedsNothingButASession: database closed, log closed, session past its
// end (TRUST F06).
func TestAStopNeedsNothingButASession(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	p.must(p.log.Close())
	p.must(p.state.Close())
	for _, who := range []string{"anna", "vera", "late"} {
		if body := p.page(who, "/stop"); !strings.Contains(body, "Stop site") {
			t.Errorf("%s is offered no stop: %s", who, visibleText(body))
		}
		before := p.stops.Status(plantTenant).Ring.Undrained
		to := p.submit(who, "/stop", "scope", "site/hall-a")
		if got := p.stops.Status(plantTenant).Ring.Undrained; got != before+1 {
			t.Errorf("%s: %d records, want one more than %d", who, got, before)
		}
		if body := p.page(who, to); !strings.Contains(body, "NOT CONFIRMED: 1") || !strings.Contains(body, "press-7") {
			t.Errorf("%s sees %s", who, visibleText(body))
		}
		if to := p.submit(who, to+"/reason", "reason", "smoke from the oven"); !strings.Contains(p.page(who, to), "smoke from the oven") {
			t.Errorf("%s: the reason is not shown", who)
		}
	}
	if res, _ := p.ask("anna", http.MethodGet, "/devices", nil); res.StatusCode < 400 {
		t.Error("the database was not away")
	}
}

// TestOnlyAPersonsPressStops: links, prefetches and forms of others have no
// effect (TRUST F31).
func TestOnlyAPersonsPressStops(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	form := url.Values{"csrf": {"token-of-anna"}, "scope": {"site/hall-a"}}
	header := func(pairs ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(pairs); i += 2 {
				r.Header.Set(pairs[i], pairs[i+1])
			}
		}
	}
	rows := []struct {
		name, who, method, path string
		form                    url.Values
		change                  func(*http.Request)
		status                  int
	}{
		{"open the page", "anna", "GET", "/stop", nil, header(), 200},
		{"prefetch", "anna", "GET", "/stop?scope=site/hall-a&csrf=token-of-anna", nil, header("Sec-Purpose", "prefetch"), 200},
		{"prerender", "anna", "GET", "/stop?device=press-7&scope=device", nil, header("Sec-Purpose", "prefetch;prerender"), 200},
		{"mail scanner", "", "GET", "/stop?scope=fleet", nil, header(), 303},
		{"head", "anna", "HEAD", "/stop?scope=fleet", nil, header(), 200},
		{"no session", "", "POST", "/stop", form, header(), 401},
		{"no token", "anna", "POST", "/stop", url.Values{"scope": {"site/hall-a"}}, header(), 403},
		{"a token of another session", "anna", "POST", "/stop", url.Values{"csrf": {"token-of-vera"}, "scope": {"site/hall-a"}}, header(), 403},
		{"a token in the address", "anna", "POST", "/stop?csrf=token-of-anna", url.Values{"scope": {"site/hall-a"}}, header(), 403},
		{"another site's form", "anna", "POST", "/stop", form, header("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403},
		{"a sibling's form", "anna", "POST", "/stop", form, header("Sec-Fetch-Site", "same-site"), 403},
		{"no origin at all", "anna", "POST", "/stop", form, func(r *http.Request) { r.Header.Del("Origin"); r.Header.Del("Sec-Fetch-Site") }, 403},
		{"a scope that is none", "anna", "POST", "/stop", url.Values{"csrf": {"token-of-anna"}, "scope": {"galaxy"}}, header(), 400},
		{"another's site", "anna", "POST", "/stop", url.Values{"csrf": {"token-of-anna"}, "scope": {"site/hall-z"}}, header(), 403},
		{"a device that nobody knows", "anna", "POST", "/stop", url.Values{"csrf": {"token-of-anna"}, "scope": {"device"}, "device": {"pres-7"}}, header(), 404},
		{"no device", "anna", "POST", "/stop", url.Values{"csrf": {"token-of-anna"}, "scope": {"device"}}, header(), 400},
	}
	for _, r := range rows {
		res, body := p.ask(r.who, r.method, r.path, r.form, r.change)
		if res.StatusCode != r.status || p.inForce() != 0 {
			t.Errorf("%s: %d, %d stops in force; want %d and none", r.name, res.StatusCode, p.inForce(), r.status)
		}
		if r.method == "POST" && r.who != "" && (!strings.Contains(body, "Nothing was stopped") || !strings.Contains(body, "Stop site")) {
			t.Errorf("%s: the page offers no other stop: %s", r.name, visibleText(body))
		}
	}
	p.submit("anna", "/stop", "scope", "device", "device", " press-7 ")
	if p.inForce() != 1 {
		t.Error("the press did nothing")
	}
}

// TestAResultIsTheDevicesSignedAnswers: until they are there it says NOT
// CONFIRMED, by name, and asks again by itself (TRUST F32).
func TestAResultIsTheDevicesSignedAnswers(t *testing.T) {
	p := newPlant(t)
	names := []string{"oven-1", "oven-2", "press-7"}
	var targets []stop.Target
	for _, n := range names {
		targets = append(targets, stop.Target{Tenant: plantTenant, Site: plantSite, Device: core.MustID[core.DeviceID](n)})
	}
	p.stops.SetTargets(targets)
	to := p.submit("anna", "/stop", "scope", "fleet")
	id := p.stops.Status(plantTenant).Stops[0].ID
	for i := range names {
		body := p.page("anna", to)
		if !strings.Contains(body, "NOT CONFIRMED: "+string(rune('0'+len(names)-i))) || !strings.Contains(body, `http-equiv="refresh" content="2"`) {
			t.Fatalf("with %d of 3 answers: %s", i, visibleText(body))
		}
		for k, n := range names {
			if strings.Contains(body, `<span class="name"><bdi>`+n+"<") != (k >= i) {
				t.Errorf("with %d answers %s is named wrongly", i, n)
			}
		}
		if !p.stops.Confirm(plantTenant, targets[i].Device, id) {
			t.Fatal("not taken")
		}
	}
	body := p.page("anna", to)
	if strings.Contains(body, "NOT CONFIRMED") || !strings.Contains(body, "Confirmed by 3") {
		t.Errorf("with all answers: %s", visibleText(body))
	}
	if body := p.page("anna", to+"?reason"); strings.Contains(body, "refresh") {
		t.Error("the page loads itself again while somebody writes")
	}
	p.must(p.stops.Reset(plantPeople["anna"].Principal, id, "guard closed"))
	if body := p.page("anna", to); !strings.Contains(body, "no longer in force") {
		t.Errorf("after the reset: %s", visibleText(body))
	}
}

// TestWordsOfTheStopPages: what a stop request is beside (TRUST F40).
func TestWordsOfTheStopPages(t *testing.T) {
	p := newPlant(t)
	p.device(plantPress, false)
	to := p.submit("anna", "/stop", "scope", "site/hall-a")
	for _, path := range []string{"/stop", to} {
		text := visibleText(p.page("anna", path))
		if !strings.Contains(text, "in addition to, never instead of, hard-wired emergency stop and physical lockout") {
			t.Errorf("%s does not say what it is beside: %s", path, text)
		}
	}
	for _, path := range []string{"/devices", "/devices/press-7", "/incidents", "/alerts", "/approvals"} {
		if body := p.page("anna", path); !strings.Contains(body, `class="stop-button" href="/stop"`) {
			t.Errorf("%s has no way to the stop", path)
		}
	}
}

func TestWhoCannotStopIsToldSo(t *testing.T) {
	p := newPlant(t)
	p.stops.SetPersons([]stop.Person{{ID: plantPeople["vera"].Person, Tenant: plantTenant}})
	if text := visibleText(p.page("anna", "/stop")); !strings.Contains(text, "Use a button on the machine") {
		t.Errorf("one whom the stop path doesn't know: %s", text)
	}
	if text := visibleText(p.page("vera", "/stop")); !strings.Contains(text, "You have no site") {
		t.Errorf("one without a site: %s", text)
	}
}
