package identity

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/interlock-security/interlock/audit"
	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/policy"
)

func asProtocol(err error, into **protocol.Error) bool { return errors.As(err, into) }

// BeginRegistration opens a link and returns what navigator.credentials.create
// wants, and a handle for [People.FinishRegistration]. It consumes nothing. The
// name is how the person wants to be called; "" leaves it as it is.
func (p *People) BeginRegistration(ctx context.Context, linkSecret, name string) (optionsJSON []byte, handle string, err error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	object, l, err := p.openLink(ctx, linkSecret, ClientOf(ctx))
	if err != nil {
		return nil, "", err
	}
	r, err := p.known("identity.BeginRegistration", l.Person)
	if err != nil {
		return nil, "", err
	}
	handle, challenge, err := p.seal.issue(ticket{Kind: ceremonyRegister, Person: l.Person, Link: object, Name: name}, p.parts.Clock.Now())
	if err != nil {
		return nil, "", err
	}
	if name != "" {
		r.Name = name
	}
	p.mu.RLock()
	u := p.userOf(r)
	p.mu.RUnlock()
	options, _, err := p.web.BeginRegistration(u, webauthn.WithExclusions(descriptors(u)), webauthn.WithCredentialParameters(parameters),
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge, o.Timeout = challenge, int(ceremonyLife.Milliseconds())
			return nil
		})
	if err != nil {
		return nil, "", core.Wrap(core.KindInternal, "identity.BeginRegistration", err)
	}
	optionsJSON, err = json.Marshal(options)
	return optionsJSON, handle, core.Wrap(core.KindInternal, "identity.BeginRegistration", err)
}

func descriptors(u user) []protocol.CredentialDescriptor {
	var list []protocol.CredentialDescriptor
	for _, k := range u.keys {
		list = append(list, k.Descriptor())
	}
	return list
}

// FinishRegistration takes the authenticator's answer: the link is used, the
// passkey is the person's, and a session begins. The cookie is its only copy.
func (p *People) FinishRegistration(ctx context.Context, handle string, credentialJSON []byte, c Client) (Session, string, error) {
	if err := tooLarge(credentialJSON); err != nil {
		return Session{}, "", err
	}
	t, err := p.seal.open(handle, ceremonyRegister, p.parts.Clock.Now())
	if err != nil {
		return Session{}, "", err
	}
	credential, err := p.created(t, credentialJSON)
	if err != nil {
		p.stranger(ctx, c)
		return Session{}, "", err
	}
	return p.register(ctx, t, credential, c)
}

// created verifies a new credential.
func (p *People) created(t ticket, credentialJSON []byte) (*webauthn.Credential, error) {
	r, err := p.known("identity.FinishRegistration", t.Person)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(credentialJSON)
	if err != nil {
		return nil, p.refused("register", err)
	}
	data := p.sessionData(t)
	data.UserID = r.Handle
	credential, err := p.web.CreateCredential(user{handle: r.Handle}, data, parsed)
	if err != nil {
		return nil, p.refused("register", err)
	}
	return credential, nil
}

// register commits a verified credential.
func (p *People) register(ctx context.Context, t ticket, credential *webauthn.Credential, client Client) (Session, string, error) {
	const op = "identity.FinishRegistration"
	p.editing.Lock()
	defer p.editing.Unlock()
	r, err := p.known(op, t.Person)
	if err != nil {
		return Session{}, "", err
	}
	object := passkeyObject(credential.ID)
	p.mu.RLock()
	l, there := p.objects[t.Link]
	_, taken := p.objects[object]
	p.mu.RUnlock()
	switch {
	case !there || l.State != stateFresh || l.Person != t.Person:
		return Session{}, "", core.E(core.KindReplayed, op, "the link was used before")
	case p.parts.Clock.Now().UnixMicro() >= l.Expires:
		return Session{}, "", core.E(core.KindExpired, op, "the link ran out meanwhile").WithHint("have another one made")
	case taken:
		return Session{}, "", core.E(core.KindConflict, op, "this passkey is known here already")
	}
	changes, cookie, err := p.registration(ctx, t, r, credential, client)
	if err != nil {
		return Session{}, "", err
	}
	if err := p.spend(t.Nonce); err != nil {
		return Session{}, "", err
	}
	l.State = stateUsed
	actor := p.principal(r).String()
	used := change{object: t.Link, claim: l.claim, actor: actor, action: policy.PasskeyAdd, outcome: "used", more: map[string]string{"client": client.String()}}
	if err := p.commit(ctx, nil, append(changes, used)...); err != nil {
		return Session{}, "", err
	}
	return p.begun(cookie)
}

