package identity_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
	"github.com/interlock-security/interlock/identity/identitytest"
	"github.com/interlock-security/interlock/policy"
)

func person(id string) core.PersonID { return core.MustID[core.PersonID](id) }

var site = []core.SiteID{identitytest.Site}

// inviting asks for somebody without a name, and with roles in any order: what
// is confirmed is the act as it was stated.
func inviting(id string, roles ...string) identity.Act {
	return identity.Act{Kind: identity.ActInvite, Person: person(id), Roles: append(roles, core.RoleViewer), Sites: site, Reason: "joins the team"}
}

// asks has somebody ask for an act with a fresh confirmation.
func asks(r *identitytest.Rig, u *identitytest.User, act identity.Act) (identity.Approval, error) {
	r.T.Helper()
	ctx := r.Confirm(u, identity.ConfirmDigest(identity.VerbRequest, core.UUID{}, act.Digest()))
	return r.Request(ctx, u.Session.Principal, act)
}

func confirmed(r *identitytest.Rig, u *identitytest.User, verb string, a identity.Approval) context.Context {
	r.T.Helper()
	return r.Confirm(u, identity.ConfirmDigest(verb, a.ID, a.Digest))
}

// second has the first person alone let a second one in, after the delay.
func second(r *identitytest.Rig, owner *identitytest.User, id string, roles ...string) *identitytest.User {
	r.T.Helper()
	a, err := asks(r, owner, inviting(id, roles...))
	r.Must(err)
	r.Clock.Advance(identity.AloneDelay)
	_, made, err := r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
	r.Must(err)
	return r.Open(made)
}

// TestTheFirstPersonAloneLetsTheSecondIn is the knot of F39 and the rule of F22:
// nobody is there to agree, so the request waits, says so, and never says that
// two agreed.
func TestTheFirstPersonAloneLetsTheSecondIn(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		r.Single = false // not even where the trust root wants several persons
		owner := r.Join()
		act := inviting("ben", core.RoleSecurityOfficer)
		a, err := asks(r, owner, act)
		r.Must(err)
		if a.State != identity.RequestWaiting || a.Need != 0 || len(a.Consents) != 0 || a.Alone == "" || !a.NotBefore.Equal(r.Clock.Now().Add(identity.AloneDelay)) {
			t.Fatalf("%+v", a)
		}
		_, err = r.Approve(confirmed(r, owner, identity.VerbApprove, a), owner.Session.Principal, a.ID)
		want(t, err, core.KindConflict)
		_, _, err = r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
		want(t, err, core.KindConflict)
		r.Clock.Advance(identity.AloneDelay)
		if a, _ = r.Approval(t.Context(), a.ID); a.State != identity.RequestReady {
			t.Errorf("after the delay it is %s", a.State)
		}
		_, _, err = r.CarryOut(t.Context(), owner.Session.Principal, a.ID)
		want(t, err, core.KindUnauthenticated) // a session alone is not enough
		a, made, err := r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
		r.Must(err)
		if a.State != identity.RequestUsed || len(a.Consents) != 0 {
			t.Errorf("%+v", a)
		}
		_, _, err = r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
		want(t, err, core.KindReplayed)
		ben := r.Open(made)
		if !ben.Session.Principal.HasRole(core.RoleSecurityOfficer) || ben.Session.Principal.HasRole(core.RoleAdministrator) {
			t.Errorf("ben is %v", ben.Session.Roles)
		}
		r.Drain()
		r.Start()
		r.Must(r.Compare(t.Context()))
		if len(r.Doubts()) != 0 {
			t.Errorf("doubts %v", r.Doubts())
		}
	})
}

