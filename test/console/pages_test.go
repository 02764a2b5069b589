package console

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/interlock-security/interlock/api"
)

// kind is a page of the console.
type kind struct{ name, path string }

// kinds are all pages of a person who is signed in, each with something on it.
func (s *story) kinds() []kind {
	s.t.Helper()
	page, err := get[api.Page[api.Alert]](s.site, "/v1/alerts?all=true")
	if err != nil || len(page.Items) == 0 {
		s.t.Fatalf("alerts: %v, %v", page, err)
	}
	in, err := get[api.Incident](s.site, "/v1/incidents/"+s.incident.ID.String())
	if err != nil || in.Timeline[0].Audit == nil {
		s.t.Fatalf("incident: %+v, %v", in, err)
	}
	entry := fmt.Sprintf("/audit/entries/%d?%s", in.Timeline[0].Audit.Index, url.Values{"origin": {in.Timeline[0].Audit.Origin}}.Encode())
	return append([]kind{
		{"board", "/"},
		{"live", "/live"},
		{"search", "/search?q=*"},
		{"alerts", "/alerts?state=all"},
		{"alert", "/alerts/" + page.Items[0].ID.String()},
		{"incidents", "/incidents"},
		{"incident", "/incidents/" + s.incident.ID.String()},
		{"approvals", "/approvals?state=all"},
		{"order", "/approvals/" + s.release.ID.String()},
		{"devices", "/devices"},
		{"device", "/devices/" + pressID},
		{"risks", "/risks"},
		{"seals", "/seals"},
		{"seal", "/seals/IL-00017"},
		{"seal-new", "/seals/new?device=" + pressID},
		{"rules", "/rules"},
		{"rule", "/rules/" + page.Items[0].RuleID},
		{"audit", "/audit"},
		{"audit-entries", "/audit?actor="},
		{"audit-entry", entry},
		{"people", "/people"},
		{"person", "/people/cara"},
		{"account", "/account"},
		{"stop", "/stop"},
		{"stop-device", "/stop?device=" + pressID},
	}, s.inspected()...)
}

// outside are the pages of somebody who is not signed in, and one that is not
// there.
var outside = []kind{{"sign-in", "/sign-in"}, {"link", "/link"}}

// wanted says that somebody asked for the pictures of all pages. They are for
// eyes: no test reads them, and to take them is a quarter of the story's time.
func wanted() bool { return os.Getenv("INTERLOCK_SHOTS") != "" }

// pictures of every page, where they are wanted; the pages themselves are opened
// and judged by the next chapter.
func (s *story) pictures(t *testing.T) {
	if wanted() {
		stranger := newTab(t, s.anna.ctx, "stranger", s.origin())
		for _, k := range outside {
			stranger.open(k.path)
			stranger.take(k.name)
		}
		for _, k := range s.kinds() {
			s.anna.open(k.path)
			s.anna.take(k.name)
		}
		t.Logf("pictures are in %s", shots())
	}
	s.anna.expect(http.StatusNotFound)
	s.anna.open("/devices/nobody")
	s.anna.checked("problem")
	s.anna.take("problem")
	s.anna.expect()
	s.anna.open("/alerts?device=nobody")
	s.anna.checked("empty")
	s.anna.take("empty")
}

// take makes the pictures of a page, where they are wanted.
func (p *tab) take(name string) {
	p.t.Helper()
	if !wanted() {
		return
	}
	for _, size := range []size{wide, dark, phone} {
		p.picture(name, size)
	}
	p.screen(wide)
}

//go:embed testdata/wellmade.js
var wellMade string

// checked lists what is not well made about the page as it is.
func (p *tab) checked(name string) {
	p.t.Helper()
	for _, fault := range read[[]string](p, wellMade) {
		p.t.Errorf("%s: %s", name, fault)
	}
}

