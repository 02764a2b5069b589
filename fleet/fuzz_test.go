package fleet

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"testing"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

// FuzzEnrolRequest feeds what strangers send. What gets through names a device
// by the grammar, or none, and a key on P-256 whose holder signed.
func FuzzEnrolRequest(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		f.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	good, err := link.Encode(EnrolRequest{V: 1, Token: "a.b", Device: "press-7", PublicKey: csr, Serial: "SN"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":1,"token":"","device":"../../etc/x","public_key":"","serial":""}`))
	f.Add([]byte(`{"v":1,"v":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r EnrolRequest
		if link.DecodeStrict(body, &r) != nil {
			return
		}
		a, err := r.check()
		if err != nil {
			return
		}
		if _, err := core.ParseID[core.DeviceID](a.name.String()); !a.name.IsZero() && err != nil {
			t.Errorf("device %q", a.name)
		}
		if pub, err := x509.ParsePKIXPublicKey(a.spki); err != nil || len(a.key) != 64 {
			t.Errorf("key %v %q: %v", pub, a.key, err)
		}
	})
}

// FuzzRenewRequest feeds what a device with any certificate may send.
func FuzzRenewRequest(f *testing.F) {
	f.Add([]byte(`{"v":1,"csr":"x","challenge":{"payload":"e30=","signatures":[]}}`))
	f.Add([]byte(`{"v":1}`))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r RenewRequest
		if link.DecodeStrict(body, &r) != nil {
			return
		}
		text, err := r.Challenge.Encode()
		if err != nil {
			return
		}
		if _, err := openSigned(key.Public(), text); err == nil {
			t.Error("a challenge that nobody signed was taken")
		}
	})
}

// FuzzWorkloadRequest feeds what a device may ask for. What gets through names a
// program by the grammar and a key that is not the device's own.
func FuzzWorkloadRequest(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		f.Fatal(err)
	}
	csr := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	good, err := link.Encode(WorkloadRequest{V: 1, Name: core.MustID[core.ServiceID]("hmi"), CSR: csr})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":1,"name":"../press-8/hmi","csr":""}`))
	f.Add([]byte(`{"v":1,"name":"hmi","name":"plc","csr":""}`))
	d := Device{Key: keyHash([]byte("another key"))}
	f.Fuzz(func(t *testing.T, body []byte) {
		var r WorkloadRequest
		if link.DecodeStrict(body, &r) != nil {
			return
		}
		_, hash, err := r.check(d)
		if err != nil {
			return
		}
		if _, err := core.ParseID[core.ServiceID](r.Name.String()); err != nil || len(hash) != 64 || hash == d.Key {
			t.Errorf("workload %q, key %q: %v", r.Name, hash, err)
		}
	})
}

func TestTheListenerSpeaksTLS13Only(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	l := &Listener{Parts: Parts{Warn: slog.New(slog.DiscardHandler)}}
	err = l.Serve(t.Context(), tcp, &tls.Config{MinVersion: tls.VersionTLS12}) //nolint:gosec // the point of the test
	if core.KindOf(err) != core.KindInvalid {
		t.Errorf("served TLS 1.2: %v", err)
	}
}
