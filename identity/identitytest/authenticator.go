package identitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Authenticator holds passkeys of one person: discoverable ES256 credentials
// with user verification and attestation none. Its fields may be changed between
// ceremonies, to answer as a wrong or hostile one would.
type Authenticator struct {
	// Origin is where the browser that asks stands.
	Origin string
	// RPID is what the answer is for; "" takes it from the options.
	RPID string
	// Verified says whether the user was verified.
	Verified bool
	// Counter goes up with each answer, unless Synced: synced passkeys have
	// none.
	Counter uint32
	Synced  bool

	Keys []*Key
}

// Key is one passkey.
type Key struct {
	ID      []byte
	Handle  []byte
	Private *ecdsa.PrivateKey
}

// NewAuthenticator returns an empty authenticator in a browser at the origin.
func NewAuthenticator(origin string) *Authenticator {
	return &Authenticator{Origin: origin, Verified: true}
}

// options is what both ceremonies tell the browser.
type options struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		RP        struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		Allow []struct {
			ID string `json:"id"`
		} `json:"allowCredentials"`
		Exclude []struct {
			ID string `json:"id"`
		} `json:"excludeCredentials"`
	} `json:"publicKey"`
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unb64(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// Create makes a passkey as navigator.credentials.create does.
func (a *Authenticator) Create(optionsJSON []byte) ([]byte, error) {
	var o options
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return nil, err
	}
	for _, e := range o.PublicKey.Exclude {
		if a.find(e.ID) != nil {
			return nil, errors.New("the authenticator holds a passkey for this person already")
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &Key{ID: make([]byte, 32), Handle: unb64(o.PublicKey.User.ID), Private: private}
	_, _ = rand.Read(k.ID)
	a.Keys = append(a.Keys, k)
	attested := append(make([]byte, 16), byte(len(k.ID)>>8), byte(len(k.ID)))
	attested = append(append(attested, k.ID...), k.cose()...)
	data := append(a.data(o.PublicKey.RP.ID, 0x40), attested...)
	client := a.client("webauthn.create", o.PublicKey.Challenge)
	return json.Marshal(map[string]any{
		"id": b64(k.ID), "rawId": b64(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{}, "authenticatorAttachment": "platform",
		"response": map[string]any{"clientDataJSON": b64(client), "attestationObject": b64(attestation(data)), "transports": []string{"internal"}},
	})
}

// Get answers as navigator.credentials.get does, with the first passkey that is
// asked for.
func (a *Authenticator) Get(optionsJSON []byte) ([]byte, error) {
	var o options
	if err := json.Unmarshal(optionsJSON, &o); err != nil {
		return nil, err
	}
	k := a.choose(o)
	if k == nil {
		return nil, errors.New("the authenticator has no passkey for this")
	}
	if !a.Synced {
		a.Counter++
	}
	data, client := a.data(o.PublicKey.RPID, 0), a.client("webauthn.get", o.PublicKey.Challenge)
	sum := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.Private, digest[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"id": b64(k.ID), "rawId": b64(k.ID), "type": "public-key", "clientExtensionResults": map[string]any{}, "authenticatorAttachment": "platform",
		"response": map[string]any{
			"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(k.Handle),
		},
	})
}

func (a *Authenticator) find(id string) *Key {
	for _, k := range a.Keys {
		if b64(k.ID) == id {
			return k
		}
	}
	return nil
}

func (a *Authenticator) choose(o options) *Key {
	if len(o.PublicKey.Allow) == 0 && len(a.Keys) > 0 {
		return a.Keys[0]
	}
	for _, e := range o.PublicKey.Allow {
		if k := a.find(e.ID); k != nil {
			return k
		}
	}
	return nil
}

func (a *Authenticator) client(ceremony, challenge string) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false}`, ceremony, challenge, a.Origin)
}

// data is the authenticator data without what a new credential adds.
func (a *Authenticator) data(rpID string, flags byte) []byte {
	if a.RPID != "" {
		rpID = a.RPID
	}
	sum := sha256.Sum256([]byte(rpID))
	flags |= 0x01 // the user was there
	if a.Verified {
		flags |= 0x04
	}
	if a.Synced {
		flags |= 0x18
	}
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.Counter)
}

// cose is the public key as a COSE map: EC2, ES256, P-256.
func (k *Key) cose() []byte {
	point, err := k.Private.PublicKey.Bytes() // 4, x, y
	if err != nil || len(point) != 65 {
		return nil
	}
	b := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32}
	b = append(append(b, point[1:33]...), 0x22, 0x58, 32)
	return append(b, point[33:]...)
}

// attestation is the CBOR map {"fmt": "none", "attStmt": {}, "authData": data}.
func attestation(data []byte) []byte {
	b := []byte{0xa3, 0x63, 'f', 'm', 't', 0x64, 'n', 'o', 'n', 'e', 0x67, 'a', 't', 't', 'S', 't', 'm', 't', 0xa0, 0x68, 'a', 'u', 't', 'h', 'D', 'a', 't', 'a'}
	b = append(b, 0x59, byte(len(data)>>8), byte(len(data)))
	return append(b, data...)
}
