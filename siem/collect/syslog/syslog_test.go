package syslog

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/platform/journal"
	"github.com/interlock-security/interlock/siem/collect"
)

// sink hands frames to the test; while gate is closed it makes the collector
// wait.
type sink struct {
	events chan core.Event
	gate   chan struct{}
}

func (s *sink) Append(ctx context.Context, f journal.Frame) error {
	select {
	case <-s.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, r := range f.Records {
		var e core.Event
		if err := json.Unmarshal(r, &e); err != nil {
			return err
		}
		s.events <- e
	}
	return nil
}

// server is a collector that runs.
type server struct {
	t    *testing.T
	c    *Collector
	sink *sink
}

func start(t *testing.T, c Config, open bool) *server {
	t.Helper()
	c.Tenant, c.Clock, c.Log, c.Location = core.MustID[core.TenantID]("acme"), core.SystemClock{}, slog.New(slog.DiscardHandler), time.UTC
	s, err := Listen(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	out := &server{t, s, &sink{make(chan core.Event, 100_000), make(chan struct{})}}
	if open {
		close(out.sink.gate)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, out.sink) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled { //nolint:errorlint // Run returns it bare
			t.Errorf("Run ended with %v", err)
		}
	})
	return out
}

func (s *server) next() (core.Event, collect.Line) {
	s.t.Helper()
	select {
	case e := <-s.sink.events:
		var l collect.Line
		if err := json.Unmarshal(e.Fields, &l); err != nil {
			s.t.Fatal(err)
		}
		return e, l
	case <-time.After(3 * time.Minute):
		s.t.Fatal("no event")
	}
	panic("unreachable")
}

