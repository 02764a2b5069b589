package provenance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strconv"

	"github.com/interlock-security/interlock/core"
)

// envelope is a DSSE envelope.
type envelope struct {
	Payload     string `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
}

const maxSignatures = 32

// dsse checks an envelope against the keys of the policy. The key's id in it is
// a hint that anybody can write, so every key is tried.
func (v *verifier) dsse(name string, doc []byte) Check {
	c := Check{Kind: "dsse", Evidence: name}
	var e envelope
	if err := json.Unmarshal(doc, &e); err != nil {
		c.Why = "it is no DSSE envelope"
		return c
	}
	payload, err := decode64(e.Payload)
	switch {
	case err != nil || len(e.Signatures) == 0 || len(e.Signatures) > maxSignatures:
		c.Why = "it is a DSSE envelope without signature, with too many, or with a payload that isn't base64"
		return c
	case len(v.policy.Keys) == 0:
		c.Why = "the policy has no keys to verify it with"
		return c
	}
	signed := pae(e.PayloadType, payload)
	for _, s := range e.Signatures {
		sig, err := decode64(s.Sig)
		if err != nil {
			continue
		}
		for _, k := range v.policy.Keys {
			if verifyWith(k, signed, sig) {
				c.Signer = "key " + keyName(k)
				v.statement(&c, e.PayloadType, payload)
				return c
			}
		}
	}
	c.Why = "none of its signatures is by a key of the policy"
	return c
}

// pae is DSSE's pre-authentication encoding.
func pae(payloadType string, payload []byte) []byte {
	b := []byte("DSSEv1 " + strconv.Itoa(len(payloadType)) + " " + payloadType + " " + strconv.Itoa(len(payload)) + " ")
	return append(b, payload...)
}

func decode64(s string) ([]byte, error) {
	if b, err := base64.StdEncoding.DecodeString(s); err == nil {
		return b, nil
	}
	return base64.URLEncoding.DecodeString(s)
}

// verifyWith uses the hash that goes with the key's size.
func verifyWith(key crypto.PublicKey, message, sig []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, sum(k.Curve.Params().BitSize, message), sig)
	case *rsa.PublicKey:
		d := sha256.Sum256(message)
		return k.N.BitLen() >= 2048 && rsa.VerifyPSS(k, crypto.SHA256, d[:], sig, nil) == nil
	}
	return false
}

func sum(bits int, message []byte) []byte {
	switch {
	case bits <= 256:
		d := sha256.Sum256(message)
		return d[:]
	case bits <= 384:
		d := sha512.Sum384(message)
		return d[:]
	}
	d := sha512.Sum512(message)
	return d[:]
}

// keyName is the beginning of the key's fingerprint: SHA-256 of its PKIX form.
func keyName(key crypto.PublicKey) string {
	b, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "unknown"
	}
	d := sha256.Sum256(b)
	return "SHA256:" + hex.EncodeToString(d[:8])
}

// ParseKeys reads public keys as PEM, one or several.
func ParseKeys(pemBytes []byte) ([]crypto.PublicKey, error) {
	const op = "provenance.ParseKeys"
	var keys []crypto.PublicKey
	for {
		block, rest := pem.Decode(pemBytes)
		if block == nil {
			break
		}
		pemBytes = rest
		k, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil || !usable(k) {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("block %d (%.40s) is no public key of ECDSA, Ed25519 or RSA", len(keys)+1, block.Type)).WithHint("give it as BEGIN PUBLIC KEY")
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, core.E(core.KindInvalid, op, "there is no key in it").WithHint("give it as PEM, BEGIN PUBLIC KEY")
	}
	return keys, nil
}

func usable(k crypto.PublicKey) bool {
	switch k := k.(type) {
	case ed25519.PublicKey, *ecdsa.PublicKey:
		return true
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	}
	return false
}
