package pki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/digital/crypt"
	"github.com/interlock-security/interlock/digital/pki"
	"github.com/interlock-security/interlock/digital/pki/verify"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// recorder keeps issuances, or fails.
type recorder struct {
	all []pki.Issuance
	err error
}

func (r *recorder) Issued(_ context.Context, i pki.Issuance) error {
	if r.err == nil {
		r.all = append(r.all, i)
	}
	return r.err
}

type fixture struct {
	*pki.Authority
	dir   string
	rec   *recorder
	clock *clocktest.Clock
	conf  pki.Config
}

func newAuthority(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	ring, err := crypt.OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{dir: dir, rec: &recorder{}, clock: clocktest.New(start)}
	f.conf = pki.Config{Dir: filepath.Join(dir, "ca"), Sealer: ring, Recorder: f.rec, Clock: f.clock, Name: "acme"}
	if f.Authority, err = pki.Open(t.Context(), f.conf); err != nil {
		t.Fatal(err)
	}
	return f
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var (
	press    = verify.Identity{Tenant: core.MustID[core.TenantID]("acme"), Device: core.MustID[core.DeviceID]("press-7")}
	workload = verify.Identity{Tenant: press.Tenant, Device: press.Device, Workload: core.MustID[core.ServiceID]("hmi")}
)

func (f *fixture) issue(t *testing.T, p verify.Profile, n pki.Names) []*x509.Certificate {
	t.Helper()
	chain, err := f.Issue(t.Context(), p, n, newKey(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	certs, err := verify.ParseChain(chain)
	if err != nil {
		t.Fatal(err)
	}
	return certs
}

func wantKind(t *testing.T, what string, err error, want core.Kind) {
	t.Helper()
	if err == nil || core.KindOf(err) != want {
		t.Errorf("%s: got %v (kind %s), want kind %s", what, err, core.KindOf(err), want)
	}
}

func TestEachProfileVerifiesAsItselfAndAsNothingElse(t *testing.T) {
	f := newAuthority(t)
	issued := map[verify.Profile][]*x509.Certificate{
		verify.ProfileServer:     f.issue(t, verify.ProfileServer, pki.Names{Hosts: []string{"core.example", "192.0.2.7", "::1"}}),
		verify.ProfileManagement: f.issue(t, verify.ProfileManagement, pki.Names{Identity: press}),
		verify.ProfileWorkload:   f.issue(t, verify.ProfileWorkload, pki.Names{Identity: workload}),
	}
	lasts := map[verify.Profile]time.Duration{verify.ProfileServer: 30 * 24 * time.Hour, verify.ProfileManagement: 7 * 24 * time.Hour, verify.ProfileWorkload: 24 * time.Hour}
	for is, chain := range issued {
		for as := range issued {
			want := verify.Want{Pins: f.Pins(), Profile: as, Validity: verify.At(start), Host: "core.example"}
			if _, err := verify.Chain(chain, want); (err == nil) != (is == as) {
				t.Errorf("a %s certificate as %s: %v", is, as, err)
			}
		}
		leaf := chain[0]
		if leaf.NotBefore != start.Add(-5*time.Minute) || leaf.NotAfter != start.Add(lasts[is]) {
			t.Errorf("%s: valid %s to %s", is, leaf.NotBefore, leaf.NotAfter)
		}
	}
	for _, host := range []string{"192.0.2.7", "::1"} {
		want := verify.Want{Pins: f.Pins(), Profile: verify.ProfileServer, Validity: verify.At(start), Host: host}
		if _, err := verify.Chain(issued[verify.ProfileServer], want); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestEverythingIssuedIsRecordedFirst(t *testing.T) {
	f := newAuthority(t)
	chain := f.issue(t, verify.ProfileManagement, pki.Names{Identity: press})
	if len(f.rec.all) != 4 {
		t.Fatalf("%d entries for two roots, an intermediate and a leaf", len(f.rec.all))
	}
	got, leaf := f.rec.all[3], chain[0]
	if got.Serial != fmt.Sprintf("%032x", leaf.SerialNumber) || got.SPKI != verify.PinOf(leaf).String() ||
		!slices.Equal(got.Names, []string{press.String()}) || got.NotAfter != leaf.NotAfter || got.Issuer != hex.EncodeToString(leaf.AuthorityKeyId) {
		t.Errorf("recorded %+v", got)
	}
	f.rec.err = core.E(core.KindUnavailable, "test", "disk full")
	chainPEM, err := f.Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: press}, newKey(t).Public())
	wantKind(t, "record not durable", err, core.KindUnavailable)
	if chainPEM != nil {
		t.Error("a certificate was issued that is not recorded")
	}
}

func TestNamesAreRefused(t *testing.T) {
	f := newAuthority(t)
	long := strings.Repeat("a", 64)
	rows := []struct {
		name    string
		profile verify.Profile
		names   pki.Names
		want    core.Kind
	}{
		{"reserved profile", verify.ProfileOperator, pki.Names{Identity: press}, core.KindDenied},
		{"CA as a profile", "intermediate", pki.Names{Identity: press}, core.KindDenied},
		{"no profile", "", pki.Names{Identity: press}, core.KindDenied},
		{"management without a name", verify.ProfileManagement, pki.Names{}, core.KindInvalid},
		{"management without a device", verify.ProfileManagement, pki.Names{Identity: verify.Identity{Tenant: press.Tenant}}, core.KindInvalid},
		{"management with hosts", verify.ProfileManagement, pki.Names{Identity: press, Hosts: []string{"a"}}, core.KindInvalid},
		{"management for a workload", verify.ProfileManagement, pki.Names{Identity: workload}, core.KindInvalid},
		{"workload for a device", verify.ProfileWorkload, pki.Names{Identity: press}, core.KindInvalid},
		{"server without hosts", verify.ProfileServer, pki.Names{}, core.KindInvalid},
		{"server with a device", verify.ProfileServer, pki.Names{Identity: press, Hosts: []string{"a"}}, core.KindInvalid},
		{"too many hosts", verify.ProfileServer, pki.Names{Hosts: slices.Repeat([]string{"a"}, 33)}, core.KindInvalid},
	}
	for _, h := range []string{"", "*.example", "a..b", "-a", "a-", "A.example", "a.example.", "a b", "a/b", "é", long, "fe80::1%eth0", "::ffff:192.0.2.1", "1.2.3", "999.1.1.1", "a\x00b", strings.Repeat("a.", 127) + "aa"} {
		rows = append(rows, struct {
			name    string
			profile verify.Profile
			names   pki.Names
			want    core.Kind
		}{fmt.Sprintf("host %.20q", h), verify.ProfileServer, pki.Names{Hosts: []string{h}}, core.KindInvalid})
	}
	before := len(f.rec.all)
	for _, r := range rows {
		_, err := f.Issue(t.Context(), r.profile, r.names, newKey(t).Public())
		wantKind(t, r.name, err, r.want)
	}
	if len(f.rec.all) != before {
		t.Error("a refused request was recorded as issued")
	}
}

func TestKeysAreRefused(t *testing.T) {
	f := newAuthority(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, pub := range map[string]crypto.PublicKey{
		"P-384": p384.Public(), "Ed25519": ed, "RSA": rsaKey.Public(), "none": nil,
		"private": newKey(t),
	} {
		_, err := f.Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: press}, pub)
		wantKind(t, name, err, core.KindInvalid)
	}
}

func TestSerialsArePositiveLongAndDistinct(t *testing.T) {
	f := newAuthority(t)
	seen := map[string]bool{}
	for range 50 {
		s := f.issue(t, verify.ProfileManagement, pki.Names{Identity: press})[0].SerialNumber
		if s.Sign() <= 0 || s.BitLen() != 127 || seen[s.String()] {
			t.Fatalf("serial %x", s)
		}
		seen[s.String()] = true
	}
}

func TestReopenedAuthorityIsTheSame(t *testing.T) {
	f := newAuthority(t)
	again, err := pki.Open(t.Context(), f.conf)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Pins(), f.Pins()) || !bytes.Equal(again.Issuers(), f.Issuers()) {
		t.Error("reopening gave another authority")
	}
	if pins := f.Pins(); len(pins) != 2 || pins[0] == pins[1] {
		t.Errorf("pins %v: want the root's and another in reserve", pins)
	}
	pins, issuers, err := pki.Public(f.conf.Dir)
	if err != nil || !slices.Equal(pins, f.Pins()) || !bytes.Equal(issuers, f.Issuers()) {
		t.Errorf("Public: %v, %v", pins, err)
	}
	_, _, err = pki.Public(f.conf.Dir + "x")
	wantKind(t, "no authority", err, core.KindNotFound)
	f.Close()
	_, err = f.Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: press}, newKey(t).Public())
	wantKind(t, "closed", err, core.KindUnavailable)
}

