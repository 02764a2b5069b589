package link_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/interlock-security/interlock/core"
	"github.com/interlock-security/interlock/link"
)

var namespaces = []string{link.NamespaceOrder, link.NamespaceApproval, link.NamespaceRoot, link.NamespaceBatch}

func TestSignatureVerifiesInItsNamespaceOnly(t *testing.T) {
	payload := []byte(`{"v":1}`)
	signers := map[string]link.Signer{
		"ed25519": edSigner(t, "a"), "p256": p256Signer(t),
		"sk-ed25519": newSecurityKey(t, "ed25519", "ssh:", 1), "sk-ecdsa": newSecurityKey(t, "ecdsa", "ssh:work", 5),
	}
	for name, s := range signers {
		for _, made := range namespaces {
			sig := mustSign(t, s, made, payload)
			for _, asked := range namespaces {
				key, id, err := link.Verify(sig, asked, payload)
				if (err == nil) != (made == asked) {
					t.Errorf("%s: made in %s, asked in %s: %v", name, made, asked, err)
				}
				if err == nil && (id != link.KeyID(s.PublicKey()) || !bytes.Equal(key.Marshal(), s.PublicKey().Marshal())) {
					t.Errorf("%s: verified as %s", name, id)
				}
			}
			if _, _, err := link.Verify(sig, made, append(payload, ' ')); core.KindOf(err) != core.KindDenied {
				t.Errorf("%s: one byte more verifies: %v", name, err)
			}
		}
	}
	if _, err := link.Sign(signers["ed25519"], "file", payload); core.KindOf(err) != core.KindInternal {
		t.Errorf("in a namespace that is not ours: %v", err)
	}
	if sig := mustSign(t, signers["p256"], link.NamespaceRoot, payload); sig.Namespace() != link.NamespaceRoot || (link.Signature{}).Namespace() != "" {
		t.Errorf("it claims %q", sig.Namespace())
	}
	if _, _, err := link.Verify(mustSign(t, signers["ed25519"], link.NamespaceRoot, payload), "file", payload); core.KindOf(err) != core.KindInternal {
		t.Errorf("in a namespace that is not ours: %v", err)
	}
}

// A flip of any bit of the blob is refused: nothing in it is decoration.
func TestEveryBitOfASignatureCounts(t *testing.T) {
	payload := []byte("x")
	for _, s := range []link.Signer{edSigner(t, "a"), newSecurityKey(t, "ed25519", "ssh:", 5)} {
		sig := mustSign(t, s, link.NamespaceOrder, payload)
		for i := range len(sig.Sig) * 8 {
			bad := link.Signature{KeyID: sig.KeyID, Sig: bytes.Clone(sig.Sig)}
			bad.Sig[i/8] ^= 1 << (i % 8)
			if _, _, err := link.Verify(bad, link.NamespaceOrder, payload); err == nil {
				t.Fatalf("%s: bit %d flipped and still verified", s.PublicKey().Type(), i)
			}
		}
		for _, bad := range [][]byte{nil, sig.Sig[:len(sig.Sig)-1], append(bytes.Clone(sig.Sig), 0), make([]byte, 1025)} {
			if _, _, err := link.Verify(link.Signature{KeyID: sig.KeyID, Sig: bad}, link.NamespaceOrder, payload); err == nil {
				t.Fatalf("%d of %d bytes verified", len(bad), len(sig.Sig))
			}
		}
	}
}

