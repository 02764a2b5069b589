package console

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/device/reflex"
	"github.com/interlock-security/interlock/link/ceremony"
	"github.com/interlock-security/interlock/test/rig"
)

// pressID is the machine that the story is about.
const pressID = "press-7"

// story is a site with two persons in front of their browsers: anna runs it,
// cara joins her.
type story struct {
	// scanned are the pages about what was handed in once.
	scanned []kind
	*site
	t          *testing.T
	press      *machine
	anna, cara *tab
	incident   api.Incident
	release    api.Order
}

// TestStory is the console as two persons use it on a day on which somebody
// opens the case of a machine.
func TestStory(t *testing.T) {
	browser := newBrowser(t)
	s := newStory(t)
	s.anna, s.cara = newTab(t, browser, "anna", s.origin()), newTab(t, browser, "cara", s.origin())
	s.anna.server, s.cara.server = s.out.String, s.out.String
	for _, chapter := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"anna signs up by a one-time link", s.signUp},
		{"anna signs out and in again", s.signInAgain},
		{"cara is invited and joins", s.invite},
		{"a second person gets a role", s.officer},
		{"an edge is a row on the screen", s.edgeToRow},
		{"the case opens and the incident tells itself", s.caseOpens},
		{"an inspector looks at a seal", s.sealed},
		{"every page, in light, dark and on a phone", s.pictures},
		{"every page is well made", s.wellMade},
		{"every page can be read without scripts", s.withoutScripts},
		{"all links lead somewhere, fast and light", s.links},
		{"two persons sign, the machine is let go", s.approve},
		{"verification closes the incident", s.closed},
		{"a second person agrees with a passkey", s.agree},
		{"the log is verified and proved", s.proof},
		{"one tap from every page to a stop", s.stop},
		{"a stolen session and a stale form", s.stolen},
	} {
		ok := t.Run(chapter.name, func(t *testing.T) {
			began := time.Now()
			s.as(t)
			chapter.tell(t)
			s.anna.clean()
			s.cara.clean()
			t.Logf("told within %s", time.Since(began).Round(time.Millisecond))
		})
		s.as(t)
		if !ok {
			return // what follows stands on it
		}
	}
}

// as has what fails from now on fail in t.
func (s *story) as(t *testing.T) { s.t, s.site.t, s.anna.t, s.cara.t = t, t, t, t }

// newStory brings up a site of three persons, two of whom sign together, with
// one machine.
func newStory(t *testing.T) *story {
	t.Helper()
	site := newSite(t, fmt.Sprintf("  group: %s\noperators:\n  - {uid: %d, person: anna, roles: [viewer, operator, security-officer, administrator]}\n  - {uid: %d, person: bert, roles: [security-officer]}\n",
		nogroup, os.Getuid(), nobody))
	site.reachable()
	site.must("root", "init", "--person", "anna", "--person", "bert", "--person", "cara")
	site.start("serving; agents at", "serve")
	site.healthy()
	return &story{site: site, t: t, press: site.enrol(pressID)}
}

var linkText = regexp.MustCompile(`http://localhost:[0-9]+/link#\S+`)

// signUp: the link that the verb prints leads to a passkey and a session.
func (s *story) signUp(t *testing.T) {
	s.anna.passkey()
	link := linkIn(t, s.must("people", "link"))
	s.anna.join(link, "Anna Berg")
	s.anna.shows("Safety board")
	s.usedUp(link)
}

// usedUp sees a link that somebody used refused, with what to do next.
func (s *story) usedUp(link string) {
	s.t.Helper()
	late := newTab(s.t, s.anna.ctx, "late", s.origin())
	late.passkey()
	late.open(strings.TrimPrefix(link, late.base))
	late.expect(http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict, http.StatusGone, http.StatusNotFound)
	late.typeIn("#name", "Somebody")
	late.click(`form[data-passkey="register"] button[type="submit"]`)
	late.until("a refusal", `document.querySelector('.status').dataset.tone === 'bad'`)
}

func linkIn(t *testing.T, text string) string {
	t.Helper()
	found := linkText.FindString(text)
	if found == "" {
		t.Fatalf("no link in\n%s", text)
	}
	return found
}

// join follows a one-time link and makes a passkey.
func (p *tab) join(link, name string) {
	p.t.Helper()
	p.open(strings.TrimPrefix(link, p.base))
	p.typeIn("#name", name)
	p.click(`form[data-passkey="register"] button[type="submit"]`)
	p.at("/")
}

