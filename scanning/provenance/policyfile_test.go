package provenance

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"aead.dev/minisign"

	"github.com/interlock-security/interlock/core"
)

func put(t *testing.T, dir, name string, body []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const policyText = `minisign:
  - maker.pub
keys: [build.pem]
provenance:
  required: true
  builders: ["https://builder.example/b@*"]
  sources:
    - repository: https://github.com/acme/shop
      ref: refs/tags/*
`

func TestFilesAndPolicies(t *testing.T) {
	dir := t.TempDir()
	pub, priv, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	text, err := pub.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "maker.pub", text)
	put(t, dir, "build.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	path := put(t, dir, "shop.tar.gz", content)
	put(t, dir, "shop.tar.gz.minisig", minisign.Sign(priv, content))
	policy, err := ReadPolicy(put(t, dir, "policy.yaml", []byte(policyText)))
	if err != nil {
		t.Fatal(err)
	}
	verify := func() Result {
		t.Helper()
		a, err := File(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Verify(context.Background(), a, policy)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := verify(); r.State != NotVerified || len(r.Checks) != 1 || r.Checks[0].State != Verified {
		t.Errorf("a signature alone: %+v", r)
	}
	put(t, dir, "shop.tar.gz.intoto.jsonl", seal(t, key, inTotoType, statementOf(predicateSLSA1, slsa1, nil)))
	if r := verify(); r.State != Verified || len(r.Checks) != 2 {
		t.Errorf("with provenance: %+v", r)
	}
	put(t, dir, "shop.tar.gz", []byte("other bytes"))
	if r := verify(); r.State != Failed {
		t.Errorf("other bytes: %+v", r)
	}
	if _, err := File(dir); core.KindOf(err) != core.KindInvalid {
		t.Errorf("a folder: %v", err)
	}
	if _, err := File(filepath.Join(dir, "gone")); core.KindOf(err) != core.KindNotFound {
		t.Errorf("nothing: %v", err)
	}
}

func TestPoliciesWithMistakes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a misspelled demand": "provenance: {requird: true}", "no YAML": "{", "a key that is gone": "keys: [gone.pem]", "a root that is gone": "sigstore: {trusted_root: gone.json}",
		"a minisign key that is gone": "minisign: [gone.pub]",
	} {
		if _, err := ReadPolicy(put(t, dir, "p.yaml", []byte(text))); err == nil || core.KindOf(err) == core.KindInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
}
