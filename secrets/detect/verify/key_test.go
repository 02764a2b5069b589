package verify_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/interlock-security/interlock/secrets/detect/verify"
)

// dashes are apart from the words, so that no line here looks like a key.
const dashes = "-----"

func signers(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA": r, "EC": e, "Ed25519": d}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func certificate(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotAfter: time.Unix(2_000_000_000, 0)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("CERTIFICATE", der)
}

// TestKeyPairs: a key belongs to its certificate and its public half, and to
// those of no other.
func TestKeyPairs(t *testing.T) {
	all := signers(t)
	for name, key := range all {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := keyOf(append([]byte("some text\n"), encode("PRIVATE KEY", der)...))
		if err != nil {
			t.Fatal(name, err)
		}
		for other, k := range all {
			pub, err := x509.MarshalPKIXPublicKey(k.Public())
			if err != nil {
				t.Fatal(err)
			}
			if got := verify.Matches(parsed, certificate(t, k)); got != (name == other) {
				t.Errorf("key %s, certificate %s: %v", name, other, got)
			}
			if got := verify.Matches(parsed, encode("PUBLIC KEY", pub)); got != (name == other) {
				t.Errorf("key %s, public key %s: %v", name, other, got)
			}
		}
		if verify.Matches(parsed, []byte("nothing")) || verify.Matches(parsed, encode("CERTIFICATE", []byte("x"))) {
			t.Errorf("%s: matches what is no public key", name)
		}
	}
}

// TestOpenSSHKeys reads what ssh-keygen writes.
func TestOpenSSHKeys(t *testing.T) {
	tool, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Log("ssh-keygen isn't installed; the format is also read in secrets/detect/rules/keys")
		return
	}
	dir := t.TempDir()
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		for _, password := range []string{"", "correct horse"} {
			if password != "" && kind != "ecdsa" {
				continue
			}
			file := filepath.Join(dir, kind+password)
			size := map[string]string{"ed25519": "256", "ecdsa": "256", "rsa": "2048"}[kind]
			if out, err := exec.CommandContext(t.Context(), tool, "-q", "-t", kind, "-b", size, "-N", password, "-f", file).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			public, err := os.ReadFile(file + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			key, err := keyOf(text)
			if password != "" {
				if !errors.Is(err, verify.ErrEncrypted) {
					t.Errorf("%s under a password: %v", kind, err)
				}
				continue
			}
			if err != nil || !verify.Matches(key, public) {
				t.Errorf("%s: %v, or its public half is another", kind, err)
			}
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	for _, text := range []string{
		"",
		dashes + "BEGIN ",
		dashes + "BEGIN PRIVATE KEY" + dashes,
		dashes + "BEGIN PRIVATE KEY" + dashes + "\nAAAA\n" + dashes + "END PRIVATE KEY" + dashes,
		dashes + "BEGIN OPENSSH PRIVATE KEY" + dashes + "\nb3BlbnNzaC1rZXktdjEA\n" + dashes + "END OPENSSH PRIVATE KEY" + dashes,
	} {
		if _, err := keyOf([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

func FuzzArmor(f *testing.F) {
	f.Add([]byte(dashes + "BEGIN PRIVATE KEY" + dashes + "\nMC4CAQ==\n" + dashes + "END PRIVATE KEY" + dashes))
	f.Add([]byte(dashes + `BEGIN OPENSSH PRIVATE KEY` + dashes + `\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, n := verify.ReadArmor(b)
		if n < 0 || n > len(b) {
			t.Fatal(n, len(b))
		}
		if n > 0 {
			_, _ = a.Key()
			_ = a.Plausible()
		}
	})
}

// keyOf parses the first private key of a text in PEM.
func keyOf(text []byte) (crypto.Signer, error) {
	at := bytes.Index(text, []byte("-----BEGIN "))
	if at < 0 {
		return nil, errors.New("no PEM block")
	}
	a, n := verify.ReadArmor(text[at:])
	if n == 0 {
		return nil, errors.New("an empty PEM block")
	}
	return a.Key()
}