// What the signature does not cover has one spelling, so that nobody can make
// a second blob out of a good one.
func TestSignatureHasNoSecondSpelling(t *testing.T) {
	payload := []byte("x")
	signer := edSigner(t, "a")
	good := mustSign(t, signer, link.NamespaceOrder, payload)
	body := struct {
		PublicKey                 []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}{}
	if err := ssh.Unmarshal(good.Sig[10:], &body); err != nil {
		t.Fatal(err)
	}
	blob := func(reserved string, inner []byte) link.Signature {
		b := body
		b.Reserved, b.Signature = reserved, inner
		return link.Signature{KeyID: good.KeyID, Sig: append(bytes.Clone(good.Sig[:10]), ssh.Marshal(b)...)}
	}
	if again := blob("", body.Signature); !bytes.Equal(again.Sig, good.Sig) {
		t.Fatal("the test does not build what Sign builds")
	}
	var inner ssh.Signature
	if err := ssh.Unmarshal(body.Signature, &inner); err != nil {
		t.Fatal(err)
	}
	inner.Format = "ssh-rsa"
	for name, bad := range map[string]link.Signature{
		"reserved bytes":            blob("x", body.Signature),
		"bytes after the signature": blob("", append(bytes.Clone(body.Signature), 0, 0, 0, 0, 0)),
		"another format":            blob("", ssh.Marshal(inner)),
	} {
		if _, _, err := link.Verify(bad, link.NamespaceOrder, payload); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := link.Verify(link.Signature{Sig: make([]byte, 1025)}, link.NamespaceOrder, payload); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
	if _, err := link.ParseArmored(make([]byte, 5000)); core.KindOf(err) != core.KindTooLarge {
		t.Error(err)
	}
}

func TestKeyIDMustNameTheKeyInTheSignature(t *testing.T) {
	sig := mustSign(t, edSigner(t, "a"), link.NamespaceOrder, []byte("x"))
	sig.KeyID = link.KeyID(edSigner(t, "b").PublicKey())
	if _, _, err := link.Verify(sig, link.NamespaceOrder, []byte("x")); core.KindOf(err) != core.KindInvalid {
		t.Error(err)
	}
}

func TestSecurityKeyRules(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa"} {
		if _, err := link.Sign(newSecurityKey(t, kind, "ssh:", 4), link.NamespaceApproval, []byte("x")); err == nil || !strings.Contains(err.Error(), "presence") {
			t.Errorf("%s: not touched: %v", kind, err)
		}
		// A browser can reach keys of a web origin, and only those.
		web := newSecurityKey(t, kind, "console.example", 5)
		if _, err := link.Sign(web, link.NamespaceApproval, []byte("x")); err == nil || !strings.Contains(err.Error(), "web page") {
			t.Errorf("%s: web credential: %v", kind, err)
		}
		if _, err := link.ParseAuthorizedKey(link.AuthorizedKey(web.PublicKey())); err == nil {
			t.Errorf("%s: web credential parsed as a key", kind)
		}
	}
}

