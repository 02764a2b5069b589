package api

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/policy"
)

// Person is somebody, with passkeys.
type Person struct {
	ID         core.PersonID `json:"id"`
	Name       string        `json:"name"` // text from outside
	Roles      []string      `json:"roles" nullable:"false"`
	Sites      []core.SiteID `json:"sites" nullable:"false"`
	State      string        `json:"state"`      // invited | active | revoked
	Configured bool          `json:"configured"` // an operator of the configuration
	UIDs       []uint32      `json:"uids,omitempty"`
	Passkeys   []Passkey     `json:"passkeys" nullable:"false"`
	Sessions   int           `json:"sessions"`
	Doubt      string        `json:"doubt,omitempty"` // why the person is in stop-only
	Log        core.Position `json:"log,omitzero"`    // the entry that says so
}

// Passkey is a credential of a person.
type Passkey struct {
	ID      string    `json:"id"`
	State   string    `json:"state"` // active | cloned | revoked
	Synced  bool      `json:"synced"`
	Created time.Time `json:"created"`
}

// PersonSession is somebody signed in to the console.
type PersonSession struct {
	ID       string        `json:"id"`
	Person   core.PersonID `json:"person"`
	Client   string        `json:"client"`
	Passkey  string        `json:"passkey"`
	Began    time.Time     `json:"began"`
	Seen     time.Time     `json:"seen"`
	Ends     time.Time     `json:"ends"`
	StopOnly bool          `json:"stop_only"`
}

// SignInLink is a one-time link. The secret stands after "#" and nowhere else.
type SignInLink struct {
	Person  core.PersonID `json:"person"`
	URL     string        `json:"url"`
	Expires time.Time     `json:"expires"`
}

// Deed is what takes two persons, in full. What does not belong to its kind is
// empty.
type Deed struct {
	Kind   string        `json:"kind"` // person.invite | person.roles | person.link | cap.lift | stop.withdraw-right
	Person core.PersonID `json:"person"`
	Name   string        `json:"name"`
	Roles  []string      `json:"roles" nullable:"false"`
	Sites  []core.SiteID `json:"sites" nullable:"false"`
	Actor  string        `json:"actor"` // whose cap: service/playbook, person/anna
	Extra  int           `json:"extra"` // by how many objects
	Hours  int           `json:"hours"`
	Reason string        `json:"reason"`
}

// Agreement is a request for something that takes two persons.
type Agreement struct {
	ID        core.UUID       `json:"id"`
	Deed      Deed            `json:"deed"`
	What      string          `json:"what"` // the deed in one line
	Digest    string          `json:"digest"`
	Requester core.PersonID   `json:"requester"`
	State     string          `json:"state"` // open | waiting | approved | ready | used | rejected | withdrawn | expired
	Need      int             `json:"need"`  // persons beside the requester
	Agreed    []Agreed        `json:"agreed" nullable:"false"`
	Eligible  []core.PersonID `json:"eligible" nullable:"false"`
	Created   time.Time       `json:"created"`
	Expires   time.Time       `json:"expires"`
	NotBefore time.Time       `json:"not_before,omitzero"`
	Alone     string          `json:"alone,omitempty"` // that no second person was there
	By        string          `json:"by,omitempty"`    // who ended it
	Detail    string          `json:"detail,omitempty"`
	Log       core.Position   `json:"log,omitzero"`
}

// Agreed is one person's consent.
type Agreed struct {
	By       core.PersonID `json:"by"`
	At       time.Time     `json:"at"`
	Evidence string        `json:"evidence"`
}

// Carried is an agreement that was carried out, and the link if that made one.
type Carried struct {
	Agreement Agreement   `json:"agreement"`
	Link      *SignInLink `json:"link,omitempty"`
}

// Listing selects a part of a list that is held in memory.
type Listing struct {
	After string `query:"after" doc:"Where to go on: next of the page before"`
	Limit int    `query:"limit" doc:"At most this many; 0 means 50"`
}

