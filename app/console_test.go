package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/core/clocktest"
	"github.com/interlock-security/interlock/safety/stop"
)

func TestTheConsolesAddress(t *testing.T) {
	for _, row := range []struct{ listen, name, cert, want string }{
		{"127.0.0.1:7400", "localhost", "", "http://localhost:7400"},
		{"127.0.0.1:80", "localhost", "", "http://localhost"},
		{"[::1]:7400", "localhost", "", "http://localhost:7400"},
		{"0.0.0.0:443", "console.example", "c.pem", "https://console.example"},
		{"0.0.0.0:8443", "console.example", "", "https://console.example:8443"},
		{"127.0.0.1:7400", "console.example", "c.pem", "https://console.example:7400"}, // behind a forwarder
		{"", "localhost", "", ""},
	} {
		l := Listen{Console: row.listen, ConsoleName: row.name, ConsoleCertificate: row.cert}
		if got := l.ConsoleURL(); got != row.want {
			t.Errorf("%+v: %q, want %q", row, got, row.want)
		}
	}
}

// TestAConsoleBeyondLoopbackIsTLS: nothing can be configured by which a session
// goes over a network in the clear.
func TestAConsoleBeyondLoopbackIsTLS(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Listen)
		ok     bool
	}{
		"default":                {func(*Listen) {}, true},
		"off":                    {func(l *Listen) { l.Console = "" }, true},
		"no address":             {func(l *Listen) { l.Console = "7400" }, false},
		"a number for a name":    {func(l *Listen) { l.ConsoleName = "127.0.0.1" }, false},
		"no name":                {func(l *Listen) { l.ConsoleName = "" }, false},
		"beyond, as localhost":   {func(l *Listen) { l.Console = "0.0.0.0:7400" }, false},
		"beyond, no certificate": {func(l *Listen) { l.Console, l.ConsoleName = "0.0.0.0:7400", "console.example" }, false},
		"beyond, our CA's": {func(l *Listen) {
			l.Console, l.ConsoleName, l.Names = ":7400", "console.example", []string{"console.example"}
		}, true},
		"beyond, certificate": {func(l *Listen) {
			l.Console, l.ConsoleName, l.ConsoleCertificate, l.ConsoleKey = ":7400", "console.example", "c", "k"
		}, true},
		"a certificate, no key":    {func(l *Listen) { l.ConsoleCertificate = "c" }, false},
		"a key and no certificate": {func(l *Listen) { l.ConsoleKey = "k" }, false},
	} {
		cfg := Default(1000)
		row.change(&cfg.Listen)
		if err := cfg.Validate(); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pair writes a certificate for a name.
func pair(t *testing.T, name string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, made, made, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	return cert, key, roots
}

// door serves a handler as the console is served.
func door(t *testing.T, l Listen) (*Server, string) {
	t.Helper()
	cfg := Default(1000)
	cfg.Listen = l
	s := &Server{Config: cfg, clock: core.SystemClock{}, log: slog.New(slog.DiscardHandler)}
	config, err := s.consoleTLS()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	go func() { done <- s.serveBrowsers(t.Context(), h, listener, config) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, listener.Addr().String()
}

func TestTheConsoleSpeaksTLS13AndNothingOlder(t *testing.T) {
	cert, key, roots := pair(t, "console.example")
	_, address := door(t, Listen{Console: "0.0.0.0:7400", ConsoleName: "console.example", ConsoleCertificate: cert, ConsoleKey: key})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "console.example"}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get("https://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	proto, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || string(proto) != "HTTP/2.0" || res.TLS.Version != tls.VersionTLS13 {
		t.Errorf("%s over TLS %x, %v", proto, res.TLS.Version, err)
	}
	if c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "console.example", MaxVersion: tls.VersionTLS12}); err == nil { //nolint:gosec // that it is refused is the point
		_ = c.Close()
		t.Error("TLS 1.2 is taken")
	}
	if res, err := http.Get("http://" + address + "/"); err == nil {
		if res.StatusCode == http.StatusOK {
			t.Error("plain HTTP is answered")
		}
		_ = res.Body.Close()
	}
}

func TestACertificateThatIsNoneIsSaid(t *testing.T) {
	s := &Server{Config: Config{Listen: Listen{Console: ":1", ConsoleCertificate: "/nowhere", ConsoleKey: "/nowhere"}}}
	if _, err := s.consoleTLS(); core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), "console_certificate") {
		t.Errorf("%v", err)
	}
	s = &Server{Config: Config{Listen: Listen{Console: ":1"}}}
	config, err := s.consoleTLS()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.GetCertificate(nil); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("before the CA has issued one: %v", err)
	}
}

// TestATakenAddressKeepsNothingFromWorking: the server says so, tries again, and
// serves when the address is free.
func TestATakenAddressKeepsNothingFromWorking(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktest.New(time.Now())
	cfg := Default(1000)
	cfg.Listen.Console = other.Addr().String()
	s := &Server{Config: cfg, clock: clock, log: slog.New(slog.DiscardHandler)}
	done := make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	go func() { done <- s.listenConsole(t.Context(), h, nil) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(3 * time.Minute); clock.Waiters() == 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it does not wait for its next try")
		}
	}
	if why := s.consoleProblem.Load(); why == nil || !strings.Contains(*why, "listen.console") {
		t.Errorf("it is not said: %v", why)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	clock.Advance(consoleAgain)
	deadline := time.Now().Add(3 * time.Minute)
	for {
		res, err := http.Get("http://" + cfg.Listen.Console)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode != http.StatusTeapot {
				t.Errorf("%d", res.StatusCode)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if why := s.consoleProblem.Load(); why != nil {
		t.Errorf("still said: %s", *why)
	}
}

// TestClientsThatHangDoNotHoldUpAStop: connections that say nothing, or begin a
// request and don't go on, cost the stop path nothing and other browsers nothing
// either.
func TestClientsThatHangDoNotHoldUpAStop(t *testing.T) {
	_, address := door(t, Listen{Console: "127.0.0.1:0", ConsoleName: "localhost"})
	for i := range 300 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if i%2 == 0 {
			_, _ = io.WriteString(c, "POST /stop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n")
		}
	}
	hub := stop.NewHub(func(stop.Stop, stop.Target) ([]byte, error) { return []byte("x"), nil })
	stops := stop.NewService(stop.Config{Ring: stop.NewMemoryRing(stop.RingOptions{Slots: stop.MinSlots}), Hub: hub, Clock: core.SystemClock{}})
	site, anna, tenant := core.MustID[core.SiteID]("hall-a"), core.MustID[core.PersonID]("anna"), core.MustID[core.TenantID]("main")
	stops.SetPersons([]stop.Person{{ID: anna, Tenant: tenant, Sites: []core.SiteID{site}}})
	who := core.Principal{Kind: core.KindPerson, ID: "anna", Tenant: tenant, Sites: []core.SiteID{site}}
	if _, err := stops.Trip(who, stop.Scope{Kind: stop.ScopeSite, Site: site}, ""); err != nil {
		t.Error(err)
	}
	res, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}
