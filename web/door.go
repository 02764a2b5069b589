package web

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/httpd"
)

// Cookie is the session's. The prefix makes browsers refuse it without Secure,
// from another host or for part of the paths.
const Cookie = "__Host-interlock"

// maxForm is the largest request body, in bytes.
const maxForm = 64 << 10

// policyCSP allows what comes from this origin and nothing else. No page has a
// style or a script in it, and no script can turn text into markup.
const policyCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

var headers = map[string]string{
	"Content-Security-Policy": policyCSP,
	"X-Content-Type-Options":  "nosniff",
	"X-Frame-Options":         "DENY",
	// Not no-referrer: browsers then send "Origin: null" with our own forms.
	"Referrer-Policy":              "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=(), publickey-credentials-get=(self), publickey-credentials-create=(self)",
}

// hosts are the names that the console answers to. A page of another name that
// resolves to this address (DNS rebinding) gets nothing.
type hosts struct {
	scheme, authority string
	loopback          bool
	port              string
}

func parseOrigin(origin string) (hosts, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Path != "" || u.Scheme != "http" && u.Scheme != "https" {
		return hosts{}, core.E(core.KindInvalid, "web.New", "origin "+origin+" is not scheme://host or scheme://host:port")
	}
	return hosts{u.Scheme, u.Host, u.Hostname() == "localhost", u.Port()}, nil
}

// origin is how browsers write it.
func (h hosts) origin() string { return h.scheme + "://" + h.authority }

// numeric reports whether host is the loopback address of a console that is
// called localhost: passkeys need a name, so such a request is sent on.
func (h hosts) numeric(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return false
	}
	ip := net.ParseIP(name)
	return h.loopback && port == h.port && ip != nil && ip.IsLoopback()
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	if c.host.scheme == "https" {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	switch {
	case strings.EqualFold(r.Host, c.host.authority):
		c.mux.ServeHTTP(w, r)
	case c.host.numeric(r.Host) && r.Method == http.MethodGet:
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, c.host.origin()+r.URL.RequestURI(), http.StatusTemporaryRedirect) //nolint:gosec // the origin is ours
	default:
		http.Error(w, "This console is at "+c.host.origin()+" and answers for no other host.", http.StatusMisdirectedRequest)
	}
}

// authenticate names who sent the request: the person of the session, or a
// stranger. It refuses nobody; routes do.
func (c *Console) authenticate(r *http.Request) (core.Principal, error) {
	if s, err := c.session(r); err == nil {
		return s.Principal, nil
	}
	return core.Principal{Kind: core.KindStranger, ID: "console"}, nil
}

func (c *Console) session(r *http.Request) (Session, error) {
	cookie, err := r.Cookie(Cookie)
	if err != nil {
		return Session{}, core.E(core.KindUnauthenticated, "web.session", "nobody is signed in here")
	}
	return c.People.Lookup(cookie.Value, clientOf(r))
}

// clientOf is what a session is bound to. What a script fetches is not a person
// who does something; a POST is one.
func clientOf(r *http.Request) Client {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	fetched := r.Header.Get("Sec-Fetch-Dest") == "empty" && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	return Client{Address: host, UserAgent: r.UserAgent(), ByItself: fetched}
}

// withSession puts the session, or why there is none, into the request's
// context: the page of an error says too who is signed in.
func (c *Console) withSession(r *http.Request) *http.Request {
	told := identity.WithClient(r.Context(), clientOf(r))
	s, err := c.session(r)
	if err != nil {
		return r.WithContext(context.WithValue(told, refusalKey{}, err))
	}
	ctx := context.WithValue(told, sessionKey{}, s)
	return r.WithContext(httpd.WithPrincipal(ctx, s.Principal))
}

type refusalKey struct{}

// admitted lets those in whom the route is for. Others are sent to sign in.
func (c *Console) admitted(a access, h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s := sessionOf(r.Context())
		if s.ID != "" && (!s.StopOnly || a != signedIn) || a == public {
			return h(w, r)
		}
		err, _ := r.Context().Value(refusalKey{}).(error)
		return c.turnAway(w, r, err)
	}
}

// turnAway sends a person to the sign-in page and back. A link from another site
// comes without the cookie, because that is SameSite=Strict: such a request is
// made once more, from here.
func (c *Console) turnAway(w http.ResponseWriter, r *http.Request, err error) error {
	if kind := core.KindOf(err); err != nil && kind != core.KindUnauthenticated && kind != core.KindExpired {
		return err
	}
	if !wantsPage(r) && r.Method == http.MethodGet {
		return core.E(core.KindUnauthenticated, "web", "nobody is signed in").WithHint("sign in at " + c.host.origin())
	}
	if r.Method != http.MethodGet {
		return core.E(core.KindUnauthenticated, "web", "nothing was done: the session has ended").WithHint("sign in and do it again")
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		return c.render(w, r, "onward", page{Title: "One moment", Bare: true, Body: r.URL.RequestURI()})
	}
	to := "/sign-in"
	if r.URL.Path != "/" {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// wantsPage reports whether a person will read the answer; a script asks for
// other things and gets problem documents.
func wantsPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return accept == "" || strings.Contains(accept, "text/html")
}

// checked lets a POST through that comes from our own pages. Two things must
// hold: the browser says so, and the form has the session's token. Signing in
// has no session yet whose token could be asked for.
func (c *Console) checked(a access, h, read handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := c.sameOrigin(r); err != nil {
			return err
		}
		if a == public {
			return h(w, r)
		}
		s := sessionOf(r.Context())
		if err := read(w, r); err != nil {
			return err
		}
		token := r.PostForm.Get("csrf")
		if token == "" {
			token = r.Header.Get("X-CSRF")
		}
		if s.CSRF == "" || subtle.ConstantTimeCompare([]byte(token), []byte(s.CSRF)) != 1 {
			return core.E(core.KindDenied, "web.form", "nothing was done: the form is from another session or was open too long").
				WithHint("go back, load the page again and repeat it")
		}
		return h(w, r)
	}
}

// readForm parses a form without a file.
func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	return core.Wrap(core.KindInvalid, "web.form", r.ParseForm())
}

// sameOrigin refuses what another site's page sent. A browser that says nothing
// of where a POST comes from is refused too.
func (c *Console) sameOrigin(r *http.Request) error {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site == "same-origin" && (origin == "" || origin == c.host.origin()) || site == "" && origin == c.host.origin() {
		return nil
	}
	return core.E(core.KindDenied, "web.form", "nothing was done: the request did not come from this console's own page").
		WithHint("open the console at " + c.host.origin() + " and repeat it there")
}

// local returns a path of this console, "/" where next is anything else.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