func (a *API) peopleRoutes() {
	Register(a, policy.PersonList, get("people", "/v1/people", "Who there is, by id"), a.ListPeople)
	Register(a, policy.PersonShow, get("person", "/v1/people/{id}", "One person with passkeys"), a.Person)
	Register(a, policy.PersonLinkOwn, post("link-own", "/v1/people/link", "Make a sign-in link for oneself"), a.LinkOwn)
	Register(a, policy.PersonInvite, post("invite-person", "/v1/people", "Let a viewer in"), a.InvitePerson)
	Register(a, policy.PersonRevoke, post("revoke-person", "/v1/people/{id}/revoke", "Take passkeys and sessions away, for good"), a.RevokePerson)
	Register(a, policy.PersonRestore, post("restore-person", "/v1/people/{id}/restore", "End a person's stop-only"), a.RestorePerson)
	Register(a, policy.PasskeyRemove, post("revoke-passkey", "/v1/passkeys/{id}/revoke", "End a passkey"), a.RevokePasskey)
	Register(a, policy.SessionList, get("sessions", "/v1/sessions", "Who is signed in, the newest first"), a.Sessions)
	Register(a, policy.SessionEnd, post("end-session", "/v1/sessions/{id}/end", "End a session"), a.EndSession)
	Register(a, policy.ApprovalList, get("agreements", "/v1/agreements", "What takes two persons: what waits first"), a.Agreements)
	Register(a, policy.ApprovalShow, get("agreement", "/v1/agreements/{id}", "One request in full"), a.Agreement)
	Register(a, policy.ApprovalRequest, post("ask", "/v1/agreements", "Ask for what takes two persons"), a.Ask)
	Register(a, policy.ApprovalDecide, post("agree", "/v1/agreements/{id}/agree", "Agree to somebody else's request"), a.Agree)
	Register(a, policy.ApprovalDecide, post("reject", "/v1/agreements/{id}/reject", "Refuse a request"), a.Reject)
	Register(a, policy.ApprovalWithdraw, post("withdraw", "/v1/agreements/{id}/withdraw", "Take an own request back"), a.Withdraw)
	Register(a, policy.ApprovalUse, post("carry-out", "/v1/agreements/{id}/carry-out", "Do what was agreed on"), a.CarryOut)
}

// inMemory makes a page of a list that is whole in memory; the cursor is where
// it goes on.
func inMemory[A, B any](name string, list []A, in Listing, show func(A) B) (*Out[Page[B]], error) {
	limit, err := rows(in.Limit)
	if err != nil {
		return nil, err
	}
	parts, err := decodeCursor(name, in.After, 1)
	if err != nil {
		return nil, err
	}
	from := 0
	if parts != nil {
		if from, err = strconv.Atoi(parts[0]); err != nil || from < 0 {
			return nil, core.E(core.KindInvalid, "api", "after is no cursor of this list")
		}
	}
	page := Page[B]{Items: []B{}, Total: len(list)}
	to := min(from+limit, len(list))
	for _, v := range list[min(from, to):to] {
		page.Items = append(page.Items, show(v))
	}
	if to < len(list) {
		page.Next = encodeCursor(name, strconv.Itoa(to))
	}
	return out(page), nil
}

func showPerson(p identity.Person) Person {
	shown := Person{
		ID: p.ID, Name: p.Name, Roles: append([]string{}, p.Roles...), Sites: append([]core.SiteID{}, p.Sites...), State: string(p.State),
		Configured: p.Configured, UIDs: p.UIDs, Passkeys: []Passkey{}, Sessions: p.Sessions, Doubt: p.Doubt, Log: p.Log,
	}
	for _, k := range p.Passkeys {
		shown.Passkeys = append(shown.Passkeys, Passkey{ID: k.ID, State: k.State, Synced: k.Synced, Created: k.Created})
	}
	return shown
}

// ListPeople lists everybody.
func (a *API) ListPeople(ctx context.Context, in *Listing) (*Out[Page[Person]], error) {
	if _, err := a.see(ctx, policy.PersonList, "*"); err != nil {
		return nil, err
	}
	return inMemory("people", a.People.List(ctx), *in, showPerson)
}

// personID reads a person's id from a path.
func personID(text string) (core.PersonID, error) {
	id, err := core.ParseID[core.PersonID](text)
	if err != nil {
		return id, core.E(core.KindNotFound, "api.Person", "there is no such person")
	}
	return id, nil
}

