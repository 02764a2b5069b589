package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
)

// TestTheFoundationsPages renders each page with text that tries to be more than
// text, and holds it against what every page promises.
func TestTheFoundationsPages(t *testing.T) {
	p := newPlant(t)
	p.fill()
	for path, wants := range map[string][]string{
		"/":                                    {"Safety board", "never instead of, a hard-wired emergency stop", "No stop is in force"},
		"/live":                                {"case_intrusion", "simulated", `data-cursor="`, "&lt;script&gt;"},
		"/search":                              {`<svg class="bars"`, "<title>", "&lt;script&gt;", "The same in numbers"},
		"/search?q=%3Cscript%3Ealert(1)":       {`value="&lt;script&gt;alert(1)"`},
		"/search?from=2026-01-01T00:00&to=bad": {"a time looks like"},
		"/people":                              {"Invite somebody", "&lt;script&gt;", "Make a sign-in link"},
		"/people/otto":                         {"Take this person", "Write <code>otto</code>"},
		"/account":                             {"Add a passkey", "this one", "stop only"},
		"/nothing-here":                        {"There is nothing here", "Go to the safety board"},
	} {
		_, body := p.ask("anna", http.MethodGet, path, nil)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q: %s", path, want, visibleText(body))
			}
		}
		if !strings.Contains(body, `class="stop-button" href="/stop"`) {
			t.Errorf("%s has no stop button", path)
		}
		if forms, tokens := strings.Count(body, `method="post"`), strings.Count(body, `name="csrf" value="token-of-anna"`); tokens < forms || forms == 0 {
			t.Errorf("%s: %d forms, %d tokens", path, forms, tokens)
		}
		harmless(t, path, body)
	}
	for _, path := range []string{"/sign-in", linkPath} {
		_, body := p.ask("", http.MethodGet, path, nil)
		harmless(t, path, body)
		if !strings.Contains(body, "<noscript>") || strings.Contains(body, "Request stop") {
			t.Errorf("%s: %s", path, visibleText(body))
		}
	}
}

// TestTheWorstTextFits: rows of nothing but what must be escaped stay within the
// page's limit.
func TestTheWorstTextFits(t *testing.T) {
	p := newPlant(t)
	raw := p.withEvents()
	worst := quoted(strings.Repeat("\u202e\x01", 2000))
	for i := range lastEvents + 10 {
		ev := someEvent(i, `{`+worst+`:`+worst+`}`)
		ev.Type, ev.Source = strings.Repeat("\u202e\x01", 500), strings.Repeat("\x02\u2066", 500)
		p.append(raw, ev)
	}
	harmless(t, "/live", p.page("anna", "/live"))
	p.api.Events = finder{worst: strings.Repeat("\u202e\x01", 2000)}
	harmless(t, "/search", p.page("anna", "/search"))
}

func TestSearchSaysWhatIsAway(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	p.api.Events = finder{err: core.E(core.KindUnavailable, "events.Search", "the event store is away").WithHint("it comes back by itself")}
	body := p.page("anna", "/search?q=x")
	for _, want := range []string{"Unavailable just now", "the event store is away", "it comes back by itself", "Nothing is lost meanwhile"} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %q: %s", want, visibleText(body))
		}
	}
	if strings.Contains(body, "events.Search") {
		t.Error("tells the name of an operation")
	}
}

// TestABarLeadsToItsOwnTime: the histogram's bars are where their times are, and
// lead there.
func TestABarLeadsToItsOwnTime(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	body := p.page("anna", "/search?q=type%3Ax&span=24h")
	_, chart, _ := strings.Cut(body, `<svg class="bars"`)
	chart, _, _ = strings.Cut(chart, "</svg>")
	_, href, found := strings.Cut(chart, `<a href="`)
	href, _, _ = strings.Cut(href, `"`)
	u, err := url.Parse(strings.ReplaceAll(href, "&amp;", "&"))
	if !found || err != nil || u.Query().Get("q") != "type:x" {
		t.Fatalf("%q, %v", href, err)
	}
	from, err1 := timeOf(u.Query().Get("from"))
	to, err2 := timeOf(u.Query().Get("to"))
	if err1 != nil || err2 != nil || to.Sub(from) != 30*time.Minute {
		t.Errorf("from %v to %v", from, to)
	}
	if again := p.page("anna", u.String()); !strings.Contains(again, "From <time") {
		t.Error("the bar's own page does not say its time")
	}
}

// TestUnknownIsNeverGreen: while the database is away nothing looks well.
func TestUnknownIsNeverGreen(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	p.must(p.state.Close())
	_, body := p.ask("anna", http.MethodGet, "/", nil)
	if strings.Contains(body, `tone-ok" href="/incidents"`) || strings.Contains(body, `tone-ok" href="/alerts"`) || strings.Contains(body, `tone-ok" href="/devices"`) {
		t.Error("a figure that nobody knows is green")
	}
	if !strings.Contains(body, "Figures without a number are not known") || !strings.Contains(body, "—") {
		t.Errorf("does not say so: %s", visibleText(body))
	}
	for _, word := range []string{"no-such-state", "", "unknown"} {
		if toneOf(word) != "unknown" {
			t.Errorf("%q is %s", word, toneOf(word))
		}
	}
	if got := severity("no-such"); !strings.Contains(string(got), "sev-unknown") {
		t.Error(got)
	}
}

