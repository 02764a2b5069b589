package link

import (
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
)

// Limits of an envelope, checked before a byte of it is decoded.
const (
	MaxEnvelope   = 192 << 10
	MaxSignatures = 64
)

// SealEnvelope signs payload in a namespace with each signer.
func SealEnvelope(namespace string, payload []byte, signers ...Signer) (*Envelope, error) {
	e := &Envelope{Payload: payload}
	for _, s := range signers {
		sig, err := Sign(s, namespace, payload)
		if err != nil {
			return nil, err
		}
		e.Signatures = append(e.Signatures, sig)
	}
	if err := e.check("link.SealEnvelope"); err != nil {
		return nil, err
	}
	return e, nil
}

// ParseEnvelope reads an envelope strictly. The signatures are well-formed and
// by different keys; none is verified yet.
func ParseEnvelope(b []byte) (*Envelope, error) {
	if len(b) > MaxEnvelope {
		return nil, core.E(core.KindTooLarge, "link.ParseEnvelope", fmt.Sprintf("%d bytes, an envelope has at most %d", len(b), MaxEnvelope))
	}
	e := new(Envelope)
	if err := DecodeStrict(b, e); err != nil {
		return nil, fmt.Errorf("link.ParseEnvelope: %w", err)
	}
	if err := e.check("link.ParseEnvelope"); err != nil {
		return nil, err
	}
	return e, nil
}

// Encode writes the envelope as it travels.
func (e *Envelope) Encode() ([]byte, error) {
	if err := e.check("link.Envelope.Encode"); err != nil {
		return nil, err
	}
	return Encode(e)
}

// check enforces what both ends promise. An envelope without signatures is
// well-formed: an order waits in one for its approvals.
func (e *Envelope) check(op string) error {
	if len(e.Payload) == 0 {
		return core.E(core.KindInvalid, op, "the payload is empty")
	}
	if len(e.Payload) > MaxPayload {
		return core.E(core.KindTooLarge, op, fmt.Sprintf("payload of %d bytes, at most %d are allowed", len(e.Payload), MaxPayload))
	}
	if len(e.Signatures) > MaxSignatures {
		return core.E(core.KindTooLarge, op, fmt.Sprintf("%d signatures, at most %d are allowed", len(e.Signatures), MaxSignatures))
	}
	seen := make(map[string]struct{}, len(e.Signatures))
	for i, s := range e.Signatures {
		if _, err := s.parse(); err != nil {
			return fmt.Errorf("%s: signatures[%d]: %w", op, i, err)
		}
		if _, dup := seen[s.KeyID]; dup {
			return core.E(core.KindInvalid, op, fmt.Sprintf("signatures[%d]: key %s signed twice", i, s.KeyID))
		}
		seen[s.KeyID] = struct{}{}
	}
	return nil
}

// Add appends a signature by a key that has not signed yet.
func (e *Envelope) Add(sig Signature) error {
	more := *e
	more.Signatures = append(append([]Signature(nil), e.Signatures...), sig)
	if err := more.check("link.Envelope.Add"); err != nil {
		return err
	}
	e.Signatures = more.Signatures
	return nil
}

// VerifiedBy checks that the envelope carries exactly one signature, in this
// namespace and by this key: a device's batch or result.
func (e *Envelope) VerifiedBy(namespace string, key ssh.PublicKey) error {
	const op = "link.Envelope.VerifiedBy"
	if len(e.Signatures) != 1 {
		return core.E(core.KindDenied, op, fmt.Sprintf("%d signatures, want exactly one, by %s", len(e.Signatures), KeyID(key)))
	}
	got, id, err := Verify(e.Signatures[0], namespace, e.Payload)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if !sameKey(got, key) {
		return core.E(core.KindDenied, op, fmt.Sprintf("signed by %s, want %s", id, KeyID(key)))
	}
	return nil
}
