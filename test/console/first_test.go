package console

import (
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/api"
	"github.com/interlock-security/interlock/core"
)

// most is what all processes of a first run may hold together, in MB.
const most = 300

// TestFirstRun is what the first page of the manual says: bring it up, follow
// the link that it prints, and be there. All its processes together are small.
func TestFirstRun(t *testing.T) {
	browser := newBrowser(t)
	s := newSite(t, "")
	program(t) // the build is no part of it
	began := time.Now()
	s.start("#", "up")
	p := newTab(t, browser, "owner", s.origin())
	p.server = s.out.dump
	p.passkey()
	p.join(linkIn(t, s.out.dump()), "Olga")
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
	await(s.t, "a quiet machine", s.out.dump, func() bool {
		st, err := get[api.Status](s, "/v1/status")
		return err == nil && st.Health == core.HealthHealthy && st.Devices["online"] == 1
	})
	all := family(s.cmd.Process.Pid)
	if len(all) != 4 {
		s.t.Errorf("%d processes, want server, keys, events and agent", len(all))
	}
	var rss, pss float64
	for _, pid := range all {
		r, p := memory(s.t, pid)
		rss, pss = rss+r, pss+p
		s.t.Logf("%6.1f MB RSS  %s", r, strings.Join(commandLine(s.t, pid)[1:], " "))
	}
	s.t.Logf("%6.1f MB RSS of all processes of a first run, %.1f MB with shared pages counted once (bar: %d MB)", rss, pss, most)
	if rss > most {
		s.t.Errorf("%.1f MB, at most %d are allowed", rss, most)
	}
}
