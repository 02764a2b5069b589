package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

// MaxName is the length of the longest name of a person, in bytes.
const MaxName = 128

// checkName takes any text that is one: it is shown as text everywhere, so
// markup and marks that turn the direction of writing are somebody's name.
func checkName(name string) error {
	switch {
	case len(name) > MaxName:
		return core.E(core.KindTooLarge, "identity.Name", fmt.Sprintf("the name has %d bytes, at most %d are allowed", len(name), MaxName))
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return core.E(core.KindInvalid, "identity.Name", "the name is not UTF-8 text")
	}
	return nil
}

// newLink makes a link for a person and its secret, the only copy.
func (p *People) newLink(person core.PersonID) (change, Link, error) {
	if p.parts.Reachable != nil {
		if err := p.parts.Reachable(); err != nil {
			return change{}, Link{}, err
		}
	}
	var id [10]byte
	var secret [32]byte
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	_, _ = rand.Read(secret[:])
	text := encode64(secret[:])
	sum := sha256.Sum256([]byte(text))
	now := p.parts.Clock.Now()
	name := hex.EncodeToString(id[:])
	c := change{object: kindLink + "/" + name, outcome: "made", claim: claim{
		State: stateFresh, Person: person, Hash: hex.EncodeToString(sum[:]), Created: now.UnixMicro(), Expires: now.Add(LinkLife).UnixMicro(),
	}}
	return c, Link{URL: p.parts.Console + LinkPath + "#" + name + "." + text, Person: person, Expires: now.Add(LinkLife)}, nil
}

// FirstLink makes a link by which the caller makes a passkey for himself: the
// first one, or another. Its root is the user at the unix socket, or a fresh
// confirmation with a passkey that the caller has ([WithConfirmation], digest
// [LinkDigest]); a session alone makes none, or a stolen cookie would become a
// stolen person.
func (p *People) FirstLink(ctx context.Context, who core.Principal) (Link, error) {
	const op = "identity.FirstLink"
	id, err := core.ParseID[core.PersonID](who.ID)
	if err != nil || who.Kind != core.KindPerson || who.Tenant != p.parts.Tenant {
		return Link{}, core.E(core.KindDenied, op, "only persons make a link for themselves")
	}
	if _, err := p.proved(ctx, who, LinkDigest(id)); err != nil {
		return Link{}, err
	}
	p.editing.Lock()
	defer p.editing.Unlock()
	r, err := p.known(op, id)
	if err != nil {
		return Link{}, err
	}
	link, made, err := p.newLink(id)
	if err != nil {
		return Link{}, err
	}
	var changes []change
	if r.revision == 0 { // an operator whom only the configuration knows
		c, err := p.permit(ctx, who, policy.PersonLinkOwn, change{object: kindPerson + "/" + id.String(), outcome: "known", claim: newPerson(id, r.Name, nil, nil, true)})
		if err != nil {
			return Link{}, err
		}
		changes = append(changes, c)
	}
	if link, err = p.permit(ctx, who, policy.PersonLinkOwn, link); err != nil {
		return Link{}, err
	}
	return made, p.commit(ctx, nil, append(changes, link)...)
}

// LinkDigest is what a person confirms to make another passkey.
func LinkDigest(person core.PersonID) [32]byte {
	return sha256.Sum256([]byte("interlock link v1\x00" + person.String()))
}

// newPerson is the claim of somebody new.
func newPerson(id core.PersonID, name string, roles []string, sites []core.SiteID, configured bool) claim {
	handle := make([]byte, 32)
	_, _ = rand.Read(handle) // never fails since Go 1.24
	return claim{State: stateActive, Person: id, Name: name, Roles: roles, Sites: sites, Handle: handle, Configured: configured}
}

// known returns a person who may be given something: known, active and in no
// doubt.
func (p *People) known(op string, id core.PersonID) (record, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, known := p.person(id)
	switch {
	case !p.ready:
		return r, core.E(core.KindUnavailable, op, "the audit log has not been read yet").WithHint("try again in a moment")
	case !known:
		return r, core.E(core.KindNotFound, op, "there is no person "+id.String())
	case r.State != stateActive:
		return r, core.E(core.KindConflict, op, id.String()+" was revoked")
	case p.doubt[id] != "":
		return r, core.E(core.KindConflict, op, id.String()+" is in stop-only: "+p.doubt[id]).
			WithHint("somebody wrote the database. Look, then: interlock people restore " + id.String())
	}
	return r, nil
}

// Invite lets somebody in who may only look. Whoever is to have another role is
// asked for with [People.Request], kind [ActInvite].
func (p *People) Invite(ctx context.Context, who core.Principal, in InviteRequest) (Link, error) {
	if !slices.Equal(unique(in.Roles), []string{core.RoleViewer}) {
		return Link{}, core.E(core.KindDenied, "identity.Invite", "a role above viewer takes a second person").
			WithHint("ask for it; a second person then approves it")
	}
	p.editing.Lock()
	defer p.editing.Unlock()
	return p.invite(ctx, who, in)
}

