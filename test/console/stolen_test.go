package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/test/rig"
)

// stolen: a session is worth nothing to another program, a form of another
// session does nothing, and neither does another site's page.
func (s *story) stolen(t *testing.T) {
	s.staleForm()
	s.otherSites()
	s.otherBrowser()
}

// otherBrowser takes anna's cookie to a program and a browser that call
// themselves otherwise. Both get nothing, and the session is over: somebody has
// its cookie. That is an alarm, and anna's passkey brings her back.
func (s *story) otherBrowser() {
	s.t.Helper()
	cookie, before := s.anna.cookie(), s.doubts()
	c := s.clientOf(s.anna)
	s.anna.expect(http.StatusUnauthorized) // what her open page asks for
	c.agent = "curl/8"
	if status, _ := s.post(c, "/stop", url.Values{"scope": {"site/main"}}, s.origin()); status != http.StatusUnauthorized {
		s.t.Errorf("a stop with the cookie from another program is answered with %d", status)
	}
	thief := newTab(s.t, s.anna.ctx, "thief", s.origin())
	thief.wear(cookie)
	thief.open("/devices")
	thief.at("/sign-in")
	s.anna.open("/devices")
	s.anna.at("/sign-in")
	s.anna.click(`form[data-passkey="sign-in"] button[type="submit"]`)
	s.anna.at("/devices")
	rig.Await(s.t, "an alarm about the stolen session", s.out.String, func() bool { return s.doubts() > before })
	s.anna.expect()
}

// doubts is how often somebody was not who they said.
func (s *story) doubts() (n uint64) {
	s.t.Helper()
	page, err := get[api.Page[api.Alert]](s.site, "/v1/alerts?all=true&rule=interlock-person-in-doubt")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range page.Items {
		n += a.Count
	}
	return n
}

// wear puts another browser's cookie into a browser that calls itself another.
func (p *tab) wear(cookie *http.Cookie) {
	p.t.Helper()
	yes := true
	p.do("take the cookie", chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, network.SetCookie, network.SetCookieParams{
			Name: cookie.Name, Value: cookie.Value, URL: p.base + "/", Path: "/", Secure: &yes, HTTPOnly: &yes, SameSite: network.CookieSameSiteStrict,
		})
		return err
	}))
}

// staleForm sends a form that was open since before a new sign-in.
func (s *story) staleForm() {
	s.t.Helper()
	p := s.cara
	p.open("/account")
	token := read[string](p, `document.querySelector('input[name="csrf"]').value`)
	p.click(`.side form[action="/sign-out"] button`)
	p.at("/sign-in")
	p.click(`form[data-passkey="sign-in"] button[type="submit"]`)
	p.at("/")
	p.expect(http.StatusForbidden)
	p.open("/stop")
	read[any](p, `document.querySelectorAll('form.stops input[name="csrf"]').forEach((i) => { i.value = `+quote(token)+`; })`)
	p.click(`form.stops button[name="scope"]`)
	p.shows("nothing was stopped: the form is from another session or was open too long.")
	p.shows("press once more")
	p.take("stale-form")
	p.expect()
}

// otherSites sends what the pages of other sites could have a browser send.
func (s *story) otherSites() {
	s.t.Helper()
	c := s.clientOf(s.anna)
	token := read[string](s.anna, `document.querySelector('input[name="csrf"]').value`)
	form := url.Values{"csrf": {token}, "scope": {"site/main"}}
	for _, origin := range []string{"", "null", "https://evil.example", strings.Replace(s.origin(), "http:", "https:", 1), "http://localhost:1"} {
		if status, body := s.post(c, "/stop", form, origin); status != http.StatusForbidden || !strings.Contains(body, "Nothing was stopped") {
			s.t.Errorf("a form from %q is answered with %d", origin, status)
		}
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.origin()+"/devices", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = "evil.example" // a name that was made to resolve to this address
	if status, body := s.send(c, req); status != http.StatusMisdirectedRequest || strings.Contains(body, pressID) {
		s.t.Errorf("another host's name is answered with %d", status)
	}
}

// post sends a form as a page of an origin does.
func (s *story) post(c visitor, path string, form url.Values, origin string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.origin()+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	return s.send(c, req)
}
