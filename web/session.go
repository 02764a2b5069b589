package web

import (
	"context"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/identity"
)

// Session is who is signed in.
type Session = identity.Session

// Client is what a session is bound to.
type Client = identity.Client

// People is what the console asks of [identity.People].
type People interface {
	Lookup(cookie string, c Client) (Session, error)
	End(ctx context.Context, s Session) error
	BeginSignIn(ctx context.Context) (options []byte, handle string, err error)
	FinishSignIn(ctx context.Context, handle string, credential []byte, c Client) (s Session, cookie string, err error)
	BeginRegistration(ctx context.Context, secret, name string) (options []byte, handle string, err error)
	FinishRegistration(ctx context.Context, handle string, credential []byte, c Client) (s Session, cookie string, err error)
	BeginConfirm(ctx context.Context, s Session, digest [32]byte) (options []byte, handle string, err error)
	FinishConfirm(ctx context.Context, s Session, handle string, credential []byte) (identity.Confirmation, error)

	List(ctx context.Context) []identity.Person
	Get(ctx context.Context, id core.PersonID) (identity.Person, error)
	Sessions(ctx context.Context, person core.PersonID) []identity.SessionInfo
	EndSession(ctx context.Context, who core.Principal, id string) error
	FirstLink(ctx context.Context, who core.Principal) (identity.Link, error)
	Invite(ctx context.Context, who core.Principal, in identity.InviteRequest) (identity.Link, error)
	Revoke(ctx context.Context, who core.Principal, person core.PersonID) error
	RevokePasskey(ctx context.Context, who core.Principal, id string) error
	Request(ctx context.Context, who core.Principal, act identity.Act) (identity.Approval, error)
	CarryOut(ctx context.Context, who core.Principal, id core.UUID) (identity.Approval, identity.Link, error)
	approver
}

const linkPath = identity.LinkPath
