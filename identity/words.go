package identity

import (
	"time"

	"github.com/interlock-security/interlock/core"
)

// Client is what a session is bound to.
type Client struct {
	// Address is the IP address of the peer, without its port.
	Address string
	// UserAgent is the header of that name.
	UserAgent string
	// ByItself says that a page asked and no person: a script that keeps it up
	// to date. That is not using the session, so a page that is left open does
	// not keep it from going idle.
	ByItself bool
}

// Session is a signed-in person. It is a copy: nothing in it changes what is
// believed.
type Session struct {
	// ID names the session in lists and in the audit log; it is no secret.
	ID     string
	Person core.PersonID
	// Name is how the person wants to be called. It is text from outside.
	Name  string
	Roles []string
	// Principal is what the Guard is asked about. While StopOnly holds it has
	// no roles.
	Principal core.Principal
	Began     time.Time
	// Fresh is when the person last proved it with a passkey.
	Fresh time.Time
	// Ends is when the shift is over, whatever happens.
	Ends time.Time
	// CSRF is the token that every form of the session carries.
	CSRF string
	// StopOnly is a session that was idle for too long within its shift, or
	// of a person who is in doubt: it may request stops and nothing else
	// (TRUST F06).
	StopOnly bool
	// Why says why the session is stop-only, in one sentence; "" if it is not.
	Why string
}

// How long a session lasts.
const (
	// IdleLimit is how long nothing may be asked for before a session is
	// stop-only.
	IdleLimit = 30 * time.Minute
	// Shift is how long a session lasts at most.
	Shift = 12 * time.Hour
)

// SessionInfo is a session as lists show it.
type SessionInfo struct {
	ID       string        `json:"id"`
	Person   core.PersonID `json:"person"`
	Client   string        `json:"client"` // address and program, as they were at the sign-in
	Passkey  string        `json:"passkey"`
	Began    time.Time     `json:"began"`
	Seen     time.Time     `json:"seen"`
	Ends     time.Time     `json:"ends"`
	StopOnly bool          `json:"stop_only,omitempty"`
}

// Person is somebody, as lists show them.
type Person struct {
	ID core.PersonID `json:"id"`
	// Name is text from outside.
	Name  string        `json:"name"`
	Roles []string      `json:"roles"`
	Sites []core.SiteID `json:"sites"`
	State PersonState   `json:"state"`
	// Configured says that roles and sites come from the operators of the
	// configuration, which alone can change them.
	Configured bool      `json:"configured,omitempty"`
	UIDs       []uint32  `json:"uids,omitempty"`
	Passkeys   []Passkey `json:"passkeys"`
	Sessions   int       `json:"sessions"`
	// Doubt says why the person is in stop-only, "" for not.
	Doubt string `json:"doubt,omitempty"`
	// Log is the entry that says so; zero while it is on the way.
	Log core.Position `json:"log,omitzero"`
}

// PersonState is how far a person has come.
type PersonState string

// The states of a person.
const (
	// PersonInvited has no passkey yet.
	PersonInvited PersonState = "invited"
	PersonActive  PersonState = "active"
	PersonRevoked PersonState = "revoked"
)

// Passkey is a credential, as lists show it.
type Passkey struct {
	ID      string    `json:"id"` // short form of the credential id
	Created time.Time `json:"created"`
	// Synced says that it may be copied between the person's devices.
	Synced bool `json:"synced,omitempty"`
	// State is active, cloned (suspended: its counter went back) or revoked.
	State string `json:"state"`
}

// Link is a one-time link by which a person makes a passkey. The secret stands
// in the fragment, which no browser sends anywhere: a prefetch, a mail scanner
// or a log of addresses consumes and learns nothing.
type Link struct {
	URL     string        `json:"url"`
	Person  core.PersonID `json:"person"`
	Expires time.Time     `json:"expires"`
}

// LinkPath is the page of the console that a link opens; the secret follows
// after "#".
const LinkPath = "/link"

// LinkLife is how long a link is good for.
const LinkLife = time.Hour

// InviteRequest asks for somebody to be let in.
type InviteRequest struct {
	Person core.PersonID `json:"person"`
	Name   string        `json:"name"`
	Roles  []string      `json:"roles"`
	Sites  []core.SiteID `json:"sites"`
}

// Operator is a user of this machine whom the configuration names.
type Operator struct {
	UID    uint32
	Person core.PersonID
	Roles  []string
	Sites  []core.SiteID
}
