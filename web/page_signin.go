package web

import (
	"encoding/json"
	"net/http"

	"github.com/interlock-security/interlock/core"
	wire "github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// Signing in is two requests by the script: one takes what the passkey is to
// sign, one hands in what it signed. A GET of these pages has no effect, and a
// one-time link's secret stands in its fragment, which no request carries: a
// mail scanner that opens the link uses nothing up.

func signinRoutes(c *Console) {
	c.route("GET /sign-in", policy.SessionCreate, public, c.signIn)
	c.route("POST /sign-in/begin", policy.SessionCreate, public, c.beginSignIn)
	c.route("POST /sign-in/finish", policy.SessionCreate, public, c.finishSignIn)
	c.route("GET "+linkPath, policy.SessionCreate, public, c.register)
	c.route("POST /register/begin", policy.SessionCreate, public, c.beginRegistration)
	c.route("POST /register/finish", policy.SessionCreate, public, c.finishRegistration)
	c.route("POST /sign-out", policy.SessionCreate, stopping, c.signOut)
}

type signInView struct{ Next string }

func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	next := local(r.URL.Query().Get("next"))
	if s := sessionOf(r.Context()); s.ID != "" && !s.StopOnly {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // local lets paths of this console through and nothing else
		return nil
	}
	return c.render(w, r, "signin", page{Title: "Sign in", Bare: true, Body: signInView{next}})
}

func (c *Console) register(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, "register", page{Title: "Welcome", Bare: true})
}

// begun is what the script gives to the browser's passkey dialog.
type begun struct {
	Handle  string          `json:"handle"`
	Options json.RawMessage `json:"options"`
}

// proved is what comes back from it.
type proved struct {
	Handle     string          `json:"handle"`
	Credential json.RawMessage `json:"credential"`
}

func (c *Console) beginSignIn(w http.ResponseWriter, r *http.Request) error {
	options, handle, err := c.People.BeginSignIn(r.Context())
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, begun{handle, options})
}

func (c *Console) finishSignIn(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[proved](w, r)
	if err != nil {
		return err
	}
	_, cookie, err := c.People.FinishSignIn(r.Context(), in.Handle, in.Credential, clientOf(r))
	if err != nil {
		return err
	}
	return welcome(w, cookie)
}

func (c *Console) beginRegistration(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[struct {
		Link string `json:"link"`
		Name string `json:"name"`
	}](w, r)
	if err != nil {
		return err
	}
	options, handle, err := c.People.BeginRegistration(r.Context(), in.Link, in.Name)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, begun{handle, options})
}

func (c *Console) finishRegistration(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[proved](w, r)
	if err != nil {
		return err
	}
	_, cookie, err := c.People.FinishRegistration(r.Context(), in.Handle, in.Credential, clientOf(r))
	if err != nil {
		return err
	}
	return welcome(w, cookie)
}

// welcome hands the session over.
func welcome(w http.ResponseWriter, cookie string) error {
	http.SetCookie(w, &http.Cookie{Name: Cookie, Value: cookie, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return httpd.WriteJSON(w, map[string]string{"next": "/"})
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := c.People.End(r.Context(), sessionOf(r.Context())); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{Name: Cookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	return nil
}

// maxCredential is the largest body of a passkey's answer, in bytes.
const maxCredential = 32 << 10

// readJSON reads what our own script sent.
func readJSON[T any](w http.ResponseWriter, r *http.Request) (T, error) {
	var v T
	if r.Header.Get("Content-Type") != "application/json" {
		return v, core.E(core.KindInvalid, "web.read", "the body is not application/json")
	}
	body, err := httpd.ReadBody(w, r, maxCredential)
	if err != nil {
		return v, err
	}
	err = wire.DecodeStrict(body, &v)
	return v, err
}