// TestTwoAgree: the requester never approves, each person counts once, the
// parameters are exact, and the effect happens once.
func TestTwoAgree(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		owner := r.Join()
		ben := second(r, owner, "ben", core.RoleSecurityOfficer)
		a, err := asks(r, owner, inviting("cleo", core.RoleAdministrator))
		r.Must(err)
		if a.State != identity.RequestOpen || a.Need != 1 || !slices.Equal(a.Eligible, []core.PersonID{person("ben")}) || a.Alone != "" {
			t.Fatalf("%+v", a)
		}
		_, err = r.Approve(confirmed(r, owner, identity.VerbApprove, a), owner.Session.Principal, a.ID)
		want(t, err, core.KindDenied)
		_, err = r.Approve(t.Context(), ben.Session.Principal, a.ID)
		want(t, err, core.KindUnauthenticated)
		other, err := asks(r, owner, inviting("dora", core.RoleAdministrator))
		r.Must(err)
		_, err = r.Approve(confirmed(r, ben, identity.VerbApprove, other), ben.Session.Principal, a.ID)
		want(t, err, core.KindDenied) // confirmed another act
		_, err = r.Approve(confirmed(r, ben, identity.VerbReject, a), ben.Session.Principal, a.ID)
		want(t, err, core.KindDenied) // confirmed another verb
		ctx := confirmed(r, ben, identity.VerbApprove, a)
		a, err = r.Approve(ctx, ben.Session.Principal, a.ID)
		r.Must(err)
		if a.State != identity.RequestApproved || len(a.Consents) != 1 || a.Consents[0].By != person("ben") || a.Consents[0].Evidence == "" {
			t.Fatalf("%+v", a)
		}
		_, err = r.Approve(ctx, ben.Session.Principal, other.ID)
		want(t, err, core.KindDenied)
		_, _, err = r.CarryOut(confirmed(r, ben, identity.VerbCarry, a), ben.Session.Principal, a.ID)
		want(t, err, core.KindDenied) // the link is the requester's alone
		_, made, err := r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
		r.Must(err)
		cleo := r.Open(made)

		// Other roles end the sessions that had the old ones.
		act := identity.Act{Kind: identity.ActRoles, Person: person("cleo"), Roles: []string{core.RoleViewer}, Sites: site, Reason: "left the team"}
		b, err := asks(r, owner, act)
		r.Must(err)
		if slices.Contains(b.Eligible, person("cleo")) {
			t.Error("cleo decides about herself")
		}
		b, err = r.Approve(confirmed(r, ben, identity.VerbApprove, b), ben.Session.Principal, b.ID)
		r.Must(err)
		if b.State != identity.RequestUsed {
			t.Errorf("it is %s", b.State)
		}
		_, err = r.Lookup(cleo.Cookie, cleo.Client)
		want(t, err, core.KindUnauthenticated)
		r.Must(r.SignIn(cleo))
		if !slices.Equal(cleo.Session.Roles, []string{core.RoleViewer}) {
			t.Errorf("cleo is %v", cleo.Session.Roles)
		}
		r.Drain()
		r.Start()
		r.Must(r.Compare(t.Context()))
		if got := r.Approvals(t.Context()); len(got) != 4 || len(r.Doubts()) != 0 || got[0].ID != other.ID {
			t.Errorf("%d requests, doubts %v", len(got), r.Doubts())
		}
	})
}

// TestCapAndStopTakeTwo is F04 and F31: two persons, neither the actor, and
// nobody who waited instead.
func TestCapAndStopTakeTwo(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		owner := r.Join()
		lift := identity.Act{Kind: identity.ActCapLift, Actor: "service/playbook", Extra: 5, Hours: 2, Reason: "a real attack"}
		_, err := asks(r, owner, lift)
		want(t, err, core.KindConflict)
		ben := second(r, owner, "ben", core.RoleSecurityOfficer)
		own := lift
		own.Actor = "person/owner"
		_, err = asks(r, owner, own)
		want(t, err, core.KindConflict) // nobody lifts the own cap with one other

		a, err := asks(r, owner, lift)
		r.Must(err)
		_, err = r.Approve(confirmed(r, ben, identity.VerbApprove, a), ben.Session.Principal, a.ID)
		r.Must(err)
		playbook := core.Principal{Kind: core.KindService, ID: "playbook", Tenant: identitytest.Tenant}
		n := 0
		for ; n < 100; n++ {
			on := core.Resource{Type: "device", ID: "d" + string(rune('a'+n%26)) + string(rune('a'+n/26)), Tenant: identitytest.Tenant, Site: identitytest.Site}
			if d, err := r.Guard.Permit(t.Context(), playbook, policy.DeviceQuarantine, on); err != nil || !d.Allowed {
				break
			}
		}
		if n != policy.DefaultLimits.Service+5 {
			t.Errorf("the playbook contained %d", n)
		}
		stop := identity.Act{Kind: identity.ActStopWithdraw, Person: person("ben"), Hours: 24, Reason: "stops the line for sport"}
		_, err = asks(r, owner, stop)
		want(t, err, core.KindConflict) // ben is no second person in this
		cleo := second2(r, owner, ben, "cleo")
		s, err := asks(r, owner, stop)
		r.Must(err)
		if !slices.Equal(s.Eligible, []core.PersonID{person("cleo")}) {
			t.Errorf("eligible %v", s.Eligible)
		}
		_, err = r.Approve(confirmed(r, cleo, identity.VerbApprove, s), cleo.Session.Principal, s.ID)
		r.Must(err)
		if !slices.Equal(r.Path.Withdrawn(), []core.PersonID{person("ben")}) {
			t.Errorf("withdrawn %v", r.Path.Withdrawn())
		}
	})
}