// registration are the changes that need a permit: the passkey, the name if it
// is another, the session.
func (p *People) registration(ctx context.Context, t ticket, r record, credential *webauthn.Credential, client Client) ([]change, string, error) {
	who, object := p.principal(r), passkeyObject(credential.ID)
	passkey, err := p.permit(ctx, who, policy.PasskeyAdd, change{object: object, outcome: "added", claim: claim{
		State: stateActive, Person: r.Person, Credential: credential.ID, Key: credential.PublicKey, Model: credential.Authenticator.AAGUID,
		Synced: credential.Flags.BackupEligible, Created: p.parts.Clock.Now().UnixMicro(),
	}})
	if err != nil {
		return nil, "", err
	}
	changes := []change{passkey}
	if t.Name != "" && t.Name != r.Name {
		c := p.stored(r)
		c.Name = t.Name
		named, err := p.permit(ctx, who, policy.PersonName, change{object: kindPerson + "/" + r.Person.String(), outcome: "named", claim: c})
		if err != nil {
			return nil, "", err
		}
		changes = append(changes, named)
	}
	session, cookie := p.sessionClaim(r, nameOf(object), credential.Authenticator.SignCount, client)
	if session, err = p.permit(ctx, who, policy.SessionCreate, session); err != nil {
		return nil, "", err
	}
	changes = append(changes, session)
	return append(changes, p.oldest(r.Person)...), cookie, nil
}

// stored is a person's own claim, without what the configuration says.
func (p *People) stored(r record) claim {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.objects[kindPerson+"/"+r.Person.String()].claim
}

// begun returns the session that a cookie has just begun.
func (p *People) begun(cookie string) (Session, string, error) {
	hash, _ := cookieHash(cookie)
	p.mu.RLock()
	defer p.mu.RUnlock()
	s := p.sessions[hash]
	if s == nil {
		return Session{}, "", core.E(core.KindUnauthenticated, "identity.SignIn", "the session ended at once")
	}
	out, err := p.session(s, cookie, p.parts.Clock.Now(), false)
	return out, cookie, err
}

// BeginSignIn returns what navigator.credentials.get wants, for whoever comes.
func (p *People) BeginSignIn(context.Context) (optionsJSON []byte, handle string, err error) {
	handle, challenge, err := p.seal.issue(ticket{Kind: ceremonySignIn}, p.parts.Clock.Now())
	if err != nil {
		return nil, "", err
	}
	return p.assertion(handle, challenge)
}

func (p *People) assertion(handle string, challenge []byte, allowed ...protocol.CredentialDescriptor) ([]byte, string, error) {
	options, _, err := p.web.BeginDiscoverableLogin(webauthn.WithChallenge(challenge), func(o *protocol.PublicKeyCredentialRequestOptions) error {
		o.AllowedCredentials, o.Timeout = allowed, int(ceremonyLife.Milliseconds())
		return nil
	})
	if err != nil {
		return nil, "", core.Wrap(core.KindInternal, "identity.ceremony", err)
	}
	b, err := json.Marshal(options)
	return b, handle, core.Wrap(core.KindInternal, "identity.ceremony", err)
}

// proof is a verified assertion.
type proof struct {
	person   record
	passkey  string // object
	counter  uint32
	response *protocol.ParsedCredentialAssertionData
}

// asserted verifies an authenticator's answer to a ticket and uses the ticket up.
func (p *People) asserted(ctx context.Context, t ticket, credentialJSON []byte, client Client) (proof, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(credentialJSON)
	if err != nil {
		p.stranger(ctx, client)
		return proof{}, p.refused(t.Kind, err)
	}
	out := proof{response: parsed, passkey: passkeyObject(parsed.RawID)}
	_, used, err := p.web.ValidatePasskeyLogin(func(rawID, handle []byte) (webauthn.User, error) {
		p.mu.RLock()
		defer p.mu.RUnlock()
		key, known := p.objects[passkeyObject(rawID)]
		if !known || string(key.Credential) != string(rawID) {
			return nil, core.E(core.KindUnauthenticated, "identity.SignIn", "no such passkey")
		}
		r, known := p.person(key.Person)
		if !known || string(r.Handle) != string(handle) {
			return nil, core.E(core.KindUnauthenticated, "identity.SignIn", "the passkey names another person")
		}
		out.person = r
		return p.userOf(r), nil
	}, p.sessionData(t), parsed)
	if err != nil {
		p.unproved(ctx, out, client)
		return proof{}, p.refused(t.Kind, err)
	}
	if err := p.spend(t.Nonce); err != nil { // before the counter: a replay is no clone
		return proof{}, err
	}
	if used.Authenticator.CloneWarning {
		return proof{}, p.cloned(ctx, out, client)
	}
	out.counter = used.Authenticator.SignCount
	return out, nil
}

