package pki

import (
	"crypto"
	"crypto/x509"
	"fmt"

	"github.com/interlock-security/interlock/core"
)

// MaxRequest is the largest certificate request that is read, in bytes of DER.
const MaxRequest = 4 << 10

// PublicKeyOf returns the key of a PKCS#10 request (DER) after its signature
// showed that the requester holds it. Names, extensions and attributes of the
// request are not looked at: they are what the requester would like.
func PublicKeyOf(csr []byte) (crypto.PublicKey, error) {
	const op = "pki.PublicKeyOf"
	if len(csr) > MaxRequest {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("the request has %d bytes, at most %d are read", len(csr), MaxRequest))
	}
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, core.Wrap(core.KindInvalid, op, err)
	}
	key, err := checkKey(op, r.PublicKey)
	if err != nil {
		return nil, err
	}
	if err := r.CheckSignature(); err != nil {
		return nil, core.E(core.KindUnauthenticated, op, "the request is not signed by the key that it asks a certificate for")
	}
	return key, nil
}
