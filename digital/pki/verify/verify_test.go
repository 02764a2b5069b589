package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

var (
	now     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	acme    = core.MustID[core.TenantID]("acme")
	pressID = verify.Identity{Tenant: acme, Device: core.MustID[core.DeviceID]("press-7")}
)

const day = 24 * time.Hour

// ca is a certificate authority of the test's own, which signs whatever it is
// told to: what our authority refuses to issue has to come from somewhere.
type ca struct {
	root, mid       *x509.Certificate
	rootKey, midKey *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, c, issuer *x509.Certificate, pub any, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func caTemplate(name string, skid byte, pathLen int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(int64(skid)), Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte{skid},
		NotBefore: now.Add(-300 * day), NotAfter: now.Add(3000 * day), SignatureAlgorithm: x509.ECDSAWithSHA256,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLen: pathLen, MaxPathLenZero: true,
	}
}

func newCA(t testing.TB) *ca {
	t.Helper()
	c := &ca{rootKey: newKey(t), midKey: newKey(t)}
	r := caTemplate("root", 1, 1)
	r.AuthorityKeyId = r.SubjectKeyId
	c.root = sign(t, r, r, c.rootKey.Public(), c.rootKey)
	c.mid = sign(t, caTemplate("intermediate", 2, 0), c.root, c.midKey.Public(), c.rootKey)
	return c
}

func (c *ca) pins() verify.Pins { return verify.Pins{verify.PinOf(c.root)} }

func uri(t testing.TB, s string) []*url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return []*url.URL{u}
}

// device returns a good management certificate as a template to spoil.
func device(t testing.TB) *x509.Certificate {
	t.Helper()
	return &x509.Certificate{
		SerialNumber: big.NewInt(4711), SubjectKeyId: []byte{3}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(7 * day),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, URIs: uri(t, pressID.String()),
	}
}

func server(t testing.TB) *x509.Certificate {
	t.Helper()
	c := device(t)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.URIs, c.DNSNames, c.IPAddresses = nil, []string{"core.example"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	return c
}

func (c *ca) leaf(t testing.TB, tmpl *x509.Certificate) []*x509.Certificate {
	t.Helper()
	return []*x509.Certificate{sign(t, tmpl, c.mid, newKey(t).Public(), c.midKey), c.mid, c.root}
}

func wantKind(t *testing.T, what string, err error, want core.Kind) {
	t.Helper()
	if err == nil || core.KindOf(err) != want {
		t.Errorf("%s: got %v (kind %s), want kind %s", what, err, core.KindOf(err), want)
	}
}

func (c *ca) management() verify.Want {
	return verify.Want{Pins: c.pins(), Profile: verify.ProfileManagement, Validity: verify.At(now), Tenant: acme}
}

func TestGoodChain(t *testing.T) {
	c := newCA(t)
	chain := c.leaf(t, device(t))
	peer, err := verify.Chain(chain, c.management())
	if err != nil || peer.Identity != pressID || peer.Expired {
		t.Fatalf("%+v, %v", peer, err)
	}
	chain[1], chain[2] = chain[2], chain[1]
	if _, err := verify.Chain(chain, c.management()); err != nil {
		t.Errorf("root before intermediate: %v", err)
	}
}

// TestLeafRefusals: each row spoils one thing of a good certificate, which the
// right CA then signs.
func TestLeafRefusals(t *testing.T) {
	other := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 1, 42, 0xa0, 2, 5, 0}}
	mail := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, Bytes: []byte("a@b")}
	same := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(pressID.String())}
	rows := map[string]func(*x509.Certificate){
		"server usage":          func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} },
		"any usage":             func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} },
		"no usage":              func(c *x509.Certificate) { c.ExtKeyUsage = nil },
		"two usages":            func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"unknown usage":         func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} },
		"CA as leaf":            func(c *x509.Certificate) { c.IsCA = true },
		"may sign certificates": func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign },
		"no key usage":          func(c *x509.Certificate) { c.KeyUsage = 0 },
		"no name":               func(c *x509.Certificate) { c.URIs = nil },
		"name only in subject":  func(c *x509.Certificate) { c.URIs = nil; c.Subject.CommonName = pressID.String() },
		"two URIs":              func(c *x509.Certificate) { c.URIs = append(c.URIs, uri(t, pressID.String()+"x")...) },
		"URI and DNS name":      func(c *x509.Certificate) { c.DNSNames = []string{"core.example"} },
		"URI and address":       func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(1, 2, 3, 4)} },
		"URI and otherName":     func(c *x509.Certificate) { rawNames(t, c, same, other) },
		"only otherName":        func(c *x509.Certificate) { rawNames(t, c, other) },
		"only mail":             func(c *x509.Certificate) { rawNames(t, c, mail) },
		"another tenant":        func(c *x509.Certificate) { c.URIs = uri(t, "interlock://other/device/press-7") },
		"workload":              func(c *x509.Certificate) { c.URIs = uri(t, "interlock://acme/workload/press-7/hmi") },
		"other scheme":          func(c *x509.Certificate) { c.URIs = uri(t, "spiffe://acme/device/press-7") },
		"capital letter":        func(c *x509.Certificate) { c.URIs = uri(t, "interlock://acme/device/Press-7") },
		"port":                  func(c *x509.Certificate) { c.URIs = uri(t, "interlock://acme:1/device/press-7") },
		"user":                  func(c *x509.Certificate) { c.URIs = uri(t, "interlock://x@acme/device/press-7") },
		"query":                 func(c *x509.Certificate) { c.URIs = uri(t, pressID.String()+"?") },
		"fragment":              func(c *x509.Certificate) { c.URIs = uri(t, pressID.String()+"#f") },
		"dot segments":          func(c *x509.Certificate) { c.URIs = uri(t, "interlock://acme/device/x/../press-7") },
		"escape":                func(c *x509.Certificate) { c.URIs = uri(t, "interlock://acme/device/press%2d7") },
		"trailing slash":        func(c *x509.Certificate) { c.URIs = uri(t, pressID.String()+"/") },
		"name constraints":      func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example"} },
		"critical extension":    func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true}} },
	}
	c := newCA(t)
	for name, spoil := range rows {
		tmpl := device(t)
		spoil(tmpl)
		_, err := verify.Chain(c.leaf(t, tmpl), c.management())
		wantKind(t, name, err, core.KindUnauthenticated)
	}
}

