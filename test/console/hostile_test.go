package console

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/test/rig"
)

// hostile is what somebody puts wherever text can be put: markup, an escape of
// a terminal, marks that turn the direction of writing, and an end of a script.
const hostile = "<img src=x onerror=\"document.title='taken'\">\x1b[2J\x1b]0;taken\a\u202egnp.exe\u2066</script><!--{{.}}&amp;'\""

// seen is the part of it that every page that shows it shows as it is.
const seen = `<img src=x onerror=`

// hostileSite has that text in the name of a person, in the words of a sensor
// (what a USB device calls itself comes the same way), in a log line, in an
// order's reason and in what an operator notes.
type hostileSite struct {
	*site
	m     *machine
	alert api.Alert
}

func newHostileSite(t *testing.T) *hostileSite {
	t.Helper()
	log := filepath.Join(t.TempDir(), "auth.log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &hostileSite{site: newSite(t, fmt.Sprintf("collect:\n  files: [{path: %s, type: sshd}]\n", log))}
	s.start("serving; agents at", "serve")
	s.healthy()
	s.m = s.enrol(pressID)
	point, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	s.m.play(1, fmt.Sprintf(`{"do":"pulse","point":%s,"type":"usb_attached","severity":"high","alarm":true}`, point))
	line := "Nov 22 00:00:01 host sshd[1]: Failed password for invalid user " + strings.ReplaceAll(hostile, "\n", " ") + " from 203.0.113.9 port 4 ssh2\n"
	for range 12 { // enough for the rule about guessed passwords
		s.append(log, line)
	}
	s.must("device", "quarantine", pressID, "--reason", hostile)
	return s
}

func (s *hostileSite) append(path, line string) {
	s.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(line)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestHostileText: whatever somebody writes is text on every page, with script
// and without; nothing of it is seen by the watch.
func TestHostileText(t *testing.T) {
	browser := newBrowser(t)
	s := newHostileSite(t)
	p := newTab(t, browser, "owner", s.origin())
	p.server = s.out.String
	p.passkey()
	p.open("/live")
	p.join(linkIn(t, s.must("people", "link")), "<b>O</b>wner")
	s.must("people", "invite", "mallory", "--name", hostile)
	rig.Await(t, "an alert", s.m.dump, func() bool {
		page, err := get[api.Page[api.Alert]](s.site, "/v1/alerts?all=true")
		if err != nil || len(page.Items) == 0 {
			return false
		}
		s.alert = page.Items[0]
		return true
	})
	shown := map[string]bool{ // whether the page has that text on it
		"/": false, "/live": true, "/search?q=type:usb_attached": true, "/alerts?state=all": false, "/alerts/" + s.alert.ID.String() + "?events=": false,
		"/incidents?state=all": false, "/approvals?state=all": true, "/devices": false, "/devices/" + pressID + "?events=": true, "/audit?actor=": false,
		"/people": true, "/people/mallory": true, "/account": false, "/stop": false,
	}
	for _, in := range s.incidents() {
		shown["/incidents/"+in.ID.String()] = false
	}
	for _, o := range s.m.device().Orders {
		shown["/approvals/"+o.ID.String()] = strings.Contains(o.Reason, seen)
	}
	for _, scripts := range []bool{true, false} {
		p.scripts(scripts)
		for path, shows := range shown {
			s.harmless(p, path, shows)
		}
	}
	p.scripts(true)
	for name, path := range map[string]string{"hostile-live": "/live", "hostile-people": "/people", "hostile-device": "/devices/" + pressID + "?events="} {
		p.open(path)
		p.picture(name, wide)
		p.picture(name, phone)
	}
	s.liveHostile(p)
}

func (s *hostileSite) incidents() []api.Incident {
	s.t.Helper()
	page, err := get[api.Page[api.Incident]](s.site, "/v1/incidents")
	if err != nil {
		s.t.Fatal(err)
	}
	return page.Items
}

// harmless opens a page and looks for what the text would have become.
func (s *hostileSite) harmless(p *tab, path string, shows bool) {
	s.t.Helper()
	if strings.HasPrefix(path, "/search") { // the store answers a moment after the journal
		rig.Await(s.t, "a page that shows "+path, p.dump, func() bool { p.open(path); return strings.Contains(p.text(), seen) })
	}
	p.open(path)
	for _, fault := range read[[]string](p, wellMade) {
		s.t.Errorf("%s: %s", path, fault)
	}
	if read[bool](p, `!!document.querySelector('img[src="x"], main script, [onerror]') || document.title === 'taken'`) {
		s.t.Errorf("%s: the text has become markup", path)
	}
	if shows && !strings.Contains(p.text(), seen) {
		s.t.Errorf("%s does not show the text as text:\n%.1500s", path, p.text())
	}
}

// liveHostile has the text drawn by the page's own script.
func (s *hostileSite) liveHostile(p *tab) {
	s.t.Helper()
	p.screen(wide)
	p.open("/live")
	p.until("the stream", `document.querySelector('#pulse').textContent === 'Live'`)
	s.m.play(2, `{"do":"pulse","point":"drawn-by-script <b>x</b> \u202e \u001b[2J","type":"usb_attached","severity":"info"}`)
	p.until("the row", `document.querySelector('#events').innerText.includes('drawn-by-script <b>x</b>')`)
	p.checked("/live, drawn by the script")
}
