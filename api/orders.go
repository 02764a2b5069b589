package api

import (
	"net/http"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/fleet"
	"github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/platform/httpd"
)

// order answers with an order and its envelope: the exact bytes that an
// approver signs.
func (a *API) order(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	o, err := a.Orders.Get(r.Context(), httpd.PrincipalOf(r.Context()).Tenant, id)
	if err != nil {
		return err
	}
	out := orderOf(o)
	if out.Envelope, err = o.Envelope(); err != nil {
		return err
	}
	return httpd.WriteJSON(w, out)
}

// approveOrder hands a person's signature in. Whose it is, the signature says.
func (a *API) approveOrder(w http.ResponseWriter, r *http.Request) error {
	id, err := core.ParseUUID(r.PathValue("id"))
	if err != nil {
		return err
	}
	req, err := read[Approval](w, r)
	if err != nil {
		return err
	}
	who := httpd.PrincipalOf(r.Context())
	o, err := a.Orders.Approve(r.Context(), who, who.Tenant, id, link.Signature{KeyID: req.KeyID, Sig: req.Sig})
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, orderOf(o))
}

func orderOf(o fleet.Order) Order {
	out := Order{
		ID: o.ID, Type: string(o.Type), Device: o.Device, State: string(o.State), Requester: o.Requester, Needed: o.Needed,
		Reason: o.Reason, Direction: string(o.Direction), Detail: o.Detail, Answer: o.Answer, Created: o.Created, Intent: o.Intent,
	}
	for _, p := range o.Approvals {
		out.Approvals = append(out.Approvals, p.String())
	}
	return out
}
