package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Standing is what every page says of the installation, whatever it is about
// (TRUST F22). It is read from memory, so that it is there while the database is
// not.
type Standing struct {
	Installation string
	// Mode is the trust root's: "quorum" or "single-operator"; "" is not known.
	Mode string
	// Unwitnessed says that no outside witness signs the audit log.
	Unwitnessed bool
	// StopOnly is why the audit log takes nothing but stops, "" if it does.
	StopOnly string
	// Away tells of the parts that do not work now: "event store unavailable".
	Away []string
	// Stops is how many stops are in force, Waiting how many devices have not
	// confirmed one.
	Stops, Waiting int
	// Simulated says that the devices are a demonstration's.
	Simulated bool
}

// page is what a template gets. Title and Nav are set by the page, the rest by
// [Console.render].
type page struct {
	Title string
	// Nav is the entry of the navigation that this page belongs to: "board",
	// "live", "search", "alerts", "incidents", "approvals", "rules", "devices",
	// "audit", "people", "stop".
	Nav string
	// Narrow sets the page in one column of reading width.
	Narrow bool
	// Bare leaves the navigation out: who is not signed in sees none.
	Bare bool
	Body any

	Session  Session
	Standing Standing
	Flash    *flash
	Now      time.Time
	// Query is the text in the search field.
	Query string
	// Version stands for what the page shows, times left out. The script asks for
	// it now and then by HEAD and loads the page again when it is another one;
	// "" for pages that stand still.
	Version string
	// Refresh is after how many seconds a page without script loads itself
	// again, 0 for never.
	Refresh int
}

// CSRF is the token that every form of the page carries:
// <input type="hidden" name="csrf" value="{{$.CSRF}}">, or {{template "csrf" $}}.
func (p page) CSRF() string { return p.Session.CSRF }

// SignedIn reports whether somebody is.
func (p page) SignedIn() bool { return p.Session.ID != "" }

// May reports whether the person holds one of the roles. It hides what would be
// refused; it protects nothing.
func (p page) May(roles ...string) bool {
	for _, r := range roles {
		for _, have := range p.Session.Roles {
			if r == have {
				return true
			}
		}
	}
	return false
}

// render writes the page with status 200. The template is executed before the
// first byte leaves, so that half a page never looks whole.
func (c *Console) render(w http.ResponseWriter, r *http.Request, name string, p page) error {
	return c.renderStatus(w, r, http.StatusOK, name, p)
}

func (c *Console) renderStatus(w http.ResponseWriter, r *http.Request, status int, name string, p page) error {
	p.Session, p.Now = sessionOf(r.Context()), c.Clock.Now()
	p.Standing = c.Standing()
	if p.SignedIn() && p.Flash == nil && r.Method != http.MethodHead { // a HEAD shows nobody anything
		p.Flash = c.flashes.take(p.Session.ID)
	}
	t, known := templates()[name]
	if !known {
		return core.E(core.KindInternal, "web.render", "there is no page "+name)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout.html", p); err != nil {
		return core.Wrap(core.KindInternal, "web.render", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if p.Version != "" {
		w.Header().Set("X-Page-Version", p.Version)
	}
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return err
}

// fail answers with the page of an error. What an internal error says stays in
// the log.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) error {
	p := httpd.ProblemOf(err)
	if core.KindOf(err) == core.KindInternal {
		c.Log.Error("a page failed", slog.String("route", r.Pattern), slog.Any("err", err))
	}
	if !wantsPage(r) {
		httpd.WriteError(w, r, err)
		return nil
	}
	title, known := problemTitles[core.KindOf(err)]
	if !known {
		title = "Something went wrong here"
	}
	body := problem{Status: p.Status, Title: title, Detail: detail(p.Detail), Next: p.Next}
	return c.renderStatus(w, r, p.Status, "problem", page{Title: title, Bare: sessionOf(r.Context()).ID == "", Body: body})
}

type problem struct {
	Status              int
	Title, Detail, Next string
}

var problemTitles = map[core.Kind]string{
	core.KindInvalid:         "That was not understood",
	core.KindTooLarge:        "That is too large",
	core.KindUnauthenticated: "Please sign in",
	core.KindDenied:          "You may not do this",
	core.KindNotFound:        "There is nothing here",
	core.KindConflict:        "It has changed meanwhile",
	core.KindExpired:         "This has expired",
	core.KindReplayed:        "This was done already",
	core.KindUnavailable:     "Unavailable just now",
	core.KindUncertain:       "It is not known whether this took effect",
	core.KindDamaged:         "This is damaged",
	core.KindInternal:        "The server failed",
}

// detail leaves out the operation's name, which is for logs.
func detail(text string) string {
	if op, rest, found := strings.Cut(text, ": "); found && !strings.Contains(op, " ") {
		return rest
	}
	return text
}