// second2 has two persons let a third in.
func second2(r *identitytest.Rig, asker, approver *identitytest.User, id string) *identitytest.User {
	r.T.Helper()
	a, err := asks(r, asker, inviting(id, core.RoleAdministrator))
	r.Must(err)
	_, err = r.Approve(confirmed(r, approver, identity.VerbApprove, a), approver.Session.Principal, a.ID)
	r.Must(err)
	_, made, err := r.CarryOut(confirmed(r, asker, identity.VerbCarry, a), asker.Session.Principal, a.ID)
	r.Must(err)
	return r.Open(made)
}

// TestWhoTakesTheOthersRightsAwayIsNotTwo: revoking everybody else is no way
// past them. What then is asked for waits three days, and anybody who comes back
// may object.
func TestWhoTakesTheOthersRightsAwayIsNotTwo(t *testing.T) {
	each(t, func(t *testing.T, r *identitytest.Rig) {
		owner := r.Join()
		ben := second(r, owner, "ben", core.RoleAdministrator)
		r.Must(r.Revoke(t.Context(), owner.Session.Principal, person("ben")))
		_, err := r.Lookup(ben.Cookie, ben.Client)
		want(t, err, core.KindUnauthenticated)
		if err := r.SignIn(ben); err == nil {
			t.Error("a revoked person signed in")
		}
		r.Drain()
		r.Start()
		r.Must(r.SignIn(owner))
		a, err := asks(r, owner, inviting("mallory", core.RoleAdministrator))
		r.Must(err)
		if !a.NotBefore.Equal(r.Clock.Now().Add(identity.RecoveryDelay)) || !a.Expires.After(a.NotBefore) {
			t.Errorf("it waits until %s", a.NotBefore)
		}
		r.Single = false
		_, err = asks(r, owner, identity.Act{Kind: identity.ActLink, Person: person("ben"), Reason: "x"})
		want(t, err, core.KindConflict)
		_, err = asks(r, owner, inviting("ben", core.RoleViewer)) // an id is not given again
		want(t, err, core.KindConflict)
	})
}

// TestWhoNeverCameWasNoSecondPerson: somebody who was let in and lost the link
// could never have approved, so the first person does not wait three days.
func TestWhoNeverCameWasNoSecondPerson(t *testing.T) {
	r := identitytest.New(t)
	owner := r.Join()
	a, err := asks(r, owner, inviting("ben", core.RoleAdministrator))
	r.Must(err)
	r.Clock.Advance(identity.AloneDelay)
	_, _, err = r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
	r.Must(err)
	r.Drain()
	r.Start()
	b, err := asks(r, owner, inviting("cleo", core.RoleAdministrator))
	r.Must(err)
	if !b.NotBefore.Equal(r.Clock.Now().Add(identity.AloneDelay)) {
		t.Errorf("it waits until %s", b.NotBefore)
	}
}

// TestASecondPersonMayObject: somebody who came meanwhile ends what waits.
func TestASecondPersonMayObject(t *testing.T) {
	r := identitytest.New(t)
	owner := r.Join()
	first, err := asks(r, owner, inviting("mallory", core.RoleAdministrator))
	r.Must(err)
	ben := second(r, owner, "ben", core.RoleSecurityOfficer)
	a, err := r.Reject(confirmed(r, ben, identity.VerbReject, first), ben.Session.Principal, first.ID, "who is that?")
	r.Must(err)
	if a.State != identity.RequestRejected || a.By != "person/ben" {
		t.Errorf("%+v", a)
	}
	_, _, err = r.CarryOut(confirmed(r, owner, identity.VerbCarry, first), owner.Session.Principal, first.ID)
	want(t, err, core.KindConflict)
}

// TestAConsentOfSomebodyRevokedIsNone: what counts is who the persons are when
// it is done.
func TestAConsentOfSomebodyRevokedIsNone(t *testing.T) {
	r := identitytest.New(t)
	owner := r.Join()
	ben := second(r, owner, "ben", core.RoleSecurityOfficer)
	a, err := asks(r, owner, inviting("cleo", core.RoleOperator))
	r.Must(err)
	_, err = r.Approve(confirmed(r, ben, identity.VerbApprove, a), ben.Session.Principal, a.ID)
	r.Must(err)
	r.Must(r.Revoke(t.Context(), owner.Session.Principal, person("ben")))
	_, _, err = r.CarryOut(confirmed(r, owner, identity.VerbCarry, a), owner.Session.Principal, a.ID)
	want(t, err, core.KindConflict)
}