func (s *story) signInAgain(t *testing.T) {
	p := s.anna
	p.click(`.side form[action="/sign-out"] button`)
	p.at("/sign-in")
	p.open("/devices")
	p.at("/sign-in") // nobody reads anything now
	p.click(`form[data-passkey="sign-in"] button[type="submit"]`)
	p.at("/devices") // where one was going
	p.shows(pressID)
}

func (s *story) invite(t *testing.T) {
	s.anna.open("/people")
	s.anna.typeIn("#person", "cara")
	s.anna.typeIn("#pname", "Cara Lind")
	s.anna.click(`form[action="/people"] button[type="submit"]`)
	s.anna.shows("Give this link to cara")
	s.cara.passkey()
	s.cara.join(linkIn(t, s.anna.text()), "Cara Lind")
	s.cara.open("/account")
	s.cara.shows("Cara Lind")
	s.anna.open("/people")
	s.anna.shows("Cara Lind")
}

// trips is how often the time from the edge to the row is measured.
const trips = 24

// observe notes in the page when a row that holds a mark has been drawn.
const observe = `(() => {
  window.rows = {};
  const look = () => {
    const now = Date.now();
    for (const m of document.querySelector('#events').textContent.matchAll(/mark-\d+-\d+/g)) window.rows[m[0]] ??= now;
  };
  new MutationObserver(() => requestAnimationFrame(look)).observe(document.querySelector('#events'), { childList: true });
})()`