func rawNames(t *testing.T, c *x509.Certificate, names ...asn1.RawValue) {
	t.Helper()
	b, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	c.URIs = nil
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{2, 5, 29, 17}, Critical: true, Value: b})
}

func TestServerRefusals(t *testing.T) {
	rows := map[string]func(*x509.Certificate){
		"other host":     func(c *x509.Certificate) { c.DNSNames = []string{"evil.example"} },
		"wildcard":       func(c *x509.Certificate) { c.DNSNames = []string{"*.example"} },
		"wildcard aside": func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.example") },
		"client usage":   func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
		"with URI":       func(c *x509.Certificate) { c.URIs = uri(t, pressID.String()) },
		"subject alone":  func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil; c.Subject.CommonName = "core.example" },
	}
	c := newCA(t)
	want := verify.Want{Pins: c.pins(), Profile: verify.ProfileServer, Validity: verify.At(now), Host: "core.example"}
	if _, err := verify.Chain(c.leaf(t, server(t)), want); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range rows {
		tmpl := server(t)
		spoil(tmpl)
		_, err := verify.Chain(c.leaf(t, tmpl), want)
		wantKind(t, name, err, core.KindUnauthenticated)
	}
	want.Host = ""
	_, err := verify.Chain(c.leaf(t, server(t)), want)
	wantKind(t, "no host asked for", err, core.KindInternal)
}