func (s *server) dial(network string, i int) net.Conn {
	s.t.Helper()
	c, err := net.Dial(network, s.c.Addrs()[i].String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func TestUDPSourceIsThePeerWhateverTheMessageSays(t *testing.T) {
	s := start(t, Config{UDP: "127.0.0.1:0"}, true)
	send(t, s.dial("udp", 0), "<38>Nov 21 19:00:00 press-7 sshd[12]: Failed password for root from 203.0.113.9 port 1 ssh2")
	e, l := s.next()
	if e.Source != "syslog/127.0.0.1" || e.Provenance != core.ProvenanceUnauthenticated || !e.Device.IsZero() || e.Type != "sshd" {
		t.Errorf("%+v", e)
	}
	if l.Host != "press-7" || l.Program != "sshd" || l.PID != "12" || l.Facility != "auth" || l.Message != "Failed password for root from 203.0.113.9 port 1 ssh2" ||
		!strings.HasPrefix(l.Line, "<38>Nov 21") {
		t.Errorf("%+v", l)
	}
	if c := s.c.Sources()["syslog/127.0.0.1"]; c.Records != 1 {
		t.Errorf("%+v", c)
	}
}

func TestFormsOfMessages(t *testing.T) {
	received := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := newParser(time.UTC)
	for _, row := range []struct{ text, want string }{
		{"<38>Jan  2 03:04:05 host sshd[12]: hello", "2026-01-02T03:04:05Z|host|sshd|12|hello|info|true"},
		{"<38>Dec 31 23:59:59 host sshd: hello", "2025-12-31T23:59:59Z|host|sshd||hello|info|true"},
		{"<38>Feb 29 00:00:00 host sshd: hello", "2024-02-29T00:00:00Z|host|sshd||hello|info|true"},
		{"<38>2026-01-02T04:04:05+01:00 host sshd[12]: hello", "2026-01-02T03:04:05Z|host|sshd|12|hello|info|true"},
		{"<34>1 2026-01-02T03:04:05.003Z host su 77 ID47 [x@1 a=\"b\"] 'su root' failed", "2026-01-02T03:04:05.003Z|host|su|77|'su root' failed|high|true"},
		{"<38>no header at all", "2026-01-02T03:04:05Z||||<38>no header at all|info|true"},
		{"junk", "2026-01-02T03:04:05Z||||junk|info|false"},
		{"", "2026-01-02T03:04:05Z|||||info|false"},
		{"<999>x", "2026-01-02T03:04:05Z||||<999>x|info|false"},
	} {
		m := p.read([]byte(row.text), received)
		got := strings.Join([]string{m.at.Format(time.RFC3339Nano), m.Host, m.Program, m.PID, m.Message, string(m.severity), fmt.Sprint(m.ok)}, "|")
		if got != row.want || m.Line.Line != row.text {
			t.Errorf("%q\n got  %s\n want %s", row.text, got, row.want)
		}
	}
	if m := p.read([]byte("<34>1 - - - - - [x@1 a=\"b\"] m"), received); m.Structured["x@1"]["a"] != "b" {
		t.Errorf("%+v", m.Structured)
	}
}

func TestBothFramingsOnOneConnection(t *testing.T) {
	s := start(t, Config{TCP: "127.0.0.1:0"}, true)
	c := s.dial("tcp", 0)
	counted := "<38>1 2026-01-02T03:04:05Z h app 1 - - two\nlines"
	send(t, c, "<38>Jan  2 03:04:05 h app: one\n"+fmt.Sprintf("%d %s", len(counted), counted)+"<38>Jan  2 03:04:05 h app: last without an end")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two\nlines", "last without an end"} {
		if _, l := s.next(); l.Message != want {
			t.Errorf("%q, want %q", l.Message, want)
		}
	}
}

func TestLongMessagesAreCutAndMarked(t *testing.T) {
	s := start(t, Config{TCP: "127.0.0.1:0"}, true)
	c := s.dial("tcp", 0)
	long := "<38>" + strings.Repeat("x", 2*MaxMessage)
	send(t, c, long+"\n"+fmt.Sprintf("%d %s", len(long), long)+"<38>Jan  2 03:04:05 h app: after\n")
	for range 2 {
		if _, l := s.next(); !l.Cut || len(l.Line) != MaxMessage {
			t.Errorf("cut %t, %d bytes", l.Cut, len(l.Line))
		}
	}
	if _, l := s.next(); l.Cut || l.Message != "after" {
		t.Errorf("%+v", l)
	}
	if n := s.c.Counts().Cut; n != 2 {
		t.Errorf("%d cut", n)
	}
}

// TestWhatUDPLosesIsCountedAndSaid: a journal that stands still, and more
// messages than the queue holds.
func TestWhatUDPLosesIsCountedAndSaid(t *testing.T) {
	s := start(t, Config{UDP: "127.0.0.1:0"}, false)
	sent := 3 * maxQueue
	m := s.c.message(&net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, core.ProvenanceUnauthenticated, "", []byte("<38>Jan  2 03:04:05 h app: x"))
	for range sent {
		s.c.push(context.Background(), m, false)
	}
	lost := s.c.Counts().Lost
	if lost == 0 || s.c.Sources()["syslog/192.0.2.1"].Lost != lost {
		t.Fatalf("lost %d, of the source %+v", lost, s.c.Sources())
	}
	close(s.sink.gate)
	var got, told uint64
	for got+told < uint64(sent) {
		e, _ := s.next()
		if e.Type != collect.TypeLoss {
			got++
			continue
		}
		var f struct{ Lost uint64 }
		if err := json.Unmarshal(e.Fields, &f); err != nil || e.Source != "syslog" || e.Provenance != core.ProvenanceLocal {
			t.Fatalf("%v %+v", err, e)
		}
		told += f.Lost
	}
	if told != lost {
		t.Errorf("%d said to be lost, %d were", told, lost)
	}
}

func TestSourcesAreCountedWithinALimit(t *testing.T) {
	s := start(t, Config{UDP: "127.0.0.1:0"}, true)
	for i := range 2 * maxSources {
		s.c.count(fmt.Sprint("syslog/", i), func(c *SourceCounts) { c.Records++ })
	}
	all := s.c.Sources()
	if len(all) != maxSources+1 || all["others"].Records != maxSources {
		t.Errorf("%d sources, %d others", len(all), all["others"].Records)
	}
}

// TestTheRealLogger sends with util-linux's logger in both forms.
func TestTheRealLogger(t *testing.T) {
	s := start(t, Config{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0"}, true)
	for i, row := range [][]string{{"--udp", "--rfc3164"}, {"--udp", "--rfc5424"}, {"--tcp", "--rfc5424", "--octet-count"}, {"--tcp", "--rfc3164"}} {
		port := 0
		if row[0] == "--tcp" {
			port = 1
		}
		_, number, err := net.SplitHostPort(s.c.Addrs()[port].String())
		if err != nil {
			t.Fatal(err)
		}
		args := append(row, "-n", "127.0.0.1", "-P", number, "-t", "sshd", "-p", "auth.info", fmt.Sprint("message ", i))
		if out, err := exec.Command("logger", args...).CombinedOutput(); err != nil {
			t.Fatalf("logger %v: %v %s", args, err, out)
		}
		if e, l := s.next(); l.Program != "sshd" || l.Message != fmt.Sprint("message ", i) || e.Type != "sshd" {
			t.Errorf("%v: %+v", row, l)
		}
	}
}

// TestOnlyAVerifiedCertificateAuthenticates: TLS alone proves nothing of the
// client.
func TestOnlyAVerifiedCertificateAuthenticates(t *testing.T) {
	ca := newCA(t)
	conf := func(auth tls.ClientAuthType) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{ca.issue("127.0.0.1")}, ClientCAs: ca.pool, ClientAuth: auth}
	}
	s := start(t, Config{TLS: "127.0.0.1:0", TLSConfig: conf(tls.VerifyClientCertIfGiven)}, true)
	for _, row := range []struct {
		certs  []tls.Certificate
		source string
		want   core.Provenance
	}{
		{nil, "syslog/127.0.0.1", core.ProvenanceUnauthenticated},
		{[]tls.Certificate{ca.issue("relay-1")}, "syslog-mtls/relay-1", core.ProvenanceMTLS},
	} {
		c, err := tls.Dial("tcp", s.c.Addrs()[0].String(), &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1", Certificates: row.certs})
		if err != nil {
			t.Fatal(err)
		}
		send(t, c, "<38>Jan  2 03:04:05 h app: x\n")
		if e, _ := s.next(); e.Source != row.source || e.Provenance != row.want {
			t.Errorf("%s %s, want %s %s", e.Source, e.Provenance, row.source, row.want)
		}
		_ = c.Close()
	}
	other := newCA(t)
	c, err := tls.Dial("tcp", s.c.Addrs()[0].String(), &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{other.issue("relay-1")}})
	if err == nil {
		// TLS 1.3 tells a client of a refusal with its first read.
		if _, err = c.Read(make([]byte, 1)); err == nil {
			t.Error("a certificate of another authority was taken")
		}
	}
}

type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newCA(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	a.key, a.cert = a.sign(tmpl)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(tmpl *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	key, cert := a.sign(tmpl)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func TestListenRefuses(t *testing.T) {
	good := Config{Tenant: core.MustID[core.TenantID]("a"), Clock: core.SystemClock{}, Log: slog.New(slog.DiscardHandler)}
	if _, err := Listen(context.Background(), good); core.KindOf(err) != core.KindInvalid {
		t.Errorf("no address: %v", err)
	}
	good.TLS = "127.0.0.1:0"
	if _, err := Listen(context.Background(), good); core.KindOf(err) != core.KindInvalid {
		t.Errorf("TLS without configuration: %v", err)
	}
	good.TLS, good.UDP = "", "192.0.2.1:1"
	if _, err := Listen(context.Background(), good); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("an address that is not ours: %v", err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"<38>Jan  2 03:04:05 h app[1]: x", "<34>1 2026-01-02T03:04:05Z h a 1 - [x@1 a=\"b\"] m", "5 <1>x\n<2>y\n", "99999999999 x"} {
		f.Add([]byte(s))
	}
	p := newParser(time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		p.read(b, time.Unix(1e9, 0))
		r := bufio.NewReaderSize(strings.NewReader(string(b)), MaxMessage+1)
		for range len(b) + 2 {
			m, _, err := readMessage(r)
			if len(m) > MaxMessage {
				t.Fatalf("a message of %d bytes", len(m))
			}
			if err != nil {
				return
			}
		}
		t.Fatal("the stream does not end")
	})
}
