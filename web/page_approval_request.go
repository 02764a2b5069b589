package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/platform/httpd"
	"github.com/interlock-security/interlock/policy"
)

// Requests are what the server alone enforces and two persons agree on. Unlike
// an order they are approved here, each by a passkey's signature over exactly
// this act: an ordinary session is no approval (TRUST F02).

// approver is the part of identity that decides requests.
type approver interface {
	Approvals(ctx context.Context) []identity.Approval
	Approval(ctx context.Context, id core.UUID) (identity.Approval, error)
	Approve(ctx context.Context, who core.Principal, id core.UUID) (identity.Approval, error)
	Reject(ctx context.Context, who core.Principal, id core.UUID, reason string) (identity.Approval, error)
	Withdraw(ctx context.Context, who core.Principal, id core.UUID, reason string) (identity.Approval, error)
}

// requestView is a request as the reader may decide it.
type requestView struct {
	identity.Approval
	// Exact is the act, every parameter of it, as it is hashed.
	Exact   string
	Mine    bool // the reader asked for it
	May     bool // the reader's consent counts and is not there yet
	Missing int
}

// requests lists what waits for a second person, for those who may see it; the
// list itself is memory.
func (c *Console) requests(r *http.Request, all bool) ([]requestView, error) {
	if err := c.permitted(r.Context(), policy.ApprovalList, "*"); core.KindOf(err) == core.KindDenied {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	s := sessionOf(r.Context())
	var list []requestView
	for _, a := range c.People.Approvals(r.Context()) {
		if len(list) == listRows || !a.Open() && !all {
			break // the open ones come first
		}
		list = append(list, requestOf(a, s))
	}
	return list, nil
}

// MissingList has an item for each consent that is to come.
func (v requestView) MissingList() []struct{} { return make([]struct{}, min(v.Missing, maxShown)) }

func requestOf(a identity.Approval, s Session) requestView {
	v := requestView{Approval: a, Mine: a.Requester == s.Person, Missing: max(a.Need-len(a.Consents), 0)}
	v.May = a.State == identity.RequestOpen && slices.Contains(a.Eligible, s.Person)
	for _, consent := range a.Consents {
		v.May = v.May && consent.By != s.Person
	}
	exact, err := json.MarshalIndent(a.Act, "", "  ")
	if v.Exact = string(exact); err != nil {
		v.May = false // nobody agrees to what can't be shown
	}
	return v
}

// requestVerbs are what a person confirms with a passkey.
var requestVerbs = map[string]string{"approve": identity.VerbApprove, "reject": identity.VerbReject}

// confirmed reads which request and what about it a path names.
func (c *Console) confirmed(r *http.Request) (verb string, a identity.Approval, err error) {
	verb, known := requestVerbs[r.PathValue("verb")]
	id, err := core.ParseUUID(r.PathValue("id"))
	if err == nil && !known {
		err = core.E(core.KindNotFound, "web.approval", "a request is approved or rejected")
	}
	if err != nil {
		return verb, a, err
	}
	if err := c.permitted(r.Context(), policy.ApprovalShow, id.String()); err != nil {
		return verb, a, err
	}
	a, err = c.People.Approval(r.Context(), id)
	return verb, a, err
}

// beginDecision asks for a passkey's signature over the act as it stands in the
// log now, not as a page once showed it.
func (c *Console) beginDecision(w http.ResponseWriter, r *http.Request) error {
	verb, a, err := c.confirmed(r)
	if err != nil {
		return err
	}
	return c.beginConfirm(w, r, identity.ConfirmDigest(verb, a.ID, a.Digest))
}

func (c *Console) finishDecision(w http.ResponseWriter, r *http.Request) error {
	verb, a, err := c.confirmed(r)
	if err != nil {
		return err
	}
	ctx, s, err := c.finishConfirm(w, r)
	if err != nil {
		return err
	}
	if verb == identity.VerbApprove {
		a, err = c.People.Approve(ctx, s.Principal, a.ID)
	} else {
		a, err = c.People.Reject(ctx, s.Principal, a.ID, "rejected in the console")
	}
	if err != nil {
		return err
	}
	c.flashes.put(s.ID, flash{Tone: "ok", Text: "The request to " + a.What + " is " + a.State + "."})
	return httpd.WriteJSON(w, map[string]string{"next": "/approvals"})
}

// withdrawRequest takes an own request back: less is never held up.
func (c *Console) withdrawRequest(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	a, err := c.People.Withdraw(r.Context(), sessionOf(r.Context()).Principal, id, strings.TrimSpace(form(r, "reason")))
	if err != nil {
		return err
	}
	return c.done(w, r, "/approvals", "ok", "The request to "+a.What+" is withdrawn.")
}