func TestChainRefusals(t *testing.T) {
	c, other := newCA(t), newCA(t)
	good := c.leaf(t, device(t))
	foreign := other.leaf(t, device(t))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaLeaf := sign(t, device(t), c.mid, rsaKey.Public(), c.midKey)
	byRoot := sign(t, device(t), c.root, newKey(t).Public(), c.rootKey)
	deepKey := newKey(t)
	deep := sign(t, caTemplate("deeper", 9, 0), c.mid, deepKey.Public(), c.midKey)
	deepLeaf := sign(t, device(t), deep, newKey(t).Public(), deepKey)
	byLeafKey := newKey(t)
	leafAsCA := sign(t, device(t), c.mid, byLeafKey.Public(), c.midKey)
	childOfLeaf := sign(t, device(t), leafAsCA, newKey(t).Public(), byLeafKey)
	zero, long := device(t), device(t)
	zero.SerialNumber, long.SerialNumber = big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 158)
	// A root with the pinned key but not made by it: anybody can write one.
	forged := caTemplate("root", 1, 5)
	forged.AuthorityKeyId = forged.SubjectKeyId
	forgedRoot := sign(t, forged, caTemplate("root", 1, 5), c.rootKey.Public(), newKey(t))
	rows := []struct {
		name  string
		chain []*x509.Certificate
		want  core.Kind
	}{
		{"nothing", nil, core.KindUnauthenticated},
		{"leaf alone", good[:1], core.KindUnauthenticated},
		{"without root", good[:2], core.KindUnauthenticated},
		{"without intermediate", []*x509.Certificate{good[0], good[2]}, core.KindUnauthenticated},
		{"from another CA", foreign, core.KindUnauthenticated},
		{"from another CA, with our root beside it", append(foreign[:2:2], c.root), core.KindUnauthenticated},
		{"from another CA of the same names", []*x509.Certificate{foreign[0], other.mid, other.root, c.root}, core.KindUnauthenticated},
		{"RSA leaf", []*x509.Certificate{rsaLeaf, c.mid, c.root}, core.KindUnauthenticated},
		{"path too long", []*x509.Certificate{deepLeaf, deep, c.mid, c.root}, core.KindUnauthenticated},
		{"leaf as issuer", []*x509.Certificate{childOfLeaf, leafAsCA, c.mid, c.root}, core.KindUnauthenticated},
		{"intermediate as leaf", []*x509.Certificate{c.mid, c.root}, core.KindUnauthenticated},
		{"root as leaf", []*x509.Certificate{c.root, c.root}, core.KindUnauthenticated},
		{"forged self-signature", []*x509.Certificate{good[0], c.mid, forgedRoot}, core.KindUnauthenticated},
		{"too many", []*x509.Certificate{good[0], c.mid, c.mid, c.mid, c.mid, c.root}, core.KindTooLarge},
	}
	for _, r := range rows {
		_, err := verify.Chain(r.chain, c.management())
		wantKind(t, r.name, err, r.want)
	}
	if _, err := verify.Chain([]*x509.Certificate{byRoot, c.root}, c.management()); err != nil {
		t.Errorf("issued by the root itself: %v", err)
	}
	for _, tmpl := range []*x509.Certificate{zero, long} {
		if _, err := verify.Chain(c.leaf(t, tmpl), c.management()); err != nil {
			t.Errorf("serial %x: %v", tmpl.SerialNumber, err)
		}
	}
	unpinned := c.management()
	unpinned.Pins = nil
	_, err = verify.Chain(good, unpinned)
	wantKind(t, "no pins", err, core.KindUnauthenticated)
	unpinned = c.management()
	unpinned.Validity = verify.Validity{}
	_, err = verify.Chain(good, unpinned)
	wantKind(t, "no validity", err, core.KindInternal)
	unpinned = c.management()
	unpinned.Profile = verify.ProfileOperator
	_, err = verify.Chain(good, unpinned)
	wantKind(t, "reserved profile", err, core.KindInternal)
}

func TestOversizedCertificate(t *testing.T) {
	c := newCA(t)
	tmpl := device(t)
	tmpl.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, 9<<10)}}
	_, err := verify.Chain(c.leaf(t, tmpl), c.management())
	wantKind(t, "9 KiB", err, core.KindTooLarge)
}

func TestValidity(t *testing.T) {
	c := newCA(t)
	chain := c.leaf(t, device(t)) // now-1h to now+7d
	wide := 10000 * day
	rows := []struct {
		name    string
		v       verify.Validity
		good    bool
		expired bool
	}{
		{"now", verify.At(now), true, false},
		{"before", verify.At(now.Add(-2 * time.Hour)), false, false},
		{"after", verify.At(now.Add(8 * day)), false, false},
		{"expired, renewing", verify.ExpiredBy(now.Add(8 * day)), true, true},
		{"good, renewing", verify.ExpiredBy(now), true, false},
		{"long expired, issuer too", verify.ExpiredBy(now.Add(wide)), true, true},
		{"not yet valid, renewing", verify.ExpiredBy(now.Add(-day)), false, false},
		{"bound before", verify.Since(now.Add(-200 * day)), true, false},
		{"bound in 1970", verify.Since(time.Unix(0, 0)), true, false},
		{"bound inside", verify.Since(now), true, false},
		{"bound on the last moment", verify.Since(now.Add(7 * day)), true, false},
		{"bound after", verify.Since(now.Add(7*day + time.Second)), false, false},
	}
	for _, r := range rows {
		want := c.management()
		want.Validity = r.v
		peer, err := verify.Chain(chain, want)
		if r.good != (err == nil) || (r.good && peer.Expired != r.expired) {
			t.Errorf("%s: %+v, %v", r.name, peer, err)
		}
		if !r.good {
			wantKind(t, r.name, err, core.KindExpired)
		}
	}
}

