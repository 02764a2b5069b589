package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// ceremonyLife is how long somebody may take at the authenticator.
const ceremonyLife = 5 * time.Minute

// MaxCredential is the size of the largest answer of an authenticator that is
// read.
const MaxCredential = 32 << 10

// The ceremonies. The word goes into the challenge, so an answer to one is none
// to another.
const (
	ceremonyRegister = "register"
	ceremonySignIn   = "sign-in"
	ceremonyConfirm  = "confirm"
)

// ticket is a ceremony that was begun. It travels in the handle, authenticated,
// so that strangers who begin a million ceremonies cost no memory; what was
// finished is remembered until it would have expired.
type ticket struct {
	Kind    string        `json:"kind"`
	Nonce   []byte        `json:"nonce"`
	Expires int64         `json:"expires"` // microseconds
	Person  core.PersonID `json:"person"`
	Link    string        `json:"link"`
	Name    string        `json:"name"`
	Session string        `json:"session"`
	Digest  []byte        `json:"digest"`
}

// ceremonies makes and opens handles. Its key lives as long as the process: a
// ceremony that a restart interrupts is begun again.
type ceremonies struct{ key [32]byte }

func (c *ceremonies) mac(body []byte) []byte {
	m := hmac.New(sha256.New, c.key[:])
	_, _ = m.Write(body) // a hash never fails
	return m.Sum(nil)
}

func (c *ceremonies) issue(t ticket, now time.Time) (handle string, challenge []byte, err error) {
	t.Nonce = make([]byte, 32)
	_, _ = rand.Read(t.Nonce) // never fails since Go 1.24
	t.Expires = now.Add(ceremonyLife).UnixMicro()
	body, err := link.Encode(t)
	if err != nil {
		return "", nil, core.Wrap(core.KindInternal, "identity.ceremony", err)
	}
	return encode64(body) + "." + encode64(c.mac(body)), t.challenge(), nil
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// challenge is what the authenticator signs, by a formula that anybody can
// repeat from the audit log: SHA-256 over the ceremony's name, the nonce and the
// digest of the act.
func (t ticket) challenge() []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "interlock %s v1\x00", t.Kind) // a hash never fails
	_, _ = h.Write(t.Nonce)
	_, _ = h.Write(t.Digest)
	return h.Sum(nil)
}

// open reads a handle of the kind of ceremony.
func (c *ceremonies) open(handle, kind string, now time.Time) (ticket, error) {
	const op = "identity.ceremony"
	wrong := core.E(core.KindInvalid, op, "this is no "+kind+" that was begun here").WithHint("begin again")
	text, mac, ok := strings.Cut(handle, ".")
	if len(handle) > 4<<10 || !ok {
		return ticket{}, wrong
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return ticket{}, wrong
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || !hmac.Equal(sum, c.mac(body)) {
		return ticket{}, wrong
	}
	var t ticket
	if err := link.DecodeStrict(body, &t); err != nil || t.Kind != kind {
		return ticket{}, wrong
	}
	if now.UnixMicro() >= t.Expires {
		return ticket{}, core.E(core.KindExpired, op, "it took longer than "+ceremonyLife.String()).WithHint("begin again")
	}
	return t, nil
}

// spend uses a nonce up; the second use of one is refused.
func (p *People) spend(nonce []byte) error {
	now := p.parts.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, until := range p.spent {
		if now.After(until) {
			delete(p.spent, key)
		}
	}
	if _, used := p.spent[string(nonce)]; used {
		return core.E(core.KindReplayed, "identity.ceremony", "this answer was used before").WithHint("begin again")
	}
	p.spent[string(nonce)] = now.Add(2 * ceremonyLife)
	return nil
}

// user is a person as the library sees one.
type user struct {
	handle []byte
	name   string
	shown  string
	keys   []webauthn.Credential
}

// WebAuthnID implements webauthn.User.
func (u user) WebAuthnID() []byte { return u.handle }

// WebAuthnName implements webauthn.User.
func (u user) WebAuthnName() string { return u.name }

// WebAuthnDisplayName implements webauthn.User.
func (u user) WebAuthnDisplayName() string { return u.shown }

// WebAuthnCredentials implements webauthn.User.
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.keys }

// userOf returns a person with the passkeys that work. The caller holds the lock.
func (p *People) userOf(r record) user {
	u := user{handle: r.Handle, name: r.Person.String(), shown: r.Name}
	for _, object := range p.passkeys(r.Person) {
		if k := p.objects[object]; k.State == stateActive {
			u.keys = append(u.keys, webauthn.Credential{
				ID: k.Credential, PublicKey: k.Key, AttestationFormat: "none", Flags: webauthn.CredentialFlags{BackupEligible: k.Synced},
				Authenticator: webauthn.Authenticator{AAGUID: k.Model, SignCount: p.counter(object)},
			})
		}
	}
	return u
}

// counter is the highest that a passkey was seen with. The caller holds the
// lock.
func (p *People) counter(object string) uint32 {
	return max(p.counters[nameOf(object)], p.said.counters[nameOf(object)])
}

// passkeyObject names a passkey by the hash of its credential id, which is up to
// a thousand bytes long.
func passkeyObject(credential []byte) string {
	sum := sha256.Sum256(credential)
	return fmt.Sprintf("%s/%x", kindPasskey, sum[:12])
}

// sessionData is what the library wants to know of a ceremony that was begun.
func (p *People) sessionData(t ticket) webauthn.SessionData {
	return webauthn.SessionData{
		Challenge: encode64(t.challenge()), RelyingPartyID: p.web.Config.RPID, UserVerification: protocol.VerificationRequired,
		CredParams: parameters,
	}
}

// parameters are the signatures that are taken: what every authenticator can do
// one of.
var parameters = []protocol.CredentialParameter{
	{Type: protocol.PublicKeyCredentialType, Algorithm: -7},   // ES256
	{Type: protocol.PublicKeyCredentialType, Algorithm: -8},   // EdDSA
	{Type: protocol.PublicKeyCredentialType, Algorithm: -257}, // RS256
}

func tooLarge(b []byte) error {
	if len(b) > MaxCredential {
		return core.E(core.KindTooLarge, "identity.ceremony", fmt.Sprintf("the answer has %d bytes, at most %d are read", len(b), MaxCredential))
	}
	return nil
}

// refused words an error of the library for the person. What was wrong in the
// bytes goes to the log of the server, where it helps nobody to guess.
func (p *People) refused(what string, err error) error {
	why := err.Error()
	if e := (*protocol.Error)(nil); asProtocol(err, &e) {
		why = strings.TrimSpace(e.Details + " " + e.DevInfo)
	}
	p.parts.Warn.Debug("a passkey's answer was refused", slog.String("ceremony", what), slog.String("why", why))
	return core.E(core.KindUnauthenticated, "identity."+what, "the passkey's answer does not prove who you are").WithHint("begin again")
}