// TestEveryPageSaysTheMode: two-person controls that are not met are said
// everywhere (TRUST F22).
func TestEveryPageSaysTheMode(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	for name, row := range map[string]struct {
		st   Standing
		want []string
	}{
		"single operator": {Standing{Mode: "single-operator", Unwitnessed: true}, []string{"single-operator", "unwitnessed"}},
		"not known":       {Standing{}, []string{"mode unknown"}},
		"damaged":         {Standing{Mode: "quorum", StopOnly: "the log <b>", Away: []string{"database unavailable"}}, []string{"stop-only", "database unavailable", "&lt;b&gt;"}},
		"stopped":         {Standing{Mode: "quorum", Stops: 2, Waiting: 37}, []string{"2 stops in force", "NOT CONFIRMED: 37"}},
		"simulated":       {Standing{Mode: "quorum", Simulated: true}, []string{"simulated"}},
	} {
		p.console.Standing = func() Standing { return row.st }
		for _, path := range []string{"/", "/people", "/stop", "/nothing-here"} {
			_, body := p.ask("anna", http.MethodGet, path, nil)
			for _, want := range row.want {
				if !strings.Contains(body, want) {
					t.Errorf("%s: %s lacks %q", name, path, want)
				}
			}
		}
	}
}

// TestWhoMayNotSeePeople is not led there, and is refused all the same; the own
// account is everybody's.
func TestWhoMayNotSeePeople(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	for _, who := range []string{"vera", "otto"} {
		for _, path := range []string{"/people", "/people/anna"} {
			if res, _ := p.ask(who, http.MethodGet, path, nil); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s at %s: %d", who, path, res.StatusCode)
			}
		}
		if body := p.page(who, "/account"); strings.Contains(body, `href="/people"`) {
			t.Errorf("%s is led to people", who)
		}
	}
}

func TestInvitingShowsTheLinkOnce(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	if to := p.submit("anna", "/people", "person", "bea", "name", "Bea", "site", "hall-a"); to != "/people" {
		t.Fatalf("leads to %s", to)
	}
	if body := p.page("otto", "/account"); strings.Contains(body, "secret-of-bea") {
		t.Error("another session sees the link")
	}
	if body := p.page("anna", "/people"); !strings.Contains(body, "http://localhost:7400/link#abc.secret-of-bea") {
		t.Error("the link is not shown")
	}
	if body := p.page("anna", "/people"); strings.Contains(body, "secret-of-bea") {
		t.Error("the link is shown twice")
	}
	res, _ := p.ask("anna", http.MethodPost, "/people", url.Values{"csrf": {"token-of-anna"}, "person": {"../x"}})
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a name that is none: %d", res.StatusCode)
	}
	res, _ = p.ask("anna", http.MethodPost, "/people/otto/revoke", url.Values{"csrf": {"token-of-anna"}, "confirm": {"ott"}})
	if res.StatusCode != http.StatusBadRequest {
		t.Errorf("a confirmation that does not match: %d", res.StatusCode)
	}
	if to := p.submit("anna", "/people/otto/revoke", "confirm", "otto"); to != "/people" {
		t.Errorf("leads to %s", to)
	}
	if to := p.submit("anna", "/account/sessions/other/end"); to != "/account" {
		t.Errorf("leads to %s", to)
	}
	if to := p.submit("anna", "/account/sessions/session-of-anna/end"); to != "/sign-in" {
		t.Errorf("ending one's own session leads to %s", to)
	}
}