// A chain whose parts were never valid at the same time is not valid since
// anything.
func TestSinceNeedsOneMoment(t *testing.T) {
	c := newCA(t)
	mid := caTemplate("intermediate", 2, 0)
	mid.NotAfter = now.Add(-2 * day)
	c.mid = sign(t, mid, c.root, c.midKey.Public(), c.rootKey)
	want := c.management()
	want.Validity = verify.Since(time.Unix(0, 0))
	_, err := verify.Chain(c.leaf(t, device(t)), want)
	wantKind(t, "issuer expired before the leaf began", err, core.KindExpired)
}

func TestIdentityHasOneSpelling(t *testing.T) {
	for _, s := range []string{
		"interlock://acme/device/press-7", "interlock://acme/workload/press-7/hmi",
	} {
		id, err := verify.ParseIdentity(s)
		if err != nil || id.String() != s {
			t.Errorf("%s: %v, %v", s, id, err)
		}
	}
	for _, s := range []string{
		"", "interlock://", "interlock://acme", "interlock://acme/device", "interlock://acme/device/", "interlock:///device/x", "interlock://acme/workload/x",
		"interlock://acme/workload/x/", "interlock://acme/device/x/y", "interlock://acme/device/x/y/z", "INTERLOCK://acme/device/x", "interlock://acme/devices/x",
		"interlock://acme/device/" + strings.Repeat("a", 64), "interlock://acme/device/../x", " interlock://acme/device/x", "interlock://acme/device/x\n", "//acme/device/x",
	} {
		_, err := verify.ParseIdentity(s)
		wantKind(t, s, err, core.KindInvalid)
	}
}

func TestPins(t *testing.T) {
	c := newCA(t)
	good := verify.PinOf(c.root).String()
	pins, err := verify.ParsePins(good, strings.Repeat("0", 64))
	if err != nil || !pins.Has(c.root) || pins.Has(c.mid) {
		t.Errorf("%v, %v", pins, err)
	}
	for _, bad := range [][]string{nil, {""}, {good[1:]}, {good + "00"}, {strings.ToUpper(good)}, {strings.Repeat("g", 64)}, make([]string, 17)} {
		_, err := verify.ParsePins(bad...)
		wantKind(t, fmt.Sprint(bad), err, core.KindInvalid)
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("interlock://acme/device/press-7")
	f.Add("interlock://acme/workload/press-7/hmi")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := verify.ParseIdentity(s); err == nil && (id.String() != s || id.Check() != nil) {
			t.Errorf("%q reads as %q", s, id)
		}
	})
}

func FuzzParseChain(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		certs, err := verify.ParseChain(b)
		if err == nil {
			_, _ = verify.Chain(certs, verify.Want{Pins: verify.Pins{{}}, Profile: verify.ProfileManagement, Validity: verify.At(now)})
		}
	})
}

// listener runs a TLS server that says who came.
type listener struct {
	addr string
	seen chan string
}

func listen(t *testing.T, c *ca, s verify.Server, tmpl *x509.Certificate) listener {
	t.Helper()
	key := newKey(t)
	cert := tls.Certificate{PrivateKey: key}
	for _, x := range []*x509.Certificate{sign(t, tmpl, c.mid, key.Public(), c.midKey), c.mid, c.root} {
		cert.Certificate = append(cert.Certificate, x.Raw)
	}
	raw, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listener{addr: raw.Addr().String(), seen: make(chan string, 16)}
	t.Cleanup(func() { _ = raw.Close() })
	conf := s.TLS(func() (*tls.Certificate, error) { return &cert, nil })
	go func() {
		for {
			conn, err := raw.Accept()
			if err != nil {
				return
			}
			l.serve(tls.Server(conn, conf), s)
		}
	}()
	return l
}

func (l listener) serve(conn *tls.Conn, s verify.Server) {
	defer conn.Close()
	if err := conn.HandshakeContext(context.Background()); err != nil {
		l.seen <- "handshake refused"
		return
	}
	cs := conn.ConnectionState()
	_, _ = conn.Write([]byte("x"))
	if peer, err := s.Peer(&cs); err == nil {
		l.seen <- peer.Identity.String()
	} else if renewing, rerr := s.Renewing(&cs); rerr == nil {
		l.seen <- core.KindOf(err).String() + ", renews " + renewing.Identity.String()
	} else {
		l.seen <- core.KindOf(err).String()
	}
}

func dial(t *testing.T, addr string, conf *tls.Config) error {
	t.Helper()
	d := tls.Dialer{Config: conf}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the server's refusal comes with the first read
	return err
}

