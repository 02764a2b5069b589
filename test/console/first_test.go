package console

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/test/rig"
)

// most is what all processes of a first run may hold together, in MB, with the
// program's own file, which all of them share, counted once.
const most = 220

// TestFirstRun is what the first page of the manual says: bring it up, follow
// the link that it prints, and be there. All its processes together are small.
func TestFirstRun(t *testing.T) {
	browser := newBrowser(t)
	s := newSite(t, "")
	rig.Program(t, "interlock") // the build is no part of it
	began := time.Now()
	s.start("#", "up")
	p := newTab(t, browser, "owner", s.origin())
	p.server = s.out.String
	p.passkey()
	p.join(linkIn(t, s.out.String()), "Olga")
	p.shows("days without an incident")
	t.Logf("from `interlock up` to the board, signed in by a new passkey: %s", time.Since(began).Round(time.Millisecond))
	s.printed("Events of this machine")
	for _, path := range []string{"/live", "/search?q=*", "/devices", "/audit", "/people", "/stop"} {
		p.open(path)
	}
	p.open("/")
	p.until("single-operator said on every page", `document.querySelector('.standing').innerText.includes('single-operator')`)
	p.take("first-run")
	s.weigh()
}

// weigh adds up what server, keys, events and agent hold once all are there and
// the flow stands still.
func (s *site) weigh() {
	s.t.Helper()
	rig.Await(s.t, "a quiet machine", s.out.String, func() bool {
		st, err := get[api.Status](s, "/v1/status")
		return err == nil && st.Health == core.HealthHealthy && st.Devices["online"] == 1
	})
	all := family(s.cmd.Process.Pid)
	if len(all) != 4 {
		s.t.Errorf("%d processes, want server, keys, events and agent", len(all))
	}
	var each, own, file float64
	for _, pid := range all {
		rss, anonymous := memory(s.t, pid)
		each, own, file = each+rss, own+anonymous, max(file, rss-anonymous)
		s.t.Logf("%6.1f MB RSS, %5.1f MB of its own  %s", rss, anonymous, strings.Join(commandLine(s.t, pid)[1:], " "))
	}
	s.t.Logf("%6.1f MB of all processes of a first run, what they share counted once (bar: %d MB); %.1f MB as the sum of each one's RSS", own+file, most, each)
	if own+file > most {
		s.t.Errorf("%.1f MB, at most %d are allowed", own+file, most)
	}
}
