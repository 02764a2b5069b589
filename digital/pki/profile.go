package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

// maxHosts is how many names a server certificate carries at most.
const maxHosts = 32

// template makes a leaf of the profile with its names, and says how long one
// lasts.
func (a *Authority) template(p verify.Profile, n Names) (*x509.Certificate, time.Duration, error) {
	t := &x509.Certificate{
		SerialNumber:          newSerial(),
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
	switch p {
	case verify.ProfileServer:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		return t, a.c.Lifetimes.Server, serverNames(t, n)
	case verify.ProfileManagement:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		return t, a.c.Lifetimes.Management, identityName(t, p, n)
	case verify.ProfileWorkload:
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		return t, a.c.Lifetimes.Workload, identityName(t, p, n)
	}
	return nil, 0, core.E(core.KindDenied, "pki.Issue", fmt.Sprintf("certificates of profile %q are not issued", p))
}

// identityName names a device or workload by its URI alone. The subject stays
// empty, which makes the alternative name critical: there is one name to read.
func identityName(t *x509.Certificate, p verify.Profile, n Names) error {
	const op = "pki.Issue"
	if len(n.Hosts) != 0 {
		return core.E(core.KindInvalid, op, fmt.Sprintf("a %s certificate carries no host names", p))
	}
	if err := n.Identity.Check(); err != nil {
		return err
	}
	if n.Identity.Profile() != p {
		return core.E(core.KindInvalid, op, fmt.Sprintf("%s is no %s identity", n.Identity, p))
	}
	u, err := url.Parse(n.Identity.String())
	if err != nil {
		return core.Wrap(core.KindInvalid, op, err)
	}
	t.URIs = []*url.URL{u}
	return nil
}

func serverNames(t *x509.Certificate, n Names) error {
	const op = "pki.Issue"
	if n.Identity != (verify.Identity{}) {
		return core.E(core.KindInvalid, op, "a server certificate carries no device identity")
	}
	if len(n.Hosts) == 0 || len(n.Hosts) > maxHosts {
		return core.E(core.KindInvalid, op, fmt.Sprintf("a server certificate carries 1 to %d hosts, not %d", maxHosts, len(n.Hosts)))
	}
	for _, h := range n.Hosts {
		if ip, err := netip.ParseAddr(h); err == nil {
			if ip.Zone() != "" || ip.Is4In6() {
				return core.E(core.KindInvalid, op, fmt.Sprintf("%q is not an address that a certificate can carry", h))
			}
			t.IPAddresses = append(t.IPAddresses, net.IP(ip.AsSlice()))
			continue
		}
		if !verify.IsHostName(h) {
			return core.E(core.KindInvalid, op, fmt.Sprintf("%.100q is neither an address nor a host name in lower case", h))
		}
		t.DNSNames = append(t.DNSNames, h)
	}
	t.Subject = pkix.Name{CommonName: n.Hosts[0]}
	if len(n.Hosts[0]) > 64 { // the upper bound of a common name
		t.Subject = pkix.Name{}
	}
	return nil
}

// namesOf lists the alternative names for the record.
func namesOf(t *x509.Certificate) []string {
	var out []string
	for _, u := range t.URIs {
		out = append(out, u.String())
	}
	out = append(out, t.DNSNames...)
	for _, ip := range t.IPAddresses {
		out = append(out, ip.String())
	}
	if t.IsCA {
		out = append(out, t.Subject.String())
	}
	return out
}