// invite makes a person and the link. The caller holds editing.
func (p *People) invite(ctx context.Context, who core.Principal, in InviteRequest) (Link, error) {
	changes, made, err := p.invitation(ctx, who, in)
	if err != nil {
		return Link{}, err
	}
	return made, p.commit(ctx, nil, changes...)
}

// invitation are the changes that let somebody in.
func (p *People) invitation(ctx context.Context, who core.Principal, in InviteRequest) ([]change, Link, error) {
	if err := p.checkInvite(who, &in); err != nil {
		return nil, Link{}, err
	}
	c, made, err := p.newLink(in.Person)
	if err != nil {
		return nil, Link{}, err
	}
	person := change{object: kindPerson + "/" + in.Person.String(), outcome: "invited", claim: newPerson(in.Person, in.Name, in.Roles, in.Sites, false)}
	if person, err = p.permit(ctx, who, policy.PersonInvite, person); err != nil {
		return nil, Link{}, err
	}
	c, err = p.permit(ctx, who, policy.PersonInvite, c)
	return []change{person, c}, made, err
}

// checkInvite puts an invitation in order and says what is wrong with it.
func (p *People) checkInvite(who core.Principal, in *InviteRequest) error {
	const op = "identity.Invite"
	if in.Person.IsZero() {
		return core.E(core.KindInvalid, op, "the person needs an id").WithHint("a-z 0-9 - _, for example anna")
	}
	if err := checkName(in.Name); err != nil {
		return err
	}
	if err := checkGrant(op, who, &in.Roles, &in.Sites); err != nil {
		return err
	}
	if in.Name == "" {
		in.Name = in.Person.String()
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if _, known := p.person(in.Person); known {
		return core.E(core.KindConflict, op, "there is a person "+in.Person.String()).WithHint("one word, one person: choose another id; one that was revoked is not given again")
	}
	return nil
}

// checkGrant puts roles and sites in order. Nobody gives a site that he has not.
func checkGrant(op string, who core.Principal, roles *[]string, sites *[]core.SiteID) error {
	*roles, *sites = unique(*roles), uniqueSites(*sites)
	for _, r := range *roles {
		if !slices.Contains(Roles, r) {
			return core.E(core.KindInvalid, op, fmt.Sprintf("%.40q is not a role; known are %v", r, Roles))
		}
	}
	if len(*roles) == 0 || len(*sites) == 0 {
		return core.E(core.KindInvalid, op, "a person needs a role and a site")
	}
	for _, s := range *sites {
		if s.IsZero() || !slices.Contains(who.Sites, s) {
			return core.E(core.KindDenied, op, fmt.Sprintf("%s has no site %q to give", who, s))
		}
	}
	return nil
}

// Roles are the roles of people, from the least.
var Roles = []string{core.RoleViewer, core.RoleOperator, core.RoleSecurityOfficer, core.RoleAdministrator}

// findLink reads the link that a bearer text names, and checks the secret in
// constant time. What is wrong with the text is said without saying which half.
func (p *People) findLink(bearer string) (object string, r record, err error) {
	wrong := core.E(core.KindUnauthenticated, "identity.Link", "this link is not one of ours, or not all of it").
		WithHint("copy the whole link, or have another made with: interlock people link")
	id, secret, ok := strings.Cut(bearer, ".")
	if !ok || len(id) != 20 || len(secret) != 43 {
		return "", r, wrong
	}
	p.mu.RLock()
	r, known := p.objects[kindLink+"/"+id]
	p.mu.RUnlock()
	sum := sha256.Sum256([]byte(secret))
	if same := subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(r.Hash)); !known || same != 1 {
		return "", r, wrong
	}
	return kindLink + "/" + id, r, nil
}

// openLink is findLink for a link that may be used now. One that was used is an
// alarm: one of the two who have it should not.
func (p *People) openLink(ctx context.Context, bearer string, c Client) (string, record, error) {
	const op = "identity.Link"
	object, r, err := p.findLink(bearer)
	if err != nil {
		p.stranger(ctx, c)
		return "", r, err
	}
	switch {
	case r.State == stateRevoked:
		return "", r, core.E(core.KindDenied, op, "the link was taken back")
	case r.State != stateFresh:
		return "", r, p.misused(ctx, object, r, c)
	case p.parts.Clock.Now().UnixMicro() >= r.Expires:
		return "", r, core.E(core.KindExpired, op, "the link was good until "+time.UnixMicro(r.Expires).UTC().Format(time.RFC3339)).
			WithHint("have another one made")
	}
	return object, r, nil
}

// misused records the second use of a link.
func (p *People) misused(ctx context.Context, object string, r record, c Client) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	alarm := Alarm{AlarmLink, core.SeverityHigh, map[string]any{"person": r.Person.String(), "link": nameOf(object), "used": c.String()}}
	if r.State != stateMisused { // told once
		r.State = stateMisused
		err := p.commit(ctx, []Alarm{alarm}, change{
			object: object, claim: r.claim, actor: kindPerson + "/" + r.Person.String(), action: policy.PasskeyAdd, outcome: "used-again",
			more: map[string]string{"client": c.String()},
		})
		if err != nil {
			return err
		}
	}
	return core.E(core.KindReplayed, "identity.Link", "the link was used before").
		WithHint("if that was not you, tell a security officer now")
}