// A directory with a file missing or foreign is damage, never a reason to make
// a new CA.
func TestDamagedAuthorityIsNotReplaced(t *testing.T) {
	other := newAuthority(t)
	for _, name := range []string{"root.pem", "root.key", "root-next.pem", "root-next.key", "intermediate.pem", "intermediate.key"} {
		for _, how := range []string{"missing", "garbled", "foreign"} {
			f := newAuthority(t)
			path := filepath.Join(f.conf.Dir, name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			switch how {
			case "missing":
				err = os.Remove(path)
			case "garbled":
				b[len(b)/2] ^= 1
				err = os.WriteFile(path, b, 0o600)
			case "foreign":
				if b, err = os.ReadFile(filepath.Join(other.conf.Dir, name)); err == nil {
					err = os.WriteFile(path, b, 0o600)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			a, err := pki.Open(t.Context(), f.conf)
			if err == nil {
				t.Errorf("%s %s: opened with pins %v", name, how, a.Pins())
			}
		}
	}
}

func TestNoHalfMadeAuthority(t *testing.T) {
	dir := t.TempDir()
	ring, err := crypt.OpenVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{err: errors.New("disk full")}
	conf := pki.Config{Dir: filepath.Join(dir, "ca"), Sealer: ring, Recorder: rec, Clock: clocktest.New(start)}
	if _, err := pki.Open(t.Context(), conf); err == nil {
		t.Fatal("made without a record")
	}
	if _, err := os.Stat(conf.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something stands at %s: %v", conf.Dir, err)
	}
	rec.err = nil
	if _, err := pki.Open(t.Context(), conf); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
}

func TestLifetimeIsClampedToTheIssuer(t *testing.T) {
	f := newAuthority(t)
	end := f.issue(t, verify.ProfileServer, pki.Names{Hosts: []string{"a"}})[1].NotAfter
	f.clock.Set(end.Add(-time.Hour))
	if leaf := f.issue(t, verify.ProfileServer, pki.Names{Hosts: []string{"a"}})[0]; leaf.NotAfter != end {
		t.Errorf("a leaf lasts until %s, its issuer until %s", leaf.NotAfter, end)
	}
	for _, at := range []time.Time{end, end.Add(time.Hour), start.Add(-time.Hour)} {
		f.clock.Set(at)
		_, err := f.Issue(t.Context(), verify.ProfileServer, pki.Names{Hosts: []string{"a"}}, newKey(t).Public())
		wantKind(t, at.String(), err, core.KindExpired)
	}
}

func TestPrivateKeysAreSealed(t *testing.T) {
	f := newAuthority(t)
	entries, err := os.ReadDir(f.conf.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(f.conf.Dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 || bytes.Contains(b, []byte("PRIVATE")) {
			t.Errorf("%s: mode %s", e.Name(), info.Mode())
		}
		if _, err := crypt.ParseHeader(b); (err == nil) != strings.HasSuffix(e.Name(), ".key") {
			t.Errorf("%s: sealed %v", e.Name(), err == nil)
		}
	}
}

func TestRequestGivesItsKeyAndNothingElse(t *testing.T) {
	f := newAuthority(t)
	key := newKey(t)
	evil, err := url.Parse("interlock://other/device/root")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "admin"},
		DNSNames: []string{"core.example"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, URIs: []*url.URL{evil},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := pki.PublicKeyOf(csr)
	if err != nil || !key.PublicKey.Equal(pub) {
		t.Fatalf("PublicKeyOf: %v", err)
	}
	chain, err := f.Issue(t.Context(), verify.ProfileManagement, pki.Names{Identity: press}, pub)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := verify.ParseChain(chain)
	if err != nil {
		t.Fatal(err)
	}
	leaf := certs[0]
	if leaf.IsCA || len(leaf.DNSNames)+len(leaf.IPAddresses) != 0 || len(leaf.URIs) != 1 || leaf.URIs[0].String() != press.String() || leaf.Subject.CommonName != "" {
		t.Errorf("the request got into the certificate: %v %v %q", leaf.DNSNames, leaf.URIs, leaf.Subject)
	}
}

func TestRequestRefusals(t *testing.T) {
	good, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	badSig := bytes.Clone(good)
	badSig[len(badSig)-1] ^= 1
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, edKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		csr  []byte
		want core.Kind
	}{
		"nothing":         {nil, core.KindInvalid},
		"cut":             {good[:len(good)-1], core.KindInvalid},
		"trailing":        {append(bytes.Clone(good), 0), core.KindInvalid},
		"huge":            {make([]byte, pki.MaxRequest+1), core.KindTooLarge},
		"wrong signature": {badSig, core.KindUnauthenticated},
		"Ed25519":         {ed, core.KindInvalid},
	} {
		_, err := pki.PublicKeyOf(row.csr)
		wantKind(t, name, err, row.want)
	}
}

func FuzzPublicKeyOf(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	good, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		if pub, err := pki.PublicKeyOf(b); err == nil && pub == nil {
			t.Error("no key and no error")
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	ring, err := crypt.OpenVault(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	a, err := pki.Open(b.Context(), pki.Config{Dir: filepath.Join(b.TempDir(), "ca"), Sealer: ring, Recorder: &recorder{}, Clock: core.SystemClock{}})
	if err != nil {
		b.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := a.Issue(b.Context(), verify.ProfileManagement, pki.Names{Identity: press}, key.Public()); err != nil {
			b.Fatal(err)
		}
	}
}
