package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// Whoever is to do more than look is asked for: a passkey signs exactly this
// request, somebody else agrees to it on the approvals page, and the requester
// then takes the sign-in link, which nobody else gets.

func askRoutes(c *Console) {
	c.post("/people/ask/begin", policy.ApprovalRequest, c.beginAsk)
	c.post("/people/ask/finish", policy.ApprovalRequest, c.finishAsk)
	c.post("/people/requests/{id}/begin", policy.ApprovalUse, c.beginCarry)
	c.post("/people/requests/{id}/finish", policy.ApprovalUse, c.finishCarry)
}

// askable are the roles that are asked for; a viewer needs nobody's consent.
var askable = []string{core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}

// filled is a form as the script sends it with what a passkey signs.
type filled struct {
	Fields string `json:"fields"` // as a form is encoded
}

// provedForm is the same with the passkey's answer.
type provedForm struct {
	Handle     string          `json:"handle"`
	Credential json.RawMessage `json:"credential"`
	Fields     string          `json:"fields"`
}

// actOf reads an invitation's form.
func actOf(fields string) (identity.Act, error) {
	const op = "web.ask"
	form, err := url.ParseQuery(fields)
	if err != nil {
		return identity.Act{}, core.Wrap(core.KindInvalid, op, err)
	}
	act := identity.Act{Kind: identity.ActInvite, Name: form.Get("name"), Roles: []string{core.RoleViewer}, Reason: strings.TrimSpace(form.Get("reason"))}
	if act.Person, err = core.ParseID[core.PersonID](form.Get("person")); err != nil {
		return act, core.Wrap(core.KindInvalid, op, err)
	}
	for _, role := range form["role"] {
		if !slices.Contains(askable, role) {
			return act, core.E(core.KindInvalid, op, "a role is one of "+strings.Join(askable, ", "))
		}
		act.Roles = append(act.Roles, role)
	}
	if len(act.Roles) == 1 {
		return act, core.E(core.KindInvalid, op, "no role is chosen").WithHint("a viewer needs no second person: use the other form")
	}
	for _, text := range form["site"] {
		site, err := core.ParseID[core.SiteID](text)
		if err != nil {
			return act, core.Wrap(core.KindInvalid, op, err)
		}
		act.Sites = append(act.Sites, site)
	}
	return act, nil
}

func askDigest(act identity.Act) [32]byte {
	return identity.ConfirmDigest(identity.VerbRequest, core.UUID{}, act.Digest())
}

func (c *Console) beginAsk(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[filled](w, r)
	if err != nil {
		return err
	}
	act, err := actOf(in.Fields)
	if err != nil {
		return err
	}
	return c.beginConfirm(w, r, askDigest(act))
}

func (c *Console) beginConfirm(w http.ResponseWriter, r *http.Request, digest [32]byte) error {
	options, handle, err := c.People.BeginConfirm(r.Context(), sessionOf(r.Context()), digest)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, begun{handle, options})
}

// finishConfirm reads a passkey's answer and returns the context of the act that
// it confirms, with the session that acts.
func (c *Console) finishConfirm(w http.ResponseWriter, r *http.Request) (context.Context, Session, error) {
	in, err := readJSON[proved](w, r)
	if err != nil {
		return nil, sessionOf(r.Context()), err
	}
	return c.takeConfirm(r, in.Handle, in.Credential)
}

// takeConfirm takes a passkey's answer that came with something else, as
// finishConfirm does.
func (c *Console) takeConfirm(r *http.Request, handle string, credential []byte) (context.Context, Session, error) {
	s := sessionOf(r.Context())
	word, err := c.People.FinishConfirm(r.Context(), s, handle, credential)
	if err != nil {
		return nil, s, err
	}
	return identity.WithConfirmation(r.Context(), word), s, nil
}

// finishAsk makes the request. The form comes once more; a passkey's answer to
// another form is refused by its digest.
func (c *Console) finishAsk(w http.ResponseWriter, r *http.Request) error {
	in, err := readJSON[provedForm](w, r)
	if err != nil {
		return err
	}
	act, err := actOf(in.Fields)
	if err != nil {
		return err
	}
	ctx, s, err := c.takeConfirm(r, in.Handle, in.Credential)
	if err != nil {
		return err
	}
	a, err := c.People.Request(ctx, s.Principal, act)
	if err != nil {
		return err
	}
	text := "Asked: " + a.What + ". Somebody else agrees to it on the approvals page; then you take the link here."
	if a.Alone != "" {
		text = "Asked: " + a.What + ". " + a.Alone + "."
	}
	c.flashes.put(s.ID, flash{Tone: "ok", Text: text})
	return httpd.WriteJSON(w, map[string]string{"next": "/people"})
}

// agreed are the reader's own requests that can be carried out now.
func (c *Console) agreed(r *http.Request) []identity.Approval {
	me := sessionOf(r.Context()).Person
	var list []identity.Approval
	for _, a := range c.People.Approvals(r.Context()) {
		if a.Requester == me && (a.State == identity.RequestApproved || a.State == identity.RequestReady) {
			list = append(list, a)
		}
	}
	return list
}

// own returns the request that a path names, as it stands now.
func (c *Console) own(r *http.Request) (identity.Approval, error) {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return identity.Approval{}, err
	}
	a, err := c.People.Approval(r.Context(), id)
	if err == nil && a.Requester != sessionOf(r.Context()).Person {
		err = core.E(core.KindDenied, "web.request", "only "+a.Requester.String()+", who asked for it, carries it out")
	}
	return a, err
}

func (c *Console) beginCarry(w http.ResponseWriter, r *http.Request) error {
	a, err := c.own(r)
	if err != nil {
		return err
	}
	return c.beginConfirm(w, r, identity.ConfirmDigest(identity.VerbCarry, a.ID, a.Digest))
}

func (c *Console) finishCarry(w http.ResponseWriter, r *http.Request) error {
	a, err := c.own(r)
	if err != nil {
		return err
	}
	ctx, s, err := c.finishConfirm(w, r)
	if err != nil {
		return err
	}
	a, made, err := c.People.CarryOut(ctx, s.Principal, a.ID)
	if err != nil {
		return err
	}
	done := flash{Tone: "ok", Text: "Done: " + a.What + "."}
	if made.URL != "" {
		done = linkFlash(made)
	}
	c.flashes.put(s.ID, done)
	return httpd.WriteJSON(w, map[string]string{"next": "/people"})
}

// linkFlash shows a one-time link this once.
func linkFlash(made identity.Link) flash {
	return flash{
		Tone: "ok", Secret: made.URL,
		Text: "Give this link to " + made.Person.String() + ", and to nobody else. It works once, until " + made.Expires.UTC().Format("15:04 UTC") + ", and is shown only now.",
	}
}