func TestTextIsShownAsItIs(t *testing.T) {
	for text, want := range map[string]string{
		"press-7":                    "press-7",
		"<b>&\"'":                    "&lt;b&gt;&amp;&#34;&#39;",
		"a\u202eb":                   `a<span class="esc">\u202e</span>b`,
		"\x1b[31m":                   `<span class="esc">\e</span>[31m`,
		"\x00\x01":                   `<span class="esc">\u0000\u0001</span>`,
		"a\nb\tc\r":                  `a<span class="esc">\n</span>b<span class="esc">\t</span>c<span class="esc">\r</span>`,
		"\xff":                       `<span class="esc">\xff</span>`,
		"\u200b\u00a0\U000e0041":     `<span class="esc">\u200b\u00a0\U000e0041</span>`,
		"Grüße 你好 😀":                 "Grüße 你好 😀",
		"e\u0301\u0301\u0301\u0301x": "e\u0301\u0301\u0301" + `<span class="esc">\u0301</span>x`,
		"\ufffd":                     `<span class="esc">\ufffd</span>`,
	} {
		if got := plain(text); string(got) != "<bdi>"+want+"</bdi>" {
			t.Errorf("%q shows as %s", text, got)
		}
	}
	if got := plainText("a\u202e<b>"); got != `a\u202e<b>` {
		t.Errorf("as an attribute: %s", got)
	}
	if got := cut("äää", 3); got != "ä…" {
		t.Errorf("cut to %q", got)
	}
	if got := plain(strings.Repeat("x", maxPlain+1)); len(got) > maxPlain+50 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestFiguresForPeople(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "just now", 40 * time.Second: "40 s ago", 5 * time.Minute: "5 min ago", 25*time.Hour + time.Minute: "25 h 1 min ago", 72 * time.Hour: "3 days ago", -2 * time.Minute: "in 2 min",
	} {
		if got := ago(now, now.Add(-d)); !strings.Contains(string(got), ">"+want+"<") {
			t.Errorf("%v: %s", d, got)
		}
	}
	for v, want := range map[any]string{7: "7", 1234: "1\u202f234", -1234567: "-1\u202f234\u202f567", uint64(100): "100", "999999": "999\u202f999"} {
		if got := num(v); got != want {
			t.Errorf("%v: %q", v, got)
		}
	}
	for s, want := range map[float64]string{0.4231: "0.42 s", 59: "59 s", 90: "1 min", -1: "unknown"} {
		if got := seconds(s); got != want {
			t.Errorf("%v: %s", s, got)
		}
	}
	if when(time.Time{}) != `<span class="muted">never</span>` || !strings.Contains(string(when(now)), `datetime="2026-11-21T12:00:00.000Z"`) {
		t.Error(when(now))
	}
	if short("0198c0de-0000-7000-8000-00000000beef") != "0198c0de…beef" || plural(1, "stop", "stops") != "1 stop" || plural(0, "stop", "stops") != "0 stops" {
		t.Error("short or plural")
	}
	if _, err := dict(1, 2); core.KindOf(err) != core.KindInternal {
		t.Error(err)
	}
}

func TestChartsAreWellFormed(t *testing.T) {
	if histogram("x", nil) != "" || sparkline([]int{1}) != "" {
		t.Error("something is drawn of nothing")
	}
	chart := string(histogram("<t>&\u202e", []bar{{From: time.Unix(0, 0), Count: 0}, {From: time.Unix(60, 0), Count: 1, Href: `/x?a="b"&c`}, {From: time.Unix(120, 0), Count: 1000}}))
	if strings.Count(chart, "<rect") != 2 || !strings.Contains(chart, `&lt;t&gt;&amp;\u202e`) || !strings.Contains(chart, `href="/x?a=&#34;b&#34;&amp;c"`) || strings.Contains(chart, "style") {
		t.Error(chart)
	}
	line := string(sparkline([]int{0, 5, 10}))
	if !strings.Contains(line, `points="0.0,23.0 50.0,12.0 100.0,1.0"`) {
		t.Error(line)
	}
}

// TestAnEventsRowIsTheSameInTheScript: what the script draws is cut and marked on
// the server.
func TestAnEventsRowIsTheSameInTheScript(t *testing.T) {
	ev := someEvent(2, `{"b":1,"a":"x y","c":{"d":[1]},"e":"`+`z\u202e"}`)
	record, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Fields []json.RawMessage `json:"fields"`
		Type   []json.RawMessage `json:"type"`
	}
	if err := json.Unmarshal(EncodeEvent(record), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Fields) != 2 || string(got.Fields[1]) != `["\\u202e",true]` {
		t.Errorf("%s", got.Fields)
	}
	if line := fieldsLine(ev.Fields); line != "b=1 a=\"x y\" c={\"d\":[1]} e=z\u202e" {
		t.Errorf("%q", line)
	}
	for _, bad := range []string{"", "x", "[]", `{"time":1}`} {
		if EncodeEvent([]byte(bad)) != nil {
			t.Errorf("%q is an event", bad)
		}
	}
	if fieldsLine(json.RawMessage(`"text"`)) != `"text"` {
		t.Error("fields that are no object")
	}
	if got := piecesOf("<").HTML(); got != "<bdi>&lt;</bdi>" {
		t.Error(got)
	}
}

// TestManyBoardsCountOnce: figures are shared for a second, stops never.
func TestManyBoardsCountOnce(t *testing.T) {
	p := newPlant(t)
	p.withEvents()
	asked := 0
	p.api.Parts.Status = func(context.Context) (api.Status, error) {
		asked++
		return api.Status{Health: core.HealthHealthy, Mode: "quorum"}, nil
	}
	clock := clocktest.New(time.Now())
	p.console.Clock, p.api.Clock = clock, clock
	for range 5 {
		p.page("anna", "/")
		p.page("otto", "/board/figures")
	}
	if asked != 1 {
		t.Errorf("counted %d times", asked)
	}
	p.submit("anna", "/stop", "scope", "site/hall-a")
	if body := p.page("otto", "/board/figures"); !strings.Contains(body, `"stops":{"value":"1"`) {
		t.Errorf("a stop is not there at once: %s", body)
	}
	clock.Advance(2 * boardLife)
	p.page("anna", "/")
	if asked != 2 {
		t.Errorf("counted %d times after a while", asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.console.boards.one <- struct{}{}
	if _, err := p.console.boardOf(ctx, plantTenant); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("who waits for the one who counts: %v", err)
	}
	<-p.console.boards.one
}