// wellMade: every page has a language, a title, one heading above all, labels,
// names, contrast, and fits its screen; no element has an own style or script.
func (s *story) wellMade(t *testing.T) {
	stranger := newTab(t, s.anna.ctx, "stranger", s.origin())
	for i, k := range append(slices.Clone(outside), s.kinds()...) {
		p := s.anna
		if i < len(outside) {
			p = stranger
		}
		p.open(k.path)
		for _, size := range []size{wide, dark, narrow, darker} {
			p.screen(size)
			p.checked(k.name + ", " + size.name)
		}
	}
	s.anna.screen(wide)
	for _, path := range []string{"/", "/devices/" + pressID, "/incidents/" + s.incident.ID.String(), "/stop", s.inspected()[1].path} {
		s.anna.open(path)
		s.anna.tabThrough(path)
	}
}

// narrow is the smallest phone that people carry.
var narrow = size{name: "narrow phone", width: 360, height: 740, phone: true}

// maxTabs is how often one presses Tab on a page at most.
const maxTabs = 200

// where names the element with the focus, and says whether it can be seen that
// it has it.
const where = `(() => {
  const a = document.activeElement;
  if (!a || a === document.body) return ['', false];
  const r = a.getBoundingClientRect(), ringed = [getComputedStyle(a), getComputedStyle(a, '::after')].some((s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0);
  const seen = ringed && r.width > 0 && r.height > 0;
  return [a.tagName + ' ' + (a.getAttribute('href') || a.getAttribute('name') || a.className || a.innerText), seen];
})()`

// tabThrough goes through a page by keyboard: the focus can always be seen, the
// first stop is the way past the navigation, and the stop button and every main
// action are on the way.
func (p *tab) tabThrough(path string) {
	p.t.Helper()
	var order []string
	for range maxTabs {
		p.do("Tab", chromedp.KeyEvent("\t"))
		at := read[[]any](p, where)
		name, _ := at[0].(string)
		if name == "" || len(order) > 2 && name == order[0] {
			break
		}
		if seen, _ := at[1].(bool); !seen {
			p.t.Errorf("%s: the focus cannot be seen on %s", path, name)
		}
		order = append(order, name)
	}
	stop := slices.IndexFunc(order, func(name string) bool { return strings.HasPrefix(name, "A /stop") })
	if len(order) == 0 || order[0] != "A #main" || stop < 0 || stop > 6 {
		p.t.Errorf("%s by keyboard: %v", path, order)
	}
	buttons := read[int](p, `[...document.querySelectorAll('main button, main input:not([type=hidden]), main select, main textarea, main summary')].filter((b) => b.checkVisibility() && !b.disabled).length`)
	reached := 0
	for _, name := range order {
		if strings.HasPrefix(name, "BUTTON") || strings.HasPrefix(name, "INPUT") || strings.HasPrefix(name, "SELECT") || strings.HasPrefix(name, "TEXTAREA") || strings.HasPrefix(name, "SUMMARY") {
			reached++
		}
	}
	if reached < buttons {
		p.t.Errorf("%s: %d of %d controls are reached by keyboard: %v", path, reached, buttons, order)
	}
}

// withoutScripts: the server's pages stand for themselves.
func (s *story) withoutScripts(t *testing.T) {
	p := s.anna
	p.scripts(false)
	defer p.scripts(true)
	for _, k := range s.kinds() {
		p.open(k.path)
		if n := read[int](p, `document.querySelectorAll('h1').length`); n != 1 {
			t.Errorf("%s has %d headings", k.name, n)
		}
		if text := p.text(); len(text) < 200 {
			t.Errorf("%s says little: %s", k.name, text)
		}
	}
	for path, want := range map[string][]string{
		"/live":                                {"case_intrusion", "Not live: JavaScript is off"},
		"/":                                    {"days without an incident"},
		"/incidents":                           {"press-7"},
		"/incidents/" + s.incident.ID.String(): {"Contained", "interlock approve " + s.release.ID.String()},
		"/approvals":                           {"interlock approve " + s.release.ID.String()},
		"/devices/" + pressID:                  {"case"},
		"/search?q=type:case_intrusion":        {"point=lid"},
		"/audit":                               {"Verify"},
		"/stop":                                {"Stop site"},
	} {
		p.open(path)
		text := strings.ToLower(p.text())
		for _, w := range want {
			if !strings.Contains(text, strings.ToLower(w)) {
				t.Errorf("%s without scripts lacks %q:\n%.1500s", path, w, text)
			}
		}
	}
	p.open("/incidents/" + s.incident.ID.String())
	p.picture("incident-noscript", wide)
	stranger := newTab(t, p.ctx, "stranger", s.origin())
	stranger.scripts(false)
	for _, k := range outside {
		stranger.open(k.path)
		stranger.shows("JavaScript")
	}
}