// TestRequestsEnd: they expire, and their requester takes them back without
// more.
func TestRequestsEnd(t *testing.T) {
	r := identitytest.New(t)
	owner := r.Join()
	ben := second(r, owner, "ben", core.RoleSecurityOfficer)
	a, err := asks(r, owner, inviting("cleo", core.RoleOperator))
	r.Must(err)
	_, err = r.Withdraw(t.Context(), ben.Session.Principal, a.ID, "")
	want(t, err, core.KindDenied)
	a, err = r.Withdraw(t.Context(), owner.Session.Principal, a.ID, "a typo")
	r.Must(err)
	if a.State != identity.RequestWithdrawn {
		t.Errorf("it is %s", a.State)
	}
	b, err := asks(r, owner, inviting("dora", core.RoleOperator))
	r.Must(err)
	r.Clock.Advance(24 * time.Hour)
	r.Must(r.SignIn(ben))
	_, err = r.Approve(confirmed(r, ben, identity.VerbApprove, b), ben.Session.Principal, b.ID)
	want(t, err, core.KindExpired)
	if b, _ = r.Approval(t.Context(), b.ID); b.State != identity.RequestExpired || b.Open() {
		t.Errorf("it is %s", b.State)
	}
}

// TestTheSocketIsAWord: the user of the machine needs no passkey, and is nobody
// else.
func TestTheSocketIsAWord(t *testing.T) {
	r := identitytest.New(t)
	act := inviting("ben", core.RoleOperator)
	_, err := r.Request(t.Context(), r.OwnerPrincipal(), act)
	want(t, err, core.KindUnauthenticated)
	_, err = r.Request(identitytest.OverSocket(t.Context(), 1001), r.OwnerPrincipal(), act)
	want(t, err, core.KindUnauthenticated)
	socket := identitytest.OverSocket(t.Context(), 1000)
	a, err := r.Request(socket, r.OwnerPrincipal(), act)
	r.Must(err)
	r.Clock.Advance(identity.AloneDelay)
	_, made, err := r.CarryOut(socket, r.OwnerPrincipal(), a.ID)
	r.Must(err)
	if made.URL == "" {
		t.Error("no link")
	}
}

// TestActsThatAreNone: what is wrong with an act is said before anybody is
// asked.
func TestActsThatAreNone(t *testing.T) {
	r := identitytest.New(t)
	socket := identitytest.OverSocket(t.Context(), 1000)
	r.Open(invite(r, "vera"))
	for name, act := range map[string]identity.Act{
		"unknown kind":      {Kind: "device.release", Person: person("ben"), Reason: "x"},
		"no reason":         {Kind: identity.ActLink, Person: person("vera")},
		"no person":         {Kind: identity.ActInvite, Roles: []string{core.RoleViewer}, Sites: site, Reason: "x"},
		"unknown role":      {Kind: identity.ActInvite, Person: person("ben"), Roles: []string{"root"}, Sites: site, Reason: "x"},
		"no role":           {Kind: identity.ActInvite, Person: person("ben"), Sites: site, Reason: "x"},
		"someone's site":    {Kind: identity.ActInvite, Person: person("ben"), Roles: []string{core.RoleViewer}, Sites: []core.SiteID{core.MustID[core.SiteID]("hall-2")}, Reason: "x"},
		"known id":          {Kind: identity.ActInvite, Person: person("vera"), Roles: []string{core.RoleOperator}, Sites: site, Reason: "x"},
		"configured id":     {Kind: identity.ActRoles, Person: person("owner"), Roles: []string{core.RoleViewer}, Sites: site, Reason: "x"},
		"nobody":            {Kind: identity.ActRoles, Person: person("nobody"), Roles: []string{core.RoleViewer}, Sites: site, Reason: "x"},
		"link with roles":   {Kind: identity.ActLink, Person: person("vera"), Roles: []string{core.RoleViewer}, Reason: "x"},
		"cap of a device":   {Kind: identity.ActCapLift, Actor: "device/press-7", Extra: 1, Hours: 1, Reason: "x"},
		"cap for a week":    {Kind: identity.ActCapLift, Actor: "service/playbook", Extra: 1, Hours: 168, Reason: "x"},
		"cap and a person":  {Kind: identity.ActCapLift, Actor: "service/playbook", Extra: 1, Hours: 1, Person: person("vera"), Reason: "x"},
		"stop for ever":     {Kind: identity.ActStopWithdraw, Person: person("vera"), Reason: "x"},
		"roles with a name": {Kind: identity.ActRoles, Person: person("vera"), Name: "V", Roles: []string{core.RoleViewer}, Sites: site, Reason: "x"},
	} {
		if _, err := r.Request(socket, r.OwnerPrincipal(), act); err == nil {
			t.Errorf("%s: was asked for", name)
		}
	}
	_, err := r.Request(t.Context(), core.Principal{Kind: core.KindService, ID: "playbook", Tenant: identitytest.Tenant}, inviting("ben", core.RoleOperator))
	want(t, err, core.KindDenied)
	_, err = r.Invite(t.Context(), r.OwnerPrincipal(), identity.InviteRequest{Person: person("ben"), Roles: []string{core.RoleAdministrator}, Sites: site})
	want(t, err, core.KindDenied)
}
