package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/interlock-security/interlock/test/rig"
)

// strict is a policy like the console's.
const strict = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

// rogue are pages that do what no page of the console may, and what the watch
// has to say of each.
var rogue = map[string]struct{ markup, script, want string }{
	"inline script":    {`<script>document.title = 'mine'</script>`, "", "script-src"},
	"inline style":     {`<p style="color: red">x</p>`, "", "style-src"},
	"markup from text": {"", `document.body.innerHTML = '<b>x</b>'`, "require-trusted-types-for"},
	"eval":             {"", `try { eval('1') } catch {}`, "require-trusted-types-for"},
	"another host":     {"", `fetch('http://127.0.0.9:9/').catch(() => {})`, "connect-src"},
	"an image of it":   {`<img alt="" src="http://127.0.0.9:9/x.png">`, "", "img-src"},
	"an exception":     {"", `undefined.x`, "exception:"},
	"a lost promise":   {"", `Promise.reject(new Error('lost'))`, "lost"},
	"a message":        {"", `console.warn('careful')`, "careful"},
	"a missing file":   {"", `fetch('/nothing')`, "answered with 404"},
}

// TestTheWatchSees holds the watch against pages that are as bad as can be: one
// that saw nothing would make every other test here worthless.
func TestTheWatchSees(t *testing.T) {
	browser := newBrowser(t)
	mux := http.NewServeMux()
	for name, r := range rogue {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", strict)
			_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>x</title><link rel="icon" href="data:,"><body>%s<script src="%s.js"></script>`, r.markup, path)
		})
		mux.HandleFunc(path+".js", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = fmt.Fprint(w, r.script)
		})
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	p := newTab(t, browser, "rogue", server.URL)
	for name, r := range rogue {
		p.open("/" + strings.ReplaceAll(name, " ", "-"))
		rig.Await(t, "a fault about "+r.want, func() string { return fmt.Sprint(p.faults()) }, func() bool {
			return strings.Contains(strings.Join(p.faults(), "\n"), r.want)
		})
		p.do("leave", chromedp.Navigate("about:blank"))
		p.mu.Lock()
		p.list = nil // they were meant
		p.mu.Unlock()
	}
}
