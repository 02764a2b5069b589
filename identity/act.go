package identity

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
	"github.com/interlock-security/interlock/safety/approval"
)

// The kinds of act that the server alone enforces and one person does not do
// alone. Each is the action that the Guard is asked about when it is done.
const (
	// ActInvite lets somebody in with a role above viewer.
	ActInvite = policy.PersonInvite
	// ActRoles gives a person other roles or sites.
	ActRoles = policy.PersonRoles
	// ActLink makes another sign-in link for somebody else, by which its
	// holder becomes that person.
	ActLink = policy.PersonLink
	// ActCapLift lifts an actor's containment cap (TRUST F04).
	ActCapLift = policy.CapLift
	// ActStopWithdraw takes a person's remote stop away for a while (TRUST F31).
	ActStopWithdraw = policy.StopWithdraw
)

// Acts lists them.
var Acts = []core.Action{ActInvite, ActRoles, ActLink, ActCapLift, ActStopWithdraw}

// Act is what two persons agree on, in full: what is done is exactly this.
type Act struct {
	Kind core.Action `json:"kind"`
	// Person is whom it is about; of a cap that of a person, none of another's.
	Person core.PersonID `json:"person,omitzero"`
	// Name, Roles and Sites are of an invitation; the last two also of roles.
	Name  string        `json:"name,omitempty"`
	Roles []string      `json:"roles,omitempty"`
	Sites []core.SiteID `json:"sites,omitempty"`
	// Actor is whose cap is lifted, "service/playbook" or "person/anna", by
	// Extra objects.
	Actor string `json:"actor,omitempty"`
	Extra int    `json:"extra,omitempty"`
	// Hours is for how long a cap is lifted or a stop withdrawn, at most 24.
	Hours  int    `json:"hours,omitempty"`
	Reason string `json:"reason"`
}

// maxReason is the length of the longest reason, in bytes.
const maxReason = 400

// normal puts an act in its one form, in which equal acts have equal bytes.
func (a Act) normal() Act {
	a.Roles, a.Sites = unique(a.Roles), uniqueSites(a.Sites)
	if len(a.Roles) == 0 {
		a.Roles = nil
	}
	if len(a.Sites) == 0 {
		a.Sites = nil
	}
	return a
}

// Digest is of the exact bytes of the act.
func (a Act) Digest() approval.Digest {
	b, err := json.Marshal(a.normal())
	if err != nil { // strings and numbers always encode
		return approval.Digest{}
	}
	return approval.DigestOf(b)
}

// String says the act in one line, for people. Names are text from outside.
func (a Act) String() string {
	switch a.Kind {
	case ActInvite:
		return fmt.Sprintf("let %s in as %s on %s", a.Person, strings.Join(a.Roles, ", "), siteNames(a.Sites))
	case ActRoles:
		return fmt.Sprintf("make %s %s on %s", a.Person, strings.Join(a.Roles, ", "), siteNames(a.Sites))
	case ActLink:
		return fmt.Sprintf("make a sign-in link for %s", a.Person)
	case ActCapLift:
		return fmt.Sprintf("let %s contain %d more for %d h", a.Actor, a.Extra, a.Hours)
	case ActStopWithdraw:
		return fmt.Sprintf("take the remote stop of %s away for %d h", a.Person, a.Hours)
	}
	return string(a.Kind)
}

func siteNames(sites []core.SiteID) string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = s.String()
	}
	return strings.Join(names, ", ")
}

// check says what is wrong with an act, whoever agrees to it.
func (a Act) check() error {
	bad := func(msg string) error { return core.E(core.KindInvalid, "identity.Act", msg) }
	switch {
	case !slices.Contains(Acts, a.Kind):
		return bad(fmt.Sprintf("%.40q is nothing that two persons agree on; known are %v", a.Kind, Acts))
	case a.Reason == "" || len(a.Reason) > maxReason:
		return bad(fmt.Sprintf("a reason has 1 to %d bytes, this has %d", maxReason, len(a.Reason)))
	case a.Kind != ActInvite && a.Name != "":
		return bad("only an invitation states a name")
	case a.Kind == ActCapLift:
		return a.checkCap()
	case a.Person.IsZero():
		return bad("whom it is about is not stated")
	case a.Actor != "" || a.Extra != 0:
		return bad("an actor and a number belong to a cap")
	case a.Kind == ActStopWithdraw && (a.Hours < 1 || a.Hours > 24):
		return bad("a remote stop is withdrawn for 1 to 24 hours")
	case a.Kind != ActStopWithdraw && a.Hours != 0:
		return bad("hours belong to a cap and to a withdrawn stop")
	case (a.Kind == ActLink || a.Kind == ActStopWithdraw) && (len(a.Roles) > 0 || len(a.Sites) > 0):
		return bad("roles and sites belong to an invitation and to roles")
	}
	return nil
}

func (a Act) checkCap() error {
	kind, id, _ := strings.Cut(a.Actor, "/")
	_, err := core.ParseID[core.PersonID](id)
	switch {
	case err != nil || kind != string(core.KindPerson) && kind != string(core.KindService):
		return core.E(core.KindInvalid, "identity.Act", fmt.Sprintf("%.80q has no cap; name service/… or person/…", a.Actor))
	case a.Extra < 1 || a.Extra > 100_000 || a.Hours < 1 || a.Hours > 24:
		return core.E(core.KindInvalid, "identity.Act", "a cap is lifted by 1 to 100000 objects for 1 to 24 hours")
	case !a.Person.IsZero() || len(a.Roles) > 0 || len(a.Sites) > 0:
		return core.E(core.KindInvalid, "identity.Act", "a cap is of an actor; person, roles and sites do not belong to it")
	}
	return nil
}

// actor is whose cap it is.
func (a Act) actor(tenant core.TenantID) core.Principal {
	kind, id, _ := strings.Cut(a.Actor, "/")
	return core.Principal{Kind: core.PrincipalKind(kind), ID: id, Tenant: tenant}
}

// subject is the person whom the act is about, who decides nothing of it.
func (a Act) subject() core.PersonID {
	if name, ok := strings.CutPrefix(a.Actor, string(core.KindPerson)+"/"); ok {
		id, _ := core.ParseID[core.PersonID](name) // none where it is no id
		return id
	}
	return a.Person
}

// gives reports whether carrying the act out makes a secret that the requester
// has to be handed.
func (a Act) gives() bool { return a.Kind == ActInvite || a.Kind == ActLink }

// alone reports whether a single operator may do the act after a delay. What by
// its nature takes two persons is not done by one who waited.
func (a Act) alone() bool { return a.Kind == ActInvite || a.Kind == ActRoles || a.Kind == ActLink }

// The verbs that a person confirms.
const (
	VerbRequest  = "request"
	VerbApprove  = "approve"
	VerbReject   = "reject"
	VerbWithdraw = "withdraw"
	VerbCarry    = "carry-out"
)

// ConfirmDigest is what a person confirms: the verb, the request (the zero UUID
// for a new one) and the act's digest. Hand it to [People.BeginConfirm].
func ConfirmDigest(verb string, id core.UUID, act approval.Digest) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "interlock console v1\x00%s\x00%s\x00%s", verb, id, act))
}

// Delays of a request that nobody but its requester could approve (TRUST F22).
const (
	// AloneDelay is how long it waits where there never was a second person.
	AloneDelay = 10 * time.Minute
	// RecoveryDelay is how long it waits where there was one: whoever takes
	// the others' rights away does not thereby become two.
	RecoveryDelay = 72 * time.Hour
)

// requestLife is how long a request can be approved, and used.
const requestLife = 24 * time.Hour
