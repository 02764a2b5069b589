package provenance

import (
	"fmt"
	"strings"

	"aead.dev/minisign"

	"github.com/interlock-security/interlock/core"
)

// minisign checks a detached signature against the keys of the policy. The
// trusted comment is signed together with the signature, and both are checked.
func (v *verifier) minisign(name string, data []byte) Check {
	c := Check{Kind: "minisign", Evidence: name}
	var sig minisign.Signature
	if err := sig.UnmarshalText(data); err != nil {
		c.Kind, c.Why = "unknown", "it is neither a minisign signature nor JSON"
		return c
	}
	c.Signer = fmt.Sprintf("minisign key %016X", sig.KeyID)
	key, err := v.minisignKey(sig.KeyID)
	if err != nil {
		c.Why = err.Error()
		return c
	}
	ok, err := v.minisignVerify(*key, &sig, data)
	switch {
	case err != nil:
		c.Why = err.Error()
	case !ok:
		c.State, c.Why = Failed, "the signature by "+c.Signer+" does not fit the artifact or its trusted comment"
	default:
		c.State, c.Comment, c.Why = Verified, sig.TrustedComment, "signed by "+c.Signer
	}
	return c
}

func (v *verifier) minisignKey(id uint64) (*minisign.PublicKey, error) {
	for i := range v.keys {
		if v.keys[i].ID() == id {
			return &v.keys[i], nil
		}
	}
	return nil, fmt.Errorf("it is signed by key %016X, which is not trusted here", id)
}

func minisignKeys(texts []string) ([]minisign.PublicKey, error) {
	keys := make([]minisign.PublicKey, len(texts))
	for i, text := range texts {
		if err := keys[i].UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("minisign key %d of the policy is malformed: %v", i+1, err)).
				WithHint("give the public key's file, or the line that begins with RW")
		}
	}
	return keys, nil
}

// minisignVerify looks at the algorithm first: a legacy signature over 64 bytes
// must not pass for a prehashed one of an artifact that has these bytes as hash.
func (v *verifier) minisignVerify(key minisign.PublicKey, sig *minisign.Signature, data []byte) (bool, error) {
	if sig.Algorithm == minisign.HashEdDSA && v.prehash != nil {
		return v.prehash.Verify(key, data), nil
	}
	b, err := v.bytes(maxLegacy)
	if err != nil {
		return false, err
	}
	return minisign.Verify(key, b, data), nil
}