func TestOtherKeyTypesAreRefused(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.NewCryptoSigner(rsaKey); err == nil || !strings.Contains(err.Error(), "ssh-rsa is not accepted") {
		t.Errorf("RSA: %v", err)
	}
	if _, err := link.NewCryptoSigner(p384); err == nil {
		t.Error("P-384 accepted")
	}
	wrapped, err := ssh.NewSignerFromSigner(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.ParseAuthorizedKey(link.AuthorizedKey(wrapped.PublicKey())); err == nil {
		t.Error("RSA public key accepted")
	}
}

func TestAuthorizedKeyHasOneSpelling(t *testing.T) {
	good := link.AuthorizedKey(edSigner(t, "a").PublicKey())
	if k, err := link.ParseAuthorizedKey(good); err != nil || link.AuthorizedKey(k) != good {
		t.Fatalf("%v, %v", k, err)
	}
	kind, body, _ := strings.Cut(good, " ")
	for _, bad := range []string{"", good + " anna@host", good + "\n", " " + good, kind + "  " + body, "no-pty " + good, "ssh-rsa " + body, body, good[:len(good)-1], kind + " " + body + "AAAA"} {
		if _, err := link.ParseAuthorizedKey(bad); core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestArmorHasOneShape(t *testing.T) {
	sig := mustSign(t, edSigner(t, "a"), link.NamespaceOrder, []byte("x"))
	text := sig.Armor()
	back, err := link.ParseArmored([]byte(text))
	if err != nil || back.KeyID != sig.KeyID || !bytes.Equal(back.Sig, sig.Sig) {
		t.Fatalf("%+v, %v", back, err)
	}
	for _, bad := range []string{"", "x" + text, text + "x", strings.Replace(text, "BEGIN", "END", 1), strings.Replace(text, "U1NI", "U1N!", 1), strings.Repeat("A", 5000)} {
		if _, err := link.ParseArmored([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

func sshKeygen(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// The real ssh-keygen verifies what we sign and signs what we verify.
func TestInteroperatesWithSSHKeygen(t *testing.T) {
	payload := []byte("{\"v\":1}")
	for _, kind := range []string{"ed25519", "ecdsa"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			keyFile := filepath.Join(dir, "key")
			sshKeygen(t, nil, "-q", "-t", kind, "-N", "", "-C", "", "-f", keyFile)
			signer := readKey(t, keyFile)

			theirs := sshKeygen(t, payload, "-q", "-Y", "sign", "-f", keyFile, "-n", link.NamespaceApproval)
			sig, err := link.ParseArmored(theirs)
			if err != nil {
				t.Fatalf("%v\n%s", err, theirs)
			}
			if _, id, err := link.Verify(sig, link.NamespaceApproval, payload); err != nil || id != link.KeyID(signer.PublicKey()) {
				t.Errorf("their signature: %s, %v", id, err)
			}
			if _, _, err := link.Verify(sig, link.NamespaceOrder, payload); err == nil {
				t.Error("their signature verifies in another namespace")
			}
			if kind == "ed25519" && sig.Armor() != string(theirs) {
				t.Errorf("armour differs:\n%s\n%s", sig.Armor(), theirs)
			}

			ours := filepath.Join(dir, "ours.sig")
			signers := filepath.Join(dir, "allowed")
			write(t, ours, mustSign(t, signer, link.NamespaceApproval, payload).Armor())
			write(t, signers, "anna "+link.AuthorizedKey(signer.PublicKey())+"\n")
			out := sshKeygen(t, payload, "-Y", "verify", "-f", signers, "-I", "anna", "-n", link.NamespaceApproval, "-s", ours)
			if !bytes.Contains(out, []byte("Good")) {
				t.Errorf("%s", out)
			}
			if err := exec.Command("ssh-keygen", "-Y", "verify", "-f", signers, "-I", "anna", "-n", link.NamespaceOrder, "-s", ours).Run(); err == nil {
				t.Error("ssh-keygen verified our signature in another namespace")
			}
		})
	}
}

func TestSSHKeygenWithSHA256IsRefused(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key")
	sshKeygen(t, nil, "-q", "-t", "ed25519", "-N", "", "-f", keyFile)
	out := sshKeygen(t, []byte("x"), "-q", "-Y", "sign", "-O", "hashalg=sha256", "-f", keyFile, "-n", link.NamespaceOrder)
	if _, err := link.ParseArmored(out); err == nil || !strings.Contains(err.Error(), "sha512") {
		t.Errorf("%v", err)
	}
}

func TestPrivateKeyFileWithPassphrase(t *testing.T) {
	block, err := ssh.MarshalPrivateKeyWithPassphrase(edKey("a"), "", []byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	file := pem.EncodeToMemory(block)
	if _, err := link.ParsePrivateKey(file, core.NewSecret([]byte("correct horse"))); err != nil {
		t.Error(err)
	}
	for _, pass := range []core.Secret{{}, core.NewSecret([]byte("wrong"))} {
		if _, err := link.ParsePrivateKey(file, pass); core.KindOf(err) != core.KindInvalid {
			t.Error(err)
		}
	}
}

func readKey(t *testing.T, path string) link.Signer {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := link.ParsePrivateKey(b, core.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// No blob makes the parser panic, and one that verifies was made by Sign.
func FuzzSSHSig(f *testing.F) {
	for _, s := range []link.Signer{edSigner(f, "a"), newSecurityKey(f, "ed25519", "ssh:", 5), newSecurityKey(f, "ecdsa", "ssh:", 5)} {
		f.Add(mustSign(f, s, link.NamespaceOrder, []byte("x")).Sig)
	}
	good := mustSign(f, edSigner(f, "a"), link.NamespaceOrder, []byte("x"))
	f.Fuzz(func(t *testing.T, blob []byte) {
		sig := link.Signature{KeyID: good.KeyID, Sig: blob}
		if _, _, err := link.Verify(sig, link.NamespaceOrder, []byte("x")); err == nil && !slices.Equal(blob, good.Sig) {
			t.Errorf("verified: %x", blob)
		}
		_, _ = link.ParseArmored([]byte(sig.Armor()))
	})
}
