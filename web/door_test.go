package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/core"
)

// TestOnlyOurOwnHostIsAnswered: a page of another name that resolves to this
// address gets nothing, whatever cookies the browser has.
func TestOnlyOurOwnHostIsAnswered(t *testing.T) {
	p := newPlant(t)
	for host, want := range map[string]int{
		"localhost:7400": 200, "LOCALHOST:7400": 200, "localhost": 421, "localhost:80": 421, "evil.example:7400": 421, "localhost.evil.example:7400": 421,
		"127.0.0.1:7400": 307, "[::1]:7400": 307, "127.0.0.1:80": 421, "10.0.0.1:7400": 421, "": 421,
	} {
		res, _ := p.ask("anna", http.MethodGet, "/stop", nil, func(r *http.Request) { r.Host = host })
		if res.StatusCode != want {
			t.Errorf("%q: %d, want %d", host, res.StatusCode, want)
		}
		if to := res.Header.Get("Location"); want == 307 && to != "http://localhost:7400/stop" {
			t.Errorf("%q is sent to %q", host, to)
		}
	}
	res, _ := p.ask("anna", http.MethodPost, "/stop", url.Values{"scope": {"fleet"}, "csrf": {"token-of-anna"}}, func(r *http.Request) { r.Host = "127.0.0.1:7400" })
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a POST to the number: %d", res.StatusCode)
	}
}

// TestWhereAFormMayComeFrom is the table of what browsers say.
func TestWhereAFormMayComeFrom(t *testing.T) {
	const ours = "http://localhost:7400"
	p := newPlant(t)
	for _, row := range []struct {
		site, origin string
		ok           bool
	}{
		{"same-origin", ours, true},
		{"same-origin", "", true},
		{"", ours, true}, // a browser without fetch metadata
		{"", "", false},
		{"none", ours, false},
		{"same-site", ours, false},
		{"cross-site", ours, false},
		{"same-origin", "http://localhost:7401", false},
		{"same-origin", "https://localhost:7400", false},
		{"", "null", false},
		{"cross-site", "https://evil.example", false},
		{"", "http://localhost:7400.evil.example", false},
	} {
		res, body := p.ask("anna", http.MethodPost, "/sign-out", url.Values{"csrf": {"token-of-anna"}}, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", row.site)
			r.Header.Set("Origin", row.origin)
			for _, h := range []string{"Sec-Fetch-Site", "Origin"} {
				if r.Header.Get(h) == "" {
					r.Header.Del(h)
				}
			}
			p.console.People = &crowd{}
		})
		if done := res.StatusCode == http.StatusSeeOther; done != row.ok || !done && res.StatusCode != http.StatusForbidden {
			t.Errorf("site %q, origin %q: %d %s", row.site, row.origin, res.StatusCode, visibleText(body))
		}
	}
}

// TestAnotherSessionsTokenIsNone.
func TestAnotherSessionsTokenIsNone(t *testing.T) {
	p := newPlant(t)
	people := &crowd{}
	p.console.People = people
	for _, token := range []string{"", "token-of-otto", "token-of-ann", "token-of-annaa"} {
		res, _ := p.ask("anna", http.MethodPost, "/people/otto/revoke", url.Values{"csrf": {token}, "confirm": {"otto"}})
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("token %q: %d", token, res.StatusCode)
		}
	}
	res, _ := p.ask("anna", http.MethodPost, "/people/otto/revoke?csrf=token-of-anna", url.Values{"confirm": {"otto"}})
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("a token in the address: %d", res.StatusCode)
	}
	if len(people.ended) != 0 {
		t.Errorf("done all the same: %v", people.ended)
	}
}