// edgeToRow measures how long it takes from a sensor's edge to a row on the
// screen: agent, signature, link, journal, stream, script, frame.
func (s *story) edgeToRow(t *testing.T) {
	p := s.anna
	p.open("/live")
	p.until("the stream", `document.querySelector('#pulse').textContent === 'Live'`)
	read[any](p, observe)
	var took []time.Duration
	for i := range trips {
		mark := fmt.Sprintf("mark-%d-%d", time.Now().Unix(), i)
		began := time.Now()
		s.press.say(i, mark)
		p.until("row "+mark, "window.rows["+quote(mark)+"]")
		drawn := read[int64](p, "window.rows["+quote(mark)+"]")
		took = append(took, max(time.UnixMilli(drawn).Sub(began), 0))
	}
	slices.Sort(took)
	p50, p95 := took[len(took)/2], took[len(took)*95/100]
	t.Logf("edge to row on the screen over %d trips: p50 %s, p95 %s, max %s (bar: p95 < 1 s)", trips,
		p50.Round(time.Millisecond), p95.Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if p95 > 20*time.Second { // the bar itself is for a quiet machine
		t.Errorf("p95 is %s", p95)
	}
}

// caseOpens: the row comes by itself, the incident's page fills by itself, and
// the order waits with the command that signs it.
func (s *story) caseOpens(t *testing.T) {
	p := s.anna
	s.press.lid(true)
	p.until("the row of the case", `[...document.querySelectorAll('#events tr')].some((r) => r.innerText.includes('case_intrusion'))`)
	rig.Await(t, "an incident", s.press.dump, func() bool {
		page, err := get[api.Page[api.Incident]](s.site, "/v1/incidents?device="+pressID)
		if err == nil && len(page.Items) > 0 {
			s.incident = page.Items[0]
		}
		return err == nil && len(page.Items) > 0
	})
	p.open("/incidents")
	p.click(`a.row-link[href="/incidents/` + s.incident.ID.String() + `"]`)
	p.at("/incidents/" + s.incident.ID.String())
	p.until("the step into contained, without a hand on the page", `[...document.querySelectorAll('.timeline .moment-title')].some((m) => /contained/i.test(m.innerText))`)
	s.release = s.press.release()
	p.until("the command on the page", "document.body.innerText.includes("+quote("interlock approve "+s.release.ID.String())+")")
	p.until("every step proved", `document.querySelectorAll('.timeline .moment').length > 2 && !document.querySelector('.proof.waiting')`)
	p.open("/approvals")
	p.shows("interlock approve " + s.release.ID.String() + " --as anna")
	s.press.lid(false) // somebody closes the case; what was latched stays
	rig.Await(t, "a closed case", s.press.dump, func() bool {
		st, ok := s.press.status()
		return ok && len(st.Sensors[0].Active) == 0 && len(st.Latches) > 0
	})
}

// approve: the verb signs on the persons' own machines; the page only follows.
func (s *story) approve(t *testing.T) {
	p := s.anna
	p.open("/approvals/" + s.release.ID.String())
	p.shows("interlock approve " + s.release.ID.String() + " --as anna")
	s.must("approve", s.release.ID.String(), "--as", "anna", "--yes")
	p.open("/approvals/" + s.release.ID.String())
	p.shows("You have signed")
	if st, ok := s.press.status(); !ok || !st.Contained {
		t.Errorf("one signature let the machine go: %+v", st)
	}
	s.must("approve", s.release.ID.String(), "--as", "bert", "--yes")
	rig.Await(t, "a machine that is let go", s.press.dump, func() bool {
		st, ok := s.press.status()
		return ok && !st.Contained && len(st.Latches) == 0
	})
	p.open("/devices/" + pressID)
	p.until("a device that is online", `document.querySelector('main').innerText.toLowerCase().includes('online')`)
}

// closed: verification, and nothing else, closes the incident, and each step
// links to its proof.
func (s *story) closed(t *testing.T) {
	p := s.anna
	p.open("/incidents/" + s.incident.ID.String())
	p.until("a closed incident", `[...document.querySelectorAll('.timeline .moment-title')].some((m) => /closed/i.test(m.innerText)) && !document.querySelector('.proof.waiting')`)
	p.picture("incident-closed", wide)
	p.picture("incident-closed", dark)
	p.screen(wide)
	proofs := read[[]string](p, `[...document.querySelectorAll('.timeline a.proof')].map((a) => a.getAttribute('href'))`)
	if len(proofs) < 5 {
		t.Errorf("the timeline links to %d proofs: %v", len(proofs), proofs)
	}
	p.click(".timeline a.proof")
	p.shows("The proof holds")
}

// proof: the log is verified on its page, and a proof taken from there is good
// for public tools.
func (s *story) proof(t *testing.T) {
	p := s.anna
	p.open("/audit")
	p.click(`form[action="/audit/verify"] button[type="submit"]`)
	p.shows("entries fit")
	for _, size := range []size{wide, dark, phone} {
		p.picture("audit-verified", size)
	}
	p.screen(wide)
	trust, err := ceremony.LoadTrust(s.Keys)
	if err != nil {
		t.Fatal(err)
	}
	p.open("/incidents/" + s.incident.ID.String())
	href := read[string](p, `document.querySelector('.timeline a.proof').getAttribute('href')`)
	p.open(href)
	file := s.body(p, read[string](p, `document.querySelector('a[download]').getAttribute('href')`))
	if leaf, err := verifyPublicly(file, trust.Root().LogKey); err != nil || !strings.Contains(string(leaf), s.incident.ID.String()) {
		t.Errorf("the proof as public modules see it: %v: %.200s", err, leaf)
	}
	path := filepath.Join(s.Dir, "entry.tlog-proof")
	rig.Write(s.t, path, string(file))
	s.must("audit", "verify", path)
}

// stop: from every page one tap leads to the page that asks; only its button
// stops, and the page says so once the machine has said so itself.
func (s *story) stop(t *testing.T) {
	for _, k := range s.kinds() {
		s.anna.open(k.path)
		for _, size := range []size{wide, phone} {
			s.anna.screen(size)
			s.anna.until("a stop that is one tap away from "+k.name, `[...document.querySelectorAll('a[href^="/stop"]')].some((a) => {
				const r = a.getBoundingClientRect();
				return r.width >= 24 && r.height >= 24 && r.top >= 0 && r.bottom <= innerHeight && document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2).closest('a') === a;
			})`)
		}
	}
	s.anna.screen(wide)
	for range 3 { // links are fetched by those who never pressed anything
		s.anna.open("/stop")
	}
	if relay := rig.Relay(&s.press.cfg); relay != reflex.RelayAllowed {
		t.Fatalf("looking at the stop page left the machine's output %q", relay)
	}
	s.anna.open("/")
	s.anna.click("a.stop-button")
	s.anna.at("/stop")
	began := time.Now()
	s.anna.click(`form.stops button[name="scope"]`)
	rig.Await(t, "the safe state of the machine's output", s.press.dump, func() bool { return rig.Relay(&s.press.cfg) == reflex.RelaySafe })
	t.Logf("safe %s after the button", time.Since(began).Round(time.Millisecond))
	s.anna.until("the machine's own confirmation on the page", `/Confirmed by \d/.test(document.querySelector('#verdict h1').innerText)`)
	for _, size := range []size{wide, dark, phone} {
		s.anna.picture("stop-result", size)
	}
	s.anna.screen(wide)
	s.anna.open("/")
	s.anna.shows("in force")
	s.anna.picture("board-stopped", wide)
	s.anna.picture("board-stopped", phone)
	s.anna.screen(wide)
}
