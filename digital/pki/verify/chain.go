package verify

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/interlock-security/interlock/core"
)

// Limits on what a peer may present.
const (
	maxChain = 5
	maxCert  = 8 << 10
)

// Validity is how time is judged; see the package's doc. The zero value accepts
// nothing.
type Validity struct {
	kind validityKind
	t    time.Time
}

type validityKind uint8

const (
	validAt validityKind = iota + 1
	validSince
	expiredBy
)

// At asks that every certificate is valid at t.
func At(t time.Time) Validity { return Validity{validAt, t} }

// Since asks that there is a moment not before lower at which every certificate
// is valid.
func Since(lower time.Time) Validity { return Validity{validSince, lower} }

// ExpiredBy is At(t), except that the leaf, and what stands above it, may have
// expired before t: the chain was whole on the leaf's last day. It is for the
// renewal of a management identity alone (TRUST F09), which beside it asks for
// a fresh challenge signed by the key.
func ExpiredBy(t time.Time) Validity { return Validity{expiredBy, t} }

// moment returns when the chain has to be valid.
func (v Validity) moment(certs []*x509.Certificate) (time.Time, error) {
	switch v.kind {
	case validAt:
		return v.t, nil
	case validSince:
		t := v.t
		for _, c := range certs {
			if c.NotBefore.After(t) {
				t = c.NotBefore
			}
		}
		return t, nil
	case expiredBy:
		if certs[0].NotAfter.Before(v.t) {
			return certs[0].NotAfter, nil
		}
		return v.t, nil
	}
	return time.Time{}, core.E(core.KindInternal, "verify.Chain", "no validity was asked for")
}

// Want is what a chain is held against.
type Want struct {
	Pins     Pins
	Profile  Profile
	Validity Validity
	// Tenant narrows a device or workload to one tenant; zero takes any
	// tenant of this installation.
	Tenant core.TenantID
	// Host is the DNS name or address that a server certificate must carry.
	Host string
}

// Peer is a verified holder of a certificate. That it holds the private key is
// for TLS, or for the signature over a challenge, to show.
type Peer struct {
	// Identity is zero for a server.
	Identity Identity
	Leaf     *x509.Certificate
	// Expired is set where only [ExpiredBy] let it through.
	Expired bool
}

// Chain verifies certificates as a peer presents them: leaf first, then the
// intermediates and the root in any order.
//
// Errors are of kind unauthenticated, except expired where nothing but time is
// wrong, and invalid or too-large where the input is no chain.
func Chain(certs []*x509.Certificate, want Want) (*Peer, error) {
	if err := checkPresented(certs, want); err != nil {
		return nil, err
	}
	leaf := certs[0]
	id, err := checkLeaf(leaf, want)
	if err != nil {
		return nil, err
	}
	at, err := want.Validity.moment(certs)
	if err != nil {
		return nil, err
	}
	if err := build(certs, want, at); err != nil {
		return nil, err
	}
	return &Peer{Identity: id, Leaf: leaf, Expired: want.Validity.kind == expiredBy && leaf.NotAfter.Before(want.Validity.t)}, nil
}

func checkPresented(certs []*x509.Certificate, want Want) error {
	const op = "verify.Chain"
	if len(certs) == 0 {
		return core.E(core.KindUnauthenticated, op, "no certificate was presented")
	}
	if len(certs) > maxChain {
		return core.E(core.KindTooLarge, op, fmt.Sprintf("%d certificates were presented, at most %d are read", len(certs), maxChain))
	}
	for i, c := range certs {
		if len(c.Raw) > maxCert {
			return core.E(core.KindTooLarge, op, fmt.Sprintf("certificate %d has %d bytes, at most %d are read", i, len(c.Raw), maxCert))
		}
	}
	if len(want.Pins) == 0 {
		return core.E(core.KindUnauthenticated, op, "no CA is pinned, so nobody is trusted").WithHint("the pin stands in the enrolment string and in the trust root")
	}
	return nil
}

// build finds a chain from the leaf to a pinned root.
func build(certs []*x509.Certificate, want Want, at time.Time) error {
	const op = "verify.Chain"
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	anchors := 0
	for _, c := range certs[1:] {
		if err := checkIssuer(c); err != nil {
			return err
		}
		if !want.Pins.Has(c) {
			between.AddCert(c)
			continue
		}
		// The pin covers the key alone. Only what the key itself signed says
		// what its holder means by it: path length, usages, names.
		if err := c.CheckSignatureFrom(c); err != nil {
			return refused("the pinned root did not sign itself")
		}
		if len(c.AuthorityKeyId) != 0 && !bytes.Equal(c.AuthorityKeyId, c.SubjectKeyId) {
			return refused("the pinned root names another key as its issuer's")
		}
		roots.AddCert(c)
		anchors++
	}
	if anchors == 0 {
		return core.E(core.KindUnauthenticated, op, "the chain has no root that is pinned here: it comes from another CA").WithHint("compare the CA pin with the ceremony sheet")
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{rules[want.Profile].usage},
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return core.E(core.KindExpired, op, fmt.Sprintf("%s is not valid at %s: %s to %s", subject(invalid.Cert), at.UTC().Format(time.RFC3339),
			invalid.Cert.NotBefore.Format(time.RFC3339), invalid.Cert.NotAfter.Format(time.RFC3339)))
	}
	return core.Wrap(core.KindUnauthenticated, op, err)
}