// Person shows one person.
func (a *API) Person(ctx context.Context, in *IDInput) (*Out[Person], error) {
	id, err := personID(in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.see(ctx, policy.PersonShow, id.String()); err != nil {
		return nil, err
	}
	p, err := a.People.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return out(showPerson(p)), nil
}

func showLink(l identity.Link) SignInLink {
	return SignInLink{Person: l.Person, URL: l.URL, Expires: l.Expires}
}

// LinkOwn makes a sign-in link for the caller. It takes the socket, or a fresh
// confirmation in the context; a session alone is not enough.
func (a *API) LinkOwn(ctx context.Context, _ *NothingInput) (*Out[SignInLink], error) {
	l, err := a.People.FirstLink(ctx, principal(ctx))
	if err != nil {
		return nil, err
	}
	return out(showLink(l)), nil
}

// NothingInput is a body that states nothing.
type NothingInput struct{ Body struct{} }

// InviteInput names who is let in.
type InviteInput struct{ Body InviteBody }

// InviteBody is a viewer who is let in. Other roles are asked for.
type InviteBody struct {
	Person core.PersonID `json:"person"`
	Name   string        `json:"name"`
	Sites  []core.SiteID `json:"sites" nullable:"false"`
}

// InvitePerson lets a viewer in.
func (a *API) InvitePerson(ctx context.Context, in *InviteInput) (*Out[SignInLink], error) {
	l, err := a.People.Invite(ctx, principal(ctx), identity.InviteRequest{
		Person: in.Body.Person, Name: in.Body.Name, Roles: []string{core.RoleViewer}, Sites: in.Body.Sites,
	})
	if err != nil {
		return nil, err
	}
	return out(showLink(l)), nil
}

// PersonActInput names a person; nothing else is stated.
type PersonActInput struct {
	IDInput
	Body struct{}
}

// RevokePerson takes a person's passkeys and sessions away.
func (a *API) RevokePerson(ctx context.Context, in *PersonActInput) (*Out[Person], error) {
	return a.toPerson(ctx, in, a.People.Revoke)
}

// RestorePerson ends a person's stop-only.
func (a *API) RestorePerson(ctx context.Context, in *PersonActInput) (*Out[Person], error) {
	return a.toPerson(ctx, in, a.People.Restore)
}

func (a *API) toPerson(ctx context.Context, in *PersonActInput, do func(context.Context, core.Principal, core.PersonID) error) (*Out[Person], error) {
	id, err := personID(in.ID)
	if err != nil {
		return nil, err
	}
	if err := do(ctx, principal(ctx), id); err != nil {
		return nil, err
	}
	p, err := a.People.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	return out(showPerson(p)), nil
}

// Done says that something was done.
type Done struct {
	Done bool `json:"done"`
}

// RevokePasskey ends a passkey.
func (a *API) RevokePasskey(ctx context.Context, in *PersonActInput) (*Out[Done], error) {
	if err := a.People.RevokePasskey(ctx, principal(ctx), in.ID); err != nil {
		return nil, err
	}
	return out(Done{true}), nil
}

// SessionsInput selects sessions.
type SessionsInput struct {
	Listing
	Person string `query:"person" doc:"Only this person's"`
}

// Sessions lists who is signed in.
func (a *API) Sessions(ctx context.Context, in *SessionsInput) (*Out[Page[PersonSession]], error) {
	if _, err := a.see(ctx, policy.SessionList, "*"); err != nil {
		return nil, err
	}
	var id core.PersonID
	if in.Person != "" {
		var err error
		if id, err = personID(in.Person); err != nil {
			return nil, err
		}
	}
	return inMemory("sessions", a.People.Sessions(ctx, id), in.Listing, func(s identity.SessionInfo) PersonSession { return PersonSession(s) })
}

// EndSession ends somebody's session.
func (a *API) EndSession(ctx context.Context, in *PersonActInput) (*Out[Done], error) {
	if err := a.People.EndSession(ctx, principal(ctx), in.ID); err != nil {
		return nil, err
	}
	return out(Done{true}), nil
}

func showAgreement(g identity.Approval) Agreement {
	shown := Agreement{
		ID: g.ID, What: g.What, Digest: g.Digest.String(), Requester: g.Requester, State: g.State, Need: g.Need, Agreed: []Agreed{}, Eligible: g.Eligible,
		Created: g.Created, Expires: g.Expires, NotBefore: g.NotBefore, Alone: g.Alone, By: g.By, Detail: g.Reason, Log: g.Log,
		Deed: Deed{
			Kind: string(g.Act.Kind), Person: g.Act.Person, Name: g.Act.Name, Roles: append([]string{}, g.Act.Roles...), Sites: append([]core.SiteID{}, g.Act.Sites...),
			Actor: g.Act.Actor, Extra: g.Act.Extra, Hours: g.Act.Hours, Reason: g.Act.Reason,
		},
	}
	for _, c := range g.Consents {
		shown.Agreed = append(shown.Agreed, Agreed{By: c.By, At: c.At, Evidence: c.Evidence})
	}
	return shown
}

// AgreementsInput selects requests.
type AgreementsInput struct {
	Listing
	All bool `query:"all" doc:"Also those that are over"`
}

// Agreements lists what takes two persons.
func (a *API) Agreements(ctx context.Context, in *AgreementsInput) (*Out[Page[Agreement]], error) {
	if _, err := a.see(ctx, policy.ApprovalList, "*"); err != nil {
		return nil, err
	}
	list := a.People.Approvals(ctx)
	if !in.All {
		list = slices.DeleteFunc(list, func(g identity.Approval) bool { return !g.Open() })
	}
	return inMemory("agreements", list, in.Listing, showAgreement)
}

func agreementID(text string) (core.UUID, error) {
	id, err := core.ParseUUID(text)
	if err != nil {
		return id, core.E(core.KindNotFound, "api.Agreement", "there is no such request")
	}
	return id, nil
}

// Agreement shows one request.
func (a *API) Agreement(ctx context.Context, in *IDInput) (*Out[Agreement], error) {
	id, err := agreementID(in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.see(ctx, policy.ApprovalShow, id.String()); err != nil {
		return nil, err
	}
	return shownAgreement(a.People.Approval(ctx, id))
}

func shownAgreement(g identity.Approval, err error) (*Out[Agreement], error) {
	if err != nil {
		return nil, err
	}
	return out(showAgreement(g)), nil
}

// AskInput states a deed.
type AskInput struct{ Body Deed }

// Ask asks for what takes two persons.
func (a *API) Ask(ctx context.Context, in *AskInput) (*Out[Agreement], error) {
	d := in.Body
	return shownAgreement(a.People.Request(ctx, principal(ctx), identity.Act{
		Kind: core.Action(d.Kind), Person: d.Person, Name: d.Name, Roles: d.Roles, Sites: d.Sites, Actor: d.Actor, Extra: d.Extra, Hours: d.Hours, Reason: d.Reason,
	}))
}

// DecideInput names a request and says why.
type DecideInput struct {
	IDInput
	Body ReasonBody
}

// ReasonBody says why, "" for nothing to say.
type ReasonBody struct {
	Reason string `json:"reason"`
}

// Agree agrees to somebody else's request.
func (a *API) Agree(ctx context.Context, in *PersonActInput) (*Out[Agreement], error) {
	id, err := agreementID(in.ID)
	if err != nil {
		return nil, err
	}
	return shownAgreement(a.People.Approve(ctx, principal(ctx), id))
}

// Reject refuses a request.
func (a *API) Reject(ctx context.Context, in *DecideInput) (*Out[Agreement], error) {
	id, err := agreementID(in.ID)
	if err != nil {
		return nil, err
	}
	return shownAgreement(a.People.Reject(ctx, principal(ctx), id, in.Body.Reason))
}

// Withdraw takes an own request back.
func (a *API) Withdraw(ctx context.Context, in *DecideInput) (*Out[Agreement], error) {
	id, err := agreementID(in.ID)
	if err != nil {
		return nil, err
	}
	return shownAgreement(a.People.Withdraw(ctx, principal(ctx), id, in.Body.Reason))
}

// CarryOut does what was agreed on.
func (a *API) CarryOut(ctx context.Context, in *PersonActInput) (*Out[Carried], error) {
	id, err := agreementID(in.ID)
	if err != nil {
		return nil, err
	}
	g, made, err := a.People.CarryOut(ctx, principal(ctx), id)
	if err != nil {
		return nil, err
	}
	done := Carried{Agreement: showAgreement(g)}
	if made.URL != "" {
		l := showLink(made)
		done.Link = &l
	}
	return out(done), nil
}
