package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

func peopleRoutes(c *Console) {
	c.get("/people", policy.PersonList, c.people)
	c.post("/people", policy.PersonInvite, c.invite)
	c.get("/people/{id}", policy.PersonShow, c.person)
	c.post("/people/{id}/revoke", policy.PersonRevoke, c.revoke)
	c.get("/account", policy.PersonShow, c.account)
	c.post("/account/sessions/{id}/end", policy.SessionEnd, c.endSession)
	c.post("/account/passkeys/{id}/remove", policy.PasskeyRemove, c.removePasskey)
	c.post("/account/passkey/begin", policy.PersonLinkOwn, c.beginPasskey)
	c.post("/account/passkey/finish", policy.PersonLinkOwn, c.finishPasskey)
}

type peopleView struct {
	People []identity.Person
	Sites  []core.SiteID
	Alone  bool
	Roles  []string
	Agreed []identity.Approval
}

// people lists everybody. Who is there is asked of the Guard here: the list
// itself is memory.
func (c *Console) people(w http.ResponseWriter, r *http.Request) error {
	if err := c.permitted(r.Context(), policy.PersonList, "*"); err != nil {
		return err
	}
	v := peopleView{People: c.People.List(r.Context()), Sites: sessionOf(r.Context()).Principal.Sites, Roles: askable, Agreed: c.agreed(r)}
	active := 0
	for _, p := range v.People {
		if p.State == identity.PersonActive {
			active++
		}
	}
	v.Alone = active < 2
	return c.render(w, r, "people", page{Title: "People", Nav: "people", Body: v})
}

// permitted asks the Guard about a reading of people.
func (c *Console) permitted(ctx context.Context, action core.Action, id string) error {
	who := httpd.PrincipalOf(ctx)
	noun, _, _ := strings.Cut(string(action), ".")
	on := core.Resource{Type: noun, ID: id, Tenant: who.Tenant}
	d, err := c.Guard.Permit(ctx, who, action, on)
	if err != nil {
		return err
	}
	return httpd.Refusal(d, who, action, on)
}

// invite lets a viewer in. Other roles take a second person (see askRoutes).
func (c *Console) invite(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseID[core.PersonID](form(r, "person"))
	if err != nil {
		return core.Wrap(core.KindInvalid, "web.invite", err)
	}
	s := sessionOf(r.Context())
	in := identity.InviteRequest{Person: id, Name: form(r, "name"), Roles: []string{core.RoleViewer}}
	for _, text := range r.PostForm["site"] {
		site, err := core.ParseID[core.SiteID](text)
		if err != nil {
			return core.Wrap(core.KindInvalid, "web.invite", err)
		}
		in.Sites = append(in.Sites, site)
	}
	made, err := c.People.Invite(r.Context(), s.Principal, in)
	if err != nil {
		return err
	}
	c.flashes.put(s.ID, linkFlash(made))
	http.Redirect(w, r, "/people", http.StatusSeeOther)
	return nil
}

type personView struct {
	identity.Person
	List []identity.SessionInfo
	This string // the session that looks
	Own  bool
}

func (c *Console) person(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseID[core.PersonID](r.PathValue("id"))
	if err != nil {
		return core.Wrap(core.KindNotFound, "web.person", err)
	}
	if id == sessionOf(r.Context()).Person {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	if err := c.permitted(r.Context(), policy.PersonShow, id.String()); err != nil {
		return err
	}
	return c.showPerson(w, r, id, "people")
}

// account is a person's own page: what stands there belongs to the one who looks.
func (c *Console) account(w http.ResponseWriter, r *http.Request) error {
	return c.showPerson(w, r, sessionOf(r.Context()).Person, "account")
}

func (c *Console) showPerson(w http.ResponseWriter, r *http.Request, id core.PersonID, nav string) error {
	found, err := c.People.Get(r.Context(), id)
	if err != nil {
		return err
	}
	s := sessionOf(r.Context())
	v := personView{Person: found, List: c.People.Sessions(r.Context(), id), This: s.ID, Own: id == s.Person}
	v.List = v.List[:min(len(v.List), 100)]
	title := found.Name
	if title == "" {
		title = id.String()
	}
	return c.render(w, r, "person", page{Title: title, Nav: nav, Body: v})
}

func (c *Console) revoke(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseID[core.PersonID](r.PathValue("id"))
	if err != nil {
		return core.Wrap(core.KindNotFound, "web.revoke", err)
	}
	if form(r, "confirm") != id.String() {
		return core.E(core.KindInvalid, "web.revoke", "nothing was done: the name did not match").WithHint("write " + id.String() + " to confirm")
	}
	if err := c.People.Revoke(r.Context(), sessionOf(r.Context()).Principal, id); err != nil {
		return err
	}
	return c.done(w, r, "/people", "ok", id.String()+" can no longer sign in; sessions, passkeys and links have ended.")
}

func (c *Console) endSession(w http.ResponseWriter, r *http.Request) error {
	s := sessionOf(r.Context())
	if r.PathValue("id") == s.ID {
		return c.signOut(w, r)
	}
	if err := c.People.EndSession(r.Context(), s.Principal, r.PathValue("id")); err != nil {
		return err
	}
	return c.done(w, r, "/account", "ok", "The session has ended.")
}

func (c *Console) removePasskey(w http.ResponseWriter, r *http.Request) error {
	if err := c.People.RevokePasskey(r.Context(), sessionOf(r.Context()).Principal, r.PathValue("id")); err != nil {
		return err
	}
	return c.done(w, r, "/account", "ok", "The passkey has ended, and the sessions that began with it.")
}

// beginPasskey asks for a fresh confirmation with a passkey that the person has:
// a stolen session must not become a stolen person.
func (c *Console) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	s := sessionOf(r.Context())
	return c.beginConfirm(w, r, identity.LinkDigest(s.Person))
}

// finishPasskey answers with the one-time link by which the next passkey is made.
func (c *Console) finishPasskey(w http.ResponseWriter, r *http.Request) error {
	ctx, s, err := c.finishConfirm(w, r)
	if err != nil {
		return err
	}
	made, err := c.People.FirstLink(ctx, s.Principal)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, map[string]string{"next": linkPath + made.URL[max(strings.Index(made.URL, "#"), 0):]})
}

// Works reports whether somebody has a passkey that signs in.
func (v personView) Works() bool {
	return slices.ContainsFunc(v.Passkeys, func(p identity.Passkey) bool { return p.State == "active" })
}