// rule is what a profile demands of a leaf.
type rule struct {
	usage x509.ExtKeyUsage
	names func(*x509.Certificate, Want) (Identity, error)
}

var rules = map[Profile]rule{
	ProfileServer:     {x509.ExtKeyUsageServerAuth, serverNames},
	ProfileManagement: {x509.ExtKeyUsageClientAuth, identityName},
	ProfileWorkload:   {x509.ExtKeyUsageClientAuth, identityName},
}

func checkLeaf(c *x509.Certificate, want Want) (Identity, error) {
	r, ok := rules[want.Profile]
	if !ok {
		return Identity{}, core.E(core.KindInternal, "verify.Chain", fmt.Sprintf("certificates of profile %q are not accepted", want.Profile))
	}
	if err := checkForm(c); err != nil {
		return Identity{}, err
	}
	switch {
	case c.IsCA:
		return Identity{}, refused("a CA is presented where a leaf must stand")
	case c.KeyUsage != x509.KeyUsageDigitalSignature:
		return Identity{}, refused("the key usage is not digital signature alone")
	case len(c.ExtKeyUsage) != 1 || len(c.UnknownExtKeyUsage) != 0 || c.ExtKeyUsage[0] != r.usage:
		return Identity{}, refused(fmt.Sprintf("the extended key usage is not that of a %s certificate alone", want.Profile))
	case extension(c, oidNameConstraints) != nil:
		return Identity{}, refused("a leaf carries name constraints")
	case critical(c, oidExtKeyUsage):
		return Identity{}, refused("the extended key usage is marked critical")
	}
	return r.names(c, want)
}

// checkIssuer holds roots and intermediates to the form that we issue.
func checkIssuer(c *x509.Certificate) error {
	if err := checkForm(c); err != nil {
		return err
	}
	if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0 || !critical(c, oidBasicConstraints) {
		return refused("a certificate behind the leaf is no CA")
	}
	if extension(c, oidNameConstraints) != nil && !critical(c, oidNameConstraints) {
		return refused("name constraints are not marked critical")
	}
	return nil
}

// checkForm is what every certificate of the chain must be.
func checkForm(c *x509.Certificate) error {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || key.Curve != elliptic.P256():
		return refused("a key is not ECDSA P-256")
	case c.SignatureAlgorithm != x509.ECDSAWithSHA256:
		return refused(fmt.Sprintf("signed by %s, not by ECDSA-SHA256", c.SignatureAlgorithm))
	case c.Version != 3:
		return refused("not an X.509 version 3 certificate")
	case c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 159:
		return refused("the serial number is not positive or too long")
	case c.IsCA && len(c.SubjectKeyId) == 0 || len(c.AuthorityKeyId) == 0 && !bytes.Equal(c.RawSubject, c.RawIssuer):
		return refused("a key identifier is missing")
	case !plainAuthorityKey(c):
		return refused("the authority key identifier holds more, or less, than a key identifier")
	case len(c.UnhandledCriticalExtensions) != 0:
		return refused(fmt.Sprintf("critical extension %s is not known", c.UnhandledCriticalExtensions[0]))
	}
	return nil
}

// extension returns an extension as it stands in the certificate, nil where
// there is none. The parser refuses two of a kind.
func extension(c *x509.Certificate, oid asn1.ObjectIdentifier) *pkix.Extension {
	for i := range c.Extensions {
		if c.Extensions[i].Id.Equal(oid) {
			return &c.Extensions[i]
		}
	}
	return nil
}

func critical(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	e := extension(c, oid)
	return e != nil && e.Critical
}

// plainAuthorityKey reports whether the authority key identifier, if there is
// one, is SEQUENCE { [0] key identifier } and no more.
func plainAuthorityKey(c *x509.Certificate) bool {
	e := extension(c, oidAuthorityKey)
	if e == nil {
		return true
	}
	n := len(c.AuthorityKeyId)
	if n == 0 || n > 64 {
		return false
	}
	want := append([]byte{0x30, byte(n + 2), 0x80, byte(n)}, c.AuthorityKeyId...)
	return bytes.Equal(e.Value, want)
}

