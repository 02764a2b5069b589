package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/interlock-security/interlock/core"
)

// confirmationLife is how long a confirmation is good for: the act follows at
// once.
const confirmationLife = 2 * time.Minute

// Confirmation is a person's fresh word, by passkey, to exactly one act. It is
// good once. The zero value confirms nothing, and nobody outside this package
// makes another.
type Confirmation struct {
	person   core.PersonID
	digest   [32]byte
	at       time.Time
	evidence Evidence
}

// Evidence is what proves a consent to whoever reads the audit log later: the
// passkey's signature over SHA-256("interlock confirm v1\x00" ‖ nonce ‖ digest).
// For the user of a socket it is the uid that the kernel told.
type Evidence struct {
	UID           *uint32 `json:"uid,omitempty"`
	Passkey       string  `json:"passkey,omitempty"`
	Nonce         []byte  `json:"nonce,omitempty"`
	ClientData    []byte  `json:"client_data,omitempty"`
	Authenticator []byte  `json:"authenticator,omitempty"`
	Signature     []byte  `json:"signature,omitempty"`
}

// String names the evidence: "uid 1000", "passkey 5f0c…".
func (e Evidence) String() string {
	if e.UID != nil {
		return fmt.Sprintf("uid %d", *e.UID)
	}
	return "passkey " + e.Passkey
}

type confirmationKey struct{}

// WithConfirmation gives a confirmation to the act that follows.
func WithConfirmation(ctx context.Context, c Confirmation) context.Context {
	return context.WithValue(ctx, confirmationKey{}, c)
}

// BeginConfirm asks the person of a session to confirm exactly the act of the
// digest. It returns what navigator.credentials.get wants.
func (p *People) BeginConfirm(_ context.Context, s Session, digest [32]byte) (optionsJSON []byte, handle string, err error) {
	const op = "identity.BeginConfirm"
	if s.StopOnly {
		return nil, "", core.E(core.KindDenied, op, "the session is stop-only: "+s.Why).WithHint("sign in again")
	}
	p.mu.RLock()
	r, _ := p.person(s.Person)
	u := p.userOf(r)
	p.mu.RUnlock()
	if len(u.keys) == 0 {
		return nil, "", core.E(core.KindConflict, op, "you have no passkey")
	}
	t := ticket{Kind: ceremonyConfirm, Person: s.Person, Session: s.ID, Digest: digest[:]}
	handle, challenge, err := p.seal.issue(t, p.parts.Clock.Now())
	if err != nil {
		return nil, "", err
	}
	return p.assertion(handle, challenge, descriptors(u)...)
}

// FinishConfirm takes the authenticator's answer. Hand the confirmation to the
// act by [WithConfirmation].
func (p *People) FinishConfirm(ctx context.Context, s Session, handle string, credentialJSON []byte) (Confirmation, error) {
	const op = "identity.FinishConfirm"
	if err := tooLarge(credentialJSON); err != nil {
		return Confirmation{}, err
	}
	now := p.parts.Clock.Now()
	t, err := p.seal.open(handle, ceremonyConfirm, now)
	if err != nil {
		return Confirmation{}, err
	}
	if t.Session != s.ID || t.Person != s.Person || s.StopOnly {
		return Confirmation{}, core.E(core.KindDenied, op, "another session asked for this confirmation").WithHint("begin again")
	}
	out, err := p.asserted(ctx, t, credentialJSON, ClientOf(ctx))
	if err != nil {
		return Confirmation{}, err
	}
	if out.person.Person != s.Person {
		return Confirmation{}, core.E(core.KindDenied, op, "the passkey is somebody else's")
	}
	if _, err := p.still(out); err != nil {
		return Confirmation{}, err
	}
	p.freshen(s.ID, nameOf(out.passkey), out.counter, now)
	return Confirmation{person: s.Person, digest: [32]byte(t.Digest), at: now, evidence: evidenceOf(t, out)}, nil
}

func evidenceOf(t ticket, out proof) Evidence {
	var raw protocol.AuthenticatorAssertionResponse
	if out.response != nil {
		raw = out.response.Raw.AssertionResponse
	}
	return Evidence{
		Passkey: nameOf(out.passkey), Nonce: t.Nonce,
		ClientData: raw.ClientDataJSON, Authenticator: raw.AuthenticatorData, Signature: raw.Signature,
	}
}

// freshen notes that the person of a session was just there.
func (p *People) freshen(session, passkey string, counter uint32, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counters[passkey] = max(p.counters[passkey], counter)
	for _, s := range p.sessions {
		if s.id == session {
			s.fresh.Store(now.UnixMicro())
		}
	}
}

// Proved is [People.proved] for acts of other packages: the digest is the act's
// [ConfirmDigest].
func (p *People) Proved(ctx context.Context, who core.Principal, digest [32]byte) (Evidence, error) {
	return p.proved(ctx, who, digest)
}

// proved says by what the caller has just proved exactly this act: a
// confirmation, or being the user at the socket. A session alone does not.
func (p *People) proved(ctx context.Context, who core.Principal, digest [32]byte) (Evidence, error) {
	const op = "identity.Confirm"
	if c, given := ctx.Value(confirmationKey{}).(Confirmation); given && !c.person.IsZero() {
		switch {
		case c.person.String() != who.ID || who.Kind != core.KindPerson:
			return Evidence{}, core.E(core.KindDenied, op, "the confirmation is somebody else's")
		case c.digest != digest:
			return Evidence{}, core.E(core.KindDenied, op, "the confirmation is for another act")
		case p.parts.Clock.Now().Sub(c.at) >= confirmationLife:
			return Evidence{}, core.E(core.KindExpired, op, "the confirmation is older than "+confirmationLife.String()).WithHint("confirm again")
		}
		return c.evidence, p.spend(append([]byte("confirmation "), c.evidence.Nonce...))
	}
	if p.parts.Socket != nil {
		if uid, ok := p.parts.Socket(ctx); ok {
			for _, o := range p.parts.Operators {
				if o.UID == uid && o.Person.String() == who.ID && who.Kind == core.KindPerson {
					return Evidence{UID: &uid}, nil
				}
			}
		}
	}
	return Evidence{}, core.E(core.KindUnauthenticated, op, "this wants your word: a session alone is not enough").
		WithHint("confirm it with your passkey, or use the command line on the server")
}