func (c *ca) client(t *testing.T, tmpl *x509.Certificate) func() (*tls.Certificate, error) {
	t.Helper()
	if tmpl == nil {
		return func() (*tls.Certificate, error) { return nil, nil }
	}
	key := newKey(t)
	cert := &tls.Certificate{PrivateKey: key}
	for _, x := range []*x509.Certificate{sign(t, tmpl, c.mid, key.Public(), c.midKey), c.mid, c.root} {
		cert.Certificate = append(cert.Certificate, x.Raw)
	}
	return func() (*tls.Certificate, error) { return cert, nil }
}

func TestServerTLS(t *testing.T) {
	c, other := newCA(t), newCA(t)
	s := verify.Server{Pins: c.pins, Clock: clocktest.New(now)}
	l := listen(t, c, s, server(t))
	expired, wrongUse := device(t), device(t)
	expired.NotBefore, expired.NotAfter = now.Add(-40*day), now.Add(-30*day)
	wrongUse.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	rows := []struct {
		name   string
		client func() (*tls.Certificate, error)
		want   string
	}{
		{"good", c.client(t, device(t)), pressID.String()},
		{"none", c.client(t, nil), "unauthenticated"},
		{"expired", c.client(t, expired), "expired, renews " + pressID.String()},
		{"another CA", other.client(t, device(t)), "handshake refused"},
		{"wrong usage", c.client(t, wrongUse), "handshake refused"},
	}
	for _, r := range rows {
		agent := verify.Agent{Pins: c.pins, Lower: func() time.Time { return now }, Host: "127.0.0.1", Certificate: r.client}
		err := dial(t, l.addr, agent.TLS())
		if got := <-l.seen; got != r.want || (err == nil) != (r.want != "handshake refused") {
			t.Errorf("%s: server saw %q, want %q; client saw %v", r.name, got, r.want, err)
		}
	}
}

func TestServerTLSRefusesOldAndPlain(t *testing.T) {
	c := newCA(t)
	l := listen(t, c, verify.Server{Pins: c.pins, Clock: clocktest.New(now)}, server(t))
	conf := verify.Agent{Pins: c.pins, Lower: func() time.Time { return now }, Host: "127.0.0.1", Certificate: c.client(t, device(t))}.TLS()
	conf.MinVersion, conf.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := dial(t, l.addr, conf); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
	if got := <-l.seen; got != "handshake refused" {
		t.Errorf("TLS 1.2: %s", got)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got := <-l.seen; got != "handshake refused" {
		t.Errorf("plaintext: %s", got)
	}
	s := verify.Server{Pins: c.pins, Clock: clocktest.New(now)}
	_, err = s.Peer(nil)
	wantKind(t, "no TLS at all", err, core.KindUnauthenticated)
}

func TestAgentTLSRefusesOtherServers(t *testing.T) {
	c, other := newCA(t), newCA(t)
	expired, otherHost := server(t), server(t)
	expired.NotAfter = now.Add(-time.Minute)
	otherHost.DNSNames, otherHost.IPAddresses = []string{"evil.example"}, nil
	rows := []struct {
		name  string
		ca    *ca
		tmpl  *x509.Certificate
		lower time.Time
		good  bool
	}{
		{"good", c, server(t), now, true},
		{"good, clock lost", c, server(t), time.Unix(0, 0), true},
		{"another CA", other, server(t), now, false},
		{"expired", c, expired, now, false},
		{"expired, but not for sure", c, expired, now.Add(-time.Hour), true},
		{"another host", c, otherHost, now, false},
		{"a device poses as the server", c, device(t), now, false},
	}
	for _, r := range rows {
		l := listen(t, r.ca, verify.Server{Pins: r.ca.pins, Clock: clocktest.New(now)}, r.tmpl)
		agent := verify.Agent{Pins: c.pins, Lower: func() time.Time { return r.lower }, Host: "127.0.0.1"}
		if err := dial(t, l.addr, agent.TLS()); (err == nil) != r.good {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

func TestRotatedPinsCountAtOnce(t *testing.T) {
	c := newCA(t)
	pins := c.pins()
	s := verify.Server{Pins: func() verify.Pins { return pins }, Clock: clocktest.New(now)}
	l := listen(t, c, s, server(t))
	agent := verify.Agent{Pins: c.pins, Lower: func() time.Time { return now }, Host: "127.0.0.1", Certificate: c.client(t, device(t))}
	if err := dial(t, l.addr, agent.TLS()); err != nil {
		t.Fatal(err)
	}
	<-l.seen
	pins = newCA(t).pins()
	if err := dial(t, l.addr, agent.TLS()); err == nil {
		t.Error("a device of the old root still came in")
	}
	if got := <-l.seen; got != "handshake refused" {
		t.Errorf("server saw %s", got)
	}
}