func identityName(c *x509.Certificate, want Want) (Identity, error) {
	names, err := altNames(c)
	if err != nil {
		return Identity{}, err
	}
	if len(names) != 1 || names[0].Tag != tagURI {
		return Identity{}, refused(fmt.Sprintf("a %s certificate carries one URI and no other name; this has %d names", want.Profile, len(names)))
	}
	id, err := ParseIdentity(string(names[0].Bytes))
	if err != nil {
		return Identity{}, core.Wrap(core.KindUnauthenticated, "verify.Chain", err)
	}
	if id.Profile() != want.Profile {
		return Identity{}, refused(fmt.Sprintf("%s is no %s identity", id, want.Profile))
	}
	if !want.Tenant.IsZero() && id.Tenant != want.Tenant {
		return Identity{}, refused(fmt.Sprintf("%s is not of tenant %s", id, want.Tenant))
	}
	return id, nil
}

// The GeneralName choices of RFC 5280 that our certificates carry.
const (
	tagDNS = 2
	tagURI = 6
	tagIP  = 7
)

var (
	oidAltNames         = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints  = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidAuthorityKey     = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtKeyUsage      = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// emptySubject is the DER of a subject without attributes.
var emptySubject = []byte{0x30, 0}

// altNames returns the subject alternative names as they stand in the
// certificate. The parsed fields would not do: they leave out the kinds that
// the standard library does not know and spell URIs anew.
func altNames(c *x509.Certificate) ([]asn1.RawValue, error) {
	e := extension(c, oidAltNames)
	if e == nil {
		return nil, nil
	}
	// RFC 5280, 4.2.1.6: critical exactly where there is no other name.
	if e.Critical != bytes.Equal(c.RawSubject, emptySubject) {
		return nil, refused("the subject alternative names are critical beside a subject, or not critical without one")
	}
	var names []asn1.RawValue
	if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) != 0 {
		return nil, refused("the subject alternative names are malformed")
	}
	for _, n := range names {
		if n.Class != asn1.ClassContextSpecific || n.IsCompound {
			return nil, refused("a subject alternative name is of a kind that is not known here")
		}
	}
	return names, nil
}

func serverNames(c *x509.Certificate, want Want) (Identity, error) {
	names, err := altNames(c)
	if err != nil {
		return Identity{}, err
	}
	foreign := func(n asn1.RawValue) bool { return n.Tag != tagDNS && n.Tag != tagIP }
	if len(names) == 0 || slices.ContainsFunc(names, foreign) {
		return Identity{}, refused("a server certificate carries DNS names and addresses alone")
	}
	for _, n := range c.DNSNames {
		if !IsHostName(n) {
			return Identity{}, refused(fmt.Sprintf("%.100q is not a host name in lower case; wildcards are not taken", n))
		}
	}
	isIP := func(ip net.IP) bool { return ip.String() == c.Subject.CommonName }
	if cn := c.Subject.CommonName; cn != "" && !slices.Contains(c.DNSNames, cn) && !slices.ContainsFunc(c.IPAddresses, isIP) {
		return Identity{}, refused(fmt.Sprintf("the common name %.100q is not among the alternative names", cn))
	}
	if want.Host == "" {
		return Identity{}, core.E(core.KindInternal, "verify.Chain", "no host was asked for")
	}
	if err := c.VerifyHostname(want.Host); err != nil {
		return Identity{}, core.Wrap(core.KindUnauthenticated, "verify.Chain", err)
	}
	return Identity{}, nil
}

func refused(why string) error { return core.E(core.KindUnauthenticated, "verify.Chain", why) }

func subject(c *x509.Certificate) string {
	if len(c.URIs) == 1 {
		return c.URIs[0].String()
	}
	return fmt.Sprintf("certificate %.60q", c.Subject.CommonName)
}

// ParseChain reads certificates in PEM, as the authority hands them out.
// Anything beside them, headers and text between them included, is refused.
func ParseChain(pemBytes []byte) ([]*x509.Certificate, error) {
	const op = "verify.ParseChain"
	if len(pemBytes) > maxChain*2*maxCert {
		return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("%d bytes of certificates, at most %d are read", len(pemBytes), maxChain*2*maxCert))
	}
	var certs []*x509.Certificate
	for rest := pemBytes; len(rest) > 0; {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) != 0 || !bytes.HasPrefix(rest, []byte("-----BEGIN")) {
			return nil, core.E(core.KindInvalid, op, fmt.Sprintf("after %d certificates comes something else", len(certs)))
		}
		if len(certs) == maxChain {
			return nil, core.E(core.KindTooLarge, op, fmt.Sprintf("more than %d certificates", maxChain))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, core.Wrap(core.KindInvalid, op, err)
		}
		certs, rest = append(certs, c), after
	}
	if len(certs) == 0 {
		return nil, core.E(core.KindInvalid, op, "there is no certificate")
	}
	return certs, nil
}