// budget is what a page may weigh, in bytes.
const budget = 150_000

var hrefs = regexp.MustCompile(`(?:href|src)="([^"]+)"`)

// links follows every link that a page of the console has, as somebody with the
// cookie and the program of the session does. No link may lead nowhere, and no
// page be slow or heavy.
func (s *story) links(t *testing.T) {
	c := s.clientOf(s.anna)
	type visited struct {
		path string
		took time.Duration
		size int
	}
	var all []visited
	kinds := map[string]int{}
	queue, known := []string{"/"}, map[string]bool{"/": true}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		began := time.Now()
		status, body := s.fetch(c, path)
		all = append(all, visited{path, time.Since(began), len(body)})
		if status != http.StatusOK && status != http.StatusSeeOther { // of one's own name to the account
			t.Errorf("%s answers %d", path, status)
		}
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			to := strings.ReplaceAll(m[1], "&amp;", "&")
			to, _, _ = strings.Cut(to, "#")
			if !strings.HasPrefix(to, "/") || known[to] {
				continue
			}
			known[to] = true
			if shape := ids.ReplaceAllString(to, "*"); kinds[shape] < 4 {
				kinds[shape]++
				queue = append(queue, to)
			}
		}
	}
	slices.SortFunc(all, func(a, b visited) int { return int(b.took - a.took) })
	heaviest := slices.MaxFunc(all, func(a, b visited) int { return a.size - b.size })
	t.Logf("%d pages; slowest %s %s; heaviest %s %d kB", len(all), all[0].path, all[0].took.Round(time.Millisecond), heaviest.path, heaviest.size/1000)
	if heaviest.size > budget {
		t.Errorf("%s weighs %d bytes, at most %d are allowed", heaviest.path, heaviest.size, budget)
	}
	for _, k := range s.kinds() {
		path, _, _ := strings.Cut(k.path, "?")
		if !slices.ContainsFunc(all, func(v visited) bool { return strings.HasPrefix(v.path, path) }) {
			t.Errorf("no page links to %s", k.path)
		}
	}
}

// ids are the parts of an address that are no kind of page.
var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]+|after=[^&]*|(origin|object|actor|from|to)=[^&]*`)

// agentOf is what the browser calls itself.
func (p *tab) agentOf() string { return read[string](p, "navigator.userAgent") }

// cookie is the tab's session.
func (p *tab) cookie() *http.Cookie {
	p.t.Helper()
	list, err := chromedp.Run(p.ctx, func(ctx context.Context, target *chromedp.Target) ([]*network.Cookie, error) {
		r, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{URLs: []string{p.base}})
		return r.Cookies, err
	})
	if err != nil || len(list) != 1 || list[0].Name != "__Host-interlock" || !list[0].HTTPOnly || !list[0].Secure || list[0].SameSite != network.CookieSameSiteStrict {
		p.t.Fatalf("cookies: %+v, %v", list, err)
	}
	return &http.Cookie{Name: list[0].Name, Value: list[0].Value}
}

// visitor is a program with somebody's cookie.
type visitor struct {
	http   *http.Client
	cookie *http.Cookie
	agent  string
}

func (s *story) clientOf(p *tab) visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return visitor{&http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, p.cookie(), p.agentOf()}
}

func (s *story) fetch(c visitor, path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.origin()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.send(c, req)
}

func (s *story) send(c visitor, req *http.Request) (int, string) {
	s.t.Helper()
	req.Header.Set("User-Agent", c.agent)
	req.AddCookie(c.cookie)
	res, err := c.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// body is a file of the console, taken with a tab's session.
func (s *story) body(p *tab, path string) []byte {
	s.t.Helper()
	status, body := s.fetch(s.clientOf(p), path)
	if status != http.StatusOK {
		s.t.Fatalf("%s answers %d: %s", path, status, body)
	}
	return []byte(body)
}
