package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPagesSayWhenTheyHaveChanged: the version is the same as long as nothing
// but time passes, another one when something happened, and asking for it takes
// no message away.
func TestPagesSayWhenTheyHaveChanged(t *testing.T) {
	p := newPlant(t)
	s := story(p)
	ask := func(method, path string) string {
		t.Helper()
		res, body := p.ask("anna", method, path, nil)
		v := res.Header.Get("X-Page-Version")
		if res.StatusCode != http.StatusOK || v == "" || method == http.MethodGet && !strings.Contains(body, `data-version="`+v+`"`) {
			t.Fatalf("%s %s: %d, version %q", method, path, res.StatusCode, v)
		}
		return v
	}
	paths := []string{"/incidents/" + s.incident.ID.String(), "/devices/press-7", s.release, "/alerts", "/incidents", "/approvals"}
	before := map[string]string{}
	for _, path := range paths {
		before[path] = ask(http.MethodGet, path)
		if again := ask(http.MethodHead, path); again != before[path] {
			t.Errorf("%s changed by being looked at", path)
		}
	}
	p.move(s.incident.ID, "eradicating", "the screw is tight")
	for _, path := range paths {
		changed := ask(http.MethodHead, path) != before[path]
		if want := strings.HasPrefix(path, "/incidents"); changed != want {
			t.Errorf("after a step of the incident %s changed: %v", path, changed)
		}
	}
	if body := p.page("anna", "/incidents/"+s.incident.ID.String()); !strings.Contains(body, "The incident is eradicating now.") {
		t.Error("asking for the version took the message away")
	}
	p.submit("anna", "/alerts/"+s.alert+"/ack", "note", "")
	for _, path := range []string{"/alerts", "/devices/press-7"} {
		if ask(http.MethodHead, path) == before[path] {
			t.Errorf("after an acknowledgement %s is the same", path)
		}
	}
	if res, _ := p.ask("anna", http.MethodHead, "/devices/press-7?events", nil); res.Header.Get("X-Page-Version") != "" {
		t.Error("a page whose reading is recorded would be read every two seconds")
	}
}

// TestWhatAScriptFetchesIsNoUse: a page that is left open must not keep its
// session from going idle.
func TestWhatAScriptFetchesIsNoUse(t *testing.T) {
	rows := []struct {
		method, dest string
		want         bool
	}{
		{"GET", "document", false}, {"GET", "", false}, {"HEAD", "empty", true}, {"GET", "empty", true}, {"POST", "empty", false}, {"POST", "document", false},
	}
	for _, r := range rows {
		req := httptest.NewRequestWithContext(t.Context(), r.method, "/incidents", nil)
		req.Header.Set("Sec-Fetch-Dest", r.dest)
		if got := clientOf(req).ByItself; got != r.want {
			t.Errorf("%s to %q: by itself %v", r.method, r.dest, got)
		}
	}
}