// refusalEvery is how often the refusals at one person's passkeys are recorded by
// name: whoever knows a passkey's id is a stranger still, and must not be able to
// fill the log.
const refusalEvery = time.Minute

// tried reports whether a refusal at somebody's passkey was recorded a moment ago.
func (p *People) tried(person core.PersonID) bool {
	now := p.parts.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if last, known := p.refusals[person]; known && now.Sub(last) < refusalEvery {
		return true
	}
	p.refusals[person] = now
	return false
}

// unproved records a refusal: the first in a minute at somebody's passkey by
// name, the others by counting.
func (p *People) unproved(ctx context.Context, out proof, client Client) {
	if out.person.Person.IsZero() || p.tried(out.person.Person) {
		p.stranger(ctx, client)
		return
	}
	err := p.fact(ctx, nil, audit.Entry{
		Actor: "stranger/" + client.Address, Action: policy.SessionCreate, Object: kindPerson + "/" + out.person.Person.String(), Outcome: "refused",
		Subject: kindPerson + "/" + out.person.Person.String(), Body: map[string]string{"client": client.String(), "passkey": nameOf(out.passkey)},
	})
	if err != nil {
		p.parts.Warn.Warn("a refused sign-in was not recorded", slog.Any("err", err))
	}
}

// cloned suspends a passkey whose counter went back: somebody else may have it.
func (p *People) cloned(ctx context.Context, out proof, client Client) error {
	p.editing.Lock()
	defer p.editing.Unlock()
	p.mu.RLock()
	key := p.objects[out.passkey]
	p.mu.RUnlock()
	person := key.Person.String()
	if key.State == stateActive {
		key.State = stateCloned
		alarm := Alarm{AlarmCloned, core.SeverityCritical, map[string]any{"person": person, "passkey": nameOf(out.passkey), "used": client.String()}}
		err := p.commit(ctx, []Alarm{alarm}, change{
			object: out.passkey, claim: key.claim, actor: kindPerson + "/" + person, action: policy.PasskeyRemove, outcome: "cloned",
			more: map[string]string{"client": client.String()},
		})
		if err != nil {
			return err
		}
	}
	return core.E(core.KindDenied, "identity.SignIn", "this passkey seems to exist twice; it is suspended").
		WithHint("have another link made, and tell a security officer")
}

// FinishSignIn takes the authenticator's answer and begins a session. The cookie
// is its only copy.
func (p *People) FinishSignIn(ctx context.Context, handle string, credentialJSON []byte, c Client) (Session, string, error) {
	if err := tooLarge(credentialJSON); err != nil {
		return Session{}, "", err
	}
	t, err := p.seal.open(handle, ceremonySignIn, p.parts.Clock.Now())
	if err != nil {
		return Session{}, "", err
	}
	out, err := p.asserted(ctx, t, credentialJSON, c)
	if err != nil {
		return Session{}, "", err
	}
	p.editing.Lock()
	defer p.editing.Unlock()
	if out.person, err = p.still(out); err != nil {
		return Session{}, "", err
	}
	session, cookie := p.sessionClaim(out.person, nameOf(out.passkey), out.counter, c)
	if session, err = p.permit(ctx, p.principal(out.person), policy.SessionCreate, session); err != nil {
		return Session{}, "", err
	}
	if err := p.commit(ctx, nil, append(p.oldest(out.person.Person), session)...); err != nil {
		if ctx.Err() != nil {
			return Session{}, "", err
		}
		p.parts.Warn.Error("a session is kept in memory only: the database is away", slog.Any("err", err))
		p.unkept(session)
	}
	return p.begun(cookie)
}

// still reads the person of a proof again: a revocation may have come between.
func (p *People) still(out proof) (record, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, known := p.person(out.person.Person)
	if !known || r.State != stateActive || p.objects[out.passkey].State != stateActive {
		return r, core.E(core.KindDenied, "identity.SignIn", out.person.Person.String()+" or the passkey was revoked")
	}
	return r, nil
}

// unkept begins a session that has no row: somebody must be able to sign in to
// mend the database (TRUST F39). The permit is in the log; a restart ends it.
func (p *People) unkept(c change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.believe(c.object, record{claim: c.claim})
	if hash, ok := hashOf(c.claim.Hash); ok && p.sessions[hash] != nil {
		p.sessions[hash].kept = false
	}
}

type clientKey struct{}

// WithClient tells who is at the other end where a call has no place for it.
func WithClient(ctx context.Context, c Client) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

// ClientOf returns what [WithClient] told.
func ClientOf(ctx context.Context) Client {
	c, _ := ctx.Value(clientKey{}).(Client)
	return c
}