// TestLinksHaveNoEffect fetches every page as a mail scanner or a prefetching
// browser does, with the person's cookie. Nothing changes but the record of what
// was read.
func TestLinksHaveNoEffect(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	people := p.console.People.(*crowd)
	id := regexp.MustCompile(`\{[a-z]+\}`)
	tried := 0
	for _, route := range p.console.Mux().Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if path == "/live/stream" {
			continue // it ends with its reader
		}
		path = id.ReplaceAllString(strings.TrimSuffix(path, "{$}"), core.UUID{1}.String())
		res, body := p.ask("anna", http.MethodGet, path, nil, func(r *http.Request) {
			r.Header.Set("Sec-Purpose", "prefetch")
			r.Header.Set("Accept", "text/html")
		})
		tried++
		if res.StatusCode >= 500 && res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("GET %s: %d %s", path, res.StatusCode, visibleText(body))
		}
		if method == http.MethodPost && res.StatusCode == http.StatusSeeOther {
			t.Errorf("GET %s did what POST does", path)
		}
	}
	if stops := p.stops.Status(plantTenant).Stops; len(stops) != 0 || len(people.ended) != 0 {
		t.Errorf("links stopped %v and ended %v", stops, people.ended)
	}
	if tried < 40 {
		t.Errorf("only %d routes", tried)
	}
}

// TestEveryAnswerIsGuarded: the headers stand on pages, errors, files and
// redirects alike.
func TestEveryAnswerIsGuarded(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	for _, path := range []string{"/", "/sign-in", "/nothing-here", "/people/nobody", assetPath("app.css"), "/live", "/static/x"} {
		res, _ := p.ask("anna", http.MethodGet, path, nil)
		csp := res.Header.Get("Content-Security-Policy")
		for _, must := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, must) {
				t.Errorf("%s: the policy lacks %s", path, must)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy is open: %s", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		kept := strings.Contains(res.Header.Get("Cache-Control"), "immutable")
		if whole := strings.HasPrefix(path, "/static/app."); kept != whole {
			t.Errorf("%s: Cache-Control %q", path, res.Header.Get("Cache-Control"))
		}
	}
}

// TestStrangersAreSentToSignIn: every route but the public ones.
func TestStrangersAreSentToSignIn(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	open := map[string]bool{"GET /sign-in": true, "GET " + linkPath: true, "GET /static/{name}": true, "GET /": true, "POST /sign-in/begin": true, "POST /sign-in/finish": true, "POST /register/begin": true, "POST /register/finish": true}
	for _, route := range p.console.Mux().Routes() {
		if open[route.Pattern] {
			continue
		}
		method, path, _ := strings.Cut(route.Pattern, " ")
		path = strings.NewReplacer("{$}", "", "{id}", "x").Replace(path)
		for _, who := range []string{"", "nobody"} {
			var form url.Values
			if method == http.MethodPost {
				form = url.Values{"csrf": {""}}
			}
			res, body := p.ask(who, method, path, form)
			away := res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/sign-in") || res.StatusCode == http.StatusUnauthorized
			if !away {
				t.Errorf("%s as %q: %d %s", route.Pattern, who, res.StatusCode, visibleText(body))
			}
		}
		// Who is signed in for stops alone gets no further than that.
		if strings.Contains(path, "stop") || path == "/sign-out" || method == http.MethodPost {
			continue
		}
		if res, _ := p.ask("late", method, path, nil); res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s in a stop-only session: %d", route.Pattern, res.StatusCode)
		}
	}
	res, body := p.ask("", http.MethodGet, "/alerts", nil, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
	})
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `http-equiv="refresh"`) {
		t.Errorf("from another site: %d", res.StatusCode)
	}
}

func TestNextStaysHere(t *testing.T) {
	for next, want := range map[string]string{
		"/alerts?state=open": "/alerts?state=open", "": "/", "https://evil.example": "/", "//evil.example": "/", "/\\evil.example": "/", "javascript:alert(1)": "/",
		"alerts": "/", "/a\r\nSet-Cookie: x": "/", "/\t/evil.example": "/",
	} {
		if got := local(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestOriginsAreWhole(t *testing.T) {
	for _, bad := range []string{"", "localhost:7400", "ftp://localhost", "http://", "http://localhost/x", "http://local host", "https://a/"} {
		if _, err := parseOrigin(bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	h, err := parseOrigin("https://console.example")
	if err != nil || h.origin() != "https://console.example" || h.loopback {
		t.Errorf("%+v, %v", h, err)
	}
}
