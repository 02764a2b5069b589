package web

import (
	"net/http"
	"slices"

	"github.com/interlock-security/interlock/api"
	wire "github.com/interlock-security/interlock/link"
	"github.com/interlock-security/interlock/policy"
)

// orderAwaiting is the state of an order that waits for signatures.
const orderAwaiting = "awaiting"

func approvalRoutes(c *Console) {
	c.get("/approvals", policy.OrderList, c.approvals)
	c.get("/approvals/{id}", policy.OrderShow, c.approval)
	c.post("/approvals/requests/{id}/withdraw", policy.ApprovalWithdraw, c.withdrawRequest)
	c.post("/approvals/requests/{id}/{verb}/begin", policy.ApprovalDecide, c.beginDecision)
	c.post("/approvals/requests/{id}/{verb}/finish", policy.ApprovalDecide, c.finishDecision)
}

type approvalsView struct {
	Tabs  []tab
	Rows  []orderView
	Pager pager
	All   bool
	// Requests are what the server alone enforces.
	Requests []requestView
}

// orderView is an order as approvers see it.
type orderView struct {
	api.Order
	// Text is made from the exact bytes that are signed, and from nothing else.
	Text string
	// Unreadable is why there is no text.
	Unreadable string
	Signers    []string
	// Missing is how many signatures are to come.
	Missing int
	// Mine says how the reader stands to it: "asked", "signed", "may" or "".
	Mine string
	// Command is what the reader runs to approve.
	Command string
	Single  bool
}

// Away reports whether the order goes away from safety.
func (o orderView) Away() bool {
	return o.Direction == string(wire.DirectionLoosen) || o.Direction == string(wire.DirectionDestroy)
}

func (c *Console) approvals(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := api.OrdersInput{After: q.Get("after"), Limit: listRows, State: orderAwaiting}
	all := q.Get("state") == "all"
	if all {
		in.State = ""
	}
	out, err := c.API.Orders(r.Context(), &in)
	if err != nil {
		return err
	}
	v := approvalsView{All: all, Pager: pageOf("/approvals", q, out.Body.Next, len(out.Body.Items), out.Body.Total, "order", "orders")}
	v.Tabs = []tab{{Href: "/approvals", Text: "Waiting", Here: !all}, {Href: "/approvals?state=all", Text: "All orders", Here: all}}
	for _, o := range out.Body.Items {
		v.Rows = append(v.Rows, c.orderView(r, o))
	}
	if v.Requests, err = c.requests(r, all); err != nil {
		return err
	}
	p := page{Title: "Approvals", Nav: "approvals", Body: v}
	if parts := []any{all, out.Body.Total}; v.Pager.First == "" {
		for _, o := range v.Rows {
			parts = append(parts, orderVersion(o.Order))
		}
		for _, q := range v.Requests {
			parts = append(parts, q.ID, q.State, len(q.Consents))
		}
		p.Version = version(parts...)
	}
	return c.render(w, r, "page_approvals", p)
}

func (c *Console) approval(w http.ResponseWriter, r *http.Request) error {
	out, err := c.API.Order(r.Context(), &api.IDInput{ID: r.PathValue("id")})
	if err != nil {
		return err
	}
	v := c.orderView(r, out.Body)
	if env, err := wire.ParseEnvelope(out.Body.Envelope); err != nil {
		v.Unreadable = detail(err.Error())
	} else if v.Text, err = wire.RenderOrder(env.Payload); err != nil {
		v.Unreadable = detail(err.Error())
	}
	return c.render(w, r, "page_approval", page{Title: "Order: " + v.Type + " of " + v.Device.String(), Nav: "approvals", Version: orderVersion(v.Order), Body: v})
}

// How the reader stands to an order that waits.
const (
	mineAsked  = "asked"
	mineSigned = "signed"
	mineMay    = "may"
)

func (c *Console) orderView(r *http.Request, o api.Order) orderView {
	s := sessionOf(r.Context())
	me := s.Principal.String()
	v := orderView{Order: o, Missing: max(o.Needed-len(o.Approvals), 0), Single: c.Standing().Mode == string(wire.ModeSingleOperator)}
	for _, by := range o.Approvals {
		v.Signers = append(v.Signers, nameOf(by))
	}
	v.Command = "interlock approve " + o.ID.String() + " --as " + s.Principal.ID
	switch {
	case o.State != orderAwaiting:
	case o.Requester == me && !v.Single:
		v.Mine = mineAsked
	case slices.ContainsFunc(o.Approvals, func(by string) bool { return nameOf(by) == s.Principal.ID }):
		v.Mine = mineSigned
	default:
		v.Mine = mineMay
	}
	return v
}

// nameOf is a principal without its kind.
func nameOf(principal string) string {
	for i := range principal {
		if principal[i] == '/' {
			return principal[i+1:]
		}
	}
	return principal
}

// MissingList has an item for each signature that is to come.
func (o orderView) MissingList() []struct{} { return make([]struct{}, min(o.Missing, maxShown)) }

// Other is the command for somebody else.
func (o orderView) Other() string { return "interlock approve " + o.ID.String() + " --as NAME" }

// AnswerText is the device's answer as it came.
func (o orderView) AnswerText() string { return string(o.Answer) }
